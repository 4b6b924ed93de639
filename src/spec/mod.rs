//! What is wanted: `cluster.yaml` as typed, then defaults, then validation. A [`ClusterSpec`] that exists is valid.

mod types;

pub use types::*;
