//! For people: the summary first, then only what is not green.

use crate::{
    report::{clean, clean_line, duration},
    verify::{Check, CheckResult, Difference, Report, Severity, Status, registry},
};
use indexmap::IndexMap;
use std::{fmt::Write, time::Duration};

/// The report. `verbosity` 0: what is not green; 1: everything. Problems come with cause, fix and evidence.
pub fn text(report: &Report, verbosity: u8, colour: bool) -> String {
    let paint = |status, text: &str| if colour { format!("\x1b[{}m{text}\x1b[0m", ansi(status)) } else { text.to_owned() };
    let mut out = String::new();
    let s = report.summary;
    let lost: Vec<_> = report.hosts.iter().filter(|h| h.unreachable.is_some()).collect();
    let (status, verdict) = match () {
        () if s.failed > 0 => (Status::Failed, "UNHEALTHY"),
        () if !lost.is_empty() => (Status::Failed, "NOT ALL REACHED"),
        () if s.unknown > 0 => (Status::Unknown, "NOT ALL KNOWN"),
        () => (Status::Passed, "healthy"),
    };
    let verdict = paint(status, verdict);
    let _ = writeln!(
        out,
        "{} (Kubernetes {}, {} machines): {verdict}\n  {} passed, {} warnings, {} unknown, {} failed, in {}",
        clean_line(&report.cluster),
        clean_line(&report.version),
        report.hosts.len(),
        s.passed,
        s.warnings,
        s.unknown,
        s.failed,
        duration(Duration::from_millis(report.duration_ms)),
    );
    for host in &lost {
        let why = host.unreachable.as_deref().unwrap_or_default();
        let _ = writeln!(
            out,
            "\n{}  {} could not be reached\n  {}",
            paint(Status::Failed, "LOST"),
            clean_line(&host.name),
            clean(why).replace('\n', "\n  ")
        );
    }
    // Unknowns that share subject and reason are one fact, not many.
    let mut unknown: IndexMap<(&str, &str), Vec<&str>> = IndexMap::new();
    let mut wrong: IndexMap<(Status, &str), Vec<&CheckResult>> = IndexMap::new();
    for c in &report.checks {
        match c.status {
            Status::Passed => {}
            Status::Unknown => unknown.entry((&c.subject, &c.observed)).or_default().push(&c.id),
            _ => wrong.entry((c.status, &c.id)).or_default().push(c),
        }
    }
    for ((status, _), all) in &wrong {
        problem(&mut out, all, &paint(*status, word(*status)));
    }
    for ((subject, why), ids) in unknown {
        let shown = if ids.len() > 6 { format!("{} and {} more", ids[..5].join(", "), ids.len() - 5) } else { ids.join(", ") };
        let _ = writeln!(out, "\n{}  {}: {}\n  checks: {shown}", paint(Status::Unknown, "UNKNOWN"), clean_line(subject), clean_line(why));
    }
    if verbosity > 0 {
        out.push('\n');
        for c in report.checks.iter().filter(|c| c.status == Status::Passed) {
            let _ = writeln!(out, "{}  {:32} {:28} {}", paint(Status::Passed, "ok"), c.id, clean_line(&c.subject), clean_line(&c.observed));
        }
    } else if s.passed > 0 {
        let _ = writeln!(out, "\n{} results are green (-v shows them)", s.passed);
    }
    out
}

/// One check on one or more subjects: what they share is said once.
fn problem(out: &mut String, all: &[&CheckResult], word: &str) {
    let Some(first) = all.first() else { return };
    let _ = writeln!(out, "\n{word}  {}  {}", first.id, clean_line(&first.title));
    let mut line = |name: &str, text: &str| {
        if !text.is_empty() {
            let _ = writeln!(out, "  {name:9} {}", clean(text).trim_end().replace('\n', "\n            "));
        }
    };
    let shared = |field: fn(&CheckResult) -> &str| all.iter().all(|c| field(c) == field(first));
    let cause: fn(&CheckResult) -> &str = |c| c.cause.as_deref().unwrap_or_default();
    let fix: fn(&CheckResult) -> &str = |c| c.fix.as_ref().map_or("", |f| &f.text);
    const SHOWN: usize = 12;
    for c in all.iter().take(SHOWN) {
        line("on", &format!("{}: {}", c.subject, c.observed));
        if !shared(cause) {
            line("", &format!("cause: {}", cause(c)));
        }
        if !shared(fix) {
            line("", &format!("fix: {}", fix(c)));
        }
    }
    if all.len() > SHOWN {
        line("", &format!("… and {} more", all.len() - SHOWN));
    }
    line("expected", &first.expected);
    if shared(cause) {
        line("cause", cause(first));
    }
    if shared(fix) {
        line("fix", fix(first));
    }
    if let Some(tag) = first.fix.as_ref().and_then(|f| f.tag.as_deref()) {
        line("", &format!("`kubewright bootstrap --tags {tag}` does it"));
    }
    // What only follows from something else needs no proof of its own here.
    for evidence in first.evidence.iter().filter(|_| !cause(first).starts_with("follows from ")) {
        line("$", &evidence.source);
        let head: Vec<&str> = evidence.output.lines().take(6).collect();
        line("", &head.join("\n"));
    }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Passed => "ok",
        Status::Warning => "WARNING",
        Status::Unknown => "UNKNOWN",
        Status::Failed => "FAILED",
    }
}

fn ansi(status: Status) -> &'static str {
    match status {
        Status::Passed => "32",
        Status::Warning => "33",
        Status::Unknown => "35",
        Status::Failed => "1;31",
    }
}

/// `verify --list`.
pub fn list() -> String {
    let mut out = String::new();
    for c in registry() {
        let _ = writeln!(out, "{:32} {:9} {}", c.id, severity(c.severity), c.title);
    }
    out
}

/// `verify explain ID`.
pub fn explain(c: &Check) -> String {
    let fix = c.tag.map_or(String::new(), |tag| format!("\n  `kubewright bootstrap --tags {tag}` runs the playbook tasks that do it"));
    let probes = if c.probes { "\n\nIt needs probe pods: with --read-only it is unknown." } else { "" };
    format!(
        "{} ({})\n{}\n\nExpected\n  {}\nA green result proves\n  {}\nLikely causes of a red one\n  {}\nWhat to do\n  {}{fix}{probes}\n",
        c.id,
        severity(c.severity),
        c.title,
        c.expected,
        c.proves,
        c.causes,
        c.fix
    )
}

fn severity(s: Severity) -> &'static str {
    match s {
        Severity::Minor => "minor",
        Severity::Major => "major",
        Severity::Critical => "critical",
    }
}

/// `verify --compare OLD.json`.
pub fn differences(all: &[Difference]) -> String {
    let mut out = String::new();
    let name = |s: Option<Status>| s.map_or("absent", word);
    for d in all {
        let _ = writeln!(
            out,
            "{} → {}  {}  {}\n  {} → {}",
            name(d.before),
            name(d.after),
            d.id,
            clean_line(&d.subject),
            clean_line(&d.observed.0),
            clean_line(&d.observed.1)
        );
    }
    if out.is_empty() { "nothing changed\n".to_owned() } else { out }
}
