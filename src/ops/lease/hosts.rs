//! The lock of machines that no provider made: a file on every control plane that answers, below /run, so that it does not
//! survive a reboot. flock(1) makes each step atomic, and the host's own clock tells how old it is.

use super::super::{Cluster, OpsError};
use crate::{
    connection::Connection,
    infra::{
        InfraError,
        lock::{Holder, Lock, LockStore},
    },
    shell::quote,
    spec::ClusterSpec,
};
use async_trait::async_trait;
use futures::future::join_all;
use std::{sync::Arc, time::Duration};

/// The file: the lock's id in the first line, the holder as JSON in the second; its time of change is the last sign of life.
const FILE: &str = "/run/kubewright.lock";

/// What can be done with it, under flock. Prints `ok`, `other`, or `lock AGE BEAT` and the file.
const SCRIPT: &str = r#"
f=$1 do=$2 id=$3
have=''
[ ! -e "$f" ] || read -r have <"$f"
case $do in
read) [ -z "$have" ] || { printf 'lock %s %s\n' "$(($(date +%s) - $(stat -c %Y "$f")))" "$(stat -c %y "$f" | tr -d ' ')"; cat "$f"; } ;;
create) if [ -z "$have" ]; then (umask 077 && cat >"$f.new" && mv -f "$f.new" "$f") && echo ok; else echo other; fi ;;
renew) if [ "$have" = "$id" ]; then touch "$f" && echo ok; elif [ -z "$have" ]; then (umask 077 && cat >"$f.new" && mv -f "$f.new" "$f") && echo ok; else echo other; fi ;;
remove) if [ "$have" = "$id" ]; then rm -f "$f"; fi; echo ok ;;
esac
"#;

/// See the module.
pub(super) struct HostLock {
    hosts: Vec<(String, Arc<dyn Connection>)>,
    file: String,
    sudo: &'static str,
    /// Our own lock's file, to write it again on a host that was rebooted meanwhile.
    own: std::sync::Mutex<String>,
}

impl HostLock {
    /// Connects to the control planes. One that does not answer is passed over while another does.
    pub(super) async fn open(cluster: &Cluster) -> Result<Self, OpsError> {
        let provision = cluster.discover().await?;
        let connector = cluster.connector(&provision);
        let planes = provision.machines.iter().filter(|m| m.pool == ClusterSpec::CONTROL_PLANE);
        let reach = planes.map(|m| {
            let connector = &connector;
            async move { (m.name.clone(), connector.connect(&m.name).await) }
        });
        let (mut hosts, mut first) = (Vec::new(), None);
        for (name, reached) in join_all(reach).await {
            match reached {
                Ok(connection) => hosts.push((name, connection)),
                Err(error) => {
                    tracing::warn!(%error, "no lock there");
                    first.get_or_insert(error);
                }
            }
        }
        match (hosts.is_empty(), first) {
            (true, Some(error)) => Err(error.into()),
            (true, None) => Err(OpsError::NoCluster(cluster.spec.name.clone())),
            _ => Ok(Self { hosts, file: FILE.to_owned(), sudo: "sudo -n ", own: std::sync::Mutex::default() }),
        }
    }

    async fn on(&self, host: &str, connection: &Arc<dyn Connection>, what: &str, id: &str, file: &str) -> Result<String, InfraError> {
        let run = format!("exec {}flock -w 10 /run sh -c {} lock {} {what} {}", self.sudo, quote(SCRIPT), quote(&self.file), quote(id));
        let failed = |why: String| InfraError::Failed { what: format!("{host}: {what} of the lock {}", self.file), why, hint: None };
        let done = connection.run(&run, file.as_bytes()).await.map_err(|e| failed(e.to_string()))?;
        if done.rc != 0 {
            return Err(failed(String::from_utf8_lossy(&done.stderr).trim().to_owned()));
        }
        Ok(String::from_utf8_lossy(&done.stdout).into_owned())
    }

