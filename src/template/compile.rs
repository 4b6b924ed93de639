//! From text to a compiled template: parsed once, rewritten for undefined, kept by text.

use super::check::Checker;
use super::undefined::Walked;
use super::{FreeVars, Kind, TemplateError, TemplateIssue, backslash, free};
use minijinja::machinery::ast::Stmt;
use minijinja::machinery::{parse, parse_expr};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error};
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// How a text is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Mode {
    /// A template.
    Text,
    /// An expression without braces.
    Expression,
    /// A template file, by the number of its settings.
    File(usize),
}

/// A text, ready to be rendered many times.
#[derive(Debug)]
pub(super) struct Compiled {
    /// Its name in the environment.
    pub(super) id: String,
    /// The text as written.
    pub(super) text: String,
    /// Whether it is one expression, whose value is left in the variable [`RESULT`].
    pub(super) expression: bool,
    pub(super) walked: Walked,
    pub(super) free: FreeVars,
    /// Bytes of the rewritten text before the text proper.
    pub(super) prefix: usize,
    /// Newlines at the end of the text as written: a result that is text ends with at least as many.
    pub(super) newlines: usize,
}

impl Compiled {
    /// A rendered text with the newlines at its end that the template was written with; `None` if it has them.
    pub(super) fn padded(&self, text: &str, newline: &str) -> Option<String> {
        let there = (text.len() - text.trim_end_matches(newline).len()) / newline.len();
        let missing = self.newlines.saturating_sub(there);
        (missing > 0).then(|| format!("{text}{}", newline.repeat(missing)))
    }
}

/// The variable that holds an expression's value.
pub(super) const RESULT: &str = "__v";
const OPEN: &str = "{% set __v = (";
const CLOSE: &str = ") %}";

/// Compiled texts by how they are read and by themselves.
type Known = HashMap<(Mode, Arc<str>), Arc<Compiled>>;
type Sources = Arc<Mutex<HashMap<String, String>>>;

/// An environment with the texts compiled in it.
pub(super) struct Compiler {
    pub(super) env: Environment<'static>,
    pub(super) syntax: SyntaxConfig,
    /// What ends the lines of the texts themselves.
    pub(super) newline: &'static str,
    /// Rewritten texts on their way to the environment's loader.
    sources: Sources,
    known: RwLock<Known>,
}

impl Compiler {
    pub(super) fn new(mut env: Environment<'static>, syntax: SyntaxConfig) -> Self {
        let sources = Sources::default();
        let waiting = Arc::clone(&sources);
        env.set_syntax(syntax.clone());
        env.set_loader(move |id| Ok(waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(id)));
        Self { env, syntax, newline: "\n", sources, known: RwLock::default() }
    }

    /// With another end of lines.
    pub(super) fn ending(self, newline: &'static str) -> Self {
        Self { newline, ..self }
    }

    pub(super) fn compile(&self, mode: Mode, text: &str) -> Result<Arc<Compiled>, TemplateError> {
        let key = (mode, Arc::from(text));
        if let Some(known) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(Arc::clone(known));
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(&key) {
            return Ok(Arc::clone(known));
        }
        let (mut compiled, source) = analyse(mode, text, &self.syntax).map_err(|e| syntax_error(&e, text))?;
        compiled.id = format!("t{}", known.len());
        let source = if self.newline == "\n" { source } else { source.replace('\n', self.newline) };
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).insert(compiled.id.clone(), source);
        self.env.get_template(&compiled.id).map_err(|e| syntax_error(&e, text))?;
        let compiled = Arc::new(compiled);
        known.insert(key, Arc::clone(&compiled));
        Ok(compiled)
    }
}

/// Parses and rewrites; gives the source for the environment beside what is known of it.
pub(super) fn analyse(mode: Mode, text: &str, syntax: &SyntaxConfig) -> Result<(Compiled, String), Error> {
    if mode == Mode::Expression {
        return expression(text);
    }
    let written = text;
    let text = &*normalised(mode, text);
    let tree = parse(text, "template", syntax.clone())?;
    let newlines = text.len() - text.trim_end_matches('\n').len();
    if let Some(inner) = only_expression(&tree, text).filter(|_| mode == Mode::Text)
        && let Ok((mut compiled, source)) = expression(inner)
    {
        compiled.newlines = newlines;
        written.clone_into(&mut compiled.text);
        return Ok((compiled, source));
    }
    let walked = Walked::template(text, &tree);
    let source = walked.rewritten(text);
    let free = free::Finder::template(&tree);
    let compiled = Compiled { id: String::new(), text: written.to_owned(), expression: false, walked, free, prefix: 0, newlines };
    Ok((compiled, source))
}

/// A text as Jinja with Ansible's settings reads it, where minijinja reads it otherwise.
fn normalised(mode: Mode, text: &str) -> Cow<'_, str> {
    let mut out = if mode == Mode::Text { backslash::literal(text) } else { Cow::Borrowed(text) };
    if out.contains('\r') {
        out = out.replace("\r\n", "\n").replace('\r', "\n").into();
    }
    // Jinja keeps a newline after `{% raw %}`, which minijinja trims as after any block.
    if out.contains("raw %}\n") {
        out = out.replace("{% raw %}\n", "{{ \"\\n\" }}{% raw %}").into();
    }
    // Whether an included or imported template sees the variables: it always does here.
    if out.contains(" context %}") && (out.contains("import ") || out.contains("include ")) {
        out = out.replace(" with context %}", " %}").replace(" without context %}", " %}").into();
    }
    out
}

fn expression(text: &str) -> Result<(Compiled, String), Error> {
    let tree = parse_expr(text)?;
    let walked = Walked::expression(text, &tree);
    let source = format!("{OPEN}{}{CLOSE}", walked.rewritten(text));
    let free = free::Finder::expression(&tree);
    let prefix = OPEN.len();
    let compiled = Compiled { id: String::new(), text: text.to_owned(), expression: true, walked, free, prefix, newlines: 0 };
    Ok((compiled, source))
}

/// What in a text nobody can do.
pub(super) fn check(mode: Mode, text: &str, syntax: &SyntaxConfig, filters: &BTreeSet<String>) -> Result<Vec<TemplateIssue>, Error> {
    if mode == Mode::Expression {
        return Ok(Checker::expression(filters, &parse_expr(text)?));
    }
    Ok(Checker::template(filters, &parse(&normalised(mode, text), "template", syntax.clone())?))
}

/// The inside of the braces, where a text is exactly one `{{ … }}`.
fn only_expression<'t>(tree: &Stmt<'_>, text: &'t str) -> Option<&'t str> {
    let Stmt::Template(template) = tree else { return None };
    let [Stmt::EmitExpr(_)] = &template.children[..] else { return None };
    let inner = text.strip_suffix('\n').unwrap_or(text).strip_prefix("{{")?.strip_suffix("}}")?;
    let inner = inner.strip_prefix(['-', '+']).unwrap_or(inner);
    Some(inner.strip_suffix(['-', '+']).unwrap_or(inner))
}

pub(super) fn syntax_error(e: &Error, text: &str) -> TemplateError {
    let mut error = TemplateError::new(Kind::Syntax, format!("template syntax error: {}", e.detail().unwrap_or("not a template")));
    error.line = e.line();
    error.within(text)
}
