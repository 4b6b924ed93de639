//! The lock of a cluster: who may change it just now, kept where everybody who could change it looks, whether or not there
//! are machines yet. What is done with it (renewing, taking over from the dead) stands in `ops::lease`.

use super::InfraError;
use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Who holds a lock. No secrets: everybody who may see the machines may read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// `user@host`.
    pub owner: String,
    /// Process id there.
    pub pid: u32,
    /// What it does: `node replace worker-2`.
    pub command: String,
    /// Since when, by its own clock.
    pub since: Timestamp,
    /// The process, so that its own machine can tell whether it still lives; empty where the system cannot say.
    pub process: String,
}

/// A lock as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// Names this very lock: one that is made later has another id.
    pub id: String,
    /// Who holds it.
    pub holder: Holder,
    /// Changes whenever the holder says that it is alive.
    pub beat: String,
    /// Time since it last did, by the clock of the store where that has one.
    pub age: Duration,
}

/// A place that can hold one lock, atomically.
#[async_trait]
pub trait LockStore: Send + Sync {
    /// The lock that is there.
    async fn read(&self) -> Result<Option<Lock>, InfraError>;
    /// Makes the lock; `None`: somebody else has one. Of several that try at once exactly one succeeds.
    async fn create(&self, holder: &Holder) -> Result<Option<String>, InfraError>;
    /// Says that the holder of this very lock is alive; `false`: it is no longer there.
    async fn renew(&self, id: &str) -> Result<bool, InfraError>;
    /// Deletes this very lock; that it is gone already is fine.
    async fn remove(&self, id: &str) -> Result<(), InfraError>;
}
