//! One host on its way through one play.

use super::{
    analysis::{self, Analysis, Pending},
    batch::Batch,
    connect,
    level::{Failure, Kind, Level, Next, Stack},
    plan::{self, ItemWork, Planned},
    play::{PlayRun, Position},
    scope::{Frame, HostPlay, Locals, TaskScope, Wants},
    world::{Host, World},
};
use crate::{
    event,
    playbook::{self, Action, Builtin, Entries, Entry, Task},
};
use minijinja::Value;
use std::{
    collections::{BTreeSet, HashSet},
    sync::{Arc, atomic::Ordering},
};

/// The longest program, in tasks: a person should see results now and then, and memory is bounded.
const LONGEST: usize = 100;

pub(super) struct Runner {
    pub(super) world: Arc<World>,
    pub(super) host: Arc<Host>,
    pub(super) run: Arc<PlayRun>,
    pub(super) own: Arc<HostPlay>,
    pub(super) stack: Stack,
    /// All handlers, in order.
    pub(super) handlers: Vec<Arc<Task>>,
    /// Names and topics that were notified.
    pub(super) notifications: BTreeSet<String>,
    /// Numbers of the handlers that run in this flush.
    pub(super) notified: BTreeSet<u32>,
    /// Roles of which a task was not skipped: they do not run again.
    pub(super) roles_done: HashSet<String>,
    /// Roles that were begun.
    roles_seen: HashSet<String>,
    /// Others must be here too before the next task.
    pub(super) sync_next: bool,
    synced: Option<Position>,
    /// How many of the play's stops have been met.
    pub(super) stops: usize,
    /// The host is out of the play; handlers may still be forced.
    pub(super) dead: bool,
    /// Tasks are passed over until `--start-at-task`.
    waiting_for_start: bool,
}

/// What to do next.
enum Todo {
    Batch(Batch),
    /// All is settled already: look again.
    Again,
    Solo(Arc<Task>, Arc<TaskScope>),
    Wants(Wants),
    /// Others must come to this position first.
    Sync,
    Raise(Arc<Failure>),
    End,
}

impl Runner {
    pub(super) fn new(world: Arc<World>, host: Arc<Host>, run: Arc<PlayRun>, own: HostPlay) -> Self {
        let play = Arc::clone(&run.play);
        let sections = [&play.pre_tasks, &play.tasks, &play.post_tasks];
        let entries: Vec<Entry> =
            sections.into_iter().flat_map(|s| s.iter().cloned().chain(if s.is_empty() { None } else { Some(Entry::Flush) })).collect();
        let mut stack = Stack::default();
        stack.push(Level::new(entries.into(), Arc::default(), Kind::Plain));
        Self {
            waiting_for_start: world.options.start_at_task.is_some() && !world.begun.load(Ordering::Relaxed),
            world,
            host,
            handlers: play.handlers.clone(),
            run,
            own: Arc::new(own),
            stack,
            notifications: BTreeSet::new(),
            notified: BTreeSet::new(),
            roles_done: HashSet::new(),
            roles_seen: HashSet::new(),
            sync_next: false,
            synced: None,
            stops: 0,
            dead: false,
        }
    }

    /// The scope of a task here.
    pub(super) fn scope(&self, task: Option<&Arc<Task>>, locals: Arc<Locals>) -> TaskScope {
        let frame = Frame {
            world: Arc::clone(&self.world),
            host: Arc::clone(&self.host),
            run: Some(Arc::clone(&self.run)),
            own: Arc::clone(&self.own),
            task: task.cloned(),
            locals,
        };
        TaskScope::new(frame, Vec::new())
    }

