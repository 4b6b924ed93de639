//! Everything that must hold between values. Each check names the place of the value that it would change.

mod backup;
mod kubernetes;
mod machines;
mod names;
mod network;
mod provider;
mod registries;

use super::{ClusterSpec, place::Places};
use crate::text::Problems;

pub(super) use machines::addresses;
pub(super) use network::network;

/// The checks that need no sound network.
pub(super) fn all(spec: &ClusterSpec, places: &Places<'_>, problems: &mut Problems) {
    names::check(spec, places, problems);
    kubernetes::check(spec, places, problems);
    machines::check(spec, places, problems);
    provider::check(spec, places, problems);
    backup::check(spec, places, problems);
    registries::check(spec, places, problems);
}

/// The pools with their paths in the specification.
fn pools(spec: &ClusterSpec) -> impl Iterator<Item = (String, &super::Pool)> {
    let workers = spec.pools.iter().enumerate().map(|(i, pool)| (format!("pools.{i}"), pool));
    std::iter::once(("control_plane".to_owned(), &spec.control_plane)).chain(workers)
}
