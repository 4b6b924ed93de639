//! The cluster's lock on the command line.

use super::{Failure, shown::Shown};
use crate::ops::{Cluster, OpsError, lease};

/// How the lock is taken.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct LockArgs {
    /// Take the cluster's lock away from whoever holds it: only when you know that nobody works on the cluster
    #[arg(long)]
    break_lock: bool,
}

/// The lock, held by this command.
pub struct Locked {
    lease: lease::Lease,
    cluster: String,
}

impl LockArgs {
    /// Takes it, or fails with exit code 6 and who holds it.
    pub async fn take(self, cluster: &Cluster, command: impl Into<String>) -> Result<Locked, Failure> {
        let request = lease::Request { command: command.into(), break_lock: self.break_lock };
        let lease = cluster.lock(&request).await?;
        if let Some(taken) = &lease.taken {
            crate::report::err(&format!("warning: {}\n", crate::report::clean_line(taken)));
        }
        Ok(Locked { lease, cluster: cluster.spec.name.clone() })
    }
}

impl Locked {
    /// A run that stops at its next safe point when the lock is lost.
    pub fn guard(&self, shown: &Shown) {
        let (lost, cancel, events) = (self.lease.lost().clone(), shown.cancel.clone(), shown.events.clone());
        tokio::spawn(async move {
            lost.cancelled().await;
            events.warn("the lock was lost: stopping at the next safe point");
            cancel.cancel();
        });
    }

    /// Gives it back; the work's own failure is the one that is told.
    pub async fn release<T>(self, result: Result<T, Failure>) -> Result<T, Failure> {
        if self.lease.lost().is_cancelled() {
            return Err(OpsError::LockLost(self.cluster).into());
        }
        let released = self.lease.release().await;
        let value = result?;
        released?;
        Ok(value)
    }
}
