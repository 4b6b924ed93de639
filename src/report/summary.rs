//! What a run came to: gathered from events, said at the end.

use super::{
    clean::{clean, clean_line},
    critical_path::{Work, critical_path},
    words::duration,
};
use crate::event::{Counts, Event, Kind, Status};
use indexmap::IndexMap;
use jiff::Timestamp;
use std::{fmt::Write, path::PathBuf, time::Duration};

/// A shorter run needs no explanation of where its time went.
const LONG: Duration = Duration::from_secs(10);

/// What a run came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// What the run was.
    pub title: String,
    /// Whether any step or play began. A run that was refused before has nothing to sum up.
    pub worked: bool,
    /// Counts per host; empty when no playbook ran.
    pub hosts: IndexMap<String, Counts>,
    /// What changed: the task or step, and on which hosts.
    pub changed: IndexMap<String, Vec<String>>,
    /// What failed: host (empty for a step of no host), what, why.
    pub failures: Vec<(String, String, String)>,
    /// Known causes of what failed, the first one first: host, cause, the line that shows it, what to do.
    pub causes: Vec<(String, String, String, String)>,
    /// Warnings, each once.
    pub warnings: Vec<String>,
    /// The slowest tasks and steps with their hosts, longest first, at most five and none below a second.
    pub slowest: Vec<(Duration, String)>,
    /// What all of it waited for, in order: time, task or step, and its host (empty: none). Empty for runs on one host.
    pub critical_path: Vec<(Duration, String, String)>,
    /// All of it.
    pub elapsed: Duration,
    /// Where logs are.
    pub log_dir: Option<PathBuf>,
    /// What to try next.
    pub next: Option<String>,
}

impl Summary {
    /// The closing words.
    pub(super) fn text(&self) -> String {
        // Nothing was done to any machine (a look, a list): there is nothing to sum up.
        if (self.title.is_empty() || !self.worked) && self.hosts.is_empty() && self.changed.is_empty() && self.failures.is_empty() {
            return String::new();
        }
        let mut out = String::from("\n");
        if !self.changed.is_empty() {
            out.push_str("Changed:\n");
            let shown = 15;
            for (what, hosts) in self.changed.iter().take(shown) {
                let _ = writeln!(out, "  {}{}", clean_line(what), on(hosts));
            }
            if let Some(more) = self.changed.len().checked_sub(shown).filter(|n| *n > 0) {
                let _ = writeln!(out, "  … and {more} more (see the logs)");
            }
        }
        if !self.slowest.is_empty() {
            out.push_str("Slowest:\n");
            for (time, what) in &self.slowest {
                let _ = writeln!(out, "  {:>12}  {}", duration(*time), clean_line(what));
            }
        }
        if self.elapsed >= LONG && !self.critical_path.is_empty() {
            out.push_str("Critical path:\n");
            for (time, what, host) in &self.critical_path {
                let host = if host.is_empty() { Vec::new() } else { vec![host.clone()] };
                let _ = writeln!(out, "  {:>12}  {}{}", duration(*time), clean_line(what), on(&host));
            }
        }
        if !self.causes.is_empty() {
            out.push_str("Why:\n");
            for (host, cause, line, fix) in &self.causes {
                let _ = writeln!(
                    out,
                    "  {}: {}\n      {}\n      what to do: {}",
                    clean_line(host),
                    clean_line(cause),
                    clean_line(line),
                    clean_line(fix)
                );
            }
        }
        if !self.failures.is_empty() {
            out.push_str("Failed:\n");
            for (host, what, why) in &self.failures {
                let host = if host.is_empty() { String::new() } else { format!("{}: ", clean_line(host)) };
                let why = clean(why).trim_end().replace('\n', "\n      ");
                let _ = writeln!(out, "  {host}{}\n      {why}", clean_line(what));
            }
        }
        let width = self.hosts.keys().map(|h| h.chars().count()).max().unwrap_or(0);
        for (host, c) in &self.hosts {
            let mut line = format!("{:width$}  ok {}, changed {}", clean_line(host), c.ok, c.changed);
            for (word, count) in [("failed", c.failed), ("unreachable", c.unreachable), ("rescued", c.rescued), ("ignored", c.ignored)] {
                if count > 0 {
                    let _ = write!(line, ", {word} {count}");
                }
            }
            let _ = writeln!(out, "{line}");
        }
        let verdict = if self.failures.is_empty() { "done" } else { "FAILED" };
        let title = if self.title.is_empty() { "run" } else { &self.title };
        let what = if self.changed.is_empty() { "nothing changed".to_owned() } else { format!("{} changed", self.changed.len()) };
        let _ = writeln!(out, "{}: {verdict} in {}, {what}", clean_line(title), duration(self.elapsed));
        if let Some(dir) = &self.log_dir {
            let _ = writeln!(out, "logs: {}", clean_line(&dir.display().to_string()));
        }
        if let Some(next) = self.next.as_ref().filter(|_| self.failures.is_empty()) {
            let _ = writeln!(out, "next: {next}");
        }
        out
    }
}

