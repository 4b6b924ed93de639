//! How hosts are reached: an authenticated, multiplexed connection that runs commands and opens streams.
//! No code path accepts an unknown host key.
//!
//! - [`ssh`]: one SSH connection that dials on first use and again when it was lost; `dial` is one way in with its
//!   retries, `auth` the identities, `host_keys` the proof of the other side, `process` a channel as a [`Process`].
//! - [`Pool`]: one connection per endpoint, shared by everyone who works with that host or goes through it.
//! - [`mod@ssh_config`] reads `~/.ssh/config`.
//! - [`Local`]: this machine; [`Fake`]: a strict script for tests.

mod auth;
mod dial;
mod fake;
mod first;
mod host_keys;
mod local;
mod pool;
mod process;
pub mod ssh;
pub mod ssh_config;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod types;

pub use auth::is_locked;
pub use fake::Fake;
pub use first::first;
pub use local::Local;
pub use pool::Pool;
pub use types::*;
