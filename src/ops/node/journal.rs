//! What is under way with a node, kept in the cluster itself (ConfigMap kube-system/kubewright-operations): so that the same
//! command, after it was killed, knows which machine was to go and does not take the new one for it, and which Node is
//! there although its join is not done. It is no precious state: without it a replacement begins again.

use crate::cluster::ClusterError;
use ::kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use k8s_openapi::api::core::v1::ConfigMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const NAMESPACE: &str = "kube-system";
const NAME: &str = "kubewright-operations";

/// One operation that has begun and not come to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// `join`, `replace` or `remove`.
    pub operation: String,
    /// The provider's id of the machine that goes; empty: there was none.
    pub machine: String,
    /// When it began, by the operator's clock.
    pub since: jiff::Timestamp,
}

/// All of them by the node's name.
pub async fn read(client: &Client) -> Result<BTreeMap<String, Entry>, ClusterError> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
    let found = api.get_opt(NAME).await.map_err(failed("read the operations under way"))?;
    let data = found.and_then(|m| m.data).unwrap_or_default();
    // What cannot be read is of another version: that operation begins again.
    Ok(data.into_iter().filter_map(|(node, text)| Some((node, serde_json::from_str(&text).ok()?))).collect())
}

/// Notes that an operation begins.
pub async fn begin(client: &Client, node: &str, entry: &Entry) -> Result<(), ClusterError> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
    let text = serde_json::to_string(entry).unwrap_or_default();
    let patch = serde_json::json!({"data": {node: text}});
    match api.patch(NAME, &PatchParams::default(), &Patch::Merge(&patch)).await {
        Err(::kube::Error::Api(status)) if status.code == 404 => {
            let mut new = ConfigMap { data: Some(BTreeMap::from([(node.to_owned(), text)])), ..ConfigMap::default() };
            new.metadata.name = Some(NAME.to_owned());
            api.create(&PostParams::default(), &new).await.map(drop).map_err(failed("note the operation under way"))
        }
        other => other.map(drop).map_err(failed("note the operation under way")),
    }
}

/// Notes that it came to its end.
pub async fn end(client: &Client, node: &str) -> Result<(), ClusterError> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
    let patch = serde_json::json!({"data": {node: null}});
    match api.patch(NAME, &PatchParams::default(), &Patch::Merge(&patch)).await {
        Err(::kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.map(drop).map_err(failed("note the end of the operation")),
    }
}

/// A bootstrap has brought a node to what is wanted: a replacement whose old machine is not this one came to its end with it.
pub async fn settle(client: &Client, open: &BTreeMap<String, Entry>, node: &str, machine: &str) -> Result<(), ClusterError> {
    match open.get(node) {
        Some(entry) if entry.machine != machine => end(client, node).await,
        _ => Ok(()),
    }
}

fn failed(doing: &str) -> impl FnOnce(::kube::Error) -> ClusterError {
    let doing = doing.to_owned();
    move |source| ClusterError::Api { doing, source: Box::new(source) }
}
