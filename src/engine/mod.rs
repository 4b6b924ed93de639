//! Runs playbooks: each host walks through the tasks as far ahead as is known, in programs of many tasks; what can be
//! observed between hosts stays in Ansible's order.
//!
//! - [`run`]: plays, batches of hosts, independent groups; `runner`: one host, from program to program.
//! - `plan`: a task thought through (loop, conditions, arguments → work); `analysis`: what it reads and writes.
//! - `batch`: many tasks as one program; `solo`: one task by itself; `include`, `control`, `builtin`: the engine's own.
//! - `settle`: results, registers, handlers, counts, events; `level`: blocks, rescue, always, includes, handlers as a stack.
//! - `scope`: variables by precedence; `world`: what hosts share; `play`: who waits for whom.

mod analysis;
mod batch;
mod builtin;
mod connect;
mod connector;
mod control;
mod endpoint;
mod facts;
mod files;
mod gather;
mod include;
mod jobs;
mod level;
mod lookups;
mod loops;
mod magic;
mod plan;
mod play;
mod run;
mod runner;
mod scope;
mod settle;
mod solo;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_lost;
#[cfg(test)]
mod tests_unsupported;
mod types;
mod value;
mod world;

pub use connector::{Ask, FirstContact, LoginDefaults, Network};
pub use endpoint::endpoint;
pub use run::{Context, run};
pub use types::*;
