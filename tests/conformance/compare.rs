//! Differences between what ansible-core and kubewright did.

use super::{
    case::Case,
    run::{Did, Task},
    snapshot::{Snapshot, normal_name},
};
use serde_json::Value;
use std::{collections::BTreeSet, fmt};

/// Where a difference is: `first/h1/2 copy/result.mode`, `first/recap/h1/changed`, `second/tree/etc/motd`; as a pattern
/// with `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(pub String);

impl Path {
    pub fn matches(&self, path: &str) -> bool {
        fn glob(pattern: &[u8], text: &[u8]) -> bool {
            match (pattern.first(), text.first()) {
                (None, None) => true,
                (Some(b'*'), _) => glob(&pattern[1..], text) || (!text.is_empty() && glob(pattern, &text[1..])),
                (Some(p), Some(t)) if p == t => glob(&pattern[1..], &text[1..]),
                _ => false,
            }
        }
        glob(self.0.as_bytes(), path.as_bytes())
    }
}

/// One of them.
#[derive(Clone, Debug)]
pub struct Difference {
    pub path: String,
    pub theirs: String,
    pub ours: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n    ansible-core: {}\n    kubewright:   {}", self.path, self.theirs, self.ours)
    }
}

/// Keys of results that no two runs share, or that only say how ansible-core works inside.
const VOLATILE: &[&str] = &[
    "invocation",
    "start",
    "end",
    "delta",
    "exception",
    "deprecations",
    "warnings",
    "diff",
    "ansible_facts",
    "discovered_interpreter_python",
    "atime",
    "mtime",
    "ctime",
    "inode",
    "dev",
    "version",
    "attributes",
    "attr_flags",
    "ansible_job_id",
    "results_file",
    "stderr_lines",
    "module_stderr",
    "module_stdout",
    "_ansible_no_log",
    "elapsed",
    "stop",
    "date",
    "cache_update_time",
    "generation",
    "include_args",
    "block_size",
    "blocks",
    "device_type",
    "backup_file",
    "backup",
    "failed_when_suppressed_exception",
];

/// What is compared of a failed result: its texts are each tool's own.
const FAILED: &[&str] = &[
    "rc",
    "cmd",
    "stdout",
    "stdout_lines",
    "attempts",
    "results",
    "item",
    "path",
    "dest",
    "failed_when_result",
    "assertion",
    "evaluated_to",
    "status",
    "json",
    "content",
];

/// What came of a comparison.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// To be mended.
    pub bugs: Vec<Difference>,
    /// On purpose, with the reason.
    pub better: Vec<(Difference, String)>,
    /// Not supported, with the reason.
    pub omitted: Vec<(Difference, String)>,
    /// Reasons in the case that excuse nothing any more.
    pub stale: Vec<String>,
}

/// All differences of a case.
pub fn case(case: &Case, theirs: &[Did], ours: &[Did]) -> Found {
    let mut all = Vec::new();
    if let Some(refused) = theirs.iter().find(|d| d.tasks.is_empty() && d.recap.is_empty()) {
        let why = refused.output.lines().find(|l| l.starts_with("[ERROR]")).unwrap_or("nothing ran").to_owned();
        all.push(Difference { path: "refused".to_owned(), theirs: why, ours: "whatever it did".to_owned() });
    }
    for (theirs, ours) in theirs.iter().zip(ours) {
        run(theirs, ours, &mut all);
    }
    let mut found = Found::default();
    let mut used = BTreeSet::new();
    for difference in all {
        let reason = |list: &[(Path, String)]| list.iter().find(|(path, _)| path.matches(&difference.path)).cloned();
        if case.random.iter().any(|p| p.matches(&difference.path)) {
            continue;
        }
        if let Some((path, why)) = reason(&case.better) {
            used.insert(path.0);
            found.better.push((difference, why));
        } else if let Some((path, why)) = reason(&case.omitted) {
            used.insert(path.0);
            found.omitted.push((difference, why));
        } else {
            found.bugs.push(difference);
        }
    }
    // Counts differ where a task's end does, for the same reason.
    let ends = found.better.iter().chain(&found.omitted).filter(|(d, _)| d.path.ends_with("/status") || d.path.ends_with("/task"));
    let excused: Vec<(String, String)> = ends
        .filter_map(|(d, why)| {
            let mut parts = d.path.split('/');
            Some((format!("{}/recap/{}/", parts.next()?, parts.next()?), why.clone()))
        })
        .collect();
    let bugs = std::mem::take(&mut found.bugs);
    for difference in bugs {
        match excused.iter().find(|(start, _)| difference.path.starts_with(start)) {
            Some((_, why)) => found.better.push((difference, why.clone())),
            None => found.bugs.push(difference),
        }
    }
    let said = case.better.iter().chain(&case.omitted);
    found.stale = said.filter(|(path, _)| !used.contains(&path.0)).map(|(path, _)| path.0.clone()).collect();
    found
}

