//! Emptying a node by the eviction API (policy/v1), so that PodDisruptionBudgets are respected. What blocks it is named.

use super::{ClusterError, doing, heartbeats};
use crate::event::{Events, Kind};
use ::kube::{
    Api, Client,
    api::{ListParams, PostParams},
};
use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Between two tries to evict what a budget holds, as kubectl does.
const RETRY: Duration = Duration::from_secs(5);
/// Between two looks at what is left.
const LOOK: Duration = Duration::from_millis(500);
/// How often it is looked whether the node still lives.
const LIVES: Duration = Duration::from_secs(10);
/// Evictions sent side by side.
const AT_ONCE: usize = 10;

/// What may be given up, as with `kubectl drain`.
#[derive(Clone, Copy, Debug)]
pub struct DrainOptions {
    /// How long all of it may take.
    pub timeout: Duration,
    /// Pods with emptyDir volumes lose what is in them.
    pub delete_emptydir_data: bool,
    /// Pods that no controller would make again are deleted too.
    pub force: bool,
}

/// A pod by namespace and name; this very one by its UID.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PodRef {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
}

impl std::fmt::Display for PodRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What a drain would do. Nothing is changed by making one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DrainPlan {
    /// Pods that go.
    pub evict: Vec<PodRef>,
    /// Pods that stay, and why: of DaemonSets, of kubelet itself.
    pub stay: Vec<(PodRef, &'static str)>,
    /// Pods that must not go without being asked for, and which option does.
    pub refused: Vec<(PodRef, &'static str)>,
}

/// How a drain ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drained {
    /// The node is empty.
    Empty,
    /// Not all pods went in time; each of the others with what holds it.
    Blocked(Vec<(PodRef, String)>),
    /// The node gave no sign of life any more: its pods cannot end there.
    Died,
    /// It was cancelled.
    Cancelled,
}

/// Looks at the pods of a node.
pub async fn plan_drain(client: &Client, node: &str, options: &DrainOptions) -> Result<DrainPlan, ClusterError> {
    let mut plan = DrainPlan::default();
    for pod in pods_of(client, node).await? {
        let name = reference(&pod);
        match fate(&pod, options) {
            Fate::Goes => plan.evict.push(name),
            Fate::Stays(why) => plan.stay.push((name, why)),
            Fate::Refused(option) => plan.refused.push((name, option)),
        }
    }
    Ok(plan)
}

/// Evicts what goes, and waits until it is gone. `step` names the step whose progress is told.
pub async fn drain(
    client: &Client,
    node: &str,
    options: &DrainOptions,
    step: &str,
    events: &Events,
    cancel: &CancellationToken,
) -> Result<Drained, ClusterError> {
    let end = Instant::now() + options.timeout;
    let mut seen_alive = Instant::now();
    // By pod: not before when it is tried again, and why it was refused.
    let mut asked: BTreeMap<PodRef, (Option<Instant>, String)> = BTreeMap::new();
    let mut told = String::new();
    let mut most = 0;
    loop {
        let left: Vec<Pod> = pods_of(client, node).await?.into_iter().filter(|p| matches!(fate(p, options), Fate::Goes)).collect();
        if left.is_empty() {
            return Ok(Drained::Empty);
        }
        most = most.max(left.len());
        let due: Vec<&Pod> = left
            .iter()
            .filter(|p| p.metadata.deletion_timestamp.is_none())
            .filter(|p| asked.get(&reference(p)).is_none_or(|(next, _)| next.is_none_or(|next| Instant::now() >= next)))
            .collect();
        let sent: Vec<_> =
            stream::iter(due).map(|pod| async { (reference(pod), evict(client, pod).await) }).buffer_unordered(AT_ONCE).collect().await;
        for (pod, result) in sent {
            match result? {
                Evicted::Yes => asked.insert(pod, (Some(Instant::now() + RETRY), "it was asked to end".to_owned())),
                Evicted::Later(why) => asked.insert(pod, (Some(Instant::now() + RETRY), why)),
            };
        }
        let holds: Vec<(PodRef, String)> = left.iter().map(|p| (reference(p), holding(p, &asked))).collect();
        if cancel.is_cancelled() {
            return Ok(Drained::Cancelled);
        }
        if Instant::now() >= end {
            return Ok(Drained::Blocked(holds));
        }
        if seen_alive.elapsed() >= LIVES {
            if !heartbeats(client).await?.alive(node) {
                return Ok(Drained::Died);
            }
            seen_alive = Instant::now();
        }
        let (pod, why) = &holds[0];
        let now = format!("{pod}: {why}");
        if now != told {
            let (done, total) = ((most - left.len()) as u64, Some(most as u64));
            events.emit(Kind::StepProgress { id: step.to_owned(), message: now.clone(), done, total });
            told = now;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = cancel.cancelled() => {}
        }
    }
}

/// What keeps a pod on the node, for people.
fn holding(pod: &Pod, asked: &BTreeMap<PodRef, (Option<Instant>, String)>) -> String {
    if pod.metadata.deletion_timestamp.is_some() {
        return match pod.metadata.finalizers.as_deref() {
            Some([first, ..]) => format!("it is ending, and finalizer {first} keeps it"),
            _ => "it is ending".to_owned(),
        };
    }
    asked.get(&reference(pod)).map_or_else(|| "it was not asked yet".to_owned(), |(_, why)| why.clone())
}

enum Evicted {
    Yes,
    Later(String),
}

/// Asks for one eviction. kube's own `evict` sends its options under a name that the API server does not read, so that the
/// precondition would be lost: a pod of the same name that was made meanwhile must not be evicted.
async fn evict(client: &Client, pod: &Pod) -> Result<Evicted, ClusterError> {
    let PodRef { namespace, name, uid } = reference(pod);
    let api: Api<Pod> = Api::namespaced(client.clone(), &namespace);
    let body = json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": namespace},
        "deleteOptions": {"preconditions": {"uid": uid}},
    });
    let sent: Result<serde_json::Value, _> = api.create_subresource("eviction", &name, &PostParams::default(), &body).await;
    match sent {
        Ok(_) => Ok(Evicted::Yes),
        Err(::kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(Evicted::Yes),
        Err(::kube::Error::Api(status)) if status.code == 429 => {
            let causes = status.details.iter().flat_map(|d| &d.causes);
            let budgets: Vec<String> = causes.filter(|c| c.reason == "DisruptionBudget").map(|c| c.message.clone()).collect();
            let why = if budgets.is_empty() { status.message.clone() } else { budgets.join("; ") };
            Ok(Evicted::Later(why.trim_end_matches('.').to_owned()))
        }
        // Several budgets for one pod, or one that cannot be computed just now: the API server says so with 500.
        Err(::kube::Error::Api(status)) if status.code == 500 => Ok(Evicted::Later(status.message.clone())),
        Err(error) => doing(format!("evict pod {namespace}/{name}"), Err(error)),
    }
}

