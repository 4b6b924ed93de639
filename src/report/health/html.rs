//! One self-contained HTML page.

use crate::verify::Report;

/// The page.
pub fn html(report: &Report) -> String {
    format!("<!doctype html><title>{}</title>", escape(&report.cluster))
}

/// Text as HTML text or attribute value.
pub(super) fn escape(text: &str) -> String {
    crate::report::clean(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}
