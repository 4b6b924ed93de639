//! Syntax of templates, found before anything runs.

use super::{Condition, Loader};
use crate::text::{Problem, Span};
use minijinja::{Value, value::ValueKind};

impl Loader<'_> {
    /// Notes what can never work in the templates of a value.
    pub(super) fn check_value(&mut self, value: &Value, span: &Span) {
        if value.is_safe() {
            return;
        }
        match value.kind() {
            ValueKind::String => {
                if let Some(text) = value.as_str().filter(|t| t.contains("{{") || t.contains("{%")) {
                    self.check_text(text, span);
                }
            }
            ValueKind::Seq => {
                for item in value.try_iter().into_iter().flatten() {
                    self.check_value(&item, span);
                }
            }
            ValueKind::Map => {
                for key in value.try_iter().into_iter().flatten() {
                    if let Ok(item) = value.get_item(&key) {
                        self.check_value(&item, span);
                    }
                }
            }
            _ => {}
        }
    }

    fn check_text(&mut self, text: &str, span: &Span) {
        for issue in self.options.templar.check(text) {
            self.problems.push(Problem::at(span, issue.message));
        }
    }

    /// Notes what can never work in a condition.
    pub(super) fn check_condition(&mut self, condition: &Condition) {
        if condition.text.contains("{{") || condition.text.contains("{%") {
            return self.check_text(&condition.text, &condition.span);
        }
        for issue in self.options.templar.check_expr(&condition.text) {
            self.problems.push(Problem::at(&condition.span, issue.message));
        }
    }
}
