//! `etcd snapshot`: one snapshot now, verified on the control plane and again here, and encrypted before it touches a disk.

use super::client;
use crate::{
    cluster::{
        ClusterError,
        backup::{self, Bundle, Meta, SealError},
    },
    connection::{Connection, Process},
    event::Events,
    infra::Provision,
    ops::{Cluster, OpsError, embedded, hosts},
    text::Problem,
};
use sha2::{Digest as _, Sha256};
use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::io::SyncIoBridge;

/// The program that the control planes' timer runs too.
const PROGRAM: &str = "templates/etcd-snapshot.sh";
/// Bytes of SHA-256 at a snapshot's end.
const TRAILER: u64 = 32;

/// What to do.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A file, or a directory that exists; `None`: the current directory.
    pub to: Option<PathBuf>,
    /// To whom it is encrypted; empty: those of cluster.yaml.
    pub recipients: Vec<String>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The snapshot's file.
    pub snapshot: PathBuf,
    /// The bundle's file.
    pub bundle: PathBuf,
    /// What it is.
    pub meta: Meta,
    /// Size of the database, bytes.
    pub bytes: u64,
    /// How long it took.
    pub elapsed: Duration,
}

/// Takes one.
pub async fn run(cluster: &Cluster, options: &Options, events: &Events) -> Result<Outcome, OpsError> {
    let begun = Instant::now();
    let texts = match (&options.recipients[..], &cluster.spec.backup) {
        ([], Some(backup)) => backup.recipients.clone(),
        (given, _) => given.to_vec(),
    };
    let recipients = backup::recipients(&texts).map_err(|e| {
        let problem = Problem::new(format!("a snapshot holds every secret of the cluster and is always encrypted: {e}"));
        OpsError::Invalid(problem.hint("--recipient age1…, or backup.recipient in cluster.yaml").into())
    })?;
    let provision = cluster.discover().await?;
    let (host, connection) = member(cluster, &provision).await?;
    let node = provision.machines.iter().find(|m| m.name == host).map(|m| hosts::node_name(&cluster.spec, m)).unwrap_or_default();
    let to = options.to.clone().unwrap_or_else(|| PathBuf::from("."));
    let taken = events.step("etcd/snapshot", "snapshot of etcd", Some(&host), async {
        let receive = move |from: Box<dyn Read + Send>| receive(from, &recipients, &to);
        stream(&connection, &host, &cluster.spec.name, &node, receive).await
    });
    let (snapshot, bundle, meta, bytes) = taken.await?;
    Ok(Outcome { snapshot, bundle, meta, bytes, elapsed: begun.elapsed() })
}

/// A control plane whose member is well; while there is no quorum, one that has the cluster: its own data can still be read.
async fn member(cluster: &Cluster, provision: &Provision) -> Result<(String, Arc<dyn Connection>), OpsError> {
    let connector = cluster.connector(provision);
    let planes = cluster.control_planes(provision, &connector);
    let well = async {
        let members = client(&planes).await.ok()?.look().await.ok()?;
        let of = |address| provision.machines.iter().find(|m| Some(m.private_address) == address);
        members.iter().filter(|m| m.healthy() && !m.member.learner).find_map(|m| of(m.member.address()).map(|m| m.name.clone()))
    };
    if let Some(name) = well.await
        && let Ok(connection) = connector.connect(&name).await
    {
        return Ok((name, connection));
    }
    cluster.control_plane(provision, &connector).await
}

type Received = (PathBuf, PathBuf, Meta, u64);

/// Runs the program there; what it writes goes through `receive`, on a thread of its own.
async fn stream(
    connection: &Arc<dyn Connection>,
    host: &str,
    cluster: &str,
    node: &str,
    receive: impl FnOnce(Box<dyn Read + Send>) -> Result<Received, ClusterError> + Send + 'static,
) -> Result<Received, OpsError> {
    let text = std::fs::read_to_string(PROGRAM).ok().or_else(|| embedded::text(PROGRAM).map(str::to_owned)).unwrap_or_default();
    let Process { mut stdin, stdout, mut stderr, exit } = connection.exec("exec sudo -n sh -s stream").await?;
    let program = format!("CLUSTER={} NODE={}\n{text}", crate::shell::quote(cluster), crate::shell::quote(node));
    let feed = async {
        // A program that ends early says why on its standard error.
        let _ = stdin.write_all(program.as_bytes()).await;
        let _ = stdin.shutdown().await;
    };
    let mut said = String::new();
    let bridge = SyncIoBridge::new(stdout);
    let received = tokio::task::spawn_blocking(move || receive(Box::new(bridge)));
    let ((), received, _, rc) = tokio::join!(feed, received, stderr.read_to_string(&mut said), exit);
    let failed = |why: String| OpsError::Cluster(ClusterError::Invalid(format!("{host}: {why}")));
    if rc? != 0 {
        return Err(failed(said.trim().to_owned()));
    }
    Ok(received.map_err(|e| failed(e.to_string()))??)
}

