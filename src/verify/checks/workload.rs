//! What runs in the cluster, and who may do what.

use super::{Ctx, Findings, all_or};
use crate::verify::{
    finding::Finding,
    registry::{Check, Group::Kubernetes},
    types::Severity::{Critical, Major, Minor},
};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use std::collections::BTreeSet;

const SYSTEM: [&str; 2] = ["kube-system", "kube-flannel"];

pub(in crate::verify) const CHECKS: &[Check] = &[
    Check {
        id: "kubernetes-system-pods",
        group: Kubernetes,
        severity: Critical,
        tag: None,
        probes: false,
        eval: system_pods,
        title: "Every system pod runs and is ready",
        expected: "all pods of kube-system and kube-flannel Running and ready",
        proves: "nothing of the control plane or the data plane is missing",
        causes: "the container's own state and log say it",
        fix: "`kubectl -n NAMESPACE describe pod POD` and `kubectl logs --previous`",
    },
    Check {
        id: "kubernetes-static-pods",
        group: Kubernetes,
        severity: Critical,
        tag: None,
        probes: false,
        eval: static_pods,
        title: "Every control plane has its four static pods",
        expected: "etcd, kube-apiserver, kube-controller-manager and kube-scheduler on each",
        proves: "no manifest was moved away or broken",
        causes: "a manifest in /etc/kubernetes/manifests is missing or has an error in it",
        fix: "restore the manifest with `kubeadm init phase control-plane all` or `kubeadm init phase etcd local`",
    },
    Check {
        id: "kubernetes-restarts",
        group: Kubernetes,
        severity: Major,
        tag: None,
        probes: false,
        eval: restarts,
        title: "No system container keeps restarting",
        expected: "no container that ended with an error within the last 10 minutes",
        proves: "what is ready now stays ready",
        causes: "a failing liveness probe, too little memory, or a dependency that comes and goes",
        fix: "`kubectl -n kube-system logs --previous POD`",
    },
    Check {
        id: "kubernetes-daemonsets",
        group: Kubernetes,
        severity: Critical,
        tag: None,
        probes: false,
        eval: daemon_sets,
        title: "System DaemonSets are complete",
        expected: "kube-proxy and kube-flannel-ds available on every node",
        proves: "every node has Services and a pod network",
        causes: "an image that cannot be pulled, or a taint that the DaemonSet does not tolerate",
        fix: "`kubectl -n NAMESPACE describe ds NAME`",
    },
    Check {
        id: "kubernetes-coredns",
        group: Kubernetes,
        severity: Critical,
        tag: None,
        probes: false,
        eval: coredns,
        title: "CoreDNS is available, on more than one node",
        expected: "all replicas available; on two nodes where there are two",
        proves: "names resolve, also after one node is lost",
        causes: "pods pending because of taints or pressure; both replicas were placed before the workers joined",
        fix: "`kubectl -n kube-system get pods -l k8s-app=kube-dns -o wide`; delete one pod so that it moves",
    },
    Check {
        id: "kubernetes-workloads",
        group: Kubernetes,
        severity: Major,
        tag: None,
        probes: false,
        eval: workloads,
        title: "No pod is stuck",
        expected: "no CrashLoopBackOff, ImagePullBackOff or pod pending for more than 5 minutes",
        proves: "what was deployed runs",
        causes: "the pod's state says it",
        fix: "`kubectl describe pod`",
    },
    Check {
        id: "kubernetes-evicted",
        group: Kubernetes,
        severity: Minor,
        tag: None,
        probes: false,
        eval: evicted,
        title: "No pod was evicted",
        expected: "no pod with reason Evicted",
        proves: "no node ran out of memory or disk lately",
        causes: "a node under pressure; the pod's message says which",
        fix: "mend the pressure, then delete the failed pods",
    },
    Check {
        id: "kubernetes-csrs",
        group: Kubernetes,
        severity: Major,
        tag: None,
        probes: false,
        eval: csrs,
        title: "No certificate request is waiting",
        expected: "no pending CSR older than 30 s",
        proves: "kubelets get their certificates",
        causes: "serverTLSBootstrap without an approver, or a request that the approver refuses",
        fix: "look at it with `kubectl describe csr`, then approve or deny it",
    },
    Check {
        id: "kubernetes-tokens",
        group: Kubernetes,
        severity: Major,
        tag: None,
        probes: false,
        eval: tokens,
        title: "No join token is left over",
        expected: "no bootstrap token that outlives the spec's token_ttl",
        proves: "nobody can join a node with an old token",
        causes: "`kubeadm token create` by hand (24 h by default), or a run that was killed before it revoked its token",
        fix: "`kubeadm token delete ID`",
    },
    Check {
        id: "kubernetes-admission",
        group: Kubernetes,
        severity: Critical,
        tag: None,
        probes: false,
        eval: admission,
        title: "Admission lets a plain pod in",
        expected: "a server-side dry run of a restricted pod is accepted",
        proves: "no webhook, quota or policy blocks everything",
        causes: "a webhook whose service is down with failurePolicy Fail",
        fix: "`kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations`; mend or remove the broken one",
    },
    Check {
        id: "kubernetes-anonymous",
        group: Kubernetes,
        severity: Critical,
        tag: None,
        probes: false,
        eval: anonymous,
        title: "Anonymous callers may do nothing that matters",
        expected: "no right to pods, nodes or secrets",
        proves: "an open 6443 is not an open cluster",
        causes: "a role binding to system:anonymous or system:unauthenticated",
        fix: "find it with `kubectl get clusterrolebindings -o wide | grep -E 'anonymous|unauthenticated'` and delete it",
    },
    Check {
        id: "kubernetes-pod-security",
        group: Kubernetes,
        severity: Minor,
        tag: None,
        probes: false,
        eval: pod_security,
        title: "Namespaces with workloads have a Pod Security level",
        expected: "pod-security.kubernetes.io/enforce is baseline or restricted",
        proves: "a workload cannot take over its node",
        causes: "a namespace that nobody labelled",
        fix: "`kubectl label ns NAME pod-security.kubernetes.io/enforce=baseline`",
    },
    Check {
        id: "kubernetes-encryption",
        group: Kubernetes,
        severity: Major,
        tag: None,
        probes: false,
        eval: encryption,
        title: "Every API server encrypts alike",
        expected: "the same --encryption-provider-config on every control plane",
        proves: "secrets that one API server writes can be read by the others",
        causes: "the flag was set on some control planes only",
        fix: "set it on all of them, then rewrite the secrets",
    },
    Check {
        id: "kubernetes-audit",
        group: Kubernetes,
        severity: Major,
        tag: None,
        probes: false,
        eval: audit,
        title: "Every API server writes the audit log alike",
        expected: "the same --audit-log-path and policy on every control plane",
        proves: "no request escapes the audit",
        causes: "the flag was set on some control planes only",
        fix: "set it on all of them",
    },
];

