//! The machine: reachable, on time, with room.

use super::{Ctx, Findings, HostView, millis, unread};
use crate::verify::{
    finding::Finding,
    host::Seen,
    registry::{Check, Group::Machine},
    run::Drift,
    types::Severity::{Critical, Major, Minor},
};

/// Clocks further apart than this break leases, tokens and certificates; etcd warns from one second on.
const SKEW: f64 = 1.0;

pub(in crate::verify) const CHECKS: &[Check] = &[
    Check {
        id: "machine-reachable",
        group: Machine,
        severity: Critical,
        tag: None,
        probes: false,
        eval: reachable,
        title: "Every machine can be reached and observed",
        expected: "it answers over SSH and runs our read-only program",
        proves: "sshd, sudo and a shell work; what other checks say about this machine was really seen",
        causes: "the machine is stopped, the network or a security group is in the way, or sudo asks for a password",
        fix: "look at the provider's console; `kubewright ssh HOST`; if it is dead, delete it at the provider and run `kubewright bootstrap`",
    },
    Check {
        id: "machine-time",
        group: Machine,
        severity: Major,
        tag: None,
        probes: false,
        eval: time,
        title: "Clocks agree",
        expected: "within 1 s of the machines' median",
        proves: "certificates, tokens and leases mean the same everywhere",
        causes: "no time synchronisation runs, or the hypervisor's clock jumped",
        fix: "start chrony or systemd-timesyncd and wait until it has synchronised",
    },
    Check {
        id: "machine-disk",
        group: Machine,
        severity: Major,
        tag: None,
        probes: false,
        eval: disk,
        title: "Disks have room",
        expected: "more than 5 % or 4 GiB free, and no less than 1 GiB",
        proves: "kubelet does not evict, etcd can write, images can be pulled",
        causes: "images, logs or snapshots that nobody removes; a volume that is too small",
        fix: "find the largest directories with `du -xh / | sort -h | tail`; enlarge the volume (volume_gib)",
    },
    Check {
        id: "machine-inodes",
        group: Machine,
        severity: Major,
        tag: None,
        probes: false,
        eval: inodes,
        title: "Disks have inodes",
        expected: "less than 95 % used",
        proves: "new files can be made although there are many small ones",
        causes: "very many small files: leftover overlay layers, mail queues, sessions",
        fix: "find the directory with `du --inodes -x / | sort -n | tail` and clean it",
    },
    Check {
        id: "machine-memory",
        group: Machine,
        severity: Major,
        tag: None,
        probes: false,
        eval: memory,
        title: "Memory is available",
        expected: "more than 5 % of memory available",
        proves: "the kernel is not about to kill processes",
        causes: "pods without limits, or an instance type that is too small",
        fix: "set memory limits, or use a larger instance type",
    },
    Check {
        id: "machine-cpu-steal",
        group: Machine,
        severity: Minor,
        tag: None,
        probes: false,
        eval: steal,
        title: "The hypervisor gives the CPU that was bought",
        expected: "less than 30 % of the time stolen",
        proves: "slowness is not the neighbours' fault or spent CPU credits",
        causes: "a burstable instance without credits, or an overcommitted host",
        fix: "use unlimited credits or another instance type",
    },
    Check {
        id: "machine-failed-units",
        group: Machine,
        severity: Major,
        tag: None,
        probes: false,
        eval: failed_units,
        title: "No systemd unit has failed",
        expected: "`systemctl --failed` is empty",
        proves: "nothing that should run at boot or by timer is broken",
        causes: "the unit's own journal says it",
        fix: "`journalctl -u UNIT -n 50`, mend it, then `systemctl reset-failed`",
    },
    Check {
        id: "machine-clocksource",
        group: Machine,
        severity: Minor,
        tag: None,
        probes: false,
        eval: clocksource,
        title: "The clock source is a fast one",
        expected: "tsc, kvm-clock, arch_sys_counter or the hypervisor's own",
        proves: "reading the time costs no trap into the kernel",
        causes: "an unstable TSC, or a kernel parameter",
        fix: "set `clocksource=tsc` on the kernel's command line where the CPU has an invariant TSC",
    },
    Check {
        id: "machine-ntp",
        group: Machine,
        severity: Minor,
        tag: None,
        probes: false,
        eval: ntp,
        title: "The clock is being synchronised",
        expected: "NTPSynchronized=yes",
        proves: "clocks will still agree tomorrow",
        causes: "no time service is installed, or UDP 123 is blocked",
        fix: "install chrony; on EC2 use 169.254.169.123",
    },
    Check {
        id: "machine-drift",
        group: Machine,
        severity: Major,
        tag: None,
        probes: false,
        eval: drift,
        title: "Every file and unit that we manage is as we left it",
        expected: "the playbooks in check mode would change nothing",
        proves: "nobody edited a managed file, stopped a unit or removed a setting",
        causes: "an edit by hand, another configuration tool, or a spec that was changed and not applied",
        fix: "`kubewright plan` shows the difference, `kubewright bootstrap` mends it",
    },
    Check {
        id: "machine-file-modes",
        group: Machine,
        severity: Major,
        tag: None,
        probes: false,
        eval: file_modes,
        title: "Keys and kubeconfigs are readable by root alone",
        expected: "mode 0600 and owner root",
        proves: "a local user cannot become cluster admin",
        causes: "a copy by hand, or a backup that was unpacked with other modes",
        fix: "`chmod 600 FILE; chown root FILE`; if others could read a key, rotate it",
    },
];

