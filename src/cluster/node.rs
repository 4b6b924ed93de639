//! Node objects: labels, taints and annotations that we own, and readiness.

use super::{ClusterError, Wait, doing};
use ::kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use indexmap::IndexMap;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Taint};
use std::time::Duration;

/// What a Node should have. Anything else on it is left alone.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    /// Labels.
    pub labels: IndexMap<String, String>,
    /// Annotations.
    pub annotations: IndexMap<String, String>,
    /// Taints, `key=value:Effect` or `key:Effect`.
    pub taints: Vec<String>,
}

/// What was (or, in a dry run, would be) changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeChange {
    /// One line each: `label a: x → y`.
    pub details: Vec<String>,
}

/// Brings labels, annotations and taints of a Node to what is wanted.
pub async fn ensure_node(client: &Client, name: &str, desired: &Desired, dry_run: bool) -> Result<NodeChange, ClusterError> {
    let api: Api<Node> = Api::all(client.clone());
    let node = doing(format!("read node {name}"), api.get(name).await)?;
    let mut details = Vec::new();
    let have = |map: Option<&std::collections::BTreeMap<String, String>>, key: &str| map.and_then(|m| m.get(key)).cloned();
    for (key, value) in &desired.labels {
        let old = have(node.metadata.labels.as_ref(), key);
        if old.as_ref() != Some(value) {
            details.push(format!("label {key}: {} → {value}", old.as_deref().unwrap_or("none")));
        }
    }
    for (key, value) in &desired.annotations {
        let old = have(node.metadata.annotations.as_ref(), key);
        if old.as_ref() != Some(value) {
            details.push(format!("annotation {key}: {} → {value}", old.as_deref().unwrap_or("none")));
        }
    }
    let mut taints = node.spec.as_ref().and_then(|s| s.taints.clone()).unwrap_or_default();
    for text in &desired.taints {
        let wanted = parse_taint(text)?;
        let same = |t: &Taint| t.key == wanted.key && t.effect == wanted.effect;
        if taints.iter().any(|t| same(t) && t.value == wanted.value) {
            continue;
        }
        details.push(format!("taint {text}"));
        taints.retain(|t| !same(t));
        taints.push(wanted);
    }
    if details.is_empty() || dry_run {
        return Ok(NodeChange { details });
    }
    // A merge patch replaces the list of taints: resourceVersion makes sure that nobody else changed it meanwhile.
    let patch = serde_json::json!({
        "metadata": {"labels": desired.labels, "annotations": desired.annotations, "resourceVersion": node.metadata.resource_version},
        "spec": {"taints": taints},
    });
    doing(format!("label node {name}"), api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await)?;
    Ok(NodeChange { details })
}

/// Which sign of life counts. What a Node's status says stays there while its machine reboots: "Ready" alone proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Any.
    Ever,
    /// One since this time of the node's own clock: since its kubelet was started.
    Since(Timestamp),
    /// One that is newer than what is seen first.
    Anew,
}

/// Waits until a Node exists and is Ready, by its kubelet's own word of a time that counts.
pub async fn wait_node_ready(client: &Client, name: &str, heard: Heard, within: Duration) -> Result<(), ClusterError> {
    let api: Api<Node> = Api::all(client.clone());
    let mut wait = Wait::new(format!("node {name} Ready"), within);
    let mut first = None;
    loop {
        let reason = match api.get_opt(name).await {
            Ok(Some(node)) => match not_ready(&node, heard, &mut first) {
                None => return Ok(()),
                Some(reason) => reason,
            },
            Ok(None) => "there is no such Node: its kubelet has not registered it".to_owned(),
            // A control plane that is just starting may refuse for a moment.
            Err(error) => error.to_string(),
        };
        wait.not_yet(reason).await?;
    }
}

/// Why a Node is not Ready; `None`: it is. `first` keeps the time of the word that was seen first.
fn not_ready(node: &Node, heard: Heard, first: &mut Option<Timestamp>) -> Option<String> {
    let conditions = node.status.as_ref().and_then(|s| s.conditions.as_ref());
    let Some(ready) = conditions.into_iter().flatten().find(|c| c.type_ == "Ready") else {
        return Some("no Ready condition yet".to_owned());
    };
    if ready.status != "True" {
        return Some(ready.message.clone().or_else(|| ready.reason.clone()).unwrap_or_else(|| ready.status.clone()));
    }
    // The node controller takes these away some seconds after kubelet's word; until then the scheduler does not count the node.
    let health = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];
    let taints = node.spec.as_ref().and_then(|s| s.taints.as_ref()).into_iter().flatten();
    if let Some(taint) = taints.map(|t| t.key.as_str()).find(|key| health.contains(key)) {
        return Some(format!("it is Ready, but still has the taint {taint}"));
    }
    let said = ready.last_heartbeat_time.as_ref().map(|t| t.0)?;
    let seen = *first.get_or_insert(said);
    let counts = match heard {
        Heard::Ever => true,
        Heard::Since(started) => said >= started,
        Heard::Anew => said > seen,
    };
    if !counts {
        return Some(format!("its last word is of {said}, from before its kubelet was started"));
    }
    // The node controller lifts it some seconds later; until then no pod is placed there.
    let mut taints = node.spec.iter().flat_map(|s| s.taints.iter().flatten());
    taints.any(|t| t.key == "node.kubernetes.io/not-ready").then(|| "the node controller has not lifted its taint not-ready".to_owned())
}

fn parse_taint(text: &str) -> Result<Taint, ClusterError> {
    let (head, effect) = text.rsplit_once(':').ok_or_else(|| ClusterError::Invalid(format!("taint `{text}` is not key[=value]:Effect")))?;
    let (key, value) = head.split_once('=').map_or((head, None), |(k, v)| (k, Some(v.to_owned())));
    Ok(Taint { key: key.to_owned(), value, effect: effect.to_owned(), time_added: None })
}

#[cfg(test)]
mod tests {
    use super::{Heard, Timestamp, not_ready, parse_taint};

    #[test]
    fn the_word_of_a_kubelet_that_is_gone_does_not_count() {
        let at = |s: &str| s.parse::<Timestamp>().unwrap();
        let node = |status: &str| {
            let ready = serde_json::json!({"type": "Ready", "status": status, "message": "m", "lastHeartbeatTime": "2026-11-25T07:00:00Z"});
            serde_json::from_value(serde_json::json!({"metadata": {}, "status": {"conditions": [ready]}})).unwrap()
        };
        let ready = |heard| not_ready(&node("True"), heard, &mut None);
        assert_eq!(ready(Heard::Ever), None);
        assert_eq!(ready(Heard::Since(at("2026-11-25T07:00:00Z"))), None);
        assert!(ready(Heard::Since(at("2026-11-25T07:00:01Z"))).unwrap().contains("before its kubelet was started"));
        assert!(ready(Heard::Anew).is_some());
        assert_eq!(not_ready(&node("True"), Heard::Anew, &mut Some(at("2026-11-25T06:59:50Z"))), None);
        assert_eq!(not_ready(&node("Unknown"), Heard::Ever, &mut None).as_deref(), Some("m"));
    }

    #[test]
    fn taints() {
        let taint = parse_taint("dedicated=gpu:NoSchedule").unwrap();
        assert_eq!((taint.key.as_str(), taint.value.as_deref(), taint.effect.as_str()), ("dedicated", Some("gpu"), "NoSchedule"));
        assert_eq!(parse_taint("a:NoExecute").unwrap().value, None);
        assert!(parse_taint("nonsense").is_err());
    }
}
