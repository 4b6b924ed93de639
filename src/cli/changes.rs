//! Plans as text, like a diff.

use crate::{
    infra::{Action, Change},
    ops::plan::Plan,
    report::clean_line,
};
use std::fmt::Write as _;

/// Changes of the provider's side.
pub fn infra(changes: &[Change]) -> String {
    let mut out = String::new();
    for change in changes {
        let sign = match change.action {
            Action::Create => '+',
            Action::Update => '~',
            Action::Delete => '-',
        };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{sign} {} {}", change.kind, clean_line(&change.name));
        for detail in &change.details {
            let _ = writeln!(out, "    {}", clean_line(detail));
        }
    }
    out
}

/// What a person should know beside them.
pub fn about(lines: &[String]) -> String {
    lines.iter().map(|line| format!("  {}\n", clean_line(line))).collect::<Vec<_>>().concat()
}

/// Changes on hosts and in the cluster.
pub fn on_hosts(plan: &Plan) -> String {
    let mut out = String::new();
    for change in &plan.hosts {
        let _ = writeln!(out, "~ {}: {}", change.host, clean_line(&change.task));
        if let Some(message) = change.message.as_deref().filter(|m| !m.is_empty()) {
            let _ = writeln!(out, "    {}", clean_line(message));
        }
    }
    out
}

/// The same, and the closing line.
pub fn hosts(plan: &Plan) -> String {
    let mut out = on_hosts(plan);
    if plan.is_empty() {
        out.push_str("nothing to do: machines, hosts and cluster are as wanted\n");
    } else {
        let _ = writeln!(out, "plan: {} changes of machines, {} on hosts and in the cluster", plan.infra.len(), plan.hosts.len());
    }
    out
}
