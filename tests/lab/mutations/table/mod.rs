//! Faults by batch: each turns its check red on the lab. docs/verify-coverage.md is made from it.
#![allow(dead_code, reason = "the page and the walk each use a part of it")]

mod control_plane;
mod machines;
mod nodes;
mod objects;
mod traffic;

/// How honest a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// What would happen in the field: a service stopped, a rule dropped, an object made.
    Real,
    /// What the check reads is replaced, because the thing itself is shared by all nodes here (clock, memory, modules)
    /// or cannot be broken in a lab.
    Substituted,
}

/// One fault. `inject` and `repair` are sh, run as root inside the node's container, behind the tool's back.
pub struct Fault {
    pub check: &'static str,
    pub node: &'static str,
    pub how: How,
    /// What the red result says in its subject or its observation: the machine, the pair, the object.
    pub names: &'static str,
    pub inject: &'static str,
    pub repair: &'static str,
}

/// Faults that are there at the same time: one report serves them all.
pub struct Batch {
    pub name: &'static str,
    /// A minute or so: part of `make test-full` only.
    pub long: bool,
    pub faults: &'static [Fault],
    /// Which checks are looked at; `None`: all.
    pub only: Option<&'static str>,
    /// Other checks that these faults may turn red: ids, or prefixes that end in `*`; `ID@WORD` only where the result names that
    /// word. Everything else stays green.
    pub also: &'static [&'static str],
    /// sh on control-plane-1 that ends well once the faults show; looked at again until then.
    pub shown: &'static str,
    /// The same for the way back.
    pub healed: &'static str,
}

/// A fault whose result names the machine where it is injected.
const fn fault(check: &'static str, node: &'static str, how: How, inject: &'static str, repair: &'static str) -> Fault {
    Fault { check, node, how, names: node, inject, repair }
}

/// A fault whose result names something else.
const fn named(
    check: &'static str,
    node: &'static str,
    how: How,
    names: &'static str,
    inject: &'static str,
    repair: &'static str,
) -> Fault {
    Fault { check, node, how, names, inject, repair }
}

const CP: &str = "control-plane-1";
const W1: &str = "worker-1";
const W2: &str = "worker-2";
const W3: &str = "worker-3";
/// The machine that the lab runs on; `$W3` and `$MIRROR` are names of containers there.
pub const HOST: &str = "host";

/// Expired since 2020; its key was thrown away.
pub const EXPIRED: &str = include_str!("../expired.crt");

/// All of them, in the order of the walk.
pub const BATCHES: &[Batch] = &[
    machines::MACHINES,
    objects::OBJECTS,
    traffic::TRAFFIC,
    traffic::SIZES,
    control_plane::PROXY,
    control_plane::ALARM,
    control_plane::SLOW,
    control_plane::REFUSED,
    nodes::FROZEN,
    nodes::OFF,
];
