//! Every check is seen red, by substituted input, on what was recorded from a real cluster of 1 + 3 nodes, and its
//! neighbours stay green. The real faults are injected by the lab's tests.

use super::{
    checks::{Ctx, HostView},
    cluster::Cluster,
    host::Seen,
    probe::{Answer, Probed, Services, Site},
    run::{Drift, Served, Settings, evaluate},
    types::{Report, Status, exit_code},
};
use crate::{
    infra::{Action, Change},
    spec::{ClusterSpec, load_str},
};
use k8s_openapi::api::{certificates::v1::CertificateSigningRequest, core::v1::Pod};
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::Path};

const HOSTS: [(&str, &str, &str); 4] = [
    ("control-plane-1", "10.0.0.10", include_str!("testdata/control-plane-1.txt")),
    ("worker-1", "10.0.1.10", include_str!("testdata/worker-1.txt")),
    ("worker-2", "10.0.2.10", include_str!("testdata/worker-2.txt")),
    ("worker-3", "10.0.3.10", include_str!("testdata/worker-3.txt")),
];

fn spec() -> ClusterSpec {
    load_str("cluster.yaml", "cluster: lab\nprovider: lab\n", Path::new(".")).unwrap()
}

fn seen(text: &str, index: usize) -> Seen {
    let mut seen = Seen::default();
    let mut section = String::new();
    for line in text.lines() {
        match line.strip_prefix("@@n1 ") {
            Some(name) => {
                section = name.to_owned();
                seen.set(name, "");
            }
            None => seen.set(&section, &format!("{}{line}\n", seen.section(&section).unwrap_or(""))),
        }
    }
    seen.clock_offset = Some([0.01, -0.02, 0.0, 0.03][index]);
    seen
}

fn der(seen: &Seen, file: &str) -> Vec<u8> {
    let text = seen.section("certificates").unwrap();
    let pem = text.split(&format!("file {file}\n")).nth(1).unwrap();
    x509_parser::pem::Pem::iter_from_buffer(pem.as_bytes()).next().unwrap().unwrap().contents
}

fn healthy(spec: &ClusterSpec) -> Ctx<'_> {
    let hosts: Vec<HostView> = HOSTS
        .iter()
        .enumerate()
        .map(|(index, (name, address, text))| {
            let seen = seen(text, index);
            let control_plane = index == 0;
            let mut certificates = vec![(format!("served on {address}:10250"), Ok(der(&seen, "/var/lib/kubelet/pki/kubelet.crt")))];
            if control_plane {
                certificates.push((format!("served on {address}:6443"), Ok(der(&seen, "/etc/kubernetes/pki/apiserver.crt"))));
            }
            let etcd = |text: &str| if control_plane { Ok(text.to_owned()) } else { Err(String::new()) };
            let served = Served {
                certificates,
                kubelet_health: Ok("ok".into()),
                etcd_health: etcd(r#"{"health":"true","reason":""}"#),
                etcd_metrics: etcd(include_str!("testdata/etcd.txt")),
                registry: Ok("10.0.0.5:5000 answers".into()),
            };
            let pool = if control_plane { "control-plane" } else { "worker" };
            HostView { name: (*name).into(), pool: pool.into(), address: (*address).into(), seen: Ok(seen), served }
        })
        .collect();
    let recorded: Value = serde_json::from_str(include_str!("testdata/cluster.json")).unwrap();
    fn list<T: serde::de::DeserializeOwned>(recorded: &Value, name: &str) -> Result<T, String> {
        Ok(serde_json::from_value(recorded[name].clone()).unwrap())
    }
    let cluster = Cluster {
        version: Ok("v1.36.3".into()),
        readyz: Ok(include_str!("testdata/readyz.txt").into()),
        latencies: Ok((1..=20).map(f64::from).collect()),
        nodes: list(&recorded, "nodes"),
        pods: list(&recorded, "pods"),
        namespaces: list(&recorded, "namespaces"),
        daemon_sets: list(&recorded, "daemonsets"),
        deployments: list(&recorded, "deployments"),
        leases: list(&recorded, "leases"),
        csrs: Ok(Vec::new()),
        tokens: Ok(Vec::new()),
        config_maps: list(&recorded, "configmaps"),
        anonymous: Ok(Vec::new()),
        admission: Ok(Ok(())),
        elapsed: std::time::Duration::from_millis(80),
    };
    let now = "2026-11-21T11:05:06Z".parse().unwrap();
    Ctx { spec, now, hosts, cluster, probed: Some(Ok(probed())), drift: Some(Ok(vec![])), cloud: Some(Ok(vec![])) }
}

