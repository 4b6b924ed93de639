//! This machine, by `/bin/sh -c`.

use super::{Connection, ConnectionError, Process, Stream};
use async_trait::async_trait;
use futures::FutureExt;
use std::{
    io,
    pin::Pin,
    process::Stdio,
    task::{Context, Poll},
};
use tokio::{io::AsyncWrite, net::TcpStream, process::ChildStdin};

/// The machine kubewright runs on.
#[derive(Clone, Debug)]
pub struct Local {
    name: String,
}

impl Local {
    /// With the name that messages use.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

#[async_trait]
impl Connection for Local {
    fn describe(&self) -> String {
        format!("{} (this machine)", self.name)
    }

    async fn exec(&self, command: &str) -> Result<Process, ConnectionError> {
        let host = self.name.clone();
        let local = |what: &str, why: &dyn std::fmt::Display| ConnectionError::Local { host: host.clone(), why: format!("{what}: {why}") };
        // Not killed when dropped: it sees the end of its input, as over SSH, and can clean up.
        let mut child = tokio::process::Command::new("/bin/sh")
            .arg("-c")
            .arg(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| local("cannot start /bin/sh", &e))?;
        let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take()) else {
            return Err(local("cannot start /bin/sh", &"no pipes"));
        };
        let host = self.name.clone();
        let exit = async move {
            let status = child.wait().await.map_err(|e| ConnectionError::Lost { host: host.clone(), why: e.to_string() })?;
            status.code().ok_or_else(|| ConnectionError::Lost { host, why: format!("the command was killed ({status})") })
        };
        Ok(Process { stdin: Box::new(Stdin(Some(stdin))), stdout: Box::new(stdout), stderr: Box::new(stderr), exit: exit.boxed() })
    }

    async fn open_stream(&self, address: &str, port: u16) -> Result<Box<dyn Stream>, ConnectionError> {
        let unreachable = |e: std::io::Error| ConnectionError::Unreachable {
            host: self.name.clone(),
            address: format!("{address}:{port}"),
            why: e.to_string(),
        };
        let stream = TcpStream::connect((address, port)).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        Ok(Box::new(stream))
    }

    async fn close(&self) {}
}

/// A pipe that is really closed by `shutdown`; tokio's own waits for the drop.
struct Stdin(Option<ChildStdin>);

impl AsyncWrite for Stdin {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Some(pipe) => Pin::new(pipe).poll_write(cx, buf),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().map_or(Poll::Ready(Ok(())), |pipe| Pin::new(pipe).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0 = None;
        Poll::Ready(Ok(()))
    }
}
