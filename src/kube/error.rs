//! What can go wrong on the way to the API and with what it says.

use std::time::Duration;

/// Why the cluster could not be asked, or did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum KubeError {
    /// A kubeconfig or certificate that cannot be used.
    #[error("{what}: {why}")]
    Credentials {
        /// Which part.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// A manifest that cannot be sent.
    #[error("manifest document {number}: {why}")]
    Manifest {
        /// Counted from 1.
        number: usize,
        /// What is wrong with it.
        why: String,
    },
    /// The API refused, or could not be reached.
    #[error("{what}: {}", chain(source))]
    Api {
        /// What was being done.
        what: String,
        /// The client's error.
        source: Box<::kube::Error>,
    },
    /// A condition did not come true in time.
    #[error("{what} not reached after {}: {last}", humantime::format_duration(*after))]
    Timeout {
        /// The condition.
        what: String,
        /// How long it was waited for.
        after: Duration,
        /// What was seen last.
        last: String,
    },
    /// No local port.
    #[error("cannot listen on 127.0.0.1: {0}")]
    Listen(#[from] std::io::Error),
}

impl KubeError {
    /// Wraps a client's error with what was being done.
    pub(super) fn api(what: impl Into<String>) -> impl FnOnce(::kube::Error) -> Self {
        let what = what.into();
        move |source| Self::Api { what, source: Box::new(source) }
    }
}

/// The error and its sources in one line; the client's own text often leaves the real cause to the last source.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
