//! What goes wrong with the API, etcd and kube-proxy.

use super::{
    Batch, CP,
    How::{Real, Substituted},
    W1, W2, fault, named,
};

pub const PROXY: Batch = Batch {
    name: "no kube-proxy on a worker, an etcd that is not well",
    long: false,
    only: None,
    also: &["network-*", "machine-drift"],
    shown: "true",
    healed: "true",
    faults: &[
        named(
            "network-kube-proxy",
            W2,
            Real,
            "worker-2",
            "pkill -STOP -x kube-proxy; nft delete table ip kube-proxy",
            "pkill -CONT -x kube-proxy; until [ $(nft list table ip kube-proxy 2>/dev/null | wc -l) -gt 20 ]; do sleep 0.5; done",
        ),
        fault("network-service-vip", W2, Real, "true", "true"),
        fault(
            "kubernetes-etcd-leader",
            CP,
            Substituted,
            "printf '#!/bin/sh\\nread -r method path rest\\ncase $path in /health*) b=\\047{\"health\":\"true\",\"reason\":\"\"}\\047;; *) b=$(cat /root/kw.metrics);; esac\\nprintf \"HTTP/1.1 200 OK\\\\r\\\\nConnection: close\\\\r\\\\nContent-Length: %%s\\\\r\\\\n\\\\r\\\\n%%s\" ${#b} \"$b\"\\n' > /root/kw-etcd.sh; chmod 755 /root/kw-etcd.sh; printf 'etcd_server_has_leader 0\\netcd_server_quota_backend_bytes 100\\netcd_mvcc_db_total_size_in_bytes 99\\netcd_network_peer_round_trip_time_seconds_count{To=\"x\"} 1\\netcd_disk_wal_fsync_duration_seconds_bucket{le=\"1\"} 1\\netcd_disk_wal_fsync_duration_seconds_count 1\\netcd_disk_backend_commit_duration_seconds_bucket{le=\"1\"} 1\\netcd_disk_backend_commit_duration_seconds_count 1\\n' > /root/kw.metrics; systemd-run --quiet --collect --unit=kw-etcd socat TCP-LISTEN:19381,fork,reuseaddr EXEC:/root/kw-etcd.sh; nft 'add table ip kwn; add chain ip kwn out { type nat hook output priority -100; }; add rule ip kwn out tcp dport 2381 redirect to :19381'",
            "nft delete table ip kwn; systemctl stop kw-etcd; rm /root/kw-etcd.sh /root/kw.metrics",
        ),
        fault("kubernetes-etcd-size", CP, Substituted, "true", "true"),
        fault("kubernetes-etcd-disk", CP, Substituted, "true", "true"),
        // A relay that takes 60 ms; there is no netem in every kernel.
        named(
            "network-latency",
            W1,
            Substituted,
            "worker-1 →",
            "systemd-run --quiet --collect --unit=kw-relay socat -T2 UDP4-RECVFROM:18081,fork,reuseaddr SYSTEM:'sleep 0.06; cat'; nft 'add table ip kwl; add chain ip kwl in { type nat hook prerouting priority -110; }; add rule ip kwl in iifname cni0 udp dport 8081 redirect to :18081'",
            "nft delete table ip kwl; systemctl stop kw-relay",
        ),
    ],
};

pub const ALARM: Batch = Batch {
    name: "an etcd with an alarm",
    long: false,
    only: Some("kubernetes"),
    also: &[],
    shown: "true",
    healed: "true",
    // No longer than it must be: nothing can be written meanwhile.
    faults: &[named(
        "kubernetes-etcd-health",
        CP,
        Real,
        "NOSPACE",
        "alarm() { curl -sf --cacert /etc/kubernetes/pki/etcd/ca.crt --cert /etc/kubernetes/pki/etcd/server.crt --key /etc/kubernetes/pki/etcd/server.key https://127.0.0.1:2379/v3/maintenance/alarm -d \"$1\"; }; m=$(alarm '{\"action\":\"GET\"}' | sed 's/.*\"member_id\":\"\\([0-9]*\\)\".*/\\1/'); alarm '{\"action\":\"ACTIVATE\",\"memberID\":\"'$m'\",\"alarm\":\"NOSPACE\"}' >/dev/null",
        "alarm() { curl -sf --cacert /etc/kubernetes/pki/etcd/ca.crt --cert /etc/kubernetes/pki/etcd/server.crt --key /etc/kubernetes/pki/etcd/server.key https://127.0.0.1:2379/v3/maintenance/alarm -d \"$1\"; }; m=$(alarm '{\"action\":\"GET\"}' | sed 's/.*\"member_id\":\"\\([0-9]*\\)\".*/\\1/'); alarm '{\"action\":\"DEACTIVATE\",\"memberID\":\"'$m'\",\"alarm\":\"NOSPACE\"}' >/dev/null",
    )],
};

pub const SLOW: Batch = Batch {
    name: "an API server that gets no CPU",
    long: false,
    only: Some("kubernetes"),
    also: &[],
    shown: "true",
    healed: "true",
    faults: &[named(
        "kubernetes-api-latency",
        CP,
        Real,
        "p99",
        "systemd-run --quiet --collect --unit=kw-stutter sh -c 'while :; do pkill -STOP -x kube-apiserver; sleep 1.5; pkill -CONT -x kube-apiserver; sleep 0.015; done'",
        "systemctl stop kw-stutter; pkill -CONT -x kube-apiserver",
    )],
};

pub const REFUSED: Batch = Batch {
    name: "an API that refuses the operator",
    long: false,
    only: Some("kubernetes"),
    also: &["kubernetes-*"],
    shown: "true",
    healed: "true",
    faults: &[named(
        "kubernetes-api",
        CP,
        Real,
        "cluster",
        "nft \"add table ip kwo; add chain ip kwo out { type filter hook output priority 0; }; add rule ip kwo out meta skuid $(id -u ubuntu) tcp dport 6443 reject with tcp reset\"",
        "nft delete table ip kwo",
    )],
};
