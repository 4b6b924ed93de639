//! Connections against a server in this process.

use super::{
    Connection, ConnectionError, Endpoint, HostKeys, Identity, Pool, Retry, ssh,
    testing::{Behaviour, TestServer},
};
use crate::text::Secret;
use std::{sync::Arc, time::Duration};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn server(behaviour: Behaviour) -> TestServer {
    TestServer::start(behaviour).await.unwrap()
}

async fn refused(endpoint: &Endpoint) -> ConnectionError {
    ssh::connect(endpoint).await.err().expect("must not connect")
}

fn through(endpoint: Endpoint, jump: Endpoint) -> Endpoint {
    Endpoint { via: vec![Arc::new(jump)], ..endpoint }
}

#[tokio::test]
async fn commands_have_exit_codes_and_both_streams() {
    let server = server(Behaviour::default()).await;
    let connection = ssh::connect(&server.endpoint("a")).await.unwrap();
    let finished = connection.run("cat; echo err >&2; exit 3", b"in\0put").await.unwrap();
    assert_eq!((finished.rc, &finished.stdout[..], &finished.stderr[..]), (3, &b"in\0put"[..], &b"err\n"[..]));
    let big = vec![7; 5_000_000];
    let finished = connection.run("cat", &big).await.unwrap();
    assert!(finished.rc == 0 && finished.stdout == big);
    let killed = connection.run("kill -9 $$", b"").await.unwrap_err();
    assert!(matches!(killed, ConnectionError::Lost { .. }), "{killed}");
    assert_eq!(connection.run("true", b"").await.unwrap().rc, 0, "the connection is not lost by it");
}

#[tokio::test]
async fn dropping_stdin_is_end_of_file() {
    let server = server(Behaviour::default()).await;
    let connection = ssh::connect(&server.endpoint("a")).await.unwrap();
    let process = connection.exec("cat; echo end").await.unwrap();
    drop(process.stdin);
    let mut out = String::new();
    let mut stdout = process.stdout;
    stdout.read_to_string(&mut out).await.unwrap();
    assert_eq!((out.as_str(), process.exit.await.unwrap()), ("end\n", 0));
}

#[tokio::test]
async fn a_wrong_host_key_is_final_even_while_booting() {
    let (server, other) = (server(Behaviour::default()).await, server(Behaviour::default()).await);
    let endpoint = Endpoint { host_keys: other.endpoint("a").host_keys, retry: Retry::Booting, ..server.endpoint("a") };
    let error = refused(&endpoint).await;
    assert!(
        matches!(&error, ConnectionError::HostKeyMismatch { found, expected, .. }
        if found.contains("SHA256:") && expected.contains("SHA256:") && found != expected),
        "{error}"
    );
    assert_eq!(server.connections(), 1);
    let unknown = Endpoint { host_keys: HostKeys::KnownHosts(vec!["/nonexistent/known_hosts".into()]), ..server.endpoint("a") };
    let error = refused(&unknown).await;
    assert!(error.to_string().contains("no known key (looked in /nonexistent/known_hosts)"), "{error}");
}

#[tokio::test]
async fn a_booting_host_may_refuse_for_a_while() {
    let server = server(Behaviour { refuse_first: 2, ..Behaviour::default() }).await;
    let error = refused(&server.endpoint("a")).await;
    assert!(error.to_string().contains("SHA256:"), "names what was offered: {error}");
    let booting = Endpoint { retry: Retry::Booting, ..server.endpoint("a") };
    assert_eq!(ssh::connect(&booting).await.unwrap().run("echo up", b"").await.unwrap().stdout, b"up\n");
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn writing_to_what_is_gone_comes_to_an_end() {
    let server = server(Behaviour::default()).await;
    // More than any window and pipe together hold.
    let much = vec![0; 64 << 20];
    let connection = ssh::connect(&server.endpoint("a")).await.unwrap();
    let mut process = connection.exec("sleep 0.2; exit 3").await.unwrap();
    let written = tokio::time::timeout(Duration::from_secs(20), process.stdin.write_all(&much)).await;
    assert!(written.expect("no wait for ever").is_err());
    assert_eq!(process.exit.await.unwrap(), 3);

    let mut process = connection.exec("sleep 600").await.unwrap();
    let cut = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        server.cut();
    };
    let (written, ()) = tokio::join!(tokio::time::timeout(Duration::from_secs(20), process.stdin.write_all(&much)), cut);
    assert!(written.expect("no wait for ever").is_err());
    assert!(matches!(process.exit.await, Err(ConnectionError::Lost { .. })));
}

