//! Which ports of a machine answer to the operator's own machine, without any tunnel: the view of everybody else.

use futures::future::join_all;
use std::time::Duration;
use tokio::net::TcpStream;

/// etcd, kubelet, kube-proxy's health, controller manager and scheduler: never for the outside. The API is added by who asks.
pub(super) const CLOSED: [u16; 6] = [2379, 2380, 10250, 10256, 10257, 10259];
/// A firewall swallows; nobody near takes longer to answer.
const PATIENCE: Duration = Duration::from_millis(1500);

/// What answered on one machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Dialled {
    /// The address that was dialled.
    pub(super) address: String,
    /// SSH answers: the address is the right one and the way is free, so that silence elsewhere means something.
    pub(super) ssh: bool,
    /// Ports that accept connections.
    pub(super) open: Vec<u16>,
    /// Ports that do not.
    pub(super) closed: Vec<u16>,
}

/// Dials the ports, side by side.
pub(super) async fn dial(address: &str, ssh_port: u16, ports: &[u16]) -> Dialled {
    let (ssh, all) = futures::join!(accepts(address, ssh_port), join_all(ports.iter().map(|port| accepts(address, *port))));
    let of = |wanted: bool| ports.iter().zip(&all).filter(|(_, is)| **is == wanted).map(|(port, _)| *port).collect();
    Dialled { address: address.to_owned(), ssh, open: of(true), closed: of(false) }
}

async fn accepts(address: &str, port: u16) -> bool {
    matches!(tokio::time::timeout(PATIENCE, TcpStream::connect((address, port))).await, Ok(Ok(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_listens_is_open_and_the_rest_is_not() {
        let listeners = [std::net::TcpListener::bind("127.0.0.1:0").unwrap(), std::net::TcpListener::bind("127.0.0.1:0").unwrap()];
        let ports = listeners.each_ref().map(|l| l.local_addr().unwrap().port());
        let [ssh, other] = listeners;
        let seen = dial("127.0.0.1", ports[0], &ports[1..]).await;
        assert_eq!((seen.ssh, seen.open, seen.closed), (true, vec![ports[1]], vec![]));
        drop(other);
        let seen = dial("127.0.0.1", ports[0], &ports[1..]).await;
        assert_eq!((seen.ssh, seen.open, seen.closed), (true, vec![], vec![ports[1]]));
        drop(ssh);
        assert!(!dial("127.0.0.1", ports[0], &[]).await.ssh);
    }
}