pub(super) fn name(pod: &Pod) -> String {
    let part = |s: &Option<String>| s.clone().unwrap_or_default();
    format!("{}/{}", part(&pod.metadata.namespace), part(&pod.metadata.name))
}

fn is_system(pod: &Pod) -> bool {
    pod.metadata.namespace.as_deref().is_some_and(|n| SYSTEM.contains(&n))
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|s| s.phase.as_deref()).unwrap_or("Unknown")
}

fn containers(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    pod.status.iter().flat_map(|s| s.container_statuses.iter().flatten())
}

fn waiting(pod: &Pod) -> Option<String> {
    containers(pod).find_map(|c| {
        let waiting = c.state.as_ref()?.waiting.as_ref()?;
        Some(format!("{}: {} {}", c.name, waiting.reason.clone().unwrap_or_default(), waiting.message.clone().unwrap_or_default()))
    })
}

fn system_pods(ctx: &Ctx<'_>) -> Findings {
    ctx.asked(&ctx.cluster.pods, |pods| {
        let all: Vec<&Pod> = pods.iter().filter(|p| is_system(p) && phase(p) != "Succeeded").collect();
        // A container that restarted in the last minute may be waiting for its readiness; it shows in its own check.
        let bad = all.iter().filter(|p| phase(p) != "Running" || !containers(p).all(|c| c.ready));
        let bad: Vec<Finding> = bad
            .map(|p| {
                let why = waiting(p).unwrap_or_else(|| "not ready".to_owned());
                let node = p.spec.as_ref().and_then(|s| s.node_name.clone()).unwrap_or_else(|| "no node".to_owned());
                Finding::bad(name(p), format!("{} on {node}, {why}", phase(p)))
            })
            .collect();
        if all.is_empty() {
            vec![Finding::bad("cluster", "there are no system pods")]
        } else {
            all_or(bad, || Finding::good("cluster", format!("{} pods ready", all.len())))
        }
    })
}

