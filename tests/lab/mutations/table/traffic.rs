//! What goes wrong on the data path.

use super::{Batch, CP, How::Real, W1, W2, W3, fault, named};

pub const TRAFFIC: Batch = Batch {
    name: "traffic",
    long: false,
    only: None,
    also: &[
        "network-service-vip",
        "network-latency",
        // Its VXLAN address is unknown to the control plane, and worker-1 hears nothing of it.
        "network-*@worker-2",
        "network-nodeport@→ control-plane-1",
        // Names, where one of CoreDNS' pods stands on worker-2.
        "network-dns-*@control-plane-1",
        "network-egress@control-plane-1",
        // It resolves no names.
        "network-egress@worker-1",
    ],
    shown: "true",
    healed: "true",
    faults: &[
        named(
            "network-nodeport",
            W1,
            Real,
            "→ worker-1",
            "nft \"add table ip kwf; add chain ip kwf in { type filter hook prerouting priority -160; }; add rule ip kwf in iifname eth0 ip saddr $CP tcp dport 30000-32767 drop\"",
            "nft delete table ip kwf",
        ),
        named(
            "network-kubelet-port",
            W2,
            Real,
            "control-plane-1 → worker-2",
            "nft \"add table ip kwk; add chain ip kwk in { type filter hook prerouting priority -160; }; add rule ip kwk in ip saddr $CP tcp dport 10250 drop\"",
            "nft delete table ip kwk",
        ),
        named(
            "network-api-port",
            W1,
            Real,
            "worker-1 →",
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
            "network-vxlan-peers",
            CP,
            Real,
            "bridge fdb show dev flannel.1 | grep \"dst $W2 \" > /root/kw.fdb; set -- $(cat /root/kw.fdb); bridge fdb del $1 dev flannel.1 dst $W2 self",
            "set -- $(cat /root/kw.fdb); bridge fdb replace $1 dev flannel.1 dst $W2 self permanent; rm /root/kw.fdb",
        ),
        named(
            "network-pod-udp",
            W2,
            Real,
            "worker-1 → worker-2",
            "nft \"add table ip kwf; add chain ip kwf in { type filter hook prerouting priority -160; }; add rule ip kwf in ip saddr $W1 udp dport 4789 drop\"",
            "nft delete table ip kwf",
        ),
        named("network-pod-udp", W2, Real, "worker-2 → worker-1", "true", "true"),
        named("network-pod-tcp", W2, Real, "worker-1 → worker-2", "true", "true"),
        named("network-pod-tcp", W2, Real, "worker-2 → worker-1", "true", "true"),
        named("network-pod-mtu", W2, Real, "worker-1 → worker-2", "true", "true"),
        named("network-pod-mtu", W2, Real, "worker-2 → worker-1", "true", "true"),
        named(
            "network-etcd-ports",
            CP,
            Real,
            "control-plane-1",
            "nft insert rule inet kubewright_sg ingress tcp dport 2379 accept",
            "nft delete rule inet kubewright_sg ingress handle $(nft -a list chain inet kubewright_sg ingress | awk '/tcp dport 2379 accept # handle/ {print $NF; exit}')",
        ),
        named(
            "network-outside",
            CP,
            Real,
            "10256",
            "nft insert rule inet kubewright_sg ingress tcp dport 10256 accept",
            "nft delete rule inet kubewright_sg ingress handle $(nft -a list chain inet kubewright_sg ingress | awk '/tcp dport 10256 accept # handle/ {print $NF; exit}')",
        ),
        named(
            "network-ssh-ports",
            W2,
            Real,
            "→ worker-2",
            "nft insert rule inet kubewright_sg ingress tcp dport 22 accept",
            "nft delete rule inet kubewright_sg ingress handle $(nft -a list chain inet kubewright_sg ingress | awk '/tcp dport 22 accept # handle/ {print $NF; exit}')",
        ),
        named("cloud-firewall", CP, Real, "control-plane-1", "true", "true"),
        named("cloud-firewall", W2, Real, "worker-2", "true", "true"),
    ],
};

pub const SIZES: Batch = Batch {
    name: "checksums, sizes and speed",
    long: false,
    only: None,
    // What one of the Services' pods on the node with the bad checksums brings along.
    also: &["network-*@worker-3", "network-service-vip", "network-dns-*", "network-egress", "network-nodeport", "network-latency"],
    shown: "true",
    healed: "true",
    faults: &[
        // The inner checksum of what leaves is wrong, as with a network card that computes it wrongly.
        fault(
            "network-checksum",
            W3,
            Real,
            "ethtool -K flannel.1 tx-checksum-ip-generic off >/dev/null; nft 'add table ip kwc; add chain ip kwc out { type filter hook output priority 0; }; add rule ip kwc out udp dport 4789 @th,312,8 17 @th,448,16 set 0x1234; add rule ip kwc out udp dport 4789 @th,312,8 6 @th,528,16 set 0x1234'",
            "nft delete table ip kwc; ethtool -K flannel.1 tx-checksum-ip-generic on >/dev/null",
        ),
        named("network-mtu", W3, Real, "flannel.1 1300", "ip link set flannel.1 mtu 1300", "ip link set flannel.1 mtu 1450"),
        named(
            "network-throughput",
            CP,
            Real,
            "control-plane-1",
            "tc qdisc add dev flannel.1 root tbf rate 2mbit burst 32kb latency 400ms",
            "tc qdisc del dev flannel.1 root",
        ),
        // A hole for large packets only.
        named(
            "network-pod-mtu",
            CP,
            Real,
            "worker-2 → control-plane-1",
            "nft \"add table ip kwm; add chain ip kwm in { type filter hook prerouting priority -160; }; add rule ip kwm in ip saddr $W2 udp dport 4789 meta length gt 1300 drop\"",
            "nft delete table ip kwm",
        ),
        named("network-pod-mtu", CP, Real, "control-plane-1 → worker-2", "true", "true"),
        named("network-pod-udp", W3, Real, "worker-3", "true", "true"),
        named("network-pod-tcp", W3, Real, "worker-3", "true", "true"),
    ],
};
