//! How hosts are reached: an authenticated, multiplexed connection that runs commands and opens streams.
//! No code path accepts an unknown host key.

mod types;

pub use types::*;
