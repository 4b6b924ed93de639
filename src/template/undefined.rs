//! Undefined as Ansible means it: chainable under `.attr` and `[item]`, an error wherever else it is used.
//!
//! minijinja's strict mode errs too early, its chainable mode never errs. So the environment is strict, and the base
//! of every lookup is wrapped by byte span: `u.a.b` becomes `__c(__c(u).a).b`, where `__c` turns an undefined base
//! into an empty [`Carrier`]; the lookup then yields a real undefined. The same walk closes what strict mode lets
//! pass, and notes what the engine wants to know of a text.

use minijinja::machinery::ast::{BinOpKind, Call, CallArg, CompareOpKind, Expr, Spanned, Stmt};
use minijinja::value::Object;
use minijinja::{Error, State, Value};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Stands for an undefined base: every lookup in it, and every method of it, is undefined.
#[derive(Debug)]
pub(super) struct Carrier;

impl Object for Carrier {
    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, _: &str, _: &[Value]) -> Result<Value, Error> {
        Ok(Value::UNDEFINED)
    }
}

/// One lookup `a.b['c']` of a text, for naming what is undefined in it.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    /// The variable at its root.
    pub(super) root: String,
    /// The keys after it; `None` where a key is not a constant.
    pub(super) keys: Vec<Option<Value>>,
    /// Its bytes in the text.
    pub(super) span: (usize, usize),
    /// Its line, from 1.
    pub(super) line: usize,
    /// Whether it stands where undefined is handled: before `default`, `is defined`.
    pub(super) guarded: bool,
}

/// What the walk found.
#[derive(Debug, Default)]
pub(super) struct Walked {
    inserts: Vec<(usize, u8, &'static str)>,
    /// Lookups in the order of the text.
    pub(super) chains: Vec<Chain>,
    /// There are list or map literals, which may hold undefined without anybody asking.
    pub(super) literals: bool,
    /// A method that changes its object is called.
    mutates: bool,
    /// `include`, `import` or `extends` is used.
    pub(super) includes: bool,
    set_values: Vec<(usize, usize)>,
    /// Names that the text itself gives a value to.
    pub(super) bound: BTreeSet<String>,
}

/// Methods of Python's lists and dictionaries that change them.
pub(super) const MUTATING: [&str; 11] =
    ["append", "extend", "insert", "pop", "remove", "update", "setdefault", "clear", "sort", "reverse", "popitem"];

/// Names that Jinja itself gives a meaning to.
const SPECIAL: [&str; 5] = ["loop", "self", "super", "caller", "varargs"];

impl Walked {
    /// Walks a template.
    pub(super) fn template(src: &str, tree: &Stmt<'_>) -> Self {
        let mut walk = Self::default();
        walk.stmt(src, tree);
        walk
    }

    /// Walks an expression.
    pub(super) fn expression(src: &str, tree: &Expr<'_>) -> Self {
        let mut walk = Self::default();
        walk.expr(src, tree, false);
        walk
    }

    /// The text with every insertion in place.
    pub(super) fn rewritten(&self, src: &str) -> String {
        let mut inserts = self.inserts.clone();
        if self.mutates {
            for &(start, end) in &self.set_values {
                inserts.push((start, 1, "__m("));
                inserts.push((end, 0, ")"));
            }
        }
        inserts.sort_by_key(|(offset, order, _)| (*offset, *order));
        let mut out = String::with_capacity(src.len() + inserts.iter().map(|i| i.2.len()).sum::<usize>());
        let mut at = 0;
        for (offset, _, text) in inserts {
            out.push_str(&src[at..offset]);
            out.push_str(text);
            at = offset;
        }
        out.push_str(&src[at..]);
        out
    }

