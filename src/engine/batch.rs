//! Tasks that travel together: one program, results in order.

use super::{
    Target, connect,
    level::Stack,
    magic,
    plan::{ItemWork, Planned},
    runner::Runner,
    settle::Results,
};
use crate::{
    event::Kind,
    modules::{TaskResult, edit},
    session::{Outcome, Program, ProgramStep, Record, SessionError},
};
use std::{collections::HashMap, sync::Arc, time::Instant};
use tokio::sync::mpsc;

/// See the module.
#[derive(Default)]
pub(super) struct Batch {
    entries: Vec<BatchEntry>,
    target: Option<Target>,
    /// It has edits: they are read by its program and written by the next one, so nothing that runs may follow.
    edits: bool,
}

/// One task of it.
pub(super) struct BatchEntry {
    pub(super) planned: Planned,
    /// Where the host was before the task.
    pub(super) before: Stack,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether any of it may notify handlers.
    pub(super) fn notifies(&self) -> bool {
        self.entries.iter().any(|e| !e.planned.task.notify.is_empty())
    }

    /// Whether a task may travel with those that are there.
    pub(super) fn takes(&self, planned: &Planned, target: &Target) -> bool {
        let steps = planned.items.iter().any(|i| matches!(i.work, ItemWork::Step(_)));
        let same = self.target.as_ref().is_none_or(|t| connect::key(t) == connect::key(target));
        same && !(self.edits && steps)
    }

    pub(super) fn push(&mut self, planned: Planned, target: Target, before: Stack) {
        self.edits |= planned.items.iter().any(|i| matches!(i.work, ItemWork::Edit(_)));
        self.target.get_or_insert(target);
        self.entries.push(BatchEntry { planned, before });
    }
}

/// Results of a batch that come in.
struct Incoming {
    entries: std::collections::VecDeque<(BatchEntry, Results)>,
    /// Step id → task, counted from the batch's first, and item.
    steps: Vec<(usize, usize)>,
    /// Step id → further edits of the file that it reads.
    also: HashMap<u32, Vec<(usize, usize)>>,
    settled: usize,
    failed: bool,
}

impl Runner {
    /// Runs a batch and settles its results.
    pub(super) async fn execute(&mut self, batch: Batch) {
        let Some(target) = batch.target.clone() else { return };
        let (mut program, mut steps, mut queue) = (Program::default(), Vec::new(), std::collections::VecDeque::new());
        let (mut reads, mut also) = (Vec::new(), HashMap::<u32, Vec<(usize, usize)>>::new());
        for (number, mut entry) in batch.entries.into_iter().enumerate() {
            let results = Results::new(&self.world, &entry.planned);
            let check = magic::check_mode(&entry.planned.scope);
            let keep_going = entry.planned.keeps_going();
            let timeout = entry.planned.timeout(&self.world);
            for (item, planned) in entry.planned.items.iter_mut().enumerate() {
                let id = u32::try_from(steps.len()).unwrap_or(u32::MAX);
                let step = match &planned.work {
                    ItemWork::Step(step) => ProgramStep {
                        id,
                        check: step.check.clone(),
                        apply: if check { None } else { step.apply.clone() },
                        keep_going,
                        timeout,
                        stdin: step.stdin.clone(),
                        blobs: step.blobs.clone(),
                    },
                    ItemWork::Edit(e) => {
                        // A file is read once, however many edits of it travel together.
                        let what = (e.path.clone(), e.file.clone(), e.report);
                        if let Some((_, first)) = reads.iter().find(|(read, _)| *read == what) {
                            also.entry(*first).or_default().push((number, item));
                            continue;
                        }
                        reads.push((what, id));
                        let read = edit::read(e);
                        ProgramStep { id, check: read.check, apply: None, keep_going: true, timeout, stdin: read.stdin, blobs: read.blobs }
                    }
                    _ => continue,
                };
                steps.push((number, item));
                program.steps.push(step);
            }
            queue.push_back((entry, results));
        }
        let mut incoming = Incoming { entries: queue, steps, also, settled: 0, failed: false };
        self.settle_ready(&mut incoming);
        if let Err(e) = self.send(&target, program, &mut incoming).await {
            self.broken(&e, &mut incoming);
        }
    }

