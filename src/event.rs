//! What happened, as data: the interface between the work (engine, providers, ops) and whoever shows it (report).
//! No text is printed here or by those who emit.

use jiff::Timestamp;
use serde::Serialize;
use std::{
    sync::{Arc, RwLock},
    time::Duration,
};
use tokio::sync::mpsc;

/// One thing that happened.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub kind: Kind,
}

/// How one task ended on one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Nothing had to be changed.
    Ok,
    /// Something was changed (or would be, in check mode).
    Changed,
    /// Its condition was false.
    Skipped,
    /// It failed.
    Failed,
    /// It failed, and the playbook says to go on.
    Ignored,
    /// It failed and a `rescue` takes over.
    Rescued,
    /// The host could not be reached.
    Unreachable,
}

/// Before and after of one file or setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// What it is about: a path, a setting.
    pub subject: String,
    /// Text before; empty where there was none.
    pub before: String,
    /// Text after; empty where nothing stays.
    pub after: String,
}

/// Counts of one host at the end of a run, as in Ansible's recap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Tasks that ended well, the changed ones included.
    pub ok: u32,
    /// Tasks that changed something.
    pub changed: u32,
    /// 1 when the host could not be reached.
    pub unreachable: u32,
    /// Tasks that failed for good.
    pub failed: u32,
    /// Tasks whose condition was false.
    pub skipped: u32,
    /// Failures that a `rescue` took over.
    pub rescued: u32,
    /// Failures that the playbook ignored.
    pub ignored: u32,
}

/// What kind of thing happened.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Kind {
    /// A run begins.
    RunStarted {
        /// The command, as a person would name it: `bootstrap lab`.
        title: String,
        /// Hosts it is about, where they are known already.
        hosts: Vec<String>,
    },
    /// A step outside the playbooks begins: building an image, booting a machine, probing the network.
    StepStarted {
        /// Stable id, unique within the run: `lab/machine/worker-1`.
        id: String,
        /// For people.
        title: String,
        /// The machine it is about, if it is about one.
        host: Option<String>,
    },
    /// How far a step is.
    StepProgress {
        /// The step.
        id: String,
        /// What it does just now.
        message: String,
        /// Done so far, in whatever unit `total` has.
        done: u64,
        /// All there is to do, where that is known.
        total: Option<u64>,
    },
    /// A step ended.
    StepFinished {
        /// The step.
        id: String,
        /// `None`: well. Otherwise why it failed.
        error: Option<String>,
        /// Whether anything was changed by it.
        changed: bool,
        /// Its time.
        elapsed: Duration,
    },
    /// A play begins on its hosts.
    PlayStarted {
        /// Its name.
        name: String,
        /// Its hosts.
        hosts: Vec<String>,
    },
    /// A task begins on a host.
    TaskStarted {
        /// The host.
        host: String,
        /// Number of the task in the loaded playbook: the same on all hosts.
        task: u32,
        /// Its name, templated for this host.
        name: String,
        /// Module, short name.
        module: String,
        /// `file:line:column` of the task.
        place: String,
        /// Whether it is a handler.
        handler: bool,
    },
    /// One item of a task's loop ended.
    ItemFinished {
        /// The host.
        host: String,
        /// The task.
        task: u32,
        /// The item's label.
        item: String,
        /// How it ended.
        status: Status,
        /// Its message, where it has one.
        message: Option<String>,
    },
    /// A task ended on a host.
    TaskFinished {
        /// The host.
        host: String,
        /// The task.
        task: u32,
        /// Its name, templated for this host.
        name: String,
        /// How it ended.
        status: Status,
        /// Time since it began on this host.
        elapsed: Duration,
        /// Why it failed or was skipped, what `debug` says; secrets are already gone.
        message: Option<String>,
        /// What the last command wrote, for the log and for failures.
        output: Option<Output>,
        /// What changed, when diffs were asked for.
        diff: Vec<Diff>,
        /// The registered result as JSON for `-v`; `None` with `no_log`.
        result: Option<serde_json::Value>,
    },
    /// A host dropped out of the run.
    HostLost {
        /// The host.
        host: String,
        /// Why, and what to do.
        reason: String,
    },
    /// Why something failed: a known line in a message or a log.
    Cause {
        /// The host where it was found.
        host: String,
        /// What the line means.
        cause: String,
        /// What to do.
        fix: String,
        /// Where the line stands: `kubelet`, `pod/etcd`, `message`.
        source: String,
        /// The line.
        line: String,
    },
    /// Something a person should see although nothing failed.
    Warning {
        /// The text.
        message: String,
    },
    /// Information.
    Note {
        /// The text.
        message: String,
    },
    /// The end of the playbooks.
    Recap {
        /// Counts by host, in inventory order.
        hosts: Vec<(String, Counts)>,
        /// How long all of it took.
        elapsed: Duration,
    },
}

/// What a command said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Output {
    /// Exit code.
    pub rc: i32,
    /// Standard output, lossy UTF-8, capped.
    pub stdout: String,
    /// Standard error, lossy UTF-8, capped.
    pub stderr: String,
}

/// Where events go. Cheap to clone; emitting never blocks and never fails.
#[derive(Clone, Debug)]
pub struct Events(Arc<RwLock<Option<mpsc::UnboundedSender<Event>>>>);

impl Events {
    /// A sink and the stream of what is emitted into it.
    pub fn channel() -> (Self, mpsc::UnboundedReceiver<Event>) {
        let (tx, rx) = mpsc::unbounded_channel();
        (Self(Arc::new(RwLock::new(Some(tx)))), rx)
    }

    /// A sink that forgets.
    pub fn none() -> Self {
        Self(Arc::default())
    }

    /// The end: whoever shows the events shows the rest of them and stops. What is emitted later is forgotten.
    pub fn close(&self) {
        if let Ok(mut sender) = self.0.write() {
            *sender = None;
        }
    }

    /// Says that something happened, now.
    pub fn emit(&self, kind: Kind) {
        if let Some(tx) = self.0.read().ok().as_deref().and_then(Option::as_ref) {
            // A reader that is gone no longer wants to know.
            let _ = tx.send(Event { at: Timestamp::now(), kind });
        }
    }

    /// A warning.
    pub fn warn(&self, message: impl Into<String>) {
        self.emit(Kind::Warning { message: message.into() });
    }

    /// A note.
    pub fn note(&self, message: impl Into<String>) {
        self.emit(Kind::Note { message: message.into() });
    }

    /// Runs `work` as a named step: its start, end, time and error become events.
    pub async fn step<T, E: std::fmt::Display>(
        &self,
        id: &str,
        title: &str,
        host: Option<&str>,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.tell(id, title, host, false, work).await
    }

    /// As [`Events::step`], for work that changes something when it succeeds.
    pub async fn change<T, E: std::fmt::Display>(
        &self,
        id: &str,
        title: &str,
        host: Option<&str>,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.tell(id, title, host, true, work).await
    }

    async fn tell<T, E: std::fmt::Display>(
        &self,
        id: &str,
        title: &str,
        host: Option<&str>,
        changes: bool,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let begun = std::time::Instant::now();
        self.emit(Kind::StepStarted { id: id.to_owned(), title: title.to_owned(), host: host.map(str::to_owned) });
        let result = work.await;
        self.emit(Kind::StepFinished {
            id: id.to_owned(),
            error: result.as_ref().err().map(ToString::to_string),
            changed: changes && result.is_ok(),
            elapsed: begun.elapsed(),
        });
        result
    }
}