    /// The offset in `src` of the offset `rewritten` in the rewritten text.
    pub(super) fn original_offset(&self, rewritten: usize) -> usize {
        let mut inserts: Vec<_> = self.inserts.iter().map(|(offset, _, text)| (*offset, text.len())).collect();
        if self.mutates {
            inserts.extend(self.set_values.iter().flat_map(|&(start, end)| [(start, 4), (end, 1)]));
        }
        inserts.sort_unstable();
        let mut shift = 0;
        for (offset, len) in inserts {
            if offset + shift >= rewritten {
                break;
            }
            shift += len;
        }
        rewritten.saturating_sub(shift)
    }

    fn wrap(&mut self, src: &str, expr: &Expr<'_>, opening: &'static str) {
        if let Some((start, end)) = whole_span(src, expr) {
            self.inserts.push((start, 1, opening));
            self.inserts.push((end, 0, ")"));
        }
    }

    /// The base of a lookup or method call.
    fn base(&mut self, src: &str, base: &Expr<'_>) {
        let special = matches!(base, Expr::Var(v) if SPECIAL.contains(&v.id) || v.id.starts_with("__"));
        let lookup = matches!(base, Expr::Var(_) | Expr::GetAttr(_) | Expr::GetItem(_) | Expr::Filter(_) | Expr::Call(_) | Expr::IfExpr(_));
        if lookup && !special {
            self.wrap(src, base, "__c(");
        }
        self.parts(src, base, true);
    }

    /// An expression whose value is used; `guarded` where undefined is handled.
    fn expr(&mut self, src: &str, expr: &Expr<'_>, guarded: bool) {
        if let Some(chain) = chain(expr, guarded) {
            self.chains.push(chain);
        }
        self.parts(src, expr, guarded);
    }

    fn used(&mut self, src: &str, expr: &Expr<'_>) {
        self.expr(src, expr, false);
    }

    fn parts(&mut self, src: &str, expr: &Expr<'_>, guarded: bool) {
        match expr {
            Expr::Var(_) | Expr::Const(_) => {}
            Expr::GetAttr(x) => self.base(src, &x.expr),
            Expr::GetItem(x) => {
                self.base(src, &x.expr);
                self.used(src, &x.subscript_expr);
            }
            Expr::Slice(x) => {
                self.used(src, &x.expr);
                for part in [&x.start, &x.stop, &x.step].into_iter().flatten() {
                    self.used(src, part);
                }
            }
            Expr::UnaryOp(x) => self.used(src, &x.expr),
            Expr::BinOp(x) => {
                let ordered = matches!(x.op, BinOpKind::Lt | BinOpKind::Lte | BinOpKind::Gt | BinOpKind::Gte);
                self.operands(src, &[&x.left, &x.right], ordered);
            }
            Expr::Compare(x) => {
                let ordered =
                    x.ops.iter().all(|o| matches!(o.op, CompareOpKind::Lt | CompareOpKind::Lte | CompareOpKind::Gt | CompareOpKind::Gte));
                let operands: Vec<_> = std::iter::once(&x.expr).chain(x.ops.iter().map(|o| &o.expr)).collect();
                self.operands(src, &operands, ordered);
            }
            Expr::IfExpr(x) => {
                self.used(src, &x.test_expr);
                self.expr(src, &x.true_expr, guarded);
                if let Some(other) = &x.false_expr {
                    self.expr(src, other, guarded);
                }
            }
            Expr::Filter(x) => {
                let handles = matches!(short_name(x.name), "default" | "d" | "mandatory");
                // These may hand on what is undefined inside a list.
                self.literals |= matches!(short_name(x.name), "map" | "extract");
                if let Some(input) = &x.expr {
                    self.expr(src, input, handles);
                }
                self.args(src, &x.args);
            }
            Expr::Test(x) => {
                let handles = matches!(short_name(x.name), "defined" | "undefined");
                self.expr(src, &x.expr, handles);
                self.args(src, &x.args);
            }
            Expr::Call(x) => self.call(src, x),
            Expr::List(x) => {
                self.literals = true;
                x.items.iter().for_each(|e| self.used(src, e));
            }
            Expr::Tuple(x) => {
                self.literals = true;
                x.items.iter().for_each(|e| self.used(src, e));
            }
            Expr::Map(x) => {
                self.literals = true;
                x.keys.iter().chain(&x.values).for_each(|e| self.used(src, e));
            }
        }
    }