    /// Runs a program; after a lost connection the rest of it once more, if what ran may run again.
    async fn send(&mut self, target: &Target, mut program: Program, incoming: &mut Incoming) -> Result<(), SessionError> {
        for again in [true, false] {
            if program.steps.is_empty() || incoming.failed {
                return Ok(());
            }
            match self.send_once(target, &program, incoming).await {
                Err(SessionError::LostAt { step, host, why }) if again && !self.world.cancel.is_cancelled() => {
                    connect::forget(&self.world, &target.host).await;
                    let at = step.and_then(|id| program.steps.iter().position(|s| s.id == id));
                    let lost_for_good = || SessionError::LostAt { host: host.clone(), step, why: why.clone() };
                    if let Some((task, _)) = step.and_then(|id| incoming.steps.get(usize::try_from(id).unwrap_or(usize::MAX))) {
                        let index = task.checked_sub(incoming.settled);
                        let name = index.and_then(|i| incoming.entries.get(i)).map_or("", |(e, _)| e.planned.task.action.name());
                        if matches!(name, "command" | "shell" | "script" | "raw") {
                            return Err(lost_for_good());
                        }
                    }
                    let Some(at) = at.or(if step.is_none() { Some(0) } else { None }) else { return Err(lost_for_good()) };
                    self.world.events.warn(format!("{}: {why}: connecting again", target.host));
                    program.steps.drain(..at);
                }
                other => return other,
            }
        }
        Ok(())
    }

    async fn send_once(&mut self, target: &Target, program: &Program, incoming: &mut Incoming) -> Result<(), SessionError> {
        let world = Arc::clone(&self.world);
        let permit = world.forks.acquire().await;
        let shell = connect::borrow(&world, target).await?;
        let (tx, mut rx) = mpsc::unbounded_channel();
        let result = {
            let mut running = std::pin::pin!(shell.run(program, tx));
            loop {
                tokio::select! {
                    result = &mut running => break result,
                    Some(record) = rx.recv() => self.record(record, incoming),
                    () = world.cancel.cancelled() => {
                        return Err(SessionError::Protocol { host: target.host.clone(), why: "stopped on request".to_owned() });
                    }
                }
            }
        };
        while let Ok(record) = rx.try_recv() {
            self.record(record, incoming);
        }
        drop(permit);
        if result.is_ok() {
            connect::give_back(&world, target, shell);
            self.write_edits(target, incoming).await?;
        }
        result
    }

    fn record(&mut self, record: Record, incoming: &mut Incoming) {
        let id = match &record {
            Record::Started(id) => *id,
            Record::Done(outcome) => outcome.id,
        };
        let Some(&(task, item)) = incoming.steps.get(usize::try_from(id).unwrap_or(usize::MAX)) else { return };
        let Some(index) = task.checked_sub(incoming.settled) else { return };
        let Some((entry, results)) = incoming.entries.get_mut(index) else { return };
        match record {
            Record::Started(_) => self.started(&entry.planned, results),
            Record::Done(outcome) => {
                match &entry.planned.items[item].work {
                    ItemWork::Step(step) => {
                        let result = (step.finish)(&outcome);
                        results.set(&self.world, &entry.planned, item, result);
                    }
                    ItemWork::Edit(_) => {
                        let id = outcome.id;
                        results.read.push((item, outcome.clone()));
                        for (task, item) in incoming.also.remove(&id).unwrap_or_default() {
                            let entry = task.checked_sub(incoming.settled).and_then(|index| incoming.entries.get_mut(index));
                            let Some((entry, results)) = entry else { continue };
                            results.read.push((item, outcome.clone()));
                            self.started(&entry.planned, results);
                        }
                    }
                    _ => {}
                }
                self.settle_ready(incoming);
            }
        }
    }

    /// Settles the tasks at the front whose results are complete.
    fn settle_ready(&mut self, incoming: &mut Incoming) {
        while !incoming.failed && incoming.entries.front().is_some_and(|(_, results)| results.complete()) {
            let Some((entry, results)) = incoming.entries.pop_front() else { return };
            incoming.settled += 1;
            if !self.settle(entry.planned, results, entry.before) {
                // What was thought out beyond it does not happen.
                incoming.failed = true;
            }
        }
    }

