//! One operator at a time. Commands that change a cluster hold its lock meanwhile; those that only look never need it.
//!
//! The lock is where the provider keeps the truth ([`LockStore`]), so that it works before there is a machine, while the API
//! is down and after all is gone. Its holder says every five seconds that it lives. A lock is taken over when its holder is known to be
//! dead (it ran on this very machine), or when it has been silent for 40 s and stays silent for 15 s more before our own eyes:
//! clocks of two laptops need not agree. docs/decisions/2026-11-25-lease.md says why it is like this.

mod hosts;
mod process;

use super::{Cluster, OpsError};
use crate::infra::{
    InfraError,
    lock::{Holder, Lock, LockStore},
};
use jiff::Timestamp;
use std::{sync::Arc, time::Duration};
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

/// The times that make it work. [`Pace::silent`] and [`Pace::watch`] together stay below the 60 s after which the lock of a dead
/// process must be free.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// How often the holder says that it lives.
    renew: Duration,
    /// A holder that could not say so for this long gives up, before anybody may take its lock.
    give_up: Duration,
    /// After this silence a holder is suspected to be dead.
    silent: Duration,
    /// How long a suspect is watched: three times [`Pace::renew`].
    watch: Duration,
    /// Between two looks, and between tries at a store that does not show at once what it holds.
    look: Duration,
}

const PACE: Pace = Pace {
    renew: Duration::from_secs(5),
    give_up: Duration::from_secs(35),
    silent: Duration::from_secs(40),
    watch: Duration::from_secs(15),
    look: Duration::from_millis(500),
};

/// What a command wants the lock for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The command as a person would name it: `node replace worker-2`.
    pub command: String,
    /// `--break-lock`: take it from whoever holds it.
    pub break_lock: bool,
}

/// The lock, held. It is renewed in the background until it is released; a process that is killed leaves it to expire.
pub struct Lease {
    store: Arc<dyn LockStore>,
    id: String,
    lost: CancellationToken,
    renewing: JoinHandle<()>,
    /// From whom it was taken, and why that was right.
    pub taken: Option<String>,
}

impl Lease {
    /// Cancelled when the lock is no longer ours: somebody broke it, or it could not be renewed in time.
    pub fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// Gives it back.
    pub async fn release(self) -> Result<(), OpsError> {
        self.renewing.abort();
        Ok(self.store.remove(&self.id).await?)
    }
}

impl Cluster {
    /// Takes the cluster's lock, or says who holds it ([`OpsError::Locked`]).
    pub async fn lock(&self, request: &Request) -> Result<Lease, OpsError> {
        let store: Arc<dyn LockStore> = match self.provider.lock(&self.spec) {
            Some(store) => store.into(),
            None => Arc::new(hosts::HostLock::open(self).await?),
        };
        acquire(store, &self.spec.name, request, PACE).await
    }
}

async fn acquire(store: Arc<dyn LockStore>, cluster: &str, request: &Request, pace: Pace) -> Result<Lease, OpsError> {
    let holder = Holder {
        owner: owner(),
        pid: std::process::id(),
        command: request.command.clone(),
        since: Timestamp::now(),
        process: process::this(),
    };
    let mut taken = None;
    let mut broken = request.break_lock;
    let begun = Instant::now();
    let id = loop {
        if let Some(lock) = store.read().await? {
            let verdict = if std::mem::take(&mut broken) {
                Verdict::Take("--break-lock".to_owned())
            } else {
                judge(store.as_ref(), &lock, pace).await?
            };
            match verdict {
                Verdict::Alive => return Err(OpsError::Locked { cluster: cluster.to_owned(), holder: describe(&lock.holder) }),
                Verdict::Gone => continue,
                Verdict::Take(why) => {
                    store.remove(&lock.id).await?;
                    taken = Some(format!("the lock of {} was taken over: {why}", describe(&lock.holder)));
                }
            }
        }
        if let Some(id) = store.create(&holder).await? {
            break id;
        }
        // Somebody was faster: the next look says who, once the store shows it.
        if begun.elapsed() > (pace.silent + pace.watch) * 2 {
            return Err(InfraError::Failed {
                what: format!("taking the lock of cluster {cluster}"),
                why: "it can neither be made nor read".to_owned(),
                hint: Some("run the same command again".to_owned()),
            }
            .into());
        }
        tokio::time::sleep(pace.look).await;
    };
    let lost = CancellationToken::new();
    let renewing = tokio::spawn(renew(Arc::clone(&store), id.clone(), lost.clone(), pace));
    Ok(Lease { store, id, lost, renewing, taken })
}

/// What is to be done about a lock that is in the way.
enum Verdict {
    /// Its holder lives.
    Alive,
    /// It may be taken, for this reason.
    Take(String),
    /// It was given back meanwhile.
    Gone,
}

async fn judge(store: &dyn LockStore, lock: &Lock, pace: Pace) -> Result<Verdict, OpsError> {
    if process::is_dead(&lock.holder.process) {
        return Ok(Verdict::Take("its process is dead".to_owned()));
    }
    if lock.age < pace.silent {
        return Ok(Verdict::Alive);
    }
    let begun = Instant::now();
    while begun.elapsed() < pace.watch {
        tokio::time::sleep(pace.look).await;
        match store.read().await? {
            Some(now) if now.id == lock.id && now.beat == lock.beat => {}
            Some(now) if now.id == lock.id => return Ok(Verdict::Alive),
            _ => return Ok(Verdict::Gone),
        }
    }
    Ok(Verdict::Take(format!("nothing was heard of it for {} s", (lock.age + begun.elapsed()).as_secs())))
}

async fn renew(store: Arc<dyn LockStore>, id: String, lost: CancellationToken, pace: Pace) {
    let mut last = Instant::now();
    loop {
        let end = last + pace.give_up;
        match tokio::time::timeout_at(end, store.renew(&id)).await {
            Ok(Ok(true)) => last = Instant::now(),
            Ok(Ok(false)) | Err(_) => break,
            Ok(Err(error)) => tracing::warn!(%error, "the lock was not renewed"),
        }
        if last.elapsed() >= pace.give_up {
            break;
        }
        tokio::time::sleep(pace.renew).await;
    }
    lost.cancel();
}

fn describe(holder: &Holder) -> String {
    let since = holder.since.strftime("%Y-%m-%d %H:%M:%S UTC");
    format!("{} (kubewright {}, pid {}, since {since})", holder.owner, holder.command, holder.pid)
}

/// `user@host` of this process.
fn owner() -> String {
    let variable = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
    let user = variable("SUDO_USER").or_else(|| variable("USER")).or_else(account).unwrap_or_else(|| "somebody".to_owned());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|h| h.trim().to_owned());
    let host = host.or_else(|| variable("HOSTNAME")).unwrap_or_else(|| "this machine".to_owned());
    format!("{user}@{host}")
}

/// The name of the account that this process runs as, where there is an /etc/passwd that has it.
fn account() -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let uid = std::fs::metadata("/proc/self").ok()?.uid().to_string();
    let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
    let mut entries = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    entries.find(|e| e.get(2) == Some(&uid.as_str())).and_then(|e| e.first().map(|name| (*name).to_owned()))
}

#[cfg(test)]
mod tests;
