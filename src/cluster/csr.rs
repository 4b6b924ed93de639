//! Serving certificates of kubelets (`serverTLSBootstrap`): approval of exactly the requests whose names match a node we know.

use super::{ClusterError, doing};
use ::kube::{
    Api, Client,
    api::{ListParams, Patch, PatchParams},
};
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use std::{collections::BTreeSet, net::IpAddr};
use x509_parser::prelude::{FromDer as _, GeneralName, ParsedExtension, X509CertificationRequest};

/// What a node may put into its serving certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeIdentity {
    /// Node name.
    pub name: String,
    /// Its addresses.
    pub addresses: BTreeSet<IpAddr>,
}

/// Approves pending `kubernetes.io/kubelet-serving` requests of known nodes; all others are left pending.
/// Returns how many were (or would be) approved.
pub async fn approve_serving_certificates(client: &Client, nodes: &[NodeIdentity], dry_run: bool) -> Result<u32, ClusterError> {
    let api: Api<CertificateSigningRequest> = Api::all(client.clone());
    let mut approved = 0;
    for csr in doing("list certificate requests", api.list(&ListParams::default()).await)? {
        let decided = csr.status.as_ref().and_then(|s| s.conditions.as_ref()).is_some_and(|c| !c.is_empty());
        let name = csr.metadata.name.clone().unwrap_or_default();
        let user = csr.spec.username.clone().unwrap_or_default();
        if decided || csr.spec.signer_name != "kubernetes.io/kubelet-serving" || !matches_a_node(&csr.spec.request.0, &user, nodes) {
            continue;
        }
        approved += 1;
        if dry_run {
            continue;
        }
        let condition = serde_json::json!({"status": {"conditions": [{
            "type": "Approved", "status": "True", "reason": "KubewrightKnownNode",
            "message": "the requested names are those of a machine that kubewright manages",
        }]}});
        doing(
            format!("approve certificate request {name}"),
            api.patch_approval(&name, &PatchParams::default(), &Patch::Merge(&condition)).await,
        )?;
    }
    Ok(approved)
}

/// Whether a request (PEM) of `user` asks for nothing but the name and addresses of that very node.
fn matches_a_node(pem: &[u8], user: &str, nodes: &[NodeIdentity]) -> bool {
    let Some(node) = user.strip_prefix("system:node:").and_then(|n| nodes.iter().find(|known| known.name == n)) else { return false };
    let Ok((_, pem)) = x509_parser::pem::parse_x509_pem(pem) else { return false };
    let Ok((_, request)) = X509CertificationRequest::from_der(&pem.contents) else { return false };
    let common_name = request.certification_request_info.subject.iter_common_name().next().and_then(|c| c.as_str().ok());
    if common_name != Some(user) {
        return false;
    }
    let names: Vec<&GeneralName<'_>> = request
        .requested_extensions()
        .into_iter()
        .flatten()
        .filter_map(|e| if let ParsedExtension::SubjectAlternativeName(san) = e { Some(&san.general_names) } else { None })
        .flatten()
        .collect();
    !names.is_empty()
        && names.iter().all(|name| match name {
            GeneralName::DNSName(dns) => *dns == node.name,
            GeneralName::IPAddress(bytes) => address(bytes).is_some_and(|a| node.addresses.contains(&a)),
            _ => false,
        })
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes).map(IpAddr::from).or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

#[cfg(test)]
mod tests {
    use super::{NodeIdentity, matches_a_node};

    fn request(common_name: &str, sans: &[&str]) -> Vec<u8> {
        let mut params = rcgen::CertificateParams::new(sans.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, common_name);
        let key = rcgen::KeyPair::generate().unwrap();
        params.serialize_request(&key).unwrap().pem().unwrap().into_bytes()
    }

    #[test]
    fn only_a_known_nodes_own_names_are_approved() {
        let nodes = [NodeIdentity { name: "worker-1".into(), addresses: ["10.0.1.10".parse().unwrap()].into() }];
        let user = "system:node:worker-1";
        assert!(matches_a_node(&request(user, &["worker-1", "10.0.1.10"]), user, &nodes));
        assert!(!matches_a_node(&request(user, &["worker-1", "10.0.2.10"]), user, &nodes), "another node's address");
        assert!(!matches_a_node(&request(user, &["api.lab.internal"]), user, &nodes), "the API's name");
        assert!(!matches_a_node(&request("system:node:worker-2", &["worker-1"]), user, &nodes), "another subject");
        assert!(!matches_a_node(&request("system:node:worker-9", &["worker-9"]), "system:node:worker-9", &nodes), "an unknown node");
        assert!(!matches_a_node(&request(user, &[]), user, &nodes), "no names at all");
        assert!(!matches_a_node(b"nonsense", user, &nodes));
    }
}
