//! The task "Gathering Facts" of a play.

use super::{Target, runner::Runner, scope::Wants};
use crate::event::{Kind, Status};
use std::time::Instant;

/// The number of the task in events: no real one has it.
const NUMBER: u32 = u32::MAX;

impl Runner {
    /// Gathers what is known to be needed, and counts as Ansible's task does.
    pub(super) async fn gathering(&mut self, target: &Target) -> bool {
        let begun = Instant::now();
        let host = self.host.name.clone();
        let name = "Gathering Facts".to_owned();
        self.world.events.emit(Kind::TaskStarted {
            host: host.clone(),
            task: NUMBER,
            name: name.clone(),
            module: "setup".to_owned(),
            place: self.run.play.span.to_string(),
            handler: false,
        });
        let wants = Wants { facts: self.needed(), ..Wants::default() };
        let result = if wants.facts.is_empty() { Ok(()) } else { self.gather_from(target, &wants).await };
        let status = if result.is_ok() { Status::Ok } else { Status::Unreachable };
        let message = result.as_ref().err().cloned();
        self.world.events.emit(Kind::TaskFinished {
            host,
            task: NUMBER,
            name,
            status,
            elapsed: begun.elapsed(),
            message,
            output: None,
            diff: Vec::new(),
            result: None,
        });
        match result {
            Ok(()) => {
                self.host.data().counts.ok += 1;
                true
            }
            Err(why) => {
                self.unreachable(&why);
                false
            }
        }
    }

    /// Facts that the play's tasks name and that are not there yet.
    fn needed(&self) -> std::collections::BTreeSet<String> {
        super::facts::needed(&self.world, &self.run.play, &self.scope(None, std::sync::Arc::default()))
    }
}
