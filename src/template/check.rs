//! Names of filters, tests and lookups that do not exist, found before anything runs.

use super::undefined::short_name;
use super::{Kind, TemplateIssue, checks};
use crate::text::nearest;
use minijinja::machinery::ast::{Call, CallArg, Expr, Stmt};
use std::collections::BTreeSet;

/// Lookup plugins that the engine or we answer.
const LOOKUPS: [&str; 26] = [
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
    "url",
    "sequence",
    "nested",
    "together",
    "subelements",
    "indexed_items",
    "list",
    "flattened",
    "random_choice",
    "config",
    "inventory_hostnames",
    "ini",
    "csvfile",
    "unvault",
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

    fn expr(&mut self, expr: &Expr<'_>) {
        let line = expr.span().start_line;
        match expr {
            Expr::Var(_) | Expr::Const(_) => {}
            Expr::GetAttr(x) => self.expr(&x.expr),
            Expr::GetItem(x) => {
                self.expr(&x.expr);
                self.expr(&x.subscript_expr);
            }
            Expr::Slice(x) => {
                self.expr(&x.expr);
                [&x.start, &x.stop, &x.step].into_iter().flatten().for_each(|e| self.expr(e));
            }
            Expr::UnaryOp(x) => self.expr(&x.expr),
            Expr::BinOp(x) => {
                self.expr(&x.left);
                self.expr(&x.right);
            }
            Expr::Compare(x) => {
                self.expr(&x.expr);
                x.ops.iter().for_each(|o| self.expr(&o.expr));
            }
            Expr::IfExpr(x) => {
                self.expr(&x.test_expr);
                self.expr(&x.true_expr);
                x.false_expr.iter().for_each(|e| self.expr(e));
            }
            Expr::Filter(x) => {
                x.expr.iter().for_each(|e| self.expr(e));
                self.filter(x.name, line);
                self.named(x.name, &x.args, line);
                self.args(&x.args);
            }
            Expr::Test(x) => {
                self.expr(&x.expr);
                self.test(x.name, line);
                self.args(&x.args);
            }
            Expr::Call(x) => self.call(x, line),
            Expr::List(x) => x.items.iter().for_each(|e| self.expr(e)),
            Expr::Tuple(x) => x.items.iter().for_each(|e| self.expr(e)),
            Expr::Map(x) => x.keys.iter().chain(&x.values).for_each(|e| self.expr(e)),
        }
    }

    fn call(&mut self, call: &Call<'_>, line: u16) {
        match (&call.expr, call.args.first()) {
            (Expr::Var(v), Some(CallArg::Pos(plugin))) if matches!(v.id, "lookup" | "query" | "q") => {
                let plugin = plugin.as_const().and_then(|v| v.as_str().map(str::to_owned));
                if let Some(plugin) = plugin.filter(|p| !LOOKUPS.contains(&short_name(p))) {
                    self.unknown("lookup", &plugin, line, LOOKUPS);
                }
            }
            (other, _) => self.expr(other),
        }
        self.args(&call.args);
    }

    fn args(&mut self, args: &[CallArg<'_>]) {
        for arg in args {
            match arg {
                CallArg::Pos(e) | CallArg::Kwarg(_, e) | CallArg::PosSplat(e) | CallArg::KwargSplat(e) => self.expr(e),
            }
        }
    }

    fn body(&mut self, body: &[Stmt<'_>]) {
        for s in body {
            self.stmt(s);
        }
    }

    fn stmt(&mut self, stmt: &Stmt<'_>) {
        match stmt {
            Stmt::Template(x) => self.body(&x.children),
            Stmt::EmitExpr(x) => self.expr(&x.expr),
            Stmt::EmitRaw(_) | Stmt::Continue(_) | Stmt::Break(_) | Stmt::Import(_) | Stmt::FromImport(_) => {}
            Stmt::ForLoop(x) => {
                self.expr(&x.iter);
                x.filter_expr.iter().for_each(|e| self.expr(e));
                self.body(&x.body);
                self.body(&x.else_body);
            }
            Stmt::IfCond(x) => {
                self.expr(&x.expr);
                self.body(&x.true_body);
                self.body(&x.false_body);
            }
            Stmt::WithBlock(x) => {
                x.assignments.iter().for_each(|(_, e)| self.expr(e));
                self.body(&x.body);
            }
            Stmt::Set(x) => self.expr(&x.expr),
            Stmt::SetBlock(x) => {
                x.filter.iter().for_each(|e| self.expr(e));
                self.body(&x.body);
            }
            Stmt::AutoEscape(x) => self.body(&x.body),
            Stmt::FilterBlock(x) => {
                self.expr(&x.filter);
                self.body(&x.body);
            }
            Stmt::Block(x) => self.body(&x.body),
            Stmt::Extends(x) => self.expr(&x.name),
            Stmt::Include(x) => self.expr(&x.name),
            Stmt::Macro(x) => {
                x.defaults.iter().for_each(|e| self.expr(e));
                self.body(&x.body);
            }
            Stmt::CallBlock(x) => {
                self.call(&x.call, x.call.span().start_line);
                self.body(&x.macro_decl.body);
            }
            Stmt::Do(x) => self.call(&x.call, x.call.span().start_line),
        }
    }
}
