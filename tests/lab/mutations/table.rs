//! Faults by batch: each turns its check red on the lab. docs/verify-coverage.md is made from it.
#![allow(dead_code, reason = "the page and the walk each use a part of it")]

/// How honest a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// What would happen in the field: a service stopped, a rule dropped, an object made.
    Real,
    /// What the check reads is replaced, because the thing itself is shared by all nodes here (clock, memory, modules)
    /// or cannot be broken in a lab.
    Substituted,
}

use How::{Real, Substituted};

/// One fault. `inject` and `repair` are sh, run as root inside the node's container, behind the tool's back.
pub struct Fault {
    pub check: &'static str,
    pub node: &'static str,
    pub how: How,
    pub inject: &'static str,
    pub repair: &'static str,
}

/// Faults that are there at the same time: one report serves them all.
pub struct Batch {
    pub name: &'static str,
    pub faults: &'static [Fault],
    /// Other checks that these faults may turn red: ids, or prefixes that end in `*`. Everything else stays green.
    pub also: &'static [&'static str],
    /// sh on control-plane-1 that ends well once the faults show; looked at again until then.
    pub shown: &'static str,
    /// The same for the way back.
    pub healed: &'static str,
}

const fn fault(check: &'static str, node: &'static str, how: How, inject: &'static str, repair: &'static str) -> Fault {
    Fault { check, node, how, inject, repair }
}

const CP: &str = "control-plane-1";
const W1: &str = "worker-1";
const W2: &str = "worker-2";

/// Expired since 2020; its key was thrown away.
pub const EXPIRED: &str = include_str!("expired.crt");

