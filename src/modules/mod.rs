//! Ansible's modules and a few native ones for Kubernetes: typed arguments → a pure piece of work.
//! No module does I/O: what it needs from the outside is in [`Env`].
//!
//! A module is a [`ModuleDef`] in the table; its `compile` gives [`Work`]. Work on a host is a [`Step`]: variables and a
//! call of one of our sh functions (`sh/*.sh`, sent once per shell as [`prelude`]) that only looks, and one that changes.
//! [`compile`] is the way in; [`edit`] tells how an [`Edit`] reaches the host.

mod accounts;
mod apt;
mod apt_sources;
mod archives;
mod args;
mod blockinfile;
mod command;
mod control;
mod copy;
pub mod edit;
mod etcd;
pub mod facts;
mod file;
mod files;
mod ini_file;
mod k8s;
mod kubeadm;
mod lineinfile;
mod look;
mod misc;
mod mode;
mod net;
mod outcome;
mod path;
mod pip;
mod prelude;
mod pyre;
mod replace;
mod rpm;
mod rpm_sources;
mod script;
mod stat;
mod system;
mod systemd;
mod table;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod types;
mod ufw;

pub use args::validate_static;
pub use command::FREE_FORM_OPTIONS;
pub use prelude::prelude;
pub use table::{lookup, names};
pub use types::*;

use crate::shell::Sh;

/// Arguments → work, with the task's `environment` in it.
///
/// # Errors
/// Every problem of the arguments, in one text.
pub fn compile(def: &'static ModuleDef, args: &Args, env: &Env<'_>) -> Result<Work, ArgError> {
    let work = (def.compile)(args, env)?;
    let mut step = match work {
        Work::Sh(step) => step,
        Work::Edit(edit) => return Ok(Work::Edit(Edit { report: edit.report && env.full, ..edit })),
        work => return Ok(work),
    };
    let mut exports = if env.full { Sh::literal("kw_full=1\n") } else { Sh::default() };
    for (name, value) in env.environment {
        if !path::is_name(name) {
            return Err(ArgError(format!("environment: '{name}' is no variable's name")));
        }
        exports = exports
            .then(&Sh::literal("export "))
            .then(&Sh::word(name))
            .then(&Sh::literal("="))
            .then(&Sh::word(value))
            .then(&Sh::literal("\n"));
    }
    step.check = exports.then(&step.check);
    Ok(Work::Sh(step))
}
