//! The connector for real hosts: SSH by inventory variables or by given endpoints, and this machine.

use super::{Connector, Shell, Target, endpoint::endpoint};
use crate::{
    connection::{Connection, ConnectionError, Endpoint, Identity, Local, Pool, is_locked, ssh_config::Sources},
    modules,
    session::{Program, Record, Session, SessionError},
};
use async_trait::async_trait;
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{OnceCell, mpsc};

#[async_trait]
impl Shell for Session {
    async fn run(&self, program: &Program, records: mpsc::UnboundedSender<Record>) -> Result<(), SessionError> {
        Session::run(self, program, records).await
    }
}

/// What holds where a host's variables say nothing.
#[derive(Clone, Debug)]
pub struct LoginDefaults {
    /// `-u`, `remote_user`; else the operator's name.
    pub user: Option<String>,
    /// `--private-key`.
    pub key_file: Option<PathBuf>,
    /// Port (`remote_port` of ansible.cfg).
    pub port: Option<u16>,
    /// Password for those who need one.
    pub password: Option<crate::text::Secret<String>>,
    /// Arguments as ssh takes them (`--ssh-common-args`, `ssh_args` of ansible.cfg), before those of variables.
    pub ssh_args: Vec<String>,
    /// ssh_config(5) files, and whose.
    pub config: Sources,
    /// How long connecting may take.
    pub deadline: Duration,
    /// `--connection`.
    pub connection: Option<String>,
    /// Asks for the passphrase of a key.
    pub ask: Ask,
}

/// A way to ask a person for the passphrase of a key file; `None` where nobody can be asked.
#[derive(Clone, Default)]
pub struct Ask(pub Option<Arc<AskPassphrase>>);

/// From the key's path to its passphrase.
pub type AskPassphrase = dyn Fn(&std::path::Path) -> Option<crate::text::Secret<String>> + Send + Sync;

impl std::fmt::Debug for Ask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Ask" } else { "Ask(nobody)" })
    }
}

impl Default for LoginDefaults {
    fn default() -> Self {
        Self {
            user: None,
            key_file: None,
            port: None,
            password: None,
            ssh_args: Vec::new(),
            config: Sources::of_this_user(),
            deadline: Duration::from_secs(30),
            connection: None,
            ask: Ask::default(),
        }
    }
}

/// What is done with a machine that is met for the first time in a run, before anything else is done with it.
#[async_trait]
pub trait FirstContact: Send + Sync {
    /// May change which keys the endpoint trusts; the connection is asked for again afterwards.
    async fn meet(&self, endpoint: &Endpoint, pool: &Pool) -> Result<(), ConnectionError>;
}

/// See the module. Endpoints that are given (a cluster's machines, with pinned keys) win over variables.
#[derive(Default)]
pub struct Network {
    pool: Pool,
    endpoints: HashMap<String, Endpoint>,
    defaults: LoginDefaults,
    first_contact: Option<Arc<dyn FirstContact>>,
    met: Mutex<HashMap<String, Arc<OnceCell<()>>>>,
    /// Endpoints of hosts that were dialled as their variables say.
    dialled: Mutex<HashMap<String, Vec<Endpoint>>>,
    /// Passphrases that were asked for, each once.
    passphrases: Mutex<HashMap<PathBuf, Option<crate::text::Secret<String>>>>,
}

impl Network {
    /// For these endpoints, by host; others are reached as their variables say.
    pub fn new(endpoints: HashMap<String, Endpoint>, defaults: LoginDefaults) -> Self {
        Self { pool: Pool::new(), endpoints, defaults, ..Self::default() }
    }

    /// With something to do on first contact with those that have an endpoint.
    #[must_use]
    pub fn on_first_contact(mut self, first_contact: Arc<dyn FirstContact>) -> Self {
        self.first_contact = Some(first_contact);
        self
    }

    /// The connection to a host whose endpoint was given.
    ///
    /// # Errors
    /// Why it cannot be reached; a name without an endpoint is an error too.
    pub async fn connect(&self, host: &str) -> Result<Arc<dyn Connection>, ConnectionError> {
        let why = || ConnectionError::Local { host: host.to_owned(), why: "there is no such machine".to_owned() };
        self.reach(self.endpoints.get(host).ok_or_else(why)?).await
    }

    async fn reach(&self, endpoint: &Endpoint) -> Result<Arc<dyn Connection>, ConnectionError> {
        if let Some(first_contact) = &self.first_contact {
            let cell = Arc::clone(self.met.lock().unwrap_or_else(PoisonError::into_inner).entry(endpoint.name.clone()).or_default());
            cell.get_or_try_init(|| first_contact.meet(endpoint, &self.pool)).await?;
        }
        self.pool.get(endpoint).await
    }

    fn remember(&self, endpoint: &Endpoint) {
        let mut dialled = self.dialled.lock().unwrap_or_else(PoisonError::into_inner);
        let known = dialled.entry(endpoint.name.clone()).or_default();
        let same = |e: &Endpoint| (&e.user, &e.address, e.port) == (&endpoint.user, &endpoint.address, endpoint.port);
        known.retain(|e| !same(e));
        known.push(endpoint.clone());
    }

    /// Asks for the passphrases of keys that need one, each once in a run, and only where no agent runs: it may hold them.
    fn unlock(&self, endpoint: &mut Endpoint) {
        let Some(ask) = &self.defaults.ask.0 else { return };
        let mut known = self.passphrases.lock().unwrap_or_else(PoisonError::into_inner);
        for identity in &mut endpoint.identities {
            if let Identity::KeyFile { path, passphrase: passphrase @ None } = identity {
                let asked = known.entry(path.clone()).or_insert_with(|| if is_locked(path) { ask(path) } else { None });
                passphrase.clone_from(asked);
            }
        }
        for hop in &mut endpoint.via {
            let mut own = (**hop).clone();
            drop(known);
            self.unlock(&mut own);
            *hop = Arc::new(own);
            known = self.passphrases.lock().unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

#[async_trait]
impl Connector for Network {
    async fn session(&self, target: &Target) -> Result<Arc<dyn Shell>, SessionError> {
        let connection = self.connection(target).await?;
        let session = Session::open(connection, &target.host, target.become_.clone(), &modules::prelude()).await?;
        Ok(Arc::new(session))
    }

    async fn connection(&self, target: &Target) -> Result<Arc<dyn Connection>, SessionError> {
        let kind = target.login.connection.clone().or_else(|| self.defaults.connection.clone());
        if kind.as_deref().is_some_and(|k| k == "local" || k == "ansible.builtin.local") {
            return Ok(Arc::new(Local::new(&target.host)));
        }
        match self.endpoints.get(&target.host) {
            Some(endpoint) => Ok(self.reach(endpoint).await?),
            None => {
                let mut endpoint = endpoint(target, &self.defaults)?;
                self.unlock(&mut endpoint);
                self.remember(&endpoint);
                Ok(self.pool.get(&endpoint).await?)
            }
        }
    }

    async fn reset(&self, host: &str) {
        let dialled = self.dialled.lock().unwrap_or_else(PoisonError::into_inner).remove(host).unwrap_or_default();
        for endpoint in self.endpoints.get(host).into_iter().chain(&dialled) {
            self.pool.forget(endpoint);
        }
    }
}
