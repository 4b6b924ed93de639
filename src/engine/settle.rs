//! A finished task: its registered value, facts, counts, notified handlers, events; and whether the host goes on.

use super::{
    level::{Failure, Kind as LevelKind, Section, Stack},
    plan::{self, Effect, Item, ItemWork, Obstacle, Planned},
    runner::Runner,
    scope::TaskScope,
    value,
    world::World,
};
use crate::{
    event::{Kind, Output, Status},
    modules::TaskResult,
    playbook::{Action, Builtin, Task},
    session::Outcome,
};
use indexmap::IndexMap;
use minijinja::Value;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// What is said instead of the message of a task with `no_log`.
const HIDDEN: &str = "the output has been hidden: 'no_log: true'";

/// Results of a task's items as they come in.
pub(super) struct Results {
    items: Vec<Option<TaskResult>>,
    pub(super) begun: Option<Instant>,
    /// What was read for edits, by item.
    pub(super) read: Vec<(usize, Outcome)>,
}

impl Results {
    /// What is known already.
    pub(super) fn new(world: &World, planned: &Planned) -> Self {
        let known = |(number, item): (usize, &Item)| match &item.work {
            ItemWork::Done(result, _) => Some(judge(world, planned, number, result.clone())),
            _ => None,
        };
        Self { items: planned.items.iter().enumerate().map(known).collect(), begun: None, read: Vec::new() }
    }

    /// Nothing.
    pub(super) fn empty() -> Self {
        Self { items: Vec::new(), begun: None, read: Vec::new() }
    }

    /// One more, judged already.
    pub(super) fn push(&mut self, result: TaskResult) {
        self.items.push(Some(result));
    }

    pub(super) fn complete(&self) -> bool {
        self.items.iter().all(Option::is_some)
    }

    /// An item is done: `changed_when` and `failed_when` have their say.
    pub(super) fn set(&mut self, world: &World, planned: &Planned, item: usize, result: TaskResult) {
        let result = judge(world, planned, item, result);
        if let Some(slot) = self.items.get_mut(item) {
            *slot = Some(result);
        }
    }
}

/// Applies `changed_when` and `failed_when`, which see the result under its register name.
pub(super) fn judge(world: &World, planned: &Planned, item: usize, mut result: TaskResult) -> TaskResult {
    let task = &planned.task;
    if result.skipped || (task.changed_when.is_none() && task.failed_when.is_none()) {
        return result;
    }
    let vars = planned.items.get(item).map(|i| i.vars.clone()).unwrap_or_default();
    let scope = |result: &TaskResult| {
        let mut vars = vars.clone();
        if let Some(name) = &task.register {
            vars.insert(0, (name.clone(), registered(result)));
        }
        planned.scope.with(vars)
    };
    for (conditions, failed) in [(&task.changed_when, false), (&task.failed_when, true)] {
        let Some(conditions) = conditions else { continue };
        match plan::first_false(world, &scope(&result), conditions) {
            Ok(first) => {
                let holds = first.is_none();
                if failed {
                    result.failed = holds;
                    result.fields.insert("failed_when_result".to_owned(), Value::from(holds));
                } else {
                    result.changed = holds;
                }
            }
            Err(e) => {
                let what = if failed { "failed_when" } else { "changed_when" };
                result.failed = true;
                result.msg = Some(format!("`{what}` could not be evaluated: {e}"));
            }
        }
    }
    result
}

/// A result as it is registered.
pub(super) fn registered(result: &TaskResult) -> Value {
    let mut map = IndexMap::from([("changed".to_owned(), Value::from(result.changed))]);
    map.extend(result.fields.iter().filter(|(k, _)| !k.starts_with('_')).map(|(k, v)| (k.clone(), v.clone())));
    if result.skipped {
        map.insert("skipped".to_owned(), Value::from(true));
    }
    // A task whose condition was false has no `failed`; a module that passed over its work in check mode has.
    if !map.contains_key("false_condition") {
        map.insert("failed".to_owned(), Value::from(result.failed));
    }
    if let Some(msg) = &result.msg {
        map.insert("msg".to_owned(), Value::from(msg.as_str()));
    } else if map.contains_key("rc") {
        map.entry("msg".to_owned()).or_insert_with(|| Value::from(""));
    }
    if !result.facts.is_empty() && !map.contains_key("ansible_facts") {
        map.insert("ansible_facts".to_owned(), Value::from_pairs(result.facts.clone()));
    }
    if !result.warnings.is_empty() {
        map.insert("warnings".to_owned(), result.warnings.iter().map(|w| Value::from(w.as_str())).collect());
    }
    if !result.diff.is_empty() {
        let one = |d: &crate::event::Diff| {
            Value::from_pairs([
                ("before", d.before.as_str()),
                ("after", d.after.as_str()),
                ("before_header", d.subject.as_str()),
                ("after_header", d.subject.as_str()),
            ])
        };
        map.insert("diff".to_owned(), result.diff.iter().map(one).collect());
    }
    Value::from_pairs(map)
}

