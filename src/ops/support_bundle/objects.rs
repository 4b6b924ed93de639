//! What a support bundle takes from the API. No Secret is asked for; of pods outside the system only what `get pods` shows.

use kube::Client;
use serde_json::Value;
use std::{fmt::Write as _, time::Duration};

const DEADLINE: Duration = Duration::from_secs(15);

/// File, and what is asked for.
const OBJECTS: &[(&str, &str)] = &[
    ("nodes.json", "/api/v1/nodes"),
    ("events.json", "/api/v1/events?limit=2000"),
    ("namespaces.json", "/api/v1/namespaces"),
    ("pods-kube-system.json", "/api/v1/namespaces/kube-system/pods"),
    ("pods-kube-flannel.json", "/api/v1/namespaces/kube-flannel/pods"),
    ("configmaps-kube-system.json", "/api/v1/namespaces/kube-system/configmaps"),
    ("configmaps-kube-flannel.json", "/api/v1/namespaces/kube-flannel/configmaps"),
    ("daemonsets.json", "/apis/apps/v1/daemonsets"),
    ("deployments-kube-system.json", "/apis/apps/v1/namespaces/kube-system/deployments"),
    ("services.json", "/api/v1/services"),
    ("endpointslices-kube-system.json", "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices"),
    ("leases-kube-system.json", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"),
    ("signing-requests.json", "/apis/certificates.k8s.io/v1/certificatesigningrequests"),
    ("webhooks-validating.json", "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"),
    ("webhooks-mutating.json", "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"),
    ("storage-classes.json", "/apis/storage.k8s.io/v1/storageclasses"),
    ("volumes.json", "/api/v1/persistentvolumes"),
    ("api-services.json", "/apis/apiregistration.k8s.io/v1/apiservices"),
];
const TEXTS: &[(&str, &str)] = &[("version.json", "/version"), ("readyz.txt", "/readyz?verbose"), ("livez.txt", "/livez?verbose")];
const PODS: &str = "/api/v1/pods";

/// One thing that was asked for.
pub(super) struct Asked {
    pub(super) file: &'static str,
    pub(super) path: &'static str,
    /// An object, a text, or why there is neither.
    pub(super) answer: Result<Value, String>,
}

/// Asks for everything, side by side.
pub(super) async fn ask(client: &Client) -> Vec<Asked> {
    let objects = OBJECTS.iter().map(|(file, path)| async move { Asked { file, path, answer: get(client, path).await } });
    let texts = TEXTS.iter().map(|(file, path)| async move { Asked { file, path, answer: get(client, path).await } });
    let pods = async { Asked { file: "pods.txt", path: PODS, answer: get(client, PODS).await.map(|p| Value::from(table(&p))) } };
    let (mut all, texts, pods) = tokio::join!(futures::future::join_all(objects), futures::future::join_all(texts), pods);
    all.extend(texts);
    all.push(pods);
    all
}

/// What is no JSON comes back as a text.
async fn get(client: &Client, path: &str) -> Result<Value, String> {
    let request = http::Request::get(path).body(Vec::new()).map_err(|e| e.to_string())?;
    let text = match tokio::time::timeout(DEADLINE, client.request_text(request)).await {
        Ok(text) => text.map_err(|e| crate::kube::chain(&e))?,
        Err(_) => return Err(format!("no answer to GET {path} within {} s", DEADLINE.as_secs())),
    };
    Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

fn table(pods: &Value) -> String {
    let mut out = String::from("NAMESPACE NAME NODE PHASE READY RESTARTS REASON\n");
    let text = |v: &Value| v.as_str().unwrap_or("-").to_owned();
    for pod in pods["items"].as_array().into_iter().flatten() {
        let containers = pod["status"]["containerStatuses"].as_array().cloned().unwrap_or_default();
        let ready = containers.iter().filter(|c| c["ready"] == true).count();
        let restarts: u64 = containers.iter().filter_map(|c| c["restartCount"].as_u64()).sum();
        let waiting = containers.iter().find_map(|c| c["state"]["waiting"]["reason"].as_str());
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "{} {} {} {} {ready}/{} {restarts} {}",
            text(&pod["metadata"]["namespace"]),
            text(&pod["metadata"]["name"]),
            text(&pod["spec"]["nodeName"]),
            text(&pod["status"]["phase"]),
            containers.len(),
            waiting.or(pod["status"]["reason"].as_str()).unwrap_or("-"),
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_asked_for() {
        assert!(OBJECTS.iter().chain(TEXTS).all(|(_, path)| !path.contains("secret") && !path.contains("serviceaccounts/")));
    }

    #[test]
    fn pods_of_others_are_a_table() {
        let pods = serde_json::json!({"items": [{"metadata": {"namespace": "shop", "name": "a"}, "spec": {"nodeName": "worker-1", "containers": [{"env": [{"name": "P", "value": "SECRET"}]}]},
            "status": {"phase": "Pending", "containerStatuses": [{"ready": false, "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}}]});
        assert_eq!(table(&pods).lines().nth(1), Some("shop a worker-1 Pending 0/1 3 CrashLoopBackOff"));
    }
}
