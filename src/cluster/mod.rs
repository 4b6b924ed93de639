//! What Kubernetes needs from us beyond kubeadm: join tokens, node labels and taints, readiness, spreading, certificates.
//! Every function is idempotent and says whether it changed something; none prints.

mod csr;
mod identity;
mod node;
mod rollout;
mod spread;
mod token;

pub use csr::{NodeIdentity, approve_serving_certificates};
pub use identity::{Identity, ca_hash, identity};
pub use node::{Desired, NodeChange, ensure_node, wait_node_ready};
pub use rollout::wait_rollout;
pub use spread::spread;
pub use token::{JoinToken, create as create_token, revoke as revoke_token, revoke_described};

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
    /// Something is not as it must be.
    #[error("{0}")]
    Invalid(String),
}

/// Names an API call in its error.
fn doing<T>(what: impl Into<String>, result: Result<T, ::kube::Error>) -> Result<T, ClusterError> {
    result.map_err(|source| ClusterError::Api { doing: what.into(), source: Box::new(source) })
}

/// Asks `probe` until it says `Ok(Ok(value))`; `Ok(Err(text))` is "not yet, because". API errors of a control plane that
/// is just starting are taken as "not yet" too. The pause grows from 100 ms to 1 s.
async fn wait_for<T, F>(what: &str, within: Duration, mut probe: F) -> Result<T, ClusterError>
where
    F: AsyncFnMut() -> Result<Result<T, String>, ClusterError>,
{
    let begun = tokio::time::Instant::now();
    let mut pause = Duration::from_millis(100);
    loop {
        let last = match probe().await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(reason)) => reason,
            Err(error @ ClusterError::Api { .. }) => error.to_string(),
            Err(error) => return Err(error),
        };
        if begun.elapsed() + pause > within {
            return Err(ClusterError::Deadline { what: what.to_owned(), within, last });
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(Duration::from_secs(1));
    }
}
