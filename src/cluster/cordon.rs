//! Closing a node to new pods, and opening it again. Who closed it stands in an annotation, so that a run that was killed in
//! the middle is not taken for a person's decision.

use super::{ClusterError, doing};
use ::kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use k8s_openapi::api::core::v1::Node;

/// Set while a node is closed by a drain of ours that has not come to its end.
pub const CLOSED_BY: &str = "kubewright.dev/cordoned-by";

/// Whether pods are kept off a node, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cordon {
    /// It takes pods.
    Open,
    /// Closed by this command of ours, which was interrupted or is at work.
    Ours(String),
    /// Closed by somebody else.
    Theirs,
}

/// Reads it from a Node.
pub fn cordon_of(node: &Node) -> Cordon {
    if !node.spec.as_ref().and_then(|s| s.unschedulable).unwrap_or_default() {
        return Cordon::Open;
    }
    match node.metadata.annotations.as_ref().and_then(|a| a.get(CLOSED_BY)) {
        Some(command) => Cordon::Ours(command.clone()),
        None => Cordon::Theirs,
    }
}

/// Closes it. What it was before is returned, and kept on the Node until [`settle`].
pub async fn cordon(client: &Client, name: &str, command: &str) -> Result<Cordon, ClusterError> {
    let api: Api<Node> = Api::all(client.clone());
    let before = cordon_of(&doing(format!("read node {name}"), api.get(name).await)?);
    if before == Cordon::Open {
        let patch = serde_json::json!({"metadata": {"annotations": {CLOSED_BY: command}}, "spec": {"unschedulable": true}});
        doing(format!("cordon node {name}"), api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await)?;
    }
    Ok(before)
}

/// The drain came to its end: the node stays closed, and that is now a decision.
pub async fn settle(client: &Client, name: &str) -> Result<(), ClusterError> {
    let patch = serde_json::json!({"metadata": {"annotations": {CLOSED_BY: null}}});
    let api: Api<Node> = Api::all(client.clone());
    doing(format!("mark node {name}"), api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await).map(drop)
}

/// Opens it. Returns whether it was closed.
pub async fn uncordon(client: &Client, name: &str) -> Result<bool, ClusterError> {
    let api: Api<Node> = Api::all(client.clone());
    if cordon_of(&doing(format!("read node {name}"), api.get(name).await)?) == Cordon::Open {
        return Ok(false);
    }
    let patch = serde_json::json!({"metadata": {"annotations": {CLOSED_BY: null}}, "spec": {"unschedulable": null}});
    doing(format!("uncordon node {name}"), api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await)?;
    Ok(true)
}
