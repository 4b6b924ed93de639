//! A snapshot and its bundle on the operator's side: opened with an identity, checked, sent to a machine.

use crate::{
    cluster::{
        ClusterError,
        backup::{self, Bundle, Identity, Meta, SealError},
    },
    connection::{Connection, Process},
    ops::OpsError,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::io::AsyncReadExt as _;
use tokio_util::io::SyncIoBridge;

/// Where it lies on the machine until it is restored. Only root can look into it.
const PLACE: &str = "/var/lib/kubewright/restore";
/// Says until the end of `etcd restore` which snapshot is being restored: the same command, after it was killed, goes on.
const NOTE: &str = "/var/lib/kubewright/restoring";

/// Stands while what is on the disk is no cluster (src/modules/sh/etcd.sh).
const HALF: &str = "/etc/kubernetes/kubewright-restore.started";

/// The marker names the kubeadm that is at work. When that ends, its shell takes the marker away, if it is still there.
const LOOK: &str = r#"n=0; while [ $n -lt 600 ] && [ -s "$1" ] && read -r p <"$1" && [ "$(cat /proc/$p/comm 2>/dev/null)" = kubeadm ]; do sleep 1; n=$((n + 1)); done
[ $n = 0 ] || { n=0; while [ $n -lt 10 ] && [ -e "$1" ]; do sleep 1; n=$((n + 1)); done; }
[ ! -e "$1" ] || exit 10; cat "$2""#;

/// What a machine is in the middle of.
pub(super) enum UnderWay {
    /// No restore of this snapshot.
    Not,
    /// A restore whose control plane does not stand yet: it begins again.
    Half,
    /// The control plane stands with what the snapshot had; the restore began then.
    Initialised(Timestamp),
}

/// A restore that has begun and not come to its end.
#[derive(Serialize, Deserialize)]
struct Note {
    sha256: String,
    began: Timestamp,
}

/// See the module. Nothing of it is written here in clear.
pub(super) struct Package {
    pub(super) path: PathBuf,
    pub(super) meta: Meta,
    pub(super) bundle: Bundle,
    identities: Arc<Vec<Identity>>,
}

impl Package {
    /// Opens both files and checks the snapshot's hash.
    pub(super) async fn read(snapshot: &Path, identity: &Path) -> Result<Self, OpsError> {
        let (path, identity) = (snapshot.to_owned(), identity.to_owned());
        let work = tokio::task::spawn_blocking(move || -> Result<Self, ClusterError> {
            let identities = backup::identities(&identity)?;
            let beside = backup::bundle_of(&path);
            let named = |path: &Path| {
                let path = path.display().to_string();
                move |e: SealError| ClusterError::Invalid(format!("{path}: {e}"))
            };
            let read = |path: &Path| open(path).map_err(|e| ClusterError::Invalid(format!("{}: {e}", path.display())));
            let bundle = Bundle::read(backup::open(&identities, read(&beside)?).map_err(named(&beside))?)?;
            let meta = bundle.meta.clone().ok_or_else(|| ClusterError::Invalid(format!("{}: it has no meta.json", beside.display())))?;
            let found = hash(backup::open(&identities, read(&path)?).map_err(named(&path))?)
                .map_err(|e| ClusterError::Invalid(format!("{}: {e}", path.display())))?;
            if found != meta.sha256 {
                return Err(ClusterError::Invalid(format!(
                    "{} and {} do not belong together, or one is damaged",
                    path.display(),
                    beside.display()
                )));
            }
            Ok(Self { path, meta, bundle, identities: Arc::new(identities) })
        });
        let done = work.await.map_err(|e| OpsError::Cluster(ClusterError::Invalid(e.to_string())))?;
        Ok(done?)
    }

    /// How far a restore has come that a machine is in the middle of. A kubeadm of a run that was killed is waited for.
    pub(super) async fn under_way(&self, connection: &Arc<dyn Connection>) -> UnderWay {
        let look = format!("exec sudo -n sh -c '{LOOK}' sh {HALF} {NOTE}");
        let Ok(read) = connection.run(&look, b"").await else { return UnderWay::Not };
        let note: Option<Note> = serde_json::from_slice(&read.stdout).ok();
        match note.filter(|n| n.sha256 == self.meta.sha256) {
            _ if read.rc == 10 => UnderWay::Half,
            Some(note) if read.rc == 0 => UnderWay::Initialised(note.began),
            _ => UnderWay::Not,
        }
    }

    /// It has come to its end.
    pub(super) async fn ended(&self, connection: &Arc<dyn Connection>) -> Result<(), OpsError> {
        Ok(connection.run(&format!("exec sudo -n rm -f {NOTE}"), b"").await.map(drop)?)
    }

    /// Puts both on a machine, in clear and for root only, and notes that a restore has begun.
    pub(super) async fn send(&self, connection: &Arc<dyn Connection>, began: Timestamp) -> Result<(), OpsError> {
        let note = serde_json::to_vec(&Note { sha256: self.meta.sha256.clone(), began }).unwrap_or_default();
        let pki = self.pki().map_err(|e| OpsError::Cluster(ClusterError::Seal(SealError::Io(e))))?;
        let unpack = format!("exec sudo -n sh -c 'umask 077 && rm -rf {PLACE} && mkdir -p {PLACE}/pki && tar -C {PLACE}/pki -xf -'");
        self.pipe(connection, &unpack, Box::new(io::Cursor::new(pki))).await?;
        let begins = format!("exec sudo -n sh -c 'umask 077 && cat > {NOTE}.new && mv {NOTE}.new {NOTE}'");
        self.pipe(connection, &begins, Box::new(io::Cursor::new(note))).await?;
        let (path, identities) = (self.path.clone(), Arc::clone(&self.identities));
        let file = open(&path).map_err(|source| OpsError::Local { what: format!("cannot read {}", path.display()), source })?;
        let clear = backup::open(&identities, file).map_err(ClusterError::from)?;
        let write =
            format!("exec sudo -n sh -c 'umask 077 && cat > {PLACE}/snapshot.db.new && mv {PLACE}/snapshot.db.new {PLACE}/snapshot.db'");
        self.pipe(connection, &write, Box::new(clear)).await
    }

    /// The certificates as a tar.
    fn pki(&self) -> io::Result<Vec<u8>> {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, content) in &self.bundle.files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.expose().len() as u64);
            header.set_mode(0o600);
            header.set_cksum();
            archive.append_data(&mut header, path, content.expose().as_slice())?;
        }
        archive.into_inner()
    }

    /// Runs a command there that reads what `from` has.
    async fn pipe(&self, connection: &Arc<dyn Connection>, command: &str, mut from: Box<dyn Read + Send>) -> Result<(), OpsError> {
        let Process { stdin, mut stdout, mut stderr, exit } = connection.exec(command).await?;
        let mut bridge = SyncIoBridge::new(stdin);
        let feed = tokio::task::spawn_blocking(move || {
            let copied = io::copy(&mut from, &mut bridge);
            // The other side's exit code says what it means that it does not read on.
            let _ = bridge.shutdown();
            copied
        });
        let (mut out, mut err) = (Vec::new(), String::new());
        let (copied, _, _, rc) = tokio::join!(feed, stdout.read_to_end(&mut out), stderr.read_to_string(&mut err), exit);
        let failed = |why: String| OpsError::Cluster(ClusterError::Invalid(format!("{}: {why}", connection.describe())));
        if rc? != 0 {
            return Err(failed(format!("the snapshot cannot be written: {}", err.trim())));
        }
        copied.map_err(|e| failed(e.to_string()))?.map(drop).map_err(|e| failed(format!("the snapshot cannot be read: {e}")))
    }
}

fn open(path: &Path) -> io::Result<BufReader<File>> {
    File::open(path).map(BufReader::new)
}

/// SHA-256 of all but the last 32 bytes, which must say the same.
fn hash(mut from: impl Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut held: Vec<u8> = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let n = from.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        held.extend_from_slice(&buffer[..n]);
        let sure = held.len().saturating_sub(32);
        hash.update(&held[..sure]);
        held.drain(..sure);
    }
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let found = hex(&hash.finalize());
    if found == hex(&held) { Ok(found) } else { Err(io::Error::other("it does not match the hash at its end: it is damaged")) }
}

#[cfg(test)]
mod tests {
    use super::hash;
    use sha2::{Digest as _, Sha256};

    #[test]
    fn damage_is_noticed() {
        let mut all = vec![1_u8; 200_000];
        all.extend(Sha256::digest(&all));
        assert_eq!(hash(&all[..]).unwrap().len(), 64);
        all[77] = 2;
        assert!(hash(&all[..]).is_err());
        assert!(hash(&all[..10]).is_err() && hash(&b""[..]).is_err());
    }
}
