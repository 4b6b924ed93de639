//! One way in: resolve, connect, prove the host, authenticate; and the attempts one after the other while a host boots.

use super::{
    Connection, ConnectionError, Endpoint, Retry, Stream,
    auth::{Refused, authenticate},
    first,
    host_keys::KnownKeys,
    process::LossReason,
    ssh::Ssh,
};
use russh::{
    Preferred, client,
    client::{DisconnectReason, Handle},
    keys::{PublicKey, PublicKeyOrCertificate},
};
use std::{
    borrow::Cow,
    io,
    path::Path,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, timeout_at},
};

/// While a host boots, no single attempt may eat the whole deadline: a packet to an address that is not up yet is
/// simply lost, and the kernel would try again only after 1, 3, 7, … seconds.
const TCP_ATTEMPT: Duration = Duration::from_secs(5);
const LOGIN_ATTEMPT: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// An authenticated SSH connection.
pub(super) struct Live {
    pub(super) handle: Handle<Client>,
    pub(super) loss: LossReason,
}

/// Dials until it works, fails for good, or the deadline is over.
pub(super) async fn dial(endpoint: &Endpoint, via: &[Arc<Ssh>], agent: Option<&Path>) -> Result<Live, ConnectionError> {
    let begun = Instant::now();
    let deadline = begun + endpoint.deadline;
    let mut pause = FIRST_PAUSE;
    let mut attempts = 0_u32;
    loop {
        attempts += 1;
        let error = match attempt(endpoint, via, agent, begun, deadline).await {
            Ok(live) => return Ok(live),
            Err(error) => error,
        };
        let may_pass = match error {
            ConnectionError::Unreachable { .. } => endpoint.retry != Retry::Never,
            ConnectionError::Authentication { .. } => endpoint.retry == Retry::Booting,
            _ => false,
        };
        if !may_pass || Instant::now() + pause >= deadline {
            return Err(with_attempts(error, attempts, begun.elapsed()));
        }
        tracing::debug!(host = %endpoint.name, attempts, %error, "not reachable yet");
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(LONGEST_PAUSE);
    }
}

fn with_attempts(error: ConnectionError, attempts: u32, elapsed: Duration) -> ConnectionError {
    if attempts < 2 {
        return error;
    }
    let tried = format!(" (tried {attempts} times in {:.0} s)", elapsed.as_secs_f64());
    match error {
        ConnectionError::Unreachable { host, address, why } => ConnectionError::Unreachable { host, address, why: why + &tried },
        ConnectionError::Authentication { host, user, why } => ConnectionError::Authentication { host, user, why: why + &tried },
        other => other,
    }
}

async fn attempt(
    endpoint: &Endpoint,
    via: &[Arc<Ssh>],
    agent: Option<&Path>,
    begun: Instant,
    deadline: Instant,
) -> Result<Live, ConnectionError> {
    let known = KnownKeys::load(&endpoint.host_keys, &endpoint.address, endpoint.port)
        .map_err(|why| ConnectionError::Local { host: endpoint.name.clone(), why })?;
    let limit = |each: Duration| if endpoint.retry == Retry::Never { deadline } else { deadline.min(Instant::now() + each) };

    let tcp_limit = limit(TCP_ATTEMPT);
    let stream = timeout_at(tcp_limit, reach(endpoint, via))
        .await
        .map_err(|_| unreachable(endpoint, via, timeout("tcp", begun, "no answer: is the address right, is a firewall in between?")))??;

    let phase = Phase::default();
    let loss = LossReason::default();
    let verdict = Arc::new(Mutex::new(None));
    let config = Arc::new(config(&known));
    let client = Client { known, address: endpoint.address.clone(), verdict: Arc::clone(&verdict), loss: loss.clone() };
    let login_limit = limit(LOGIN_ATTEMPT);
    let login = async {
        let stream = Watched { inner: stream, phase: phase.clone() };
        let mut handle = match client::connect_stream(config, stream, client).await {
            Ok(handle) => handle,
            Err(error) => return Err(handshake_error(endpoint, via, &phase, &verdict, &loss, &error)),
        };
        phase.set("auth");
        match authenticate(&mut handle, &endpoint.user, &endpoint.identities, agent, &loss).await {
            Ok(()) => Ok(handle),
            Err(Refused::ByServer(why)) => {
                Err(ConnectionError::Authentication { host: endpoint.name.clone(), user: endpoint.user.clone(), why })
            }
            Err(Refused::NothingToOffer(why)) => Err(ConnectionError::Local { host: endpoint.name.clone(), why }),
        }
    };
    let handle = timeout_at(login_limit, login)
        .await
        .map_err(|_| unreachable(endpoint, via, timeout(phase.name(), begun, "the port is open, but sshd does not go on")))??;
    Ok(Live { handle, loss })
}

