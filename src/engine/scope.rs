//! A task's variables on a host, by Ansible's precedence (ansible-core: vars/manager.py `get_vars`), templated at use.

use super::{
    facts, magic,
    play::PlayRun,
    world::{Host, World, lock},
};
use crate::{
    inventory::{Raw, RawVars},
    playbook::{Role, Task},
    template::{self, Scope, TemplateError},
};
use minijinja::{
    Value,
    value::{Enumerator, Object},
};
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex},
};

/// Values that hold for a task only: its loop's item, what an include's loop passed down.
pub(super) type Locals = Vec<(String, Value)>;

/// What a host brings into a play: files of variables, answers, roles that were included publicly.
#[derive(Default)]
pub(super) struct HostPlay {
    /// `vars_prompt`, then `vars_files`.
    pub(super) vars: RawVars,
    /// Roles made public by `include_role`.
    pub(super) roles: Vec<Arc<Role>>,
}

/// What a template asked for that is not there yet.
#[derive(Debug, Default)]
pub(super) struct Wants {
    /// Facts by name.
    pub(super) facts: BTreeSet<String>,
    /// All of them.
    pub(super) all_facts: bool,
    /// A variable of another host.
    pub(super) host: Option<(String, String)>,
}

impl Wants {
    pub(super) fn any(&self) -> bool {
        self.all_facts || self.host.is_some() || !self.facts.is_empty()
    }
}

/// Everything that decides what a name means.
#[derive(Clone)]
pub(super) struct Frame {
    pub(super) world: Arc<World>,
    pub(super) host: Arc<Host>,
    pub(super) run: Option<Arc<PlayRun>>,
    pub(super) own: Arc<HostPlay>,
    pub(super) task: Option<Arc<Task>>,
    pub(super) locals: Arc<Locals>,
}

/// The scope itself. One per task and item: values are computed once.
pub(super) struct TaskScope {
    pub(super) frame: Frame,
    /// Most important first: `item`, the result under its register name.
    extra: Locals,
    cache: Mutex<HashMap<String, Value>>,
    open: Mutex<Vec<String>>,
    wants: Arc<Mutex<Wants>>,
}

enum Found {
    Value(Value),
    Raw(Raw),
}

impl TaskScope {
    pub(super) fn new(frame: Frame, extra: Locals) -> Self {
        Self { frame, extra, cache: Mutex::default(), open: Mutex::default(), wants: Arc::default() }
    }

    /// What was asked for and is not there; empty afterwards.
    pub(super) fn take_wants(&self) -> Wants {
        std::mem::take(&mut *lock(&self.wants))
    }

    /// Whether something was asked for that is not there.
    pub(super) fn wants_any(&self) -> bool {
        lock(&self.wants).any()
    }

    /// The same scope with more values.
    pub(super) fn with(&self, more: Locals) -> Self {
        let mut extra = more;
        extra.extend(self.extra.iter().cloned());
        Self { wants: Arc::clone(&self.wants), ..Self::new(self.frame.clone(), extra) }
    }

