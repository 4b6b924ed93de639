//! What the provider knows.

use super::{Ctx, Findings, all_or};
use crate::verify::{
    finding::Finding,
    registry::{Check, Group::Cloud},
    types::Severity::Major,
};

/// Kinds of resources, as providers name them, and the check that is about them.
fn about(kind: &str) -> &'static str {
    let kind = kind.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|w| kind.contains(w));
    if has(&["security group", "firewall", "rule"]) {
        "cloud-firewall"
    } else if has(&["route", "nat", "gateway", "subnet", "vpc", "network"]) {
        "cloud-network"
    } else if has(&["instance", "machine", "container", "volume", "key"]) {
        "cloud-machines"
    } else {
        "cloud-drift"
    }
}

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
        fix: "`kubewright plan` shows it, `kubewright bootstrap` mends it",
    },
    Check {
        id: "cloud-network",
        group: Cloud,
        severity: Major,
        tag: None,
        probes: false,
        eval: |c| drift(c, "cloud-network"),
        title: "Subnets, routes and gateways are as the spec says",
        expected: "no difference",
        proves: "every machine has its way in and out",
        causes: "a change by hand or by another tool",
        fix: "`kubewright plan` shows it, `kubewright bootstrap` mends it",
    },
    Check {
        id: "cloud-machines",
        group: Cloud,
        severity: Major,
        tag: None,
        probes: false,
        eval: |c| drift(c, "cloud-machines"),
        title: "Machines and volumes are as the spec says",
        expected: "all there, running, of the right type, tagged, IMDSv2 only, encrypted",
        proves: "what was asked for is what runs",
        causes: "a machine was stopped, replaced or changed by hand",
        fix: "`kubewright plan` shows it, `kubewright bootstrap` mends it",
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
        fix: "`kubewright plan` shows it, `kubewright bootstrap` mends it",
    },
];

fn drift(ctx: &Ctx<'_>, id: &str) -> Findings {
    Some(match ctx.cloud.as_ref()? {
        Err(why) => vec![Finding::unseen("cluster", why)],
        Ok(changes) => {
            let mine = changes.iter().filter(|c| about(&c.kind) == id);
            let bad = mine.map(|c| {
                Finding::bad(&c.name, format!("{} would be changed ({:?})", c.kind, c.action)).evidence(&c.kind, c.details.join("\n"))
            });
            all_or(bad.collect(), || Finding::good("cluster", "no difference"))
        }
    })
}