/// A stream to the endpoint's port, straight or through a jump host. One that turns out to be lost is passed over.
async fn reach(endpoint: &Endpoint, via: &[Arc<Ssh>]) -> Result<Box<dyn Stream>, ConnectionError> {
    if via.is_empty() {
        return direct(endpoint).await.map(|s| Box::new(s) as Box<dyn Stream>).map_err(|why| unreachable(endpoint, via, why));
    }
    let wrap = |source| ConnectionError::Jump { host: endpoint.name.clone(), source: Box::new(source) };
    let mut left = via.to_vec();
    loop {
        let jump = first::jump(&left).await.map_err(wrap)?;
        left.retain(|other| !Arc::ptr_eq(other, &jump));
        match jump.open_stream(&endpoint.address, endpoint.port).await {
            // The jump host works; what lies behind it does not answer.
            Err(ConnectionError::Unreachable { why, .. }) => return Err(unreachable(endpoint, &[jump], why)),
            Err(ConnectionError::Lost { .. }) if !left.is_empty() => {}
            other => return other.map_err(wrap),
        }
    }
}

/// The first of the name's addresses that takes the connection; the last one's error otherwise.
async fn direct(endpoint: &Endpoint) -> Result<TcpStream, String> {
    let addresses: Vec<_> = tokio::net::lookup_host((endpoint.address.as_str(), endpoint.port))
        .await
        .map_err(|e| format!("the name {} cannot be resolved: {e}", endpoint.address))?
        .collect();
    let mut why = format!("the name {} has no address", endpoint.address);
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // Nagle's algorithm costs 40 ms or more for every small answer.
                stream.set_nodelay(true).map_err(|e| format!("TCP_NODELAY: {e}"))?;
                return Ok(stream);
            }
            Err(e) => why = explain(&e),
        }
    }
    Err(why)
}

fn explain(error: &io::Error) -> String {
    let hint = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused: nothing listens on that port (sshd not started yet?)",
        io::ErrorKind::ConnectionReset => "connection reset by the other side",
        io::ErrorKind::HostUnreachable => "no route to host",
        io::ErrorKind::NetworkUnreachable => "network is unreachable",
        io::ErrorKind::TimedOut => "no answer (the kernel gave up)",
        _ => return error.to_string(),
    };
    hint.to_owned()
}

fn timeout(phase: &str, begun: Instant, hint: &str) -> String {
    format!("timeout after {:.0} s in phase {phase}: {hint}", begun.elapsed().as_secs_f64())
}

fn unreachable(endpoint: &Endpoint, via: &[Arc<Ssh>], why: String) -> ConnectionError {
    let jumps: Vec<String> = via.iter().map(|jump| jump.describe()).collect();
    let through = if jumps.is_empty() { String::new() } else { format!(" through {}", jumps.join(" or ")) };
    ConnectionError::Unreachable { host: endpoint.name.clone(), address: format!("{}:{}{through}", endpoint.address, endpoint.port), why }
}

