//! Runs the embedded scripts on this host, with their progress as events.

use crate::{
    event::{Events, Kind},
    infra::InfraError,
};
use std::{collections::VecDeque, path::Path, process::Stdio};
use tokio::io::{AsyncBufReadExt, BufReader};

const LIB: &str = include_str!("artefacts/lib.sh");
/// Lines of the script's errors that are kept for the message.
const TAIL: usize = 12;

/// A script with its name and environment.
pub(super) struct Script<'a> {
    /// What it does, for errors: `building the node image`.
    pub(super) what: &'a str,
    /// Id of the step that progress belongs to.
    pub(super) step: &'a str,
    /// The text; `lib.sh` is put before it.
    pub(super) text: &'a str,
    /// Environment variables.
    pub(super) env: Vec<(&'a str, String)>,
}

impl Script<'_> {
    /// Runs it in `dir`. Lines that begin with `== ` are progress, everything it writes goes to `dir/NAME.log` too.
    pub(super) async fn run(&self, dir: &Path, events: &Events) -> Result<(), InfraError> {
        let failed = |why: String, hint: Option<String>| InfraError::Failed { what: self.what.to_owned(), why, hint };
        let text = format!("{LIB}{}", self.text);
        let mut child = tokio::process::Command::new("bash")
            .args(["-c", &text])
            .envs(self.env.iter().map(|(k, v)| (*k, v.as_str())))
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| failed(format!("bash cannot be started: {e}"), None))?;
        let out = child.stdout.take().map(|s| BufReader::new(s).lines());
        let err = child.stderr.take().map(|s| BufReader::new(s).lines());
        let progress = async {
            let Some(mut lines) = out else { return };
            let mut done = 0;
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some(message) = line.strip_prefix("== ") {
                    done += 1;
                    events.emit(Kind::StepProgress { id: self.step.to_owned(), message: message.to_owned(), done, total: None });
                }
            }
        };
        let errors = async {
            let mut tail = VecDeque::new();
            let Some(mut lines) = err else { return tail };
            while let Ok(Some(line)) = lines.next_line().await {
                tracing::debug!(script = self.what, "{line}");
                tail.push_back(line);
                if tail.len() > TAIL {
                    tail.pop_front();
                }
            }
            tail
        };
        let ((), tail, status) = tokio::join!(progress, errors, child.wait());
        let status = status.map_err(|e| failed(e.to_string(), None))?;
        if status.success() {
            return Ok(());
        }
        let tail = Vec::from(tail).join("\n");
        if status.code() == Some(3) {
            return Err(InfraError::Missing {
                what: format!("{}: {tail}", self.what),
                hint: "install what is named, then run the same command again".to_owned(),
            });
        }
        Err(failed(format!("{status}\n{tail}"), Some("run the same command again: finished stages are kept".to_owned())))
    }
}