fn static_pods(ctx: &Ctx<'_>) -> Findings {
    ctx.asked(&ctx.cluster.pods, |pods| {
        let parts = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"];
        let control_planes = ctx.hosts.iter().filter(|h| h.is_control_plane());
        control_planes
            .map(|host| {
                let there = |part: &&str| pods.iter().any(|p| name(p) == format!("kube-system/{part}-{}", host.name));
                let missing: Vec<&str> = parts.iter().filter(|p| !there(p)).copied().collect();
                let observed = if missing.is_empty() { "all four".to_owned() } else { format!("missing: {}", missing.join(", ")) };
                Finding::of(missing.is_empty(), &host.name, observed)
            })
            .collect()
    })
}

fn restarts(ctx: &Ctx<'_>) -> Findings {
    let now = ctx.now.as_second();
    ctx.asked(&ctx.cluster.pods, |pods| {
        let mut bad = Vec::new();
        for pod in pods.iter().filter(|p| is_system(p)) {
            for c in containers(pod) {
                let Some(end) = c.last_state.as_ref().and_then(|s| s.terminated.as_ref()) else { continue };
                let age = now - end.finished_at.as_ref().map_or(now, |t| t.0.as_second());
                // While a cluster comes up, ending is how controllers wait for what is not there yet: a young pod may do so
                // a few times, if it runs now.
                let young = pod.metadata.creation_timestamp.as_ref().is_none_or(|t| now - t.0.as_second() < 600);
                let runs = c.state.as_ref().is_some_and(|s| s.running.is_some());
                let allowed = if young && runs { 5 } else { 1 };
                // "Unknown" with 255 is a container that ended with its machine: a reboot is no crash.
                let rebooted = end.reason.as_deref() == Some("Unknown") && end.exit_code == 255;
                if age < 600 && end.exit_code != 0 && !rebooted && c.restart_count > allowed {
                    bad.push(Finding::bad(
                        name(pod),
                        format!("{} restarted {} times, last {age} s ago with exit code {}", c.name, c.restart_count, end.exit_code),
                    ));
                }
            }
        }
        all_or(bad, || Finding::good("cluster", "none"))
    })
}

fn daemon_sets(ctx: &Ctx<'_>) -> Findings {
    ctx.asked(&ctx.cluster.daemon_sets, |sets| {
        let nodes = ctx.cluster.nodes.as_ref().map_or(ctx.hosts.len(), Vec::len);
        [("kube-system", "kube-proxy"), ("kube-flannel", "kube-flannel-ds")]
            .map(|(namespace, wanted)| {
                let found =
                    sets.iter().find(|s| s.metadata.namespace.as_deref() == Some(namespace) && s.metadata.name.as_deref() == Some(wanted));
                let subject = format!("{namespace}/{wanted}");
                match found.and_then(|s| s.status.as_ref()) {
                    None => Finding::bad(subject, "missing"),
                    Some(status) => {
                        let available = status.number_available.unwrap_or(0);
                        Finding::of(usize::try_from(available) == Ok(nodes), subject, format!("available on {available} of {nodes} nodes"))
                    }
                }
            })
            .into()
    })
}

