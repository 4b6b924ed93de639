//! Which cluster this is: the UID of namespace kube-system and the CA's hash. "One cluster" means both stay the same.

use super::{ClusterError, doing};
use ::kube::{Api, Client};
use k8s_openapi::api::core::v1::Namespace;
use sha2::{Digest as _, Sha256};

/// What makes a cluster this one and no other.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Identity {
    /// UID of namespace kube-system.
    pub uid: String,
}

/// Asks the API.
pub async fn identity(client: &Client) -> Result<Identity, ClusterError> {
    let api: Api<Namespace> = Api::all(client.clone());
    let namespace = doing("read namespace kube-system", api.get("kube-system").await)?;
    Ok(Identity { uid: namespace.metadata.uid.unwrap_or_default() })
}

/// `sha256:HEX` of the CA certificate's public key, as `kubeadm join --discovery-token-ca-cert-hash` wants it:
/// SHA-256 over the DER of SubjectPublicKeyInfo (kubeadm's documentation, "Token-based discovery with CA pinning").
pub fn ca_hash(pem: &[u8]) -> Result<String, ClusterError> {
    let invalid = |e: &dyn std::fmt::Display| ClusterError::Invalid(format!("the cluster's CA certificate cannot be read: {e}"));
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem).map_err(|e| invalid(&e))?;
    let certificate = pem.parse_x509().map_err(|e| invalid(&e))?;
    let digest = Sha256::digest(certificate.public_key().raw);
    Ok(format!("sha256:{}", digest.iter().map(|b| format!("{b:02x}")).collect::<String>()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_hash_is_the_one_of_the_public_key() {
        let key = rcgen::KeyPair::generate().unwrap();
        let make = |name: &str| rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap().pem();
        let (a, b) = (super::ca_hash(make("a").as_bytes()).unwrap(), super::ca_hash(make("b").as_bytes()).unwrap());
        assert_eq!(a, b, "another certificate of the same key has the same hash");
        assert_eq!(a.len(), "sha256:".len() + 64);
        assert!(super::ca_hash(b"-----BEGIN NONSENSE-----").is_err());
    }
}
