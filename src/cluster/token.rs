//! Join tokens: made when a join needs one, alive for minutes, revoked right after.
//! A bootstrap token is a Secret of kube-system (<https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/>).

use super::{ClusterError, doing};
use crate::text::Secret;
use ::kube::{
    Api, Client,
    api::{DeleteParams, ListParams, PostParams},
};
use k8s_openapi::api::core::v1 as core;
use rand::RngExt as _;
use std::{collections::BTreeMap, time::Duration};

/// A token to join with.
#[derive(Clone, Debug)]
pub struct JoinToken {
    /// The public half, `[a-z0-9]{6}`.
    pub id: String,
    /// `ID.SECRET`.
    pub token: Secret<String>,
}

const NAMESPACE: &str = "kube-system";
const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// Makes a token that expires after `ttl`.
pub async fn create(client: &Client, ttl: Duration, description: &str) -> Result<JoinToken, ClusterError> {
    let (id, secret) = (random(6), random(16));
    let expiration = jiff::Timestamp::now() + ttl;
    let data = BTreeMap::from([
        ("token-id".to_owned(), id.clone()),
        ("token-secret".to_owned(), secret.clone()),
        ("expiration".to_owned(), expiration.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
        ("description".to_owned(), description.to_owned()),
        ("usage-bootstrap-authentication".to_owned(), "true".to_owned()),
        ("usage-bootstrap-signing".to_owned(), "true".to_owned()),
        ("auth-extra-groups".to_owned(), "system:bootstrappers:kubeadm:default-node-token".to_owned()),
    ]);
    let mut object = core::Secret { string_data: Some(data), type_: Some("bootstrap.kubernetes.io/token".into()), ..Default::default() };
    object.metadata.name = Some(format!("bootstrap-token-{id}"));
    let api: Api<core::Secret> = Api::namespaced(client.clone(), NAMESPACE);
    doing("create a join token", api.create(&PostParams::default(), &object).await)?;
    Ok(JoinToken { token: Secret::new(format!("{id}.{secret}")), id })
}

/// Revokes one token. Returns whether it was there.
pub async fn revoke(client: &Client, id: &str) -> Result<bool, ClusterError> {
    let api: Api<core::Secret> = Api::namespaced(client.clone(), NAMESPACE);
    match api.delete(&format!("bootstrap-token-{id}"), &DeleteParams::default()).await {
        Ok(_) => Ok(true),
        Err(::kube::Error::Api(status)) if status.code == 404 => Ok(false),
        Err(error) => doing(format!("revoke join token {id}"), Err(error)),
    }
}

/// Revokes the tokens with exactly this description, or, with `dry_run`, only counts them. All others are left alone.
pub async fn revoke_described(client: &Client, description: &str, dry_run: bool) -> Result<u32, ClusterError> {
    let api: Api<core::Secret> = Api::namespaced(client.clone(), NAMESPACE);
    let params = ListParams::default().fields("type=bootstrap.kubernetes.io/token");
    let mut revoked = 0;
    for secret in doing("list join tokens", api.list(&params).await)? {
        let field = |name: &str| {
            let data = secret.data.as_ref()?.get(name)?;
            String::from_utf8(data.0.clone()).ok()
        };
        let ours = field("description").is_some_and(|d| d == description);
        if let (true, Some(id)) = (ours, field("token-id")) {
            revoked += u32::from(dry_run || revoke(client, &id).await?);
        }
    }
    Ok(revoked)
}

fn random(length: usize) -> String {
    let mut rng = rand::rng();
    (0..length).map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())])).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn halves_have_the_form_that_the_api_server_checks() {
        let half = super::random(16);
        assert_eq!(half.len(), 16);
        assert!(half.bytes().all(|b| super::ALPHABET.contains(&b)));
        assert_ne!(half, super::random(16));
    }
}