    /// Goes through the play.
    pub(super) async fn go(mut self) {
        self.world.changed();
        while !self.over() {
            let position = self.stack.position();
            self.run.reached(&self.host.name, position.clone());
            if let Some(why) = self.run.stopped(self.stops) {
                self.stops = self.run.stops();
                if !self.dead {
                    self.stopped(why);
                    continue;
                }
            }
            if std::mem::take(&mut self.sync_next) && self.run.linear() && !self.run.all_at(&position, self.stops).await {
                continue;
            }
            match self.next() {
                Todo::Again => {}
                Todo::Batch(batch) => self.execute(batch).await,
                Todo::Solo(task, scope) => self.solo(task, scope).await,
                Todo::Wants(wants) => self.provide(wants).await,
                Todo::Sync => {
                    let position = self.stack.position();
                    self.run.reached(&self.host.name, position.clone());
                    if self.run.all_at(&position, self.stops).await {
                        self.synced = Some(position);
                    }
                }
                Todo::Raise(failure) => {
                    self.stack.pop();
                    if self.stack.raise(&failure).is_none() {
                        self.lose(&failure);
                    }
                }
                Todo::End => break,
            }
            tokio::task::yield_now().await;
        }
        let failed = !self.host.data().alive();
        self.run.left(&self.host.name, failed);
        self.world.changed();
    }

    fn over(&self) -> bool {
        self.world.cancel.is_cancelled() || self.run.ended() || self.host.data().unreachable.is_some() || self.stack.0.is_empty()
    }

    /// Somebody else's failure is everybody's: where a block takes it, the host goes on there; else it is out.
    fn stopped(&mut self, why: String) {
        let Some(task) = self.next_task() else { return };
        let failure = Arc::new(Failure { task, message: why });
        if self.stack.raise(&failure).is_none() {
            self.host.data().failed.get_or_insert_with(|| failure.message.clone());
            self.stack = Stack::default();
            self.dead = true;
            self.world.changed();
        }
    }

    /// The host is out, unless its handlers are forced to run.
    pub(super) fn lose(&mut self, failure: &Failure) {
        self.host.data().failed.get_or_insert_with(|| format!("{}: {}", failure.task.title(), failure.message));
        self.stack = Stack::default();
        if self.run.force_handlers && !self.dead {
            self.flush();
        }
        self.dead = true;
        self.world.changed();
    }

    /// Puts the notified handlers on the stack; `false`: there are none.
    pub(super) fn flush(&mut self) -> bool {
        let names = std::mem::take(&mut self.notifications);
        let found: Vec<u32> = names.iter().flat_map(|n| self.handlers_named(n)).collect();
        self.notified.extend(found);
        if self.notified.is_empty() {
            return false;
        }
        let entries: Entries = self.handlers.iter().map(|h| Entry::Task(Arc::clone(h))).collect();
        self.stack.push(Level::new(entries, Arc::default(), Kind::Handlers));
        true
    }

