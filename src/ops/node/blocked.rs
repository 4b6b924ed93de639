//! Why a node cannot be drained: before anything is done, and after waiting.

use super::super::OpsError;
use crate::{
    cluster::{DrainPlan, PodRef},
    text::{Problem, Problems},
};
use std::{fmt::Write as _, time::Duration};

/// Pods that must not go without being asked for: all at once, and nothing is touched.
pub fn refused(node: &str, plan: &DrainPlan) -> Result<(), OpsError> {
    let problems: Vec<Problem> =
        plan.refused.iter().map(|(pod, why)| Problem::new(format!("{node} is not drained: pod {pod}")).hint(*why)).collect();
    if problems.is_empty() { Ok(()) } else { Err(OpsError::Invalid(Problems(problems))) }
}

/// Pods that did not go in time.
pub fn blocked(node: &str, within: Duration, pods: &[(PodRef, String)]) -> OpsError {
    let mut what = format!("{node} is not drained after {}:", humantime::format_duration(within));
    for (pod, why) in pods {
        // Writing to a String cannot fail.
        let _ = write!(what, "\n  pod {pod}: {why}");
    }
    OpsError::Unfinished {
        what,
        hint: "let the budget allow it (more replicas, or a smaller minAvailable), or give it more time with --timeout".to_owned(),
    }
}