/// What healthy probes answer to what they are really asked.
fn probed() -> Probed {
    let pods: BTreeMap<String, String> =
        HOSTS.iter().enumerate().map(|(i, (name, ..))| ((*name).to_owned(), format!("10.244.{i}.9"))).collect();
    let client = kube::Client::new(tower::service_fn(|_| async { Err::<http::Response<String>, _>("not used") }), "x");
    let site = Site {
        client: &client,
        image: "",
        nodes: HOSTS.iter().map(|(name, address, _)| ((*name).to_owned(), (*address).to_owned(), None)).collect(),
        control_planes: vec!["control-plane-1".into()],
        external_name: "packages.example.org",
        egress: "packages.example.org:80",
        dns_pods: vec!["10.244.1.2".into(), "10.244.2.2".into()],
        deadline: std::time::Duration::from_secs(1),
    };
    let services = Services { vip: "10.96.1.1".into(), own: "10.96.1.2".into(), node_port: 30100 };
    let mut out = Probed { pods: pods.clone(), ..Probed::default() };
    for (node, rounds) in super::plan::questions(&site, &pods, &services) {
        let answers = rounds.into_iter().flatten().map(|ask| Answer {
            ok: !ask.id.starts_with("etcd:"),
            class: if ask.id.starts_with("etcd:") { "timeout".into() } else { String::new() },
            sent: 4,
            received: 4,
            rtt_min_ms: 0.3,
            answers: vec!["900000000".into()],
            id: ask.id,
            kind: ask.kind.into(),
            target: ask.target,
            ..Answer::default()
        });
        out.answers.insert(node, answers.collect());
    }
    out
}

fn report(ctx: &Ctx<'_>) -> Report {
    evaluate(ctx, &Settings::of(ctx.spec))
}

/// Ids that are not green.
fn red(ctx: &Ctx<'_>) -> Vec<String> {
    let mut ids: Vec<String> = report(ctx).problems().map(|c| c.id.clone()).collect();
    ids.sort();
    ids.dedup();
    ids
}

#[tokio::test]
async fn a_healthy_cluster_is_green_in_every_check() {
    let spec = spec();
    let ctx = healthy(&spec);
    let report = report(&ctx);
    let bad: Vec<_> = report.problems().map(|c| format!("{} {}: {}", c.id, c.subject, c.observed)).collect();
    assert_eq!(bad, [""; 0]);
    assert_eq!(exit_code(&report), 0);
    assert_eq!(report.not_applicable, ["machine-ntp", "kubernetes-encryption", "kubernetes-audit"]);
    assert_eq!(report.pairs.len(), 12);
}

