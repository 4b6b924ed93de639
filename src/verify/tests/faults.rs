//! A fault for each check.

use super::{
    super::{probe::BadChecksums, run::Drift},
    edits::{
        Fault, certificate, change_node, change_pod, cloud, edit, edit_on, fails, fails_on, host, metrics, new_pod, on_aws, pod,
        provider_says, two_control_planes,
    },
};
use crate::infra::Aspect;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use serde_json::json;

/// Check, fault, and what else may be red because of the same fault.
pub(super) const FAULTS: &[(&str, &[&str], Fault)] = &[
    ("machine-reachable", &["*"], |c| host(c, "worker-1").seen = Err("connection refused".into())),
    ("machine-time", &[], |c| host(c, "worker-1").seen.as_mut().unwrap().clock_offset = Some(7.0)),
    ("machine-disk", &[], |c| edit(c, "df", "61264211968      38% /\n", "100000000      99% /\n")),
    ("runtime-image-disk", &["machine-disk"], |c| edit(c, "df", "61264211968      38% /var\n", "100000000      99% /var\n")),
    ("machine-inodes", &[], |c| edit(c, "dfi", "15927896", "12")),
    ("machine-memory", &[], |c| edit(c, "meminfo", "", "MemTotal:  2000000 kB\nMemFree: 1 kB\nMemAvailable: 20000 kB\n")),
    ("machine-cpu-steal", &[], |c| {
        edit(c, "stat", "", "cpu  0 0 0 0 0 0 0 0 0 0\n");
        edit(c, "stat2", "", "cpu  50 0 0 0 0 0 0 50 0 0\n");
    }),
    ("machine-failed-units", &[], |c| edit(c, "failed", "", "foo.service loaded failed failed Foo\n")),
    ("machine-dns", &[], |c| edit(c, "resolv", "", "nameserver 127.0.0.53\n")),
    ("machine-names", &[], |c| edit(c, "names", "api.lab.internal 10.0.0.10", "api.lab.internal")),
    ("machine-clocksource", &[], |c| edit(c, "clocksource", "", "acpi_pm\n")),
    ("machine-ntp", &[], |c| edit(c, "ntp", "container", "")),
    ("machine-drift", &[], |c| {
        c.drift = Some(Ok(vec![Drift { host: "worker-1".into(), what: "Forward packets".into(), diff: "-1\n+0".into(), unseen: false }]));
    }),
    ("machine-file-modes", &[], |c| {
        edit_on(c, "control-plane-1", "modes", "600 root /etc/kubernetes/admin.conf", "644 root /etc/kubernetes/admin.conf");
    }),
    ("machine-modules", &[], |c| edit(c, "modules", "overlay loaded", "overlay missing")),
    ("machine-modules-boot", &[], |c| edit(c, "modules-files", "overlay\n", "")),
    ("machine-sysctl", &[], |c| edit(c, "sysctl", "net/ipv4/ip_forward:1", "net/ipv4/ip_forward:0")),
    ("machine-sysctl-boot", &[], |c| edit(c, "sysctl-files", "net.ipv4.ip_forward = 1", "net.ipv4.ip_forward = 0")),
    ("machine-swap", &[], |c| edit(c, "swaps", "Priority\n", "Priority\n/swapfile file 1 0 -2\n")),
    ("machine-swap-boot", &[], |c| edit(c, "fstab", "", "/swapfile none swap sw 0 0\n")),
    ("machine-conntrack", &[], |c| edit(c, "sysctl", "nf_conntrack_count:", "nf_conntrack_count:26000")),
    ("machine-inotify", &[], |c| edit(c, "sysctl", "max_user_instances:8192", "max_user_instances:64")),
    ("machine-packages", &[], |c| edit(c, "packages", "kubelet 1.36.3-1.1", "kubelet 1.36.4-1.1")),
    ("machine-holds", &[], |c| edit(c, "holds", "kubelet\n", "")),
    ("machine-unattended", &[], |c| edit(c, "unattended", "Package-Blacklist", "Nothing")),
    ("machine-reboot", &[], |c| edit(c, "reboot", "", "/run/reboot-required\n")),
    ("runtime-kubelet", &[], |c| {
        let block =
            |s: &str| s.replace("SubState=running", "SubState=auto-restart").replace("ActiveState=active", "ActiveState=activating");
        let seen = host(c, "worker-1").seen.as_mut().unwrap();
        let units = seen.section("units").unwrap().to_owned();
        let (a, b) = units.split_once("\n\n").unwrap();
        let text = [a, b].map(|x| if x.contains("Id=kubelet") { block(x) } else { x.to_owned() }).join("\n\n");
        seen.set("units", &text);
    }),
    ("runtime-kubelet-health", &[], |c| host(c, "worker-1").served.kubelet_health = Err("connection refused".into())),
    ("runtime-containerd", &[], |c| {
        let seen = host(c, "worker-1").seen.as_mut().unwrap();
        let units = seen.section("units").unwrap().to_owned();
        let (a, b) = units.split_once("\n\n").unwrap();
        let text = [a, b].map(|x| if x.contains("Id=containerd") { x.replace("=enabled", "=disabled") } else { x.to_owned() }).join("\n\n");
        seen.set("units", &text);
    }),
    ("runtime-socket", &[], |c| edit(c, "socket", "socket", "")),
    ("runtime-versions", &[], |c| edit(c, "containerd-version", "2.3.7", "1.6.20")),
    ("runtime-cgroup-driver", &[], |c| edit(c, "cgroups", "/kubepods.slice/", "/kubepods/")),
    ("runtime-sandbox-image", &[], |c| edit(c, "images", "io.cri-containerd.pinned=pinned", "")),
    ("runtime-registry", &[], |c| host(c, "worker-1").served.registry = Err("10.0.0.5:5000: no route to host".into())),
    ("runtime-oom", &[], |c| {
        change_pod(c, "kube-proxy", |p| {
            p["status"]["containerStatuses"][0]["lastState"] =
                json!({"terminated": {"exitCode": 0, "reason": "OOMKilled", "finishedAt": "2026-11-21T11:00:00Z"}});
        });
    }),
    ("runtime-log-rotation", &[], |c| edit(c, "pod-logs", "", "/var/log/pods/x/0.log\n")),
    ("kubernetes-api", &[], |c| c.cluster.readyz = Err("[-]etcd failed".into())),
    ("kubernetes-api-latency", &[], |c| c.cluster.latencies.as_mut().unwrap().push(4000.0)),
    ("kubernetes-version", &[], |c| c.cluster.version = Ok("v1.35.4".into())),
    ("kubernetes-components", &[], |c| {
        change_pod(c, "kube-scheduler", |p| p["spec"]["containers"][0]["image"] = "registry.k8s.io/kube-scheduler:v1.35.4".into());
    }),
    ("kubernetes-node-ready", &[], |c| {
        change_node(c, |n| {
            let all = n["status"]["conditions"].as_array_mut().unwrap();
            all.iter_mut().find(|c| c["type"] == "Ready").unwrap()["status"] = "False".into();
        });
    }),
    ("kubernetes-node-version", &[], |c| change_node(c, |n| n["status"]["nodeInfo"]["kubeletVersion"] = "v1.35.4".into())),
    ("kubernetes-node-conditions", &[], |c| {
        change_node(c, |n| {
            let all = n["status"]["conditions"].as_array_mut().unwrap();
            all.iter_mut().find(|c| c["type"] == "DiskPressure").unwrap()["status"] = "True".into();
        });
    }),
    ("kubernetes-node-taints", &[], |c| change_node(c, |n| n["spec"]["unschedulable"] = true.into())),
    ("kubernetes-node-unknown", &["kubernetes-daemonsets"], |c| {
        let mut extra = c.cluster.nodes.as_ref().unwrap()[0].clone();
        extra.metadata.name = Some("worker-9".into());
        extra.spec = None;
        c.cluster.nodes.as_mut().unwrap().push(extra);
    }),
    ("kubernetes-pod-cidrs", &[], |c| edit(c, "flannel", "10.244.1.1/24", "10.244.7.1/24")),
    ("kubernetes-leases", &[], |c| {
        let lease = c.cluster.leases.as_mut().unwrap().iter_mut().find(|l| l.metadata.name.as_deref() == Some("kube-scheduler")).unwrap();
        lease.spec.as_mut().unwrap().renew_time = None;
    }),
    ("kubernetes-system-pods", &[], |c| change_pod(c, "kube-proxy", |p| p["status"]["containerStatuses"][0]["ready"] = false.into())),
    ("kubernetes-static-pods", &[], |c| {
        let index = pod(c, "etcd-");
        c.cluster.pods.as_mut().unwrap().remove(index);
    }),
    ("kubernetes-restarts", &[], |c| {
        change_pod(c, "kube-scheduler", |p| {
            p["status"]["containerStatuses"][0]["restartCount"] = 5.into();
            p["status"]["containerStatuses"][0]["lastState"] = json!({"terminated": {"exitCode": 1, "finishedAt": "2026-11-21T11:04:00Z"}});
        });
    }),
    ("kubernetes-daemonsets", &[], |c| {
        c.cluster.daemon_sets.as_mut().unwrap().retain(|d| d.metadata.name.as_deref() != Some("kube-proxy"));
    }),
    ("kubernetes-coredns", &[], |c| c.cluster.deployments.as_mut().unwrap()[0].status.as_mut().unwrap().available_replicas = Some(1)),
    ("kubernetes-workloads", &[], |c| {
        new_pod(
            c,
            json!({"metadata": {"name": "web", "namespace": "scratch"}, "status": {"phase": "Pending", "containerStatuses": [
        {"name": "c", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": {"waiting": {"reason": "ImagePullBackOff"}}}]}}),
        );
    }),
    ("kubernetes-evicted", &[], |c| {
        new_pod(
            c,
            json!({"metadata": {"name": "web", "namespace": "scratch"}, "status": {"phase": "Failed", "reason": "Evicted", "message": "low on disk"}}),
        );
    }),
    ("kubernetes-csrs", &[], |c| {
        let csr = json!({"metadata": {"name": "csr-1", "creationTimestamp": "2026-11-21T11:00:00Z"}, "spec": {"request": "", "signerName": "kubernetes.io/kubelet-serving"}});
        c.cluster.csrs = Ok(vec![serde_json::from_value::<CertificateSigningRequest>(csr).unwrap()]);
    }),
    ("kubernetes-tokens", &[], |c| c.cluster.tokens = Ok(vec![("abcdef".into(), None)])),
    ("kubernetes-admission", &[], |c| c.cluster.admission = Ok(Err("webhook denied".into()))),
    ("kubernetes-anonymous", &[], |c| c.cluster.anonymous = Ok(vec!["list secrets".into()])),
    ("kubernetes-pod-security", &[], |c| {
        new_pod(c, json!({"metadata": {"name": "web", "namespace": "default"}, "status": {"phase": "Running"}}));
    }),
    ("kubernetes-encryption", &[], |c| two_control_planes(c, "--encryption-provider-config=/etc/kubernetes/enc.yaml")),
    ("kubernetes-audit", &[], |c| two_control_planes(c, "--audit-log-path=/var/log/audit.log")),
    ("kubernetes-certificates", &["kubernetes-certificate-stale"], |c| {
        let seen = host(c, "control-plane-1").seen.as_mut().unwrap();
        seen.set("certificates", &format!("file /etc/kubernetes/pki/apiserver.crt\n{}", certificate(-3)));
    }),
    ("kubernetes-served-certificates", &["kubernetes-certificate-stale"], |c| {
        let pem = certificate(-3);
        let der = x509_parser::pem::Pem::iter_from_buffer(pem.as_bytes()).next().unwrap().unwrap().contents;
        let shown = &mut host(c, "control-plane-1").served.certificates;
        shown.iter_mut().find(|(p, _)| p.ends_with(":6443")).unwrap().1 = Ok(der);
    }),
    ("kubernetes-certificate-stale", &[], |c| {
        let pem = certificate(300);
        let der = x509_parser::pem::Pem::iter_from_buffer(pem.as_bytes()).next().unwrap().unwrap().contents;
        let shown = &mut host(c, "control-plane-1").served.certificates;
        shown.iter_mut().find(|(p, _)| p.ends_with(":6443")).unwrap().1 = Ok(der);
    }),
    ("kubernetes-etcd-health", &[], |c| {
        host(c, "control-plane-1").served.etcd_health = Ok(r#"{"health":"false","reason":"ALARM NOSPACE"}"#.into());
    }),
    ("kubernetes-etcd-leader", &[], |c| metrics(c, "etcd_server_has_leader 1", "etcd_server_has_leader 0")),
    ("kubernetes-etcd-members", &[], |c| {
        let orphan = "started, control-plane-1, https://10.0.0.10:2380, https://10.0.0.10:2379, false\n91bc3c398fb3c146, unstarted, , https://10.0.0.11:2380, , false";
        edit_on(
            c,
            "control-plane-1",
            "etcd-members",
            "started, control-plane-1, https://10.0.0.10:2380, https://10.0.0.10:2379, false",
            orphan,
        );
    }),
    ("kubernetes-etcd-size", &[], |c| {
        metrics(c, "etcd_server_quota_backend_bytes 2.147483648e+09", "etcd_server_quota_backend_bytes 3e+06");
    }),
    ("kubernetes-etcd-disk", &[], |c| {
        metrics(c, "etcd_disk_wal_fsync_duration_seconds_count ", "etcd_disk_wal_fsync_duration_seconds_count 9");
    }),
    ("network-vxlan-port", &[], |c| edit(c, "links", "dstport 4789", "dstport 8472")),
    ("network-vxlan-address", &[], |c| edit(c, "links", "local 10.0.1.10", "local 192.168.0.9")),
    ("network-vxlan-peers", &[], |c| edit(c, "fdb", "dst 10.0.2.10", "dst 10.0.2.99")),
    ("network-mtu", &[], |c| edit(c, "links", "mtu 1450", "mtu 1500")),
    ("network-kube-proxy", &[], |c| edit(c, "proxy-nft", "", "table ip filter\n0\n")),
    ("network-cni", &[], |c| edit(c, "cni", "10-flannel", "05-other.conflist\n10-flannel")),
    ("network-probes", &["network-*"], |c| {
        let probed = c.probed.as_mut().unwrap().as_mut().unwrap();
        probed.silent.insert("worker-1".into(), "ImagePullBackOff".into());
        probed.answers.remove("worker-1");
    }),
    ("network-pod-tcp", &[], |c| fails(c, "tcp:worker-2")),
    ("network-pod-udp", &[], |c| fails(c, "udp:worker-2")),
    ("network-pod-mtu", &[], |c| fails(c, "mtu:worker-2")),
    ("network-checksum", &[], |c| {
        let probed = c.probed.as_mut().unwrap().as_mut().unwrap();
        probed.bad_checksums.insert("worker-2".into(), BadChecksums { datagrams: 4, segments: 9 });
    }),
    ("network-latency", &[], |c| {
        let answers = c.probed.as_mut().unwrap().as_mut().unwrap().answers.get_mut("worker-1").unwrap();
        answers.iter_mut().find(|a| a.id == "udp:worker-2").unwrap().rtt_min_ms = 120.0;
    }),
    ("network-throughput", &[], |c| {
        for answers in c.probed.as_mut().unwrap().as_mut().unwrap().answers.values_mut() {
            answers.iter_mut().filter(|a| a.kind == "throughput").for_each(|a| a.answers = vec!["1000".into()]);
        }
    }),
    ("network-service-vip", &[], |c| fails(c, "vip")),
    ("network-hairpin", &[], |c| fails(c, "hairpin")),
    ("network-nodeport", &[], |c| fails(c, "nodeport:worker-2")),
    ("network-dns-cluster", &[], |c| fails(c, "dns-cluster")),
    ("network-dns-external", &[], |c| fails(c, "dns-external")),
    ("network-dns-pods", &[], |c| fails(c, "dns-pod:10.244.2.2")),
    ("network-egress", &[], |c| fails(c, "egress")),
    ("network-api-port", &[], |c| fails(c, "api:control-plane-1")),
    ("network-kubelet-port", &[], |c| fails_on(c, "control-plane-1", "kubelet:worker-2")),
    ("network-ssh-ports", &[], |c| {
        let answers = c.probed.as_mut().unwrap().as_mut().unwrap().answers.get_mut("worker-1").unwrap();
        answers.iter_mut().find(|a| a.id == "ssh:worker-2").unwrap().ok = true;
    }),
    ("network-outside", &[], |c| c.outside.as_mut().unwrap()[0].1.open.push(10250)),
    ("network-etcd-ports", &[], |c| {
        let answers = c.probed.as_mut().unwrap().as_mut().unwrap().answers.get_mut("worker-1").unwrap();
        answers.iter_mut().find(|a| a.id == "etcd:control-plane-1").unwrap().ok = true;
    }),
    ("cloud-firewall", &[], |c| cloud(c, "security group rule", "x")),
    ("cloud-network", &[], |c| cloud(c, "subnet", "x")),
    ("cloud-routes", &[], |c| on_aws(c, "route table", "x")),
    ("cloud-nat", &[], |c| on_aws(c, "nat gateway", "x")),
    ("cloud-tags", &[], |c| on_aws(c, "instance", "tag team: (none) → a")),
    ("cloud-machines", &[], |c| cloud(c, "instance", "x")),
    ("cloud-drift", &[], |c| cloud(c, "mirror", "x")),
    ("cloud-status", &[], |c| provider_says(c, Aspect::Status)),
    ("cloud-imds", &[], |c| provider_says(c, Aspect::Metadata)),
    ("cloud-encryption", &[], |c| provider_says(c, Aspect::Encryption)),
];
