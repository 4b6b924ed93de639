//! The protocol with the one remote shell of a (host, become user): programs in, result records out.
//! docs/architecture.md and the design's "session protocol" say why each rule is there.
//!
//! - `elevate` starts `/bin/sh` as the wanted user; `shell` greets it and teaches it `prelude.sh`;
//! - `compile` turns a [`Program`] into text, `frames` decodes what comes back;
//! - `run` is [`Session`]: one program at a time, with timeouts, cancelling and large blobs on channels of their own.

mod compile;
mod elevate;
mod frames;
mod run;
mod shell;
#[cfg(test)]
mod tests;
mod types;

pub use run::Session;
pub use types::*;
