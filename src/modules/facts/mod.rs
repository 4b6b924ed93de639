//! Facts: one sh program gathers only what is asked for; names and values are Ansible's (`lib/ansible/module_utils/facts`).

mod machine;
mod network;
mod os;

use super::{Step, outcome, outcome::Said, script::Script};
use indexmap::IndexMap;
use minijinja::Value;
use std::collections::BTreeSet;

/// Facts by name, without `ansible_`.
type Facts = IndexMap<String, Value>;

/// A source: the function `kw_facts_NAME` of `sh/facts.sh`, the facts that come from it, and their reading.
struct Source {
    name: &'static str,
    facts: &'static [&'static str],
    read: fn(&Said, &mut Facts),
}

const SOURCES: &[Source] = &[
    Source {
        name: "os",
        facts: &[
            "distribution",
            "distribution_version",
            "distribution_major_version",
            "distribution_minor_version",
            "distribution_release",
            "distribution_file_parsed",
            "distribution_file_path",
            "distribution_file_variety",
            "os_family",
            "pkg_mgr",
            "lsb",
        ],
        read: os::distribution,
    },
    Source {
        name: "uname",
        facts: &[
            "system",
            "kernel",
            "kernel_version",
            "architecture",
            "machine",
            "nodename",
            "hostname",
            "fqdn",
            "domain",
            "userspace_bits",
            "userspace_architecture",
        ],
        read: os::uname,
    },
    Source {
        name: "network",
        facts: &["default_ipv4", "default_ipv6", "all_ipv4_addresses", "all_ipv6_addresses", "interfaces", "dns"],
        read: network::read,
    },
    Source { name: "memory", facts: &["memtotal_mb", "memfree_mb", "swaptotal_mb", "swapfree_mb", "memory_mb"], read: machine::memory },
    Source {
        name: "cpu",
        facts: &["processor", "processor_count", "processor_cores", "processor_threads_per_core", "processor_vcpus", "processor_nproc"],
        read: machine::cpu,
    },
    Source { name: "service", facts: &["service_mgr"], read: os::service_manager },
    Source { name: "date", facts: &["date_time"], read: machine::date },
    Source { name: "env", facts: &["env"], read: machine::environment },
    Source {
        name: "user",
        facts: &[
            "user_id",
            "user_uid",
            "user_gid",
            "user_gecos",
            "user_dir",
            "user_shell",
            "real_user_id",
            "effective_user_id",
            "real_group_id",
            "effective_group_id",
        ],
        read: machine::user,
    },
    Source { name: "mounts", facts: &["mounts"], read: machine::mounts },
    Source {
        name: "virtual",
        facts: &[
            "virtualization_type",
            "virtualization_role",
            "product_name",
            "product_uuid",
            "product_serial",
            "system_vendor",
            "bios_version",
        ],
        read: machine::virtualization,
    },
    Source { name: "machine", facts: &["machine_id", "cmdline", "proc_cmdline", "uptime_seconds", "loadavg"], read: machine::machine },
    Source { name: "selinux", facts: &["selinux", "selinux_python_present", "apparmor"], read: machine::selinux },
    Source {
        name: "keys",
        facts: &["ssh_host_key_rsa_public", "ssh_host_key_ecdsa_public", "ssh_host_key_ed25519_public"],
        read: machine::host_keys,
    },
];

/// Facts that need no host: the same on all.
const FIXED: &[&str] = &["local", "gather_subset", "module_setup", "is_chroot", "fips"];

/// Every fact's name. Facts of a single interface (`eth0`) come with `interfaces` and are not in it.
pub fn all() -> Vec<&'static str> {
    SOURCES.iter().flat_map(|s| s.facts.iter().copied()).chain(FIXED.iter().copied()).collect()
}

/// Whether gathering can give a fact of this name: one of [`all`], or an interface's.
pub fn known(name: &str) -> bool {
    const INTERFACES: &[&str] =
        &["eth", "ens", "enp", "eno", "enx", "wlan", "bond", "br", "cni", "docker", "flannel", "tun", "tap", "wg", "veth", "virbr"];
    let interface =
        |prefix: &&str| name.strip_prefix(*prefix).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit() || c == '_'));
    name == "lo" || all().contains(&name) || INTERFACES.iter().any(interface)
}