/// All of a task in one: what is registered, and how it ended.
struct Whole {
    value: Value,
    changed: bool,
    failed: bool,
    skipped: bool,
    message: Option<String>,
}

fn whole(planned: &Planned, results: &[TaskResult]) -> Whole {
    if !planned.looped {
        let result = results.first().cloned().unwrap_or_default();
        let message = message(&result);
        return Whole { value: registered(&result), changed: result.changed, failed: result.failed, skipped: result.skipped, message };
    }
    let mut list = Vec::new();
    for (item, result) in planned.items.iter().zip(results) {
        let pairs = value::pairs(&registered(result)).into_iter().chain(item.vars.iter().cloned());
        list.push(Value::from_pairs(pairs.map(|(k, v)| (Value::from(k), v))));
    }
    let any = |f: fn(&TaskResult) -> bool| results.iter().any(f);
    let (changed, failed) = (any(|r| r.changed), any(|r| r.failed));
    let skipped = results.iter().all(|r| r.skipped);
    let text = match (failed, skipped, results.is_empty()) {
        (.., true) => "No items in the list",
        (true, ..) => "One or more items failed",
        (_, true, _) => "All items skipped",
        _ => "All items completed",
    };
    let mut map = IndexMap::from([("changed", Value::from(changed)), ("skipped", Value::from(skipped))]);
    if results.is_empty() {
        map.insert("skipped_reason", Value::from(text));
    } else {
        if !skipped {
            map.insert("failed", Value::from(failed));
        }
        map.insert("msg", Value::from(text));
    }
    map.insert("results", Value::from(list));
    let message = results.iter().find(|r| r.failed).and_then(message);
    Whole { value: Value::from_pairs(map), changed, failed, skipped, message }
}

fn message(result: &TaskResult) -> Option<String> {
    if let Some(msg) = &result.msg {
        return Some(msg.clone());
    }
    let msg = result.fields.get("msg")?;
    Some(msg.as_str().map_or_else(|| serde_json::to_string_pretty(&value::as_json(msg)).unwrap_or_default(), str::to_owned))
}

impl Planned {
    /// A task of which nothing is known but that it is there.
    pub(super) fn bare(world: &World, task: &Arc<Task>, scope: Arc<TaskScope>) -> Self {
        Self {
            name: world.templar.render(&task.title(), &*scope).map_or_else(|_| task.title(), |v| value::as_text(&v)),
            task: Arc::clone(task),
            scope,
            items: Vec::new(),
            looped: false,
            ignore_errors: false,
            no_log: false,
        }
    }

    /// The same task, failing.
    pub(super) fn failing(mut self, why: String) -> Self {
        self.looped = false;
        let work = ItemWork::Done(TaskResult::failure(why), Effect::None);
        self.items = vec![Item { vars: Vec::new(), label: String::new(), work }];
        self
    }

    /// The program goes on when an item fails: the failure is data, or the rest of the loop runs all the same.
    pub(super) fn keeps_going(&self) -> bool {
        let several = self.items.iter().filter(|i| !matches!(i.work, ItemWork::Done(..))).count() > 1;
        self.ignore_errors || several || self.task.failed_when.is_some()
    }

    /// `timeout`.
    pub(super) fn timeout(&self, world: &World) -> Option<Duration> {
        let own = plan::keyword(world, &*self.scope, self.task.keywords.timeout.as_ref()).ok().flatten();
        let seconds = own.and_then(|v| value::as_number(&v)).filter(|s| *s > 0.0);
        seconds.map(Duration::from_secs_f64).or(world.options.task_timeout)
    }
}

impl Runner {
    /// A task whose results are known without a host.
    pub(super) fn settle_known(&mut self, planned: Planned, before: Stack) -> bool {
        let results = Results::new(&self.world, &planned);
        self.settle(planned, results, before)
    }

