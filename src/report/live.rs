//! Live progress on a terminal: one line per host that is busy, one per step, lasting lines above for what changed.

use super::{
    clean::clean_line,
    display::{Options, Renderer, Text},
    plain::Plain,
    summary::Summary,
    words::duration,
};
use crate::event::{Event, Kind};
use indexmap::IndexMap;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::time::Duration;

/// More lines than this do not fit beside what scrolls by.
const LINES: usize = 16;

/// See the module.
pub(super) struct Live {
    area: MultiProgress,
    plain: Plain,
    bars: IndexMap<String, ProgressBar>,
    colour: bool,
}

impl Live {
    pub(super) fn new(options: &Options) -> Self {
        let bars = IndexMap::new();
        Self { area: MultiProgress::new(), plain: Plain::new(options), bars, colour: options.colour }
    }

    fn show(&mut self, key: &str, host: &str, what: &str) {
        if let Some(bar) = self.bars.get(key) {
            bar.set_message(clean_line(what));
            return;
        }
        if self.bars.len() >= LINES {
            return;
        }
        let bar = self.area.add(ProgressBar::new_spinner());
        let pattern = if self.colour {
            "{spinner:.cyan} {prefix:18.bold} {wide_msg} {elapsed:.dim}"
        } else {
            "{spinner} {prefix:18} {wide_msg} {elapsed}"
        };
        if let Ok(style) = ProgressStyle::with_template(pattern) {
            bar.set_style(style);
        }
        bar.set_prefix(clean_line(host));
        bar.set_message(clean_line(what));
        bar.enable_steady_tick(Duration::from_millis(120));
        self.bars.insert(key.to_owned(), bar);
    }

    fn hide(&mut self, key: &str) {
        if let Some(bar) = self.bars.shift_remove(key) {
            bar.finish_and_clear();
            self.area.remove(&bar);
        }
    }
}

impl Renderer for Live {
    fn event(&mut self, event: &Event) -> Text {
        match &event.kind {
            Kind::StepStarted { id, title, host } => {
                // A step's start is seen by its line; only its end is worth keeping.
                let _ = self.plain.lines(event);
                self.show(&format!("step {id}"), host.as_deref().unwrap_or(""), title);
                return Text::default();
            }
            Kind::StepProgress { id, message, done, total } => {
                let share = total.map_or(String::new(), |total| format!(" {done}/{total}"));
                if let Some(bar) = self.bars.get(&format!("step {id}")) {
                    bar.set_message(clean_line(&format!("{message}{share}")));
                }
            }
            Kind::StepFinished { id, .. } => self.hide(&format!("step {id}")),
            Kind::TaskStarted { host, name, .. } => self.show(&format!("host {host}"), host, name),
            Kind::ItemFinished { host, item, .. } => {
                if let Some(bar) = self.bars.get(&format!("host {host}")) {
                    bar.set_message(clean_line(&format!("{} ({item})", bar.message().split(" (").next().unwrap_or(""))));
                }
            }
            Kind::TaskFinished { host, name, elapsed, .. } => {
                if let Some(bar) = self.bars.get(&format!("host {host}")) {
                    bar.set_message(clean_line(&format!("{name} · {}", duration(*elapsed))));
                }
            }
            Kind::HostLost { host, .. } => self.hide(&format!("host {host}")),
            Kind::PlayStarted { .. } | Kind::Recap { .. } => {
                let hosts: Vec<_> = self.bars.keys().filter(|k| k.starts_with("host ")).cloned().collect();
                hosts.iter().for_each(|host| self.hide(host));
            }
            _ => {}
        }
        let text = self.plain.lines(event);
        if !text.is_empty() {
            // Fails only when the terminal is gone.
            let _ = self.area.println(text.trim_end());
        }
        Text::default()
    }

    fn end(&mut self, summary: &Summary) -> Text {
        let keys: Vec<_> = self.bars.keys().cloned().collect();
        keys.iter().for_each(|key| self.hide(key));
        Text::err(summary.text())
    }
}
