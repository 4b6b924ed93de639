//! A small SSH server in this process, from russh's own server half, that runs real commands on this machine.
//! For tests of what speaks SSH, without sshd, accounts or root.

use super::{Endpoint, HostKeys, Identity, PinnedKeys, Retry};
use russh::{
    Channel, ChannelId, ChannelMsg, ChannelOpenFailure, MethodKind, MethodSet,
    keys::{Algorithm, PrivateKey, PublicKey, key::safe_rng, ssh_key::LineEnding},
    server::{self, Auth, ChannelOpenHandle, Msg, Session, VerifiedPublicKey},
};
use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    process::Stdio,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    process::Command,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

/// How a test server behaves.
#[derive(Clone, Default)]
pub struct Behaviour {
    /// Its host keys; empty: a new ed25519 key.
    pub host_keys: Vec<PrivateKey>,
    /// Accepts this password as well as [`TestServer::identity`].
    pub password: Option<String>,
    /// Refuses the first so many authentications, as a host does whose cloud-init has not come to authorized_keys yet.
    pub refuse_first: usize,
    /// More public keys that may log in.
    pub authorized: Vec<PublicKey>,
    /// Authentication attempts before it hangs up; 0: OpenSSH's 6.
    pub max_auth_tries: usize,
}

/// A running server; it ends, with all its connections, when it is dropped.
pub struct TestServer {
    address: SocketAddr,
    behaviour: Behaviour,
    shared: Arc<Shared>,
    directory: tempfile::TempDir,
    accepting: tokio::task::JoinHandle<()>,
}

struct Shared {
    behaviour: Behaviour,
    authorized: Vec<PublicKey>,
    refused: AtomicUsize,
    connections: AtomicUsize,
    live: Mutex<JoinSet<()>>,
}

impl TestServer {
    /// Starts one on a free port of the loopback interface.
    ///
    /// # Errors
    /// No port, no temporary directory, no random numbers.
    pub async fn start(mut behaviour: Behaviour) -> io::Result<Self> {
        let new_key = || PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).map_err(io::Error::other);
        if behaviour.host_keys.is_empty() {
            behaviour.host_keys.push(new_key()?);
        }
        let directory = tempfile::tempdir()?;
        let client = new_key()?;
        client.write_openssh_file(directory.path().join("id"), LineEnding::LF).map_err(io::Error::other)?;
        let mut authorized = behaviour.authorized.clone();
        authorized.push(client.public_key().clone());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            behaviour: behaviour.clone(),
            authorized,
            refused: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            live: Mutex::new(JoinSet::new()),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, behaviour, shared, directory, accepting })
    }

    /// How to reach it, with its key pinned.
    pub fn endpoint(&self, name: &str) -> Endpoint {
        let pins = self.behaviour.host_keys.iter().filter_map(|k| k.public_key().to_openssh().ok()).collect();
        Endpoint {
            name: name.to_owned(),
            address: self.address.ip().to_string(),
            port: self.address.port(),
            user: "tester".to_owned(),
            identities: vec![self.identity()],
            host_keys: HostKeys::Pinned(PinnedKeys::new(pins)),
            via: Vec::new(),
            deadline: Duration::from_secs(20),
            retry: Retry::Never,
        }
    }

    /// The key that may log in.
    pub fn identity(&self) -> Identity {
        Identity::KeyFile { path: self.directory.path().join("id"), passphrase: None }
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Acquire)
    }

    /// Cuts all connections, as a cable would be.
    pub fn cut(&self) {
        self.shared.live.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let config = Arc::new(server::Config {
        keys: shared.behaviour.host_keys.clone(),
        methods: MethodSet::from(&[MethodKind::PublicKey, MethodKind::Password, MethodKind::KeyboardInteractive][..]),
        auth_rejection_time: Duration::ZERO,
        max_auth_attempts: match shared.behaviour.max_auth_tries {
            0 => 6,
            tries => tries,
        },
        nodelay: true,
        ..server::Config::default()
    });
    while let Ok((socket, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Ordering::AcqRel);
        let (config, handler) = (Arc::clone(&config), Connected { shared: Arc::clone(&shared), channels: HashMap::new() });
        // The session runs inside this task, so that aborting the task cuts the socket.
        shared.live.lock().unwrap_or_else(PoisonError::into_inner).spawn(async move {
            let _ = socket.set_nodelay(true);
            let (ours, mut theirs) = tokio::io::duplex(64 << 10);
            let Ok(session) = (async {
                let mut socket = socket;
                tokio::select! {
                    session = server::run_stream(config, ours, handler) => session.map(|s| (s, socket, theirs)),
                    _ = tokio::io::copy_bidirectional(&mut socket, &mut theirs) => Err(russh::Error::Disconnect),
                }
            })
            .await
            else {
                return;
            };
            let (session, mut socket, mut theirs) = session;
            tokio::select! {
                _ = session => {}
                _ = tokio::io::copy_bidirectional(&mut socket, &mut theirs) => {}
            }
        });
    }
}

