//! Views of a health report: text for people, JSON, JUnit, Prometheus' textfile, one HTML page. Each returns text;
//! nothing is decided here.

mod html;
mod junit;
mod prometheus;
#[cfg(test)]
mod tests;
mod text;

pub use html::html;
pub use junit::junit;
pub use prometheus::prometheus;
pub use text::{differences, explain, list, text};

use crate::verify::Report;

/// The report as JSON, schema of docs/verify-report.schema.json.
pub fn json(report: &Report) -> String {
    serde_json::to_string_pretty(report).unwrap_or_default() + "\n"
}
