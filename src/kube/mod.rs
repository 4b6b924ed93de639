//! The Kubernetes API over a stream that somebody else opened: kube-rs on direct-tcpip, no local port for our own use.
//!
//! [`client`] makes the client, [`apply`] applies manifests server-side, [`wait`] waits for named conditions, and
//! [`listen`] is the one local port, for `kubectl` and `proxy`. Nothing here prints or reads files.

mod apply;
mod credentials;
mod error;
mod listener;
#[cfg(test)]
mod tests;
mod transport;
pub mod wait;

pub use apply::{Applied, apply, documents};
pub use credentials::{Credentials, kubeconfig};
pub use error::{KubeError, chain};
pub use listener::{Listener, listen};
pub use transport::{Api, Dial, Https, client, direct, through};
