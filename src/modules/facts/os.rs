//! The operating system: `module_utils/facts/system/distribution.py`, `platform.py`, `pkg_mgr.py`, `service_mgr.py`.

use super::{Facts, Said};
use indexmap::IndexMap;
use minijinja::Value;

/// `ID` of os-release → Ansible's name and family.
const NAMES: &[(&str, &str, &str)] = &[
    ("ubuntu", "Ubuntu", "Debian"),
    ("debian", "Debian", "Debian"),
    ("raspbian", "Raspbian", "Debian"),
    ("linuxmint", "Linux Mint", "Debian"),
    ("pop", "Pop!_OS", "Debian"),
    ("kali", "Kali", "Debian"),
    ("rhel", "RedHat", "RedHat"),
    ("centos", "CentOS", "RedHat"),
    ("fedora", "Fedora", "RedHat"),
    ("rocky", "Rocky", "RedHat"),
    ("almalinux", "AlmaLinux", "RedHat"),
    ("ol", "OracleLinux", "RedHat"),
    ("amzn", "Amazon", "RedHat"),
    ("sles", "SLES", "Suse"),
    ("opensuse-leap", "openSUSE Leap", "Suse"),
    ("opensuse-tumbleweed", "openSUSE Tumbleweed", "Suse"),
    ("arch", "Archlinux", "Archlinux"),
    ("alpine", "Alpine", "Alpine"),
    ("flatcar", "Flatcar", "Flatcar"),
];

/// `KEY="value"` lines.
fn shell_file(text: &str) -> IndexMap<&str, String> {
    let pairs = text.lines().filter_map(|l| l.split_once('='));
    pairs.map(|(k, v)| (k.trim(), v.trim().trim_matches(['"', '\'']).to_owned())).collect()
}

pub(super) fn distribution(said: &Said, facts: &mut Facts) {
    let os = shell_file(said.get("os_release"));
    let field = |key: &str| os.get(key).cloned().unwrap_or_default();
    let id = field("ID");
    let like = field("ID_LIKE");
    let known = NAMES.iter().find(|(i, ..)| *i == id);
    let name = known.map_or_else(|| field("NAME"), |(_, n, _)| (*n).to_owned());
    let similar = NAMES.iter().find(|(i, ..)| like.split_whitespace().any(|l| l == *i));
    let family = known.or(similar).map_or_else(|| name.clone(), |(.., f)| (*f).to_owned());
    // Ansible takes the best version of Debian and CentOS: the one with the minor number.
    let debian = said.get("debian_version");
    let version = match id.as_str() {
        "debian" if debian.starts_with(|c: char| c.is_ascii_digit()) => debian.to_owned(),
        "centos" => said
            .get("redhat_release")
            .split_whitespace()
            .find(|w| w.starts_with(|c: char| c.is_ascii_digit()))
            .map_or(field("VERSION_ID"), str::to_owned),
        _ => field("VERSION_ID"),
    };
    let (major, rest) = version.split_once('.').unwrap_or((&version, ""));
    let codename = Some(field("VERSION_CODENAME")).filter(|c| !c.is_empty());
    let parenthesised = || field("VERSION").split_once('(').map(|(_, r)| r.trim_end_matches(')').trim().to_owned());
    let release = codename.or_else(parenthesised).unwrap_or_else(|| "NA".into());
    let number: u32 = major.parse().unwrap_or(0);
    let manager = match (family.as_str(), name.as_str()) {
        ("Debian", _) => "apt",
        ("RedHat", "Fedora") if number >= 41 => "dnf5",
        ("RedHat", "Amazon") if number < 2022 => "yum",
        ("RedHat", "Fedora" | "Amazon") => "dnf",
        ("RedHat", _) => {
            if number >= 8 {
                "dnf"
            } else {
                "yum"
            }
        }
        ("Suse", _) => "zypper",
        ("Archlinux", _) => "pacman",
        ("Alpine", _) => "apk",
        _ => "unknown",
    };
    let lsb = [
        ("id", name.clone()),
        ("release", field("VERSION_ID")),
        ("codename", release.clone()),
        ("description", field("PRETTY_NAME")),
        ("major_release", major.to_owned()),
    ];
    facts.insert("lsb".into(), Value::from_pairs(lsb));
    facts.insert("distribution_minor_version".into(), rest.split('.').next().unwrap_or_default().into());
    facts.insert("distribution_file_parsed".into(), true.into());
    facts.insert("distribution_file_path".into(), "/etc/os-release".into());
    facts.insert("distribution_file_variety".into(), name.as_str().into());
    facts.insert("distribution".into(), name.into());
    facts.insert("distribution_major_version".into(), major.into());
    facts.insert("distribution_version".into(), version.as_str().into());
    facts.insert("distribution_release".into(), release.into());
    facts.insert("os_family".into(), family.into());
    facts.insert("pkg_mgr".into(), manager.into());
}