fn coredns(ctx: &Ctx<'_>) -> Findings {
    ctx.asked(&ctx.cluster.deployments, |deployments| {
        let found = deployments.iter().find(|d| d.metadata.name.as_deref() == Some("coredns"));
        let Some(deployment) = found else { return vec![Finding::bad("kube-system/coredns", "missing")] };
        let wanted = deployment.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1);
        let available = deployment.status.as_ref().and_then(|s| s.available_replicas).unwrap_or(0);
        let pods = ctx.cluster.pods.iter().flatten().filter(|p| name(p).starts_with("kube-system/coredns-") && phase(p) == "Running");
        let on: BTreeSet<String> = pods.filter_map(|p| p.spec.as_ref()?.node_name.clone()).collect();
        let observed = format!("{available} of {wanted} available, on {}", on.iter().cloned().collect::<Vec<_>>().join(", "));
        if available < wanted {
            return vec![Finding::bad("kube-system/coredns", observed)];
        }
        let workers = ctx.hosts.iter().filter(|h| !h.is_control_plane()).count();
        let spread = on.len() > 1 || wanted < 2 || workers == 0;
        vec![if spread { Finding::good("kube-system/coredns", observed) } else { Finding::poor("kube-system/coredns", observed) }]
    })
}

fn workloads(ctx: &Ctx<'_>) -> Findings {
    let now = ctx.now.as_second();
    ctx.asked(&ctx.cluster.pods, |pods| {
        let ours =
            |p: &&Pod| !p.metadata.namespace.as_deref().is_some_and(|n| SYSTEM.contains(&n) || n.starts_with(crate::verify::probe::NAME));
        let mut bad = Vec::new();
        for pod in pods.iter().filter(ours) {
            let age = now - pod.metadata.creation_timestamp.as_ref().map_or(now, |t| t.0.as_second());
            let why = waiting(pod).filter(|w| {
                ["CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull", "CreateContainerConfigError"].iter().any(|r| w.contains(r))
            });
            let pending = (phase(pod) == "Pending" && age > 300).then(|| format!("Pending for {} min", age / 60));
            bad.extend(why.or(pending).map(|why| Finding::bad(name(pod), why)));
        }
        all_or(bad, || Finding::good("cluster", "none"))
    })
}

fn evicted(ctx: &Ctx<'_>) -> Findings {
    ctx.asked(&ctx.cluster.pods, |pods| {
        let gone = pods.iter().filter(|p| p.status.as_ref().and_then(|s| s.reason.as_deref()) == Some("Evicted"));
        let message = |p: &Pod| p.status.as_ref().and_then(|s| s.message.clone()).unwrap_or_default();
        all_or(gone.map(|p| Finding::bad(name(p), message(p))).collect(), || Finding::good("cluster", "none"))
    })
}

fn csrs(ctx: &Ctx<'_>) -> Findings {
    let now = ctx.now.as_second();
    ctx.asked(&ctx.cluster.csrs, |csrs| {
        let mut bad = Vec::new();
        for csr in csrs {
            let decided = csr.status.as_ref().is_some_and(|s| s.conditions.as_ref().is_some_and(|c| !c.is_empty()));
            let age = now - csr.metadata.creation_timestamp.as_ref().map_or(now, |t| t.0.as_second());
            if !decided && age > 30 {
                let who = csr.spec.username.clone().unwrap_or_default();
                bad.push(Finding::bad(
                    csr.metadata.name.clone().unwrap_or_default(),
                    format!("{} of {who}, pending for {age} s", csr.spec.signer_name),
                ));
            }
        }
        all_or(bad, || Finding::good("cluster", "none pending"))
    })
}

