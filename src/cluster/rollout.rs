//! Waiting for Deployments and DaemonSets, with the reason while they are not there.

use super::{ClusterError, Wait, doing};
use ::kube::{
    Api, Client,
    api::{DeleteParams, ListParams, Preconditions},
};
use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment},
    core::v1::Pod,
};
use std::time::Duration;

/// Waits until a `Deployment` or `DaemonSet` has all its replicas updated and available.
pub async fn wait_rollout(client: &Client, kind: &str, namespace: &str, name: &str, within: Duration) -> Result<(), ClusterError> {
    let what = format!("{kind} {namespace}/{name} complete");
    let mut wait = Wait::new(&what, within);
    loop {
        let reason = match progress(client, kind, namespace, name, &what).await {
            Ok((wanted, ready)) if ready >= wanted => return Ok(()),
            Ok((wanted, ready)) => format!("{ready} of {wanted} available; {}", blocked_pods(client, namespace, name).await),
            Err(error @ ClusterError::Api { .. }) => error.to_string(),
            Err(error) => return Err(error),
        };
        wait.not_yet(reason).await?;
    }
}

/// Deletes pods by UID: another pod of the same name is never meant. Returns the names of those that were (or, in a dry run,
/// would be) deleted.
pub async fn delete_pods(client: &Client, namespace: &str, uids: &[String], dry_run: bool) -> Result<Vec<String>, ClusterError> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let all = doing(format!("list pods of {namespace}"), pods.list(&ListParams::default()).await)?;
    let mut deleted = Vec::new();
    for pod in all.into_iter().filter(|p| p.metadata.uid.as_ref().is_some_and(|uid| uids.contains(uid))) {
        deleted.extend(delete_pod(client, pod, None, dry_run).await?);
    }
    Ok(deleted)
}

/// Deletes every pod that is bound to a node, at once, because no kubelet runs them: those of a machine that was made anew
/// while the cluster's state says that they have run there. Static pods stay. Returns as [`delete_pods`].
pub async fn delete_pods_of(client: &Client, node: &str, dry_run: bool) -> Result<Vec<String>, ClusterError> {
    let everywhere: Api<Pod> = Api::all(client.clone());
    let bound = ListParams::default().fields(&format!("spec.nodeName={node}"));
    let mut deleted = Vec::new();
    for pod in doing(format!("list the pods of {node}"), everywhere.list(&bound).await)? {
        let mirror = pod.metadata.annotations.as_ref().is_some_and(|a| a.contains_key("kubernetes.io/config.mirror"));
        if !mirror {
            deleted.extend(delete_pod(client, pod, Some(0), dry_run).await?);
        }
    }
    Ok(deleted)
}

/// `None`: it is gone already, or another pod has its name by now.
async fn delete_pod(client: &Client, pod: Pod, grace: Option<u32>, dry_run: bool) -> Result<Option<String>, ClusterError> {
    let (namespace, name) = (pod.metadata.namespace.unwrap_or_default(), pod.metadata.name.unwrap_or_default());
    if !dry_run {
        let preconditions = Some(Preconditions { uid: pod.metadata.uid, ..Preconditions::default() });
        let params = DeleteParams { preconditions, grace_period_seconds: grace, ..DeleteParams::default() };
        match Api::<Pod>::namespaced(client.clone(), &namespace).delete(&name, &params).await {
            Err(::kube::Error::Api(status)) if matches!(status.code, 404 | 409) => return Ok(None),
            other => doing(format!("delete pod {namespace}/{name}"), other).map(drop)?,
        }
    }
    Ok(Some(name))
}

/// Replicas wanted, and those that are updated and available.
async fn progress(client: &Client, kind: &str, namespace: &str, name: &str, what: &str) -> Result<(i32, i32), ClusterError> {
    match kind {
        "Deployment" => {
            let d = doing(what, Api::<Deployment>::namespaced(client.clone(), namespace).get(name).await)?;
            let status = d.status.unwrap_or_default();
            let current = status.observed_generation == d.metadata.generation;
            let available = if current { status.updated_replicas.min(status.available_replicas).unwrap_or(0) } else { 0 };
            Ok((d.spec.and_then(|s| s.replicas).unwrap_or(1), available))
        }
        "DaemonSet" => {
            let d = doing(what, Api::<DaemonSet>::namespaced(client.clone(), namespace).get(name).await)?;
            let status = d.status.unwrap_or_default();
            let current = status.observed_generation == d.metadata.generation;
            // Before its first sync a DaemonSet wants 0 pods: that is not complete.
            Ok((status.desired_number_scheduled.max(1), if current { status.number_available.unwrap_or(0) } else { 0 }))
        }
        other => Err(ClusterError::Invalid(format!("kind {other} has no rollout (Deployment, DaemonSet)"))),
    }
}

/// Why pods of this name are not running: the first reason of a container or condition.
async fn blocked_pods(client: &Client, namespace: &str, prefix: &str) -> String {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let Ok(list) = pods.list(&ListParams::default()).await else { return "its pods cannot be listed".to_owned() };
    for pod in list {
        let name = pod.metadata.name.unwrap_or_default();
        let Some(status) = pod.status.filter(|_| name.starts_with(prefix)) else { continue };
        let waiting = status.container_statuses.unwrap_or_default().into_iter().find_map(|c| c.state?.waiting);
        if let Some(waiting) = waiting {
            return format!("{name}: {} {}", waiting.reason.unwrap_or_default(), waiting.message.unwrap_or_default());
        }
        let unscheduled = status.conditions.unwrap_or_default().into_iter().find(|c| c.type_ == "PodScheduled" && c.status == "False");
        if let Some(condition) = unscheduled {
            return format!("{name}: {}", condition.message.unwrap_or_default());
        }
    }
    "its pods say no reason yet".to_owned()
}
