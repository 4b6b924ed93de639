//! The connector for real hosts: SSH by inventory variables or by given endpoints, and this machine.

use super::{Connector, Login, Shell, Target};
use crate::{
    connection::{Connection, ConnectionError, Endpoint, HostKeys, Identity, Local, Pool},
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
    /// Password for those who need one.
    pub password: Option<crate::text::Secret<String>>,
    /// known_hosts files.
    pub known_hosts: Vec<PathBuf>,
    /// How long connecting may take.
    pub deadline: Duration,
    /// `--connection`.
    pub connection: Option<String>,
}

impl Default for LoginDefaults {
    fn default() -> Self {
        let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
        Self {
            user: None,
            key_file: None,
            password: None,
            known_hosts: vec![home.join(".ssh/known_hosts"), PathBuf::from("/etc/ssh/ssh_known_hosts")],
            deadline: Duration::from_secs(30),
            connection: None,
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
            None => Ok(self.pool.get(&endpoint(target, &self.defaults)?).await?),
        }
    }

    async fn reset(&self, host: &str) {
        if let Some(endpoint) = self.endpoints.get(host) {
            self.pool.forget(endpoint);
        }
    }
}

/// Where to dial, from a host's variables. Pure: it dials nothing and reads no file.
pub fn endpoint(target: &Target, defaults: &LoginDefaults) -> Result<Endpoint, ConnectionError> {
    let login = &target.login;
    let mut identities = Vec::new();
    let key = login.key_file.clone().or_else(|| defaults.key_file.clone());
    identities.extend(key.map(|path| Identity::KeyFile { path, passphrase: None }));
    identities.push(Identity::Agent);
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    for name in ["id_ed25519", "id_ecdsa", "id_rsa"] {
        let path = home.join(".ssh").join(name);
        if path.is_file() {
            identities.push(Identity::KeyFile { path, passphrase: None });
        }
    }
    identities.extend(login.password.clone().or_else(|| defaults.password.clone()).map(Identity::Password));
    let user =
        || login.user.clone().or_else(|| defaults.user.clone()).or_else(|| std::env::var("USER").ok()).unwrap_or_else(|| "root".to_owned());
    let base = Endpoint {
        name: target.host.clone(),
        address: login.address.clone().unwrap_or_else(|| target.host.clone()),
        port: login.port.unwrap_or(22),
        user: user(),
        identities,
        host_keys: HostKeys::KnownHosts(defaults.known_hosts.clone()),
        via: Vec::new(),
        deadline: defaults.deadline,
        booting: false,
    };
    let via = jumps(login, &base, &target.host)?;
    Ok(Endpoint { via: via.into_iter().collect(), ..base })
}

/// Jump hosts of `-J`, `-o ProxyJump=…` and `-o ProxyCommand="ssh … -W %h:%p user@host"`.
fn jumps(login: &Login, base: &Endpoint, host: &str) -> Result<Option<Arc<Endpoint>>, ConnectionError> {
    let mut via = None;
    let mut words = login.ssh_args.iter().peekable();
    while let Some(word) = words.next() {
        let option = match word.as_str() {
            "-J" => words.next().map(|v| ("proxyjump".to_owned(), v.clone())),
            "-o" => words.next().and_then(|v| split_option(v)),
            other => other.strip_prefix("-o").and_then(split_option),
        };
        match option {
            Some((name, value)) if name == "proxyjump" && value != "none" => {
                for hop in value.split(',') {
                    via = Some(Arc::new(hop_endpoint(hop, base, via, None)));
                }
            }
            Some((name, value)) if name == "proxycommand" && value != "none" => {
                via = Some(Arc::new(proxy_command(&value, base).ok_or_else(|| ConnectionError::Local {
                    host: host.to_owned(),
                    why: format!("this ProxyCommand is not supported: `{value}` (only `ssh … -W %h:%p [user@]host` is)"),
                })?));
            }
            _ => {}
        }
    }
    Ok(via)
}

fn split_option(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once(['=', ' '])?;
    Some((name.trim().to_ascii_lowercase(), value.trim().trim_matches(['"', '\'']).to_owned()))
}

fn hop_endpoint(text: &str, base: &Endpoint, via: Option<Arc<Endpoint>>, port: Option<u16>) -> Endpoint {
    let text = text.trim().trim_start_matches("ssh://");
    let (user, rest) = text.rsplit_once('@').map_or((None, text), |(u, r)| (Some(u.to_owned()), r));
    let (address, own) = match rest.rsplit_once(':') {
        Some((address, number)) if number.parse::<u16>().is_ok() && !address.contains(':') => (address, number.parse().ok()),
        _ => (rest, None),
    };
    Endpoint {
        name: address.to_owned(),
        address: address.trim_matches(['[', ']']).to_owned(),
        port: own.or(port).unwrap_or(22),
        user: user.unwrap_or_else(|| base.user.clone()),
        via: via.into_iter().collect(),
        ..base.clone()
    }
}

fn proxy_command(text: &str, base: &Endpoint) -> Option<Endpoint> {
    let words = shlex::split(text)?;
    let mut words = words.into_iter();
    if !words.next()?.ends_with("ssh") {
        return None;
    }
    let (mut to, mut user, mut port, mut key, mut forwards) = (None, None, None, None, false);
    while let Some(word) = words.next() {
        match word.as_str() {
            "-W" => forwards = words.next().is_some_and(|v| v.contains("%h")),
            "-l" => user = words.next(),
            "-p" => port = words.next()?.parse().ok(),
            "-i" => key = words.next().map(PathBuf::from),
            "-o" | "-F" | "-c" | "-m" | "-b" => drop(words.next()),
            flag if flag.starts_with('-') => {}
            name if to.is_none() => to = Some(name.to_owned()),
            _ => return None,
        }
    }
    let mut hop = hop_endpoint(&to.filter(|_| forwards)?, base, None, port);
    hop.user = user.unwrap_or(hop.user);
    if let Some(path) = key {
        hop.identities.insert(0, Identity::KeyFile { path, passphrase: None });
    }
    Some(hop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Become;

    fn target(args: &str) -> Target {
        let login = Login { user: Some("u".into()), ssh_args: shlex::split(args).unwrap(), ..Login::default() };
        Target { host: "h".into(), login, become_: Become::No }
    }

    #[test]
    fn jump_hosts_are_read_from_ssh_arguments() {
        let chain = |args: &str| {
            let mut out = Vec::new();
            let mut next = endpoint(&target(args), &LoginDefaults::default()).unwrap().via;
            while let Some(hop) = next.first().cloned() {
                out.push(format!("{}@{}:{}", hop.user, hop.address, hop.port));
                next.clone_from(&hop.via);
            }
            out.join(" < ")
        };
        assert_eq!(chain("-J a@b:2222,c"), "u@c:22 < a@b:2222");
        assert_eq!(chain("-o ProxyJump=b -o StrictHostKeyChecking=no"), "u@b:22");
        assert_eq!(chain(r#"-o ProxyCommand="ssh -p 2222 -W %h:%p -q x@bastion""#), "x@bastion:2222");
        assert_eq!(chain(""), "");
        assert!(endpoint(&target(r#"-o ProxyCommand="nc %h %p""#), &LoginDefaults::default()).is_err());
    }
}
