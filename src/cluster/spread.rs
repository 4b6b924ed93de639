//! kubeadm starts both CoreDNS replicas when there is only one node, so both land there. One of them is deleted until
//! they stand on different nodes: the scheduler's own preference then spreads them.

use super::{ClusterError, Wait, doing};
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
    let replicas = deployment.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1);
    let labels = deployment.spec.and_then(|s| s.selector.match_labels).unwrap_or_default();
    let selector = labels.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",");
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let mut moved = 0;
    let mut wait = Wait::new(format!("{namespace}/{name} on {nodes} nodes"), within);
    loop {
        let list = doing("list pods", pods.list(&ListParams::default().labels(&selector)).await)?;
        let live: Vec<Pod> = list.into_iter().filter(|p| p.metadata.deletion_timestamp.is_none()).collect();
        let places: BTreeSet<String> = live.iter().filter_map(|p| p.spec.as_ref()?.node_name.clone()).collect();
        let spread = places.len() >= nodes.min(live.len()) && !live.is_empty();
        if dry_run {
            return Ok(u32::from(!spread));
        }
        // Right after a pod was deleted its Deployment still counts it as available: only the pods themselves know.
        let ready = live.iter().filter(|p| is_ready(p)).count();
        let settled = usize::try_from(replicas).is_ok_and(|replicas| ready >= replicas);
        let on = places.into_iter().collect::<Vec<_>>().join(", ");
        match live.first().and_then(|p| p.metadata.name.as_ref()) {
            Some(victim) if settled && !spread => {
                doing(format!("delete pod {victim}"), pods.delete(victim, &DeleteParams::default()).await)?;
                moved += 1;
                wait.not_yet(format!("all pods stood on {on}")).await?;
            }
            _ if settled => return Ok(moved),
            _ => wait.not_yet(format!("{ready} of {replicas} pods are ready, on {on}")).await?,
        }
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|s| s.conditions.as_ref());
    conditions.into_iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True")
}