fn reachable(ctx: &Ctx<'_>) -> Findings {
    let look = |h: &HostView| match &h.seen {
        Ok(seen) if seen.section("end").is_some() => Finding { duration_ms: millis(seen.elapsed), ..Finding::good(&h.name, "observed") },
        Ok(_) => Finding::bad(&h.name, "the observation program ended early"),
        Err(why) => Finding::bad(&h.name, why),
    };
    Some(ctx.hosts.iter().map(look).collect())
}

fn time(ctx: &Ctx<'_>) -> Findings {
    let mut offsets: Vec<f64> = ctx.hosts.iter().filter_map(|h| h.seen.as_ref().ok()?.clock_offset).collect();
    offsets.sort_by(f64::total_cmp);
    let median = offsets.get(offsets.len().saturating_sub(1) / 2).copied().unwrap_or_default();
    ctx.each_host(|host, seen| {
        let Some(offset) = seen.clock_offset else { return unread(host, "the time") };
        // What the round trip took may be on either side.
        let skew = offset - median;
        let fine = skew.abs() <= SKEW + seen.elapsed.as_secs_f64();
        Finding::of(fine, &host.name, format!("{skew:+.1} s from the median")).evidence("date +%s.%N", seen.section("time").unwrap_or(""))
    })
}

/// `size available mount` of df's lines.
pub(super) fn filesystems(text: &str) -> Vec<(u64, u64, &str)> {
    let mut out: Vec<(u64, u64, &str)> = Vec::new();
    for line in text.lines().skip_while(|l| !l.starts_with("Filesystem")).skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [_, size, _, available, _, mount] = words[..]
            && let (Ok(size), Ok(available)) = (size.parse(), available.parse())
            && !out.iter().any(|(_, _, m)| *m == mount)
        {
            out.push((size, available, mount));
        }
    }
    out
}

pub(super) fn has_room(size: u64, available: u64) -> bool {
    const GIB: u64 = 1 << 30;
    !(available < size / 20 && available < 4 * GIB || size >= 4 * GIB && available < GIB)
}

fn disk(ctx: &Ctx<'_>) -> Findings {
    ctx.each_host(|host, seen| {
        let Some(text) = seen.section("df") else { return unread(host, "disks") };
        let all = filesystems(text);
        if all.is_empty() {
            return Finding::unseen(&host.name, "df named no file system").evidence("df -PB1", text);
        }
        let full: Vec<String> = all
            .iter()
            .filter(|(size, available, _)| !has_room(*size, *available))
            .map(|(_, available, mount)| format!("{mount}: {} MiB free", available >> 20))
            .collect();
        let least = all.iter().map(|(_, a, _)| a >> 30).min().unwrap_or(0);
        let text_of = || format!("at least {least} GiB free on {} file systems", all.len());
        Finding::of(full.is_empty(), &host.name, if full.is_empty() { text_of() } else { full.join(", ") }).evidence("df -PB1", text)
    })
}

fn inodes(ctx: &Ctx<'_>) -> Findings {
    ctx.each_host(|host, seen| {
        let Some(text) = seen.section("dfi") else { return unread(host, "inodes") };
        // Some file systems (btrfs) have no fixed number and say 0.
        let full: Vec<_> = filesystems(text).into_iter().filter(|(size, free, _)| *size > 0 && free * 20 < *size).collect();
        let observed = full.iter().map(|(_, free, mount)| format!("{mount}: {free} left")).collect::<Vec<_>>().join(", ");
        Finding::of(full.is_empty(), &host.name, if full.is_empty() { "plenty".to_owned() } else { observed }).evidence("df -Pi", text)
    })
}

fn memory(ctx: &Ctx<'_>) -> Findings {
    ctx.each_host(|host, seen| {
        let kib = |key: &str| seen.value("meminfo", key)?.split(' ').next()?.parse::<u64>().ok();
        let (Some(total), Some(available)) = (kib("MemTotal"), kib("MemAvailable")) else { return unread(host, "memory") };
        Finding::of(available * 20 > total, &host.name, format!("{} of {} MiB available", available >> 10, total >> 10))
            .evidence("cat /proc/meminfo", seen.section("meminfo").unwrap_or("").lines().take(3).collect::<Vec<_>>().join("\n"))
    })
}

