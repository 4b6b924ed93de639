//! Client certificates for people, by a request that the API server's own signer fulfils: the CA's key stays where it is.
//! <https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/>

use super::{ClusterError, Wait, doing};
use crate::text::Secret;
use ::kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use k8s_openapi::{
    ByteString,
    api::certificates::v1::{CertificateSigningRequest, CertificateSigningRequestSpec},
};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use std::time::Duration;

const SIGNER: &str = "kubernetes.io/kube-apiserver-client";
/// The API server refuses less (CertificateSigningRequestSpec.expirationSeconds).
pub const SHORTEST: Duration = Duration::from_secs(600);
/// How long the controller manager may take to sign.
const SIGNED: Duration = Duration::from_secs(30);

/// Who it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// User name: the subject's common name.
    pub user: String,
    /// Group: the subject's organisation.
    pub group: Option<String>,
    /// How long it is valid.
    pub ttl: Duration,
}

impl Person {
    /// Why no certificate is made for this name; `None`: it is.
    ///
    /// Names that begin with `system:` are Kubernetes' own. Group `system:masters` bypasses all of RBAC and cannot be taken back:
    /// a certificate cannot be revoked.
    pub fn refused(&self) -> Option<String> {
        if self.user.is_empty() {
            return Some("a user name must not be empty".to_owned());
        }
        if let Some(name) = [Some(&self.user), self.group.as_ref()].into_iter().flatten().find(|n| n.starts_with("system:")) {
            let masters = if name == "system:masters" { ": it bypasses RBAC, and a certificate cannot be revoked" } else { "" };
            return Some(format!("{name} is a name of Kubernetes itself{masters}"));
        }
        (self.ttl < SHORTEST).then(|| {
            format!("{} is too short: the API server makes no certificate of less than 10 minutes", humantime::format_duration(self.ttl))
        })
    }
}

/// A certificate and its key, PEM.
pub struct Signed {
    /// The certificate.
    pub certificate: Vec<u8>,
    /// Its key, which was never anywhere else.
    pub key: Secret<Vec<u8>>,
}

/// Asks for a certificate, approves it, and waits until it is signed. The request is deleted again.
pub async fn user_certificate(client: &Client, person: &Person) -> Result<Signed, ClusterError> {
    let invalid = |e: rcgen::Error| ClusterError::Invalid(format!("cannot make a certificate request: {e}"));
    let key = KeyPair::generate().map_err(invalid)?;
    let mut params = CertificateParams::new(Vec::new()).map_err(invalid)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, &person.user);
    if let Some(group) = &person.group {
        params.distinguished_name.push(DnType::OrganizationName, group);
    }
    let request = params.serialize_request(&key).and_then(|r| r.pem()).map_err(invalid)?;

    let api: Api<CertificateSigningRequest> = Api::all(client.clone());
    let name = format!("kubewright-user-{:08x}", rand::random::<u32>());
    let spec = CertificateSigningRequestSpec {
        request: ByteString(request.into_bytes()),
        signer_name: SIGNER.to_owned(),
        expiration_seconds: i32::try_from(person.ttl.as_secs()).ok(),
        usages: Some(vec!["client auth".to_owned()]),
        ..CertificateSigningRequestSpec::default()
    };
    let mut object = CertificateSigningRequest { spec, ..CertificateSigningRequest::default() };
    object.metadata.name = Some(name.clone());
    doing("create a certificate request", api.create(&PostParams::default(), &object).await)?;
    let signed = sign(&api, &name, &person.user).await;
    // What is left of it is of no use to anybody; the API server would keep it for an hour.
    let deleted = api.delete(&name, &DeleteParams::default()).await;
    let certificate = signed?;
    doing(format!("delete certificate request {name}"), deleted)?;
    Ok(Signed { certificate, key: Secret::new(key.serialize_pem().into_bytes()) })
}

async fn sign(api: &Api<CertificateSigningRequest>, name: &str, user: &str) -> Result<Vec<u8>, ClusterError> {
    let condition = serde_json::json!({"status": {"conditions": [{
        "type": "Approved", "status": "True", "reason": "KubewrightOperator",
        "message": format!("asked for by an operator of the cluster, for user {user}"),
    }]}});
    doing(
        format!("approve certificate request {name}"),
        api.patch_approval(name, &PatchParams::default(), &Patch::Merge(&condition)).await,
    )?;
    let mut wait = Wait::new(format!("certificate of {user} signed"), SIGNED);
    loop {
        let status = doing(format!("read certificate request {name}"), api.get(name).await)?.status.unwrap_or_default();
        if let Some(certificate) = status.certificate {
            return Ok(certificate.0);
        }
        let failed = status.conditions.unwrap_or_default().into_iter().find(|c| c.type_ == "Failed" || c.type_ == "Denied");
        if let Some(condition) = failed {
            return Err(ClusterError::Invalid(format!("no certificate for {user}: {}", condition.message.unwrap_or_default())));
        }
        wait.not_yet("the controller manager has not signed it").await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_kubernetes_itself_are_refused() {
        let person = |user: &str, group: Option<&str>, minutes: u64| Person {
            user: user.to_owned(),
            group: group.map(str::to_owned),
            ttl: Duration::from_secs(minutes * 60),
        };
        assert_eq!(person("alice", Some("dev"), 60).refused(), None);
        assert_eq!(person("alice", Some("kubeadm:cluster-admins"), 60).refused(), None, "RBAC can take that back");
        assert!(person("alice", Some("system:masters"), 60).refused().unwrap().contains("cannot be revoked"));
        assert!(person("system:node:worker-1", Some("system:nodes"), 60).refused().unwrap().contains("Kubernetes itself"));
        assert!(person("", None, 60).refused().is_some());
        assert!(person("alice", None, 9).refused().unwrap().contains("10 minutes"));
    }
}
