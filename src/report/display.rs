//! Which renderer, which streams, which logs: the loop between the event stream and the person.

use super::{
    ansible::Ansible,
    json::Json,
    live::Live,
    log::Logs,
    plain::Plain,
    print,
    summary::{Summary, Tally},
};
use crate::event::Event;
use std::{io::IsTerminal, path::PathBuf};
use tokio::{sync::mpsc::UnboundedReceiver, task::JoinHandle};

/// How events are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A line per host that is drawn again and again (a terminal).
    Live,
    /// A line per change, failure and step (a pipe).
    Plain,
    /// One event a line, on stdout.
    Json,
    /// What `ansible-playbook` prints, on stdout.
    Ansible,
}

impl Format {
    /// Live on a terminal that can move its cursor, plain anywhere else.
    pub fn detect() -> Self {
        let dumb = std::env::var("TERM").is_ok_and(|t| t == "dumb") || std::env::var_os("CI").is_some();
        if std::io::stderr().is_terminal() && !dumb { Self::Live } else { Self::Plain }
    }
}

/// How a run is shown and logged.
#[derive(Clone, Debug)]
pub struct Options {
    /// The format.
    pub format: Format,
    /// Where a log per host and one of the run are kept; made 0700 if it is missing. `None`: no logs.
    pub log_dir: Option<PathBuf>,
    /// `-v`s: 1 shows tasks that changed nothing and results.
    pub verbosity: u8,
    /// Show diffs.
    pub diff: bool,
    /// Colour.
    pub colour: bool,
    /// The command, as a person would name it: `bootstrap lab`. `None`: a look that needs no closing words.
    pub title: Option<String>,
    /// The command to try after a run that ended well.
    pub next: Option<String>,
}

impl Options {
    /// A format, no logs, quiet.
    pub fn new(format: Format) -> Self {
        Self { format, log_dir: None, verbosity: 0, diff: false, colour: false, title: None, next: None }
    }

    /// The same for a command with a name, `bootstrap lab`, and a command to try next.
    #[must_use]
    pub fn titled(self, title: String, next: Option<String>) -> Self {
        Self { title: Some(title), next, ..self }
    }
}

/// What a renderer wants written.
#[derive(Default)]
pub(super) struct Text {
    pub(super) out: String,
    pub(super) err: String,
}

impl Text {
    pub(super) fn err(text: String) -> Self {
        Self { err: text, ..Self::default() }
    }
    pub(super) fn out(text: String) -> Self {
        Self { out: text, ..Self::default() }
    }
}

/// Turns events into text. Pure, but for the live one, which draws.
pub(super) trait Renderer: Send {
    fn event(&mut self, event: &Event) -> Text;
    /// After the last event.
    fn end(&mut self, summary: &Summary) -> Text;
}

pub(super) fn renderer(options: &Options) -> Box<dyn Renderer> {
    match options.format {
        Format::Live => Box::new(Live::new(options)),
        Format::Plain => Box::new(Plain::new(options)),
        Format::Json => Box::new(Json),
        Format::Ansible => Box::new(Ansible::new(options)),
    }
}

/// Shows a run.
pub struct Display;

impl Display {
    /// Shows events until the last sender is gone; await the handle before the process ends, or the summary is lost.
    /// A log that cannot be written is said once and does not end the run.
    pub fn start(options: Options, mut events: UnboundedReceiver<Event>) -> JoinHandle<Summary> {
        tokio::spawn(async move {
            let mut renderer = renderer(&options);
            let mut tally = Tally::default();
            let mut logs = options.log_dir.as_ref().map(|dir| Logs::new(dir));
            while let Some(event) = events.recv().await {
                tally.event(&event);
                if let Some(Err(error)) = logs.as_mut().map(|l| l.event(&event)) {
                    print::err(&format!("warning: no logs are kept: {error}\n"));
                    logs = None;
                }
                show(&renderer.event(&event));
            }
            let mut summary = tally.finish();
            summary.log_dir = logs.is_some().then(|| options.log_dir.clone()).flatten();
            summary.next.clone_from(&options.next);
            show(&renderer.end(&summary));
            summary
        })
    }
}

fn show(text: &Text) {
    if !text.out.is_empty() {
        print::out(&text.out);
    }
    if !text.err.is_empty() {
        print::err(&text.err);
    }
}
