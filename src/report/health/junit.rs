//! JUnit, for CI: a suite per group, a case per result.

use crate::{
    report::clean,
    verify::{Report, Status},
};
use quick_junit::{NonSuccessKind, Report as Junit, TestCase, TestCaseStatus, TestSuite};
use std::time::Duration;

/// The report as JUnit's XML. Failures are failures, unknowns are errors; warnings pass and say so in their output.
pub fn junit(report: &Report) -> String {
    let mut junit = Junit::new(clean(&format!("kubewright verify {}", report.cluster)));
    let mut groups: Vec<&str> = report.checks.iter().map(|c| c.group.as_str()).collect();
    groups.sort_unstable();
    groups.dedup();
    for group in groups {
        let mut suite = TestSuite::new(group);
        for c in report.checks.iter().filter(|c| c.group == group) {
            let said = |label: &str, text: Option<&str>| text.map_or(String::new(), |t| format!("\n{label}: {t}"));
            let evidence: String = c.evidence.iter().map(|e| format!("\n$ {}\n{}", e.source, e.output)).collect();
            let detail = format!(
                "observed: {}\nexpected: {}{}{}{evidence}",
                c.observed,
                c.expected,
                said("cause", c.cause.as_deref()),
                said("fix", c.fix.as_ref().map(|f| f.text.as_str()))
            );
            let kind = match c.status {
                Status::Failed => Some(NonSuccessKind::Failure),
                Status::Unknown => Some(NonSuccessKind::Error),
                Status::Passed | Status::Warning => None,
            };
            let status = kind.map_or_else(TestCaseStatus::success, |kind| {
                let mut status = TestCaseStatus::non_success(kind);
                status.set_message(clean(&c.observed)).set_type(c.id.clone()).set_description(clean(&detail));
                status
            });
            let mut case = TestCase::new(clean(&format!("{} [{}]", c.id, c.subject)), status);
            case.set_classname(group).set_time(Duration::from_millis(c.duration_ms));
            if c.status == Status::Warning {
                case.set_system_out(clean(&format!("warning\n{detail}")));
            }
            suite.add_test_case(case);
        }
        junit.add_test_suite(suite);
    }
    junit.to_string().unwrap_or_default()
}
