//! Plain lines: one per change, failure and step. Readable in a CI log and by grep.

use super::{
    clean::{clean, clean_line},
    display::{Options, Renderer, Text},
    summary::{Summary, why},
    words::{duration, unified_diff},
};
use crate::event::{Event, Kind, Status};
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::{HashMap, HashSet},
    fmt::Write,
};

/// A step that has shown nothing for so long says how far it is: minutes of silence look like a hang.
const SILENCE: SignedDuration = SignedDuration::from_secs(10);

/// See the module.
pub(super) struct Plain {
    verbosity: u8,
    diff: bool,
    steps: HashMap<String, Step>,
    /// Tasks that only say something.
    debug: HashSet<u32>,
}

/// A step that is under way.
struct Step {
    title: String,
    host: Option<String>,
    shown: Timestamp,
}

impl Plain {
    pub(super) fn new(options: &Options) -> Self {
        Self { verbosity: options.verbosity, diff: options.diff, steps: HashMap::new(), debug: HashSet::new() }
    }

    /// The lines of one event, without the time.
    pub(super) fn lines(&mut self, event: &Event) -> String {
        let mut out = String::new();
        match &event.kind {
            Kind::RunStarted { title, hosts } => {
                let _ = writeln!(out, "{}{}", clean_line(title), count(hosts.len()));
            }
            Kind::StepStarted { id, title, host } => {
                self.steps.insert(id.clone(), Step { title: title.clone(), host: host.clone(), shown: event.at });
                line(&mut out, "start", host.as_deref(), title, "");
            }
            Kind::StepProgress { id, message, done, total } => {
                let Some(step) = self.steps.get_mut(id) else { return out };
                if self.verbosity > 0 || event.at.duration_since(step.shown) >= SILENCE {
                    step.shown = event.at;
                    let share = total.map_or(String::new(), |total| format!(" {done}/{total}"));
                    line(&mut out, "…", step.host.as_deref(), message, &share);
                }
            }
            Kind::StepFinished { id, error, changed, elapsed } => {
                let (title, host) = self.steps.remove(id).map_or_else(|| (id.clone(), None), |step| (step.title, step.host));
                let word = if error.is_some() {
                    "FAILED"
                } else if *changed {
                    "changed"
                } else {
                    "done"
                };
                line(&mut out, word, host.as_deref(), &title, &format!(" ({})", duration(*elapsed)));
                if let Some(error) = error {
                    block(&mut out, error);
                }
            }
            Kind::PlayStarted { name, hosts } => {
                let _ = writeln!(out, "play     {}{}", clean_line(name), count(hosts.len()));
            }
            Kind::ItemFinished { host, task, item, status, message } => {
                let failed = matches!(status, Status::Failed | Status::Unreachable);
                let says = *status == Status::Ok && self.debug.contains(task);
                if failed || says || self.verbosity > 0 || *status == Status::Changed {
                    line(&mut out, word(*status), Some(host), &format!("  item {item}"), "");
                }
                if let Some(message) = message.as_ref().filter(|_| failed || says) {
                    block(&mut out, message);
                }
            }
            Kind::TaskFinished { host, task, name, status, elapsed, message, output, diff, result } => {
                // What `debug` says is why it is there.
                let says = *status == Status::Ok && self.debug.contains(task);
                let failed = matches!(status, Status::Failed | Status::Unreachable | Status::Rescued | Status::Ignored);
                if failed || says || *status == Status::Changed || self.verbosity > 0 {
                    line(&mut out, word(*status), Some(host), name, &format!(" ({})", duration(*elapsed)));
                }
                if failed {
                    block(&mut out, &why(message.as_deref(), output.as_ref()));
                } else if let Some(message) = message.as_ref().filter(|_| says || self.verbosity > 0) {
                    block(&mut out, message);
                }
                if self.diff {
                    diff.iter().for_each(|d| out.push_str(&unified_diff(d)));
                }
                if let Some(result) = result.as_ref().filter(|_| self.verbosity > 1) {
                    block(&mut out, &result.to_string());
                }
            }
            Kind::HostLost { host, reason } => {
                line(&mut out, "LOST", Some(host), "host", "");
                block(&mut out, reason);
            }
            Kind::Cause { host, cause, fix, source, line: found } => {
                line(&mut out, "CAUSE", Some(host), cause, "");
                block(&mut out, &format!("{found}\n(in {source})\nwhat to do: {fix}"));
            }
            Kind::Warning { message } => {
                let _ = writeln!(out, "warning  {}", clean(message).replace('\n', "\n         "));
            }
            Kind::Note { message } => {
                let _ = writeln!(out, "note     {}", clean(message).replace('\n', "\n         "));
            }
            Kind::TaskStarted { task, module, .. } => {
                if module == "debug" {
                    self.debug.insert(*task);
                }
            }
            Kind::Recap { .. } => {}
        }
        out
    }
}

impl Renderer for Plain {
    fn event(&mut self, event: &Event) -> Text {
        Text::err(self.lines(event))
    }
    fn end(&mut self, summary: &Summary) -> Text {
        Text::err(summary.text())
    }
}

/// How a status is called; what needs attention is in capitals.
pub(super) fn word(status: Status) -> &'static str {
    match status {
        Status::Ok => "ok",
        Status::Changed => "changed",
        Status::Skipped => "skipped",
        Status::Failed => "FAILED",
        Status::Ignored => "ignored",
        Status::Rescued => "rescued",
        Status::Unreachable => "UNREACHABLE",
    }
}

fn count(hosts: usize) -> String {
    match hosts {
        0 => String::new(),
        1 => " (1 host)".to_owned(),
        n => format!(" ({n} hosts)"),
    }
}

fn line(out: &mut String, word: &str, host: Option<&str>, what: &str, after: &str) {
    let host = host.map_or(String::new(), |h| format!("{:16} ", clean_line(h)));
    let _ = writeln!(out, "{word:8} {host}{}{}", clean_line(what), clean_line(after));
}

fn block(out: &mut String, text: &str) {
    for line in clean(text).trim_end().lines() {
        let _ = writeln!(out, "         | {line}");
    }
}
