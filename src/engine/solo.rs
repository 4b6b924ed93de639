//! Tasks that run by themselves: one item after the other, each to its end. `until`, `delegate_to`, `run_once`,
//! `throttle`, `async`, and work that is the engine's own.

use super::{
    Target, connect, loops, magic,
    plan::{self, Effect, Item, ItemWork, Obstacle, Planned},
    play::Once,
    runner::Runner,
    scope::{Frame, TaskScope},
    settle::{self, Results},
    value,
    world::lock,
};
use crate::{
    modules::{TaskResult, edit},
    playbook::{Action, Builtin, Task},
    session::{Outcome, Program, ProgramStep, SessionError},
    template::TemplateError,
};
use minijinja::Value;
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// Why an item gave no result.
pub(super) enum Stop {
    /// The target cannot be reached.
    Lost(String),
    /// The run was cancelled.
    Cancelled,
}

impl From<SessionError> for Stop {
    fn from(e: SessionError) -> Self {
        Self::Lost(e.to_string())
    }
}

impl Runner {
    pub(super) async fn solo(&mut self, task: Arc<Task>, scope: Arc<TaskScope>) {
        let position = self.stack.position();
        let several = self.run.batch.len() > 1 && self.run.play.strategy != crate::playbook::Strategy::Free;
        let once = match plan::flag(&self.world, &*scope, task.keywords.run_once.as_ref()) {
            // `add_host` is done once for all, too (plugins/action/add_host.py, BYPASS_HOST_LOOP).
            Ok(once) => {
                let always = matches!(task.action, Action::Builtin(Builtin::AddHost)) || super::runner::ends_for_all(&task);
                (once.unwrap_or_default() || always) && several
            }
            Err(e) => return self.fail_here(&e.to_string()),
        };
        if once {
            if !self.run.all_at(&position, self.stops).await {
                return;
            }
            if let Some(done) = self.run.once(&self.host.name, &position).await {
                return self.follow(&task, done);
            }
            self.sync_next = true;
        }
        let before = self.host.data().set.clone();
        match task.action {
            Action::Builtin(Builtin::IncludeTasks | Builtin::IncludeRole) => self.include(&task, &scope).await,
            Action::Builtin(Builtin::Meta) => self.meta(&task, &scope).await,
            _ => self.one_by_one(&task, scope).await,
        }
        if once {
            let data = self.host.data();
            let set = data.set.iter().filter(|(k, v)| before.get(*k) != Some(*v)).map(|(k, v)| (k.clone(), v.clone())).collect();
            let once = Once { failed: data.failed.clone().or_else(|| data.unreachable.clone()), set };
            drop(data);
            self.run.publish(position, once);
        }
    }

    /// What another host did for all.
    fn follow(&mut self, task: &Arc<Task>, once: Once) {
        self.set(once.set);
        self.consume(task);
        if let Some(why) = once.failed {
            let failure = Arc::new(super::level::Failure { task: Arc::clone(task), message: why });
            if self.stack.raise(&failure).is_none() {
                self.lose(&failure);
            }
        }
    }

