//! A session channel as a [`Process`].

use super::{ConnectionError, Process};
use bytes::Bytes;
use futures::FutureExt;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, client::Msg};
use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};
use tokio::{
    io::AsyncWrite,
    sync::{mpsc, oneshot},
};
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tokio_util::{
    io::StreamReader,
    sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned},
};

/// Messages (of up to 32 KiB) that wait for a reader. A reader that never reads stops its whole connection
/// once this is full: read both streams, always.
const QUEUE: usize = 64;

/// Why a connection ended, as far as the other side or the library said; written by the client handler.
#[derive(Clone, Debug, Default)]
pub(super) struct LossReason(Arc<Mutex<Option<String>>>);

impl LossReason {
    pub(super) fn set(&self, why: String) {
        if let Ok(mut slot) = self.0.lock() {
            slot.get_or_insert(why);
        }
    }

    pub(super) fn get(&self) -> Option<String> {
        self.0.lock().ok().and_then(|slot| slot.clone())
    }
}

/// Wraps a channel on which a command was requested.
pub(super) fn process(channel: Channel<Msg>, host: String, loss: LossReason) -> Process {
    let (read, write) = channel.split();
    let write = Arc::new(write);
    let (out_tx, out) = mpsc::channel(QUEUE);
    let (err_tx, err) = mpsc::channel(QUEUE);
    let (exit_tx, exit_rx) = oneshot::channel();
    let gone = CancellationToken::new();
    let stdin =
        Stdin { writer: Box::pin(write.make_writer()), channel: Some(Arc::clone(&write)), gone: Box::pin(gone.clone().cancelled_owned()) };
    // However the pump ends, nobody reads any more.
    let ends = Ends { out: out_tx, err: err_tx, exit: exit_tx, gone: gone.drop_guard() };
    let name = host.clone();
    tokio::spawn(pump(read, write, ends, name, loss));
    let gone = ConnectionError::Lost { host, why: "the connection's task ended".to_owned() };
    Process {
        stdin: Box::new(stdin),
        stdout: Box::new(reader(out)),
        stderr: Box::new(reader(err)),
        exit: exit_rx.map(move |result| result.unwrap_or(Err(gone))).boxed(),
    }
}

fn reader(queue: mpsc::Receiver<Bytes>) -> impl tokio::io::AsyncRead + Send + Unpin {
    StreamReader::new(ReceiverStream::new(queue).map(Ok::<_, io::Error>))
}

struct Ends {
    out: mpsc::Sender<Bytes>,
    err: mpsc::Sender<Bytes>,
    exit: oneshot::Sender<Result<i32, ConnectionError>>,
    gone: DropGuard,
}

/// Sorts a channel's messages until it ends, or until nobody holds any part of the process any more.
async fn pump(mut read: ChannelReadHalf, write: Arc<ChannelWriteHalf<Msg>>, ends: Ends, host: String, loss: LossReason) {
    let Ends { out, err, exit, gone: _gone } = ends;
    let mut exit = Some(exit);
    loop {
        let abandoned = async {
            let exit = async {
                if let Some(exit) = exit.as_mut() {
                    exit.closed().await;
                }
            };
            tokio::join!(out.closed(), err.closed(), exit);
        };
        let message = tokio::select! {
            message = read.wait() => message,
            () = abandoned => {
                // Errors mean that the connection is gone, and the channel with it.
                let _ = write.close().await;
                return;
            }
        };
        let ended = match message {
            // Whoever dropped a stream does not want its bytes.
            Some(ChannelMsg::Data { data }) => {
                let _ = out.send(data).await;
                continue;
            }
            Some(ChannelMsg::ExtendedData { data, ext: 1 }) => {
                let _ = err.send(data).await;
                continue;
            }
            Some(ChannelMsg::ExitStatus { exit_status }) => Ok(i32::try_from(exit_status).unwrap_or(255)),
            Some(ChannelMsg::ExitSignal { signal_name, error_message, .. }) => {
                Err(format!("the command was killed by signal {signal_name:?} {error_message}").trim_end().to_owned())
            }
            Some(ChannelMsg::Failure) => {
                let _ = write.close().await;
                Err("the server refused to run the command".to_owned())
            }
            Some(ChannelMsg::Close) | None => break,
            Some(_) => continue,
        };
        if let Some(exit) = exit.take() {
            let _ = exit.send(ended.map_err(|why| ConnectionError::Lost { host: host.clone(), why }));
        }
    }
    drop((out, err));
    if let Some(exit) = exit {
        let why = loss.get().unwrap_or_else(|| "the channel was closed without an exit code".to_owned());
        let _ = exit.send(Err(ConnectionError::Lost { host, why }));
    }
}

/// Standard input that says end of file when it is dropped, too, and is a broken pipe once the channel is closed: the writer
/// itself would wait for room in its window for ever.
struct Stdin<W> {
    writer: Pin<Box<W>>,
    channel: Option<Arc<ChannelWriteHalf<Msg>>>,
    gone: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl<W> Stdin<W> {
    fn unless_gone<T>(&mut self, cx: &mut Context<'_>, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if done.is_pending() && self.gone.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        done
    }
}

impl<W: AsyncWrite> AsyncWrite for Stdin<W> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let done = self.writer.as_mut().poll_write(cx, buf);
        self.unless_gone(cx, done)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = self.writer.as_mut().poll_flush(cx);
        self.unless_gone(cx, done)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = self.writer.as_mut().poll_shutdown(cx);
        let done = self.unless_gone(cx, done);
        if done.is_ready() {
            self.channel = None;
        }
        done
    }
}

impl<W> Drop for Stdin<W> {
    fn drop(&mut self) {
        if let (Some(channel), Ok(runtime)) = (self.channel.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move {
                let _ = channel.eof().await;
            });
        }
    }
}
