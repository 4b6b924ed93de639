//! The two streams. A reader that went away (`| head`) is no error of ours.

use crate::text::Problems;
use std::io::Write;

/// Data for stdout, as it is.
pub fn out(text: &str) {
    let _ = anstream::stdout().lock().write_all(text.as_bytes());
    let _ = std::io::stdout().flush();
}

/// Data that need not be text.
pub fn out_bytes(bytes: &[u8]) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(bytes);
    let _ = stdout.flush();
}

/// Everything else, for stderr, as it is.
pub fn err(text: &str) {
    let _ = anstream::stderr().lock().write_all(text.as_bytes());
}

/// Problems with their source excerpts; colour where `colour` is set.
pub fn problems(problems: &Problems, colour: bool) -> String {
    let theme = if colour { miette::GraphicalTheme::unicode() } else { miette::GraphicalTheme::unicode_nocolor() };
    let handler = miette::GraphicalReportHandler::new_themed(theme).with_width(120);
    let mut text = String::new();
    for problem in &problems.0 {
        if handler.render_report(&mut text, &problem.excerpt()).is_err() {
            text.push_str(&super::clean(&problem.to_string()));
        }
        text.push('\n');
    }
    text
}