    /// A task is through on this host. `before` is where the host was: a failure goes on from there.
    /// `false`: it failed, and what comes next is not what was planned.
    pub(super) fn settle(&mut self, mut planned: Planned, mut results: Results, before: Stack) -> bool {
        self.started(&planned, &mut results);
        let elapsed = results.begun.map(|b| b.elapsed()).unwrap_or_default();
        let results: Vec<TaskResult> = results.items.into_iter().map(Option::unwrap_or_default).collect();
        planned.no_log |= results.iter().any(|r| r.secret);
        let whole = whole(&planned, &results);
        let task = Arc::clone(&planned.task);
        for result in &results {
            self.keep(&task, result);
            result.warnings.iter().for_each(|w| self.world.events.warn(format!("{}: {w}", self.host.name)));
        }
        for item in &mut planned.items {
            if let ItemWork::Done(_, effect) = &mut item.work
                && let Effect::Vars(vars) = std::mem::take(effect)
            {
                self.host.data().included.extend(vars);
            }
        }
        if let Some(name) = &task.register {
            self.set([(name.clone(), whole.value.clone())]);
        }
        if let (Some(role), false) = (&task.role, whole.skipped) {
            self.roles_done.insert(role.identity.clone());
        }
        let failure = whole.failed && !planned.ignore_errors;
        let status = if failure { self.fail(&planned, &whole, before) } else { self.count(&planned, &whole) };
        if whole.changed
            && !whole.failed
            && let Err(why) = self.notify(&planned)
        {
            self.report(&planned, &whole, &results, Status::Failed, elapsed);
            let failure = Failure { task, message: why };
            self.host.data().counts.failed += 1;
            self.lose(&failure);
            return false;
        }
        self.report(&planned, &whole, &results, status, elapsed);
        !failure
    }

    /// Facts and variables that a result brings.
    pub(super) fn keep(&self, task: &Task, result: &TaskResult) {
        if result.facts.is_empty() || result.failed || result.skipped {
            return;
        }
        let sets = matches!(task.action, Action::Builtin(Builtin::SetFact));
        let cacheable = result.fields.get("_cacheable").and_then(value::as_bool).unwrap_or_default();
        let mut data = self.host.data();
        if !sets || cacheable {
            data.asked.extend(result.facts.keys().cloned());
            if !sets {
                data.brought.extend(result.facts.keys().cloned());
            }
            data.facts.extend(result.facts.iter().map(|(k, v)| (k.clone(), v.clone())));
        }
        if sets {
            data.set.extend(result.facts.iter().map(|(k, v)| (k.clone(), v.clone())));
        }
        drop(data);
        self.world.changed();
    }

    fn count(&self, planned: &Planned, whole: &Whole) -> Status {
        let mut data = self.host.data();
        let counts = &mut data.counts;
        if whole.failed {
            counts.ok += 1;
            counts.ignored += 1;
            counts.changed += u32::from(whole.changed);
            return Status::Ignored;
        }
        if whole.skipped {
            counts.skipped += 1;
            return Status::Skipped;
        }
        counts.ok += match planned.task.action {
            // Every file that is included counts, as in strategy/__init__.py `_load_included_file`.
            Action::Builtin(Builtin::IncludeTasks | Builtin::IncludeRole) => {
                let included = planned.items.iter().filter(|i| matches!(&i.work, ItemWork::Done(r, _) if !r.skipped)).count();
                u32::try_from(included).unwrap_or(u32::MAX)
            }
            _ => 1,
        };
        counts.changed += u32::from(whole.changed);
        if whole.changed { Status::Changed } else { Status::Ok }
    }

    fn fail(&mut self, planned: &Planned, whole: &Whole, before: Stack) -> Status {
        let task = &planned.task;
        self.stack = before;
        let rescued = self.stack.0.iter().any(|l| matches!(&l.kind, LevelKind::Block(b, Section::Body, _) if !b.rescue.is_empty()));
        let message = match &whole.message {
            _ if planned.no_log => HIDDEN.to_owned(),
            Some(message) => message.clone(),
            None => "it failed".to_owned(),
        };
        let failure = Arc::new(Failure { task: Arc::clone(task), message });
        if rescued {
            self.host.data().counts.rescued += 1;
            let described = Value::from_pairs([
                ("name", Value::from(task.name.clone().unwrap_or_default())),
                ("action", Value::from(task.action.name())),
            ]);
            self.set([("ansible_failed_task".to_owned(), described), ("ansible_failed_result".to_owned(), whole.value.clone())]);
        } else {
            self.host.data().counts.failed += 1;
        }
        if self.run.any_errors_fatal || super::runner::fatal(task) {
            self.run.stop(&format!("{} failed on {}", task.title(), self.host.name));
            self.stops = self.run.stops();
        }
        if self.stack.raise(&failure).is_none() {
            self.lose(&failure);
        }
        if rescued { Status::Rescued } else { Status::Failed }
    }

    /// Marks the handlers that the task notifies.
    fn notify(&mut self, planned: &Planned) -> Result<(), String> {
        for raw in &planned.task.notify {
            let wanted = self.world.templar.render_value(&raw.value, &*planned.scope).map_err(|e| e.to_string())?;
            for name in value::as_list(&wanted) {
                if !self.notify_name(&name) {
                    return Err(format!(
                        "The requested handler '{name}' was not found in either the main handlers list nor in the listening handlers list"
                    ));
                }
            }
        }
        Ok(())
    }

