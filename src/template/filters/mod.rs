//! Filters, by subject.

use minijinja::Environment;

/// Adds every filter.
pub(super) fn register(_env: &mut Environment<'static>) {}
