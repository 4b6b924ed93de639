//! What all hosts of a run share, and what is known about each host.

use super::{Connector, RunOptions, Services, Shell};
use crate::{
    event::{Counts, Events},
    inventory::{Inventory, RawVars},
    playbook::{Entries, LoadOptions, LoadedRole, Prompt},
    template::Templar,
};
use indexmap::IndexMap;
use minijinja::Value;
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, atomic::AtomicBool},
};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

/// Locks, whoever may have panicked before.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was loaded for a task, by its number and what it named.
type Loaded<Key, What> = HashMap<(u32, Key), Result<What, String>>;

/// Shells by host and user.
type Idle = HashMap<(String, String), Vec<Arc<dyn Shell>>>;

/// The run.
pub(super) struct World {
    pub(super) templar: Templar,
    pub(super) load: LoadOptions,
    pub(super) options: RunOptions,
    pub(super) events: Events,
    pub(super) cancel: CancellationToken,
    pub(super) connector: Arc<dyn Connector>,
    pub(super) services: Arc<dyn Services>,
    pub(super) inventory: RwLock<Inventory>,
    hosts: RwLock<HashMap<String, Arc<Host>>>,
    /// Dynamic includes by task and file: all hosts share what was loaded, numbers included.
    pub(super) includes: Mutex<Loaded<PathBuf, Entries>>,
    /// The same for roles.
    pub(super) roles: Mutex<Loaded<String, Arc<LoadedRole>>>,
    /// The same for files of variables.
    pub(super) var_files: Mutex<HashMap<PathBuf, Result<RawVars, String>>>,
    /// Shells that nobody uses just now, by host and user.
    pub(super) idle: Mutex<Idle>,
    pub(super) forks: Semaphore,
    pub(super) throttles: Mutex<HashMap<u32, Arc<Semaphore>>>,
    /// Ticks whenever something happened that another host may wait for.
    pub(super) tick: watch::Sender<u64>,
    /// Work that goes on beside the plays.
    pub(super) jobs: super::jobs::Jobs,
    answers: Mutex<HashMap<String, Value>>,
    /// The task of `--start-at-task` was met.
    pub(super) begun: AtomicBool,
    /// Warnings said once.
    warned: Mutex<HashSet<String>>,
}

/// What is known about a host.
pub(super) struct Host {
    pub(super) name: String,
    pub(super) data: Mutex<HostData>,
}

/// See [`Host`].
#[derive(Default)]
pub(super) struct HostData {
    /// Inventory variables of the host and its groups, merged.
    pub(super) base: Arc<RawVars>,
    /// Facts without prefix.
    pub(super) facts: IndexMap<String, Value>,
    /// Those that modules brought (`services`, `packages`): they have their name without `ansible_` too.
    pub(super) brought: BTreeSet<String>,
    /// Facts that were asked for, whether or not the host has them.
    pub(super) asked: BTreeSet<String>,
    /// All facts were asked for.
    pub(super) asked_all: bool,
    /// Facts may be gathered for templates: `gather_facts` or `setup` has run.
    pub(super) facts_on: bool,
    /// `include_vars`.
    pub(super) included: RawVars,
    /// `set_fact` and `register`.
    pub(super) set: IndexMap<String, Value>,
    pub(super) counts: Counts,
    /// It was in a play.
    pub(super) touched: bool,
    pub(super) failed: Option<String>,
    pub(super) unreachable: Option<String>,
    /// It will not set anything any more in this group of plays.
    pub(super) done: bool,
}

impl HostData {
    /// Still takes part.
    pub(super) fn alive(&self) -> bool {
        self.failed.is_none() && self.unreachable.is_none()
    }
}

impl Host {
    pub(super) fn data(&self) -> MutexGuard<'_, HostData> {
        lock(&self.data)
    }
}

impl World {
    pub(super) fn new(
        context: super::Context,
        inventory: Inventory,
        options: RunOptions,
        events: Events,
        cancel: CancellationToken,
        templar: Templar,
    ) -> Arc<Self> {
        let super::Context { load, connector, services } = context;
        let forks = Semaphore::new(options.forks.max(1));
        Arc::new(Self {
            templar,
            load,
            options,
            events,
            cancel,
            connector,
            services,
            inventory: RwLock::new(inventory),
            hosts: RwLock::default(),
            includes: Mutex::default(),
            roles: Mutex::default(),
            var_files: Mutex::default(),
            idle: Mutex::default(),
            forks,
            throttles: Mutex::default(),
            tick: watch::Sender::new(0),
            warned: Mutex::default(),
            begun: AtomicBool::new(false),
            jobs: super::jobs::Jobs::default(),
            answers: Mutex::default(),
        })
    }

    /// Hosts that were met, in or out of the inventory.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.hosts.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect();
        names.sort();
        names
    }

    /// The answer to a `vars_prompt`, asked once for all hosts.
    pub(super) async fn answer(&self, prompt: &Prompt) -> Value {
        if let Some(known) = lock(&self.answers).get(&prompt.name) {
            return known.clone();
        }
        let said = self.services.ask(&prompt.prompt, !prompt.private).await.filter(|a| !a.is_empty());
        let value = said.map(Value::from).or_else(|| prompt.default.clone()).unwrap_or_else(|| Value::from(""));
        lock(&self.answers).entry(prompt.name.clone()).or_insert(value).clone()
    }

    /// A host, known to the inventory or not.
    pub(super) fn host(&self, name: &str) -> Arc<Host> {
        if let Some(host) = self.known(name) {
            return host;
        }
        let base = Arc::new(self.with_inventory(|i| i.host_vars(name)));
        let mut hosts = self.hosts.write().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Host { name: name.to_owned(), data: Mutex::new(HostData { base, ..HostData::default() }) });
        Arc::clone(hosts.entry(name.to_owned()).or_insert_with(new))
    }

    fn known(&self, name: &str) -> Option<Arc<Host>> {
        self.hosts.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    pub(super) fn with_inventory<T>(&self, f: impl FnOnce(&Inventory) -> T) -> T {
        f(&self.inventory.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the inventory and what hosts get from it.
    pub(super) fn change_inventory(&self, f: impl FnOnce(&mut Inventory)) {
        f(&mut self.inventory.write().unwrap_or_else(PoisonError::into_inner));
        let hosts: Vec<Arc<Host>> = self.hosts.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        for host in hosts {
            let base = Arc::new(self.with_inventory(|i| i.host_vars(&host.name)));
            host.data().base = base;
        }
        self.changed();
    }

    /// Says that something happened that others may wait for.
    pub(super) fn changed(&self) {
        self.tick.send_modify(|n| *n = n.wrapping_add(1));
    }

    /// A warning, once.
    pub(super) fn warn_once(&self, message: &str) {
        if lock(&self.warned).insert(message.to_owned()) {
            self.events.warn(message);
        }
    }
}
