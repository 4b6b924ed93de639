//! Free variables: the names a text takes from outside. The engine ends a batch where it needs one that is not known yet.

use super::visit::{Visitor, walk_args, walk_body, walk_expr, walk_stmt};
use minijinja::machinery::ast::{Call, CallArg, Expr, Stmt};
use std::collections::BTreeSet;

/// The variables that a text, an expression or a value uses and does not define itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FreeVars {
    /// Names; a fact is `ansible_facts.os_family` where its name is a constant, else `ansible_facts`.
    pub names: BTreeSet<String>,
    /// More may be used than can be told: `hostvars[…]`, `vars[…]`, `lookup('vars', …)`, a template file.
    pub unknown: bool,
}

impl FreeVars {
    /// Adds another text's.
    pub fn merge(&mut self, other: &Self) {
        self.names.extend(other.names.iter().cloned());
        self.unknown |= other.unknown;
    }
}

/// Names that Jinja or we define everywhere.
const GLOBALS: [&str; 16] = [
    "range",
    "dict",
    "namespace",
    "lookup",
    "query",
    "q",
    "now",
    "undef",
    "omit",
    "lipsum",
    "cycler",
    "joiner",
    "loop",
    "self",
    "super",
    "caller",
];

/// Lookups whose result depends on their arguments only, not on other variables.
const SELF_CONTAINED: [&str; 17] = [
    "env",
    "file",
    "password",
    "pipe",
    "first_found",
    "fileglob",
    "dict",
    "items",
    "lines",
    "sequence",
    "nested",
    "together",
    "subelements",
    "indexed_items",
    "list",
    "flattened",
    "random_choice",
];

pub(super) struct Finder {
    found: FreeVars,
    bound: Vec<BTreeSet<String>>,
}

impl Finder {
    pub(super) fn template(tree: &Stmt<'_>) -> FreeVars {
        let mut finder = Self { found: FreeVars::default(), bound: vec![BTreeSet::new()] };
        finder.stmt(tree);
        finder.found
    }

    pub(super) fn expression(tree: &Expr<'_>) -> FreeVars {
        let mut finder = Self { found: FreeVars::default(), bound: vec![BTreeSet::new()] };
        finder.expr(tree);
        finder.found
    }

    fn name(&mut self, name: &str) {
        if GLOBALS.contains(&name) || name.starts_with("__") || self.bound.iter().any(|scope| scope.contains(name)) {
            return;
        }
        self.found.unknown |= matches!(name, "hostvars" | "vars");
        self.found.names.insert(name.to_owned());
    }

    fn bind(&mut self, target: &Expr<'_>) {
        match target {
            Expr::Var(v) => {
                if let Some(scope) = self.bound.last_mut() {
                    scope.insert(v.id.to_owned());
                }
            }
            Expr::List(l) => l.items.iter().for_each(|e| self.bind(e)),
            Expr::Tuple(t) => t.items.iter().for_each(|e| self.bind(e)),
            other => self.expr(other),
        }
    }

    fn scoped(&mut self, inside: impl FnOnce(&mut Self)) {
        self.bound.push(BTreeSet::new());
        inside(self);
        self.bound.pop();
    }

    /// `ansible_facts.x` and `ansible_facts['x']`.
    fn fact(&mut self, base: &Expr<'_>, key: Option<&str>) -> bool {
        let (Expr::Var(v), Some(key)) = (base, key) else { return false };
        if v.id != "ansible_facts" || matches!(key, "get" | "items" | "keys" | "values") {
            return false;
        }
        self.found.names.insert(format!("ansible_facts.{key}"));
        true
    }

    fn lookup(&mut self, args: &[CallArg<'_>]) {
        let constant = |arg: Option<&CallArg<'_>>| match arg {
            Some(CallArg::Pos(e)) => e.as_const().and_then(|v| v.as_str().map(str::to_owned)),
            _ => None,
        };
        let plugin = constant(args.first()).unwrap_or_default();
        match (super::undefined::short_name(&plugin), constant(args.get(1))) {
            ("vars", Some(name)) if args.len() == 2 => self.name(&name),
            (plugin, _) => self.found.unknown |= !SELF_CONTAINED.contains(&plugin),
        }
    }
}