fn steal(ctx: &Ctx<'_>) -> Findings {
    ctx.each_host(|host, seen| {
        let ticks = |section: &str| -> Option<(u64, u64)> {
            let line = seen.section(section)?.lines().find(|l| l.starts_with("cpu "))?;
            let numbers: Vec<u64> = line.split_whitespace().skip(1).filter_map(|w| w.parse().ok()).collect();
            Some((numbers.iter().take(8).sum(), *numbers.get(7)?))
        };
        let (Some(before), Some(after)) = (ticks("stat"), ticks("stat2")) else { return unread(host, "CPU time") };
        let (all, stolen) = (after.0.saturating_sub(before.0), after.1.saturating_sub(before.1));
        let share = (stolen * 100).checked_div(all).unwrap_or(0);
        // Fewer ticks than this say nothing.
        Finding::of(share < 30 || all < 20, &host.name, format!("{share} % stolen of {all} ticks")).evidence(
            "head -n1 /proc/stat (twice)",
            format!("{}{}", seen.section("stat").unwrap_or(""), seen.section("stat2").unwrap_or("")),
        )
    })
}

fn failed_units(ctx: &Ctx<'_>) -> Findings {
    ctx.each_host(|host, seen| {
        let Some(text) = seen.section("failed") else { return unread(host, "units") };
        let units: Vec<&str> = text.lines().filter_map(|l| l.split_whitespace().next()).collect();
        let observed = if units.is_empty() { "none failed".to_owned() } else { units.join(", ") };
        Finding::of(units.is_empty(), &host.name, observed).evidence("systemctl list-units --failed", text)
    })
}

fn clocksource(ctx: &Ctx<'_>) -> Findings {
    ctx.each_host(|host, seen| {
        let Some(text) = seen.section("clocksource").map(str::trim).filter(|t| !t.is_empty()) else {
            return unread(host, "the clock source");
        };
        let slow = ["acpi_pm", "hpet", "jiffies", "refined-jiffies", "pit"].contains(&text);
        Finding::of(!slow, &host.name, text).evidence("cat /sys/devices/system/clocksource/clocksource0/current_clocksource", text)
    })
}

fn ntp(ctx: &Ctx<'_>) -> Findings {
    let container = |seen: &Seen| seen.section("ntp").is_some_and(|t| t.lines().any(|l| l == "container"));
    // A container has its host's clock and nothing to synchronise.
    if !ctx.hosts.iter().any(|h| h.seen.as_ref().is_ok_and(|seen| !container(seen))) {
        return None;
    }
    ctx.each_host(|host, seen| match seen.value("ntp", "NTPSynchronized") {
        Some(value) => Finding::of(value == "yes", &host.name, format!("NTPSynchronized={value}"))
            .evidence("timedatectl show", seen.section("ntp").unwrap_or("")),
        None => unread(host, "time synchronisation"),
    })
}

fn drift(ctx: &Ctx<'_>) -> Findings {
    let drift = match ctx.drift.as_ref()? {
        Ok(drift) => drift,
        Err(why) => return Some(vec![Finding::unseen("cluster", why)]),
    };
    let look = |host: &HostView| {
        if let Err(why) = &host.seen {
            return Finding::unseen(&host.name, why);
        }
        let (unseen, mine): (Vec<_>, Vec<_>) = drift.iter().filter(|d| d.host == host.name).partition(|d| d.unseen);
        let evidence = |f: Finding, all: &[&Drift]| all.iter().fold(f, |f, d| f.evidence(&d.what, &d.diff));
        let names = |all: &[&Drift]| all.iter().map(|d| d.what.as_str()).collect::<Vec<_>>().join("; ");
        if !mine.is_empty() {
            return evidence(Finding::bad(&host.name, format!("would change: {}", names(&mine))), &mine);
        }
        match unseen.first() {
            Some(first) => evidence(Finding::unseen(&host.name, format!("{}: {}", names(&unseen), first.diff)), &unseen),
            None => Finding::good(&host.name, "no difference"),
        }
    };
    Some(ctx.hosts.iter().map(look).collect())
}

fn file_modes(ctx: &Ctx<'_>) -> Findings {
    ctx.each_host(|host, seen| {
        let Some(text) = seen.section("modes") else { return unread(host, "file modes") };
        // kubelet.crt is public; everything in the list is or holds a private key.
        let open: Vec<&str> = text
            .lines()
            .filter(|l| {
                let mode = l.split(' ').next().unwrap_or("");
                !l.is_empty() && (!mode.ends_with("00") || l.split(' ').nth(1) != Some("root"))
            })
            .collect();
        let links = |l: &&str| !l.starts_with("777 ");
        let open: Vec<&str> = open.into_iter().filter(links).collect();
        let observed = if open.is_empty() { format!("{} files, all private", text.lines().count()) } else { open.join(", ") };
        Finding::of(open.is_empty(), &host.name, observed).evidence("stat -c '%a %U %n'", open.join("\n"))
    })
}
