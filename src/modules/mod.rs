//! Ansible's modules and a few native ones for Kubernetes, one file each: typed arguments → a pure piece of work.
//! No module does I/O: what it needs from the outside is in [`Env`].

mod types;

pub use types::*;
