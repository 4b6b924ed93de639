//! What a connection is, whoever provides it (SSH, this machine, a strict fake in tests).

use crate::text::Secret;
use async_trait::async_trait;
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncWrite};

/// Where and as whom to log in. Plain data: making one dials nothing.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The host's name in the inventory, for messages.
    pub name: String,
    /// Name or address to dial (from the jump host's point of view, if there is one).
    pub address: String,
    /// TCP port.
    pub port: u16,
    /// Login user.
    pub user: String,
    /// What may be offered for authentication, in this order.
    pub identities: Vec<Identity>,
    /// How the host proves itself.
    pub host_keys: HostKeys,
    /// Hosts to go through, themselves perhaps behind others: the first that can be reached is taken; empty: straight.
    pub via: Vec<Arc<Endpoint>>,
    /// How long all attempts together may take.
    pub deadline: Duration,
    /// What is tried again until the deadline.
    pub retry: Retry,
}

/// Which failures of a first connection may pass by themselves. A wrong host key never does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// None: one attempt.
    Never,
    /// A host that does not answer: it may be rebooting.
    Unreachable,
    /// First boot: also refused authentication, because sshd answers before cloud-init has written authorized_keys.
    Booting,
}

/// Something to authenticate with.
#[derive(Clone, Debug)]
pub enum Identity {
    /// A private key file, perhaps with a certificate beside it (`-cert.pub`).
    KeyFile {
        /// Path.
        path: PathBuf,
        /// Its passphrase, where it has one.
        passphrase: Option<Secret<String>>,
    },
    /// All keys of the agent at `SSH_AUTH_SOCK`.
    Agent,
    /// A password (also for keyboard-interactive).
    Password(Secret<String>),
}

/// How a host proves that it is itself.
#[derive(Clone, Debug)]
pub enum HostKeys {
    /// One of exactly these public keys.
    Pinned(PinnedKeys),
    /// known_hosts files, read as OpenSSH does.
    KnownHosts(Vec<PathBuf>),
}

/// Public keys that a host may show, in OpenSSH's one-line form. Clones share them: while a key is rotated, everybody who
/// reaches the host, also as a jump host, knows the keys of this moment.
#[derive(Clone, Default)]
pub struct PinnedKeys(Arc<Mutex<Vec<String>>>);

impl PinnedKeys {
    /// These keys.
    pub fn new(keys: Vec<String>) -> Self {
        Self(Arc::new(Mutex::new(keys)))
    }

    /// The keys of this moment.
    pub fn get(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on these keys and no others.
    pub fn set(&self, keys: Vec<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = keys;
    }
}

impl std::fmt::Debug for PinnedKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.get().fmt(f)
    }
}

/// A byte stream to somewhere.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A running remote command.
pub struct Process {
    /// Its standard input; dropping (or shutting down) it sends end of file.
    pub stdin: Box<dyn AsyncWrite + Send + Unpin>,
    /// Its standard output.
    pub stdout: Box<dyn AsyncRead + Send + Unpin>,
    /// Its standard error.
    pub stderr: Box<dyn AsyncRead + Send + Unpin>,
    /// Its exit: `Ok(code)`, or why there is none (signal, lost connection).
    pub exit: futures::future::BoxFuture<'static, Result<i32, ConnectionError>>,
}

/// A finished remote command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Exit code.
    pub rc: i32,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

/// An established connection. Cheap to share; it reconnects by itself where that is safe (never in the middle of a command).
#[async_trait]
pub trait Connection: Send + Sync {
    /// For messages: `worker-1 (ubuntu@10.0.1.10:22 via control-plane-1)`.
    fn describe(&self) -> String;
    /// Starts a command line, given to the login shell of the user.
    async fn exec(&self, command: &str) -> Result<Process, ConnectionError>;
    /// A stream to `address:port` as seen from that host (direct-tcpip).
    async fn open_stream(&self, address: &str, port: u16) -> Result<Box<dyn Stream>, ConnectionError>;
    /// Closes it; later calls fail.
    async fn close(&self);

    /// Runs a command to its end, with some standard input.
    async fn run(&self, command: &str, stdin: &[u8]) -> Result<Finished, ConnectionError> {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let Process { stdin: mut input, mut stdout, mut stderr, exit } = self.exec(command).await?;
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let feed = async move {
            // A command may end without reading all of it: its exit code says what that means.
            let _ = input.write_all(stdin).await;
            let _ = input.shutdown().await;
        };
        let (rc, ..) = tokio::join!(exit, feed, stdout.read_to_end(&mut out), stderr.read_to_end(&mut err));
        Ok(Finished { rc: rc?, stdout: out, stderr: err })
    }
}

/// Why a host could not be reached or a command not be run. Every variant names the host.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConnectionError {
    /// Nothing answers at the address.
    #[error("{host}: cannot reach {address}: {why}")]
    Unreachable {
        /// Host.
        host: String,
        /// `address:port`, with the jump host where there is one.
        address: String,
        /// The system's reason, how long and how often it was tried.
        why: String,
    },
    /// The host showed another key than the known one. Never retried.
    #[error("{host}: host key mismatch: {address} showed {found}, expected {expected}")]
    HostKeyMismatch {
        /// Host.
        host: String,
        /// `address:port`.
        address: String,
        /// Fingerprint shown.
        found: String,
        /// Fingerprints known, or `no known key`.
        expected: String,
    },
    /// No offered identity was accepted.
    #[error("{host}: authentication as {user} refused: {why}")]
    Authentication {
        /// Host.
        host: String,
        /// User.
        user: String,
        /// What was offered and what the server would accept.
        why: String,
    },
    /// A jump host failed; its own error stands inside.
    #[error("{host}: jump host failed: {source}")]
    Jump {
        /// Host.
        host: String,
        /// The jump host's error.
        source: Box<ConnectionError>,
    },
    /// It was established and got lost.
    #[error("{host}: connection lost: {why}")]
    Lost {
        /// Host.
        host: String,
        /// Why.
        why: String,
    },
    /// A local cause: a key file that cannot be read, no agent.
    #[error("{host}: {why}")]
    Local {
        /// Host.
        host: String,
        /// Why.
        why: String,
    },
}
