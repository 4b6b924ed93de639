//! Taking a Node object away whose machine is gone, was reset, or is about to join as a new one. kubeadm refuses to join while
//! a Ready Node of that name exists (kubernetes#89512), and pods of a machine that is gone would stay in their places for
//! minutes.

use super::{ClusterError, doing, heartbeats};
use ::kube::{
    Api, Client,
    api::{DeleteParams, ListParams, Preconditions},
};
use k8s_openapi::api::{
    certificates::v1::CertificateSigningRequest,
    core::v1::{Node, Pod},
};
use std::net::IpAddr;

/// Whose Node it is.
#[derive(Clone, Copy, Debug)]
pub enum Machine {
    /// The machine with this address, of which we know that no kubelet of this cluster runs on it.
    At(IpAddr),
    /// It is gone: whatever Node has this name is a remainder.
    Gone,
}

/// Deletes the Node, and its pods without waiting for a kubelet that will never answer. Returns whether there was (or, in a dry
/// run, is) one. A Node that lives at another address is somebody else's: an error.
pub async fn forget_node(client: &Client, name: &str, machine: Machine, dry_run: bool) -> Result<bool, ClusterError> {
    let api: Api<Node> = Api::all(client.clone());
    let Some(node) = doing(format!("read node {name}"), api.get_opt(name).await)? else { return Ok(false) };
    if let Machine::At(address) = machine {
        let internal = internal_address(&node);
        if internal != Some(address) && heartbeats(client).await?.alive(name) {
            let elsewhere = internal.map_or_else(|| "an unknown address".to_owned(), |a| a.to_string());
            return Err(ClusterError::Invalid(format!(
                "node {name} is alive at {elsewhere}, and this machine is {address}: two machines cannot have one name"
            )));
        }
    }
    if dry_run {
        return Ok(true);
    }
    // The Node first: nothing new is placed on it, and its DaemonSets' pods do not come back.
    let params =
        DeleteParams { preconditions: Some(Preconditions { uid: node.metadata.uid, resource_version: None }), ..Default::default() };
    match api.delete(name, &params).await {
        Err(::kube::Error::Api(status)) if status.code == 404 || status.code == 409 => {}
        other => drop(doing(format!("delete node {name}"), other)?),
    }
    let everywhere: Api<Pod> = Api::all(client.clone());
    let pods =
        doing(format!("list the pods of {name}"), everywhere.list(&ListParams::default().fields(&format!("spec.nodeName={name}"))).await)?;
    for pod in pods {
        let (Some(namespace), Some(pod_name)) = (pod.metadata.namespace, pod.metadata.name) else { continue };
        let preconditions = Some(Preconditions { uid: pod.metadata.uid, resource_version: None });
        let now = DeleteParams { grace_period_seconds: Some(0), preconditions, ..Default::default() };
        match Api::<Pod>::namespaced(client.clone(), &namespace).delete(&pod_name, &now).await {
            // Gone already, or another pod of that name by now.
            Err(::kube::Error::Api(status)) if status.code == 404 || status.code == 409 => {}
            other => drop(doing(format!("delete pod {namespace}/{pod_name}"), other)?),
        }
    }
    Ok(true)
}

/// Takes back what a node could still use to get credentials: its pending certificate requests. Returns how many there were.
/// Client certificates cannot be revoked in Kubernetes; they end by themselves.
pub async fn drop_requests(client: &Client, name: &str) -> Result<u32, ClusterError> {
    let api: Api<CertificateSigningRequest> = Api::all(client.clone());
    let user = format!("system:node:{name}");
    let mut dropped = 0;
    for csr in doing("list certificate requests", api.list(&ListParams::default()).await)? {
        let decided = csr.status.as_ref().and_then(|s| s.conditions.as_ref()).is_some_and(|c| !c.is_empty());
        if decided || csr.spec.username.as_deref() != Some(&user) {
            continue;
        }
        let request = csr.metadata.name.unwrap_or_default();
        match api.delete(&request, &DeleteParams::default()).await {
            Err(::kube::Error::Api(status)) if status.code == 404 => {}
            other => {
                doing(format!("delete certificate request {request}"), other)?;
                dropped += 1;
            }
        }
    }
    Ok(dropped)
}

/// A Node's InternalIP.
pub fn internal_address(node: &Node) -> Option<IpAddr> {
    let addresses = node.status.as_ref()?.addresses.as_ref()?;
    addresses.iter().find(|a| a.type_ == "InternalIP")?.address.parse().ok()
}