/// The tar of `stream`: what the snapshot is, the snapshot, the bundle.
fn receive(from: Box<dyn Read + Send>, recipients: &[backup::Recipient], to: &Path) -> Result<Received, ClusterError> {
    let seal_io = |e: io::Error| ClusterError::Seal(SealError::Io(e));
    let mut archive = tar::Archive::new(from);
    let mut meta: Option<Meta> = None;
    let mut sealed: Option<(tempfile::NamedTempFile, String, u64)> = None;
    for entry in archive.entries().map_err(seal_io)? {
        let mut entry = entry.map_err(seal_io)?;
        let path = entry.path().map_err(seal_io)?.to_string_lossy().into_owned();
        match (path.as_str(), &meta, &sealed) {
            ("meta.json", ..) => {
                let mut text = Vec::new();
                entry.read_to_end(&mut text).map_err(seal_io)?;
                meta = Some(Bundle::meta(&text)?);
            }
            ("snapshot.db", Some(meta), _) => {
                let size = entry.size();
                let file = tempfile::NamedTempFile::new_in(place(to, meta).0).map_err(seal_io)?;
                let mut checked = Checked { inner: &mut entry, left: size.saturating_sub(TRAILER), hash: Sha256::new(), tail: Vec::new() };
                backup::seal(recipients, &mut checked, file.as_file())?;
                let (hash, tail) = (hex(&checked.hash.finalize()), hex(&checked.tail));
                if hash != tail || hash != meta.sha256 {
                    return Err(ClusterError::Invalid(format!("the snapshot was damaged on its way: {hash}, expected {}", meta.sha256)));
                }
                sealed = Some((file, hash, size));
            }
            ("pki.tar", Some(meta), Some(_)) => {
                let mut text = Vec::new();
                entry.read_to_end(&mut text).map_err(seal_io)?;
                Bundle::read(&text[..])?;
                let (directory, name) = place(to, meta);
                let snapshot = directory.join(name);
                let bundle = backup::bundle_of(&snapshot);
                let file = tempfile::NamedTempFile::new_in(&directory).map_err(seal_io)?;
                backup::seal(recipients, &mut &text[..], file.as_file())?;
                let Some((database, _, size)) = sealed.take() else { continue };
                for (file, path) in [(file, &bundle), (database, &snapshot)] {
                    file.as_file().sync_all().map_err(seal_io)?;
                    let _: File = file.persist(path).map_err(|e| seal_io(e.error))?;
                }
                return Ok((snapshot, bundle, meta.clone(), size));
            }
            _ => {}
        }
    }
    Err(ClusterError::Invalid("the snapshot ended too early".to_owned()))
}

/// Directory and name of the snapshot's file.
fn place(to: &Path, meta: &Meta) -> (PathBuf, String) {
    if to.is_dir() {
        return (to.to_owned(), backup::file_name(meta));
    }
    let parent = to.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    (parent.to_owned(), to.file_name().unwrap_or_default().to_string_lossy().into_owned())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Passes bytes on and hashes all but the last [`TRAILER`].
struct Checked<'a> {
    inner: &'a mut dyn Read,
    left: u64,
    hash: Sha256,
    tail: Vec<u8>,
}

impl Read for Checked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        let (body, tail) = buffer[..n].split_at(n.min(usize::try_from(self.left).unwrap_or(usize::MAX)));
        self.hash.update(body);
        self.left -= body.len() as u64;
        self.tail.extend_from_slice(tail);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_at_the_end_is_checked_whatever_the_pieces() {
        let body = vec![7_u8; 1000];
        let mut all = body.clone();
        all.extend(Sha256::digest(&body));
        for piece in [1, 31, 999, 1001, 5000] {
            let mut inner = &all[..];
            let mut checked = Checked { inner: &mut inner, left: 1000, hash: Sha256::new(), tail: Vec::new() };
            let mut buffer = vec![0; piece];
            while checked.read(&mut buffer).unwrap() > 0 {}
            assert_eq!(hex(&checked.hash.finalize()), hex(&checked.tail), "{piece}");
        }
    }
}