    /// Thinks ahead as far as is known, up to one program.
    fn next(&mut self) -> Todo {
        let mut batch = Batch::default();
        let mut pending = Pending::default();
        loop {
            let flushes = |batch: Batch| if batch.is_empty() { None } else { Some(Todo::Batch(batch)) };
            let entry = match self.stack.next() {
                Next::Entry(entry) => entry,
                Next::Raise(failure) => return flushes(batch).unwrap_or(Todo::Raise(failure)),
                Next::End => return flushes(batch).unwrap_or(Todo::End),
            };
            let task = match entry {
                Entry::Role(role, begins) => {
                    if begins && !role.allow_duplicates && !self.roles_seen.insert(role.identity.clone()) {
                        // Whether it has run is known when what was planned of it is settled.
                        if !batch.is_empty() {
                            return Todo::Batch(batch);
                        }
                        if self.roles_done.contains(&role.identity) {
                            self.skip_role(&role.identity);
                        }
                    }
                    self.stack.advance();
                    continue;
                }
                Entry::Block(block) => {
                    let level =
                        Level::new(Arc::clone(&block.body), self.stack.locals(), Kind::Block(block, super::level::Section::Body, None));
                    self.stack.push(level);
                    continue;
                }
                Entry::Flush if batch.notifies() => return Todo::Batch(batch),
                Entry::Flush => {
                    // Handlers stand below the flush: it is passed when they are through.
                    if !self.flush() {
                        self.stack.advance();
                    }
                    continue;
                }
                Entry::Task(task) => task,
            };
            if self.stack.in_handlers() && batch.notifies() {
                return Todo::Batch(batch);
            }
            if self.passed_over(&task) {
                self.stack.advance();
                continue;
            }
            let analysis = analysis::of(&self.world, &task);
            let scope = Arc::new(self.scope(Some(&task), self.stack.locals()));
            if pending.touches(&self.world, &scope, &analysis.reads) {
                return Todo::Batch(batch);
            }
            let ordered = self.ordered(&task, &analysis, &scope);
            if ordered && !batch.is_empty() {
                return Todo::Batch(batch);
            }
            if ordered && self.synced.as_ref() != Some(&self.stack.position()) {
                return Todo::Sync;
            }
            if alone(&task) {
                self.sync_next |= ordered;
                return flushes(batch).unwrap_or(Todo::Solo(task, scope));
            }
            let planned = match plan::plan(&self.world, &task, Arc::clone(&scope)) {
                Ok(planned) => planned,
                Err(wants) => return flushes(batch).unwrap_or(Todo::Wants(wants)),
            };
            if planned.items.iter().any(|i| matches!(i.work, ItemWork::Control(_))) {
                self.sync_next |= ordered && batch.is_empty();
                return flushes(batch).unwrap_or(Todo::Solo(task, scope));
            }
            if planned.items.iter().all(|i| matches!(i.work, ItemWork::Done(..))) && batch.is_empty() {
                let snapshot = self.stack.clone();
                self.consume(&task);
                self.settle_known(planned, snapshot);
                if ordered || self.dead || self.run.lockstep() {
                    self.sync_next = true;
                    return Todo::Again;
                }
                continue;
            }
            let target = match connect::target(&self.world, &scope, &task.keywords) {
                Ok(target) => target,
                Err(e) => {
                    let planned = planned.failing(e.to_string());
                    if !batch.is_empty() {
                        return Todo::Batch(batch);
                    }
                    let snapshot = self.stack.clone();
                    self.consume(&task);
                    self.settle_known(planned, snapshot);
                    return Todo::Again;
                }
            };
            if !batch.takes(&planned, &target) {
                return Todo::Batch(batch);
            }
            let ends = ordered || ends_batch(&planned, &analysis) || self.run.lockstep();
            pending.add(&analysis);
            let snapshot = self.stack.clone();
            self.consume(&task);
            batch.push(planned, target, snapshot);
            if ends || batch.len() >= LONGEST {
                self.sync_next |= ordered || self.run.lockstep();
                return Todo::Batch(batch);
            }
        }
    }

    /// The task is taken: it will not come again.
    pub(super) fn consume(&mut self, task: &Task) {
        if self.stack.in_handlers() {
            self.notified.remove(&task.number);
        }
        self.stack.advance();
    }

    /// Jumps to where a role ends.
    fn skip_role(&mut self, identity: &str) {
        let Some(top) = self.stack.0.last_mut() else { return };
        let rest = top.entries.iter().enumerate().skip(top.at);
        if let Some((end, _)) = rest.into_iter().find(|(_, e)| matches!(e, Entry::Role(r, false) if r.identity == identity)) {
            top.at = end;
        }
    }

    fn passed_over(&mut self, task: &Arc<Task>) -> bool {
        if self.stack.in_handlers() {
            return self.stack.0.last().is_some_and(|l| matches!(l.kind, Kind::Handlers)) && !self.notified.contains(&task.number);
        }
        if self.waiting_for_start {
            let wanted = self.world.options.start_at_task.as_deref().unwrap_or_default();
            let title = task.title();
            let fits =
                title == wanted || task.name.as_deref() == Some(wanted) || super::lookups::glob(wanted).is_some_and(|g| g.is_match(&title));
            if !fits {
                return true;
            }
            self.waiting_for_start = false;
            self.world.begun.store(true, Ordering::Relaxed);
        }
        !playbook::selected(&task.keywords.tags, &self.world.options.tags, &self.world.options.skip_tags)
    }

    /// Whether other hosts can tell when this task runs here.
    fn ordered(&self, task: &Task, analysis: &Analysis, scope: &TaskScope) -> bool {
        if self.run.lockstep() {
            return true;
        }
        if !self.run.linear() {
            return false;
        }
        let k = &task.keywords;
        analysis.ordered
            || k.run_once.is_some()
            || k.delegate_to.is_some()
            || matches!(task.action, Action::Builtin(Builtin::AddHost | Builtin::GroupBy))
            || ends_for_all(task)
            || task.action.name() == "fetch"
            || analysis::reads_others(&self.world, scope, &analysis.reads)
    }