/// One step that gathers the named facts (and what comes from the same sources); with an empty set all of them. A name that
/// is unknown is taken for an interface. The step's result has them in [`super::TaskResult::facts`]; it never changes anything.
pub fn gather(names: &BTreeSet<String>) -> Step {
    let sources: BTreeSet<&str> = all().into_iter().collect();
    let interface = names.iter().any(|n| !sources.contains(n.as_str()) && !n.starts_with("python"));
    let wanted: Vec<&'static Source> = SOURCES
        .iter()
        .filter(|s| names.is_empty() || s.facts.iter().any(|f| names.contains(*f)) || (s.name == "network" && interface))
        .collect();
    let groups: Vec<String> = wanted.iter().map(|s| s.name.to_owned()).collect();
    Script::new().args(&groups).step(
        "kw_facts \"$@\"",
        None,
        outcome::with(move |result, said, _| {
            for source in &wanted {
                (source.read)(said, &mut result.facts);
            }
            result.facts.insert("local".into(), Value::from_pairs(Vec::<(&str, &str)>::new()));
            result.facts.insert("module_setup".into(), true.into());
            result.facts.insert("is_chroot".into(), false.into());
            result.facts.insert("fips".into(), false.into());
            result.facts.insert("gather_subset".into(), Value::from(vec!["all"]));
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Root, SHELLS};

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    #[test]
    fn only_asked_sources_are_read() {
        let text = |names: &[&str]| gather(&set(names)).check.as_str().to_owned();
        assert_eq!(text(&["os_family", "memtotal_mb"]), "set -- os memory\nkw_facts \"$@\"\n");
        assert_eq!(text(&["eth0"]), "set -- network\nkw_facts \"$@\"\n");
        assert!(text(&[]).contains("selinux keys"));
    }

    #[test]
    fn this_machine_has_all_of_them_under_every_shell() {
        for shell in SHELLS {
            let root = Root::new(shell);
            for (file, text) in [
                (
                    "etc/os-release",
                    "NAME=\"Ubuntu\"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"24.04\"\nVERSION_CODENAME=noble\nPRETTY_NAME=\"Ubuntu 24.04.1 LTS\"\n",
                ),
                (
                    "proc/meminfo",
                    "MemTotal:        4030000 kB\nMemFree:  1000000 kB\nMemAvailable: 2000000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n",
                ),
                (
                    "proc/cpuinfo",
                    "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: X\nphysical id\t: 0\ncpu cores\t: 1\nsiblings\t: 2\n\nprocessor\t: 1\nvendor_id\t: GenuineIntel\nmodel name\t: X\nphysical id\t: 0\ncpu cores\t: 1\nsiblings\t: 2\n",
                ),
                ("proc/1/comm", "systemd\n"),
                ("proc/self/mounts", "/dev/xvda1 / ext4 rw,relatime 0 0\nproc /proc proc rw 0 0\n"),
                ("proc/uptime", "1234.5 99\n"),
                ("proc/cmdline", "BOOT_IMAGE=/vmlinuz root=/dev/xvda1 ro quiet\n"),
                ("proc/loadavg", "0.10 0.20 0.30 1/2 3\n"),
                ("etc/machine-id", "0123456789abcdef\n"),
                ("run/systemd/system/x", ""),
            ] {
                root.write(file, text);
            }
            root.stub("ip", r#"case "$*" in
*link*) printf '1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN mode DEFAULT\\    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00\n2: eth0@if9: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 9001 qdisc fq state UP mode DEFAULT\\    link/ether 0a:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff\n' ;;
*addr*) printf '1: lo    inet 127.0.0.1/8 scope host lo\n2: eth0    inet 10.0.1.10/24 brd 10.0.1.255 scope global eth0\n2: eth0    inet6 fe80::1/64 scope link\n' ;;
*'-4 route'*) echo '8.8.8.8 via 10.0.1.1 dev eth0 src 10.0.1.10 uid 0' ;;
*) exit 2 ;; esac"#);
            let (outcome, result) = root.result(&gather(&BTreeSet::new()), false);
            assert!(!result.failed, "{shell:?}: {:?} {outcome:?}", result.msg);
            let get = |path: &str| {
                let mut parts = path.split('.');
                let mut value = result.facts[parts.next().unwrap()].clone();
                for part in parts {
                    value = value.get_attr(part).unwrap();
                }
                value.to_string()
            };
            for (fact, wanted) in [
                ("os_family", "Debian"),
                ("distribution", "Ubuntu"),
                ("distribution_version", "24.04"),
                ("distribution_major_version", "24"),
                ("distribution_release", "noble"),
                ("pkg_mgr", "apt"),
                ("service_mgr", "systemd"),
                ("memtotal_mb", "3935"),
                ("swaptotal_mb", "0"),
                ("processor_vcpus", "2"),
                ("processor_cores", "1"),
                ("default_ipv4.address", "10.0.1.10"),
                ("default_ipv4.gateway", "10.0.1.1"),
                ("default_ipv4.interface", "eth0"),
                ("default_ipv4.netmask", "255.255.255.0"),
                ("default_ipv4.network", "10.0.1.0"),
                ("default_ipv4.mtu", "9001"),
                ("eth0.macaddress", "0a:00:00:00:00:01"),
                ("eth0.ipv4.address", "10.0.1.10"),
                ("machine_id", "0123456789abcdef"),
                ("uptime_seconds", "1234"),
                ("cmdline.root", "/dev/xvda1"),
                ("selinux.status", "disabled"),
                ("system", "Linux"),
            ] {
                assert_eq!(get(fact), wanted, "{shell:?} {fact}");
            }
            assert_eq!(result.facts["all_ipv4_addresses"].to_string(), "['10.0.1.10']");
            assert_eq!(result.facts["mounts"].len(), Some(1));
            for name in all() {
                let optional = name.starts_with("ssh_host_key")
                    || name.starts_with("product")
                    || ["default_ipv6", "bios_version", "system_vendor"].contains(&name);
                assert!(optional || result.facts.contains_key(name), "{shell:?}: no {name}");
            }
        }
    }
}
