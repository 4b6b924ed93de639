//! Waiting for the cluster: named conditions, each with a deadline, and an error that says what is still missing.

use super::KubeError;
use ::kube::{Api, Client, api::ListParams};
use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment},
    core::v1::Node,
};
use std::time::{Duration, Instant};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(250);

/// Looks again and again until `look` returns `Ok(value)`; `Err` says what is still missing. An error of the API is
/// "still missing" too: API servers restart while clusters are made.
pub async fn until<T, F>(what: &str, deadline: Duration, mut look: impl FnMut() -> F) -> Result<T, KubeError>
where
    F: Future<Output = Result<T, String>>,
{
    let begun = Instant::now();
    let mut last = "nothing seen yet".to_owned();
    loop {
        let left = deadline.saturating_sub(begun.elapsed());
        match tokio::time::timeout(left.max(PAUSE), look()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(missing)) => last = missing,
            Err(_) => {}
        }
        if begun.elapsed() + PAUSE > deadline {
            return Err(KubeError::Timeout { what: what.to_owned(), after: deadline, last });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn missing(error: ::kube::Error) -> String {
    super::error::chain(&error)
}

/// The API server says that it is ready (`/readyz`).
pub async fn api_ready(client: &Client, deadline: Duration) -> Result<(), KubeError> {
    until("API server ready", deadline, || async {
        let request = http::Request::get("/readyz").body(Vec::new()).map_err(|e| e.to_string())?;
        client.request_text(request).await.map(|_| ()).map_err(missing)
    })
    .await
}

/// Whether a node's `Ready` condition is true.
pub fn is_ready(node: &Node) -> bool {
    let conditions = node.status.iter().flat_map(|s| s.conditions.iter().flatten());
    conditions.into_iter().any(|c| c.type_ == "Ready" && c.status == "True")
}

/// All of these nodes exist and are Ready.
pub async fn nodes_ready(client: &Client, names: &[String], deadline: Duration) -> Result<(), KubeError> {
    let api: Api<Node> = Api::all(client.clone());
    until("nodes Ready", deadline, || async {
        let nodes = api.list(&ListParams::default().match_any()).await.map_err(missing)?;
        let why = |name: &String| match nodes.iter().find(|n| n.metadata.name.as_ref() == Some(name)) {
            None => Some(format!("{name} has not registered")),
            Some(node) if is_ready(node) => None,
            Some(node) => {
                let conditions = node.status.iter().flat_map(|s| s.conditions.iter().flatten());
                let message = conditions.into_iter().find(|c| c.type_ == "Ready").and_then(|c| c.message.clone());
                Some(format!("{name} is not Ready: {}", message.unwrap_or_else(|| "no condition yet".to_owned())))
            }
        };
        let open: Vec<String> = names.iter().filter_map(why).collect();
        if open.is_empty() { Ok(()) } else { Err(open.join("; ")) }
    })
    .await
}

/// A Deployment's newest generation is rolled out and available.
pub async fn deployment_ready(client: &Client, namespace: &str, name: &str, deadline: Duration) -> Result<(), KubeError> {
    let api: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    until(&format!("Deployment {namespace}/{name} available"), deadline, || async {
        let deployment = api.get(name).await.map_err(missing)?;
        let wanted = deployment.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1);
        let status = deployment.status.unwrap_or_default();
        let ready = status.updated_replicas.unwrap_or(0).min(status.available_replicas.unwrap_or(0));
        if status.observed_generation >= deployment.metadata.generation && ready >= wanted {
            return Ok(());
        }
        Err(format!("{ready} of {wanted} replicas available"))
    })
    .await
}

/// A DaemonSet's newest generation runs and is available on every node that it wants.
pub async fn daemon_set_ready(client: &Client, namespace: &str, name: &str, deadline: Duration) -> Result<(), KubeError> {
    let api: Api<DaemonSet> = Api::namespaced(client.clone(), namespace);
    until(&format!("DaemonSet {namespace}/{name} available"), deadline, || async {
        let set = api.get(name).await.map_err(missing)?;
        let status = set.status.unwrap_or_default();
        let wanted = status.desired_number_scheduled;
        let ready = status.updated_number_scheduled.unwrap_or(0).min(status.number_available.unwrap_or(0));
        if status.observed_generation >= set.metadata.generation && wanted > 0 && ready >= wanted {
            return Ok(());
        }
        Err(format!("{ready} of {wanted} pods available"))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_timeout_names_the_condition_and_what_is_missing() {
        let error = until::<(), _>("nodes Ready", Duration::from_millis(300), || async { Err("worker-2 has not registered".into()) });
        assert_eq!(error.await.unwrap_err().to_string(), "nodes Ready not reached after 300ms: worker-2 has not registered");
    }

    #[tokio::test]
    async fn a_look_that_hangs_ends_at_the_deadline() {
        let begun = Instant::now();
        let result = until::<(), _>("x", Duration::from_millis(300), std::future::pending).await;
        assert!(result.is_err() && begun.elapsed() < Duration::from_secs(4));
    }
}