/// One client.
struct Connected {
    shared: Arc<Shared>,
    channels: HashMap<ChannelId, Channel<Msg>>,
}

impl Connected {
    fn judge(&self, good: bool) -> Auth {
        let too_early = self.shared.refused.fetch_add(1, Ordering::AcqRel) < self.shared.behaviour.refuse_first;
        if good && !too_early { Auth::Accept } else { Auth::reject() }
    }
}

impl server::Handler for Connected {
    type Error = russh::Error;

    async fn auth_publickey_offered(&mut self, _: &str, offer: server::PublicKeyOffer<'_>) -> Result<Auth, russh::Error> {
        let known = self.shared.authorized.iter().any(|k| k.key_data() == offer.public_key.key_data());
        Ok(if known { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_publickey(&mut self, _: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, russh::Error> {
        Ok(self.judge(self.shared.authorized.iter().any(|k| k.key_data() == key.public_key.key_data())))
    }

    async fn auth_password(&mut self, _: &str, password: &str) -> Result<Auth, russh::Error> {
        Ok(self.judge(self.shared.behaviour.password.as_deref() == Some(password)))
    }

    async fn channel_open_session(&mut self, channel: Channel<Msg>, reply: ChannelOpenHandle, _: &mut Session) -> Result<(), russh::Error> {
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        let Ok(port) = u16::try_from(port) else { return Ok(()) };
        match TcpStream::connect((host, port)).await {
            Ok(mut socket) => {
                let _ = socket.set_nodelay(true);
                reply.accept().await;
                tokio::spawn(async move { tokio::io::copy_bidirectional(&mut socket, &mut channel.into_stream()).await });
            }
            Err(_) => reply.reject(ChannelOpenFailure::ConnectFailed).await,
        }
        Ok(())
    }

    async fn exec_request(&mut self, id: ChannelId, command: &[u8], session: &mut Session) -> Result<(), russh::Error> {
        let Some(channel) = self.channels.remove(&id) else { return session.channel_failure(id) };
        session.channel_success(id)?;
        let command = String::from_utf8_lossy(command).into_owned();
        tokio::spawn(execute(channel, command));
        Ok(())
    }
}

/// Runs a command as sshd does: by a login shell with pipes; the client's end of file closes its input.
async fn execute(channel: Channel<Msg>, command: String) -> io::Result<()> {
    let mut child =
        Command::new("/bin/sh").arg("-c").arg(command).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (mut read, write) = channel.split();
    let (Some(mut stdin), Some(mut stdout), Some(mut stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take()) else {
        return Ok(());
    };
    // Ends at the client's end of file, or when the connection is gone: the command then sees the end of its input.
    let gone = CancellationToken::new();
    let lost = gone.clone();
    let feed = tokio::spawn(async move {
        while let Some(message) = read.wait().await {
            match message {
                ChannelMsg::Data { data } if stdin.write_all(&data).await.is_ok() => {}
                ChannelMsg::Eof | ChannelMsg::Close => break,
                _ => {}
            }
        }
        drop(stdin);
        // Further messages (window adjustments) have to be read on.
        while read.wait().await.is_some() {}
        lost.cancel();
    });
    let (mut out, mut err) = (write.make_writer(), write.make_writer_ext(Some(1)));
    let copy_out = async {
        let mut chunk = [0; 16 << 10];
        while let Some(Ok(n @ 1..)) = gone.run_until_cancelled(stdout.read(&mut chunk)).await {
            if out.write_all(&chunk[..n]).await.is_err() {
                break;
            }
        }
        // As sshd ends with its connection: nobody reads any more, so the command gets SIGPIPE.
        drop(stdout);
    };
    let copy_err = async {
        let mut chunk = [0; 4 << 10];
        while let Ok(n @ 1..) = stderr.read(&mut chunk).await {
            if err.write_all(&chunk[..n]).await.is_err() {
                break;
            }
        }
    };
    let (status, (), ()) = tokio::join!(child.wait(), copy_out, copy_err);
    if let Some(code) = status?.code() {
        let _ = write.exit_status(u32::try_from(code).unwrap_or(255)).await;
    }
    let _ = write.eof().await;
    let _ = write.close().await;
    feed.abort();
    Ok(())
}