fn run(theirs: &Did, ours: &Did, out: &mut Vec<Difference>) {
    let run = format!("{:?}", theirs.run).to_lowercase();
    let mut push = |path: String, theirs: String, ours: String| {
        if theirs != ours {
            out.push(Difference { path, theirs, ours });
        }
    };
    push(format!("{run}/success"), theirs.success.to_string(), ours.success.to_string());
    let hosts: BTreeSet<&String> = theirs.recap.keys().chain(ours.recap.keys()).collect();
    for host in hosts {
        let count = |did: &Did, key: &str| {
            did.recap.get(host).map_or("no such host".to_owned(), |r| r.get(key).copied().unwrap_or_default().to_string())
        };
        for key in ["ok", "changed", "unreachable", "failed", "skipped", "rescued", "ignored"] {
            push(format!("{run}/recap/{host}/{key}"), count(theirs, key), count(ours, key));
        }
    }
    let none = Vec::new();
    let hosts: BTreeSet<&String> = theirs.tasks.keys().chain(ours.tasks.keys()).collect();
    for host in hosts {
        let (theirs, ours) = (theirs.tasks.get(host).unwrap_or(&none), ours.tasks.get(host).unwrap_or(&none));
        for (number, pair) in align(theirs, ours).into_iter().enumerate() {
            let (path, name) = match pair {
                (Some(t), _) | (None, Some(t)) => (format!("{run}/{host}/{} {}", number + 1, t.module), &t.name),
                (None, None) => continue,
            };
            match pair {
                (Some(theirs), Some(ours)) => {
                    push(format!("{path}/status"), format!("{} ({name})", theirs.status), format!("{} ({name})", ours.status));
                    task(&path, theirs, ours, &mut push);
                }
                (theirs, ours) => {
                    let show = |t: Option<&Task>| t.map_or("none".to_owned(), |t| format!("{} {} ({})", t.module, t.status, t.name));
                    push(format!("{path}/task"), show(theirs), show(ours));
                }
            }
        }
    }
    changes(&run, &theirs.changes, &ours.changes, &mut push);
}

/// Tasks of a host side by side; where one has a task that the other has not, that one stands alone.
fn align<'a>(theirs: &'a [Task], ours: &'a [Task]) -> Vec<(Option<&'a Task>, Option<&'a Task>)> {
    // Two names of one module.
    let name = |t: &Task| match t.module.as_str() {
        "systemd_service" => "systemd".to_owned(),
        "gather_facts" => "setup".to_owned(),
        module => module.to_owned(),
    };
    let same = |a: &Task, b: &Task| {
        name(a) == name(b)
            && (a.name == b.name || a.name.contains("{{") || a.name == a.module || a.name.ends_with(&format!(".{}", a.module)))
    };
    let (mut i, mut j, mut out) = (0, 0, Vec::new());
    while i < theirs.len() || j < ours.len() {
        match (theirs.get(i), ours.get(j)) {
            (Some(t), Some(o)) if same(t, o) => {
                out.push((Some(t), Some(o)));
                (i, j) = (i + 1, j + 1);
            }
            (Some(t), Some(o)) => {
                // Whoever finds the other's task sooner.
                let ahead = ours[j..].iter().position(|o| same(t, o)).unwrap_or(usize::MAX);
                let behind = theirs[i..].iter().position(|t| same(t, o)).unwrap_or(usize::MAX);
                if ahead == usize::MAX && behind == usize::MAX {
                    out.push((Some(t), Some(o)));
                    (i, j) = (i + 1, j + 1);
                } else if ahead <= behind {
                    out.push((None, Some(o)));
                    j += 1;
                } else {
                    out.push((Some(t), None));
                    i += 1;
                }
            }
            (Some(t), None) => {
                out.push((Some(t), None));
                i += 1;
            }
            (None, Some(o)) => {
                out.push((None, Some(o)));
                j += 1;
            }
            (None, None) => break,
        }
    }
    out
}