    fn own(&self) -> String {
        self.own.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl LockStore for HostLock {
    async fn read(&self) -> Result<Option<Lock>, InfraError> {
        for (host, connection) in &self.hosts {
            if let Some(lock) = parse(&self.on(host, connection, "read", "", "").await?) {
                return Ok(Some(lock));
            }
        }
        Ok(None)
    }

    async fn create(&self, holder: &Holder) -> Result<Option<String>, InfraError> {
        let id = format!("{:016x}", rand::random::<u64>());
        let text = format!("{id}\n{}\n", serde_json::to_string(holder).unwrap_or_default());
        text.clone_into(&mut self.own.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        // In the order of the inventory, which is the same for everybody: two that try at once meet on the first host.
        for (host, connection) in &self.hosts {
            if self.on(host, connection, "create", &id, &text).await?.trim() != "ok" {
                self.remove(&id).await?;
                return Ok(None);
            }
        }
        Ok(Some(id))
    }

    async fn renew(&self, id: &str) -> Result<bool, InfraError> {
        let own = self.own();
        let said = join_all(self.hosts.iter().map(|(host, connection)| self.on(host, connection, "renew", id, &own))).await;
        if said.iter().flatten().any(|s| s.trim() != "ok") {
            return Ok(false);
        }
        // One host that answers is enough to keep it.
        let mut errors = Vec::new();
        for result in said {
            match result {
                Ok(_) => return Ok(true),
                Err(e) => errors.push(e),
            }
        }
        errors.into_iter().next().map_or(Ok(true), Err)
    }

    async fn remove(&self, id: &str) -> Result<(), InfraError> {
        let said = join_all(self.hosts.iter().map(|(host, connection)| self.on(host, connection, "remove", id, ""))).await;
        // Where a host no longer answers, its file is taken over by whoever comes next.
        if said.iter().any(Result::is_ok) { Ok(()) } else { said.into_iter().find_map(Result::err).map_or(Ok(()), Err) }
    }
}

fn parse(text: &str) -> Option<Lock> {
    let mut lines = text.lines();
    let head: Vec<&str> = lines.next()?.split_whitespace().collect();
    let ["lock", age, beat] = head.as_slice() else { return None };
    let (id, holder) = (lines.next()?, lines.next()?);
    Some(Lock {
        id: id.to_owned(),
        holder: serde_json::from_str(holder).ok()?,
        beat: (*beat).to_owned(),
        age: Duration::from_secs(age.parse().unwrap_or_default()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::Local;

    fn store(dir: &std::path::Path, hosts: usize) -> HostLock {
        let hosts = (0..hosts).map(|i| (format!("cp-{i}"), Arc::new(Local::new("cp")) as Arc<dyn Connection>)).collect();
        HostLock { hosts, file: dir.join("lock").display().to_string(), sudo: "", own: std::sync::Mutex::default() }
    }

    fn holder() -> Holder {
        let since = jiff::Timestamp::UNIX_EPOCH;
        Holder { owner: "o'neill@host".into(), pid: 7, command: "bootstrap".into(), since, process: String::new() }
    }

    #[tokio::test]
    async fn one_of_two_gets_it_and_only_its_own_id_gives_it_back() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (store(dir.path(), 1), store(dir.path(), 1));
        assert_eq!(a.read().await.unwrap(), None);
        let (first, second) = (holder(), holder());
        let (x, y) = tokio::join!(a.create(&first), b.create(&second));
        let (x, y) = (x.unwrap(), y.unwrap());
        assert!(x.is_some() != y.is_some(), "{x:?} {y:?}");
        let id = x.or(y).unwrap();
        let lock = b.read().await.unwrap().unwrap();
        assert_eq!((lock.id.as_str(), lock.holder), (id.as_str(), holder()));
        assert!(lock.age < Duration::from_secs(10));
        b.remove("another").await.unwrap();
        assert!(a.renew(&id).await.unwrap() && !b.renew("another").await.unwrap());
        a.remove(&id).await.unwrap();
        assert_eq!(b.read().await.unwrap(), None);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left");
    }

    #[tokio::test]
    async fn after_a_reboot_of_the_host_the_holder_writes_it_again() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path(), 1);
        let id = store.create(&holder()).await.unwrap().unwrap();
        std::fs::remove_file(dir.path().join("lock")).unwrap();
        assert!(store.renew(&id).await.unwrap());
        assert_eq!(store.read().await.unwrap().unwrap().id, id);
    }
}
