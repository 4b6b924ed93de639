//! EC2. The account is the only state: everything of a cluster carries the tag `kubewright.dev/cluster`, is read by a fixed
//! set of paginated calls into a [`world::World`], compared with what the spec comes to ([`wanted::Wanted`]) by pure functions,
//! one file per resource, and the resulting [`plan::Plan`] is carried out as a graph ([`run`]).

pub mod api;
mod blockers;
pub mod cost;
mod destroy;
mod diff;
mod elastic_ip;
pub mod errors;
pub mod facts;
mod instance;
mod internet_gateway;
mod key_pair;
mod listener;
mod load_balancer;
mod lock;
mod machines;
mod nat_gateway;
mod operator;
pub mod plan;
mod provider;
mod read;
mod read_balancer;
mod read_left;
mod removal;
mod route_table;
mod run;
mod security_group;
mod security_group_rule;
mod subnet;
pub mod tags;
mod target;
mod target_group;
mod user_data;
mod vpc;
pub mod wanted;
pub mod world;

pub use key_pair::fingerprint;
pub use provider::{Aws, Survey};

use sha2::{Digest, Sha256};

/// A client token: the same parts, the same token, so that a repeated call finds what it made before. At most 64 ASCII
/// characters (EC2: "Ensuring idempotency").
fn token(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().concat()
}
