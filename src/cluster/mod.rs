//! What Kubernetes needs from us beyond kubeadm: join tokens, node labels and taints, readiness, spreading, certificates.
//! Every function is idempotent and says whether it changed something; none prints.

mod alive;
pub mod backup;
mod budgets;
mod certificates;
mod cordon;
mod csr;
mod drain;
pub mod etcd;
mod forget;
mod identity;
mod node;
mod node_pods;
mod outside;
pub mod quorum;
mod rollout;
mod spread;
mod token;
mod user_certificate;

pub use alive::{Heartbeats, SILENT, heartbeats};
pub use budgets::held_by_budgets;
pub use certificates::{certificate_key, delete_uploaded};
pub use cordon::{CLOSED_BY, Cordon, cordon, cordon_of, settle, uncordon};
pub use csr::{NodeIdentity, approve_serving_certificates};
pub use drain::{DrainOptions, DrainPlan, Drained, PodRef, drain, plan_drain};
pub use forget::{Machine, drop_requests, forget_node, internal_address};
pub use identity::{Identity, ca_hash, identity};
pub use node::{Desired, Heard, NodeChange, ensure_node, wait_node_ready};
pub use node_pods::wait_node_pods;
pub use outside::{Named, Outside, outside, take_away};
pub use rollout::{delete_pods, delete_pods_of, wait_rollout};
pub use spread::spread;
pub use token::{JoinToken, create as create_token, revoke as revoke_token, revoke_described};
pub use user_certificate::{Person, Signed, user_certificate};

use std::time::Duration;

/// Why a step against the cluster failed.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The API refused or did not answer.
    #[error("{doing}: {source}")]
    Api {
        /// What was being done.
        doing: String,
        /// The API's answer.
        source: Box<::kube::Error>,
    },
    /// A condition did not come true in time.
    #[error("{what} did not happen within {} s: {last}", within.as_secs())]
    Deadline {
        /// What was waited for.
        what: String,
        /// How long.
        within: Duration,
        /// What was seen last, with the likely cause.
        last: String,
    },
    /// etcd refused or did not answer.
    #[error("etcd: {doing}: {why}")]
    Etcd {
        /// The call, and at which member.
        doing: String,
        /// etcd's words.
        why: String,
    },
    /// A snapshot that cannot be sealed or opened.
    #[error(transparent)]
    Seal(#[from] backup::SealError),
    /// What lies beside a snapshot.
    #[error(transparent)]
    Bundle(#[from] backup::BundleError),
    /// A change of etcd's members that its arithmetic forbids.
    #[error(transparent)]
    Quorum(#[from] quorum::Refusal),
    /// Something is not as it must be.
    #[error("{0}")]
    Invalid(String),
}

/// Names an API call in its error.
fn doing<T>(what: impl Into<String>, result: Result<T, ::kube::Error>) -> Result<T, ClusterError> {
    result.map_err(|source| ClusterError::Api { doing: what.into(), source: Box::new(source) })
}

/// Waiting for a condition: asked again and again, with a pause that grows from 100 ms to 1 s, until the deadline.
pub struct Wait {
    what: String,
    within: Duration,
    begun: tokio::time::Instant,
    pause: Duration,
}

impl Wait {
    /// Begins now.
    pub fn new(what: impl Into<String>, within: Duration) -> Self {
        Self { what: what.into(), within, begun: tokio::time::Instant::now(), pause: Duration::from_millis(100) }
    }

    /// Not yet, because of `last`: pauses, or says that it did not happen in time.
    pub async fn not_yet(&mut self, last: impl std::fmt::Display) -> Result<(), ClusterError> {
        if self.begun.elapsed() + self.pause > self.within {
            return Err(ClusterError::Deadline { what: self.what.clone(), within: self.within, last: last.to_string() });
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 3 / 2).min(Duration::from_secs(1));
        Ok(())
    }
}
