//! Node objects: labels, taints and annotations that we own, and readiness.

use super::{ClusterError, Wait, doing};
use ::kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams},
};
use indexmap::IndexMap;
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

/// Deletes a Node that stands for no machine any more: kubeadm refuses to join under the name of one that looks Ready.
/// Returns whether it was (or, in a dry run, would be) deleted.
pub async fn delete_node(client: &Client, name: &str, dry_run: bool) -> Result<bool, ClusterError> {
    let api: Api<Node> = Api::all(client.clone());
    if dry_run {
        return Ok(doing(format!("read node {name}"), api.get_metadata_opt(name).await)?.is_some());
    }
    match api.delete(name, &DeleteParams::default()).await {
        Ok(_) => Ok(true),
        Err(::kube::Error::Api(status)) if status.code == 404 => Ok(false),
        Err(error) => doing(format!("delete node {name}"), Err(error)),
    }
}

/// Waits until a Node exists and is Ready.
pub async fn wait_node_ready(client: &Client, name: &str, within: Duration) -> Result<(), ClusterError> {
    let api: Api<Node> = Api::all(client.clone());
    let mut wait = Wait::new(format!("node {name} Ready"), within);
    loop {
        let reason = match api.get_opt(name).await {
            Ok(Some(node)) => match not_ready(node) {
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

/// Why a Node is not Ready; `None`: it is.
fn not_ready(node: Node) -> Option<String> {
    let conditions = node.status.and_then(|s| s.conditions).unwrap_or_default();
    let Some(ready) = conditions.into_iter().find(|c| c.type_ == "Ready") else { return Some("no Ready condition yet".to_owned()) };
    (ready.status != "True").then(|| ready.message.or(ready.reason).unwrap_or(ready.status))
}

fn parse_taint(text: &str) -> Result<Taint, ClusterError> {
    let (head, effect) = text.rsplit_once(':').ok_or_else(|| ClusterError::Invalid(format!("taint `{text}` is not key[=value]:Effect")))?;
    let (key, value) = head.split_once('=').map_or((head, None), |(k, v)| (k, Some(v.to_owned())));
    Ok(Taint { key: key.to_owned(), value, effect: effect.to_owned(), time_added: None })
}

#[cfg(test)]
mod tests {
    use super::parse_taint;

    #[test]
    fn taints() {
        let taint = parse_taint("dedicated=gpu:NoSchedule").unwrap();
        assert_eq!((taint.key.as_str(), taint.value.as_deref(), taint.effect.as_str()), ("dedicated", Some("gpu"), "NoSchedule"));
        assert_eq!(parse_taint("a:NoExecute").unwrap().value, None);
        assert!(parse_taint("nonsense").is_err());
    }
}