pub const BATCHES: &[Batch] = &[
    Batch {
        name: "machines and runtime",
        also: &["machine-drift"],
        shown: "true",
        healed: "true",
        faults: &[
            fault(
                "machine-failed-units",
                W1,
                Real,
                "systemd-run --quiet --unit=kw-fault false || true; sleep 0.2",
                "systemctl reset-failed kw-fault.service",
            ),
            fault("machine-file-modes", W1, Real, "chmod 644 /etc/kubernetes/kubelet.conf", "chmod 600 /etc/kubernetes/kubelet.conf"),
            fault(
                "machine-modules-boot",
                W1,
                Real,
                "cp -p /etc/modules-load.d/kubernetes.conf /root/kw.modules; sed -i '/^overlay/d' /etc/modules-load.d/kubernetes.conf",
                "mv /root/kw.modules /etc/modules-load.d/kubernetes.conf",
            ),
            fault(
                "machine-drift",
                W2,
                Real,
                "cp -p /etc/sysctl.d/99-kubernetes.conf /root/kw.sysctl; sed -i '/bridge-nf-call-ip6tables/d' /etc/sysctl.d/99-kubernetes.conf",
                "mv /root/kw.sysctl /etc/sysctl.d/99-kubernetes.conf",
            ),
            fault(
                "machine-sysctl",
                W1,
                Real,
                "sysctl -qw net.bridge.bridge-nf-call-ip6tables=0",
                "sysctl -qw net.bridge.bridge-nf-call-ip6tables=1",
            ),
            fault(
                "machine-sysctl-boot",
                W1,
                Real,
                "echo 'net.ipv4.ip_forward = 0' > /etc/sysctl.d/zz-fault.conf",
                "rm /etc/sysctl.d/zz-fault.conf",
            ),
            fault("machine-swap-boot", W1, Real, "echo '/kw.swap none swap sw 0 0' >> /etc/fstab", "sed -i '/kw.swap/d' /etc/fstab"),
            fault("machine-holds", W1, Real, "apt-mark unhold -qq kubelet >/dev/null", "apt-mark hold -qq kubelet >/dev/null"),
            fault(
                "machine-unattended",
                W1,
                Real,
                "mv /etc/apt/apt.conf.d/52kubewright-hold /root/",
                "mv /root/52kubewright-hold /etc/apt/apt.conf.d/",
            ),
            fault("machine-reboot", W1, Real, "touch /run/reboot-required", "rm /run/reboot-required"),
            fault(
                "machine-dns",
                W1,
                Real,
                "cp /etc/resolv.conf /root/kw.resolv; echo 'nameserver 127.0.0.53' > /etc/resolv.conf",
                "cat /root/kw.resolv > /etc/resolv.conf; rm /root/kw.resolv",
            ),
            fault(
                "machine-disk",
                W1,
                Real,
                "mkdir -p /var/lib/etcd; mount -t tmpfs -o size=32m tmpfs /var/lib/etcd; head -c 33000000 /dev/zero > /var/lib/etcd/fill || true",
                "umount /var/lib/etcd; rmdir /var/lib/etcd",
            ),
            fault(
                "machine-inodes",
                W2,
                Real,
                "mkdir -p /var/lib/etcd; mount -t tmpfs -o size=32m,nr_inodes=20 tmpfs /var/lib/etcd; for i in $(seq 30); do touch /var/lib/etcd/$i || true; done",
                "umount /var/lib/etcd; rmdir /var/lib/etcd",
            ),
            fault("runtime-kubelet", W1, Real, "systemctl -q disable kubelet", "systemctl -q enable kubelet"),
            fault("runtime-containerd", W2, Real, "systemctl -q disable containerd", "systemctl -q enable containerd"),
            fault(
                "runtime-socket",
                W1,
                Real,
                "sed -i 's#run/containerd/containerd.sock#run/other/other.sock#' /var/lib/kubelet/config.yaml",
                "sed -i 's#run/other/other.sock#run/containerd/containerd.sock#' /var/lib/kubelet/config.yaml",
            ),
            fault(
                "runtime-cgroup-driver",
                W1,
                Real,
                "sed -i 's/SystemdCgroup = true/SystemdCgroup = false/' /etc/containerd/config.toml",
                "sed -i 's/SystemdCgroup = false/SystemdCgroup = true/' /etc/containerd/config.toml",
            ),
            fault(
                "runtime-sandbox-image",
                W2,
                Real,
                "sed -i 's#/pause:#/pause:fault-#' /etc/containerd/config.toml",
                "sed -i 's#/pause:fault-#/pause:#' /etc/containerd/config.toml",
            ),
            fault(
                "runtime-log-rotation",
                W1,
                Real,
                "mkdir -p /var/log/pods/kw; truncate -s 101M /var/log/pods/kw/0.log",
                "rm -rf /var/log/pods/kw",
            ),
            fault(
                "runtime-kubelet-health",
                W1,
                Real,
                "nft 'add table ip kwh; add chain ip kwh out { type filter hook output priority 0; }; add rule ip kwh out tcp dport 10248 reject'",
                "nft delete table ip kwh",
            ),
            fault(
                "runtime-registry",
                W2,
                Real,
                "nft 'add table ip kwh; add chain ip kwh out { type filter hook output priority 0; }; add rule ip kwh out tcp dport { 80, 443, 5000 } reject'",
                "nft delete table ip kwh",
            ),
            fault(
                "kubernetes-certificates",
                W1,
                Real,
                "printf '%s' \"$EXPIRED\" > /etc/kubernetes/pki/kw-fault.crt",
                "rm /etc/kubernetes/pki/kw-fault.crt",
            ),
            fault(
                "kubernetes-served-certificates",
                W2,
                Real,
                "cd /root; openssl req -x509 -newkey rsa:2048 -nodes -keyout kw.key -out kw.crt -days 5 -subj /CN=fault 2>/dev/null; systemd-run --quiet --collect --unit=kw-serve openssl s_server -quiet -accept 19250 -cert /root/kw.crt -key /root/kw.key; nft 'add table ip kwn; add chain ip kwn out { type nat hook output priority -100; }; add rule ip kwn out tcp dport 10250 redirect to :19250'",
                "nft delete table ip kwn; systemctl stop kw-serve; rm /root/kw.key /root/kw.crt",
            ),
            fault(
                "kubernetes-certificate-stale",
                CP,
                Substituted,
                "openssl req -x509 -newkey rsa:2048 -nodes -keyout /root/kw.key -out /root/kw.crt -days 300 -subj /CN=fault 2>/dev/null; mount --bind /root/kw.crt /etc/kubernetes/pki/apiserver.crt",
                "umount /etc/kubernetes/pki/apiserver.crt; rm /root/kw.key /root/kw.crt",
            ),
            fault(
                "machine-clocksource",
                W1,
                Substituted,
                "echo acpi_pm > /root/kw.clock; mount --bind /root/kw.clock /sys/devices/system/clocksource/clocksource0/current_clocksource",
                "umount /sys/devices/system/clocksource/clocksource0/current_clocksource",
            ),
            fault(
                "machine-memory",
                W2,
                Substituted,
                "sed 's/^MemAvailable:.*/MemAvailable: 1000 kB/' /proc/meminfo > /root/kw.mem; mount --bind /root/kw.mem /proc/meminfo",
                "umount /proc/meminfo",
            ),
            fault(
                "machine-swap",
                W1,
                Substituted,
                "printf 'Filename Type Size Used Priority\\n/kw.swap file 1 0 -2\\n' > /root/kw.swaps; mount --bind /root/kw.swaps /proc/swaps",
                "umount /proc/swaps",
            ),
            fault(
                "machine-conntrack",
                W1,
                Substituted,
                "cat /proc/sys/net/netfilter/nf_conntrack_max > /root/kw.ct; mount --bind /root/kw.ct /proc/sys/net/netfilter/nf_conntrack_count",
                "umount /proc/sys/net/netfilter/nf_conntrack_count",
            ),
            fault(
                "machine-inotify",
                W1,
                Substituted,
                "echo 64 > /root/kw.ino; mount --bind /root/kw.ino /proc/sys/fs/inotify/max_user_instances",
                "umount /proc/sys/fs/inotify/max_user_instances",
            ),
            fault(
                "machine-modules",
                W2,
                Substituted,
                "grep -v overlay /proc/filesystems > /root/kw.fs; mount --bind /root/kw.fs /proc/filesystems; mount -t tmpfs tmpfs /sys/module",
                "umount /sys/module; umount /proc/filesystems",
            ),
            fault(
                "machine-time",
                W1,
                Substituted,
                "printf '#!/bin/sh\\nexec /bin/date -d \"+2 min\" \"$@\"\\n' > /usr/local/bin/date; chmod 755 /usr/local/bin/date",
                "rm /usr/local/bin/date",
            ),
            fault(
                "machine-cpu-steal",
                W2,
                Substituted,
                "printf '#!/bin/sh\\ncase \"$*\" in *stat) set -- $(/bin/date +%%s%%N); echo \"cpu 0 0 0 0 0 0 0 $1 0 0\";; *) exec /usr/bin/head \"$@\";; esac\\n' > /usr/local/bin/head; chmod 755 /usr/local/bin/head",
                "rm /usr/local/bin/head",
            ),
            fault(
                "machine-packages",
                W2,
                Substituted,
                "printf '#!/bin/sh\\n/usr/bin/dpkg-query \"$@\" | sed \"s/^kubelet [^ ]*/kubelet 9.9.9-1/\"\\n' > /usr/local/bin/dpkg-query; chmod 755 /usr/local/bin/dpkg-query",
                "rm /usr/local/bin/dpkg-query",
            ),
            fault(
                "runtime-versions",
                W1,
                Substituted,
                "printf '#!/bin/sh\\n[ \"$1\" = --version ] && echo \"containerd x v1.6.20 y\" || exec /usr/bin/containerd \"$@\"\\n' > /usr/local/bin/containerd; chmod 755 /usr/local/bin/containerd",
                "rm /usr/local/bin/containerd",
            ),
            fault("machine-ntp", W1, Substituted, "mv /.dockerenv /root/kw.dockerenv", "mv /root/kw.dockerenv /.dockerenv"),
        ],
    },
    Batch {
        name: "objects of the cluster",
        also: &[],
        shown: "[ $(kubectl -n kube-system get pod kw-crash -o 'jsonpath={.status.containerStatuses[0].restartCount}') -ge 2 ] && [ -n \"$(kubectl -n kube-system get pod kw-crash -o 'jsonpath={.status.containerStatuses[0].lastState.terminated.exitCode}')\" ] && kubectl get pod kw-oom -o yaml | grep -q OOMKilled && kubectl get pod kw-evicted -o yaml | grep -q 'reason: Evicted' && kubectl get pod kw-web -o yaml | grep -qE 'ErrImagePull|ImagePullBackOff' && [ $(($(date +%s) - $(date -d \"$(kubectl get csr kw -o 'jsonpath={.metadata.creationTimestamp}')\" +%s))) -gt 32 ] && [ \"$(kubectl -n kube-system get deploy coredns -o 'jsonpath={.status.availableReplicas}')\" = 1 ]",
        healed: "[ \"$(kubectl -n kube-system get deploy coredns -o 'jsonpath={.status.availableReplicas}')\" = 2 ] && [ \"$(kubectl -n kube-system get pods -l k8s-app=kube-dns --no-headers | wc -l)\" = 2 ] && [ \"$(kubectl -n kube-system get pods -l k8s-app=kube-dns -o 'jsonpath={range .items[*]}{.spec.nodeName}{\"\\n\"}{end}' | sort -u | wc -l)\" = 2 ] && ! kubectl get pods -A -o wide --no-headers | grep -E 'worker-9|kw-'",
        faults: &[
            fault(
                "kubernetes-csrs",
                CP,
                Real,
                "r=$(openssl req -new -newkey rsa:2048 -nodes -keyout /dev/null -subj /CN=kw 2>/dev/null | base64 -w0); printf '{\"apiVersion\":\"certificates.k8s.io/v1\",\"kind\":\"CertificateSigningRequest\",\"metadata\":{\"name\":\"kw\"},\"spec\":{\"request\":\"%s\",\"signerName\":\"kubernetes.io/kube-apiserver-client\",\"usages\":[\"client auth\"]}}' $r | kubectl apply -f - >/dev/null",
                "kubectl delete csr kw >/dev/null",
            ),
            fault(
                "kubernetes-restarts",
                CP,
                Real,
                "kubectl -n kube-system run kw-crash --image=registry.k8s.io/kubewright/probe:v1 --image-pull-policy=IfNotPresent -- bogus >/dev/null",
                "kubectl -n kube-system delete pod kw-crash --force --grace-period=0 >/dev/null 2>&1",
            ),
            fault(
                "runtime-oom",
                CP,
                Real,
                "printf '{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"kw-oom\"},\"spec\":{\"restartPolicy\":\"Never\",\"containers\":[{\"name\":\"x\",\"image\":\"registry.k8s.io/kubewright/probe:v1\",\"imagePullPolicy\":\"IfNotPresent\",\"args\":[\"check\",\"tcp\",\"10.96.0.1:443\",\"--size\",\"400000000\"],\"resources\":{\"limits\":{\"memory\":\"24Mi\"}}}]}}' | kubectl apply -f - >/dev/null",
                "kubectl delete pod kw-oom --force --grace-period=0 >/dev/null 2>&1",
            ),
            fault(
                "kubernetes-workloads",
                CP,
                Real,
                "kubectl run kw-web --image=registry.invalid/nope:1 >/dev/null",
                "kubectl delete pod kw-web --force --grace-period=0 >/dev/null 2>&1",
            ),
            fault("kubernetes-pod-security", CP, Real, "true", "true"),
            fault(
                "kubernetes-system-pods",
                CP,
                Real,
                "kubectl -n kube-system run kw-sys --image=registry.invalid/nope:1 >/dev/null",
                "kubectl -n kube-system delete pod kw-sys --force --grace-period=0 >/dev/null 2>&1",
            ),
            // kubelet evicts a pod that outgrows its emptyDir.
            fault(
                "kubernetes-evicted",
                CP,
                Real,
                "i=$(kubectl -n kube-flannel get ds kube-flannel-ds -o 'jsonpath={.spec.template.spec.containers[0].image}'); printf '{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"kw-evicted\"},\"spec\":{\"terminationGracePeriodSeconds\":0,\"volumes\":[{\"name\":\"d\",\"emptyDir\":{\"sizeLimit\":\"1Mi\"}}],\"initContainers\":[{\"name\":\"fill\",\"image\":\"%s\",\"command\":[\"cp\",\"-f\",\"/opt/bin/flanneld\",\"/d/fill\"],\"volumeMounts\":[{\"name\":\"d\",\"mountPath\":\"/d\"}]}],\"containers\":[{\"name\":\"x\",\"image\":\"registry.k8s.io/kubewright/probe:v1\",\"imagePullPolicy\":\"IfNotPresent\",\"args\":[\"serve\"],\"volumeMounts\":[{\"name\":\"d\",\"mountPath\":\"/d\"}]}]}}' $i | kubectl apply -f - >/dev/null",
                "kubectl delete pod kw-evicted --force --grace-period=0 >/dev/null 2>&1",
            ),
            fault(
                "kubernetes-coredns",
                CP,
                Real,
                "kubectl -n kube-system set image deploy/coredns coredns=registry.invalid/nope:1 >/dev/null",
                "kubectl -n kube-system rollout undo deploy/coredns >/dev/null",
            ),
            fault(
                "kubernetes-tokens",
                CP,
                Real,
                "kubeadm token create abcdef.0123456789abcdef --ttl 24h >/dev/null 2>&1",
                "kubeadm token delete abcdef >/dev/null 2>&1",
            ),
            fault(
                "kubernetes-anonymous",
                CP,
                Real,
                "kubectl create clusterrolebinding kw-fault --clusterrole=view --user=system:anonymous >/dev/null",
                "kubectl delete clusterrolebinding kw-fault >/dev/null",
            ),
            fault(
                "kubernetes-node-unknown",
                CP,
                Real,
                "printf '{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"worker-9\"}}' | kubectl apply -f - >/dev/null",
                "kubectl delete node worker-9 >/dev/null; kubectl get pods -A -o wide --no-headers | awk '/worker-9/ {print $1, $2}' | while read -r n p; do kubectl -n $n delete pod $p --force --grace-period=0 >/dev/null 2>&1; done",
            ),
            fault("kubernetes-daemonsets", CP, Real, "true", "true"),
            fault("kubernetes-node-taints", CP, Real, "kubectl cordon worker-2 >/dev/null", "kubectl uncordon worker-2 >/dev/null"),
            fault(
                "network-vxlan-port",
                CP,
                Real,
                "kubectl -n kube-flannel get cm kube-flannel-cfg -o yaml | sed 's/4789/8472/g' | kubectl replace -f - >/dev/null",
                "kubectl -n kube-flannel get cm kube-flannel-cfg -o yaml | sed 's/8472/4789/g' | kubectl replace -f - >/dev/null",
            ),
            fault(
                "kubernetes-admission",
                CP,
                Real,
                "printf '{\"apiVersion\":\"admissionregistration.k8s.io/v1\",\"kind\":\"ValidatingWebhookConfiguration\",\"metadata\":{\"name\":\"kw-fault\"},\"webhooks\":[{\"name\":\"kw.example.org\",\"failurePolicy\":\"Fail\",\"sideEffects\":\"None\",\"timeoutSeconds\":1,\"admissionReviewVersions\":[\"v1\"],\"clientConfig\":{\"service\":{\"name\":\"gone\",\"namespace\":\"default\"}},\"namespaceSelector\":{\"matchLabels\":{\"kubernetes.io/metadata.name\":\"default\"}},\"rules\":[{\"apiGroups\":[\"\"],\"apiVersions\":[\"v1\"],\"operations\":[\"CREATE\"],\"resources\":[\"pods\"]}]}]}' | kubectl apply -f - >/dev/null",
                "kubectl delete validatingwebhookconfiguration kw-fault >/dev/null",
            ),
        ],
    },
    Batch {
        name: "traffic",
        also: &["network-service-vip", "network-latency", "cloud-firewall", "cloud-drift"],
        shown: "true",
        healed: "true",
        faults: &[
            fault(
                "network-pod-udp",
                W2,
                Real,
                "nft \"add table ip kwf; add chain ip kwf in { type filter hook prerouting priority -160; }; add rule ip kwf in ip saddr $W1 udp dport 4789 drop\"",
                "nft delete table ip kwf",
            ),
            fault("network-pod-tcp", W2, Real, "true", "true"),
            fault("network-pod-mtu", W2, Real, "true", "true"),
            fault(
                "network-nodeport",
                W1,
                Real,
                "nft \"add table ip kwf; add chain ip kwf in { type filter hook prerouting priority -160; }; add rule ip kwf in iifname eth0 ip saddr $CP tcp dport 30000-32767 drop\"",
                "nft delete table ip kwf",
            ),
            fault(
                "network-kubelet-port",
                W2,
                Real,
                "nft \"add table ip kwk; add chain ip kwk in { type filter hook prerouting priority -160; }; add rule ip kwk in ip saddr $CP tcp dport 10250 drop\"",
                "nft delete table ip kwk",
            ),
            fault(
                "network-api-port",
                W1,
                Real,
                "nft 'add table ip kwa; add chain ip kwa in { type filter hook prerouting priority -160; }; add rule ip kwa in iifname cni0 tcp dport 6443 drop'",
                "nft delete table ip kwa",
            ),
            fault(
                "network-dns-cluster",
                W1,
                Real,
                "nft 'add table ip kwd; add chain ip kwd in { type filter hook prerouting priority -160; }; add rule ip kwd in iifname cni0 meta l4proto { tcp, udp } th dport 53 drop'",
                "nft delete table ip kwd",
            ),
            fault("network-dns-external", W1, Real, "true", "true"),
            fault("network-dns-pods", W1, Real, "true", "true"),
            fault(
                "network-egress",
                W2,
                Real,
                "nft 'add table ip kwe; add chain ip kwe in { type filter hook prerouting priority -160; }; add rule ip kwe in iifname cni0 ip daddr != { 10.96.0.0/12, 10.244.0.0/16 } tcp dport { 80, 443 } drop'",
                "nft delete table ip kwe",
            ),
            fault(
                "network-hairpin",
                W2,
                Real,
                "sed -i 's/\"hairpinMode\": *true/\"hairpinMode\": false/' /etc/cni/net.d/10-flannel.conflist; sleep 1",
                "sed -i 's/\"hairpinMode\": *false/\"hairpinMode\": true/' /etc/cni/net.d/10-flannel.conflist; sleep 1",
            ),
            fault(
                "network-etcd-closed",
                CP,
                Real,
                "nft insert rule inet kubewright_sg ingress tcp dport 2379 accept 2>/dev/null || nft delete table ip fw",
                "h=$(nft -a list chain inet kubewright_sg ingress 2>/dev/null | awk '/tcp dport 2379 accept # handle/ {print $NF; exit}'); if [ -n \"$h\" ]; then nft delete rule inet kubewright_sg ingress handle $h; else nft 'add table ip fw; add chain ip fw in { type filter hook prerouting priority -150; }; add rule ip fw in iifname eth0 tcp dport 2379 drop'; fi",
            ),
            fault("cloud-firewall", CP, Real, "true", "true"),
            fault(
                "network-throughput",
                CP,
                Real,
                "tc qdisc add dev flannel.1 root tbf rate 2mbit burst 32kb latency 400ms",
                "tc qdisc del dev flannel.1 root",
            ),
            fault("network-mtu", CP, Real, "ip link set flannel.1 mtu 1300", "ip link set flannel.1 mtu 1450"),
            fault(
                "network-vxlan-peers",
                CP,
                Real,
                "bridge fdb show dev flannel.1 | grep \"dst $W2 \" > /root/kw.fdb; set -- $(cat /root/kw.fdb); bridge fdb del $1 dev flannel.1 dst $W2 self",
                "set -- $(cat /root/kw.fdb); bridge fdb replace $1 dev flannel.1 dst $W2 self permanent; rm /root/kw.fdb",
            ),
        ],
    },
    Batch {
        name: "a frozen worker and a missing scheduler",
        also: &[
            "network-*",
            "kubernetes-node-taints",
            "kubernetes-restarts",
            "machine-drift",
            "machine-disk",
            "runtime-kubelet-health",
            "kubernetes-served-certificates",
            "kubernetes-daemonsets",
            "kubernetes-system-pods",
            "kubernetes-coredns",
        ],
        shown: "! kubectl -n kube-system get pod kube-scheduler-control-plane-1 >/dev/null 2>&1",
        healed: "[ \"$(kubectl get nodes --no-headers | grep -cw NotReady)\" = 0 ] && kubectl -n kube-system get pod kube-scheduler-control-plane-1 --no-headers | grep -q 1/1 && ! kubectl get node worker-2 -o yaml | grep -q v1.0.0 && [ \"$(kubectl -n kube-flannel get ds kube-flannel-ds -o 'jsonpath={.status.numberReady}')\" = \"$(kubectl -n kube-flannel get ds kube-flannel-ds -o 'jsonpath={.status.desiredNumberScheduled}')\" ]",
        faults: &[
            fault(
                "network-probes",
                W2,
                Real,
                "systemctl kill -s STOP kubelet",
                "systemctl kill -s CONT kubelet; systemctl restart kubelet",
            ),
            fault(
                "kubernetes-static-pods",
                CP,
                Real,
                "mv /etc/kubernetes/manifests/kube-scheduler.yaml /root/",
                "mv /root/kube-scheduler.yaml /etc/kubernetes/manifests/",
            ),
            fault(
                "kubernetes-leases",
                CP,
                Real,
                "until ! kubectl -n kube-system get pod kube-scheduler-control-plane-1 >/dev/null 2>&1; do sleep 0.5; done; kubectl -n kube-system patch lease kube-scheduler --type=merge -p '{\"spec\":{\"renewTime\":\"2026-01-01T00:00:00.000000Z\"}}' >/dev/null",
                "true",
            ),
            fault(
                "kubernetes-node-ready",
                CP,
                Real,
                "kubectl patch node worker-2 --subresource=status -p '{\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"False\",\"reason\":\"KubeletNotReady\",\"message\":\"container runtime is down\"}]}}' >/dev/null",
                "kubectl -n kube-flannel delete pod -l app=flannel --field-selector spec.nodeName=worker-2 --wait=false >/dev/null",
            ),
            // What a network plugin or route controller does when it fails; kubelet does not own this condition.
            fault(
                "kubernetes-node-conditions",
                CP,
                Real,
                "kubectl patch node worker-2 --subresource=status -p '{\"status\":{\"conditions\":[{\"type\":\"NetworkUnavailable\",\"status\":\"True\",\"reason\":\"NoRouteCreated\",\"message\":\"no route\"}]}}' >/dev/null",
                "kubectl patch node worker-2 --subresource=status -p '{\"status\":{\"conditions\":[{\"type\":\"NetworkUnavailable\",\"status\":\"False\",\"reason\":\"FlannelIsUp\",\"message\":\"Flannel is running on this node\"}]}}' >/dev/null",
            ),
            fault(
                "kubernetes-node-version",
                CP,
                Substituted,
                "kubectl patch node worker-2 --subresource=status -p '{\"status\":{\"nodeInfo\":{\"kubeletVersion\":\"v1.0.0\"}}}' >/dev/null",
                "true",
            ),
            fault(
                "kubernetes-pod-cidrs",
                W2,
                Real,
                "cp /run/flannel/subnet.env /root/kw.subnet; sed -i 's#^FLANNEL_SUBNET=.*#FLANNEL_SUBNET=10.244.99.1/24#' /run/flannel/subnet.env",
                "cat /root/kw.subnet > /run/flannel/subnet.env; rm /root/kw.subnet",
            ),
            fault(
                "network-vxlan-address",
                W2,
                Real,
                "ip link del flannel.1; ip link add flannel.1 type vxlan id 1 local 192.0.2.1 dev eth0 dstport 4789 nolearning; ip link set flannel.1 up",
                "ip link del flannel.1; pkill -x flanneld || true",
            ),
            fault(
                "runtime-image-disk",
                W2,
                Real,
                "mount -t tmpfs -o size=32m tmpfs /var/lib/containerd; head -c 33000000 /dev/zero > /var/lib/containerd/fill || true",
                "umount /var/lib/containerd",
            ),
            fault("network-cni", W2, Real, "echo '{}' > /etc/cni/net.d/05-fault.conflist", "rm /etc/cni/net.d/05-fault.conflist"),
        ],
    },
    Batch {
        name: "no kube-proxy on a worker, an etcd that is not well",
        also: &["network-*", "machine-drift"],
        shown: "true",
        healed: "true",
        faults: &[
            fault(
                "network-kube-proxy",
                W2,
                Real,
                "pkill -STOP -x kube-proxy; nft delete table ip kube-proxy",
                "pkill -CONT -x kube-proxy; until [ $(nft list table ip kube-proxy 2>/dev/null | wc -l) -gt 20 ]; do sleep 0.5; done",
            ),
            fault("network-service-vip", W2, Real, "true", "true"),
            fault(
                "kubernetes-etcd-health",
                CP,
                Substituted,
                "printf '#!/bin/sh\\nread -r method path rest\\ncase $path in /health*) b=\\047{\"health\":\"false\",\"reason\":\"ALARM NOSPACE\"}\\047;; *) b=$(cat /root/kw.metrics);; esac\\nprintf \"HTTP/1.1 200 OK\\\\r\\\\nConnection: close\\\\r\\\\nContent-Length: %%s\\\\r\\\\n\\\\r\\\\n%%s\" ${#b} \"$b\"\\n' > /root/kw-etcd.sh; chmod 755 /root/kw-etcd.sh; printf 'etcd_server_has_leader 0\\netcd_server_quota_backend_bytes 100\\netcd_mvcc_db_total_size_in_bytes 99\\netcd_network_peer_round_trip_time_seconds_count{To=\"x\"} 1\\netcd_disk_wal_fsync_duration_seconds_bucket{le=\"1\"} 1\\netcd_disk_wal_fsync_duration_seconds_count 1\\netcd_disk_backend_commit_duration_seconds_bucket{le=\"1\"} 1\\netcd_disk_backend_commit_duration_seconds_count 1\\n' > /root/kw.metrics; systemd-run --quiet --collect --unit=kw-etcd socat TCP-LISTEN:19381,fork,reuseaddr EXEC:/root/kw-etcd.sh; nft 'add table ip kwn; add chain ip kwn out { type nat hook output priority -100; }; add rule ip kwn out tcp dport 2381 redirect to :19381'",
                "nft delete table ip kwn; systemctl stop kw-etcd; rm /root/kw-etcd.sh /root/kw.metrics",
            ),
            fault("kubernetes-etcd-leader", CP, Substituted, "true", "true"),
            fault("kubernetes-etcd-members", CP, Substituted, "true", "true"),
            fault("kubernetes-etcd-size", CP, Substituted, "true", "true"),
            fault("kubernetes-etcd-disk", CP, Substituted, "true", "true"),
        ],
    },
    Batch {
        name: "a machine that cannot be reached",
        also: &["*"],
        shown: "true",
        healed: "true",
        faults: &[fault(
            "machine-reachable",
            W1,
            Real,
            "systemctl stop ssh ssh.socket 2>/dev/null || systemctl stop ssh; pkill -x sshd || true",
            "systemctl start ssh",
        )],
    },
];
