//! Why an operation failed, and the exit code that says so.

use super::api::ApiError;
use crate::{
    cluster::ClusterError, connection::ConnectionError, infra::InfraError, kube::KubeError, session::SessionError, text::Problems,
};

/// Why an operation could not be done.
#[derive(Debug, thiserror::Error)]
pub enum OpsError {
    /// Something that a person wrote is wrong. Nothing was touched.
    #[error("{0}")]
    Invalid(#[from] Problems),
    /// The provider.
    #[error(transparent)]
    Infra(#[from] InfraError),
    /// There is no such cluster.
    #[error("cluster {0} has no machines")]
    NoCluster(String),
    /// A host.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// A host's shell.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The way to the Kubernetes API.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The Kubernetes API.
    #[error(transparent)]
    Kube(#[from] KubeError),
    /// A step against the cluster.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// What was asked for would break something. Nothing was touched.
    #[error("{what}")]
    Refused {
        /// What would break, with the numbers.
        what: String,
        /// What to do instead.
        hint: String,
    },
    /// Something that takes steps stopped before its last one.
    #[error("{what}")]
    Unfinished {
        /// How far it came.
        what: String,
        /// What the same command will do, or what is in the way.
        hint: String,
    },
    /// `destroy` of a protected cluster.
    #[error("cluster {0} is protected")]
    Protected(String),
    /// Another operator works on the cluster.
    #[error("cluster {cluster} is locked by {holder}; nothing was touched")]
    Locked {
        /// The cluster.
        cluster: String,
        /// Who, what, since when.
        holder: String,
    },
    /// The lock was lost in the middle of the work.
    #[error(
        "the lock of cluster {0} was lost: another operator broke it, or it could not be renewed in time; stopped at the next safe point"
    )]
    LockLost(String),
    /// A local file or program.
    #[error("{what}: {source}")]
    Local {
        /// What was being done.
        what: String,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl OpsError {
    /// The program's exit code for it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Invalid(_) | Self::Infra(InfraError::Missing { .. }) | Self::NoCluster(_) | Self::Protected(_) | Self::Refused { .. } => {
                2
            }
            Self::Local { .. } => 1,
            Self::Locked { .. } | Self::LockLost(_) => 6,
            _ => 4,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Infra(InfraError::Missing { hint, .. }) | Self::Refused { hint, .. } | Self::Unfinished { hint, .. } => hint,
            Self::Infra(InfraError::Failed { hint, .. }) => return hint.clone(),
            Self::NoCluster(_) => "make it: kubewright bootstrap -i INVENTORY",
            Self::Locked { .. } => {
                "wait until that is done; the lock of a dead process is free within 60 s; --break-lock takes it from a live one"
            }
            Self::LockLost(_) => "see who holds it now, then run the same command again",
            Self::Protected(_) => "set `protected: false` in its cluster.yaml first",
            Self::Connection(error) | Self::Session(SessionError::Connection(error)) => connection_hint(error),
            Self::Api(ApiError::NotInitialised { .. }) => "finish it: kubewright bootstrap -i INVENTORY",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

fn connection_hint(error: &ConnectionError) -> &'static str {
    match error {
        ConnectionError::HostKeyMismatch { .. } => {
            "if the machine was really replaced, let the provider say so (kubewright plan); otherwise somebody else answers at this address"
        }
        ConnectionError::Authentication { .. } => "check access.user and access.key in cluster.yaml, or `ssh-add -l` for the agent",
        ConnectionError::Jump { source, .. } => connection_hint(source),
        ConnectionError::Unreachable { .. } => "is the machine up (kubewright plan), and does its security group let you in?",
        ConnectionError::Lost { .. } => "run the same command again: it goes on where it stopped",
        ConnectionError::Local { .. } => "mend that on this machine, then run the same command again",
    }
}
