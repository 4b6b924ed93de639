//! What was recorded from a real cluster of 1 + 3 nodes, all of it green.

use super::super::{
    checks::{Ctx, HostView},
    cluster::Cluster,
    host::Seen,
    outside::Dialled,
    plan,
    probe::{Answer, BadChecksums, Probed, Services, Site},
    run::{Served, Settings, evaluate},
    types::Report,
};
use crate::{
    infra::{Aspect, MachineHealth},
    spec::{ClusterSpec, load_str},
};
use serde_json::Value;
use std::{collections::BTreeMap, path::Path};

pub(super) const HOSTS: [(&str, &str, &str); 4] = [
    ("control-plane-1", "10.0.0.10", include_str!("../testdata/control-plane-1.txt")),
    ("worker-1", "10.0.1.10", include_str!("../testdata/worker-1.txt")),
    ("worker-2", "10.0.2.10", include_str!("../testdata/worker-2.txt")),
    ("worker-3", "10.0.3.10", include_str!("../testdata/worker-3.txt")),
];

pub(super) fn spec() -> ClusterSpec {
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

pub(super) fn healthy(spec: &ClusterSpec) -> Ctx<'_> {
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
                etcd_metrics: etcd(include_str!("../testdata/etcd.txt")),
                registry: Ok("10.0.0.5:5000 answers".into()),
            };
            let pool = if control_plane { "control-plane" } else { "worker" };
            HostView { name: (*name).into(), pool: pool.into(), address: (*address).into(), seen: Ok(seen), served }
        })
        .collect();
    let recorded: Value = serde_json::from_str(include_str!("../testdata/cluster.json")).unwrap();
    fn list<T: serde::de::DeserializeOwned>(recorded: &Value, name: &str) -> Result<T, String> {
        Ok(serde_json::from_value(recorded[name].clone()).unwrap())
    }
    let cluster = Cluster {
        version: Ok("v1.36.3".into()),
        readyz: Ok(include_str!("../testdata/readyz.txt").into()),
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
    let health = HOSTS.iter().flat_map(|(name, ..)| {
        [Aspect::Status, Aspect::Metadata, Aspect::Encryption].map(|aspect| MachineHealth {
            machine: (*name).to_owned(),
            aspect,
            observed: "as it should be".to_owned(),
            fine: Some(true),
        })
    });
    let outside =
        vec![("control-plane-1".to_owned(), Dialled { address: "10.0.0.10".into(), ssh: true, open: vec![], closed: vec![6443] })];
    Ctx {
        spec,
        now,
        hosts,
        cluster,
        probed: Some(Ok(probed())),
        drift: Some(Ok(vec![])),
        cloud: Some(Ok(vec![])),
        health: Some(Ok(health.collect())),
        outside: Some(outside),
    }
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
    let closed =
        |node: &str, id: &str| ["etcd:", "etcd-peer:", "ssh:"].iter().any(|p| id.starts_with(p)) && !node.starts_with("control-plane");
    let bad_checksums = pods.keys().map(|node| (node.clone(), BadChecksums::default())).collect();
    let mut out = Probed { pods: pods.clone(), bad_checksums, ..Probed::default() };
    for (node, rounds) in plan::questions(&site, &pods, &services) {
        let answers = rounds.into_iter().flatten().map(|ask| Answer {
            ok: !closed(&node, &ask.id),
            class: if closed(&node, &ask.id) { "timeout".into() } else { String::new() },
            sent: 4,
            received: 4,
            rtt_min_ms: 0.3,
            answers: vec!["900000000".into()],
            id: ask.id,
            kind: ask.kind.into(),
            target: ask.target,
            ..Answer::default()
        });
        let answers = answers.collect();
        out.answers.insert(node, answers);
    }
    out
}

pub(super) fn report(ctx: &Ctx<'_>) -> Report {
    evaluate(ctx, &Settings::of(ctx.spec))
}

/// Ids that are not green.
pub(super) fn red(ctx: &Ctx<'_>) -> Vec<String> {
    let mut ids: Vec<String> = report(ctx).problems().map(|c| c.id.clone()).collect();
    ids.sort();
    ids.dedup();
    ids
}
