//! Name resolution of the machines themselves, and of what they hand to pods.

use super::{Ctx, Findings, unread};
use crate::verify::{
    finding::Finding,
    registry::{Check, Group::Machine},
    types::Severity::Major,
};

pub(in crate::verify) const CHECKS: &[Check] = &[
    Check {
        id: "machine-dns",
        group: Machine,
        severity: Major,
        tag: None,
        probes: false,
        eval: dns,
        title: "Name servers are usable by pods",
        expected: "kubelet's resolv.conf names a server that is not a loopback address",
        proves: "CoreDNS does not forward to itself (a loop)",
        causes: "systemd-resolved's stub 127.0.0.53 or another local resolver in the file that kubelet hands to pods",
        fix: "set dns.servers in the spec, or point kubelet's resolvConf to /run/systemd/resolve/resolv.conf",
    },
    Check {
        id: "machine-names",
        group: Machine,
        severity: Major,
        tag: Some("dns"),
        probes: false,
        eval: names,
        title: "Machines resolve the API's name and names outside",
        expected: "the API's name and the external test name have an address on every machine",
        proves: "kubelet finds the API after its next restart, and packages and images can be fetched",
        causes: "the line in /etc/hosts is gone, the name server does not answer, or UDP 53 is blocked",
        fix: "compare /etc/hosts and /etc/resolv.conf with a machine that works; set dns.servers in the spec",
    },
];

fn dns(ctx: &Ctx<'_>) -> Findings {
    ctx.each_host(|host, seen| {
        let (Some(resolv), Some(kubelet)) = (seen.section("resolv"), seen.section("kubelet-config")) else {
            return unread(host, "name servers");
        };
        let servers: Vec<&str> = resolv.lines().filter_map(|l| l.trim().strip_prefix("nameserver")).map(str::trim).collect();
        let elsewhere = seen.value("kubelet-config", "resolvConf").filter(|p| *p != "/etc/resolv.conf");
        let local = |s: &&&str| s.starts_with("127.") || **s == "::1";
        let fine = elsewhere.is_some() || (!servers.is_empty() && !servers.iter().any(|s| local(&s)));
        let observed = elsewhere.map_or_else(|| format!("nameserver {}", servers.join(", ")), |path| format!("kubelet uses {path}"));
        let _ = kubelet;
        Finding::of(fine, &host.name, observed).evidence("cat /etc/resolv.conf", resolv)
    })
}

fn names(ctx: &Ctx<'_>) -> Findings {
    ctx.each_host(|host, seen| {
        let Some(text) = seen.section("names").filter(|t| !t.trim().is_empty()) else { return unread(host, "names") };
        let all = text.lines().filter(|l| !l.trim().is_empty()).map(|l| l.split_once(' ').unwrap_or((l, "")));
        let missing: Vec<&str> = all.clone().filter(|(_, address)| address.trim().is_empty()).map(|(name, _)| name).collect();
        let observed = if missing.is_empty() {
            all.map(|(name, address)| format!("{name} is {}", address.trim())).collect::<Vec<_>>().join(", ")
        } else {
            format!("no address for {}", missing.join(", "))
        };
        Finding::of(missing.is_empty(), &host.name, observed)
            .evidence("getent ahostsv4 NAME", text)
            .evidence("cat /etc/resolv.conf", seen.section("resolv").unwrap_or(""))
    })
}