    fn find(&self, name: &str) -> Option<Found> {
        let value = |list: &Locals| list.iter().find(|(n, _)| n == name).map(|(_, v)| Found::Value(v.clone()));
        if let Some(found) = value(&self.extra) {
            return Some(found);
        }
        if let Some(found) = magic::get(self, name) {
            return Some(Found::Value(found));
        }
        let raw = |vars: &RawVars| vars.get(name).cloned().map(Found::Raw);
        let frame = &self.frame;
        if let Some(found) = raw(&frame.world.options.extra_vars) {
            return Some(found);
        }
        let keywords = frame.task.as_ref().map(|t| &t.keywords);
        if let Some(found) = keywords.and_then(|k| raw(&k.params)).or_else(|| value(&frame.locals)) {
            return Some(found);
        }
        {
            let data = frame.host.data();
            if let Some(found) = data.set.get(name).cloned().map(Found::Value).or_else(|| raw(&data.included)) {
                return Some(found);
            }
        }
        let role = frame.task.as_ref().and_then(|t| t.role.as_ref());
        if let Some(found) =
            keywords.and_then(|k| raw(&k.vars)).or_else(|| role.and_then(|r| role_var(r, name, |r| &r.vars)).map(Found::Raw))
        {
            return Some(found);
        }
        let roles: Vec<&Arc<Role>> = frame.run.iter().flat_map(|r| &r.play.roles).chain(&frame.own.roles).collect();
        if let Some(found) = roles.iter().rev().find_map(|r| role_var(r, name, |r| &r.vars)) {
            return Some(Found::Raw(found));
        }
        if let Some(found) = raw(&frame.own.vars).or_else(|| frame.run.as_ref().and_then(|r| raw(&r.play.vars))) {
            return Some(found);
        }
        if let Some(found) = self.fact(name) {
            return Some(Found::Value(found));
        }
        let base = Arc::clone(&frame.host.data().base);
        raw(&base)
            .or_else(|| role.and_then(|r| role_var(r, name, |r| &r.defaults)).map(Found::Raw))
            .or_else(|| roles.iter().rev().find_map(|r| role_var(r, name, |r| &r.defaults)).map(Found::Raw))
    }

    /// `ansible_x`.
    fn fact(&self, name: &str) -> Option<Value> {
        if name == "ansible_facts" {
            return Some(Value::from_object(FactsObject { host: Arc::clone(&self.frame.host), wants: Arc::clone(&self.wants) }));
        }
        if let Some(name) = name.strip_prefix("ansible_") {
            return read_fact(&self.frame.host, name, &self.wants);
        }
        let data = self.frame.host.data();
        if data.brought.contains(name) { data.facts.get(name).cloned() } else { None }
    }

    /// The raw text behind a name, for the analysis of what it depends on.
    pub(super) fn raw(&self, name: &str) -> Option<Value> {
        match self.find(name)? {
            Found::Raw(raw) => Some(raw.value),
            Found::Value(_) => None,
        }
    }
}

fn role_var(role: &Role, name: &str, of: fn(&Role) -> &RawVars) -> Option<Raw> {
    of(role).get(name).cloned().or_else(|| role.dependencies.iter().rev().find_map(|d| role_var(d, name, of)))
}

fn read_fact(host: &Host, name: &str, wants: &Mutex<Wants>) -> Option<Value> {
    let data = host.data();
    if let Some(value) = data.facts.get(name) {
        return Some(value.clone());
    }
    if data.facts_on && !data.asked_all && !data.asked.contains(name) && facts::is_known(name) {
        lock(wants).facts.insert(name.to_owned());
    }
    None
}

impl Scope for TaskScope {
    fn get(&self, name: &str) -> Result<Option<Value>, TemplateError> {
        if let Some(value) = lock(&self.cache).get(name) {
            return Ok(Some(value.clone()));
        }
        let value = match self.find(name) {
            None => return Ok(None),
            Some(Found::Value(value)) => value,
            Some(Found::Raw(raw)) if raw.value.is_safe() || !template::has_templates(&raw.value) => raw.value,
            Some(Found::Raw(raw)) => {
                if lock(&self.open).iter().any(|n| n == name) {
                    return Err(TemplateError::new(template::Kind::Other, format!("recursive loop: `{name}` is defined by itself")));
                }
                lock(&self.open).push(name.to_owned());
                let rendered = self.frame.world.templar.render_value(&raw.value, self);
                lock(&self.open).pop();
                rendered?
            }
        };
        lock(&self.cache).insert(name.to_owned(), value.clone());
        Ok(Some(value))
    }