#[tokio::test]
async fn errors_say_what_is_wrong() {
    let server = server(Behaviour::default()).await;
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = closed.local_addr().unwrap().port();
    // A listener that never speaks: the port is open, sshd does not answer.
    let silent = Endpoint { port, deadline: Duration::from_millis(300), ..server.endpoint("mute") };
    let error = refused(&silent).await.to_string();
    assert!(error.contains("mute") && error.contains("in phase banner"), "{error}");
    drop(closed);
    let error = refused(&Endpoint { port, ..server.endpoint("a") }).await.to_string();
    assert!(error.contains("connection refused"), "{error}");
    let error = refused(&Endpoint { address: "no.such.name.invalid".into(), ..server.endpoint("a") }).await.to_string();
    assert!(error.contains("cannot be resolved"), "{error}");
    let missing = Identity::KeyFile { path: "/nonexistent/id".into(), passphrase: None };
    let error = refused(&Endpoint { identities: vec![missing], ..server.endpoint("a") }).await;
    assert!(matches!(&error, ConnectionError::Local { why, .. } if why.contains("/nonexistent/id")), "{error}");
}

#[tokio::test]
async fn too_many_identities_are_explained() {
    let (server, other) = (server(Behaviour { max_auth_tries: 2, ..Behaviour::default() }).await, server(Behaviour::default()).await);
    let (third, fourth) = (self::server(Behaviour::default()).await, self::server(Behaviour::default()).await);
    let identities = vec![other.identity(), third.identity(), fourth.identity(), server.identity()];
    let error = refused(&Endpoint { identities, ..server.endpoint("a") }).await.to_string();
    assert!(error.contains("MaxAuthTries"), "{error}");
}

#[tokio::test]
async fn passwords_follow_keys() {
    let server = server(Behaviour { password: Some("right".into()), ..Behaviour::default() }).await;
    let with = |password: &str| Endpoint { identities: vec![Identity::Password(Secret::new(password.into()))], ..server.endpoint("a") };
    ssh::connect(&with("right")).await.unwrap();
    let error = refused(&with("wrong-password")).await.to_string();
    assert!(error.contains("offered password") && !error.contains("wrong-password"), "{error}");
}

#[tokio::test]
async fn jump_hosts_are_shared_and_named() {
    let (jump, middle, a, b) = (
        server(Behaviour::default()).await,
        server(Behaviour::default()).await,
        server(Behaviour::default()).await,
        server(Behaviour::default()).await,
    );
    let chain = through(middle.endpoint("middle"), jump.endpoint("jump"));
    let pool = Pool::new();
    let (to_a, to_b) = (through(a.endpoint("a"), chain.clone()), through(b.endpoint("b"), chain.clone()));
    let (first, second, again, jump_itself) = tokio::join!(pool.get(&to_a), pool.get(&to_b), pool.get(&to_a), pool.get(&chain));
    let first = first.unwrap();
    for connection in [&first, &second.unwrap(), &again.unwrap(), &jump_itself.unwrap()] {
        assert_eq!(connection.run("echo here", b"").await.unwrap().stdout, b"here\n");
    }
    assert_eq!([jump.connections(), middle.connections(), a.connections(), b.connections()], [1, 1, 1, 1]);
    assert_eq!(first.describe(), format!("a (tester@127.0.0.1:{} via middle)", to_a.port));

    let wrong_jump = Endpoint { host_keys: a.endpoint("x").host_keys, ..jump.endpoint("jump") };
    let error = refused(&through(a.endpoint("a"), wrong_jump)).await.to_string();
    assert!(error.starts_with("a: jump host failed: jump: host key mismatch"), "{error}");
    let nowhere = through(Endpoint { port: 1, ..a.endpoint("a") }, jump.endpoint("jump"));
    let error = refused(&nowhere).await.to_string();
    assert!(error.contains("a: cannot reach 127.0.0.1:1 through jump") && error.contains("cannot connect there"), "{error}");
}

