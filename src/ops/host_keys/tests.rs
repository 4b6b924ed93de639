//! The rotation against a real sshd, killed before and after everything that it does.

use super::rotate::{Rotation, Site};
use crate::{
    connection::{ConnectionError, Endpoint, HostKeys, Identity, PinnedKeys, Pool, Retry},
    event::Events,
    infra::{Change, InfraError, Machine, MachineState, Provider, Provision, operator_key},
    spec::ClusterSpec,
};
use async_trait::async_trait;
use std::{
    fs,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// An sshd on loopback with a directory of its own instead of /etc/ssh.
struct Sshd {
    dir: tempfile::TempDir,
    port: u16,
    child: Child,
    first: String,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn private(path: &Path, text: &str) {
    use std::io::Write as _;
    let mut file = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

impl Sshd {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let (host, first) = operator_key::new_key().unwrap();
        let (user, authorized) = operator_key::new_key().unwrap();
        private(&at("ssh_host_ed25519_key"), &host);
        private(&at("id"), &user);
        private(&at("authorized_keys"), &authorized);
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile {}\nStrictModes no\nUsePAM no\n",
            at("ssh_host_ed25519_key").display(),
            at("authorized_keys").display(),
            at("pid").display()
        );
        private(&at("sshd_config"), &config);
        // Privilege separation's directory, which a service manager would make.
        let _ = fs::create_dir_all("/run/sshd");
        let log = fs::File::create(at("log")).unwrap();
        let child = Command::new("/usr/sbin/sshd").args(["-D", "-e", "-f"]).arg(at("sshd_config")).stdin(Stdio::null()).stderr(log).spawn();
        let mut sshd = Self { port, child: child.expect("sshd is there: make deps"), dir, first };
        let end = Instant::now() + Duration::from_secs(20);
        while !sshd.at("pid").exists() {
            assert!(sshd.child.try_wait().unwrap().is_none() && Instant::now() < end, "{:?}", fs::read_to_string(sshd.at("log")));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        sshd
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn endpoint(&self, keys: Vec<String>) -> Endpoint {
        Endpoint {
            name: "h".to_owned(),
            address: "127.0.0.1".to_owned(),
            port: self.port,
            user: std::env::var("USER").unwrap_or_else(|_| "root".to_owned()),
            identities: vec![Identity::KeyFile { path: self.at("id"), passphrase: None }],
            host_keys: HostKeys::Pinned(PinnedKeys::new(keys)),
            via: Vec::new(),
            deadline: Duration::from_secs(20),
            retry: Retry::Never,
        }
    }

    fn site(&self) -> Site {
        let reload = format!("reload() {{ kill -HUP \"$(cat {})\"; }}", self.at("pid").display());
        Site { directory: self.dir.path().display().to_string(), reload, sudo: false, patience: Duration::from_secs(20) }
    }

    /// Whether it can be reached by these keys alone.
    async fn shows(&self, keys: &[String]) -> bool {
        // sshd closes its port for a moment when it starts itself anew.
        match Pool::new().get(&Endpoint { retry: Retry::Booting, ..self.endpoint(keys.to_vec()) }).await {
            Ok(_) => true,
            Err(ConnectionError::HostKeyMismatch { .. }) => false,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Where keys are published, and the moment at which the process dies.
struct Cloud {
    published: Mutex<(Vec<String>, bool)>,
    calls: AtomicUsize,
    /// Dies before (even) or after (odd) call number n / 2.
    dies: Option<usize>,
    died: tokio::sync::Notify,
}

impl Cloud {
    fn new(published: (Vec<String>, bool), dies: Option<usize>) -> Self {
        Self { published: Mutex::new(published), calls: AtomicUsize::new(0), dies, died: tokio::sync::Notify::new() }
    }

    fn machine(&self) -> Machine {
        let (host_keys, one_time_key) = self.published.lock().unwrap().clone();
        Machine {
            id: "i-1".into(),
            name: "h".into(),
            pool: "worker".into(),
            instance_type: "t3.small".into(),
            zone: None,
            private_address: std::net::Ipv4Addr::LOCALHOST,
            dial_address: None,
            ssh_port: 22,
            user: "root".into(),
            host_keys,
            one_time_key,
            jump: None,
            state: MachineState::Running,
            provider_id: None,
            launched: None,
        }
    }
}

#[async_trait]
impl Provider for Cloud {
    async fn plan(&self, _: &ClusterSpec) -> Result<Vec<Change>, InfraError> {
        unreachable!("a rotation plans nothing")
    }
    async fn apply(&self, _: &ClusterSpec, _: &Events) -> Result<Provision, InfraError> {
        unreachable!("a rotation makes nothing")
    }
    async fn apply_machines(&self, _: &ClusterSpec, _: &[String], _: &Events) -> Result<Provision, InfraError> {
        unreachable!("a rotation makes nothing")
    }
    async fn delete_machine(&self, _: &ClusterSpec, _: &Machine, _: &Events) -> Result<(), InfraError> {
        unreachable!("a rotation deletes nothing")
    }
    async fn discover(&self, _: &ClusterSpec) -> Result<Provision, InfraError> {
        unreachable!("a rotation looks for nothing")
    }
    async fn destroy(&self, _: &ClusterSpec, _: crate::infra::Volumes, _: &Events) -> Result<Vec<Change>, InfraError> {
        unreachable!("a rotation deletes nothing")
    }
    async fn publish_host_keys(&self, _: &ClusterSpec, _: &Machine, current: &str, pending: Option<&str>) -> Result<(), InfraError> {
        // As with a network, others have their turn: whoever watches the steps may kill before this.
        tokio::task::yield_now().await;
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        if self.dies == Some(2 * call) {
            self.died.notify_one();
            std::future::pending::<()>().await;
        }
        {
            let mut published = self.published.lock().unwrap();
            let once = published.1 && pending.is_some();
            *published = (std::iter::once(current).chain(pending).map(str::to_owned).collect(), once);
        }
        if self.dies == Some(2 * call + 1) {
            self.died.notify_one();
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

/// Where the process dies.
#[derive(Clone, Copy, Debug)]
enum Kill {
    /// Around the n-th publication.
    Publishing(usize),
    /// When a step is announced.
    Step(u64),
    /// On the host, in the middle of a script: instead of this command.
    Script(&'static str),
}

/// Runs a rotation that dies there.
async fn killed(sshd: &Sshd, cloud: &Cloud, spec: &ClusterSpec, kill: Kill) {
    let machine = cloud.machine();
    let endpoint = sshd.endpoint(machine.host_keys.clone());
    let (pool, mut site) = (Pool::new(), sshd.site());
    if let Kill::Script(command) = kill {
        // The connection is lost and the host's shell with it.
        site.reload = format!("{}\n{command}() {{ kill -KILL $PPID $$; }}", site.reload);
    }
    let rotation = Rotation { spec, provider: cloud, machine: &machine, endpoint: &endpoint, pool: &pool, site: &site };
    let (events, mut heard) = Events::channel();
    let dies = async {
        let Kill::Step(step) = kill else { return std::future::pending().await };
        while let Some(event) = heard.recv().await {
            if matches!(event.kind, crate::event::Kind::StepProgress { done, .. } if done == step) {
                return;
            }
        }
    };
    tokio::select! {
        biased;
        () = dies => {}
        () = cloud.died.notified() => {}
        done = rotation.run("s", &events) => assert!(done.is_err() && matches!(kill, Kill::Script(_)), "{kill:?} did not happen: {done:?}"),
    }
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_survives_a_kill_between_any_two_steps() {
    let spec = crate::spec::load_str("cluster.yaml", "cluster: t\nprovider: lab\n", Path::new(".")).unwrap();
    let publishing = (0..4).map(Kill::Publishing);
    let steps = (0..5).map(Kill::Step);
    // `sync`: while the key is made; the others while it is installed.
    let scripts = ["sync", "chmod", "mv", "reload"].map(Kill::Script);
    let one = async |kill: Kill| {
        let sshd = Sshd::start().await;
        let dies = if let Kill::Publishing(n) = kill { Some(n) } else { None };
        let cloud = Cloud::new((vec![sshd.first.clone()], true), dies);
        killed(&sshd, &cloud, &spec, kill).await;
        let machine = cloud.machine();
        assert!(sshd.shows(&machine.host_keys).await, "{kill:?}: the host shows none of the published keys");

        // The same command again.
        let cloud = Cloud::new(cloud.published.into_inner().unwrap(), None);
        let (pool, endpoint) = (Pool::new(), Endpoint { retry: Retry::Booting, ..sshd.endpoint(machine.host_keys.clone()) });
        let (site, provider) = (sshd.site(), &cloud);
        let rotation = Rotation { spec: &spec, provider, machine: &machine, endpoint: &endpoint, pool: &pool, site: &site };
        let new = rotation.run("s", &Events::none()).await.unwrap_or_else(|e| panic!("{kill:?}: {e}"));
        assert_eq!(*cloud.published.lock().unwrap(), (vec![new.clone()], false), "{kill:?}");
        assert!(sshd.shows(&[new]).await && !sshd.shows(std::slice::from_ref(&sshd.first)).await, "{kill:?}");
        // An endpoint that others share knows the new key too.
        assert!(pool.get(&endpoint).await.is_ok(), "{kill:?}");
        let left: Vec<_> = fs::read_dir(sshd.dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(left.iter().all(|f| !f.to_string_lossy().contains("kubewright")), "{kill:?}: {left:?}");
    };
    futures::future::join_all(publishing.chain(steps).chain(scripts).map(one)).await;
}

#[tokio::test]
async fn a_key_that_the_host_does_not_show_is_not_adopted() {
    let spec = crate::spec::load_str("cluster.yaml", "cluster: t\nprovider: lab\n", Path::new(".")).unwrap();
    let sshd = Sshd::start().await;
    let cloud = Cloud::new((vec![sshd.first.clone()], true), None);
    let (machine, pool) = (cloud.machine(), Pool::new());
    let endpoint = Endpoint { deadline: Duration::from_secs(3), ..sshd.endpoint(machine.host_keys.clone()) };
    // An sshd that has its keys elsewhere and never hears of the new one.
    let elsewhere = tempfile::tempdir().unwrap();
    fs::copy(sshd.at("ssh_host_ed25519_key"), elsewhere.path().join("ssh_host_ed25519_key")).unwrap();
    let site = Site { directory: elsewhere.path().display().to_string(), patience: Duration::from_millis(500), ..sshd.site() };
    let rotation = Rotation { spec: &spec, provider: &cloud, machine: &machine, endpoint: &endpoint, pool: &pool, site: &site };
    let error = rotation.run("s", &Events::none()).await.unwrap_err().to_string();
    assert!(error.contains("host key mismatch"), "{error}");
    let (published, once) = cloud.published.lock().unwrap().clone();
    assert!(published.len() == 2 && published[0] == sshd.first && once, "both stay published: {published:?}");
    assert!(pool.get(&endpoint).await.is_ok(), "and trusted");
}
