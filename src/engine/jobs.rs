//! `async` with `poll: 0`: work that goes on while the host goes on with its play, and `async_status`.

use super::{
    Target,
    runner::Runner,
    world::{World, lock},
};
use crate::{
    modules::{Step, TaskResult},
    session::{Program, ProgramStep},
};
use minijinja::Value;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

/// Jobs of a run by id; `None` while they run.
#[derive(Default)]
pub(super) struct Jobs {
    results: Mutex<HashMap<String, Option<TaskResult>>>,
    running: Mutex<tokio::task::JoinSet<()>>,
}

impl Jobs {
    /// Waits until all are done: their shells go away with the run.
    pub(super) async fn wait(&self) {
        let mut running = std::mem::take(&mut *lock(&self.running));
        while running.join_next().await.is_some() {}
    }

    fn described(id: &str, finished: bool) -> [(String, Value); 4] {
        [
            ("ansible_job_id".to_owned(), Value::from(id)),
            ("started".to_owned(), Value::from(true)),
            ("finished".to_owned(), Value::from(finished)),
            ("results_file".to_owned(), Value::from("")),
        ]
    }

    /// The state of a job.
    pub(super) fn status(&self, id: &str, cleanup: bool) -> TaskResult {
        let mut results = lock(&self.results);
        let found = if cleanup { results.remove(id) } else { results.get(id).cloned() };
        match found {
            None => TaskResult::failure(format!("could not find job {id}")),
            Some(None) => {
                let mut result = TaskResult::default();
                result.fields.extend(Self::described(id, false));
                result
            }
            Some(Some(mut result)) => {
                result.fields.extend(Self::described(id, true));
                result
            }
        }
    }
}

impl Runner {
    /// Starts a step that nobody waits for now.
    pub(super) fn start_job(&self, target: &Target, step: Step, check: bool, limit: Duration) -> TaskResult {
        let id = new_id();
        let world = Arc::clone(&self.world);
        lock(&world.jobs.results).insert(id.clone(), None);
        let (target, finish, job) = (target.clone(), Arc::clone(&step.finish), id.clone());
        let apply = if check { None } else { step.apply };
        let step =
            ProgramStep { id: 0, check: step.check, apply, keep_going: true, timeout: Some(limit), stdin: step.stdin, blobs: step.blobs };
        lock(&self.world.jobs.running).spawn(async move {
            let result = match run_program(&world, &target, &Program { steps: vec![step] }).await {
                Ok(outcomes) => outcomes.first().map(|o| finish(o)).unwrap_or_default(),
                Err(e) => TaskResult::failure(e.to_string()),
            };
            lock(&world.jobs.results).insert(job, Some(result));
            world.changed();
        });
        let mut result = TaskResult { changed: true, ..TaskResult::default() };
        result.fields.extend(Jobs::described(&id, false));
        result
    }
}

/// The name of a job.
pub(super) fn new_id() -> String {
    format!("j{:012x}", rand::random::<u64>() & 0xffff_ffff_ffff)
}

/// A program of its own, to its end.
pub(super) async fn run_program(
    world: &World,
    target: &Target,
    program: &Program,
) -> Result<Vec<crate::session::Outcome>, crate::session::SessionError> {
    use super::connect;
    use crate::session::{Record, SessionError};
    let shell = connect::borrow(world, target).await?;
    let (tx, mut rx) = tokio::sync::mpsc::unbounded_channel();
    tokio::select! {
        result = shell.run(program, tx) => result?,
        () = world.cancel.cancelled() => return Err(SessionError::Protocol { host: target.host.clone(), why: "stopped on request".to_owned() }),
    }
    connect::give_back(world, target, shell);
    let mut outcomes = Vec::new();
    while let Ok(record) = rx.try_recv() {
        if let Record::Done(outcome) = record {
            outcomes.push(outcome);
        }
    }
    Ok(outcomes)
}
