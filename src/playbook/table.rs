//! The way to the modules' table.

use crate::modules::ModuleDef;

/// A module by any of its names.
pub(super) fn lookup(name: &str) -> Option<&'static ModuleDef> {
    crate::modules::lookup(name)
}

/// Names for "did you mean".
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    crate::modules::names().into_iter()
}