    async fn one_by_one(&mut self, task: &Arc<Task>, scope: Arc<TaskScope>) {
        let throttle = match plan::keyword(&self.world, &*scope, task.keywords.throttle.as_ref()) {
            Ok(v) => v.and_then(|v| value::as_count(&v)).filter(|n| *n >= 1),
            Err(e) => return self.fail_here(&e.to_string()),
        };
        let semaphore =
            throttle.map(|n| Arc::clone(lock(&self.world.throttles).entry(task.number).or_insert_with(|| Arc::new(Semaphore::new(n)))));
        let _permit = match semaphore {
            Some(semaphore) => semaphore.acquire_owned().await.ok(),
            None => None,
        };
        // Known failures and skips of the whole task come from planning it.
        let mut planned = Planned::bare(&self.world, task, Arc::clone(&scope));
        let values = match &task.loop_ {
            None => vec![Value::from(())],
            Some(looping) => match loops::values(&self.world, &scope, looping) {
                Ok(values) if !scope.wants_any() => values,
                Ok(_) => return self.provide(scope.take_wants()).await,
                Err(_) if scope.wants_any() => return self.provide(scope.take_wants()).await,
                Err(e) => {
                    let before = self.stack.clone();
                    self.consume(task);
                    if let Ok(Some(condition)) = plan::first_false(&self.world, &*scope, &task.keywords.when) {
                        let work = ItemWork::Done(plan::skipped(condition), Effect::None);
                        planned.items = vec![Item { vars: Vec::new(), label: String::new(), work }];
                        self.settle_known(planned, before);
                    } else {
                        self.settle_known(planned.failing(e.to_string()), before);
                    }
                    return;
                }
            },
        };
        planned.looped = task.loop_.is_some();
        planned.no_log = plan::flag(&self.world, &*scope, task.keywords.no_log.as_ref()).ok().flatten().unwrap_or_default();
        let mut results = Results::empty();
        let begun = std::time::Instant::now();
        for index in 0..values.len() {
            let (vars, label) = match &task.loop_ {
                Some(looping) => {
                    let vars = loops::locals(looping, &values, index);
                    let inner = scope.with(vars.clone());
                    let label = match &looping.label {
                        Some(l) => self.world.templar.render_value(&l.value, &inner).map_or_else(|e| e.to_string(), |v| value::as_text(&v)),
                        None => value::as_text(&values[index]),
                    };
                    (vars, label)
                }
                None => (Vec::new(), String::new()),
            };
            let inner = scope.with(vars.clone());
            let ignore = plan::flag(&self.world, &inner, task.keywords.ignore_errors.as_ref()).ok().flatten();
            planned.ignore_errors = ignore.unwrap_or_default();
            planned.items.push(Item { vars, label, work: ItemWork::Done(TaskResult::default(), Effect::None) });
            let result = match self.attempts(&mut planned, index, &mut results).await {
                Ok(result) => result,
                Err(Stop::Cancelled) => return,
                Err(Stop::Lost(why)) => return self.cannot_reach(&planned, &why),
            };
            if matches!(task.action, Action::Builtin(Builtin::SetFact)) {
                self.keep(task, &result);
            }
            let stop = match task.loop_.as_ref().map(|l| &l.break_when) {
                Some(conditions) if !conditions.is_empty() => {
                    let inner = scope.with(with_result(&planned, index, &result));
                    matches!(plan::first_false(&self.world, &inner, conditions), Ok(None))
                }
                _ => false,
            };
            results.push(result);
            if stop {
                break;
            }
            let pause = task.loop_.as_ref().and_then(|l| l.pause.as_ref());
            if let (Some(pause), true) = (pause, index + 1 < values.len()) {
                let seconds = plan::keyword(&self.world, &*scope, Some(pause)).ok().flatten().and_then(|v| value::as_number(&v));
                self.sleep(Duration::from_secs_f64(seconds.unwrap_or(0.0).max(0.0))).await;
            }
        }
        results.begun.get_or_insert(begun);
        let before = self.stack.clone();
        self.consume(task);
        self.settle(planned, results, before);
    }

