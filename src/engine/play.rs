//! One play (or one `serial` batch of it) on its hosts: who is how far, who waits for whom.

use super::{
    value,
    world::{World, lock},
};
use crate::{
    playbook::{Play, Strategy},
    template::Scope,
};
use indexmap::IndexMap;
use minijinja::Value;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};
use tokio::sync::watch;

/// Where a host is in a play: grows in the order in which tasks stand, into blocks and includes.
pub(super) type Position = Vec<u32>;

/// What one host found out for all, by `run_once`.
#[derive(Clone, Default)]
pub(super) struct Once {
    /// It failed there.
    pub(super) failed: Option<String>,
    /// What it set: registered results and facts.
    pub(super) set: IndexMap<String, Value>,
}

pub(super) struct PlayRun {
    pub(super) play: Arc<Play>,
    /// Hosts of this batch.
    pub(super) batch: Vec<String>,
    /// Hosts of the play.
    pub(super) all: Vec<String>,
    pub(super) any_errors_fatal: bool,
    max_fail: Option<f64>,
    pub(super) force_handlers: bool,
    progress: Mutex<Progress>,
    tick: watch::Sender<u64>,
    once: Mutex<HashMap<Position, Once>>,
    /// Why everybody fails where they are, each time that it happened.
    stops: Mutex<Vec<String>>,
    /// `meta: end_play`.
    ended: Mutex<bool>,
}

#[derive(Default)]
struct Progress {
    at: HashMap<String, Position>,
    order: BTreeMap<Position, usize>,
    failed: usize,
}

impl Progress {
    fn remove(&mut self, host: &str) {
        let Some(old) = self.at.remove(host) else { return };
        if let Some(n) = self.order.get_mut(&old) {
            *n -= 1;
            if *n == 0 {
                self.order.remove(&old);
            }
        }
    }
}

impl PlayRun {
    pub(super) fn new(world: &World, play: Arc<Play>, all: Vec<String>, batch: Vec<String>, scope: &dyn Scope) -> Arc<Self> {
        let eval = |raw: &Option<crate::inventory::Raw>| raw.as_ref().and_then(|r| world.templar.render_value(&r.value, scope).ok());
        let mut progress = Progress::default();
        for host in &batch {
            progress.at.insert(host.clone(), Vec::new());
        }
        progress.order.insert(Vec::new(), batch.len());
        Arc::new(Self {
            any_errors_fatal: eval(&play.any_errors_fatal).and_then(|v| value::as_bool(&v)).unwrap_or(world.options.any_errors_fatal),
            max_fail: eval(&play.max_fail_percentage).and_then(|v| value::as_number(&v)),
            force_handlers: world.options.force_handlers || eval(&play.force_handlers).and_then(|v| value::as_bool(&v)).unwrap_or_default(),
            play,
            batch,
            all,
            progress: Mutex::new(progress),
            tick: watch::Sender::new(0),
            once: Mutex::default(),
            stops: Mutex::default(),
            ended: Mutex::default(),
        })
    }

    pub(super) fn independent(&self) -> bool {
        self.play.strategy == Strategy::Independent
    }

    /// What can be observed is in order.
    pub(super) fn linear(&self) -> bool {
        self.play.strategy == Strategy::Linear && self.batch.len() > 1
    }

    /// Every task waits for all hosts, because the failure of one stops all.
    pub(super) fn lockstep(&self) -> bool {
        (self.any_errors_fatal || self.max_fail.is_some()) && self.batch.len() > 1
    }

    /// A host has come to a position.
    pub(super) fn reached(&self, host: &str, position: Position) {
        let mut p = lock(&self.progress);
        let least = p.order.keys().next().cloned();
        p.remove(host);
        *p.order.entry(position.clone()).or_default() += 1;
        p.at.insert(host.to_owned(), position);
        let moved = p.order.keys().next() != least.as_ref();
        drop(p);
        if moved {
            self.tell();
        }
    }

    /// A host takes no part any more.
    pub(super) fn left(&self, host: &str, failed: bool) {
        let mut p = lock(&self.progress);
        p.remove(host);
        p.failed += usize::from(failed);
        let share = f64::from(u32::try_from(100 * p.failed / self.batch.len().max(1)).unwrap_or(u32::MAX));
        drop(p);
        if failed && self.max_fail.is_some_and(|max| share > max) {
            self.stop(&format!("more than {} % of the hosts failed", self.max_fail.unwrap_or_default()));
        }
        self.tell();
    }

    pub(super) fn tell(&self) {
        self.tick.send_modify(|n| *n = n.wrapping_add(1));
    }

    /// Everybody fails where they are; blocks may rescue them.
    pub(super) fn stop(&self, why: &str) {
        lock(&self.stops).push(why.to_owned());
        self.tell();
    }

    /// How often everybody was stopped.
    pub(super) fn stops(&self) -> usize {
        lock(&self.stops).len()
    }

    /// Why, where that happened more often than `seen`.
    pub(super) fn stopped(&self, seen: usize) -> Option<String> {
        lock(&self.stops).get(seen..).and_then(|new| new.last().cloned())
    }

    pub(super) fn end(&self) {
        *lock(&self.ended) = true;
        self.tell();
    }

    pub(super) fn ended(&self) -> bool {
        *lock(&self.ended)
    }

    /// Waits until no host is before a position; `false`: the play ended, or was stopped more often than `seen`.
    pub(super) async fn all_at(&self, position: &Position, seen: usize) -> bool {
        let mut tick = self.tick.subscribe();
        loop {
            if self.stops() > seen || self.ended() {
                return false;
            }
            if lock(&self.progress).order.keys().next().is_none_or(|least| least >= position) {
                return true;
            }
            if tick.changed().await.is_err() {
                return false;
            }
        }
    }

    /// What one host found out at a position, once it has; `None`: this host is the one to do it.
    pub(super) async fn once(&self, host: &str, position: &Position) -> Option<Once> {
        let mut tick = self.tick.subscribe();
        loop {
            if let Some(done) = lock(&self.once).get(position) {
                return Some(done.clone());
            }
            {
                let p = lock(&self.progress);
                let first = self.batch.iter().find(|h| p.at.get(*h).is_some_and(|at| at == position));
                if first.is_none_or(|h| h == host) {
                    return None;
                }
            }
            if tick.changed().await.is_err() {
                return None;
            }
        }
    }

    pub(super) fn publish(&self, position: Position, once: Once) {
        lock(&self.once).insert(position, once);
        self.tell();
    }
}
