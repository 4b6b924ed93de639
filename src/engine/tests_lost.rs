//! Shells that get lost in the middle of a program.

use super::{Connector, Context, NoServices, RunOptions, RunSummary, Shell, Target, run};
use crate::{
    connection::{Connection, Local},
    event::Events,
    inventory::Inventory,
    playbook::{self, LoadOptions, PlaybookSource},
    session::{Outcome, Program, Record, SessionError, Verdict},
    template::Templar,
};
use async_trait::async_trait;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

/// Every step is fine, but the first shell is lost at its second step. Notes the steps that began.
#[derive(Clone, Default)]
struct Fragile {
    shells: Arc<Mutex<usize>>,
    began: Arc<Mutex<Vec<u32>>>,
}

struct One(Fragile, usize);

#[async_trait]
impl Shell for One {
    async fn run(&self, program: &Program, records: mpsc::UnboundedSender<Record>) -> Result<(), SessionError> {
        for (n, step) in program.steps.iter().enumerate() {
            self.0.began.lock().unwrap().push(step.id);
            let _ = records.send(Record::Started(step.id));
            if self.1 == 0 && n == 1 {
                return Err(SessionError::LostAt { host: "h".into(), step: Some(step.id), why: "cable".into() });
            }
            let (stdout, stderr) = Default::default();
            let done = Outcome {
                id: step.id,
                verdict: Verdict::Changed,
                rc: 0,
                stdout,
                stderr,
                truncated: false,
                elapsed: std::time::Duration::ZERO,
            };
            let _ = records.send(Record::Done(done));
        }
        Ok(())
    }
}

#[async_trait]
impl Connector for Fragile {
    async fn session(&self, _: &Target) -> Result<Arc<dyn Shell>, SessionError> {
        let mut shells = self.shells.lock().unwrap();
        *shells += 1;
        Ok(Arc::new(One(self.clone(), *shells - 1)))
    }

    async fn connection(&self, target: &Target) -> Result<Arc<dyn Connection>, SessionError> {
        Ok(Arc::new(Local::new(&target.host)))
    }

    async fn reset(&self, _: &str) {}
}

fn lost(task: &str) -> (RunSummary, Vec<u32>) {
    let text = format!(
        "- hosts: all\n  gather_facts: false\n  tasks:\n  - file: {{path: /a, state: touch}}\n  - {task}\n  - file: {{path: /c, state: touch}}\n"
    );
    let load = LoadOptions::new(Arc::new(Templar::new()));
    let playbook = playbook::load(&[PlaybookSource::Text { name: "lost.yml".into(), text }], &load).unwrap();
    let mut inventory = Inventory::new();
    inventory.add_host("h");
    inventory.reconcile();
    let fragile = Fragile::default();
    let context = Context { connector: Arc::new(fragile.clone()), services: Arc::new(NoServices), load };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let summary = runtime.block_on(run(
        &playbook,
        inventory,
        context,
        &RunOptions::default(),
        &Events::none(),
        tokio_util::sync::CancellationToken::default(),
    ));
    let began = fragile.began.lock().unwrap().clone();
    (summary, began)
}

#[test]
fn modules_run_again_from_the_step_that_was_lost() {
    let (summary, began) = lost("file: {path: /b, state: touch}");
    assert!(summary.is_ok(), "{summary:?}");
    assert_eq!((summary.counts["h"].ok, began), (3, vec![0, 1, 1, 2]));
}

#[test]
fn a_command_that_was_lost_is_reported_and_never_guessed() {
    let (summary, began) = lost("command: once");
    assert!(summary.unreachable["h"].contains("cable"), "{summary:?}");
    assert_eq!((summary.counts["h"].unreachable, began), (1, vec![0, 1]));
}
