//! The kernel's settings, now and after the next boot.

use super::{Ctx, Findings, unread};
use crate::verify::{
    finding::Finding,
    registry::{Check, Group::Machine},
    types::Severity::{Critical, Major, Minor},
};

const SYSCTLS: [&str; 3] = ["net.ipv4.ip_forward", "net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables"];

pub(in crate::verify) const CHECKS: &[Check] = &[
    Check {
        id: "machine-modules",
        group: Machine,
        severity: Critical,
        tag: Some("kernel"),
        probes: false,
        eval: modules,
        title: "Kernel modules are loaded",
        expected: "overlay and br_netfilter loaded or built in",
        proves: "containers get their layers, and bridged traffic meets kube-proxy's rules",
        causes: "the module was unloaded or is missing from the kernel package; kubeadm no longer checks br_netfilter since 1.30",
        fix: "`modprobe overlay br_netfilter`, or install the kernel's extra modules",
    },
    Check {
        id: "machine-modules-boot",
        group: Machine,
        severity: Major,
        tag: Some("kernel"),
        probes: false,
        eval: modules_boot,
        title: "Kernel modules will be loaded at the next boot",
        expected: "overlay and br_netfilter named in /etc/modules-load.d, or built in",
        proves: "the node works after a reboot",
        causes: "the file was removed or edited",
        fix: "write both names into /etc/modules-load.d/kubernetes.conf",
    },
    Check {
        id: "machine-sysctl",
        group: Machine,
        severity: Critical,
        tag: Some("sysctl"),
        probes: false,
        eval: sysctl,
        title: "Packets are forwarded and bridged traffic is filtered",
        expected: "ip_forward, bridge-nf-call-iptables and bridge-nf-call-ip6tables are 1",
        proves: "pods reach other nodes, and Services work between pods of one node",
        causes: "somebody or another tool (a firewall, a hardening role) set it back; set before br_netfilter was loaded",
        fix: "`sysctl -w NAME=1`",
    },
    Check {
        id: "machine-sysctl-boot",
        group: Machine,
        severity: Major,
        tag: Some("sysctl"),
        probes: false,
        eval: sysctl_boot,
        title: "The settings survive a reboot",
        expected: "the last file of /etc/sysctl.d that names them says 1",
        proves: "the node works after a reboot",
        causes: "the file was removed, or a later one overrides it",
        fix: "write them into /etc/sysctl.d/99-kubernetes.conf",
    },
    Check {
        id: "machine-swap",
        group: Machine,
        severity: Major,
        tag: Some("swap"),
        probes: false,
        eval: swap,
        title: "Swap is off",
        expected: "/proc/swaps is empty",
        proves: "kubelet starts, and memory limits mean memory",
        causes: "swap came back after a reboot or was switched on by hand",
        fix: "`swapoff -a`",
    },
    Check {
        id: "machine-swap-boot",
        group: Machine,
        severity: Major,
        tag: Some("swap"),
        probes: false,
        eval: swap_boot,
        title: "Swap stays off after a reboot",
        expected: "no swap in /etc/fstab, no swap unit, no zram generator",
        proves: "kubelet starts after a reboot",
        causes: "the image's fstab, a systemd swap unit, or zram",
        fix: "comment the fstab line, mask the unit, remove the generator",
    },
    Check {
        id: "machine-conntrack",
        group: Machine,
        severity: Major,
        tag: None,
        probes: false,
        eval: conntrack,
        title: "The connection table has room",
        expected: "less than 80 % of nf_conntrack_max in use",
        proves: "new connections are not dropped",
        causes: "very many connections, or a limit that is too low for the machine",
        fix: "raise net.netfilter.nf_conntrack_max (kube-proxy's conntrack.maxPerCore)",
    },
    Check {
        id: "machine-inotify",
        group: Machine,
        severity: Minor,
        tag: None,
        probes: false,
        eval: inotify,
        title: "inotify limits are high enough",
        expected: "at least 128 instances and 8192 watches per user",
        proves: "kubelet and log shippers can watch files",
        causes: "a kernel default of long ago, or a hardening role",
        fix: "set fs.inotify.max_user_instances=8192 and fs.inotify.max_user_watches=524288",
    },
];

fn modules(ctx: &Ctx<'_>) -> Findings {
    ctx.each_host(|host, seen| {
        let Some(text) = seen.section("modules") else { return unread(host, "modules") };
        let state = |m: &str| seen.value("modules", m).unwrap_or("missing").to_owned();
        let missing: Vec<_> = ["overlay", "br_netfilter"].into_iter().filter(|m| state(m) == "missing").collect();
        let observed = if missing.is_empty() {
            format!("overlay {}, br_netfilter {}", state("overlay"), state("br_netfilter"))
        } else {
            format!("missing: {}", missing.join(", "))
        };
        Finding::of(missing.is_empty(), &host.name, observed).evidence("ls /sys/module; cat /proc/filesystems", text)
    })
}