async fn pods_of(client: &Client, node: &str) -> Result<Vec<Pod>, ClusterError> {
    let api: Api<Pod> = Api::all(client.clone());
    let params = ListParams::default().fields(&format!("spec.nodeName={node}"));
    Ok(doing(format!("list the pods of {node}"), api.list(&params).await)?.items)
}

fn reference(pod: &Pod) -> PodRef {
    let m = &pod.metadata;
    PodRef {
        namespace: m.namespace.clone().unwrap_or_default(),
        name: m.name.clone().unwrap_or_default(),
        uid: m.uid.clone().unwrap_or_default(),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Goes,
    Stays(&'static str),
    Refused(&'static str),
}

fn fate(pod: &Pod, options: &DrainOptions) -> Fate {
    let annotations = pod.metadata.annotations.as_ref();
    if annotations.is_some_and(|a| a.contains_key("kubernetes.io/config.mirror")) {
        return Fate::Stays("kubelet's own, from a file");
    }
    let owners = pod.metadata.owner_references.iter().flatten();
    let controller = owners.clone().find(|o| o.controller == Some(true));
    if controller.is_some_and(|o| o.kind == "DaemonSet") {
        return Fate::Stays("of a DaemonSet");
    }
    let phase = pod.status.as_ref().and_then(|s| s.phase.as_deref());
    if matches!(phase, Some("Succeeded" | "Failed")) {
        return Fate::Goes;
    }
    if controller.is_none() && !options.force {
        return Fate::Refused("no controller would make it again (--force deletes it)");
    }
    let volumes = pod.spec.iter().flat_map(|s| s.volumes.iter().flatten());
    if !options.delete_emptydir_data && volumes.into_iter().any(|v| v.empty_dir.is_some()) {
        return Fate::Refused("its emptyDir volumes would be lost (--delete-emptydir-data)");
    }
    Fate::Goes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(value: serde_json::Value) -> Pod {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn pods_go_stay_or_must_be_asked_for_as_with_kubectl() {
        let strict = DrainOptions { timeout: Duration::ZERO, delete_emptydir_data: false, force: false };
        let owned = |kind: &str, more: serde_json::Value| {
            let owner = json!({"apiVersion": "apps/v1", "kind": kind, "name": "x", "uid": "u", "controller": true});
            pod(json!({"metadata": {"name": "p", "ownerReferences": [owner]}, "spec": {"containers": [], "volumes": more}}))
        };
        assert_eq!(fate(&owned("ReplicaSet", json!([])), &strict), Fate::Goes);
        assert!(matches!(fate(&owned("DaemonSet", json!([])), &strict), Fate::Stays(_)));
        let scratch = owned("ReplicaSet", json!([{"name": "t", "emptyDir": {}}]));
        assert!(matches!(fate(&scratch, &strict), Fate::Refused(o) if o.contains("--delete-emptydir-data")));
        assert_eq!(fate(&scratch, &DrainOptions { delete_emptydir_data: true, ..strict }), Fate::Goes);
        let alone = pod(json!({"metadata": {"name": "p"}, "spec": {"containers": []}}));
        assert!(matches!(fate(&alone, &strict), Fate::Refused(o) if o.contains("--force")));
        assert_eq!(fate(&alone, &DrainOptions { force: true, ..strict }), Fate::Goes);
        let over = pod(json!({"metadata": {"name": "p"}, "spec": {"containers": []}, "status": {"phase": "Succeeded"}}));
        assert_eq!(fate(&over, &strict), Fate::Goes);
        let mirror = pod(json!({"metadata": {"name": "p", "annotations": {"kubernetes.io/config.mirror": "x"}}}));
        assert!(matches!(fate(&mirror, &strict), Fate::Stays(_)));
    }
}
