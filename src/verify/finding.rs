//! What a check says about one subject; the registry's entry turns it into a result.

use super::registry::Check;
use super::types::{CheckResult, Evidence, Fix, Severity, Status};

/// Lines of evidence that are kept.
const LINES: usize = 12;

/// How it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Good,
    /// As bad as the check's severity.
    Bad,
    /// A warning whatever the severity.
    Poor,
    Unseen,
}

/// What a check says about one subject.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) verdict: Verdict,
    pub(super) subject: String,
    pub(super) observed: String,
    pub(super) expected: Option<String>,
    pub(super) evidence: Vec<Evidence>,
    pub(super) cause: Option<String>,
    pub(super) fix: Option<String>,
    pub(super) duration_ms: u64,
}

impl Finding {
    fn new(verdict: Verdict, subject: impl Into<String>, observed: impl Into<String>) -> Self {
        Self {
            verdict,
            subject: subject.into(),
            observed: observed.into(),
            expected: None,
            evidence: Vec::new(),
            cause: None,
            fix: None,
            duration_ms: 0,
        }
    }
    pub(super) fn good(subject: impl Into<String>, observed: impl Into<String>) -> Self {
        Self::new(Verdict::Good, subject, observed)
    }
    pub(super) fn bad(subject: impl Into<String>, observed: impl Into<String>) -> Self {
        Self::new(Verdict::Bad, subject, observed)
    }
    pub(super) fn poor(subject: impl Into<String>, observed: impl Into<String>) -> Self {
        Self::new(Verdict::Poor, subject, observed)
    }
    pub(super) fn unseen(subject: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(Verdict::Unseen, subject, why)
    }
    /// Good where `fine`, else bad.
    pub(super) fn of(fine: bool, subject: impl Into<String>, observed: impl Into<String>) -> Self {
        if fine { Self::good(subject, observed) } else { Self::bad(subject, observed) }
    }
    pub(super) fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }
    pub(super) fn evidence(mut self, source: impl Into<String>, output: impl AsRef<str>) -> Self {
        let lines: Vec<&str> = output.as_ref().trim().lines().collect();
        let mut text = lines[..lines.len().min(LINES)].join("\n");
        if lines.len() > LINES {
            text.push_str("\n…");
        }
        self.evidence.push(Evidence { source: source.into(), output: text });
        self
    }
    pub(super) fn cause(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }
    pub(super) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    pub(super) fn into_result(self, check: &Check) -> CheckResult {
        let status = match (self.verdict, check.severity) {
            (Verdict::Good, _) => Status::Passed,
            (Verdict::Unseen, _) => Status::Unknown,
            (Verdict::Poor, _) | (Verdict::Bad, Severity::Minor) => Status::Warning,
            (Verdict::Bad, _) => Status::Failed,
        };
        let wrong = matches!(status, Status::Failed | Status::Warning);
        let fix = Fix { text: self.fix.unwrap_or_else(|| check.fix.to_owned()), tag: check.tag.map(str::to_owned) };
        CheckResult {
            id: check.id.to_owned(),
            group: check.group.name().to_owned(),
            title: check.title.to_owned(),
            severity: check.severity,
            status,
            subject: self.subject,
            expected: self.expected.unwrap_or_else(|| check.expected.to_owned()),
            observed: self.observed,
            evidence: self.evidence,
            cause: wrong.then(|| self.cause.unwrap_or_else(|| check.causes.to_owned())),
            fix: wrong.then_some(fix),
            duration_ms: self.duration_ms,
        }
    }
}
