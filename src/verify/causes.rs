//! Known lines of kubelet's, containerd's, kubeadm's and the static pods' logs: what they mean and what to do.
//! The first match in the table's order is the cause that is shown first: specific before general.

/// A known line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Stable id.
    pub id: &'static str,
    /// All of these stand in one line, in any case.
    pub needles: &'static [&'static str],
    /// What it means.
    pub cause: &'static str,
    /// What to do.
    pub fix: &'static str,
    /// A real line, for the test.
    pub example: &'static str,
}

/// The table. Issue numbers are in docs/pitfalls.md.
pub const SIGNATURES: &[Signature] = &[
    Signature {
        id: "kmsg",
        needles: &["open /dev/kmsg: no such file or directory"],
        cause: "kubelet cannot start: /dev/kmsg is missing in this (container) node",
        fix: "create it: mknod /dev/kmsg c 1 11",
        example: r#"E1121 10:31:00.1 run.go:72] "command failed" err="failed to run Kubelet: failed to create kubelet: open /dev/kmsg: no such file or directory""#,
    },
    Signature {
        id: "inotify",
        needles: &["inotify_init", "too many open files"],
        cause: "the host's limit of inotify instances is used up (fs.inotify.max_user_instances, shared by all containers)",
        fix: "sysctl -w fs.inotify.max_user_instances=8192",
        example: r#"E0101 00:00:00.0 kubelet.go:1480] "Failed to start cAdvisor" err="inotify_init: too many open files""#,
    },
    Signature {
        id: "swap",
        needles: &["running with swap on is not supported"],
        cause: "swap is on, and kubelet refuses to start with it",
        fix: "swapoff -a, and remove the swap line from /etc/fstab",
        example: r#"run.go:74] "command failed" err="failed to run Kubelet: running with swap on is not supported, please disable swap or set --fail-swap-on flag to false""#,
    },
    Signature {
        id: "cgroup-v1",
        needles: &["cgroup v1", "failCgroupV1"],
        cause: "the machine uses cgroup v1, which kubelet refuses since 1.35",
        fix: "boot with cgroup v2, or set failCgroupV1: false in KubeletConfiguration",
        example: r#"err="kubelet is configured to not run on a host using cgroup v1. cgroup v1 support is unsupported and will be removed in a future release. To allow running on cgroup v1 set 'failCgroupV1' to false""#,
    },
    Signature {
        id: "cgroup-driver",
        needles: &["cgroup driver", "is different from"],
        cause: "kubelet and containerd use different cgroup drivers",
        fix: "SystemdCgroup = true in containerd's configuration and cgroupDriver: systemd in kubelet's, then restart both",
        example: r#"err="failed to run Kubelet: misconfiguration: kubelet cgroup driver: \"systemd\" is different from docker cgroup driver: \"cgroupfs\"""#,
    },
    Signature {
        id: "cgroup-path",
        needles: &["expected cgroupsPath to be of format", "slice:prefix:name"],
        cause: "containerd uses the systemd cgroup driver and kubelet does not",
        fix: "cgroupDriver: systemd in /var/lib/kubelet/config.yaml, then restart kubelet",
        example: r#"err="rpc error: failed to create containerd task: OCI runtime create failed: runc create failed: expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got \"/kubepods/burstable/pod1/abc\" instead""#,
    },
    Signature {
        id: "seccomp",
        needles: &["seccomp", "config provided but seccomp not supported"],
        cause: "runc was built without seccomp, so that no sandbox can start",
        fix: "install a runc with seccomp support",
        example: "runc create failed: unable to start container process: seccomp: config provided but seccomp not supported",
    },
    Signature {
        id: "oom-score",
        needles: &["oom_score_adj", "permission denied"],
        cause: "this node may not lower oom_score_adj (no CAP_SYS_RESOURCE)",
        fix: "restrict_oom_score_adj = true in containerd's configuration",
        example: "runc create failed: unable to start container process: can't set oom_score_adj: write /proc/self/oom_score_adj: permission denied",
    },
    Signature {
        id: "cri-v1",
        needles: &["unknown service runtime.v1.RuntimeService"],
        cause: "containerd does not serve the CRI that kubelet speaks: its CRI plugin is disabled, or it is too old",
        fix: "remove cri from disabled_plugins in /etc/containerd/config.toml; install containerd 2 for Kubernetes 1.36",
        example: r#"validate service connection: validate CRI v1 runtime API for endpoint "unix:///run/containerd/containerd.sock": rpc error: code = Unimplemented desc = unknown service runtime.v1.RuntimeService"#,
    },
    Signature {
        id: "cri-socket",
        needles: &["containerd.sock", "connect:"],
        cause: "containerd does not answer on its socket",
        fix: "systemctl status containerd; journalctl -u containerd -n 50",
        example: r#"err="failed to run Kubelet: validate service connection: dial unix /run/containerd/containerd.sock: connect: no such file or directory""#,
    },
    Signature {
        id: "containerd-config",
        needles: &["containerd:", "failed to load TOML"],
        cause: "containerd's configuration file cannot be read",
        fix: "mend /etc/containerd/config.toml (the message names the line), then restart containerd",
        example: "containerd: failed to load TOML: /etc/containerd/config.toml: (12, 3): unexpected token",
    },
    Signature {
        id: "containerd-version",
        needles: &["expected containerd config version"],
        cause: "containerd's configuration has another format version than this containerd",
        fix: "use the format of the installed containerd (containerd config migrate)",
        example: "containerd: expected containerd config version equal to or less than `3`, got `4`",
    },
    Signature {
        id: "pause-image",
        needles: &["failed to get sandbox image"],
        cause: "the sandbox (pause) image cannot be pulled: no pod can start on this node",
        fix: "check the registry mirror in /etc/containerd/certs.d and the sandbox image in containerd's configuration",
        example: r#"err="failed to create sandbox: rpc error: code = Unknown desc = failed to get sandbox image \"registry.k8s.io/pause:3.10.2\": failed to pull image""#,
    },
    Signature {
        id: "image-pull-dns",
        needles: &["pull", "lookup", "no such host"],
        cause: "an image cannot be pulled: the registry's name does not resolve on the node",
        fix: "check /etc/resolv.conf of the node and dns.servers in the spec",
        example: r#"failed to pull image "registry.k8s.io/coredns/coredns:v1.14.2": dial tcp: lookup registry.k8s.io on 10.0.0.2:53: no such host"#,
    },
    Signature {
        id: "image-missing",
        needles: &["failed to pull", "not found"],
        cause: "an image does not exist in the registry under this name and tag",
        fix: "check kubernetes.version and kubernetes.image_registry in the spec; is the mirror complete?",
        example: r#"failed to pull image "registry.k8s.io/kube-proxy:v1.36.9": rpc error: code = NotFound desc = failed to resolve reference: registry.k8s.io/kube-proxy:v1.36.9: not found"#,
    },
    Signature {
        id: "no-space",
        needles: &["no space left on device"],
        cause: "a disk is full",
        fix: "df -h; free some space or enlarge the volume",
        example: "write /var/lib/containerd/io.containerd.content.v1.content/ingest/a/data: no space left on device",
    },
    Signature {
        id: "certificate-future",
        needles: &["certificate has expired or is not yet valid", "is before"],
        cause: "a certificate is not valid yet: this machine's clock is behind the one that issued it",
        fix: "synchronise the clocks (chrony), then try again",
        example: "tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2026-11-21T10:00:00Z is before 2026-11-21T11:00:00Z",
    },
    Signature {
        id: "certificate-expired",
        needles: &["certificate has expired or is not yet valid"],
        cause: "a certificate has expired",
        fix: "kubeadm certs renew all on the control plane, then restart its static pods",
        example: "tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2026-11-21T10:00:00Z is after 2026-11-20T11:00:00Z",
    },
    Signature {
        id: "ca-mismatch",
        needles: &["x509: certificate signed by unknown authority"],
        cause: "this node trusts another CA: it holds the remains of an earlier cluster",
        fix: "kubewright reset --limit NODE, then bootstrap again",
        example: "Get \"https://10.0.0.10:6443/api/v1/nodes/worker-1\": tls: failed to verify certificate: x509: certificate signed by unknown authority",
    },
    Signature {
        id: "ca-pin",
        needles: &["cluster CA found in cluster-info ConfigMap is invalid", "none of the public keys"],
        cause: "the API server that answered has another CA than the pinned one",
        fix: "check api_addresses: is it this cluster's API?",
        example: "error execution phase preflight: couldn't validate the identity of the API Server: cluster CA found in cluster-info ConfigMap is invalid: none of the public keys \"sha256:ab\" are pinned",
    },
    Signature {
        id: "token",
        needles: &["could not find a JWS signature in the cluster-info ConfigMap for token ID"],
        cause: "the join token has expired or was revoked",
        fix: "run the same command again: every run makes its own token",
        example: r#"couldn't validate the identity of the API Server: could not find a JWS signature in the cluster-info ConfigMap for token ID "abcdef""#,
    },
    Signature {
        id: "node-exists",
        needles: &["a Node with name", "and status \"Ready\" already exists"],
        cause: "a node of this name is in the cluster already and Ready",
        fix: "kubewright kubectl -- delete node NAME, or give the machine another name",
        example: r#"error execution phase kubelet-start: a Node with name "worker-1" and status "Ready" already exists in the cluster. You must delete the existing Node or change the name of this new joining Node"#,
    },
    Signature {
        id: "etcd-peer-exists",
        needles: &["etcdserver: Peer URLs already exists"],
        cause: "an earlier, interrupted join left its member in etcd",
        fix: "etcdctl member remove ID takes the orphan out, then join again",
        example: r"error execution phase etcd-join: error creating local etcd static pod manifest file: etcdserver: Peer URLs already exists",
    },
    Signature {
        id: "etcd-unhealthy",
        needles: &["etcdserver: unhealthy cluster"],
        cause: "etcd refuses a new member while another one is down",
        fix: "remove the dead member first (etcdctl member remove), then add",
        example: "etcdserver: unhealthy cluster",
    },
    Signature {
        id: "etcd-space",
        needles: &["etcdserver: mvcc: database space exceeded"],
        cause: "etcd's database reached its quota: alarm NOSPACE, nothing can be written",
        fix: "compact, etcdctl defrag, etcdctl alarm disarm",
        example: r#"E0101 status.go:71] "apiserver received an error" err="etcdserver: mvcc: database space exceeded""#,
    },
    Signature {
        id: "port-in-use",
        needles: &["bind: address already in use"],
        cause: "another process has the port",
        fix: "find it with ss -ltnp and stop it; kubewright reset removes what an earlier cluster left",
        example: "listen tcp 10.0.0.10:2380: bind: address already in use",
    },
    Signature {
        id: "files-exist",
        needles: &["FileAvailable--etc-kubernetes"],
        cause: "files of an earlier kubeadm run are in the way",
        fix: "kubewright reset --limit NODE, then the same command again",
        example: "[ERROR FileAvailable--etc-kubernetes-kubelet.conf]: /etc/kubernetes/kubelet.conf already exists",
    },
    Signature {
        id: "br-netfilter",
        needles: &["bridge-nf-call-iptables", "no such file"],
        cause: "br_netfilter is not loaded",
        fix: "modprobe br_netfilter",
        example: "sysctl: cannot stat /proc/sys/net/bridge/bridge-nf-call-iptables: no such file or directory",
    },
    Signature {
        id: "flannel-cidr",
        needles: &["pod cidr not assigned"],
        cause: "Flannel waits for the node's pod range: podSubnet was not given to kubeadm, or the range is used up",
        fix: "set network.pods in the spec and bootstrap a new cluster, or enlarge the range",
        example: r#"E0101 main.go:338] Error registering network: failed to acquire lease: node "worker-1" pod cidr not assigned"#,
    },
    Signature {
        id: "flannel-subnet",
        needles: &["/run/flannel/subnet.env: no such file"],
        cause: "Flannel has not started on this node, so pods get no network",
        fix: "kubectl -n kube-flannel logs ds/kube-flannel-ds",
        example: r#"plugin type="flannel" failed (add): failed to load flannel 'subnet.env' file: open /run/flannel/subnet.env: no such file or directory. Check the flannel pod log for this node."#,
    },
    Signature {
        id: "conntrack",
        needles: &["nf_conntrack_max", "permission denied"],
        cause: "kube-proxy cannot set nf_conntrack_max here: it is read-only in a network namespace",
        fix: "conntrack: {maxPerCore: 0, min: 0} in KubeProxyConfiguration",
        example: r#"E0101 server.go:558] "Error running ProxyServer" err="open /proc/sys/net/netfilter/nf_conntrack_max: permission denied""#,
    },
    Signature {
        id: "disk-pressure",
        needles: &["eviction manager", "disk"],
        cause: "kubelet evicts pods: the disk is fuller than its thresholds allow",
        fix: "free some space; on shared disks set absolute eviction thresholds",
        example: r#"I0101 eviction_manager.go:398] "Eviction manager: attempting to reclaim" resourceName="ephemeral-storage" disk pressure"#,
    },
    Signature {
        id: "cni-config",
        needles: &["cni plugin not initialized"],
        cause: "no CNI configuration on this node yet: Flannel has not been applied or its pod does not run here",
        fix: "kubectl -n kube-flannel get pods -o wide",
        example: r#"E0101 kubelet.go:3117] "Container runtime network not ready" networkReady="NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized""#,
    },
    Signature {
        id: "api-refused",
        needles: &["6443", "connect: connection refused"],
        cause: "the API server does not listen: its static pod is not running (its own log says why)",
        fix: "look into /var/log/pods/kube-system_kube-apiserver* and kube-system_etcd*",
        example: r#"E0101 reflector.go:204] failed to list *v1.Node: Get "https://10.0.0.10:6443/api/v1/nodes": dial tcp 10.0.0.10:6443: connect: connection refused"#,
    },
    Signature {
        id: "api-timeout",
        needles: &["6443", "i/o timeout"],
        cause: "the API server's port cannot be reached from here: a security group or route is in the way",
        fix: "allow TCP 6443 from this node to the control planes",
        example: r#"error execution phase preflight: couldn't validate the identity of the API Server: Get "https://10.0.0.10:6443/api/v1/namespaces/kube-public/configmaps/cluster-info": dial tcp 10.0.0.10:6443: i/o timeout"#,
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
            s.needles.iter().all(|n| line.contains(&n.to_lowercase()))
        };
        log.lines().rev().find(found).map(|line| (s, line))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_diagnosed_as_itself() {
        for s in SIGNATURES {
            assert_eq!(diagnose(&format!("noise\n{}\nnoise", s.example)).map(|f| f.id), Some(s.id), "{}", s.example);
        }
    }

    #[test]
    fn the_specific_cause_comes_before_its_consequences() {
        let log = "dial tcp 10.0.0.10:6443: connect: connection refused\nfailed to create kubelet: open /dev/kmsg: no such file or directory\ncni plugin not initialized";
        let ids: Vec<_> = diagnose_all(log).map(|(s, _)| s.id).collect();
        assert_eq!(ids, ["kmsg", "cni-config", "api-refused"]);
        assert!(diagnose("all is well").is_none());
    }
}