fn modules_boot(ctx: &Ctx<'_>) -> Findings {
    ctx.each_host(|host, seen| {
        let Some(files) = seen.section("modules-files") else { return unread(host, "modules at boot") };
        let named = |m: &str| files.lines().any(|l| l.trim() == m) || seen.value("modules", m) == Some("built-in");
        let missing: Vec<_> = ["overlay", "br_netfilter"].into_iter().filter(|m| !named(m)).collect();
        let observed = if missing.is_empty() { "both".to_owned() } else { format!("not named: {}", missing.join(", ")) };
        Finding::of(missing.is_empty(), &host.name, observed).evidence("cat /etc/modules-load.d/*.conf", files)
    })
}

fn sysctl(ctx: &Ctx<'_>) -> Findings {
    ctx.each_host(|host, seen| {
        let Some(text) = seen.section("sysctl") else { return unread(host, "sysctls") };
        let wrong: Vec<String> = SYSCTLS
            .iter()
            .filter_map(|name| {
                let value = seen.value("sysctl", &name.replace('.', "/"));
                (value != Some("1")).then(|| format!("{name} = {}", value.unwrap_or("missing (br_netfilter is not loaded)")))
            })
            .collect();
        Finding::of(wrong.is_empty(), &host.name, if wrong.is_empty() { "all 1".to_owned() } else { wrong.join(", ") })
            .evidence(format!("sysctl {}", SYSCTLS.join(" ")), text)
    })
}

fn sysctl_boot(ctx: &Ctx<'_>) -> Findings {
    ctx.each_host(|host, seen| {
        let Some(text) = seen.section("sysctl-files") else { return unread(host, "sysctl files") };
        let last = |name: &str| {
            text.lines().rev().find_map(|l| {
                let (key, value) = l.trim().trim_start_matches('-').split_once('=')?;
                (key.trim().replace('/', ".") == name).then(|| value.trim().to_owned())
            })
        };
        let wrong: Vec<String> = SYSCTLS
            .iter()
            .filter_map(|name| match last(name) {
                Some(value) if value == "1" => None,
                Some(value) => Some(format!("{name} = {value}")),
                None => Some(format!("{name} is in no file")),
            })
            .collect();
        Finding::of(wrong.is_empty(), &host.name, if wrong.is_empty() { "all set".to_owned() } else { wrong.join(", ") })
            .evidence("cat /etc/sysctl.d/*.conf", text)
    })
}

fn swap(ctx: &Ctx<'_>) -> Findings {
    ctx.each_host(|host, seen| {
        let Some(text) = seen.section("swaps").filter(|t| t.contains("Filename")) else { return unread(host, "swap") };
        let on: Vec<&str> = text.lines().filter(|l| !l.is_empty()).skip(1).filter_map(|l| l.split_whitespace().next()).collect();
        Finding::of(on.is_empty(), &host.name, if on.is_empty() { "off".to_owned() } else { format!("on: {}", on.join(", ")) })
            .evidence("cat /proc/swaps", text)
    })
}

fn swap_boot(ctx: &Ctx<'_>) -> Findings {
    ctx.each_host(|host, seen| {
        let (Some(fstab), Some(units)) = (seen.section("fstab"), seen.section("swap-units")) else {
            return unread(host, "swap at boot");
        };
        let lines = fstab.lines().filter(|l| !l.trim_start().starts_with('#') && l.split_whitespace().nth(2) == Some("swap"));
        let mut found: Vec<String> = lines.map(|l| format!("fstab: {}", l.trim())).collect();
        found.extend(units.lines().filter_map(|l| {
            let mut words = l.split_whitespace();
            let (unit, state) = (words.next()?, words.next().unwrap_or("file"));
            (!["masked", "disabled", "masked-runtime"].contains(&state)).then(|| format!("{unit} {state}"))
        }));
        Finding::of(found.is_empty(), &host.name, if found.is_empty() { "nothing".to_owned() } else { found.join(", ") })
            .evidence("cat /etc/fstab; systemctl list-unit-files --type=swap", format!("{fstab}{units}"))
    })
}

fn conntrack(ctx: &Ctx<'_>) -> Findings {
    ctx.each_host(|host, seen| {
        let number = |name: &str| seen.value("sysctl", name)?.parse::<u64>().ok();
        let (Some(count), Some(max)) = (number("net/netfilter/nf_conntrack_count"), number("net/netfilter/nf_conntrack_max")) else {
            return unread(host, "connection tracking");
        };
        Finding::of(max > 0 && count * 5 < max * 4, &host.name, format!("{count} of {max}"))
            .evidence("sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max", format!("{count}\n{max}"))
    })
}

fn inotify(ctx: &Ctx<'_>) -> Findings {
    ctx.each_host(|host, seen| {
        let number = |name: &str| seen.value("sysctl", name)?.parse::<u64>().ok();
        let (Some(instances), Some(watches)) = (number("fs/inotify/max_user_instances"), number("fs/inotify/max_user_watches")) else {
            return unread(host, "inotify");
        };
        Finding::of(instances >= 128 && watches >= 8192, &host.name, format!("{instances} instances, {watches} watches"))
            .evidence("sysctl fs.inotify", format!("{instances}\n{watches}"))
    })
}
