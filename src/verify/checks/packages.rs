//! Packages: the right versions, and nobody changes them behind our back.

use super::{Ctx, Findings, unread};
use crate::verify::{
    finding::Finding,
    registry::{Check, Group::Machine},
    types::Severity::{Major, Minor},
};

pub(in crate::verify) const CHECKS: &[Check] = &[
    Check {
        id: "machine-packages",
        group: Machine,
        severity: Major,
        tag: None,
        probes: false,
        eval: versions,
        title: "kubelet, kubeadm and kubectl are installed at the wanted version",
        expected: "the version of the spec",
        proves: "what is installed is what the cluster was made for",
        causes: "an upgrade by hand or by unattended-upgrades",
        fix: "install the wanted version and hold it, or set kubernetes.version to what runs",
    },
    Check {
        id: "machine-holds",
        group: Machine,
        severity: Major,
        tag: Some("packages"),
        probes: false,
        eval: holds,
        title: "Packages of the cluster are held",
        expected: "kubelet, kubeadm, kubectl, containerd and runc on hold",
        proves: "`apt upgrade` does not change the cluster",
        causes: "`apt-mark unhold` during an upgrade by hand",
        fix: "`apt-mark hold PACKAGE`",
    },
    Check {
        id: "machine-unattended",
        group: Machine,
        severity: Major,
        tag: Some("packages"),
        probes: false,
        eval: unattended,
        title: "Unattended upgrades leave the cluster's packages alone",
        expected: "kubelet and containerd in Unattended-Upgrade::Package-Blacklist, or no unattended upgrades",
        proves: "no night-time upgrade restarts kubelet or containerd",
        causes: "the file was removed or edited",
        fix: "write the blacklist into /etc/apt/apt.conf.d/52kubewright-hold",
    },
    Check {
        id: "machine-reboot",
        group: Machine,
        severity: Minor,
        tag: None,
        probes: false,
        eval: reboot,
        title: "No reboot is due",
        expected: "no /run/reboot-required",
        proves: "the running kernel and libraries are the installed ones",
        causes: "a kernel or libc update",
        fix: "`kubewright kubectl -- drain HOST --ignore-daemonsets`, reboot, uncordon",
    },
];

/// `package → (version, selection)` of what is installed.
fn installed(text: &str) -> Vec<(&str, &str, &str)> {
    let words = text.lines().map(|l| l.split_whitespace().collect::<Vec<_>>());
    words.filter_map(|w| if let [package, version, want] = w[..] { Some((package, version, want)) } else { None }).collect()
}

fn versions(ctx: &Ctx<'_>) -> Findings {
    let wanted = &ctx.spec.kubernetes.version;
    ctx.each_host(|host, seen| {
        let Some(text) = seen.section("packages") else { return unread(host, "packages") };
        let all = installed(text);
        let wrong: Vec<String> = ["kubelet", "kubeadm", "kubectl"]
            .iter()
            .filter_map(|name| match all.iter().find(|(p, ..)| p == name) {
                Some((_, version, _))
                    if version.strip_prefix(wanted.as_str()).is_some_and(|rest| rest.starts_with('-') || rest.is_empty()) =>
                {
                    None
                }
                Some((_, version, _)) => Some(format!("{name} {version}")),
                None => Some(format!("{name} is not installed")),
            })
            .collect();
        Finding::of(wrong.is_empty(), &host.name, if wrong.is_empty() { wanted.clone() } else { wrong.join(", ") })
            .expected(format!("{wanted} of all three"))
            .evidence("dpkg-query -W kubelet kubeadm kubectl", text)
    })
}

fn holds(ctx: &Ctx<'_>) -> Findings {
    ctx.each_host(|host, seen| {
        let (Some(held), Some(text)) = (seen.section("holds"), seen.section("packages")) else { return unread(host, "holds") };
        let all = installed(text);
        let ours = ["containerd", "containerd.io", "runc", "kubelet", "kubeadm", "kubectl"];
        let loose: Vec<&str> =
            all.iter().map(|(package, ..)| *package).filter(|p| ours.contains(p) && !held.lines().any(|h| h.trim() == *p)).collect();
        let observed = if loose.is_empty() { "all held".to_owned() } else { format!("not held: {}", loose.join(", ")) };
        if all.is_empty() {
            return Finding::unseen(&host.name, "no package of the cluster is installed").evidence("dpkg-query -W", text);
        }
        Finding::of(loose.is_empty(), &host.name, observed).evidence("apt-mark showhold", held)
    })
}

fn unattended(ctx: &Ctx<'_>) -> Findings {
    ctx.each_host(|host, seen| {
        let Some(text) = seen.section("unattended") else { return unread(host, "unattended upgrades") };
        let on =
            text.lines().any(|l| l.contains("Unattended-Upgrade") && l.contains('"') && !l.contains("\"0\"") && l.contains("Periodic"));
        let listed = text.split("Package-Blacklist").nth(1).map(|rest| rest.split("};").next().unwrap_or(""));
        let covers = listed.is_some_and(|list| list.contains("kubelet") && list.contains("containerd"));
        let observed = match (on, covers) {
            (_, true) => "blacklisted",
            (true, false) => "unattended upgrades are on, and the cluster's packages are not on their blacklist",
            (false, false) => "no blacklist (and no unattended upgrades)",
        };
        // The file is one that we manage: without it the next `apt install unattended-upgrades` does the damage.
        Finding::of(covers, &host.name, observed).evidence("cat /etc/apt/apt.conf.d/*", listed.unwrap_or(""))
    })
}

fn reboot(ctx: &Ctx<'_>) -> Findings {
    ctx.each_host(|host, seen| {
        let Some(text) = seen.section("reboot") else { return unread(host, "reboots") };
        Finding::of(text.trim().is_empty(), &host.name, if text.trim().is_empty() { "none due" } else { "a reboot is due" })
            .evidence("cat /run/reboot-required.pkgs", text)
    })
}
