//! All modules by name.

use super::{
    ModuleDef, accounts, apt, apt_sources, archives, blockinfile, command, control, copy, etcd, file, ini_file, k8s, kubeadm, lineinfile,
    look, misc, net, pip, replace, rpm, rpm_sources, stat, system, systemd, ufw,
};

static ALL: &[&ModuleDef] = &[
    &accounts::AUTHORIZED_KEY,
    &accounts::CRON,
    &accounts::GROUP,
    &accounts::KNOWN_HOSTS,
    &accounts::USER,
    &apt::APT,
    &apt::DPKG_SELECTIONS,
    &apt::PACKAGE_FACTS,
    &apt_sources::APT_KEY,
    &apt_sources::APT_REPOSITORY,
    &apt_sources::DEB822,
    &blockinfile::BLOCKINFILE,
    &command::COMMAND,
    &command::RAW,
    &command::SCRIPT,
    &command::SHELL,
    &control::ADD_HOST,
    &control::ASSERT,
    &control::ASYNC_STATUS,
    &control::DEBUG,
    &control::FAIL,
    &control::FETCH,
    &control::GROUP_BY,
    &control::INCLUDE_VARS,
    &control::KUBE_APPLY,
    &control::KUBE_CONFIG,
    &control::KUBE_CERTIFICATES,
    &control::KUBE_CSR,
    &control::KUBE_ETCD,
    &control::KUBE_NODE,
    &control::KUBE_POD,
    &control::KUBE_ROLLOUT,
    &control::KUBE_SPREAD,
    &control::KUBE_TOKEN,
    &control::META,
    &control::PAUSE,
    &control::PING,
    &control::REBOOT,
    &control::SETUP,
    &control::SET_FACT,
    &control::WAIT_FOR_CONNECTION,
    &copy::COPY,
    &copy::TEMPLATE,
    &file::FILE,
    &ini_file::INI_FILE,
    &k8s::HELM,
    &k8s::HELM_REPOSITORY,
    &k8s::K8S,
    &k8s::K8S_INFO,
    &etcd::ETCD_RESTORE,
    &etcd::ETCD_STAND_DOWN,
    &kubeadm::CRI_IMAGE,
    &kubeadm::KUBEADM_INIT,
    &kubeadm::KUBEADM_JOIN,
    &kubeadm::KUBEADM_JOINED,
    &kubeadm::KUBEADM_RESET,
    &kubeadm::KUBEADM_UPLOAD_CERTS,
    &kubeadm::POD_HOSTS,
    &lineinfile::LINEINFILE,
    &look::FIND,
    &look::GETENT,
    &look::SLURP,
    &look::TEMPFILE,
    &misc::ALTERNATIVES,
    &archives::ARCHIVE,
    &misc::GIT,
    &misc::IPTABLES,
    &pip::PIP,
    &misc::TIMEZONE,
    &ufw::UFW,
    &archives::UNARCHIVE,
    &net::GET_URL,
    &net::URI,
    &net::WAIT_FOR,
    &replace::REPLACE,
    &rpm::DNF,
    &rpm::FIREWALLD,
    &rpm::PACKAGE,
    &rpm_sources::RPM_KEY,
    &rpm::SELINUX,
    &rpm::YUM,
    &rpm_sources::YUM_REPOSITORY,
    &stat::STAT,
    &system::HOSTNAME,
    &system::MODPROBE,
    &system::MOUNT,
    &system::SWAP,
    &system::SYSCTL,
    &systemd::SERVICE,
    &systemd::SERVICE_FACTS,
    &systemd::SYSTEMD,
];

const COLLECTIONS: &[&str] = &["ansible.builtin.", "ansible.legacy.", "ansible.posix.", "community.general.", "kubernetes.core."];

/// A module by its short or fully qualified name.
pub fn lookup(name: &str) -> Option<&'static ModuleDef> {
    let short = COLLECTIONS.iter().find_map(|c| name.strip_prefix(c)).unwrap_or(name);
    ALL.iter().copied().find(|def| def.names.contains(&short))
}

/// Every name that [`lookup`] knows, in order of the alphabet, for "did you mean".
pub fn names() -> Vec<&'static str> {
    let mut names: Vec<&'static str> = ALL.iter().flat_map(|def| def.names.iter().copied()).collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found_with_and_without_collection() {
        let all = names();
        let mut unique = all.clone();
        unique.dedup();
        assert_eq!(all, unique);
        for name in ["apt", "ansible.builtin.apt", "ansible.legacy.copy", "ansible.posix.sysctl", "community.general.modprobe"] {
            assert!(lookup(name).is_some(), "{name}");
        }
        assert!(lookup("amazon.aws.ec2").is_none());
    }
}
