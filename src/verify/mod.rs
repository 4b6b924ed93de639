//! Is the cluster healthy? Checks look at every host, at the API and at real traffic, and come to a [`Report`]: plain
//! data, never printed here (see `report::health`).
//!
//! First everything is observed, side by side and each with a deadline: one read-only program per host, the API's
//! objects, certificates as ports show them, probe pods. Then the checks of the [`registry`] are pure functions of what
//! was observed. What could not be observed is `unknown`, never green.

mod access;
mod causes;
mod checks;
mod cluster;
mod collect;
mod compare;
mod consequences;
mod explain;
mod finding;
mod host;
mod outside;
mod plan;
mod probe;
mod registry;
mod run;
mod served;
#[cfg(test)]
mod tests;
mod types;

pub use access::{Access, over};
pub use causes::{SIGNATURES, Signature, diagnose, diagnose_all};
pub use collect::collect;
pub use compare::{Difference, compare};
pub use explain::{Cause, in_message, on_host, ranked};
pub use registry::{Check, Group, Selection, find, registry};
pub use run::{Drift, HostInput, Input, Settings, verify};
pub use types::*;
