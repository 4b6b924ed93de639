//! What `ansible-playbook` prints, so that people's greps and eyes keep working. Shape and widths are those of
//! ansible-core 2.18: plugins/callback/default.py, utils/display.py (`banner`) and utils/color.py (`hostcolor`).

use super::{
    clean::{clean, clean_line},
    display::{Options, Renderer, Text},
    plain::Plain,
    summary::{Summary, why},
    words::{python_json, unified_diff},
};
use crate::event::{Event, Kind, Status};
use serde_json::{Value, json};
use std::{collections::HashMap, fmt::Write};

/// Columns where stdout is no terminal.
const COLUMNS: usize = 79;

/// See the module.
pub(super) struct Ansible {
    verbosity: u8,
    diff: bool,
    /// Task of the last banner: hosts advance independently, so it is repeated where it changes (as strategy `free` does).
    banner: Option<(u32, String)>,
    /// Name, module, whether a handler.
    started: HashMap<(String, u32), (String, String, bool)>,
    steps: Plain,
}

impl Ansible {
    pub(super) fn new(options: &Options) -> Self {
        let Options { verbosity, diff, .. } = *options;
        Self { verbosity, diff, banner: None, started: HashMap::new(), steps: Plain::new(options) }
    }

    fn task_banner(&mut self, out: &mut String, host: &str, task: u32, name: Option<&str>) {
        let (known, _, handler) = self.started.get(&(host.to_owned(), task)).cloned().unwrap_or_default();
        let name = name.unwrap_or(&known).to_owned();
        if self.banner.as_ref().is_none_or(|(last, _)| *last != task) {
            let kind = if handler { "RUNNING HANDLER" } else { "TASK" };
            banner(out, &format!("{kind} [{}]", clean_line(&name)));
            self.banner = Some((task, name));
        }
    }
}

impl Renderer for Ansible {
    fn event(&mut self, event: &Event) -> Text {
        let mut out = String::new();
        match &event.kind {
            Kind::PlayStarted { name, .. } => {
                self.banner = None;
                banner(&mut out, &format!("PLAY [{}]", clean_line(name)));
            }
            Kind::TaskStarted { host, task, name, module, handler, .. } => {
                self.started.insert((host.clone(), *task), (name.clone(), module.clone(), *handler));
                if self.banner.is_none() {
                    self.task_banner(&mut out, host, *task, Some(name));
                }
            }
            Kind::ItemFinished { host, task, item, status, message } => {
                self.task_banner(&mut out, host, *task, None);
                let (host, item) = (clean_line(host), clean_line(item));
                let _ = match status {
                    Status::Ok | Status::Rescued => writeln!(out, "ok: [{host}] => (item={item})"),
                    Status::Changed => writeln!(out, "changed: [{host}] => (item={item})"),
                    Status::Skipped => writeln!(out, "skipping: [{host}] => (item={item}) "),
                    _ => {
                        let value = json!({"msg": message});
                        writeln!(out, "failed: [{host}] (item={item}) => {}", python_json(&value, None))
                    }
                };
            }
            Kind::TaskFinished { host, task, name, status, message, output, diff, result, .. } => {
                self.task_banner(&mut out, host, *task, Some(name));
                let (_, module, _) = self.started.remove(&(host.clone(), *task)).unwrap_or_default();
                let host = clean_line(host);
                if self.diff {
                    for d in diff {
                        out.push_str(&unified_diff(d));
                        out.push('\n');
                    }
                }
                let mut shown = result.clone().filter(Value::is_object);
                let fail = || {
                    let said = output.as_ref().map(|o| json!({"rc": o.rc, "stdout": o.stdout, "stderr": o.stderr}));
                    let mut value = result.clone().or(said).filter(Value::is_object).unwrap_or_else(|| json!({"changed": false}));
                    if value.get("msg").is_none() {
                        value["msg"] = why(message.as_deref(), None).into();
                    }
                    value
                };
                let debug = module == "debug";
                if let Some(map) = shown.as_mut().and_then(Value::as_object_mut).filter(|_| debug) {
                    map.retain(|key, _| key != "changed" && key != "failed");
                }
                let tail = match &shown {
                    Some(value) if debug => format!(" => {}", python_json(value, Some(4))),
                    None if debug => {
                        let value = json!({"msg": message.clone().unwrap_or_default()});
                        format!(" => {}", python_json(&value, Some(4)))
                    }
                    Some(value) if self.verbosity > 0 => format!(" => {}", python_json(value, None)),
                    _ => String::new(),
                };
                let _ = match status {
                    Status::Ok => writeln!(out, "ok: [{host}]{tail}"),
                    Status::Changed => writeln!(out, "changed: [{host}]{tail}"),
                    Status::Skipped => writeln!(out, "skipping: [{host}]"),
                    Status::Failed | Status::Rescued => {
                        writeln!(out, "fatal: [{host}]: FAILED! => {}", python_json(&fail(), None))
                    }
                    Status::Ignored => {
                        writeln!(out, "fatal: [{host}]: FAILED! => {}\n...ignoring", python_json(&fail(), None))
                    }
                    Status::Unreachable => {
                        let value = json!({"changed": false, "msg": message, "unreachable": true});
                        writeln!(out, "fatal: [{host}]: UNREACHABLE! => {}", python_json(&value, None))
                    }
                };
            }
            Kind::HostLost { host, reason } => {
                let value = json!({"changed": false, "msg": reason, "unreachable": true});
                let _ = writeln!(out, "fatal: [{}]: UNREACHABLE! => {}", clean_line(host), python_json(&value, None));
            }
            Kind::Recap { hosts, .. } => {
                banner(&mut out, "PLAY RECAP");
                for (host, c) in hosts {
                    let _ = writeln!(
                        out,
                        "{:<26} : ok={:<4} changed={:<4} unreachable={:<4} failed={:<4} skipped={:<4} rescued={:<4} ignored={:<4}",
                        clean_line(host),
                        c.ok,
                        c.changed,
                        c.unreachable,
                        c.failed,
                        c.skipped,
                        c.rescued,
                        c.ignored
                    );
                }
                out.push('\n');
            }
            Kind::Warning { message } => return Text::err(format!("[WARNING]: {}\n", clean(message))),
            _ => return Text::err(self.steps.lines(event)),
        }
        Text::out(out)
    }

    fn end(&mut self, _: &Summary) -> Text {
        Text::default()
    }
}

fn banner(out: &mut String, message: &str) {
    let stars = COLUMNS.saturating_sub(message.chars().count()).max(3);
    let _ = writeln!(out, "\n{message} {}", "*".repeat(stars));
}
