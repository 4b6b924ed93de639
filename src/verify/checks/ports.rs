//! Ports are open to those whom the rules let in, and closed to everybody else.

use super::{
    Ctx, Findings, HostView, all_or,
    services::many,
    traffic::{probed, said, silent},
};
use crate::{
    spec::Provider,
    verify::{
        finding::Finding,
        registry::{Check, Group::Network},
        types::Severity::{Critical, Major},
    },
};

pub(in crate::verify) const CHECKS: &[Check] = &[
    Check {
        id: "network-api-port",
        group: Network,
        severity: Critical,
        tag: None,
        probes: true,
        eval: |c| many(c, "api:"),
        title: "Every node reaches the API server on 6443",
        expected: "a TCP connection to 6443 of every control plane",
        proves: "kubelets and pods can talk to the API",
        causes: "a security group without 6443 from the workers",
        fix: "allow TCP 6443 from the workers' to the control planes' group",
    },
    Check {
        id: "network-kubelet-port",
        group: Network,
        severity: Major,
        tag: None,
        probes: true,
        eval: kubelet_port,
        title: "Control planes reach every kubelet on 10250",
        expected: "a TCP connection to 10250 of every node",
        proves: "kubectl logs and exec, and metrics-server, work",
        causes: "a security group without 10250 from the control planes",
        fix: "allow TCP 10250 from the control planes' group",
    },
    Check {
        id: "network-etcd-ports",
        group: Network,
        severity: Critical,
        tag: None,
        probes: true,
        eval: etcd_ports,
        title: "etcd is open to control planes and closed to workers",
        expected: "TCP connections to 2379 and 2380 of a control plane from the other control planes, and none from a worker",
        proves: "etcd is reachable from where the rules say, and not from elsewhere",
        causes: "a security group that opens 2379 to the workers, or that lacks the rule among control planes",
        fix: "allow TCP 2379-2380 among control planes alone",
    },
    Check {
        id: "network-ssh-ports",
        group: Network,
        severity: Major,
        tag: None,
        probes: true,
        eval: ssh,
        title: "SSH is open to control planes and closed to workers",
        expected: "a TCP connection to 22 of every machine from the control planes, and none from a worker",
        proves: "who breaks into one worker cannot go on to the next machine by SSH",
        causes: "a security group that opens 22 to the workers or to everybody",
        fix: "`kubewright plan` shows the rule, `kubewright bootstrap` mends it",
    },
    Check {
        id: "network-outside",
        group: Network,
        severity: Critical,
        tag: None,
        probes: false,
        eval: outside,
        title: "Nothing but SSH answers to the outside",
        expected: "from this machine no TCP connection to 2379, 2380, 10250, 10256, 10257, 10259, nor to 6443 unless access.api_from opens it",
        proves: "what the rules close is closed to those outside, too",
        causes: "a security group that opens more than the spec says, or a public address without one",
        fix: "`kubewright plan` shows the rule, `kubewright bootstrap` mends it",
    },
];

fn kubelet_port(ctx: &Ctx<'_>) -> Findings {
    let control_plane = |node: &str| ctx.host(node).is_some_and(HostView::is_control_plane);
    if ctx.hosts.len() < 2 {
        return None;
    }
    ports(ctx, &["kubelet"], |from, _| control_plane(from).then_some(true))
}

fn etcd_ports(ctx: &Ctx<'_>) -> Findings {
    let control_plane = |node: &str| ctx.host(node).is_some_and(HostView::is_control_plane);
    if ctx.hosts.len() < 2 {
        return None;
    }
    ports(ctx, &["etcd", "etcd-peer"], |from, _| Some(control_plane(from)))
}

fn ssh(ctx: &Ctx<'_>) -> Findings {
    let control_plane = |node: &str| ctx.host(node).is_some_and(HostView::is_control_plane);
    // Machines that we did not make have firewalls of their own.
    if matches!(ctx.spec.provider, Provider::Static(_)) || ctx.hosts.len() < 2 {
        return None;
    }
    ports(ctx, &["ssh"], |from, _| Some(control_plane(from)))
}

/// Connections from node to node: whether each may succeed is what `open` says; `None`: nobody cares.
fn ports(ctx: &Ctx<'_>, kinds: &[&str], open: impl Fn(&str, &str) -> Option<bool>) -> Findings {
    let ours = !matches!(ctx.spec.provider, Provider::Static(_));
    probed(ctx, |p| {
        let mut out: Vec<Finding> = silent(p).collect();
        let (mut opened, mut closed) = (0, 0);
        for (from, answers) in &p.answers {
            for answer in answers {
                let Some((kind, to)) = answer.id.split_once(':') else { continue };
                let Some(open) = open(from, to).filter(|_| kinds.contains(&kind)) else { continue };
                let subject = format!("{from} → {to}");
                let finding = match (open, answer.ok) {
                    (true, true) => {
                        opened += 1;
                        continue;
                    }
                    (false, false) => {
                        closed += 1;
                        continue;
                    }
                    (true, false) => Finding::bad(subject, format!("{}: {} ({})", answer.target, answer.error, answer.class)),
                    (false, true) if ours => Finding::bad(subject, format!("{} can be reached", answer.target)),
                    // No firewall of ours stands there.
                    (false, true) => Finding::poor(subject, format!("{} can be reached", answer.target)),
                };
                out.push(finding.evidence(format!("probe check on {from}"), said(answer)));
            }
        }
        if out.is_empty() && opened + closed == 0 {
            return vec![Finding::unseen("cluster", "there was nobody to ask")];
        }
        all_or(out, || Finding::good("cluster", format!("open to {opened}, closed to {closed}")))
    })
}

fn outside(ctx: &Ctx<'_>) -> Findings {
    let tried = ctx.outside.as_ref()?;
    let mut out = Vec::new();
    for (host, dialled) in tried {
        let open: Vec<String> = dialled.open.iter().map(u16::to_string).collect();
        out.push(if !dialled.ssh {
            Finding::unseen(
                host,
                format!("{} cannot be dialled from here without a detour, so nothing is known of its other ports", dialled.address),
            )
        } else if open.is_empty() {
            Finding::good(
                host,
                format!("{} closed on {}", dialled.address, dialled.closed.iter().map(u16::to_string).collect::<Vec<_>>().join(", ")),
            )
        } else {
            Finding::bad(host, format!("{} answers on {}", dialled.address, open.join(", ")))
        });
    }
    Some(out)
}
