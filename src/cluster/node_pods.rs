//! Whether a new node can run pods with a network: the pods that every node has are up on it.

use super::{ClusterError, Wait, doing};
use ::kube::{Api, Client, api::ListParams};
use k8s_openapi::api::core::v1::Pod;
use std::time::Duration;

/// DaemonSets without which a node has no pod network or no Services.
const NEEDED: [&str; 2] = ["kube-flannel-ds", "kube-proxy"];

/// Waits until the pods of all DaemonSets on a node are ready, those of the network and of kube-proxy among them.
pub async fn wait_node_pods(client: &Client, node: &str, within: Duration) -> Result<(), ClusterError> {
    let api: Api<Pod> = Api::all(client.clone());
    let params = ListParams::default().fields(&format!("spec.nodeName={node}"));
    let mut wait = Wait::new(format!("network and proxy of {node} ready"), within);
    loop {
        let pods = doing(format!("list the pods of {node}"), api.list(&params).await)?;
        match missing(&pods.items) {
            None => return Ok(()),
            Some(why) => wait.not_yet(why).await?,
        }
    }
}

/// What is not there yet; `None`: all is.
fn missing(pods: &[Pod]) -> Option<String> {
    let of_set = |pod: &Pod| {
        let owner = pod.metadata.owner_references.iter().flatten().find(|o| o.kind == "DaemonSet")?;
        Some(owner.name.clone())
    };
    let sets: Vec<(String, &Pod)> = pods.iter().filter_map(|p| Some((of_set(p)?, p))).collect();
    if let Some(set) = NEEDED.iter().find(|set| !sets.iter().any(|(name, _)| name == *set)) {
        return Some(format!("there is no pod of {set} on it yet"));
    }
    let not_ready = sets.iter().find(|(_, pod)| !is_ready(pod));
    not_ready.map(|(_, pod)| {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let mut statuses = pod.status.iter().flat_map(|s| s.container_statuses.iter().chain(&s.init_container_statuses).flatten());
        let waiting = statuses.find_map(|c| c.state.as_ref()?.waiting.clone());
        let why = waiting.map(|w| format!(": {} {}", w.reason.unwrap_or_default(), w.message.unwrap_or_default())).unwrap_or_default();
        format!("{name} is not ready{}", why.trim_end())
    })
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|s| s.conditions.iter().flatten());
    conditions.into_iter().any(|c| c.type_ == "Ready" && c.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_node_is_complete_with_network_and_proxy() {
        let pod = |set: &str, ready: &str| -> Pod {
            let owner = json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "name": set, "uid": "u"});
            let metadata = json!({"name": format!("{set}-x"), "ownerReferences": [owner]});
            serde_json::from_value(json!({"metadata": metadata, "status": {"conditions": [{"type": "Ready", "status": ready}]}})).unwrap()
        };
        assert!(missing(&[pod("kube-proxy", "True")]).unwrap().contains("kube-flannel-ds"));
        assert!(missing(&[pod("kube-proxy", "True"), pod("kube-flannel-ds", "False")]).unwrap().contains("kube-flannel-ds-x is not ready"));
        assert_eq!(missing(&[pod("kube-proxy", "True"), pod("kube-flannel-ds", "True")]), None);
        let other = [pod("kube-proxy", "True"), pod("kube-flannel-ds", "True"), pod("node-exporter", "False")];
        assert!(missing(&other).unwrap().contains("node-exporter-x"));
    }
}
