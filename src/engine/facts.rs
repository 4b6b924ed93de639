//! Facts: which there are, and the step that gathers those that are asked for.

use crate::modules::{Step, facts};
use std::collections::BTreeSet;

/// Whether a name (without `ansible_`) is a fact that can be gathered.
pub(super) fn is_known(name: &str) -> bool {
    facts::known(name)
}

/// The step that gathers facts; an empty set is all of them.
#[expect(clippy::unnecessary_wraps, reason = "a host may have no facts to give")]
pub(super) fn step(names: &BTreeSet<String>) -> Option<Step> {
    Some(facts::gather(names))
}