    /// One item, tried until it is as `until` wants it.
    async fn attempts(&mut self, planned: &mut Planned, index: usize, results: &mut Results) -> Result<TaskResult, Stop> {
        let task = Arc::clone(&planned.task);
        let scope = planned.scope.with(planned.items[index].vars.clone());
        let number = |raw| plan::keyword(&self.world, &scope, raw).ok().flatten().and_then(|v| value::as_number(&v));
        let retries = plan::keyword(&self.world, &scope, task.retries.as_ref()).ok().flatten().and_then(|v| value::as_count(&v));
        let retries = match retries {
            Some(n) => n,
            None if task.until.is_some() => 3,
            None => 0,
        };
        let delay = number(task.delay.as_ref()).unwrap_or(5.0);
        let delay = Duration::from_secs_f64(if delay < 0.0 { 1.0 } else { delay });
        let mut attempt = 1;
        loop {
            let mut result = self.once(planned, index, results).await?;
            // A command that check mode passes over is tried like any other, as in Ansible.
            if (result.skipped && !result.fields.contains_key("rc")) || retries == 0 {
                return Ok(result);
            }
            result.fields.insert("attempts".to_owned(), Value::from(attempt));
            let enough = match &task.until {
                Some(conditions) => {
                    let inner = planned.scope.with(with_result(planned, index, &result));
                    match plan::first_false(&self.world, &inner, conditions) {
                        Ok(first) => first.is_none(),
                        Err(e) => {
                            result.failed = true;
                            result.msg = Some(format!("`until` could not be evaluated: {e}"));
                            return Ok(result);
                        }
                    }
                }
                None => !result.failed,
            };
            if enough {
                return Ok(result);
            }
            if attempt > retries {
                result.fields.insert("attempts".to_owned(), Value::from(retries));
                // What `failed_when` says stands.
                result.failed |= task.failed_when.is_none();
                return Ok(result);
            }
            attempt += 1;
            self.sleep(delay).await;
            if self.world.cancel.is_cancelled() {
                return Err(Stop::Cancelled);
            }
        }
    }

    /// One attempt.
    async fn once(&mut self, planned: &mut Planned, index: usize, results: &mut Results) -> Result<TaskResult, Stop> {
        let task = Arc::clone(&planned.task);
        let result = loop {
            let scope = planned.scope.with(planned.items[index].vars.clone());
            match plan::item_work(&self.world, &task, &scope) {
                Ok(work) => {
                    self.started(planned, results);
                    break self.perform(&task, &scope, work, planned, index).await?;
                }
                Err(Obstacle::Failed(result)) => break *result,
                Err(Obstacle::Wants(wants)) => {
                    let lost = self.host.data().unreachable.is_some();
                    if lost || self.world.cancel.is_cancelled() {
                        return Err(Stop::Cancelled);
                    }
                    self.provide(wants).await;
                }
            }
        };
        Ok(settle::judge(&self.world, planned, index, result))
    }

    async fn perform(
        &mut self,
        task: &Arc<Task>,
        scope: &TaskScope,
        work: ItemWork,
        planned: &mut Planned,
        index: usize,
    ) -> Result<TaskResult, Stop> {
        let work = match work {
            ItemWork::Done(mut result, effect) => {
                match self.delegate(task, scope) {
                    Ok(Some(delegate)) => self.delegated(task, scope, &delegate, &mut result),
                    Ok(None) => {}
                    Err(e) => return Ok(TaskResult::failure(e.to_string())),
                }
                planned.items[index].work = ItemWork::Done(result.clone(), effect);
                return Ok(result);
            }
            work => work,
        };
        let (target, delegate) = match self.target(task, scope) {
            Ok(found) => found,
            Err(e) => return Ok(TaskResult::failure(e.to_string())),
        };
        let check = magic::check_mode(scope);
        let timeout = planned.timeout(&self.world);
        let mut result = match work {
            ItemWork::Step(step) => {
                let asynchronous =
                    plan::keyword(&self.world, scope, task.async_.as_ref()).ok().flatten().and_then(|v| value::as_number(&v));
                let limit = asynchronous.filter(|s| *s > 0.0).map(Duration::from_secs_f64);
                let poll = plan::keyword(&self.world, scope, task.poll.as_ref()).ok().flatten().and_then(|v| value::as_number(&v));
                if let (Some(limit), Some(0.0)) = (limit, poll) {
                    return Ok(self.start_job(&target, step, check, limit));
                }
                let timeout = limit.or(timeout);
                let apply = if check { None } else { step.apply.clone() };
                let step_ =
                    ProgramStep { id: 0, check: step.check, apply, keep_going: true, timeout, stdin: step.stdin, blobs: step.blobs };
                let mut result = (step.finish)(&self.single(&target, step_).await?);
                if limit.is_some() {
                    // A job that was polled to its end.
                    let done = [("started", true.into()), ("finished", true.into()), ("ansible_job_id", super::jobs::new_id().into())];
                    result.fields.extend(done.into_iter().map(|(k, v): (&str, Value)| (k.to_owned(), v)));
                }
                result
            }
            ItemWork::Edit(e) => {
                let read = edit::read(&e);
                let read =
                    ProgramStep { id: 0, check: read.check, apply: None, keep_going: true, timeout, stdin: read.stdin, blobs: read.blobs };
                let outcome = self.single(&target, read).await?;
                match edit::decide(&e, &outcome, self.world.options.diff, check) {
                    (result, Some(step)) if !check && !result.failed => {
                        let write = ProgramStep {
                            id: 0,
                            check: step.check,
                            apply: step.apply,
                            keep_going: true,
                            timeout,
                            stdin: step.stdin,
                            blobs: step.blobs,
                        };
                        let said = (step.finish)(&self.single(&target, write).await?);
                        if said.failed { said } else { super::batch::merge(&result, said) }
                    }
                    (result, _) => result,
                }
            }
            ItemWork::Control(control) => self.control(task, scope, control, &target).await?,
            ItemWork::Done(result, _) => result,
        };
        if let Some(delegate) = delegate {
            self.delegated(task, scope, &delegate, &mut result);
        }
        Ok(result)
    }

