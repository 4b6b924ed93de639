//! The lock on EC2: a key pair that nobody can log in with. EC2 lets only one have the name, its id names this very lock, and
//! its tags say who holds it. It costs nothing, and works before there is a VPC; a tag alone could not be set by exactly one.

use super::{
    api::{Api, Effect, gone_is_fine},
    errors::{Fault, Meaning},
    tags::{self, Tags, at_creation},
};
use crate::infra::{
    InfraError,
    lock::{Holder, Lock, LockStore},
    operator_key,
};
use async_trait::async_trait;
use aws_sdk_ec2::{
    primitives::Blob,
    types::{Filter, ResourceType},
};
use jiff::Timestamp;
use std::time::Duration;

/// See the module.
pub(super) struct KeyPairLock {
    pub(super) api: Api,
    pub(super) cluster: String,
}

const OWNER: &str = "kubewright.dev/lock-owner";
const PID: &str = "kubewright.dev/lock-pid";
const COMMAND: &str = "kubewright.dev/lock-command";
const SINCE: &str = "kubewright.dev/lock-since";
const PROCESS: &str = "kubewright.dev/lock-process";
const BEAT: &str = "kubewright.dev/lock-renewed";
/// A tag's value has at most 256 characters.
const TAG_LENGTH: usize = 256;

impl KeyPairLock {
    fn name(&self) -> String {
        format!("kubewright-lock-{}", self.cluster)
    }

    fn failed(&self, fault: Fault) -> InfraError {
        fault.into_infra(&format!("the lock of cluster {} (key pair {})", self.cluster, self.name()))
    }

    fn tags(&self, holder: &Holder) -> Tags {
        let cut = |text: &str| text.chars().take(TAG_LENGTH).collect::<String>();
        [
            (tags::LOCK, self.cluster.clone()),
            (OWNER, cut(&holder.owner)),
            (PID, holder.pid.to_string()),
            (COMMAND, cut(&holder.command)),
            (SINCE, holder.since.to_string()),
            (PROCESS, holder.process.clone()),
            (BEAT, Timestamp::now().to_string()),
        ]
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v))
        .collect()
    }
}

#[async_trait]
impl LockStore for KeyPairLock {
    async fn read(&self) -> Result<Option<Lock>, InfraError> {
        let named = Filter::builder().name("key-name").values(self.name()).build();
        let call = || self.api.ec2.describe_key_pairs().filters(named.clone()).send();
        let found = self.api.call("DescribeKeyPairs", Effect::Repeatable, call).await.map_err(|f| self.failed(f))?;
        let Some(pair) = found.key_pairs.unwrap_or_default().into_iter().next() else { return Ok(None) };
        let Some(id) = pair.key_pair_id else { return Ok(None) };
        let tags = tags::read(pair.tags.as_deref());
        let tag = |key: &str| tags.get(key).cloned().unwrap_or_default();
        let time = |key: &str| tag(key).parse::<Timestamp>().unwrap_or(Timestamp::UNIX_EPOCH);
        let holder = Holder {
            owner: tag(OWNER),
            pid: tag(PID).parse().unwrap_or(0),
            command: tag(COMMAND),
            since: time(SINCE),
            process: tag(PROCESS),
        };
        // EC2 tells no time: laptops that may use its API at all agree with it to some minutes, and whoever looks dead is watched.
        let age = Duration::try_from(Timestamp::now().duration_since(time(BEAT))).unwrap_or_default();
        Ok(Some(Lock { id, holder, beat: tag(BEAT), age }))
    }

    async fn create(&self, holder: &Holder) -> Result<Option<String>, InfraError> {
        // Its private half is forgotten at once.
        let (_, line) =
            operator_key::new_key().map_err(|why| InfraError::Failed { what: "making the lock's key".to_owned(), why, hint: None })?;
        let call = || {
            let request = self.api.ec2.import_key_pair().key_name(self.name()).public_key_material(Blob::new(line.as_bytes()));
            request.tag_specifications(at_creation(ResourceType::KeyPair, &self.tags(holder))).send()
        };
        match self.api.call("ImportKeyPair", Effect::Once, call).await {
            Ok(made) => Ok(made.key_pair_id),
            Err(fault) if fault.meaning == Meaning::Duplicate => Ok(None),
            Err(fault) => Err(self.failed(fault)),
        }
    }

    async fn renew(&self, id: &str) -> Result<bool, InfraError> {
        let beat = Tags::from([(BEAT.to_owned(), Timestamp::now().to_string())]);
        // Called by itself, not through `Api::call`: that one waits for what it cannot find, and here nothing to find is an answer.
        let sent = self.api.ec2.create_tags().resources(id).set_tags(Some(tags::write(&beat))).send().await;
        match sent.map_err(|e| Fault::of("CreateTags", &e)) {
            Ok(_) => Ok(true),
            Err(fault) if fault.meaning == Meaning::NotFound => {
                // Something that was made a moment ago may not be visible yet.
                Ok(self.read().await?.is_some_and(|lock| lock.id == id))
            }
            Err(fault) => Err(self.failed(fault)),
        }
    }

    async fn remove(&self, id: &str) -> Result<(), InfraError> {
        let call = || self.api.ec2.delete_key_pair().key_pair_id(id).send();
        gone_is_fine(self.api.call("DeleteKeyPair", Effect::Takes, call).await).map_err(|f| self.failed(f))
    }
}