    fn notify_name(&mut self, wanted: &str) -> bool {
        let found = self.handlers_named(wanted);
        if found.is_empty() {
            return false;
        }
        if self.stack.in_handlers() {
            self.notified.extend(found);
        } else {
            // Which handler a name means is decided when they run: a role that is included until then may redefine it.
            self.notifications.insert(wanted.to_owned());
        }
        true
    }

    /// Numbers of the handlers that a name or topic means (ansible-core: strategy/__init__.py
    /// `search_handlers_by_notification`): of the last file that defines the name its first one, and all that listen.
    pub(super) fn handlers_named(&self, wanted: &str) -> Vec<u32> {
        let mut found = Vec::new();
        let file = |h: &Task| (h.span.file.name.clone(), h.role.as_ref().map(Arc::as_ptr));
        let named: Vec<&Arc<Task>> = self.handlers.iter().filter(|h| self.handler_is(h, wanted)).collect();
        if let Some(last) = named.last() {
            found.extend(named.iter().find(|h| file(h) == file(last)).map(|h| h.number));
        }
        for handler in self.handlers.iter().filter(|h| h.listen.iter().any(|l| l == wanted)) {
            found.push(handler.number);
        }
        found
    }

    fn handler_is(&self, handler: &Arc<Task>, wanted: &str) -> bool {
        let own = handler.name.clone().unwrap_or_default();
        let own = if own.contains("{{") {
            let scope = self.scope(Some(handler), Arc::default());
            self.world.templar.render(&own, &scope).map_or(own, |v| value::as_text(&v))
        } else {
            own
        };
        own == wanted
            || handler.role.as_ref().is_some_and(|r| wanted == format!("{} : {own}", r.name) || wanted == format!("{}:{own}", r.name))
    }

    fn report(&self, planned: &Planned, whole: &Whole, results: &[TaskResult], status: Status, elapsed: Duration) {
        let hidden = |text: Option<String>| {
            if planned.no_log { text.map(|_| HIDDEN.to_owned()) } else { text }
        };
        if planned.looped {
            for (item, result) in planned.items.iter().zip(results) {
                let status = match result {
                    r if r.failed && planned.ignore_errors => Status::Ignored,
                    r if r.failed => Status::Failed,
                    r if r.skipped => Status::Skipped,
                    r if r.changed => Status::Changed,
                    _ => Status::Ok,
                };
                self.world.events.emit(Kind::ItemFinished {
                    host: self.host.name.clone(),
                    task: planned.task.number,
                    item: if planned.no_log { "(censored)".to_owned() } else { item.label.clone() },
                    status,
                    message: hidden(message(result)),
                });
            }
        }
        let last = results.iter().rev().find(|r| r.failed).or_else(|| results.last());
        let text = |r: &TaskResult, name: &str| r.fields.get(name).map(value::as_text).unwrap_or_default();
        let output = last.filter(|r| !planned.no_log && r.fields.contains_key("rc")).map(|r| Output {
            rc: r.fields.get("rc").and_then(Value::as_i64).and_then(|n| i32::try_from(n).ok()).unwrap_or_default(),
            stdout: text(r, "stdout"),
            stderr: text(r, "stderr"),
        });
        let message = match status {
            Status::Skipped => {
                results.first().and_then(|r| r.fields.get("false_condition")).map(|c| format!("condition is false: {}", value::as_text(c)))
            }
            _ if is_debug(&planned.task) && !planned.looped => debug_message(results.first()).or_else(|| whole.message.clone()),
            _ => whole.message.clone(),
        };
        self.world.events.emit(Kind::TaskFinished {
            host: self.host.name.clone(),
            task: planned.task.number,
            name: planned.name.clone(),
            status,
            elapsed,
            message: hidden(message),
            output,
            diff: if planned.no_log { Vec::new() } else { results.iter().flat_map(|r| r.diff.iter().cloned()).collect() },
            result: (!planned.no_log).then(|| value::as_json(&whole.value)),
        });
    }
}

fn is_debug(task: &Task) -> bool {
    matches!(task.action, Action::Builtin(Builtin::Debug))
}

/// `debug: var=x` says `x: …`.
fn debug_message(result: Option<&TaskResult>) -> Option<String> {
    let (name, found) = result?.fields.first()?;
    if name == "msg" || name == "false_condition" {
        return None;
    }
    let text = found.as_str().map_or_else(|| serde_json::to_string_pretty(&value::as_json(found)).unwrap_or_default(), str::to_owned);
    Some(format!("{name}: {text}"))
}

impl From<Obstacle> for TaskResult {
    fn from(o: Obstacle) -> Self {
        match o {
            Obstacle::Failed(result) => *result,
            Obstacle::Wants(_) => Self::failure("something that it needs is not known yet"),
        }
    }
}