    /// The edits that were read: what they come to, and the program that writes those that change something.
    async fn write_edits(&mut self, target: &Target, incoming: &mut Incoming) -> Result<(), SessionError> {
        let (mut program, mut writing) = (Program::default(), Vec::new());
        if incoming.failed {
            return Ok(());
        }
        // A file's text after the edits so far: later edits of the same file start from it.
        let mut texts: HashMap<String, String> = HashMap::new();
        for (index, (entry, results)) in incoming.entries.iter_mut().enumerate() {
            for (item, outcome) in std::mem::take(&mut results.read) {
                let ItemWork::Edit(e) = &entry.planned.items[item].work else { continue };
                let outcome = match texts.get(&e.path) {
                    Some(text) => edit::with_text(&outcome, text),
                    None => outcome,
                };
                if let Some(text) = edit::text_after(e, &outcome) {
                    texts.insert(e.path.clone(), text);
                }
                let check = magic::check_mode(&entry.planned.scope);
                let (mut result, step) = edit::decide(e, &outcome, self.world.options.diff, check);
                if let (true, Some(text), Some(size)) = (step.is_none(), texts.get(&e.path), result.fields.get_mut("size")) {
                    *size = minijinja::Value::from(text.len());
                }
                match step.filter(|_| !check && !result.failed) {
                    None => results.set(&self.world, &entry.planned, item, result),
                    Some(step) => {
                        program.steps.push(ProgramStep {
                            id: u32::try_from(writing.len()).unwrap_or(u32::MAX),
                            check: step.check,
                            apply: step.apply,
                            keep_going: entry.planned.keeps_going(),
                            timeout: None,
                            stdin: step.stdin,
                            blobs: step.blobs,
                        });
                        writing.push((index, item, result, step.finish));
                    }
                }
            }
        }
        if program.steps.is_empty() {
            self.settle_ready(incoming);
            return Ok(());
        }
        let outcomes = self.run_program(target, &program).await?;
        for outcome in outcomes {
            let Some((index, item, result, finish)) = writing.get(usize::try_from(outcome.id).unwrap_or(usize::MAX)) else { continue };
            let said = finish(&outcome);
            let result = if said.failed { said } else { merge(result, said) };
            if let Some((entry, results)) = incoming.entries.get_mut(*index) {
                results.set(&self.world, &entry.planned, *item, result);
            }
        }
        self.settle_ready(incoming);
        Ok(())
    }

    /// A program of its own, to its end.
    pub(super) async fn run_program(&self, target: &Target, program: &Program) -> Result<Vec<Outcome>, SessionError> {
        let _permit = self.world.forks.acquire().await;
        super::jobs::run_program(&self.world, target, program).await
    }

    /// The connection or the shell is of no use any more.
    fn broken(&mut self, error: &SessionError, incoming: &mut Incoming) {
        let Some((entry, mut results)) = incoming.entries.pop_front() else { return };
        if self.world.cancel.is_cancelled() {
            return;
        }
        self.started(&entry.planned, &mut results);
        self.stack = entry.before;
        self.cannot_reach(&entry.planned, &error.to_string());
    }

    pub(super) fn cannot_reach(&mut self, planned: &Planned, why: &str) {
        let ignore = super::plan::flag(&self.world, &*planned.scope, planned.task.keywords.ignore_unreachable.as_ref()).ok().flatten();
        let ignored = ignore.unwrap_or_default();
        self.world.events.emit(Kind::TaskFinished {
            host: self.host.name.clone(),
            task: planned.task.number,
            name: planned.name.clone(),
            status: crate::event::Status::Unreachable,
            elapsed: std::time::Duration::ZERO,
            message: Some(why.to_owned()),
            output: None,
            diff: Vec::new(),
            result: Some(serde_json::json!({"unreachable": true, "msg": why, "changed": false})),
        });
        if ignored {
            let mut data = self.host.data();
            data.counts.ok += 1;
            data.counts.ignored += 1;
            drop(data);
            if let Some(name) = &planned.task.register {
                let value = minijinja::Value::from_pairs([
                    ("unreachable", minijinja::Value::from(true)),
                    ("msg", why.into()),
                    ("changed", false.into()),
                ]);
                self.set([(name.clone(), value)]);
            }
            self.consume(&Arc::clone(&planned.task));
        } else {
            self.unreachable(why);
        }
    }

    /// Says that a task begins, once.
    pub(super) fn started(&self, planned: &Planned, results: &mut Results) {
        if results.begun.is_some() {
            return;
        }
        results.begun = Some(Instant::now());
        self.world.events.emit(Kind::TaskStarted {
            host: self.host.name.clone(),
            task: planned.task.number,
            name: planned.name.clone(),
            module: planned.task.action.name().to_owned(),
            place: planned.task.place(),
            handler: self.handlers.iter().any(|h| h.number == planned.task.number),
        });
    }
}

pub(super) fn merge(planned: &TaskResult, said: TaskResult) -> TaskResult {
    let mut out = planned.clone();
    out.fields.extend(said.fields);
    out.warnings.extend(said.warnings);
    out
}
