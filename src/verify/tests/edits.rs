//! How faults change what was observed.

use super::super::checks::{Ctx, HostView};
use crate::{
    infra::{Action, Aspect, Change},
    spec::{ClusterSpec, load_str},
};
use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;
use std::{path::Path, sync::LazyLock};

/// A fault: changes what was observed.
pub(super) type Fault = fn(&mut Ctx<'_>);

pub(super) fn host<'a>(ctx: &'a mut Ctx<'_>, name: &str) -> &'a mut HostView {
    ctx.hosts.iter_mut().find(|h| h.name == name).unwrap()
}

/// Replaces text in a section of worker-1.
pub(super) fn edit(ctx: &mut Ctx<'_>, section: &str, from: &str, to: &str) {
    edit_on(ctx, "worker-1", section, from, to);
}

pub(super) fn edit_on(ctx: &mut Ctx<'_>, name: &str, section: &str, from: &str, to: &str) {
    let seen = host(ctx, name).seen.as_mut().unwrap();
    let old = seen.section(section).unwrap().to_owned();
    let new = if from.is_empty() { to.to_owned() } else { old.replace(from, to) };
    assert_ne!(old, new, "{section} does not hold {from:?}");
    seen.set(section, &new);
}

pub(super) fn pod(ctx: &mut Ctx<'_>, prefix: &str) -> usize {
    ctx.cluster.pods.as_ref().unwrap().iter().position(|p| p.metadata.name.as_ref().unwrap().starts_with(prefix)).unwrap()
}

/// Merges JSON into a pod.
pub(super) fn change_pod(ctx: &mut Ctx<'_>, prefix: &str, change: impl Fn(&mut Value)) {
    let index = pod(ctx, prefix);
    let pods = ctx.cluster.pods.as_mut().unwrap();
    let mut value = serde_json::to_value(&pods[index]).unwrap();
    change(&mut value);
    pods[index] = serde_json::from_value(value).unwrap();
}

pub(super) fn change_node(ctx: &mut Ctx<'_>, change: impl Fn(&mut Value)) {
    let node = ctx.cluster.nodes.as_mut().unwrap().iter_mut().find(|n| n.metadata.name.as_deref() == Some("worker-1")).unwrap();
    let mut value = serde_json::to_value(&*node).unwrap();
    change(&mut value);
    *node = serde_json::from_value(value).unwrap();
}

pub(super) fn new_pod(ctx: &mut Ctx<'_>, value: Value) {
    let pod: Pod = serde_json::from_value(value).unwrap();
    ctx.cluster.pods.as_mut().unwrap().push(pod);
}

/// A question of worker-1's probe fails.
pub(super) fn fails(ctx: &mut Ctx<'_>, id: &str) {
    fails_on(ctx, "worker-1", id);
}

pub(super) fn fails_on(ctx: &mut Ctx<'_>, node: &str, id: &str) {
    let answers = ctx.probed.as_mut().unwrap().as_mut().unwrap().answers.get_mut(node).unwrap();
    let answer = answers.iter_mut().find(|a| a.id == id).unwrap();
    (answer.ok, answer.received, answer.class) = (false, 0, "timeout".into());
    answer.error = "i/o timeout".into();
}

pub(super) fn metrics(ctx: &mut Ctx<'_>, from: &str, to: &str) {
    let text = host(ctx, "control-plane-1").served.etcd_metrics.as_mut().unwrap();
    assert!(text.contains(from));
    *text = text.replace(from, to);
}

pub(super) fn cloud(ctx: &mut Ctx<'_>, kind: &str, detail: &str) {
    let change = Change { action: Action::Update, kind: kind.into(), name: "x".into(), details: vec![detail.into()] };
    ctx.cloud = Some(Ok(vec![change]));
}

/// The same cluster, on EC2: some checks apply only there.
pub(super) fn on_aws(ctx: &mut Ctx<'_>, kind: &str, detail: &str) {
    static SPEC: LazyLock<ClusterSpec> =
        LazyLock::new(|| load_str("cluster.yaml", "cluster: lab\nprovider: aws\naws: {region: eu-central-1}\n", Path::new(".")).unwrap());
    ctx.spec = &SPEC;
    cloud(ctx, kind, detail);
}

pub(super) fn provider_says(ctx: &mut Ctx<'_>, aspect: Aspect) {
    let all = ctx.health.as_mut().unwrap().as_mut().unwrap();
    let one = all.iter_mut().find(|h| h.machine == "worker-1" && h.aspect == aspect).unwrap();
    (one.fine, one.observed) = (Some(false), "not well".into());
}

/// Makes worker-1 a control plane without the flag that control-plane-1 has; only this check is looked at.
pub(super) fn two_control_planes(ctx: &mut Ctx<'_>, flag: &str) {
    edit_on(ctx, "control-plane-1", "apiserver", "- kube-apiserver\n", &format!("- kube-apiserver\n    - {flag}\n"));
    let text = host(ctx, "control-plane-1").seen.as_ref().unwrap().section("apiserver").unwrap().replace(&format!("    - {flag}\n"), "");
    let mut second = host(ctx, "control-plane-1").clone();
    second.seen.as_mut().unwrap().set("apiserver", &text);
    ctx.hosts.push(second);
}

/// A self-signed certificate that ends so many days after the recording.
pub(super) fn certificate(days: i64) -> String {
    let mut params = rcgen::CertificateParams::new(vec!["kubernetes".to_owned()]).unwrap();
    let (year, month, day) = if days < 0 { (2026, 11, 18) } else { (2027, 9, 17) };
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(year, month, day);
    let key = rcgen::KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().pem()
}
