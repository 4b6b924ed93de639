//! Known lines of kubelet's, containerd's, kubeadm's and the static pods' logs: what they mean and what to do.
//! The first match in the table's order is the cause that is shown first: specific before general.

/// A known line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Stable id.
    pub id: &'static str,
    /// All words of one of these groups stand in one line, in any case.
    pub needles: &'static [&'static [&'static str]],
    /// What it means.
    pub cause: &'static str,
    /// What to do.
    pub fix: &'static str,
    /// A healthy node says so, too, for a moment while it starts.
    pub passing: bool,
    /// Where it was seen, for the test.
    pub log: Log,
}

/// A log in which a known line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    /// `testdata/logs/ID.txt`: recorded on a node where the fault was made for the purpose.
    Recorded,
    /// Somebody else's line: what makes it cannot be made in the lab.
    Reported(&'static str),
}

use Log::{Recorded, Reported};

/// The table. Issue numbers are in docs/pitfalls.md.
pub const SIGNATURES: &[Signature] = &[
    Signature {
        id: "kmsg",
        needles: &[&["open /dev/kmsg: no such file or directory"]],
        cause: "kubelet cannot start: /dev/kmsg is missing in this (container) node",
        fix: "create it: mknod /dev/kmsg c 1 11",
        passing: false,
        log: Recorded,
    },
    Signature {
        id: "kubelet-config",
        needles: &[&["failed to load kubelet config file"]],
        cause: "kubelet's configuration cannot be read: the message names the line",
        fix: "mend /var/lib/kubelet/config.yaml on the node, or KubeletConfiguration in templates/kubeadm-init.yaml.j2",
        passing: false,
        log: Recorded,
    },
    Signature {
        id: "kubelet-flag",
        needles: &[&["failed to parse kubelet flag"]],
        cause: "kubelet was given a flag that it does not know",
        fix: "remove it from /etc/default/kubelet, from a systemd drop-in of kubelet or from kubeletExtraArgs",
        passing: false,
        log: Recorded,
    },
    Signature {
        id: "component-flag",
        needles: &[&["Error: unknown flag"], &["flag provided but not defined"]],
        cause: "a component of the control plane was given a flag that it does not know",
        fix: "remove it from extraArgs in templates/kubeadm-init.yaml.j2, or from the manifest in /etc/kubernetes/manifests",
        passing: false,
        log: Recorded,
    },
    Signature {
        id: "api-name",
        needles: &[&["lookup api.", ".internal", "no such host"]],
        cause: "the API's name does not resolve on this node",
        fix: "`kubewright bootstrap` writes it into /etc/hosts",
        passing: false,
        log: Recorded,
    },
    Signature {
        id: "inotify",
        needles: &[&["inotify_init", "too many open files"]],
        cause: "the host's limit of inotify instances is used up (fs.inotify.max_user_instances, shared by all containers)",
        fix: "sysctl -w fs.inotify.max_user_instances=8192",
        passing: false,
        log: Reported(r#"E0101 00:00:00.0 kubelet.go:1480] "Failed to start cAdvisor" err="inotify_init: too many open files""#),
    },
    Signature {
        id: "swap",
        needles: &[&["running with swap on is not supported"]],
        cause: "swap is on, and kubelet refuses to start with it",
        fix: "swapoff -a, and remove the swap line from /etc/fstab",
        passing: false,
        log: Recorded,
    },
    Signature {
        id: "cgroup-v1",
        needles: &[&["configured to not run on a host using cgroup v1"]],
        cause: "the machine uses cgroup v1, which kubelet refuses since 1.35",
        fix: "boot with cgroup v2, or set failCgroupV1: false in KubeletConfiguration",
        passing: false,
        log: Recorded,
    },
    Signature {
        id: "cgroup-driver",
        needles: &[&["cgroup driver", "is different from"]],
        cause: "kubelet and containerd use different cgroup drivers",
        fix: "SystemdCgroup = true in containerd's configuration and cgroupDriver: systemd in kubelet's, then restart both",
        passing: false,
        log: Reported(
            r#"err="failed to run Kubelet: misconfiguration: kubelet cgroup driver: \"systemd\" is different from docker cgroup driver: \"cgroupfs\"""#,
        ),
    },
    Signature {
        id: "cgroup-path",
        needles: &[&["expected cgroupsPath to be of format", "slice:prefix:name"]],
        cause: "containerd uses the systemd cgroup driver and kubelet does not",
        fix: "cgroupDriver: systemd in /var/lib/kubelet/config.yaml, then restart kubelet",
        passing: false,
        log: Reported(
            r#"err="rpc error: failed to create containerd task: OCI runtime create failed: runc create failed: expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got \"/kubepods/burstable/pod1/abc\" instead""#,
        ),
    },
    Signature {
        id: "seccomp",
        needles: &[&["seccomp", "config provided but seccomp not supported"]],
        cause: "runc was built without seccomp, so that no sandbox can start",
        fix: "install a runc with seccomp support",
        passing: false,
        log: Reported("runc create failed: unable to start container process: seccomp: config provided but seccomp not supported"),
    },
    Signature {
        id: "oom-score",
        needles: &[&["oom_score_adj", "OCI runtime create failed"], &["oom_score_adj", "unable to start container process"]],
        cause: "this node may not lower oom_score_adj (no CAP_SYS_RESOURCE)",
        fix: "restrict_oom_score_adj = true in containerd's configuration",
        passing: false,
        log: Recorded,
    },
    Signature {
        id: "cri-v1",
        needles: &[&["unknown service runtime.v1.RuntimeService"]],
        cause: "containerd does not serve the CRI that kubelet speaks: its CRI plugin is disabled, or it is too old",
        fix: "remove cri from disabled_plugins in /etc/containerd/config.toml; install containerd 2 for Kubernetes 1.36",
        passing: false,
        log: Recorded,
    },
    Signature {
        id: "cri-socket",
        needles: &[&["containerd.sock", "connect:"]],
        cause: "containerd does not answer on its socket",
        fix: "systemctl status containerd; journalctl -u containerd -n 50",
        passing: false,
        log: Recorded,
    },
    Signature {
        id: "containerd-config",
        needles: &[&["containerd:", "failed to unmarshal TOML"], &["containerd:", "failed to load TOML", "unexpected"]],
        cause: "containerd's configuration file cannot be read",
        fix: "mend /etc/containerd/config.toml (the message names the line), then restart containerd",
        passing: false,
        log: Recorded,
    },
    Signature {
        id: "containerd-version",
        needles: &[&["expected containerd config version"]],
        cause: "containerd's configuration has another format version than this containerd",
        fix: "use the format of the installed containerd (containerd config migrate)",
        passing: false,
        log: Recorded,
    },
    Signature {
        id: "pause-image",
        needles: &[&["failed to get sandbox image"], &["CreatePodSandbox", "failed to pull image"]],
        cause: "the sandbox (pause) image cannot be pulled: no pod can start on this node",
        fix: "check the registry mirror in /etc/containerd/certs.d and the sandbox image in containerd's configuration",
        passing: false,
        log: Recorded,
    },
    Signature {
        id: "image-pull-dns",
        needles: &[&["pull", "lookup", "no such host"]],
        cause: "an image cannot be pulled: the registry's name does not resolve on the node",
        fix: "check /etc/resolv.conf of the node and dns.servers in the spec",
        passing: false,
        log: Recorded,
    },
    Signature {
        id: "image-missing",
        needles: &[&["failed to pull", "not found"]],
        cause: "an image does not exist in the registry under this name and tag",
        fix: "check kubernetes.version and kubernetes.image_registry in the spec; is the mirror complete?",
        passing: false,
        log: Recorded,
    },
    Signature {
        id: "no-space",
        needles: &[&["no space left on device"]],
        cause: "a disk is full",
        fix: "df -h; free some space or enlarge the volume",
        passing: false,
        log: Recorded,
    },
    Signature {
        id: "certificate-future",
        needles: &[&["certificate has expired or is not yet valid", "is before"]],
        cause: "a certificate is not valid yet: this machine's clock is behind the one that issued it",
        fix: "synchronise the clocks (chrony), then try again",
        passing: false,
        log: Recorded,
    },
    Signature {
        id: "certificate-expired",
        needles: &[&["certificate has expired or is not yet valid"]],
        cause: "a certificate has expired",
        fix: "kubeadm certs renew all on the control plane, then restart its static pods",
        passing: false,
        log: Recorded,
    },
    Signature {
        id: "ca-mismatch",
        needles: &[&["x509: certificate signed by unknown authority"]],
        cause: "this node trusts another CA: it holds the remains of an earlier cluster",
        fix: "kubewright reset NODE, then bootstrap again",
        passing: false,
        log: Recorded,
    },
    Signature {
        id: "ca-pin",
        needles: &[&["cluster CA found in cluster-info ConfigMap is invalid", "none of the public keys"]],
        cause: "the API server that answered has another CA than the pinned one",
        fix: "check api_addresses: is it this cluster's API?",
        passing: false,
        log: Recorded,
    },
    Signature {
        id: "token",
        needles: &[&["could not find a JWS signature in the cluster-info ConfigMap for token ID"]],
        cause: "the join token has expired or was revoked",
        fix: "run the same command again: every run makes its own token",
        passing: false,
        log: Recorded,
    },
    Signature {
        id: "node-exists",
        needles: &[&["a Node with name", "and status \"Ready\" already exists"]],
        cause: "a node of this name is in the cluster already and Ready",
        fix: "kubewright kubectl -- delete node NAME, or give the machine another name",
        passing: false,
        log: Recorded,
    },
    Signature {
        id: "etcd-peer-exists",
        needles: &[&["etcdserver: Peer URLs already exists"]],
        cause: "an earlier, interrupted join left its member in etcd",
        fix: "etcdctl member remove ID takes the orphan out, then join again",
        passing: false,
        log: Reported(
            r"error execution phase etcd-join: error creating local etcd static pod manifest file: etcdserver: Peer URLs already exists",
        ),
    },
    Signature {
        id: "etcd-unhealthy",
        needles: &[&["etcdserver: unhealthy cluster"]],
        cause: "etcd refuses a new member while another one is down",
        fix: "remove the dead member first (etcdctl member remove), then add",
        passing: false,
        log: Reported("etcdserver: unhealthy cluster"),
    },
    Signature {
        id: "etcd-space",
        needles: &[&["etcdserver: mvcc: database space exceeded"]],
        cause: "etcd's database reached its quota: alarm NOSPACE, nothing can be written",
        fix: "compact, etcdctl defrag, etcdctl alarm disarm",
        passing: false,
        log: Recorded,
    },
    Signature {
        id: "port-in-use",
        needles: &[&["bind: address already in use"]],
        cause: "another process has the port",
        fix: "find it with ss -ltnp and stop it; kubewright reset removes what an earlier cluster left",
        passing: false,
        log: Recorded,
    },
    Signature {
        id: "files-exist",
        needles: &[&["FileAvailable--etc-kubernetes"]],
        cause: "files of an earlier kubeadm run are in the way",
        fix: "kubewright reset NODE, then the same command again",
        passing: false,
        log: Recorded,
    },
    Signature {
        id: "br-netfilter",
        needles: &[&["bridge-nf-call-iptables", "no such file"]],
        cause: "br_netfilter is not loaded",
        fix: "modprobe br_netfilter",
        passing: false,
        log: Recorded,
    },
    Signature {
        id: "flannel-cidr",
        needles: &[&["pod cidr not assigned"]],
        cause: "Flannel waits for the node's pod range: podSubnet was not given to kubeadm, or the range is used up",
        fix: "set network.pods in the spec and bootstrap a new cluster, or enlarge the range",
        passing: false,
        log: Reported(r#"E0101 main.go:338] Error registering network: failed to acquire lease: node "worker-1" pod cidr not assigned"#),
    },
    Signature {
        id: "flannel-subnet",
        needles: &[&["flannel", "subnet.env", "no such file"]],
        cause: "Flannel has not started on this node, so pods get no network",
        fix: "kubectl -n kube-flannel logs ds/kube-flannel-ds",
        passing: true,
        log: Recorded,
    },
    Signature {
        id: "conntrack",
        needles: &[&["nf_conntrack_max", "permission denied"]],
        cause: "kube-proxy cannot set nf_conntrack_max here: it is read-only in a network namespace",
        fix: "conntrack: {maxPerCore: 0, min: 0} in KubeProxyConfiguration",
        passing: false,
        log: Recorded,
    },
    Signature {
        id: "disk-pressure",
        needles: &[&["eviction manager: attempting to reclaim"], &["eviction manager: must evict pod"]],
        cause: "kubelet evicts pods: the disk is fuller than its thresholds allow",
        fix: "free some space; on shared disks set absolute eviction thresholds",
        passing: false,
        log: Recorded,
    },
    Signature {
        id: "cni-config",
        needles: &[&["cni plugin not initialized"]],
        cause: "no CNI configuration on this node yet: Flannel has not been applied or its pod does not run here",
        fix: "kubectl -n kube-flannel get pods -o wide",
        passing: true,
        log: Recorded,
    },
    Signature {
        id: "api-refused",
        needles: &[&["6443", "connect: connection refused"]],
        cause: "the API server does not listen: its static pod is not running (its own log says why)",
        fix: "look into /var/log/pods/kube-system_kube-apiserver* and kube-system_etcd*",
        passing: true,
        log: Recorded,
    },
    Signature {
        id: "api-timeout",
        needles: &[&["6443", "i/o timeout"]],
        cause: "the API server's port cannot be reached from here: a security group or route is in the way",
        fix: "allow TCP 6443 from this node to the control planes",
        passing: true,
        log: Recorded,
    },
];

/// The cause that a log points to, the most specific one first; `None`: nothing known stands in it.
pub fn diagnose(log: &str) -> Option<&'static Signature> {
    diagnose_all(log).next().map(|(signature, _)| signature)
}

/// All known causes in a log, in the table's order, each with the last line that shows it.
pub fn diagnose_all(log: &str) -> impl Iterator<Item = (&'static Signature, &str)> {
    SIGNATURES.iter().filter_map(move |s| {
        let found = |line: &&str| {
            let line = line.to_lowercase();
            s.needles.iter().any(|all| all.iter().all(|n| line.contains(&n.to_lowercase())))
        };
        log.lines().rev().find(found).map(|line| (s, line))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, path::Path};

    #[test]
    fn every_log_is_diagnosed_as_what_made_it() {
        let mut files = BTreeSet::new();
        for s in SIGNATURES {
            let text = match s.log {
                Reported(line) => format!("noise\n{line}\nnoise"),
                Recorded => {
                    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/verify/testdata/logs/{}.txt", s.id));
                    files.insert(path.clone());
                    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
                }
            };
            let causes = crate::verify::ranked(crate::verify::in_message("n", &text));
            assert_eq!(causes.first().map(|c| c.signature.id), Some(s.id), "{:?}", causes.iter().map(|c| &c.line).collect::<Vec<_>>());
        }
        let there = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/verify/testdata/logs")).unwrap();
        assert_eq!(there.map(|e| e.unwrap().path()).collect::<BTreeSet<_>>(), files, "no log without a signature");
        assert!(files.len() * 10 >= SIGNATURES.len() * 7, "most are recorded: {} of {}", files.len(), SIGNATURES.len());
    }

    #[test]
    fn a_node_that_came_up_well_has_no_cause() {
        let well = include_str!("testdata/healthy-kubelet.txt");
        let causes: Vec<_> = diagnose_all(well).filter(|(s, _)| !s.passing).map(|(s, line)| (s.id, line)).collect();
        assert_eq!(causes, []);
    }

    #[test]
    fn the_specific_cause_comes_before_its_consequences() {
        let log = "dial tcp 10.0.0.10:6443: connect: connection refused\nfailed to create kubelet: open /dev/kmsg: no such file or directory\ncni plugin not initialized";
        let ids: Vec<_> = diagnose_all(log).map(|(s, _)| s.id).collect();
        assert_eq!(ids, ["kmsg", "cni-config", "api-refused"]);
        assert!(diagnose("all is well").is_none());
    }
}
