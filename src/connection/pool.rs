//! One connection per endpoint, whoever asks, also as a jump host.

use super::{Connection, ConnectionError, Endpoint, ssh::Ssh};
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

/// The connections of one run.
#[derive(Default)]
pub struct Pool {
    agent: Option<PathBuf>,
    connections: Mutex<HashMap<String, Arc<Ssh>>>,
}

impl Pool {
    /// An empty one, with the agent of `SSH_AUTH_SOCK`.
    pub fn new() -> Self {
        Self { agent: std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from), ..Self::default() }
    }

    /// An empty one, with the agent that listens at `socket`.
    pub fn with_agent(socket: impl Into<PathBuf>) -> Self {
        Self { agent: Some(socket.into()), ..Self::default() }
    }

    /// The connection to `endpoint`, authenticated. Callers who ask at the same time share one dial and its result;
    /// a failed dial is not remembered. The connection dials again by itself when it was lost.
    ///
    /// # Errors
    /// Why the host, or one of its jump hosts ([`ConnectionError::Jump`]), cannot be reached.
    pub async fn get(&self, endpoint: &Endpoint) -> Result<Arc<dyn Connection>, ConnectionError> {
        let connection = self.entry(endpoint);
        connection.reach(&endpoint.name).await?;
        Ok(connection)
    }

    /// Forgets the connection to an endpoint: the next [`Pool::get`] dials anew (after a reboot, or with a new key).
    pub fn forget(&self, endpoint: &Endpoint) {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).remove(&key(endpoint));
    }

    /// Closes all of them.
    pub async fn close(&self) {
        let all: Vec<_> = self.connections.lock().unwrap_or_else(PoisonError::into_inner).drain().map(|(_, c)| c).collect();
        for connection in all {
            connection.close().await;
        }
    }

    fn entry(&self, endpoint: &Endpoint) -> Arc<Ssh> {
        let via: Vec<Arc<Ssh>> = endpoint.via.iter().map(|jump| self.entry(jump)).collect();
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Ssh::new(endpoint.clone(), via.clone(), self.agent.clone()));
        let entry = connections.entry(key(endpoint)).or_insert_with(new);
        if entry.is_closed() {
            *entry = new();
        }
        Arc::clone(entry)
    }
}

/// What makes two endpoints the same connection: all but the name, the deadline and the patience. The host keys count,
/// so that a rotated key is proved by a connection of its own.
fn key(endpoint: &Endpoint) -> String {
    let Endpoint { address, port, user, identities, host_keys, via, .. } = endpoint;
    // Identities print without their secrets.
    let mut text = format!("{user}@{address}:{port} {identities:?} {host_keys:?}");
    for jump in via {
        text.push_str(" < ");
        text.push_str(&key(jump));
    }
    text
}
