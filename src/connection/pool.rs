//! One connection per endpoint, whoever asks, also as a jump host.

use super::{Connection, ConnectionError, Endpoint, ssh::Ssh};
use std::{
    collections::HashMap,
    fmt::Write,
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
        let mut chain = vec![endpoint];
        while let Some(jump) = chain[chain.len() - 1].via.as_deref() {
            chain.push(jump);
        }
        let mut reached: Option<Arc<Ssh>> = None;
        let mut jumps: Result<(), ConnectionError> = Ok(());
        // From the outermost jump host inwards.
        for hop in chain.into_iter().rev() {
            if let Err(source) = jumps {
                jumps = Err(ConnectionError::Jump { host: hop.name.clone(), source: Box::new(source) });
                continue;
            }
            let connection = self.entry(hop, reached.as_ref());
            jumps = connection.live().await.map(drop);
            reached = Some(connection);
        }
        jumps?;
        reached
            .map(|c| c as Arc<dyn Connection>)
            .ok_or_else(|| ConnectionError::Local { host: endpoint.name.clone(), why: "an endpoint without itself".to_owned() })
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

    fn entry(&self, endpoint: &Endpoint, via: Option<&Arc<Ssh>>) -> Arc<Ssh> {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Ssh::new(endpoint.clone(), via.cloned(), self.agent.clone()));
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
    let mut key = String::new();
    let mut next = Some(endpoint);
    while let Some(hop) = next {
        // Writing to a String cannot fail. Identities print without their secrets.
        let _ = write!(key, "{}@{}:{} {:?} {:?} < ", hop.user, hop.address, hop.port, hop.identities, hop.host_keys);
        next = hop.via.as_deref();
    }
    key
}
