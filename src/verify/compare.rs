//! What changed between two reports.

use super::types::{CheckResult, Report, Status};
use serde::Serialize;

/// One check on one subject that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The check.
    pub id: String,
    /// Its subject.
    pub subject: String,
    /// Before; `None`: it was not in the old report.
    pub before: Option<Status>,
    /// After; `None`: it is not in the new report.
    pub after: Option<Status>,
    /// What was observed before and after.
    pub observed: (String, String),
}

/// Results whose status differs, in the order of the new report; then what is gone.
pub fn compare(old: &Report, new: &Report) -> Vec<Difference> {
    let same = |a: &CheckResult, b: &CheckResult| a.id == b.id && a.subject == b.subject;
    let mut out = Vec::new();
    for after in &new.checks {
        let before = old.checks.iter().find(|b| same(b, after));
        // What is green and new is no news: green results of all subjects are summed up in one.
        let news = before.map_or(after.status != Status::Passed, |b| b.status != after.status);
        if news {
            out.push(Difference {
                id: after.id.clone(),
                subject: after.subject.clone(),
                before: before.map(|b| b.status),
                after: Some(after.status),
                observed: (before.map(|b| b.observed.clone()).unwrap_or_default(), after.observed.clone()),
            });
        }
    }
    for before in old.checks.iter().filter(|b| b.status != Status::Passed) {
        if !new.checks.iter().any(|a| same(a, before)) {
            out.push(Difference {
                id: before.id.clone(),
                subject: before.subject.clone(),
                before: Some(before.status),
                after: None,
                observed: (before.observed.clone(), String::new()),
            });
        }
    }
    out
}