#[tokio::test]
async fn the_next_jump_host_is_taken_when_one_is_dead_or_silent() {
    let (jump, target) = (server(Behaviour::default()).await, server(Behaviour::default()).await);
    let refuses = Endpoint { port: 1, ..jump.endpoint("refuses") };
    // A port that takes the connection and never says a word.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = Endpoint { port: listener.local_addr().unwrap().port(), ..jump.endpoint("silent") };
    for dead in [refuses.clone(), silent] {
        let via = vec![Arc::new(dead), Arc::new(jump.endpoint("jump"))];
        let begun = std::time::Instant::now();
        let connection = ssh::connect(&Endpoint { via, ..target.endpoint("a") }).await.unwrap();
        assert_eq!(connection.run("echo here", b"").await.unwrap().stdout, b"here\n");
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
    let error = refused(&Endpoint { via: vec![Arc::new(refuses.clone()), Arc::new(refuses)], ..target.endpoint("a") }).await.to_string();
    assert!(error.starts_with("a: jump host failed: refuses: cannot reach"), "{error}");
}

#[tokio::test]
async fn a_lost_connection_ends_its_commands_and_is_dialled_again() {
    let (jump, host) = (server(Behaviour::default()).await, server(Behaviour::default()).await);
    let pool = Pool::new();
    let connection = pool.get(&through(host.endpoint("a"), jump.endpoint("jump"))).await.unwrap();
    let mut process = connection.exec("echo begun; cat").await.unwrap();
    let mut begun = [0; 6];
    process.stdout.read_exact(&mut begun).await.unwrap();
    jump.cut();
    let lost = tokio::time::timeout(Duration::from_secs(5), process.exit).await.unwrap().unwrap_err();
    assert!(matches!(lost, ConnectionError::Lost { .. }), "{lost}");
    assert_eq!(connection.run("echo again", b"").await.unwrap().stdout, b"again\n");
    assert_eq!((jump.connections(), host.connections()), (2, 2));
    connection.close().await;
    assert!(matches!(connection.run("true", b"").await.unwrap_err(), ConnectionError::Lost { .. }));
    let fresh = pool.get(&through(host.endpoint("a"), jump.endpoint("jump"))).await.unwrap();
    assert_eq!(fresh.run("true", b"").await.unwrap().rc, 0);
}

#[tokio::test]
async fn many_callers_of_a_dead_host_share_one_failure() {
    let server = server(Behaviour::default()).await;
    let wrong = Endpoint { host_keys: self::server(Behaviour::default()).await.endpoint("x").host_keys, ..server.endpoint("jump") };
    let pool = Pool::new();
    let all = (0..20).map(|i| {
        let endpoint = through(server.endpoint(&format!("host-{i}")), wrong.clone());
        let pool = &pool;
        async move { pool.get(&endpoint).await.err().map(|e| e.to_string()) }
    });
    let errors = futures::future::join_all(all).await;
    assert!(errors.iter().enumerate().all(|(i, e)| e.as_ref().is_some_and(|e| e.starts_with(&format!("host-{i}: jump host")))));
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn streams_reach_ports_behind_the_host() {
    let server = server(Behaviour::default()).await;
    let connection = ssh::connect(&server.endpoint("a")).await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let echo = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let (mut read, mut write) = socket.split();
        tokio::io::copy(&mut read, &mut write).await.unwrap();
    });
    let mut stream = connection.open_stream("127.0.0.1", port).await.unwrap();
    stream.write_all(b"ping").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut back = String::new();
    stream.read_to_string(&mut back).await.unwrap();
    assert_eq!(back, "ping");
    echo.await.unwrap();
}

#[tokio::test]
async fn a_fake_host_is_strict() {
    let fake = super::Fake::new("f").on("uname", 0, "Linux\n").on("never", 0, "");
    assert_eq!(fake.run("uname", b"").await.unwrap().stdout, b"Linux\n");
    assert!(fake.run("uname -a", b"").await.unwrap_err().to_string().contains("not in the script: uname -a"));
    assert_eq!((fake.ran(), fake.left()), (vec!["uname".to_owned(), "uname -a".to_owned()], vec!["never".to_owned()]));
}

/// A real agent, ended with the test.
struct Agent(std::process::Child, tempfile::TempDir);

impl Agent {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("agent");
        let child = std::process::Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(std::process::Stdio::null()).spawn();
        let agent = Self(child.expect("ssh-agent is needed"), directory);
        while tokio::net::UnixStream::connect(agent.socket()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        agent
    }

    fn socket(&self) -> std::path::PathBuf {
        self.1.path().join("agent")
    }

    fn add(&self, key: &std::path::Path) {
        let added = std::process::Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", self.socket()).status().unwrap();
        assert!(added.success());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn path(identity: Identity) -> std::path::PathBuf {
    match identity {
        Identity::KeyFile { path, .. } => path,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_agent_signs_and_stands_in_for_encrypted_keys() {
    let (server, agent) = (server(Behaviour::default()).await, Agent::start().await);
    let key = path(server.identity());
    let with = |identity| Endpoint { identities: vec![identity], ..server.endpoint("a") };
    let file = |path: &std::path::Path, passphrase: Option<&str>| Identity::KeyFile {
        path: path.to_owned(),
        passphrase: passphrase.map(|p| Secret::new(p.to_owned())),
    };

    let error = Pool::with_agent(agent.socket()).get(&with(Identity::Agent)).await.err().unwrap().to_string();
    assert!(error.contains("it holds no keys"), "{error}");
    agent.add(&key);
    Pool::with_agent(agent.socket()).get(&with(Identity::Agent)).await.unwrap();

    let encrypted = key.with_file_name("encrypted");
    std::fs::copy(&key, &encrypted).unwrap();
    let changed = std::process::Command::new("ssh-keygen")
        .args(["-q", "-p", "-N", "hunter2", "-f"])
        .stdout(std::process::Stdio::null())
        .arg(&encrypted)
        .status()
        .unwrap();
    assert!(changed.success());
    Pool::with_agent(agent.socket()).get(&with(file(&encrypted, None))).await.unwrap();
    ssh::connect(&with(file(&encrypted, Some("hunter2")))).await.unwrap();
    let error = refused(&with(file(&encrypted, Some("wrong-one")))).await.to_string();
    assert!(error.contains("is the passphrase right?") && !error.contains("wrong-one"), "{error}");
}
