//! What the provider knows: how far it is from the spec, and what it says of the machines.

use super::{Ctx, Findings, all_or};
use crate::{
    infra::{Aspect, Change},
    spec::Provider,
    verify::{
        finding::Finding,
        registry::{Check, Group::Cloud},
        types::Severity::{Critical, Major, Minor},
    },
};

/// The check that a difference is about, by its kind and name as providers write them.
fn about(change: &Change) -> &'static str {
    let kind = change.kind.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|w| kind.contains(w));
    if !change.details.is_empty() && change.details.iter().all(|d| d.starts_with("tag ")) {
        "cloud-tags"
    } else if has(&["security group", "firewall", "rule"]) {
        "cloud-firewall"
    } else if has(&["route"]) {
        "cloud-routes"
    } else if has(&["nat", "gateway", "elastic ip"]) {
        "cloud-nat"
    } else if has(&["subnet", "vpc", "network"]) {
        "cloud-network"
    } else if has(&["instance", "machine", "container", "volume", "key"]) {
        "cloud-machines"
    } else {
        "cloud-drift"
    }
}

const SHOWS: &str = "`kubewright plan` shows it, `kubewright bootstrap` mends it";

pub(in crate::verify) const CHECKS: &[Check] = &[
    Check {
        id: "cloud-firewall",
        group: Cloud,
        severity: Major,
        tag: None,
        probes: false,
        eval: |c| drift(c, "cloud-firewall"),
        title: "Security groups are as the spec says",
        expected: "no rule missing, none of ours left over",
        proves: "ports are open to those who need them, and to nobody else",
        causes: "a rule was removed or added by hand",
        fix: SHOWS,
    },
    Check {
        id: "cloud-network",
        group: Cloud,
        severity: Major,
        tag: None,
        probes: false,
        eval: |c| drift(c, "cloud-network"),
        title: "VPC and subnets are as the spec says",
        expected: "no difference",
        proves: "machines are where the spec puts them",
        causes: "a change by hand or by another tool",
        fix: SHOWS,
    },
    Check {
        id: "cloud-routes",
        group: Cloud,
        severity: Critical,
        tag: None,
        probes: false,
        eval: |c| only_aws(c).and_then(|()| drift(c, "cloud-routes")),
        title: "Route tables are as the spec says",
        expected: "a default route for every subnet, and each subnet with its own table",
        proves: "every machine has its way in and out",
        causes: "a route that points to a gateway that is gone (a black hole), or a change by hand",
        fix: SHOWS,
    },
    Check {
        id: "cloud-nat",
        group: Cloud,
        severity: Critical,
        tag: None,
        probes: false,
        eval: |c| only_aws(c).and_then(|()| drift(c, "cloud-nat")),
        title: "Gateways are as the spec says",
        expected: "an internet gateway, and a NAT gateway that is available with its address",
        proves: "private machines reach package sources and registries",
        causes: "a gateway that was deleted or has failed",
        fix: SHOWS,
    },
    Check {
        id: "cloud-machines",
        group: Cloud,
        severity: Major,
        tag: None,
        probes: false,
        eval: |c| drift(c, "cloud-machines"),
        title: "Machines and volumes are as the spec says",
        expected: "all there, running, and of the right type",
        proves: "what was asked for is what runs",
        causes: "a machine was stopped, replaced or changed by hand",
        fix: SHOWS,
    },
    Check {
        id: "cloud-status",
        group: Cloud,
        severity: Critical,
        tag: None,
        probes: false,
        eval: |c| health(c, Aspect::Status),
        title: "The provider says that every machine is well",
        expected: "running; on EC2 with its system, instance and volume status checks passed and no event scheduled",
        proves: "no failure of the host below, and no reboot or retirement announced",
        causes: "a host that fails, a machine that was stopped or paused, or a retirement notice",
        fix: "stop and start the machine (EC2 then moves it to another host), or delete it at the provider and run `kubewright bootstrap`",
    },
    Check {
        id: "cloud-imds",
        group: Cloud,
        severity: Major,
        tag: None,
        probes: false,
        eval: |c| health(c, Aspect::Metadata),
        title: "The metadata service demands tokens and answers no pod",
        expected: "IMDSv2 only, hop limit 1",
        proves: "a pod or a forged request cannot take the machine's credentials",
        causes: "an instance that was changed by hand or made by another tool",
        fix: SHOWS,
    },
    Check {
        id: "cloud-encryption",
        group: Cloud,
        severity: Major,
        tag: None,
        probes: false,
        eval: |c| health(c, Aspect::Encryption),
        title: "Volumes are encrypted",
        expected: "every volume of every machine",
        proves: "etcd's data and secrets cannot be read from a volume or a snapshot",
        causes: "a volume that was attached by hand",
        fix: "an encrypted volume cannot be made of another in place: move the data, or delete the machine at the provider and run `kubewright bootstrap`",
    },
    Check {
        id: "cloud-tags",
        group: Cloud,
        severity: Minor,
        tag: None,
        probes: false,
        eval: |c| only_aws(c).and_then(|()| drift(c, "cloud-tags")),
        title: "Resources carry their tags",
        expected: "the cluster's own tags and those of the spec",
        proves: "kubewright finds what is its own, and costs can be told apart",
        causes: "tags that were removed or changed by hand",
        fix: SHOWS,
    },
    Check {
        id: "cloud-drift",
        group: Cloud,
        severity: Major,
        tag: None,
        probes: false,
        eval: |c| drift(c, "cloud-drift"),
        title: "Everything else at the provider is as the spec says",
        expected: "no difference",
        proves: "applying the spec again would do nothing",
        causes: "a change by hand, or a spec that was changed and not applied",
        fix: SHOWS,
    },
];

/// Only EC2 has these.
fn only_aws(ctx: &Ctx<'_>) -> Option<()> {
    matches!(ctx.spec.provider, Provider::Aws(_)).then_some(())
}

fn drift(ctx: &Ctx<'_>, id: &str) -> Findings {
    Some(match ctx.cloud.as_ref()? {
        Err(why) => vec![Finding::unseen("cluster", why)],
        Ok(changes) => {
            let mine = changes.iter().filter(|c| about(c) == id);
            let bad = mine.map(|c| {
                Finding::bad(&c.name, format!("{} would be changed ({:?})", c.kind, c.action)).evidence(&c.kind, c.details.join("\n"))
            });
            all_or(bad.collect(), || Finding::good("cluster", "no difference"))
        }
    })
}

/// What the provider says of each machine; `None` where it says nothing about this.
fn health(ctx: &Ctx<'_>, aspect: Aspect) -> Findings {
    let all = match ctx.health.as_ref()? {
        Err(why) => return Some(vec![Finding::unseen("cluster", why)]),
        Ok(all) => all.iter().filter(|h| h.aspect == aspect),
    };
    let findings: Vec<Finding> = all
        .map(|h| match h.fine {
            None => Finding::unseen(&h.machine, &h.observed),
            Some(fine) => Finding::of(fine, &h.machine, &h.observed),
        })
        .collect();
    (!findings.is_empty()).then_some(findings)
}