    /// Operands of `<` and its kin are wrapped, so that comparing text with a number errs as in Python.
    fn operands(&mut self, src: &str, operands: &[&Expr<'_>], ordered: bool) {
        let simple = |e: &&&Expr<'_>| {
            matches!(e, Expr::Var(_) | Expr::Const(_) | Expr::GetAttr(_) | Expr::GetItem(_) | Expr::Filter(_) | Expr::Call(_))
        };
        if ordered && operands.iter().filter(simple).count() == operands.len() {
            for e in operands {
                self.wrap(src, e, "__o(");
            }
        }
        for e in operands {
            self.used(src, e);
        }
    }

    fn call(&mut self, src: &str, call: &Call<'_>) {
        match &call.expr {
            Expr::GetAttr(method) => {
                self.mutates |= MUTATING.contains(&method.name);
                self.base(src, &method.expr);
            }
            Expr::Var(v) => self.literals |= matches!(v.id, "dict" | "namespace"),
            other => self.used(src, other),
        }
        self.args(src, &call.args);
    }

    fn args(&mut self, src: &str, args: &[CallArg<'_>]) {
        for arg in args {
            match arg {
                CallArg::Pos(e) | CallArg::Kwarg(_, e) | CallArg::PosSplat(e) | CallArg::KwargSplat(e) => self.used(src, e),
            }
        }
    }

    fn bind(&mut self, target: &Expr<'_>) {
        match target {
            Expr::Var(v) => {
                self.bound.insert(v.id.to_owned());
            }
            Expr::List(l) => l.items.iter().for_each(|e| self.bind(e)),
            Expr::Tuple(t) => t.items.iter().for_each(|e| self.bind(e)),
            _ => {}
        }
    }

    fn body(&mut self, src: &str, body: &[Stmt<'_>]) {
        for s in body {
            self.stmt(src, s);
        }
    }

    fn stmt(&mut self, src: &str, stmt: &Stmt<'_>) {
        match stmt {
            Stmt::Template(x) => self.body(src, &x.children),
            Stmt::EmitExpr(x) => self.used(src, &x.expr),
            Stmt::EmitRaw(_) | Stmt::Continue(_) | Stmt::Break(_) => {}
            Stmt::ForLoop(x) => {
                self.bind(&x.target);
                self.used(src, &x.iter);
                x.filter_expr.iter().for_each(|e| self.used(src, e));
                self.body(src, &x.body);
                self.body(src, &x.else_body);
            }
            Stmt::IfCond(x) => {
                self.used(src, &x.expr);
                self.body(src, &x.true_body);
                self.body(src, &x.false_body);
            }
            Stmt::WithBlock(x) => {
                for (target, value) in &x.assignments {
                    self.bind(target);
                    self.expr(src, value, true);
                }
                self.body(src, &x.body);
            }
            Stmt::Set(x) => {
                self.bind(&x.target);
                self.set_values.extend(whole_span(src, &x.expr));
                self.expr(src, &x.expr, true);
            }
            Stmt::SetBlock(x) => {
                self.bind(&x.target);
                x.filter.iter().for_each(|e| self.used(src, e));
                self.body(src, &x.body);
            }
            Stmt::AutoEscape(x) => self.body(src, &x.body),
            Stmt::FilterBlock(x) => {
                self.used(src, &x.filter);
                self.body(src, &x.body);
            }
            Stmt::Block(x) => self.body(src, &x.body),
            Stmt::Import(x) => {
                self.includes = true;
                self.bind(&x.name);
                self.used(src, &x.expr);
            }
            Stmt::FromImport(x) => {
                self.includes = true;
                x.names.iter().for_each(|(name, alias)| self.bind(alias.as_ref().unwrap_or(name)));
                self.used(src, &x.expr);
            }
            Stmt::Extends(x) => {
                self.includes = true;
                self.used(src, &x.name);
            }
            Stmt::Include(x) => {
                self.includes = true;
                self.used(src, &x.name);
            }
            Stmt::Macro(x) => {
                self.bound.insert(x.name.to_owned());
                x.args.iter().for_each(|e| self.bind(e));
                x.defaults.iter().for_each(|e| self.used(src, e));
                self.body(src, &x.body);
            }
            Stmt::CallBlock(x) => {
                self.call(src, &x.call);
                x.macro_decl.args.iter().for_each(|e| self.bind(e));
                self.body(src, &x.macro_decl.body);
            }
            Stmt::Do(x) => self.call(src, &x.call),
        }
    }
}

/// A filter's or test's name without its collection.
pub(super) fn short_name(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

fn chain(expr: &Expr<'_>, guarded: bool) -> Option<Chain> {
    let span = expr.span();
    let mut keys = Vec::new();
    let mut at = expr;
    loop {
        match at {
            Expr::Var(v) => {
                keys.reverse();
                let span_pair = (leftmost(expr), span.end_offset as usize);
                return Some(Chain { root: v.id.to_owned(), keys, span: span_pair, line: v.span().start_line.into(), guarded });
            }
            Expr::GetAttr(x) => {
                keys.push(Some(Value::from(x.name)));
                at = &x.expr;
            }
            Expr::GetItem(x) => {
                keys.push(x.subscript_expr.as_const());
                at = &x.expr;
            }
            _ => return None,
        }
    }
}

/// The offset of an expression's first token, for a chain of postfix operations that of its base.
fn leftmost(expr: &Expr<'_>) -> usize {
    let own = |span: minijinja::machinery::Span| span.start_offset as usize;
    match expr {
        Expr::GetAttr(x) => leftmost(&x.expr),
        Expr::GetItem(x) => leftmost(&x.expr),
        Expr::Slice(x) => leftmost(&x.expr),
        Expr::Call(x) => leftmost(&x.expr),
        Expr::Filter(x) => x.expr.as_ref().map_or_else(|| own(Spanned::span(x)), leftmost),
        Expr::Test(x) => leftmost(&x.expr),
        Expr::BinOp(x) => leftmost(&x.left),
        Expr::Compare(x) => leftmost(&x.expr),
        Expr::IfExpr(x) => leftmost(&x.true_expr).min(own(x.span())),
        other => own(other.span()),
    }
}

/// The bytes of an expression with the opening parentheses that belong to it; `None` where they cannot be told.
fn whole_span(src: &str, expr: &Expr<'_>) -> Option<(usize, usize)> {
    let mut start = leftmost(expr);
    let end = expr.span().end_offset as usize;
    let (mut depth, mut lowest) = (0_i32, 0_i32);
    let mut quote = None;
    let mut bytes = src.get(start..end)?.bytes();
    while let Some(b) = bytes.next() {
        match (quote, b) {
            (Some(_), b'\\') => {
                bytes.next();
            }
            (Some(q), b) if q == b => quote = None,
            (None, b'"' | b'\'') => quote = Some(b),
            (None, b'(' | b'[' | b'{') => depth += 1,
            (None, b')' | b']' | b'}') => depth -= 1,
            _ => {}
        }
        lowest = lowest.min(depth);
    }
    if quote.is_some() || depth != lowest {
        return None;
    }
    while depth < 0 {
        start = start.checked_sub(1)?;
        match src.as_bytes().get(start)? {
            b'(' => depth += 1,
            b if b.is_ascii_whitespace() => {}
            _ => return None,
        }
    }
    Some((start, end))
}