fn task(path: &str, theirs: &Task, ours: &Task, push: &mut impl FnMut(String, String, String)) {
    if matches!(theirs.module.as_str(), "setup" | "gather_facts" | "meta") {
        return;
    }
    // The text of an error is each tool's own, except where the playbook wrote it.
    let failed =
        matches!(theirs.status.as_str(), "failed" | "ignored" | "unreachable") && !matches!(theirs.module.as_str(), "fail" | "assert");
    let own = matches!(theirs.module.as_str(), "command" | "shell" | "raw" | "script");
    let censored = |t: &Task| t.result.get("censored").is_some();
    if censored(theirs) || censored(ours) {
        push(format!("{path}/no_log"), censored(theirs).to_string(), censored(ours).to_string());
        return;
    }
    let mut push = |path: String, theirs: String, ours: String| {
        // A failing module's streams are its own.
        if own || !failed || !["result.std", "result.cmd", "result.rc"].iter().any(|p| path.contains(p)) {
            push(path, theirs, ours);
        }
    };
    values(&format!("{path}/result"), &theirs.result, &ours.result, failed, &mut push);
}

fn values(path: &str, theirs: &Value, ours: &Value, failed: bool, push: &mut impl FnMut(String, String, String)) {
    match (theirs, ours) {
        (Value::Object(theirs), Value::Object(ours)) => {
            let failed = failed || theirs.get("failed") == Some(&Value::Bool(true));
            for (key, value) in theirs {
                let skipped = failed && !FAILED.contains(&key.as_str());
                if VOLATILE.contains(&key.as_str()) || key.starts_with("_ansible") || skipped {
                    continue;
                }
                let at = format!("{path}.{key}");
                match ours.get(key) {
                    Some(own) => values(&at, value, own, failed, push),
                    None => push(at, short(value), "missing".to_owned()),
                }
            }
            for key in ["unreachable", "attempts", "item"] {
                if let (None, Some(own)) = (theirs.get(key), ours.get(key)) {
                    push(format!("{path}.{key}"), "missing".to_owned(), short(own));
                }
            }
        }
        (Value::Array(theirs), Value::Array(ours)) if theirs.len() == ours.len() => {
            // Directories have no order.
            let (mut theirs, mut ours) = (theirs.clone(), ours.clone());
            if ["result.files", "result.archived"].iter().any(|p| path.ends_with(p)) {
                let key = |v: &Value| v["path"].as_str().map_or_else(|| v.to_string(), str::to_owned);
                theirs.sort_by_key(key);
                ours.sort_by_key(key);
            }
            // What dnf installs and removes is a set.
            if path.ends_with(".results") && theirs.iter().chain(&ours).all(Value::is_string) {
                theirs.sort_by_key(Value::to_string);
                ours.sort_by_key(Value::to_string);
            }
            for (number, (theirs, ours)) in theirs.iter().zip(&ours).enumerate() {
                values(&format!("{path}[{number}]"), theirs, ours, failed, push);
            }
        }
        (Value::String(t), Value::String(_)) if t.starts_with("Paused for ") => {}
        (Value::String(t), Value::String(o)) if normal(t) == normal(o) || normal(t) == "TEMPORARY" => {}
        // 1 and 1.0 are the same number to everyone who reads them.
        (Value::Number(t), Value::Number(o)) if t.as_f64() == o.as_f64() => {}
        _ => push(path.to_owned(), short(theirs), short(ours)),
    }
}

/// Without what names a run's own temporary places.
fn normal(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("/.ansible/tmp/") {
        let begin = rest[..at].rfind(|c: char| c.is_whitespace() || "'\"".contains(c)).map_or(0, |i| i + 1);
        let end = rest[at..].find(|c: char| c.is_whitespace() || "'\"".contains(c)).map_or(rest.len(), |i| at + i);
        out.push_str(&rest[..begin]);
        out.push_str("TEMPORARY");
        rest = &rest[end..];
    }
    out.push_str(rest);
    if out.starts_with("DIR/ansible/tmp/") {
        return "TEMPORARY".to_owned();
    }
    normal_name(&out)
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.len() > 600 { format!("{}…", text.chars().take(600).collect::<String>()) } else { text }
}

fn changes(run: &str, theirs: &Snapshot, ours: &Snapshot, push: &mut impl FnMut(String, String, String)) {
    let all: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
    for what in all {
        let get = |s: &Snapshot| s.get(what).cloned().unwrap_or_else(|| "as before".to_owned());
        push(format!("{run}/tree/{}", what.trim_start_matches('/')), get(theirs), get(ours));
    }
}
