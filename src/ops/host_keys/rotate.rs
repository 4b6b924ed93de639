//! The rotation of one host's key.

use crate::{
    connection::{Connection, ConnectionError, Endpoint, HostKeys, Pool},
    event::{Events, Kind},
    infra::{Machine, Provider},
    shell::quote,
    spec::ClusterSpec,
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

const GENERATE: &str = include_str!("generate.sh");
const INSTALL: &str = include_str!("install.sh");
const RELOAD: &str = include_str!("reload.sh");
const STEPS: u64 = 5;
const PAUSE: Duration = Duration::from_millis(100);

/// Where host keys lie and how sshd learns of a new one.
pub(super) struct Site {
    pub(super) directory: String,
    /// Defines the sh function `reload`.
    pub(super) reload: String,
    /// The login user is not root.
    pub(super) sudo: bool,
    /// How long sshd may take to show a key that is installed.
    pub(super) patience: Duration,
}

impl Site {
    /// A host as distributions set it up.
    pub(super) fn host(sudo: bool) -> Self {
        Self { directory: "/etc/ssh".to_owned(), reload: RELOAD.to_owned(), sudo, patience: Duration::from_secs(20) }
    }
}

/// One rotation.
pub(super) struct Rotation<'a> {
    pub(super) spec: &'a ClusterSpec,
    pub(super) provider: &'a dyn Provider,
    pub(super) machine: &'a Machine,
    pub(super) endpoint: &'a Endpoint,
    pub(super) pool: &'a Pool,
    pub(super) site: &'a Site,
}

impl Rotation<'_> {
    /// Runs it, or goes on with an interrupted one. Returns the new public key.
    pub(super) async fn run(&self, step: &str, events: &Events) -> Result<String, ConnectionError> {
        let host = &self.machine.name;
        let fail = |why: String| ConnectionError::Local { host: host.clone(), why: format!("its host key cannot be replaced: {why}") };
        let HostKeys::Pinned(trusted) = &self.endpoint.host_keys else { return Err(fail("its present key is not pinned".to_owned())) };
        let [old, pending @ ..] = self.machine.host_keys.as_slice() else { return Err(fail("its present key is not known".to_owned())) };
        let pending = pending.first().map(|k| bare(k));
        let at = |done: u64, message: &str| {
            events.emit(Kind::StepProgress { id: step.to_owned(), message: message.to_owned(), done, total: Some(STEPS) });
        };

        at(0, "generate");
        let connection = self.pool.get(self.endpoint).await?;
        let said = self.on_host(&connection, GENERATE, pending.as_deref().unwrap_or_default()).await?;
        let (state, new) = said.trim().split_once(' ').ok_or_else(|| fail(format!("the host answers {said:?}")))?;
        let new = new.to_owned();
        if pending.as_ref() != Some(&new) {
            at(1, "publish as pending");
            self.provider.publish_host_keys(self.spec, self.machine, old, Some(&new)).await.map_err(|e| fail(e.to_string()))?;
        }
        trusted.set(vec![old.clone(), new.clone()]);

        // An interrupted run may have installed it and not come to the reload.
        at(2, if state == "new" { "install" } else { "reload" });
        self.on_host(&connection, INSTALL, &new).await?;

        at(3, "prove by a new connection");
        trusted.set(vec![new.clone()]);
        if let Err(error) = self.prove().await {
            trusted.set(vec![old.clone(), new]);
            return Err(error);
        }

        at(4, "drop the old key");
        self.provider.publish_host_keys(self.spec, self.machine, &new, None).await.map_err(|e| fail(e.to_string()))?;
        Ok(new)
    }

    /// The pool knows no connection with these keys, so it dials. sshd needs a moment: until it has read its files anew it shows
    /// the old key, and while it starts itself anew its port is closed.
    async fn prove(&self) -> Result<(), ConnectionError> {
        let end = Instant::now() + self.site.patience;
        loop {
            let proved = async { self.pool.get(self.endpoint).await?.run("exec true", b"").await };
            match proved.await {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() >= end => return Err(error),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    async fn on_host(&self, connection: &Arc<dyn Connection>, script: &str, pending: &str) -> Result<String, ConnectionError> {
        let Site { directory, reload, sudo, .. } = self.site;
        let program = format!("dir={}\npending={}\n{reload}\n{script}", quote(directory), quote(pending));
        // The program comes by standard input, so that it is read before any of it runs: one compound command.
        let program = format!("{{\n{program}\n}}\n");
        let command = if *sudo { "exec sudo -n -- /bin/sh -s" } else { "exec /bin/sh -s" };
        let done = connection.run(command, program.as_bytes()).await?;
        if done.rc == 0 {
            return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&done.stderr);
        let why = format!("its host key cannot be replaced: exit {}: {}", done.rc, said.trim().lines().last().unwrap_or("no message"));
        Err(ConnectionError::Local { host: self.machine.name.clone(), why })
    }
}

/// Algorithm and key, without the comment.
fn bare(key: &str) -> String {
    key.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}
