//! What a task reads and writes, found once per task: what decides where a batch ends.

use super::{files, scope::TaskScope, world::World};
use crate::{
    playbook::{Action, Builtin, Condition, Task},
    template::{self, FreeVars},
};
use minijinja::Value;
use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

/// See the module.
pub(super) struct Analysis {
    /// What its arguments, conditions and loop read.
    pub(super) reads: FreeVars,
    /// Names it sets.
    pub(super) writes: BTreeSet<String>,
    /// It sets facts, or names that are not known beforehand.
    pub(super) writes_facts: bool,
    /// Its condition looks at which host this is: other hosts' tasks may rely on its place in the order.
    pub(super) ordered: bool,
    /// `failed_when` is always this.
    pub(super) failed_when: Option<bool>,
}

/// Names that tell hosts apart.
const TELL_APART: [&str; 9] = [
    "inventory_hostname",
    "group_names",
    "groups",
    "hostvars",
    "ansible_play_hosts",
    "ansible_play_batch",
    "play_hosts",
    "ansible_hostname",
    "ansible_facts.hostname",
];

/// Modules whose results are facts.
const FACTS: [&str; 6] = ["package_facts", "service_facts", "getent", "mount_facts", "setup", "gather_facts"];

/// The analysis of a task.
pub(super) fn of(world: &World, task: &Task) -> Arc<Analysis> {
    let known = task.analysis.get_or_init(|| Arc::new(analyse(world, task)));
    Arc::clone(known).downcast::<Analysis>().unwrap_or_else(|_| Arc::new(analyse(world, task)))
}

fn analyse(world: &World, task: &Task) -> Analysis {
    let templar = &world.templar;
    let mut reads = FreeVars::default();
    let mut value = |v: &Value| reads.merge(&templar.free_variables(v));
    let k = &task.keywords;
    let raws = [
        &k.become_,
        &k.become_user,
        &k.become_flags,
        &k.remote_user,
        &k.connection,
        &k.port,
        &k.ignore_errors,
        &k.no_log,
        &k.delegate_to,
        &k.delegate_facts,
        &k.run_once,
        &k.timeout,
        &k.throttle,
        &task.retries,
        &task.delay,
        &task.args.free_form,
        &task.args.dynamic,
    ];
    raws.into_iter().flatten().chain(&k.environment).chain(&k.module_defaults).for_each(|r| value(&r.value));
    if let Some(l) = &task.loop_ {
        value(&l.over.value);
        l.label.iter().for_each(|r| value(&r.value));
    }
    for (name, raw) in &task.args.named {
        let expression = match task.action {
            Action::Builtin(Builtin::Assert) => name == "that",
            Action::Builtin(Builtin::Debug) => name == "var",
            _ => false,
        };
        if expression {
            for expression in super::value::as_expressions(&raw.value) {
                reads.merge(&templar.free_variables_expr(&expression));
            }
        } else {
            reads.merge(&templar.free_variables(&raw.value));
        }
    }
    if let Some(name) = &task.name {
        reads.merge(&templar.free_variables(&Value::from(name.as_str())));
    }
    let mut condition = FreeVars::default();
    for c in &k.when {
        condition.merge(&templar.free_variables_expr(&c.text));
    }
    let ordered = condition.names.iter().any(|n| TELL_APART.contains(&n.as_str()));
    reads.merge(&condition);
    if task.action.name() == "template" {
        template_file(world, task, &mut reads);
    }
    if let Some(l) = &task.loop_ {
        // The item itself comes from the loop.
        reads.names.remove(&l.var);
        l.index_var.iter().for_each(|n| {
            reads.names.remove(n);
        });
    }
    let mut writes: BTreeSet<String> = task.register.iter().cloned().collect();
    let mut writes_facts = FACTS.contains(&task.action.name());
    match task.action {
        Action::Builtin(Builtin::SetFact) => {
            writes.extend(task.args.named.keys().cloned());
            writes_facts |= task.args.dynamic.is_some() || task.args.named.keys().any(|n| n.contains("{{"));
        }
        Action::Builtin(Builtin::IncludeVars) => writes_facts = true,
        _ => {}
    }
    Analysis { reads, writes, writes_facts, ordered, failed_when: task.failed_when.as_deref().and_then(constant) }
}

fn constant(conditions: &[Condition]) -> Option<bool> {
    let one = |c: &Condition| match c.text.to_ascii_lowercase().as_str() {
        "true" | "yes" => Some(true),
        "false" | "no" => Some(false),
        _ => None,
    };
    let all: Option<Vec<bool>> = conditions.iter().map(one).collect();
    all.map(|all| all.into_iter().all(|b| b))
}

/// The variables that a template file reads, as far as its name is known.
fn template_file(world: &World, task: &Task, reads: &mut FreeVars) {
    let Some(src) = task.args.named.get("src").and_then(|r| r.value.as_str()) else {
        reads.unknown = true;
        return;
    };
    let text = if src.contains("{{") { None } else { files::read(world, task, "templates", src, false).ok() };
    match text {
        Some(file) if !file.content.starts_with(b"#jinja2:") => {
            reads.merge(&world.templar.free_variables(&Value::from(String::from_utf8_lossy(&file.content).into_owned())));
        }
        _ => reads.unknown = true,
    }
}

/// Names that tasks of a batch will have set when it is through.
#[derive(Default)]
pub(super) struct Pending {
    names: HashSet<String>,
    facts: bool,
}

impl Pending {
    pub(super) fn add(&mut self, analysis: &Analysis) {
        self.names.extend(analysis.writes.iter().cloned());
        self.facts |= analysis.writes_facts;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty() && !self.facts
    }

    fn hit(&self, name: &str) -> bool {
        self.facts || self.names.contains(name)
    }

    /// Whether what is read may still change.
    pub(super) fn touches(&self, world: &World, scope: &TaskScope, reads: &FreeVars) -> bool {
        if self.is_empty() {
            return false;
        }
        let mut seen = HashSet::new();
        self.follow(world, scope, reads, &mut seen)
    }

    fn follow(&self, world: &World, scope: &TaskScope, reads: &FreeVars, seen: &mut HashSet<String>) -> bool {
        if reads.unknown {
            return true;
        }
        for name in &reads.names {
            let name = name.split('.').next().unwrap_or(name);
            if self.hit(name) {
                return true;
            }
            if !seen.insert(name.to_owned()) {
                continue;
            }
            if let Some(raw) = scope.raw(name).filter(template::has_templates)
                && self.follow(world, scope, &world.templar.free_variables(&raw), seen)
            {
                return true;
            }
        }
        false
    }
}

/// Names that tell which hosts are still in the play.
const WHO_IS_LEFT: [&str; 3] = ["ansible_play_hosts", "ansible_play_batch", "play_hosts"];

/// Whether other hosts' variables are read, or who is left, directly or through variables.
pub(super) fn reads_others(world: &World, scope: &TaskScope, reads: &FreeVars) -> bool {
    fn follow(world: &World, scope: &TaskScope, reads: &FreeVars, seen: &mut HashSet<String>) -> bool {
        reads.names.iter().any(|name| {
            name == "hostvars"
                || WHO_IS_LEFT.contains(&name.as_str())
                || (seen.insert(name.clone())
                    && scope
                        .raw(name)
                        .filter(template::has_templates)
                        .is_some_and(|raw| follow(world, scope, &world.templar.free_variables(&raw), seen)))
        })
    }
    follow(world, scope, reads, &mut HashSet::new())
}
