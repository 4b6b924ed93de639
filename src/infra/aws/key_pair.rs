//! The operator's key: made once at the path that the inventory names, and imported into EC2 under the cluster's name.

use super::{
    api::Effect,
    errors::Fault,
    plan::{self, Creation, Plan, Standing},
    run::Ctx,
    tags::{Tags, at_creation},
    wanted::Wanted,
    world::World,
};
use aws_sdk_ec2::{primitives::Blob, types::ResourceType};
use russh::keys::{HashAlg, PublicKey};

/// Key of the key pair.
pub const KEY: &str = "key-pair";

/// Calls.
#[derive(Clone, Debug)]
pub enum Work {
    /// Imports the public key.
    Import {
        /// Its name.
        name: String,
        /// One line in OpenSSH's form.
        public_key: String,
        /// Its tags.
        tags: Tags,
    },
}

/// Adds what differs.
pub fn diff(wanted: &Wanted, world: &World, plan: &mut Plan) {
    let there = world.key_pair();
    let standing = plan.resource("key pair", KEY, world, there.map(|k| &k.own), wanted.tags(KEY), |tags| {
        let (public_key, details) = match wanted.operator_keys.as_deref() {
            Some([key, ..]) => (key.clone(), vec![format!("fingerprint: {}", fingerprint(key))]),
            _ => (String::new(), vec!["a new ed25519 key is made where access.key says".to_owned()]),
        };
        let work = Work::Import { name: wanted.key_pair_name(), public_key, tags };
        Creation { after: &[], details, work: plan::Work::KeyPair(work) }
    });
    let (Standing::Kept, Some(there)) = (standing, there) else { return };
    let shown = &there.fingerprint;
    match &wanted.operator_keys {
        Some(keys) if !keys.iter().any(|k| is_same(k, there.public_key.as_deref(), shown)) => {
            let ours: Vec<String> = keys.iter().map(|k| fingerprint(k)).collect();
            plan.refused.push(format!(
                "key pair {}: the account has the key {shown}, access.key is {}: use the key that the machines were made with",
                there.name,
                ours.join(", ")
            ));
        }
        None => plan.refused.push(format!(
            "key pair {}: the machines were made with the key {shown}, but the file of access.key does not exist: copy that key here",
            there.name
        )),
        Some(_) => {}
    }
}

/// EC2 shows the SHA-256 of an ed25519 key with Base64 padding, and an MD5 or SHA-1 of an RSA key; those are compared by the
/// public key itself, where EC2 shows it (DescribeKeyPairs, IncludePublicKey).
fn is_same(key: &str, shown: Option<&str>, fingerprint_shown: &str) -> bool {
    let material = |k: &str| k.split_whitespace().nth(1).map(str::to_owned);
    if let Some(shown) = shown {
        return material(shown) == material(key);
    }
    let ours = fingerprint(key);
    let plain = |s: &str| s.trim_start_matches("SHA256:").trim_end_matches('=').to_owned();
    fingerprint_shown.contains(':') && !fingerprint_shown.starts_with("SHA256:") || plain(&ours) == plain(fingerprint_shown)
}

/// `SHA256:…` as `ssh-keygen -l` shows it.
pub fn fingerprint(key: &str) -> String {
    PublicKey::from_openssh(key).map_or_else(|_| "(unreadable)".to_owned(), |k| k.fingerprint(HashAlg::Sha256).to_string())
}

impl Work {
    pub(super) async fn run(&self, ctx: &Ctx<'_>) -> Result<Option<String>, Fault> {
        let ec2 = &ctx.api.ec2;
        match self {
            Self::Import { name, public_key, tags } => {
                let made = ctx
                    .api
                    .call("ImportKeyPair", Effect::Once, || {
                        ec2.import_key_pair()
                            .key_name(name)
                            .public_key_material(Blob::new(public_key.as_bytes()))
                            .tag_specifications(at_creation(ResourceType::KeyPair, tags))
                            .send()
                    })
                    .await?;
                Ok(made.key_pair_id)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_compared_by_what_ec2_shows() {
        let key = || crate::infra::operator_key::new_key().unwrap().1;
        let (ours, other) = (key(), key());
        let shown = |k: &str| format!("{}=", fingerprint(k).trim_start_matches("SHA256:"));
        assert!(is_same(&ours, None, &shown(&ours)) && !is_same(&ours, None, &shown(&other)));
        assert!(is_same(&ours, Some(&format!("{ours} a comment")), "") && !is_same(&ours, Some(&other), ""));
    }
}
