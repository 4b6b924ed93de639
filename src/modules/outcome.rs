//! What a step said → a task's result. Our own sh writes named fields: RS name US value RS (ASCII 30 and 31); see
//! `sh/base.sh`. Anything outside of fields is plain output.

use super::{Finish, TaskResult};
use crate::{
    event::Diff,
    session::{Outcome, Verdict},
};
use indexmap::IndexMap;
use minijinja::Value;
use std::sync::Arc;

/// Fields and plain output of a step.
pub(super) struct Said {
    pub(super) fields: IndexMap<String, String>,
    pub(super) text: String,
}

impl Said {
    pub(super) fn of(stdout: &[u8]) -> Self {
        let mut said = Self { fields: IndexMap::new(), text: String::new() };
        for piece in String::from_utf8_lossy(stdout).split('\u{1e}') {
            match piece.split_once('\u{1f}') {
                Some((name, value)) => {
                    said.fields.insert(name.to_owned(), value.to_owned());
                }
                None => said.text.push_str(piece),
            }
        }
        said
    }

    pub(super) fn get(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }
}

/// Whether the verdict means that something was, or would be, changed.
pub(super) fn changed(outcome: &Outcome) -> bool {
    matches!(outcome.verdict, Verdict::Changed | Verdict::WouldChange)
}

/// Whether the step failed.
pub(super) fn failed(outcome: &Outcome) -> bool {
    matches!(outcome.verdict, Verdict::CheckFailed | Verdict::ApplyFailed | Verdict::TimedOut)
}

/// Standard output or error as Ansible registers it: without trailing line ends.
pub(super) fn stream(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches(['\r', '\n']).to_owned()
}

/// The lines of a registered stream.
pub(super) fn lines(text: &str) -> Value {
    text.lines().map(Value::from).collect()
}

/// Result of one of our own programs: verdict, the fields `msg`, `warning`, `before`/`after` (a diff of `subject`),
/// `out_NAME` (registered as NAME), and on failure the last lines of stderr as the message, with `rc` and the streams.
pub(super) fn base(outcome: &Outcome) -> (TaskResult, Said) {
    let said = Said::of(&outcome.stdout);
    let mut result = TaskResult { changed: changed(outcome), failed: failed(outcome), ..TaskResult::default() };
    for (name, value) in &said.fields {
        if let Some(name) = name.strip_prefix("out_") {
            result.fields.insert(name.to_owned(), Value::from(value.as_str()));
        }
    }
    result.fields.extend(path_info(said.get("stat")));
    if said.has("before") || said.has("after") {
        let (before, after) = (said.get("before").to_owned(), said.get("after").to_owned());
        result.diff.push(Diff { subject: said.get("subject").to_owned(), before, after });
    }
    if said.has("warning") {
        result.warnings.push(said.get("warning").to_owned());
    }
    if said.has("msg") {
        result.msg = Some(said.get("msg").to_owned());
    }
    if result.failed {
        let stderr = stream(&outcome.stderr);
        let stdout = stream(said.text.as_bytes());
        result.changed = false;
        result.msg = Some(failure_message(outcome, &stderr, &stdout));
        result.fields.insert("rc".into(), outcome.rc.into());
        result.fields.insert("stdout".into(), stdout.into());
        // The cause is the message already.
        let stderr = stderr.rfind("cause: ").map_or(stderr.as_str(), |at| stderr[..at].trim_end());
        result.fields.insert("stderr".into(), stderr.into());
    }
    (result, said)
}

/// `%f %u %g %U %G %s %h` of `kw_report` → what Ansible tells of `path` or `dest` in every result
/// (`module_utils/basic.py`, `add_path_info`).
fn path_info(stat: &str) -> Vec<(String, Value)> {
    let words: Vec<&str> = stat.split_whitespace().collect();
    let [mode, uid, gid, user, group, size, links] = words[..] else { return Vec::new() };
    let mode = u32::from_str_radix(mode, 16).unwrap_or_default();
    let state = match mode & 0o170_000 {
        0o120_000 => "link",
        0o040_000 => "directory",
        _ if links != "1" => "hard",
        _ => "file",
    };
    let number = |text: &str| Value::from(text.parse::<i64>().unwrap_or_default());
    // An id without a name.
    let name = |name: &str, id: &str| Value::from(if name == "UNKNOWN" { id } else { name });
    [
        ("uid", number(uid)),
        ("gid", number(gid)),
        ("owner", name(user, uid)),
        ("group", name(group, gid)),
        ("mode", Value::from(format!("0{:03o}", mode & 0o7777))),
        ("state", Value::from(state)),
        ("size", number(size)),
    ]
    .map(|(k, v)| (k.to_owned(), v))
    .to_vec()
}

/// `cause: …` where our sh found the cause; else the last lines of stderr, else of stdout.
fn failure_message(outcome: &Outcome, stderr: &str, stdout: &str) -> String {
    let tail = |text: &str| {
        let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    };
    let what = if outcome.verdict == Verdict::TimedOut { "timed out: " } else { "" };
    if let Some(at) = stderr.rfind("cause: ") {
        return format!("{what}{}", stderr[at + 7..].trim_end());
    }
    let text = if stderr.trim().is_empty() { tail(stdout) } else { tail(stderr) };
    if text.is_empty() { format!("{what}exit code {}", outcome.rc) } else { format!("{what}{text}") }
}

/// What a module that does not know check mode says there, as in Ansible.
pub(super) fn no_check_mode(msg: &str) -> TaskResult {
    TaskResult { skipped: true, msg: Some(msg.to_owned()), ..TaskResult::default() }
}

/// [`base`] as a finish.
pub(super) fn plain() -> Finish {
    Arc::new(|outcome| base(outcome).0)
}

/// [`base`], then `more`, which sees only steps that did not fail.
pub(super) fn with(more: impl Fn(&mut TaskResult, &Said, &Outcome) + Send + Sync + 'static) -> Finish {
    Arc::new(move |outcome| {
        let (mut result, said) = base(outcome);
        if !result.failed {
            more(&mut result, &said, outcome);
        }
        result
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::time::Duration;

    #[test]
    fn fields_are_taken_out_of_the_output() {
        let said = Said::of(b"a\n\x1emsg\x1ftwo\nlines\x1e\x1eout_x\x1f\x1eb\n");
        assert_eq!((said.get("msg"), said.get("out_x"), said.text.as_str()), ("two\nlines", "", "a\nb\n"));
    }

    #[test]
    fn a_failure_names_its_cause() {
        let outcome = |stderr: &'static str| Outcome {
            id: 0,
            verdict: Verdict::ApplyFailed,
            rc: 3,
            stdout: Bytes::new(),
            stderr: Bytes::from_static(stderr.as_bytes()),
            truncated: false,
            elapsed: Duration::ZERO,
        };
        assert_eq!(base(&outcome("a\ncause: no /dev/kmsg\n")).0.msg.as_deref(), Some("no /dev/kmsg"));
        assert_eq!(base(&outcome("")).0.msg.as_deref(), Some("exit code 3"));
    }
}
