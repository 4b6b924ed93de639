//! Playbooks and roles → typed [`Play`]s: strict, every problem of every file at once, each with its place.
//!
//! Static imports and roles are resolved here and keywords are inherited down to the tasks, so that a task knows all
//! that holds for it. Variables stay as written: they are templated where they are used.

mod actions;
mod args;
mod block;
mod check;
mod context;
mod files;
mod keywords;
mod list;
mod load;
mod play;
#[cfg(test)]
mod properties;
mod role;
mod table;
mod tags;
mod task;
mod types;

pub use actions::{Action, Builtin};
pub use context::{LoadOptions, Loader, OpenVault};
pub use files::{EMBEDDED, Files, PlaybookSource};
pub use list::{list_hosts, list_tags, list_tasks};
pub use load::{Support, load};
pub(crate) use role::tasks_of;
pub use role::{LoadedRole, RoleUse};
pub use tags::selected;
pub(crate) use task::role_use;
pub use types::*;
