//! The functions in `sh/*.sh`, sent once per shell.

use crate::shell::Sh;

const FILES: &[&str] = &[
    include_str!("sh/base.sh"),
    include_str!("sh/archives.sh"),
    include_str!("sh/command.sh"),
    include_str!("sh/etcd.sh"),
    include_str!("sh/facts.sh"),
    include_str!("sh/file.sh"),
    include_str!("sh/k8s.sh"),
    include_str!("sh/kubeadm.sh"),
    include_str!("sh/look.sh"),
    include_str!("sh/systemd.sh"),
    include_str!("sh/accounts.sh"),
    include_str!("sh/apt.sh"),
    include_str!("sh/misc.sh"),
    include_str!("sh/net.sh"),
    include_str!("sh/pip.sh"),
    include_str!("sh/rpm.sh"),
    include_str!("sh/rpm_sources.sh"),
    include_str!("sh/system.sh"),
    include_str!("sh/ufw.sh"),
];

/// All functions that steps call.
pub fn prelude() -> Sh {
    let files: Vec<Sh> = FILES.iter().map(|f| Sh::literal(f)).collect();
    Sh::join(&files, "\n")
}

#[cfg(test)]
mod tests {
    use super::FILES;
    use std::collections::BTreeSet;

    #[test]
    fn no_function_is_defined_twice() {
        let defined = |line: &str| line.split_once("() {").map(|(name, _)| name.to_owned()).filter(|n| n.starts_with("kw_"));
        let mut seen = BTreeSet::new();
        let twice: Vec<String> = FILES.iter().flat_map(|p| p.lines()).filter_map(defined).filter(|n| !seen.insert(n.clone())).collect();
        assert!(seen.len() > 100, "{}", seen.len());
        assert_eq!(twice, Vec::<String>::new(), "the one that comes last would be called in the place of the other");
    }
}
