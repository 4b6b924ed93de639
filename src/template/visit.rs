//! One walk through a template's syntax tree, in the order of evaluation. Who looks for something says what it does where;
//! the rest is walked as it stands.

use minijinja::machinery::ast::{Call, CallArg, Expr, Stmt};

/// Looks at a tree. An implementation that overrides a method and wants what is below calls the walk of the same name.
pub(super) trait Visitor: Sized {
    fn expr(&mut self, expr: &Expr<'_>) {
        walk_expr(self, expr);
    }
    fn call(&mut self, call: &Call<'_>) {
        self.expr(&call.expr);
        walk_args(self, &call.args);
    }
    fn stmt(&mut self, stmt: &Stmt<'_>) {
        walk_stmt(self, stmt);
    }
}

/// What an expression is made of.
pub(super) fn walk_expr(v: &mut impl Visitor, expr: &Expr<'_>) {
    match expr {
        Expr::Var(_) | Expr::Const(_) => {}
        Expr::GetAttr(x) => v.expr(&x.expr),
        Expr::GetItem(x) => {
            v.expr(&x.expr);
            v.expr(&x.subscript_expr);
        }
        Expr::Slice(x) => {
            v.expr(&x.expr);
            [&x.start, &x.stop, &x.step].into_iter().flatten().for_each(|e| v.expr(e));
        }
        Expr::UnaryOp(x) => v.expr(&x.expr),
        Expr::BinOp(x) => {
            v.expr(&x.left);
            v.expr(&x.right);
        }
        Expr::Compare(x) => {
            v.expr(&x.expr);
            x.ops.iter().for_each(|o| v.expr(&o.expr));
        }
        Expr::IfExpr(x) => {
            v.expr(&x.test_expr);
            v.expr(&x.true_expr);
            x.false_expr.iter().for_each(|e| v.expr(e));
        }
        Expr::Filter(x) => {
            x.expr.iter().for_each(|e| v.expr(e));
            walk_args(v, &x.args);
        }
        Expr::Test(x) => {
            v.expr(&x.expr);
            walk_args(v, &x.args);
        }
        Expr::Call(x) => v.call(x),
        Expr::List(x) => x.items.iter().for_each(|e| v.expr(e)),
        Expr::Tuple(x) => x.items.iter().for_each(|e| v.expr(e)),
        Expr::Map(x) => x.keys.iter().chain(&x.values).for_each(|e| v.expr(e)),
    }
}

/// The values that are handed to a filter, a test or a function.
pub(super) fn walk_args(v: &mut impl Visitor, args: &[CallArg<'_>]) {
    for arg in args {
        match arg {
            CallArg::Pos(e) | CallArg::Kwarg(_, e) | CallArg::PosSplat(e) | CallArg::KwargSplat(e) => v.expr(e),
        }
    }
}

/// Statements one after the other.
pub(super) fn walk_body(v: &mut impl Visitor, body: &[Stmt<'_>]) {
    body.iter().for_each(|s| v.stmt(s));
}

/// What a statement is made of; the names that it defines are not visited.
pub(super) fn walk_stmt(v: &mut impl Visitor, stmt: &Stmt<'_>) {
    match stmt {
        Stmt::Template(x) => walk_body(v, &x.children),
        Stmt::EmitExpr(x) => v.expr(&x.expr),
        Stmt::EmitRaw(_) | Stmt::Continue(_) | Stmt::Break(_) => {}
        Stmt::ForLoop(x) => {
            v.expr(&x.iter);
            x.filter_expr.iter().for_each(|e| v.expr(e));
            walk_body(v, &x.body);
            walk_body(v, &x.else_body);
        }
        Stmt::IfCond(x) => {
            v.expr(&x.expr);
            walk_body(v, &x.true_body);
            walk_body(v, &x.false_body);
        }
        Stmt::WithBlock(x) => {
            x.assignments.iter().for_each(|(_, e)| v.expr(e));
            walk_body(v, &x.body);
        }
        Stmt::Set(x) => v.expr(&x.expr),
        Stmt::SetBlock(x) => {
            walk_body(v, &x.body);
            x.filter.iter().for_each(|e| v.expr(e));
        }
        Stmt::AutoEscape(x) => walk_body(v, &x.body),
        Stmt::FilterBlock(x) => {
            v.expr(&x.filter);
            walk_body(v, &x.body);
        }
        Stmt::Block(x) => walk_body(v, &x.body),
        Stmt::Import(x) => v.expr(&x.expr),
        Stmt::FromImport(x) => v.expr(&x.expr),
        Stmt::Extends(x) => v.expr(&x.name),
        Stmt::Include(x) => v.expr(&x.name),
        Stmt::Macro(x) => {
            x.defaults.iter().for_each(|e| v.expr(e));
            walk_body(v, &x.body);
        }
        Stmt::CallBlock(x) => {
            v.call(&x.call);
            walk_body(v, &x.macro_decl.body);
        }
        Stmt::Do(x) => v.call(&x.call),
    }
}
