//! etcd: its members, its snapshots, and a cluster brought back from one.

mod members;
mod package;
pub mod restore;
pub mod snapshot;

pub use members::{client, make_room, member_of, wait_voter};
