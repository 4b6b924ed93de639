//! Facts: which names are facts, and which a play will need.

use super::{analysis, scope::TaskScope, world::World};
use crate::{
    modules::facts,
    playbook::{Action, Play, tasks_of},
    template::{self, FreeVars},
};
use std::collections::{BTreeSet, HashSet};

/// How names of network interfaces begin: their facts come with `interfaces`.
const INTERFACES: [&str; 14] = ["eth", "en", "wl", "bond", "br", "docker", "cni", "flannel", "lo", "veth", "tun", "wg", "cali", "vxlan"];

/// Whether a name (without `ansible_`) is a fact that can be gathered.
pub(super) fn is_known(name: &str) -> bool {
    let interface = |name: &str| {
        let kind = INTERFACES.iter().find_map(|k| name.strip_prefix(k));
        kind.is_some_and(|rest| {
            rest.starts_with(|c: char| c.is_ascii_digit()) || (rest.len() > 1 && rest.contains(|c: char| c.is_ascii_digit()))
        })
    };
    facts::known(name) || name == "lo" || interface(name)
}

/// The facts that a play's tasks name, directly, through variables, or because their modules need them.
pub(super) fn needed(world: &World, play: &Play, scope: &TaskScope) -> BTreeSet<String> {
    let mut needed = BTreeSet::new();
    let mut seen = HashSet::new();
    let sections = [&play.pre_tasks, &play.tasks, &play.post_tasks];
    let tasks = sections.into_iter().flat_map(|s| tasks_of(s)).chain(play.handlers.iter().cloned());
    for task in tasks {
        if let Action::Module(def) = task.action {
            needed.extend(def.facts.iter().filter(|f| is_known(f)).map(|f| (*f).to_owned()));
        }
        follow(world, scope, &analysis::of(world, &task).reads, &mut seen, &mut needed);
        for raw in task.keywords.vars.values().chain(task.keywords.params.values()) {
            follow(world, scope, &world.templar.free_variables(&raw.value), &mut seen, &mut needed);
        }
    }
    let data = scope.frame.host.data();
    needed.retain(|n| !data.asked_all && !data.asked.contains(n));
    needed
}

fn follow(world: &World, scope: &TaskScope, reads: &FreeVars, seen: &mut HashSet<String>, needed: &mut BTreeSet<String>) {
    for name in &reads.names {
        if !seen.insert(name.clone()) {
            continue;
        }
        let fact = name.strip_prefix("ansible_facts.").or_else(|| name.strip_prefix("ansible_"));
        if let Some(fact) = fact.filter(|f| is_known(f)) {
            needed.insert(fact.to_owned());
        } else if let Some(raw) = scope.raw(name).filter(template::has_templates) {
            follow(world, scope, &world.templar.free_variables(&raw), seen, needed);
        }
    }
}