    /// The result came from a delegate, whose facts it may bring.
    fn delegated(&self, task: &Arc<Task>, scope: &TaskScope, delegate: &str, result: &mut TaskResult) {
        result.fields.insert("_delegate".to_owned(), Value::from(delegate));
        if !plan::flag(&self.world, scope, task.keywords.delegate_facts.as_ref()).ok().flatten().unwrap_or_default() {
            return;
        }
        let host = self.world.host(delegate);
        let facts = std::mem::take(&mut result.facts);
        if matches!(task.action, Action::Builtin(Builtin::SetFact)) {
            host.data().set.extend(facts);
        } else {
            host.data().facts.extend(facts);
        }
        self.world.changed();
    }

    /// The host that `delegate_to` names, where that is another one.
    fn delegate(&self, task: &Arc<Task>, scope: &TaskScope) -> Result<Option<String>, TemplateError> {
        let delegate = plan::keyword(&self.world, scope, task.keywords.delegate_to.as_ref())?.map(|v| value::as_text(&v));
        Ok(delegate.filter(|d| !d.is_empty() && *d != self.host.name))
    }

    /// Where an item of a task runs; the name too when that is another host.
    fn target(&self, task: &Arc<Task>, scope: &TaskScope) -> Result<(Target, Option<String>), TemplateError> {
        let Some(name) = self.delegate(task, scope)? else {
            return Ok((connect::target(&self.world, scope, &task.keywords)?, None));
        };
        let frame = Frame { host: self.world.host(&name), ..scope.frame.clone() };
        let there = TaskScope::new(frame, Vec::new());
        Ok((connect::target(&self.world, &there, &task.keywords)?, Some(name)))
    }

    /// A program of one step. After a lost connection once more: what only checks, or checks first, may run again.
    pub(super) async fn single(&self, target: &Target, step: ProgramStep) -> Result<Outcome, Stop> {
        let host = target.host.clone();
        let program = Program { steps: vec![step] };
        let outcomes = tokio::select! {
            outcomes = self.run_program(target, &program) => outcomes?,
            () = self.world.cancel.cancelled() => return Err(Stop::Cancelled),
        };
        outcomes.into_iter().next().ok_or_else(|| Stop::Lost(format!("{host}: the program ended without a result")))
    }

    /// Waits, but not longer than the run.
    pub(super) async fn sleep(&self, time: Duration) {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = self.world.cancel.cancelled() => {}
        }
    }
}

/// The item's variables, and its result under the register name.
fn with_result(planned: &Planned, index: usize, result: &TaskResult) -> super::scope::Locals {
    let mut vars = planned.items.get(index).map(|i| i.vars.clone()).unwrap_or_default();
    if let Some(name) = &planned.task.register {
        vars.insert(0, (name.clone(), settle::registered(result)));
    }
    vars
}
