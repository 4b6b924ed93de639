//! What `kubeadm init phase upload-certs` leaves in the cluster: the certificates' Secret, encrypted, and the token that it
//! belongs to (cmd/kubeadm/app/phases/copycerts). They live two hours by themselves; we delete them right after each join.

use super::{ClusterError, doing, token::revoke_described};
use ::kube::{Api, Client, api::DeleteParams};
use k8s_openapi::api::core::v1::Secret;

const SECRET: &str = "kubeadm-certs";
/// kubeadm's own description of the token.
const TOKEN: &str = "Proxy for managing TTL for the kubeadm-certs secret";

/// A key that encrypts certificates on their way: 32 bytes in hexadecimal, as kubeadm makes them.
pub fn certificate_key() -> crate::text::Secret<String> {
    crate::text::Secret::new(rand::random::<[u8; 32]>().iter().map(|b| format!("{b:02x}")).collect())
}

/// Deletes both. Returns how many objects were (or, in a dry run, would be) deleted.
pub async fn delete_uploaded(client: &Client, dry_run: bool) -> Result<u32, ClusterError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), "kube-system");
    let secret = if dry_run {
        doing("read the uploaded certificates", api.get_metadata_opt(SECRET).await)?.is_some()
    } else {
        match api.delete(SECRET, &DeleteParams::default()).await {
            Ok(_) => true,
            Err(::kube::Error::Api(status)) if status.code == 404 => false,
            Err(error) => return doing("delete the uploaded certificates", Err(error)),
        }
    };
    Ok(u32::from(secret) + revoke_described(client, TOKEN, dry_run).await?)
}
