//! Carries out a plan: every step as soon as those before it are done, all that can at once.

use super::{
    api::{Api, Effect},
    errors::Fault,
    plan::{Op, Plan},
    tags::{self, Tags},
};
use crate::event::{Events, Kind};
use futures::{StreamExt, stream::FuturesUnordered};
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// What a step works with.
#[derive(Debug)]
pub struct Ctx<'a> {
    /// The cloud.
    pub api: &'a Api,
    /// Where things that a person should know are told.
    pub events: &'a Events,
    ids: Mutex<BTreeMap<String, String>>,
}

impl Ctx<'_> {
    /// The id that stands for a key.
    pub fn id(&self, key: &str) -> Result<String, Fault> {
        let ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.get(key).cloned().ok_or_else(|| Fault::found("plan", format!("{key} should have been made before this step")))
    }

    fn made(&self, key: &str, id: String) {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), id);
    }

    /// Sets tags.
    pub async fn create_tags(&self, id: &str, tags: &Tags) -> Result<(), Fault> {
        if id.starts_with("arn:") {
            let call = || self.api.elb.add_tags().resource_arns(id).set_tags(Some(tags::write_elb(tags))).send();
            return self.api.call("AddTags", Effect::Repeatable, call).await.map(drop);
        }
        self.api
            .call("CreateTags", Effect::Repeatable, || self.api.ec2.create_tags().resources(id).set_tags(Some(tags::write(tags))).send())
            .await
            .map(drop)
    }
}

/// How a plan ended.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What was made: its key by its id.
    pub made: BTreeMap<String, String>,
    /// What went wrong: the step's title and the fault. Steps that were under way have ended too.
    pub faults: Vec<(String, Fault)>,
}

/// Runs all steps. After a failure no new one begins, and those under way are waited for.
pub async fn run(api: &Api, plan: &Plan, events: &Events) -> Outcome {
    let ctx = Ctx { api, events, ids: Mutex::new(plan.ids.clone()) };
    let mut waiting: Vec<&Op> = plan.ops.iter().collect();
    let mut open: BTreeMap<&str, usize> = BTreeMap::new();
    for op in &plan.ops {
        *open.entry(&op.key).or_default() += 1;
    }
    let mut outcome = Outcome::default();
    let mut running = FuturesUnordered::new();
    loop {
        if outcome.faults.is_empty() {
            let (ready, rest): (Vec<_>, Vec<_>) =
                waiting.into_iter().partition(|op| op.after.iter().all(|key| open.get(key.as_str()).is_none_or(|n| *n == 0)));
            waiting = rest;
            for op in ready {
                running.push(step(&ctx, op));
            }
        }
        let Some((op, result)) = running.next().await else { break };
        match result {
            Ok(id) => {
                if let Some(n) = open.get_mut(op.key.as_str()) {
                    *n -= 1;
                }
                if let Some(id) = id {
                    ctx.made(&op.key, id.clone());
                    outcome.made.insert(id, op.key.clone());
                }
            }
            Err(fault) => outcome.faults.push((title(op), fault)),
        }
    }
    if outcome.faults.is_empty()
        && let Some(op) = waiting.first()
    {
        outcome.faults.push((title(op), Fault::found("plan", format!("its steps wait for each other: {:?}", op.after))));
    }
    outcome
}

async fn step<'p>(ctx: &Ctx<'_>, op: &'p Op) -> (&'p Op, Result<Option<String>, Fault>) {
    let id = format!("aws/{}", op.key);
    let begun = Instant::now();
    ctx.events.emit(Kind::StepStarted { id: id.clone(), title: title(op), host: op.key.strip_prefix("instance/").map(str::to_owned) });
    let result = op.work.run(ctx).await;
    ctx.events.emit(Kind::StepFinished {
        id,
        error: result.as_ref().err().map(ToString::to_string),
        changed: result.is_ok(),
        elapsed: begun.elapsed(),
    });
    (op, result)
}

fn title(op: &Op) -> String {
    match &op.change {
        Some(c) => format!("{} {} {}", format!("{:?}", c.action).to_lowercase(), c.kind, c.name),
        None => format!("set up {}", op.key),
    }
}