    fn names(&self) -> Vec<String> {
        let mut names = BTreeSet::new();
        let mut add = |vars: &RawVars| names.extend(vars.keys().cloned());
        add(&self.frame.world.options.extra_vars);
        if let Some(task) = &self.frame.task {
            add(&task.keywords.params);
            add(&task.keywords.vars);
            if let Some(role) = &task.role {
                add(&role.vars);
                add(&role.defaults);
            }
        }
        if let Some(run) = &self.frame.run {
            add(&run.play.vars);
            for role in &run.play.roles {
                add(&role.vars);
                add(&role.defaults);
            }
        }
        add(&self.frame.own.vars);
        {
            let data = self.frame.host.data();
            add(&data.base);
            add(&data.included);
            names.extend(data.set.keys().cloned());
            names.extend(data.facts.keys().map(|k| format!("ansible_{k}")));
        }
        names.extend(self.extra.iter().chain(self.frame.locals.iter()).map(|(n, _)| n.clone()));
        names.extend(magic::NAMES.iter().map(|n| (*n).to_owned()));
        names.into_iter().collect()
    }
}

/// `ansible_facts`.
struct FactsObject {
    host: Arc<Host>,
    wants: Arc<Mutex<Wants>>,
}

impl std::fmt::Debug for FactsObject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.host.data().facts.iter()).finish()
    }
}

impl Object for FactsObject {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        read_fact(&self.host, key.as_str()?, &self.wants)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let data = self.host.data();
        if data.facts_on && !data.asked_all {
            lock(&self.wants).all_facts = true;
        }
        Enumerator::Values(data.facts.keys().map(|k| Value::from(k.as_str())).collect())
    }
}

/// `hostvars`.
pub(super) struct HostVars {
    frame: Frame,
    wants: Arc<Mutex<Wants>>,
}

impl HostVars {
    pub(super) fn value(scope: &TaskScope) -> Value {
        Value::from_object(Self { frame: scope.frame.clone(), wants: Arc::clone(&scope.wants) })
    }
}

impl std::fmt::Debug for HostVars {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("hostvars")
    }
}

impl Object for HostVars {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = key.as_str()?;
        let world = &self.frame.world;
        let known = world.with_inventory(|i| i.hosts.contains_key(name)) || matches!(name, "localhost" | "127.0.0.1");
        known.then(|| {
            let frame = Frame { host: world.host(name), task: None, own: Arc::default(), locals: Arc::default(), ..self.frame.clone() };
            let own = name == self.frame.host.name;
            let mut scope = TaskScope::new(Frame { run: None, ..frame }, Vec::new());
            // Facts of another host cannot be asked for from here; a variable can be waited for.
            if own {
                scope.wants = Arc::clone(&self.wants);
            }
            Value::from_object(OneHost { scope, run: self.frame.run.clone(), own, wants: Arc::clone(&self.wants) })
        })
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.frame.world.with_inventory(|i| i.hosts.keys().map(|h| Value::from(h.as_str())).collect()))
    }
}

/// `hostvars['x']`.
struct OneHost {
    scope: TaskScope,
    run: Option<Arc<PlayRun>>,
    own: bool,
    wants: Arc<Mutex<Wants>>,
}

impl std::fmt::Debug for OneHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "hostvars[{}]", self.scope.frame.host.name)
    }
}

impl Object for OneHost {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = key.as_str()?;
        match self.scope.get(name) {
            Ok(Some(value)) => return Some(value),
            Err(e) if e.kind != template::Kind::Undefined => {
                return Some(Value::from(minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, e.to_string())));
            }
            _ => {}
        }
        let waits = self.run.as_ref().is_some_and(|r| r.independent());
        if waits && !self.own {
            let data = self.scope.frame.host.data();
            // One that failed is named by whoever waits.
            if !data.done || !data.alive() {
                drop(data);
                lock(&self.wants).host = Some((self.scope.frame.host.name.clone(), name.to_owned()));
            }
        }
        None
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.scope.names().into_iter().map(Value::from).collect())
    }
}
