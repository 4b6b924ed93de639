//! Packages and images for the nodes: official ones where they can be reached, else built from Go modules and served by the
//! cluster's mirror. Built once for all labs of this user; a stamp says that a version is complete.

use super::{cache, docker::failed, script::Script};
use crate::{
    event::Events,
    infra::InfraError,
    spec::{ClusterSpec, release},
};
use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    time::Duration,
};

const BUILD: &str = include_str!("artefacts/build.sh");
const PROBE: &str = include_str!("artefacts/probe/main.go");
const MIRROR: &str = include_str!("artefacts/mirror/main.go");
/// Where the official packages and images come from.
const OFFICIAL: &[&str] = &["pkgs.k8s.io:443", "registry.k8s.io:443", "ghcr.io:443", "download.docker.com:443"];
/// A host that drops packets must not cost more than this.
const PROBE_DEADLINE: Duration = Duration::from_secs(3);

/// What the mirror has to serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Serves {
    /// Packages and all images.
    All,
    /// Our own images only.
    Ours,
}

/// What there has to be for a cluster.
pub(super) struct Wanted {
    cache: PathBuf,
    version: String,
    etcd: &'static str,
    coredns: &'static str,
    pause: &'static str,
    own_repository: bool,
}

impl Wanted {
    /// For a specification.
    pub(super) fn new(spec: &ClusterSpec, cache: &Path) -> Result<Self, InfraError> {
        let version = spec.kubernetes.version.clone();
        let release = release(&version).ok_or_else(|| InfraError::Missing {
            what: format!("Kubernetes {version} is not in the table of versions"),
            hint: "choose one that `kubewright` knows: src/spec/versions.rs".to_owned(),
        })?;
        Ok(Self {
            cache: cache.to_owned(),
            version,
            etcd: release.etcd,
            coredns: release.coredns,
            pause: release.pause,
            own_repository: spec.kubernetes.package_repository.is_some(),
        })
    }

    /// The directory that the mirror serves.
    pub(super) fn directory(&self) -> PathBuf {
        self.cache.join("mirror")
    }

    /// Names the mirror's server, so that a new one replaces the old.
    pub(super) fn server() -> String {
        cache::key([MIRROR])
    }

    fn stamp(&self, serves: Serves) -> PathBuf {
        let scope = match serves {
            Serves::All => [self.version.as_str(), self.etcd, self.coredns, self.pause],
            Serves::Ours => ["ours", "", "", ""],
        };
        self.directory().join(format!("complete-{}", cache::key([BUILD, PROBE, MIRROR].into_iter().chain(scope))))
    }

    /// What is complete already, if anything.
    pub(super) fn complete(&self) -> Option<Serves> {
        if self.own_repository {
            return self.stamp(Serves::Ours).exists().then_some(Serves::Ours);
        }
        [Serves::All, Serves::Ours].into_iter().find(|s| self.stamp(*s).exists())
    }

    /// Builds what is missing.
    pub(super) async fn ensure(&self, events: &Events) -> Result<Serves, InfraError> {
        // What official sources lack is built at once; that they can be reached today is asked anew each time.
        match self.complete() {
            Some(Serves::All) => return Ok(Serves::All),
            Some(Serves::Ours) if self.own_repository || official().await => return Ok(Serves::Ours),
            _ => {}
        }
        let serves = if self.own_repository || official().await { Serves::Ours } else { Serves::All };
        let id = "lab/artefacts";
        let title = match serves {
            Serves::All => format!("packages and images of Kubernetes {}", self.version),
            Serves::Ours => "image of the probe".to_owned(),
        };
        events.step(id, &title, None, self.build(serves, id, events)).await?;
        Ok(serves)
    }

    async fn build(&self, serves: Serves, id: &str, events: &Events) -> Result<(), InfraError> {
        let _lock = lock(&self.cache.join("lock"), events).await?;
        let stamp = self.stamp(serves);
        if stamp.exists() {
            return Ok(());
        }
        if serves == Serves::All {
            events.note(format!(
                "official packages cannot be reached: Kubernetes {} is built from Go modules, once (10 minutes on two cores)",
                self.version
            ));
        }
        let env = vec![
            ("CACHE", self.cache.display().to_string()),
            ("K8S", self.version.clone()),
            ("ETCD_TAG", self.etcd.to_owned()),
            ("COREDNS_TAG", self.coredns.to_owned()),
            ("PAUSE_TAG", self.pause.to_owned()),
            ("PROBE", PROBE.to_owned()),
            ("MIRROR", MIRROR.to_owned()),
            ("ONLY_PROBE", if serves == Serves::Ours { "1" } else { "" }.to_owned()),
        ];
        Script { what: "building packages and images", step: id, text: BUILD, env }.run(&self.cache, events).await?;
        File::create(&stamp).map(drop).map_err(|e| failed("keeping packages and images", &e))
    }
}

/// Whether all official sources accept connections.
async fn official() -> bool {
    let reach = OFFICIAL.iter().map(|host| async move {
        let connect = tokio::net::TcpStream::connect(host);
        matches!(tokio::time::timeout(PROBE_DEADLINE, connect).await, Ok(Ok(_)))
    });
    futures::future::join_all(reach).await.into_iter().all(|reached| reached)
}

/// One builder at a time; the lock goes with its file handle, so a kill leaves none behind.
async fn lock(path: &Path, events: &Events) -> Result<File, InfraError> {
    let what = format!("locking {}", path.display());
    let file = File::create(path).map_err(|e| failed(&what, &e))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => events.note("another kubewright is building packages and images: waiting for it"),
        Err(TryLockError::Error(e)) => return Err(failed(&what, &e)),
    }
    let waited = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await;
    waited.map_err(|e| failed(&what, &e))?.map_err(|e| failed(&what, &e))
}
