//! kubeadm starts both CoreDNS replicas when there is only one node, so both land there. One of them is deleted until
//! they stand on different nodes: the scheduler's own preference then spreads them.

use super::{ClusterError, Wait, doing, wait_rollout};
use ::kube::{
    Api, Client,
    api::{DeleteParams, ListParams},
};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use std::{collections::BTreeSet, time::Duration};

/// Makes the pods of a Deployment stand on at least `nodes` different nodes. Returns how many pods were (or would be) moved.
pub async fn spread(
    client: &Client,
    namespace: &str,
    name: &str,
    nodes: usize,
    dry_run: bool,
    within: Duration,
) -> Result<u32, ClusterError> {
    let deployment = doing(format!("read {namespace}/{name}"), Api::<Deployment>::namespaced(client.clone(), namespace).get(name).await)?;
    let labels = deployment.spec.and_then(|s| s.selector.match_labels).unwrap_or_default();
    let selector = labels.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",");
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let mut moved = 0;
    let mut wait = Wait::new(format!("{namespace}/{name} on {nodes} nodes"), within);
    loop {
        let list = doing("list pods", pods.list(&ListParams::default().labels(&selector)).await)?;
        let live: Vec<Pod> = list.into_iter().filter(|p| p.metadata.deletion_timestamp.is_none()).collect();
        let places: BTreeSet<String> = live.iter().filter_map(|p| p.spec.as_ref()?.node_name.clone()).collect();
        if places.len() >= nodes.min(live.len()) && !live.is_empty() {
            return Ok(moved);
        }
        let Some(victim) = live.first().and_then(|p| p.metadata.name.clone()).filter(|_| live.len() > 1) else {
            wait.not_yet(format!("{} pods, {} of them placed", live.len(), places.len())).await?;
            continue;
        };
        moved += 1;
        if dry_run {
            return Ok(moved);
        }
        doing(format!("delete pod {victim}"), pods.delete(&victim, &DeleteParams::default()).await)?;
        wait_rollout(client, "Deployment", namespace, name, within).await?;
        wait.not_yet(format!("all pods stood on {}", places.into_iter().collect::<Vec<_>>().join(", "))).await?;
    }
}