fn handshake_error(
    endpoint: &Endpoint,
    via: &[Arc<Ssh>],
    phase: &Phase,
    verdict: &Mutex<Option<(String, String)>>,
    loss: &LossReason,
    error: &russh::Error,
) -> ConnectionError {
    if let Some((found, expected)) = verdict.lock().ok().and_then(|mut v| v.take()) {
        return ConnectionError::HostKeyMismatch {
            host: endpoint.name.clone(),
            address: format!("{}:{}", endpoint.address, endpoint.port),
            found,
            expected,
        };
    }
    let said = loss.get().unwrap_or_else(|| match error {
        russh::Error::IO(e) => explain(e),
        russh::Error::Disconnect | russh::Error::HUP => "the server closed the connection".to_owned(),
        other => other.to_string(),
    });
    unreachable(endpoint, via, format!("SSH handshake failed in phase {}: {said}", phase.name()))
}

fn config(known: &KnownKeys) -> client::Config {
    client::Config {
        nodelay: true,
        keepalive_interval: Some(Duration::from_secs(15)),
        keepalive_max: 3,
        // What may be on its way at once: 8 MiB fill a line of 600 Mbit/s at 100 ms.
        window_size: 8 << 20,
        maximum_packet_size: 65_535,
        preferred: Preferred {
            key: Cow::Owned(known.algorithms()),
            host_key_certificates: Cow::Owned(known.certificate_algorithms()),
            ..Preferred::DEFAULT
        },
        ..client::Config::default()
    }
}

/// The callbacks of one connection.
pub(super) struct Client {
    known: KnownKeys,
    address: String,
    /// What was shown and what was expected, when the host key is wrong.
    verdict: Arc<Mutex<Option<(String, String)>>>,
    loss: LossReason,
}

impl client::Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        match self.known.check(shown, &self.address) {
            Ok(()) => Ok(true),
            Err(found) => {
                if let Ok(mut verdict) = self.verdict.lock() {
                    *verdict = Some((found, self.known.expected()));
                }
                Ok(false)
            }
        }
    }

    /// OpenSSH sends this right after authentication and sets TCP_NODELAY only later, so the answer to our first channel
    /// waits until our kernel acknowledges this message, 40 ms (measured). Anything we send carries the acknowledgement.
    async fn openssh_ext_host_keys_announced(&mut self, _: Vec<PublicKey>, session: &mut client::Session) -> Result<(), russh::Error> {
        session.send_keepalive(true)
    }

    async fn disconnected(&mut self, reason: DisconnectReason<russh::Error>) -> Result<(), russh::Error> {
        match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                self.loss.set(format!("the server said: {} ({:?})", info.message, info.reason_code));
                Ok(())
            }
            DisconnectReason::Error(error) => {
                self.loss.set(match &error {
                    russh::Error::IO(e) => explain(e),
                    russh::Error::KeepaliveTimeout => "no sign of life for 60 s".to_owned(),
                    russh::Error::Disconnect | russh::Error::HUP => "the server closed the connection".to_owned(),
                    other => other.to_string(),
                });
                Err(error)
            }
        }
    }
}

/// How far a login has come, for the message of a timeout.
#[derive(Clone, Default)]
struct Phase(Arc<AtomicU8>);

const PHASES: [&str; 3] = ["banner", "kex", "auth"];

impl Phase {
    fn set(&self, name: &str) {
        let index = PHASES.iter().position(|p| *p == name).and_then(|i| u8::try_from(i).ok());
        self.0.fetch_max(index.unwrap_or_default(), Ordering::Relaxed);
    }

    fn name(&self) -> &'static str {
        PHASES[usize::from(self.0.load(Ordering::Relaxed)).min(PHASES.len() - 1)]
    }
}

/// A stream that notes when the server begins to speak.
struct Watched<S> {
    inner: S,
    phase: Phase,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(cx, buf);
        if buf.filled().len() > before && self.phase.0.load(Ordering::Relaxed) == 0 {
            self.phase.set("kex");
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