pub(super) fn uname(said: &Said, facts: &mut Facts) {
    let words: Vec<&str> = said.get("uname").split_whitespace().collect();
    let word = |i: usize| words.get(i).copied().unwrap_or_default();
    let (node, machine) = (word(1), word(3));
    let fqdn = Some(said.get("fqdn").trim()).filter(|f| !f.is_empty()).unwrap_or(node);
    let architecture = match machine {
        "i386" | "i486" | "i586" | "i686" => "i386",
        other => other,
    };
    let bits = match said.get("bits").trim() {
        "32" => "32",
        _ if machine.contains("64") || machine == "s390x" => "64",
        _ => "32",
    };
    let pairs = [
        ("system", word(0)),
        ("nodename", node),
        ("hostname", node.split('.').next().unwrap_or_default()),
        ("fqdn", fqdn),
        ("domain", fqdn.split_once('.').map_or("", |(_, d)| d)),
        ("kernel", word(2)),
        ("kernel_version", said.get("kernel_version")),
        ("machine", machine),
        ("architecture", architecture),
        ("userspace_architecture", architecture),
        ("userspace_bits", bits),
    ];
    facts.extend(pairs.into_iter().map(|(k, v)| (k.to_owned(), v.into())));
}

pub(super) fn service_manager(said: &Said, facts: &mut Facts) {
    let init = said.get("init");
    let manager = if said.has("systemd") || init == "systemd" {
        "systemd"
    } else if said.has("openrc") {
        "openrc"
    } else if init == "init" || init.is_empty() {
        "sysvinit"
    } else {
        init
    };
    facts.insert("service_mgr".into(), manager.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(os: &str, debian: &str, redhat: &str) -> Facts {
        let mut said = Said { fields: IndexMap::new(), text: String::new() };
        for (k, v) in [("os_release", os), ("debian_version", debian), ("redhat_release", redhat)] {
            said.fields.insert(k.into(), v.into());
        }
        let mut facts = Facts::new();
        distribution(&said, &mut facts);
        facts
    }

    #[test]
    fn names_and_families_are_ansibles() {
        for (os, debian, redhat, wanted) in [
            (
                "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n",
                "12.5",
                "",
                ["Debian", "Debian", "12.5", "12", "bookworm", "apt"],
            ),
            ("ID=\"rhel\"\nVERSION_ID=\"9.3\"\nVERSION=\"9.3 (Plow)\"\n", "", "", ["RedHat", "RedHat", "9.3", "9", "Plow", "dnf"]),
            (
                "ID=\"centos\"\nVERSION_ID=\"7\"\n",
                "",
                "CentOS Linux release 7.9.2009 (Core)",
                ["CentOS", "RedHat", "7.9.2009", "7", "NA", "yum"],
            ),
            ("ID=\"amzn\"\nVERSION_ID=\"2023\"\n", "", "", ["Amazon", "RedHat", "2023", "2023", "NA", "dnf"]),
            (
                "ID=neon\nNAME=\"KDE neon\"\nID_LIKE=\"ubuntu debian\"\nVERSION_ID=\"22.04\"\nVERSION_CODENAME=jammy\n",
                "",
                "",
                ["KDE neon", "Debian", "22.04", "22", "jammy", "apt"],
            ),
        ] {
            let f = facts(os, debian, redhat);
            let got =
                ["distribution", "os_family", "distribution_version", "distribution_major_version", "distribution_release", "pkg_mgr"]
                    .map(|k| f[k].to_string());
            assert_eq!(got, wanted);
        }
    }
}
