//! Operations on single nodes: each is a list of steps that can be shown before anything is done ([`Step`]), and that says of
//! itself what is left to do when it is run again after it was stopped, killed or cut off ([`journal`]).

mod blocked;
mod drain;
mod join;
pub(super) mod journal;
mod leave;
mod list;
mod look;
mod remove;
mod replace;
mod run;
mod step;
mod surplus;

pub use drain::{drain, uncordon};
pub use join::{Wanted, join};
pub use list::{Row, list};
pub use look::Known;
pub use remove::remove;
pub use replace::replace;
pub use step::Step;
pub use surplus::{not_wanted, prune, surplus};

use crate::cluster::DrainOptions;

/// How a node is taken out.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What may be given up with its pods, and how long they may take.
    pub drain: DrainOptions,
    /// Only say what would be done.
    pub dry_run: bool,
    /// A machine that no provider can switch off is known to be off: what ran on it may be started elsewhere.
    pub off: bool,
}

/// What came of an operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// The steps, as text: those that would be done in a dry run, those that were done otherwise.
    pub steps: Vec<String>,
    /// What a person should know beside them.
    pub notes: Vec<String>,
}