    /// A variable of another host, or facts: what could not be known before.
    pub(super) async fn provide(&mut self, wants: Wants) {
        if !wants.facts.is_empty() || wants.all_facts {
            return self.gather(wants).await;
        }
        let Some((host, variable)) = wants.host else { return };
        let mut tick = self.world.tick.subscribe();
        let other = self.world.host(&host);
        loop {
            {
                let data = other.data();
                if data.set.contains_key(&variable)
                    || data.included.contains_key(&variable)
                    || data.facts.contains_key(variable.trim_start_matches("ansible_"))
                {
                    return;
                }
                if let Some(why) = data.failed.clone().or_else(|| data.unreachable.clone()) {
                    drop(data);
                    return self.fail_here(&format!("waits for `{variable}` of {host}, which failed: {why}"));
                }
                if data.done {
                    return;
                }
            }
            tokio::select! {
                changed = tick.changed() => if changed.is_err() { return },
                () = self.world.cancel.cancelled() => return,
            }
        }
    }

    /// The task that comes next.
    pub(super) fn next_task(&mut self) -> Option<Arc<Task>> {
        match self.stack.next() {
            Next::Entry(Entry::Task(task)) => Some(task),
            _ => None,
        }
    }

    /// The task that comes next fails.
    pub(super) fn fail_here(&mut self, why: &str) {
        if let Some(task) = self.next_task() {
            let scope = Arc::new(self.scope(Some(&task), self.stack.locals()));
            let planned = Planned::bare(&self.world, &task, scope).failing(why.to_owned());
            let snapshot = self.stack.clone();
            self.consume(&task);
            self.settle_known(planned, snapshot);
        }
    }

    /// The host cannot be reached any more.
    pub(super) fn unreachable(&mut self, why: &str) {
        {
            let mut data = self.host.data();
            data.counts.unreachable = 1;
            data.unreachable = Some(why.to_owned());
        }
        self.world.events.emit(event::Kind::HostLost { host: self.host.name.clone(), reason: why.to_owned() });
        if self.run.any_errors_fatal {
            self.run.stop(&format!("{} is unreachable", self.host.name));
            self.stops = self.run.stops();
        }
        self.dead = true;
        self.world.changed();
    }

    /// Sets variables of the host.
    pub(super) fn set(&self, values: impl IntoIterator<Item = (String, Value)>) {
        self.host.data().set.extend(values);
        self.world.changed();
    }
}

/// Tasks that are run by themselves, one item after the other.
fn alone(task: &Task) -> bool {
    let k = &task.keywords;
    task.until.is_some()
        || task.retries.is_some()
        || k.delegate_to.is_some()
        || k.run_once.is_some()
        || k.throttle.is_some()
        || task.async_.is_some()
        || task.loop_.as_ref().is_some_and(|l| l.pause.is_some() || !l.break_when.is_empty())
        || matches!(task.action, Action::Builtin(Builtin::IncludeTasks | Builtin::IncludeRole | Builtin::Meta | Builtin::AddHost))
}

/// `meta` that is done once, by the first host, for all: they must be where Ansible would have them.
pub(super) fn ends_for_all(task: &Task) -> bool {
    let action = task.args.free_form.as_ref().and_then(|r| r.value.as_str());
    matches!(task.action, Action::Builtin(Builtin::Meta))
        && action.is_some_and(|a| matches!(a, "end_play" | "end_batch" | "clear_facts" | "clear_host_errors" | "refresh_inventory"))
}

/// What follows must see how this one ended.
fn ends_batch(planned: &Planned, analysis: &Analysis) -> bool {
    let fails = planned.items.iter().any(|i| matches!(&i.work, ItemWork::Done(r, _) if r.failed));
    let several = planned.items.iter().filter(|i| !matches!(i.work, ItemWork::Done(..))).count() > 1;
    let lenient = planned.ignore_errors || analysis.failed_when == Some(false);
    (fails || several) && !lenient || planned.task.failed_when.is_some() && analysis.failed_when.is_none()
}

/// `any_errors_fatal` on a block or task.
pub(super) fn fatal(task: &Task) -> bool {
    let raw = task.keywords.any_errors_fatal.as_ref();
    raw.and_then(|r| super::value::as_bool(&r.value)).unwrap_or_default()
}
