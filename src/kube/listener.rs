//! A local port whose connections become streams: for `kubectl`, k9s, helm, while 6443 is closed to the operator.

use super::{Dial, KubeError};
use std::net::SocketAddr;
use tokio::{io::copy_bidirectional, net::TcpListener, task::JoinSet};

/// A listening tunnel; dropping it closes the port and its connections.
#[derive(Debug)]
pub struct Listener {
    /// `127.0.0.1:PORT`.
    pub address: SocketAddr,
    _task: tokio_util::task::AbortOnDropHandle<()>,
}

/// Listens on 127.0.0.1 (`port` 0: any free one) and copies every connection to a stream of `dial`. The TLS inside is
/// the client's own: nothing is decrypted here.
pub async fn listen(dial: Dial, port: u16) -> Result<Listener, KubeError> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let address = listener.local_addr()?;
    let task = tokio::spawn(async move {
        let mut copies = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let Ok((mut local, _)) = accepted else { continue };
                    let _ = local.set_nodelay(true);
                    let dial = dial.clone();
                    copies.spawn(async move {
                        if let Ok(mut remote) = dial().await {
                            // Either side may close when it likes; the client sees it as such.
                            let _ = copy_bidirectional(&mut local, &mut remote).await;
                        }
                    });
                }
                Some(_) = copies.join_next() => {}
            }
        }
    });
    Ok(Listener { address, _task: tokio_util::task::AbortOnDropHandle::new(task) })
}
