//! The way to the modules' table.

use crate::modules::ModuleDef;

/// A module by any of its names.
pub(super) fn lookup(name: &str) -> Option<&'static ModuleDef> {
    let _ = name;
    None
}

/// Names for "did you mean".
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    std::iter::empty()
}
