//! Names of filters, tests and lookups that do not exist, found before anything runs.

use super::undefined::short_name;
use super::visit::{Visitor, walk_args, walk_expr};
use super::{Kind, TemplateIssue, checks};
use crate::text::nearest;
use minijinja::machinery::ast::{Call, CallArg, Expr, Stmt};
use std::collections::BTreeSet;

/// Lookup plugins that the engine answers; a test of it holds them together.
pub(crate) const LOOKUPS: [&str; 21] = [
    "env",
    "file",
    "template",
    "password",
    "pipe",
    "first_found",
    "fileglob",
    "vars",
    "varnames",
    "dict",
    "items",
    "lines",
    "sequence",
    "nested",
    "cartesian",
    "together",
    "subelements",
    "indexed_items",
    "list",
    "flattened",
    "random_choice",
];

/// Walks a text for names that nobody knows.
pub(super) struct Checker<'f> {
    filters: &'f BTreeSet<String>,
    issues: Vec<TemplateIssue>,
}

impl<'f> Checker<'f> {
    pub(super) fn template(filters: &'f BTreeSet<String>, tree: &Stmt<'_>) -> Vec<TemplateIssue> {
        let mut checker = Self { filters, issues: Vec::new() };
        checker.stmt(tree);
        checker.issues
    }

    pub(super) fn expression(filters: &'f BTreeSet<String>, tree: &Expr<'_>) -> Vec<TemplateIssue> {
        let mut checker = Self { filters, issues: Vec::new() };
        checker.expr(tree);
        checker.issues
    }

    fn unknown<'k>(&mut self, what: &str, name: &str, line: u16, known: impl IntoIterator<Item = &'k str>) {
        let hint = nearest(short_name(name), known).map_or_else(String::new, |near| format!("; did you mean '{near}'?"));
        let message = format!("there is no {what} named '{name}'{hint}");
        self.issues.push(TemplateIssue { kind: Kind::Filter, message, line: line.into() });
    }

    fn filter(&mut self, name: &str, line: u16) {
        let name: String = name.chars().filter(|c| !c.is_whitespace()).collect();
        if !self.filters.contains(&name) {
            let filters = self.filters;
            self.unknown("filter", &name, line, filters.iter().filter(|f| !f.contains('.')).map(String::as_str));
        }
    }

    fn test(&mut self, name: &str, line: u16) {
        let name: String = name.chars().filter(|c| !c.is_whitespace()).collect();
        if !checks::names().any(|known| known == short_name(&name)) {
            self.unknown("test", &name, line, checks::names());
        }
    }

    /// The name in `map('name')` or `select('name')`.
    fn named(&mut self, filter: &str, args: &[CallArg<'_>], line: u16) {
        let at = match short_name(filter) {
            "map" | "select" | "reject" => 0,
            "selectattr" | "rejectattr" => 1,
            _ => return,
        };
        let Some(CallArg::Pos(name)) = args.get(at) else { return };
        let Some(name) = name.as_const().and_then(|v| v.as_str().map(str::to_owned)) else { return };
        if short_name(filter) == "map" { self.filter(&name, line) } else { self.test(&name, line) }
    }
}

impl Visitor for Checker<'_> {
    fn expr(&mut self, expr: &Expr<'_>) {
        let line = expr.span().start_line;
        match expr {
            Expr::Filter(x) => {
                self.filter(x.name, line);
                self.named(x.name, &x.args, line);
            }
            Expr::Test(x) => self.test(x.name, line),
            _ => {}
        }
        walk_expr(self, expr);
    }

    fn call(&mut self, call: &Call<'_>) {
        match (&call.expr, call.args.first()) {
            (Expr::Var(v), Some(CallArg::Pos(plugin))) if matches!(v.id, "lookup" | "query" | "q") => {
                let plugin = plugin.as_const().and_then(|v| v.as_str().map(str::to_owned));
                if let Some(plugin) = plugin.filter(|p| !LOOKUPS.contains(&short_name(p))) {
                    self.unknown("lookup", &plugin, call.expr.span().start_line, LOOKUPS);
                }
            }
            (other, _) => self.expr(other),
        }
        walk_args(self, &call.args);
    }
}