/// ` (worker-1, worker-2)`, ` (12 hosts)`.
fn on(hosts: &[String]) -> String {
    match hosts.len() {
        0 => String::new(),
        1..=4 => format!(" ({})", hosts.iter().map(|h| clean_line(h)).collect::<Vec<_>>().join(", ")),
        n => format!(" ({n} hosts)"),
    }
}

/// Gathers a [`Summary`].
#[derive(Default)]
pub(super) struct Tally {
    summary: Summary,
    begun: Option<Timestamp>,
    last: Option<Timestamp>,
    times: IndexMap<String, (Duration, String)>,
    steps: IndexMap<String, (String, Option<String>)>,
    work: Vec<Work>,
}

impl Tally {
    pub(super) fn event(&mut self, event: &Event) {
        self.begun.get_or_insert(event.at);
        self.last = Some(event.at);
        let s = &mut self.summary;
        match &event.kind {
            Kind::RunStarted { title, .. } => s.title.clone_from(title),
            Kind::PlayStarted { .. } => s.worked = true,
            Kind::StepStarted { id, title, host } => {
                s.worked = true;
                self.steps.insert(id.clone(), (title.clone(), host.clone()));
            }
            Kind::StepFinished { id, error, changed, elapsed } => {
                let (title, host) = self.steps.shift_remove(id).unwrap_or_else(|| (id.clone(), None));
                let host = host.unwrap_or_default();
                if *changed {
                    let hosts = s.changed.entry(title.clone()).or_default();
                    hosts.extend((!host.is_empty()).then(|| host.clone()));
                }
                if let Some(error) = error {
                    s.failures.push((host.clone(), title.clone(), error.clone()));
                }
                self.time(&title, &host, *elapsed, event.at);
            }
            Kind::TaskFinished { host, name, status, elapsed, message, output, .. } => {
                match status {
                    Status::Changed => s.changed.entry(name.clone()).or_default().push(host.clone()),
                    Status::Failed | Status::Unreachable => {
                        s.failures.push((host.clone(), name.clone(), why(message.as_deref(), output.as_ref())));
                    }
                    _ => {}
                }
                self.time(name, host, *elapsed, event.at);
            }
            Kind::HostLost { host, reason } if !s.failures.iter().any(|(h, _, why)| h == host && why == reason) => {
                s.failures.push((host.clone(), "host lost".to_owned(), reason.clone()));
            }
            Kind::Cause { host, cause, fix, line, .. } => {
                s.causes.push((host.clone(), cause.clone(), line.clone(), fix.clone()));
            }
            Kind::Warning { message } if !s.warnings.contains(message) => {
                s.warnings.push(message.clone());
            }
            Kind::Recap { hosts, elapsed } => {
                s.elapsed += *elapsed;
                for (host, counts) in hosts {
                    let sum = s.hosts.entry(host.clone()).or_default();
                    sum.ok += counts.ok;
                    sum.changed += counts.changed;
                    sum.unreachable = sum.unreachable.max(counts.unreachable);
                    sum.failed += counts.failed;
                    sum.skipped += counts.skipped;
                    sum.rescued += counts.rescued;
                    sum.ignored += counts.ignored;
                }
            }
            _ => {}
        }
    }

    /// The longest of all hosts counts: they work side by side.
    fn time(&mut self, what: &str, host: &str, elapsed: Duration, ended: Timestamp) {
        let begun = ended - jiff::SignedDuration::try_from(elapsed).unwrap_or_default();
        self.work.push(Work { begun, ended, host: host.to_owned(), name: what.to_owned() });
        let entry = self.times.entry(what.to_owned()).or_default();
        if elapsed > entry.0 {
            *entry = (elapsed, host.to_owned());
        }
    }

    pub(super) fn finish(mut self) -> Summary {
        let mut slowest: Vec<_> = self
            .times
            .into_iter()
            .filter(|(_, (time, _))| *time >= Duration::from_secs(1))
            .map(|(what, (time, host))| (time, if host.is_empty() { what } else { format!("{what} ({host})") }))
            .collect();
        slowest.sort_by(|a, b| b.cmp(a));
        slowest.truncate(5);
        self.summary.slowest = slowest;
        // With machines before and a report after them, a run is longer than its playbooks.
        let whole = self.begun.zip(self.last).and_then(|(begun, last)| Duration::try_from(last.duration_since(begun)).ok());
        self.summary.elapsed = self.summary.elapsed.max(whole.unwrap_or_default());
        if self.summary.hosts.len() > 1 {
            self.summary.critical_path = critical_path(&self.work);
        }
        self.summary
    }
}

/// The message, and the last lines of what the command said where the message does not say it already.
pub(super) fn why(message: Option<&str>, output: Option<&crate::event::Output>) -> String {
    let mut text = message.unwrap_or("failed").trim_end().to_owned();
    if let Some(output) = output {
        let said = if output.stderr.trim().is_empty() { &output.stdout } else { &output.stderr };
        let lines: Vec<_> = said.trim_end().lines().collect();
        let tail = lines[lines.len().saturating_sub(6)..].join("\n");
        if !tail.is_empty() && !text.contains(tail.as_str()) {
            let _ = write!(text, "\n{tail}");
        }
    }
    text
}