type Fault = fn(&mut Ctx<'_>);

fn host<'a>(ctx: &'a mut Ctx<'_>, name: &str) -> &'a mut HostView {
    ctx.hosts.iter_mut().find(|h| h.name == name).unwrap()
}

/// Replaces text in a section of worker-1.
fn edit(ctx: &mut Ctx<'_>, section: &str, from: &str, to: &str) {
    edit_on(ctx, "worker-1", section, from, to);
}

fn edit_on(ctx: &mut Ctx<'_>, name: &str, section: &str, from: &str, to: &str) {
    let seen = host(ctx, name).seen.as_mut().unwrap();
    let old = seen.section(section).unwrap().to_owned();
    let new = if from.is_empty() { to.to_owned() } else { old.replace(from, to) };
    assert_ne!(old, new, "{section} does not hold {from:?}");
    seen.set(section, &new);
}

fn pod(ctx: &mut Ctx<'_>, prefix: &str) -> usize {
    ctx.cluster.pods.as_ref().unwrap().iter().position(|p| p.metadata.name.as_ref().unwrap().starts_with(prefix)).unwrap()
}

/// Merges JSON into a pod.
fn change_pod(ctx: &mut Ctx<'_>, prefix: &str, change: impl Fn(&mut Value)) {
    let index = pod(ctx, prefix);
    let pods = ctx.cluster.pods.as_mut().unwrap();
    let mut value = serde_json::to_value(&pods[index]).unwrap();
    change(&mut value);
    pods[index] = serde_json::from_value(value).unwrap();
}

fn change_node(ctx: &mut Ctx<'_>, change: impl Fn(&mut Value)) {
    let node = ctx.cluster.nodes.as_mut().unwrap().iter_mut().find(|n| n.metadata.name.as_deref() == Some("worker-1")).unwrap();
    let mut value = serde_json::to_value(&*node).unwrap();
    change(&mut value);
    *node = serde_json::from_value(value).unwrap();
}

fn new_pod(ctx: &mut Ctx<'_>, value: Value) {
    let pod: Pod = serde_json::from_value(value).unwrap();
    ctx.cluster.pods.as_mut().unwrap().push(pod);
}

/// A question of worker-1's probe fails.
fn fails(ctx: &mut Ctx<'_>, id: &str) {
    fails_on(ctx, "worker-1", id);
}

fn fails_on(ctx: &mut Ctx<'_>, node: &str, id: &str) {
    let answers = ctx.probed.as_mut().unwrap().as_mut().unwrap().answers.get_mut(node).unwrap();
    let answer = answers.iter_mut().find(|a| a.id == id).unwrap();
    (answer.ok, answer.received, answer.class) = (false, 0, "timeout".into());
    answer.error = "i/o timeout".into();
}

fn metrics(ctx: &mut Ctx<'_>, from: &str, to: &str) {
    let text = host(ctx, "control-plane-1").served.etcd_metrics.as_mut().unwrap();
    assert!(text.contains(from));
    *text = text.replace(from, to);
}

fn cloud(ctx: &mut Ctx<'_>, kind: &str) {
    let change = Change { action: Action::Create, kind: kind.into(), name: "x".into(), details: vec![] };
    ctx.cloud = Some(Ok(vec![change]));
}

/// Check, fault, and what else may be red because of the same fault.
const FAULTS: &[(&str, &[&str], Fault)] = &[
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
    ("machine-clocksource", &[], |c| edit(c, "clocksource", "", "acpi_pm\n")),
    ("machine-ntp", &[], |c| edit(c, "ntp", "container", "")),
    ("machine-drift", &[], |c| {
        c.drift = Some(Ok(vec![Drift { host: "worker-1".into(), what: "Forward packets".into(), diff: "-1\n+0".into() }]));
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
    ("kubernetes-static-pods", &["kubernetes-etcd-members"], |c| {
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
        host(c, "control-plane-1")
            .served
            .etcd_metrics
            .as_mut()
            .unwrap()
            .push_str("etcd_network_peer_round_trip_time_seconds_count{To=\"a\"} 3\n");
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
    ("network-etcd-closed", &[], |c| {
        let answers = c.probed.as_mut().unwrap().as_mut().unwrap().answers.get_mut("worker-1").unwrap();
        answers.iter_mut().find(|a| a.id == "etcd:control-plane-1").unwrap().ok = true;
    }),
    ("cloud-firewall", &[], |c| cloud(c, "security group rule")),
    ("cloud-network", &[], |c| cloud(c, "route table")),
    ("cloud-machines", &[], |c| cloud(c, "instance")),
    ("cloud-drift", &[], |c| cloud(c, "tag")),
];

/// Makes worker-1 a control plane without the flag that control-plane-1 has; only this check is looked at.
fn two_control_planes(ctx: &mut Ctx<'_>, flag: &str) {
    edit_on(ctx, "control-plane-1", "apiserver", "- kube-apiserver\n", &format!("- kube-apiserver\n    - {flag}\n"));
    let text = host(ctx, "control-plane-1").seen.as_ref().unwrap().section("apiserver").unwrap().replace(&format!("    - {flag}\n"), "");
    let mut second = host(ctx, "control-plane-1").clone();
    second.seen.as_mut().unwrap().set("apiserver", &text);
    ctx.hosts.push(second);
}

/// A self-signed certificate that ends so many days after the recording.
fn certificate(days: i64) -> String {
    let mut params = rcgen::CertificateParams::new(vec!["kubernetes".to_owned()]).unwrap();
    let (year, month, day) = if days < 0 { (2026, 11, 18) } else { (2027, 9, 17) };
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(year, month, day);
    let key = rcgen::KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().pem()
}

#[tokio::test]
async fn every_check_turns_red_and_its_neighbours_stay_green() {
    let spec = spec();
    let mut wrong = Vec::new();
    for (id, also, fault) in FAULTS {
        let mut ctx = healthy(&spec);
        fault(&mut ctx);
        let red = red(&ctx);
        if !red.iter().any(|r| r == id) {
            wrong.push(format!("{id} stayed green; red: {red:?}"));
        }
        let allowed = |r: &String| r == id || also.iter().any(|a| a == r || a.strip_suffix('*').is_some_and(|p| r.starts_with(p)));
        let others: Vec<_> = red.iter().filter(|r| !allowed(r)).collect();
        // A second control plane that is a copy has more to complain about; that is not what its row is about.
        if !others.is_empty() && ctx.hosts.len() == 4 {
            wrong.push(format!("{id}: also red: {others:?}"));
        }
        for problem in report(&ctx).problems().filter(|c| c.id == *id && c.status != Status::Unknown) {
            assert!(problem.cause.is_some() && problem.fix.is_some() && !problem.expected.is_empty(), "{id}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_check_is_without_a_fault() {
    let missing: Vec<_> = super::registry().map(|c| c.id).filter(|id| !FAULTS.iter().any(|(f, ..)| f == id)).collect();
    assert_eq!(missing, [""; 0]);
}

#[tokio::test]
async fn a_lost_direction_is_named() {
    let spec = spec();
    let mut ctx = healthy(&spec);
    fails(&mut ctx, "udp:worker-2");
    let cause = |ctx: &Ctx<'_>| report(ctx).problems().next().unwrap().cause.clone().unwrap();
    assert!(cause(&ctx).starts_with("the request did not arrive: UDP 4789 from worker-1 to worker-2 is lost"), "{}", cause(&ctx));
    ctx.probed.as_mut().unwrap().as_mut().unwrap().request_arrived = vec![("worker-1".into(), "worker-2".into())];
    assert!(cause(&ctx).contains("UDP 4789 from worker-2 to worker-1 is lost"), "{}", cause(&ctx));
    assert_eq!(report(&ctx).problems().next().unwrap().subject, "worker-1 → worker-2");
}

#[tokio::test]
async fn what_was_not_seen_is_unknown_and_read_only_says_so() {
    let spec = spec();
    let mut ctx = healthy(&spec);
    ctx.probed = None;
    let mut settings = Settings::of(&spec);
    settings.read_only = true;
    let report = evaluate(&ctx, &settings);
    assert!(report.checks.iter().filter(|c| super::registry::needs_probes(&c.id)).all(|c| c.status == Status::Unknown));
    assert_eq!(exit_code(&report), 0, "what was left out on purpose does not count");
    ctx.cluster = Cluster::unreachable("connection refused");
    let report = evaluate(&ctx, &settings);
    let green: Vec<_> =
        report.checks.iter().filter(|c| c.group == "kubernetes" && c.status == Status::Passed).map(|c| c.id.as_str()).collect();
    assert!(green.iter().all(|id| id.contains("certificate") || id.contains("etcd")), "{green:?}");
    assert_ne!(exit_code(&report), 0);
}

#[tokio::test]
async fn a_host_that_says_nothing_is_green_nowhere() {
    let spec = spec();
    let mut ctx = healthy(&spec);
    host(&mut ctx, "worker-1").seen = Ok(Seen::default());
    let report = report(&ctx);
    let mut lies: Vec<_> = report
        .checks
        .iter()
        .filter(|c| c.subject == "worker-1" && c.status == Status::Passed && matches!(c.group.as_str(), "machine" | "runtime"))
        .map(|c| c.id.as_str())
        .collect();
    lies.sort_unstable();
    // Drift was seen by the playbooks, kubelet's health and the registry over streams.
    assert_eq!(lies, ["machine-drift", "runtime-kubelet-health", "runtime-registry"]);
}

#[tokio::test]
async fn one_cause_comes_first_and_its_consequences_say_so() {
    let spec = spec();
    let mut ctx = healthy(&spec);
    ["udp:worker-2", "tcp:worker-2", "mtu:worker-2", "vip"].iter().for_each(|id| fails(&mut ctx, id));
    fails_on(&mut ctx, "worker-3", "egress");
    let report = report(&ctx);
    let said: Vec<_> =
        report.problems().map(|c| (c.id.as_str(), c.cause.as_deref().unwrap().starts_with("follows from network-pod-udp"))).collect();
    let wanted = [
        ("network-pod-udp", false),
        ("network-egress", false),
        ("network-pod-tcp", true),
        ("network-pod-mtu", true),
        ("network-service-vip", true),
    ];
    assert_eq!(said, wanted);
}