fn tokens(ctx: &Ctx<'_>) -> Findings {
    let limit = ctx.spec.kubernetes.token_ttl;
    ctx.asked(&ctx.cluster.tokens, |tokens| {
        let mut bad = Vec::new();
        for (id, expiration) in tokens {
            let left = expiration.as_ref().and_then(|e| e.parse::<jiff::Timestamp>().ok()).map(|t| t.as_second() - ctx.now.as_second());
            match left {
                None => bad.push(Finding::bad(format!("token {id}"), "never expires")),
                Some(left) if left > i64::try_from(limit.as_secs()).unwrap_or(i64::MAX) + 60 => {
                    bad.push(Finding::bad(format!("token {id}"), format!("valid for another {} min", left / 60)));
                }
                Some(_) => {}
            }
        }
        all_or(bad, || {
            Finding::good("cluster", if tokens.is_empty() { "none".to_owned() } else { format!("{} that end soon", tokens.len()) })
        })
    })
}

fn admission(ctx: &Ctx<'_>) -> Findings {
    ctx.asked(&ctx.cluster.admission, |answer| {
        vec![match answer {
            Ok(()) => Finding::good("cluster", "accepted"),
            Err(why) => Finding::bad("cluster", format!("refused: {why}")),
        }]
    })
}

fn anonymous(ctx: &Ctx<'_>) -> Findings {
    ctx.asked(&ctx.cluster.anonymous, |allowed| {
        let observed = if allowed.is_empty() { "nothing".to_owned() } else { format!("may {}", allowed.join(", ")) };
        vec![Finding::of(allowed.is_empty(), "cluster", observed).evidence("SubjectAccessReview of system:anonymous", allowed.join("\n"))]
    })
}

fn pod_security(ctx: &Ctx<'_>) -> Findings {
    ctx.asked(&ctx.cluster.namespaces, |namespaces| {
        let used: BTreeSet<&str> = ctx.cluster.pods.iter().flatten().filter_map(|p| p.metadata.namespace.as_deref()).collect();
        let bad = namespaces.iter().filter_map(|ns| {
            let name = ns.metadata.name.as_deref()?;
            let ours = SYSTEM.contains(&name) || !used.contains(name) || name.starts_with(crate::verify::probe::NAME);
            let level =
                ns.metadata.labels.iter().flatten().find(|(k, _)| *k == "pod-security.kubernetes.io/enforce").map(|(_, v)| v.as_str());
            (!ours && !matches!(level, Some("baseline" | "restricted")))
                .then(|| Finding::bad(name, format!("level: {}", level.unwrap_or("none"))))
        });
        all_or(bad.collect(), || Finding::good("cluster", "all that run workloads"))
    })
}

/// A flag of the API servers must be the same on all; `None` where no API server has it.
fn same_flag(ctx: &Ctx<'_>, flag: &str) -> Findings {
    let of = |host: &super::HostView| {
        let text = host.seen.as_ref().ok()?.section("apiserver")?;
        Some(text.lines().find_map(|l| l.trim().strip_prefix("- ")?.strip_prefix(flag)?.strip_prefix('=').map(str::to_owned)))
    };
    let control_planes: Vec<_> = ctx.hosts.iter().filter(|h| h.is_control_plane()).collect();
    let values: Vec<_> = control_planes.iter().map(|h| of(h)).collect();
    let wanted = values.iter().flatten().flatten().next()?.clone();
    Some(
        control_planes
            .iter()
            .zip(values)
            .map(|(host, value)| match value {
                None => Finding::unseen(&host.name, "its manifest was not read"),
                Some(value) => Finding::of(value.as_ref() == Some(&wanted), &host.name, value.unwrap_or_else(|| "not set".to_owned()))
                    .expected(format!("{flag}={wanted}")),
            })
            .collect(),
    )
}

fn encryption(ctx: &Ctx<'_>) -> Findings {
    same_flag(ctx, "--encryption-provider-config")
}

fn audit(ctx: &Ctx<'_>) -> Findings {
    same_flag(ctx, "--audit-log-path")
}
