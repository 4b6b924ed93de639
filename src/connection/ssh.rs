//! An SSH connection: dialled on first use, shared by all its callers, dialled again when it was lost.

use super::{
    Connection, ConnectionError, Endpoint, Pool, Process, Stream,
    dial::{Live, dial},
    first,
    process::process,
};
use async_trait::async_trait;
use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use russh::{Channel, ChannelOpenFailure, Disconnect, client::Msg};
use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// How long an established connection may take to open one more channel.
const OPEN_CHANNEL: Duration = Duration::from_secs(30);

/// Connects and authenticates, through jump hosts where the endpoint names them.
///
/// A new connection is made every time, also to the jump hosts; a [`Pool`] shares them.
pub async fn connect(endpoint: &Endpoint) -> Result<Arc<dyn Connection>, ConnectionError> {
    Pool::new().get(endpoint).await
}

type Dialling = Shared<BoxFuture<'static, Result<Arc<Live>, ConnectionError>>>;

/// One host's connection.
pub(super) struct Ssh {
    endpoint: Endpoint,
    via: Vec<Arc<Ssh>>,
    agent: Option<PathBuf>,
    /// The dial under way, or the last one's result. Whoever comes while it runs shares its result, good or bad:
    /// a thousand hosts behind one dead jump host fail together, not one after the other.
    current: Mutex<Option<Dialling>>,
    closed: AtomicBool,
}

impl Ssh {
    /// Dials nothing yet.
    pub(super) fn new(endpoint: Endpoint, via: Vec<Arc<Ssh>>, agent: Option<PathBuf>) -> Self {
        Self { endpoint, via, agent, current: Mutex::new(None), closed: AtomicBool::new(false) }
    }

    /// The connection, made now if there is none.
    pub(super) async fn live(&self) -> Result<Arc<Live>, ConnectionError> {
        if self.is_closed() {
            return Err(self.lost("it was closed on this side"));
        }
        self.dialling().await
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// The same, after a host to go through was reached: each hop has its own time. `name` is the caller's for this host.
    pub(super) fn reach(self: &Arc<Self>, name: &str) -> BoxFuture<'static, Result<Arc<Live>, ConnectionError>> {
        let (this, host) = (Arc::clone(self), name.to_owned());
        Box::pin(async move {
            if !this.via.is_empty() {
                let wrap = |source| ConnectionError::Jump { host, source: Box::new(source) };
                first::jump(&this.via).await.map_err(wrap)?;
            }
            this.live().await
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.endpoint.name
    }

    /// Whether it is connected, as far as is known.
    pub(super) fn is_live(&self) -> bool {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        !self.is_closed() && current.as_ref().and_then(Shared::peek).is_some_and(|r| r.as_ref().is_ok_and(|l| !l.handle.is_closed()))
    }

    fn dialling(&self) -> Dialling {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(dialling) = &*current {
            match dialling.peek() {
                None => return dialling.clone(),
                Some(Ok(live)) if !live.handle.is_closed() => return dialling.clone(),
                Some(_) => {}
            }
        }
        let (endpoint, via, agent) = (self.endpoint.clone(), self.via.clone(), self.agent.clone());
        let host = endpoint.name.clone();
        // A task of its own, so that a caller who gives up does not stop it for the others.
        let task = tokio::spawn(async move { dial(&endpoint, &via, agent.as_deref()).await.map(Arc::new) });
        let dialling =
            async move { task.await.unwrap_or_else(|e| Err(ConnectionError::Lost { host, why: format!("dialling was stopped: {e}") })) }
                .boxed()
                .shared();
        *current = Some(dialling.clone());
        dialling
    }

    fn lost(&self, why: impl Into<String>) -> ConnectionError {
        ConnectionError::Lost { host: self.endpoint.name.clone(), why: why.into() }
    }

    fn channel_error(&self, live: &Live, error: &russh::Error) -> ConnectionError {
        self.lost(live.loss.get().unwrap_or_else(|| match error {
            russh::Error::ChannelOpenFailure(ChannelOpenFailure::AdministrativelyProhibited | ChannelOpenFailure::ConnectFailed) => {
                "the server opens no more sessions (MaxSessions in its sshd_config)".to_owned()
            }
            other => other.to_string(),
        }))
    }

    /// Opens a channel; a connection that turns out to be dead is dialled again, once. Nothing has been sent by then.
    async fn open(&self, wanted: Wanted<'_>) -> Result<(Arc<Live>, Result<Channel<Msg>, russh::Error>), ConnectionError> {
        for last in [false, true] {
            let live = self.live().await?;
            let opened = tokio::time::timeout(OPEN_CHANNEL, wanted.open(&live))
                .await
                .map_err(|_| self.lost(format!("no answer for {} s", OPEN_CHANNEL.as_secs())))?;
            match opened {
                Err(russh::Error::SendError | russh::Error::Disconnect | russh::Error::HUP) if !last => {
                    // The library may take a moment to notice what this error already says.
                    self.forget(&live);
                }
                result => return Ok((live, result)),
            }
        }
        Err(self.lost("the connection is gone"))
    }

    fn forget(&self, dead: &Arc<Live>) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().and_then(Shared::peek).is_some_and(|r| r.as_ref().is_ok_and(|l| Arc::ptr_eq(l, dead))) {
            *current = None;
        }
    }
}

/// The kinds of channel that are opened.
#[derive(Clone, Copy)]
enum Wanted<'a> {
    Session,
    Tcp(&'a str, u16),
}

impl Wanted<'_> {
    async fn open(self, live: &Live) -> Result<Channel<Msg>, russh::Error> {
        match self {
            Self::Session => live.handle.channel_open_session().await,
            Self::Tcp(address, port) => live.handle.channel_open_direct_tcpip(address, u32::from(port), "127.0.0.1", 0).await,
        }
    }
}