impl Visitor for Finder {
    fn expr(&mut self, expr: &Expr<'_>) {
        let key;
        let seen = match expr {
            Expr::Var(v) => {
                self.name(v.id);
                true
            }
            Expr::GetAttr(x) => self.fact(&x.expr, Some(x.name)),
            Expr::GetItem(x) => {
                key = x.subscript_expr.as_const();
                self.fact(&x.expr, key.as_ref().and_then(|k| k.as_str()))
            }
            _ => false,
        };
        if !seen {
            walk_expr(self, expr);
        }
    }

    fn call(&mut self, call: &Call<'_>) {
        match &call.expr {
            Expr::Var(v) if matches!(v.id, "lookup" | "query" | "q") => self.lookup(&call.args),
            other => self.expr(other),
        }
        walk_args(self, &call.args);
    }

    fn stmt(&mut self, stmt: &Stmt<'_>) {
        match stmt {
            Stmt::ForLoop(x) => {
                self.expr(&x.iter);
                self.scoped(|me| {
                    me.bind(&x.target);
                    x.filter_expr.iter().for_each(|e| me.expr(e));
                    walk_body(me, &x.body);
                });
                self.scoped(|me| walk_body(me, &x.else_body));
            }
            Stmt::IfCond(x) => {
                // What one branch sets may be read after it, when the other ran: both are only possible definitions.
                self.expr(&x.expr);
                self.scoped(|me| walk_body(me, &x.true_body));
                self.scoped(|me| walk_body(me, &x.false_body));
            }
            Stmt::WithBlock(x) => self.scoped(|me| {
                for (target, value) in &x.assignments {
                    me.expr(value);
                    me.bind(target);
                }
                walk_body(me, &x.body);
            }),
            Stmt::Set(x) => {
                self.expr(&x.expr);
                self.bind(&x.target);
            }
            Stmt::SetBlock(x) => {
                self.scoped(|me| walk_body(me, &x.body));
                x.filter.iter().for_each(|e| self.expr(e));
                self.bind(&x.target);
            }
            Stmt::FilterBlock(x) => {
                self.expr(&x.filter);
                self.scoped(|me| walk_body(me, &x.body));
            }
            Stmt::Block(x) => self.scoped(|me| walk_body(me, &x.body)),
            Stmt::Import(x) => {
                self.found.unknown = true;
                self.expr(&x.expr);
                self.bind(&x.name);
            }
            Stmt::FromImport(x) => {
                self.found.unknown = true;
                self.expr(&x.expr);
                x.names.iter().for_each(|(name, alias)| self.bind(alias.as_ref().unwrap_or(name)));
            }
            Stmt::Extends(x) => {
                self.found.unknown = true;
                self.expr(&x.name);
            }
            Stmt::Include(x) => {
                self.found.unknown = true;
                self.expr(&x.name);
            }
            Stmt::Macro(x) => {
                if let Some(scope) = self.bound.last_mut() {
                    scope.insert(x.name.to_owned());
                }
                x.defaults.iter().for_each(|e| self.expr(e));
                self.scoped(|me| {
                    x.args.iter().for_each(|e| me.bind(e));
                    walk_body(me, &x.body);
                });
            }
            Stmt::CallBlock(x) => {
                self.call(&x.call);
                self.scoped(|me| {
                    x.macro_decl.args.iter().for_each(|e| me.bind(e));
                    walk_body(me, &x.macro_decl.body);
                });
            }
            Stmt::Template(_)
            | Stmt::EmitExpr(_)
            | Stmt::EmitRaw(_)
            | Stmt::Continue(_)
            | Stmt::Break(_)
            | Stmt::AutoEscape(_)
            | Stmt::Do(_) => walk_stmt(self, stmt),
        }
    }
}
