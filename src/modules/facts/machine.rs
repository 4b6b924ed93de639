//! Hardware, time, user, environment: `module_utils/facts/{hardware/linux,system/*}.py`.

use super::{Facts, Said};
use indexmap::{IndexMap, IndexSet};
use minijinja::Value;

pub(super) fn memory(said: &Said, facts: &mut Facts) {
    let rows: IndexMap<&str, i64> = said
        .get("meminfo")
        .lines()
        .filter_map(|l| l.split_once(':'))
        .map(|(k, v)| (k, v.split_whitespace().next().and_then(|n| n.parse::<i64>().ok()).unwrap_or_default() / 1024))
        .collect();
    let get = |key: &str| rows.get(key).copied().unwrap_or_default();
    for (fact, key) in [("memtotal_mb", "MemTotal"), ("memfree_mb", "MemFree"), ("swaptotal_mb", "SwapTotal"), ("swapfree_mb", "SwapFree")]
    {
        facts.insert(fact.to_owned(), get(key).into());
    }
    let total = get("MemTotal");
    let no_cache_free = get("MemFree") + get("Cached") + get("Buffers");
    let group = |pairs: Vec<(&'static str, i64)>| Value::from_pairs(pairs);
    let real = group(vec![("total", total), ("used", total - get("MemFree")), ("free", get("MemFree"))]);
    let nocache = group(vec![("free", no_cache_free), ("used", total - no_cache_free)]);
    let swap = group(vec![
        ("total", get("SwapTotal")),
        ("free", get("SwapFree")),
        ("used", get("SwapTotal") - get("SwapFree")),
        ("cached", get("SwapCached")),
    ]);
    facts.insert("memory_mb".into(), Value::from_pairs([("real", real), ("nocache", nocache), ("swap", swap)]));
}

pub(super) fn cpu(said: &Said, facts: &mut Facts) {
    let mut list: Vec<String> = Vec::new();
    let mut sockets: IndexSet<String> = IndexSet::new();
    let (mut threads, mut cores, mut siblings) = (0_i64, 0_i64, 0_i64);
    for (key, value) in said.get("cpuinfo").lines().filter_map(|l| l.split_once(':')).map(|(k, v)| (k.trim(), v.trim())) {
        match key {
            "processor" => {
                threads += 1;
                list.push(value.to_owned());
            }
            "vendor_id" | "model name" | "Processor" => list.push(value.to_owned()),
            "physical id" => {
                sockets.insert(value.to_owned());
            }
            "cpu cores" => cores = value.parse().unwrap_or(1),
            "siblings" => siblings = value.parse().unwrap_or(1),
            _ => {}
        }
    }
    let count = i64::try_from(sockets.len()).unwrap_or(1).max(1);
    // Without sockets in /proc/cpuinfo (arm64) every thread counts as a core, as in Ansible.
    let cores = if cores == 0 { (threads / count).max(1) } else { cores };
    let per_core = if siblings == 0 { 1 } else { (siblings / cores).max(1) };
    let nproc = said.get("nproc").trim().parse::<i64>().unwrap_or(threads);
    facts.insert("processor".into(), Value::from(list));
    let numbers = [
        ("processor_count", count),
        ("processor_cores", cores),
        ("processor_threads_per_core", per_core),
        ("processor_vcpus", per_core * count * cores),
        ("processor_nproc", nproc),
    ];
    facts.extend(numbers.into_iter().map(|(k, v)| (k.to_owned(), v.into())));
}

/// `%Y %m %d %H %M %S %s %Z %z %A %w %W` and the time in UTC.
pub(super) fn date(said: &Said, facts: &mut Facts) {
    let words: Vec<&str> = said.get("date").split_whitespace().collect();
    let [year, month, day, hour, minute, second, epoch, tz, offset, weekday, number, week, utc] = words[..] else { return };
    let basic = format!("{year}{month}{day}T{hour}{minute}{second}");
    let pairs: [(&str, String); 20] = [
        ("year", year.into()),
        ("month", month.into()),
        ("day", day.into()),
        ("hour", hour.into()),
        ("minute", minute.into()),
        ("second", second.into()),
        ("epoch", epoch.into()),
        ("epoch_int", epoch.into()),
        ("date", format!("{year}-{month}-{day}")),
        ("time", format!("{hour}:{minute}:{second}")),
        ("iso8601", utc.into()),
        ("iso8601_micro", utc.replace('Z', ".000000Z")),
        ("iso8601_basic", format!("{basic}000000")),
        ("iso8601_basic_short", basic),
        ("tz", tz.into()),
        ("tz_dst", tz.into()),
        ("tz_offset", offset.into()),
        ("weekday", weekday.into()),
        ("weekday_number", number.into()),
        ("weeknumber", week.into()),
    ];
    facts.insert("date_time".into(), Value::from_pairs(pairs));
}

pub(super) fn environment(said: &Said, facts: &mut Facts) {
    let pairs = said.get("environ").split('\0').filter_map(|p| p.split_once('=')).filter(|(k, _)| !k.starts_with("KW_"));
    facts.insert("env".into(), Value::from_pairs(pairs));
}

/// `uid=0(root) gid=0(root) …` and the line of passwd.
pub(super) fn user(said: &Said, facts: &mut Facts) {
    let number = |key: &str| {
        let text = said.get("id").split_whitespace().find_map(|w| w.strip_prefix(key)).unwrap_or_default();
        text.split('(').next().and_then(|n| n.parse::<i64>().ok()).unwrap_or_default()
    };
    let (uid, gid) = (number("uid="), number("gid="));
    let passwd: Vec<&str> = said.get("passwd").trim().split(':').collect();
    let field = |i: usize| passwd.get(i).copied().unwrap_or_default();
    for (fact, i) in [("user_id", 0), ("user_gecos", 4), ("user_dir", 5), ("user_shell", 6)] {
        facts.insert(fact.into(), field(i).into());
    }
    for (fact, value) in [
        ("user_uid", uid),
        ("user_gid", gid),
        ("real_user_id", uid),
        ("effective_user_id", uid),
        ("real_group_id", gid),
        ("effective_group_id", gid),
    ] {
        facts.insert(fact.into(), value.into());
    }
}

pub(super) fn mounts(said: &Said, facts: &mut Facts) {
    let sizes: IndexMap<&str, (i64, i64)> = said
        .get("df")
        .lines()
        .skip(1)
        .filter_map(|l| {
            let words: Vec<&str> = l.split_whitespace().collect();
            let [.., total, _, available, _, mount] = words[..] else { return None };
            Some((mount, (total.parse::<i64>().ok()? * 1024, available.parse::<i64>().ok()? * 1024)))
        })
        .collect();
    let rows = said.get("mounts").lines().filter_map(|l| {
        let words: Vec<&str> = l.split_whitespace().collect();
        let [device, mount, kind, options, ..] = words[..] else { return None };
        if !device.starts_with('/') && !device.contains(":/") {
            return None;
        }
        let mut row: Vec<(&str, Value)> =
            vec![("device", device.into()), ("mount", mount.into()), ("fstype", kind.into()), ("options", options.into())];
        if let Some((total, available)) = sizes.get(mount) {
            row.push(("size_total", (*total).into()));
            row.push(("size_available", (*available).into()));
        }
        Some(Value::from_pairs(row))
    });
    facts.insert("mounts".into(), rows.collect());
}

pub(super) fn virtualization(said: &Said, facts: &mut Facts) {
    let (kind, role) = match said.get("virt").trim() {
        "" if said.has("docker") => ("docker", "guest"),
        "" => ("NA", "NA"),
        "none" => ("NA", "host"),
        "oracle" => ("virtualbox", "guest"),
        "microsoft" => ("VirtualPC", "guest"),
        "amazon" | "qemu" => ("kvm", "guest"),
        "lxc-libvirt" => ("lxc", "guest"),
        "vmware" => ("VMware", "guest"),
        "container-other" => ("container", "guest"),
        other => (other, "guest"),
    };
    facts.insert("virtualization_type".into(), kind.into());
    facts.insert("virtualization_role".into(), role.into());
    for fact in ["product_name", "system_vendor", "bios_version", "product_uuid", "product_serial"] {
        if !said.get(fact).is_empty() {
            facts.insert(fact.into(), said.get(fact).trim().into());
        }
    }
}

pub(super) fn machine(said: &Said, facts: &mut Facts) {
    facts.insert("machine_id".into(), said.get("machine_id").into());
    let words = said.get("cmdline").split_whitespace();
    let cmdline = Value::from_pairs(words.map(|w| w.split_once('=').map_or((w, Value::from(true)), |(k, v)| (k, Value::from(v)))));
    facts.insert("cmdline".into(), cmdline.clone());
    facts.insert("proc_cmdline".into(), cmdline);
    let uptime = said.get("uptime").split(['.', ' ']).next().and_then(|u| u.parse::<i64>().ok()).unwrap_or_default();
    facts.insert("uptime_seconds".into(), uptime.into());
    let load = said.get("loadavg").split_whitespace().filter_map(|w| w.parse::<f64>().ok());
    facts.insert("loadavg".into(), Value::from_pairs(["1m", "5m", "15m"].into_iter().zip(load)));
}

pub(super) fn selinux(said: &Said, facts: &mut Facts) {
    let mode = |enforce: &str| if enforce == "1" { "enforcing" } else { "permissive" };
    let mut fields = vec![("status", if said.get("selinux").is_empty() { "disabled" } else { "enabled" })];
    if !said.get("selinux").is_empty() {
        fields.push(("mode", mode(said.get("selinux"))));
        fields.push(("config_mode", said.get("selinux_config")));
        fields.push(("type", said.get("selinux_type")));
    }
    facts.insert("selinux".into(), Value::from_pairs(fields));
    facts.insert("selinux_python_present".into(), false.into());
    facts.insert("apparmor".into(), Value::from_pairs([("status", said.get("apparmor"))]));
}

pub(super) fn host_keys(said: &Said, facts: &mut Facts) {
    for kind in ["rsa", "ecdsa", "ed25519"] {
        let mut words = said.get(&format!("hostkey_{kind}")).split_whitespace();
        if let (Some(algorithm), Some(key)) = (words.next(), words.next()) {
            facts.insert(format!("ssh_host_key_{kind}_public"), key.into());
            facts.insert(format!("ssh_host_key_{kind}_public_keytype"), algorithm.into());
        }
    }
}