#[async_trait]
impl Connection for Ssh {
    fn describe(&self) -> String {
        let Endpoint { name, address, port, user, via, .. } = &self.endpoint;
        let names: Vec<&str> = via.iter().map(|jump| jump.name.as_str()).collect();
        let through = if names.is_empty() { String::new() } else { format!(" via {}", names.join(" or ")) };
        format!("{name} ({user}@{address}:{port}{through})")
    }

    async fn exec(&self, command: &str) -> Result<Process, ConnectionError> {
        let (live, opened) = self.open(Wanted::Session).await?;
        let channel = opened.map_err(|e| self.channel_error(&live, &e))?;
        channel.exec(true, command).await.map_err(|e| self.channel_error(&live, &e))?;
        Ok(process(channel, self.endpoint.name.clone(), live.loss.clone()))
    }

    async fn open_stream(&self, address: &str, port: u16) -> Result<Box<dyn Stream>, ConnectionError> {
        let (live, opened) = self.open(Wanted::Tcp(address, port)).await?;
        match opened {
            Ok(channel) => Ok(Box::new(channel.into_stream())),
            Err(russh::Error::ChannelOpenFailure(reason)) => Err(ConnectionError::Unreachable {
                host: self.endpoint.name.clone(),
                address: format!("{address}:{port} from {}", self.endpoint.name),
                why: match reason {
                    ChannelOpenFailure::AdministrativelyProhibited => {
                        "its sshd forbids forwarding (AllowTcpForwarding, PermitOpen)".to_owned()
                    }
                    ChannelOpenFailure::ConnectFailed => "it cannot connect there (refused, or no route)".to_owned(),
                    other => format!("it refuses: {other:?}"),
                },
            }),
            Err(other) => Err(self.channel_error(&live, &other)),
        }
    }

    async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Ok(live)) = current.as_ref().and_then(Shared::peek) {
            live.loss.set("it was closed on this side".to_owned());
            // It may be gone already, which is what is wanted.
            let _ = live.handle.disconnect(Disconnect::ByApplication, "", "en").await;
        }
    }
}
