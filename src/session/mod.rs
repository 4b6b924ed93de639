//! The protocol with the one remote shell of a (host, become user): programs in, result records out.
//! docs/architecture.md and the design's "session protocol" say why each rule is there.

mod types;

pub use types::*;
