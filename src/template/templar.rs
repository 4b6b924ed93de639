//! The one object that others use.

use super::compile::{Compiled, Compiler, Mode, RESULT, analyse, check};
use super::explain;
use super::globals::{self, Omit};
use super::run::{self, Root, Run};
use super::undefined::Carrier;
use super::{FreeVars, Kind, Lookups, NoLookups, Scope, TemplateError, TemplateFile, TemplateIssue, TemplateOptions};
use super::{checks, filters, methods, mutable, python};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;
use minijinja::{Environment, Output, State, UndefinedBehavior, Value};
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// Whether a text holds anything that a template engine would touch.
fn is_template(text: &str) -> bool {
    text.as_bytes().windows(2).any(|w| matches!(w, b"{{" | b"{%" | b"{#"))
}

/// Whether any text in a value, at any depth, holds a template.
pub fn has_templates(value: &Value) -> bool {
    match value.kind() {
        // A safe string is text tagged `!unsafe`: never a template.
        ValueKind::String => !value.is_safe() && value.as_str().is_some_and(is_template),
        ValueKind::Map => python::pairs(value).iter().any(|(k, v)| has_templates(k) || has_templates(v)),
        ValueKind::Seq | ValueKind::Iterable => python::items(value).iter().any(has_templates),
        _ => false,
    }
}

/// Compilers by their settings, numbered.
type Compilers = HashMap<TemplateOptions, (usize, Arc<Compiler>)>;

/// Renders templates as Ansible does. Cheap to clone; texts are compiled once and kept.
#[derive(Clone)]
pub struct Templar {
    base: Arc<Environment<'static>>,
    main: Arc<Compiler>,
    /// Template files with settings of their own.
    others: Arc<Mutex<Compilers>>,
    /// Names of all filters.
    filters: Arc<BTreeSet<String>>,
}

impl Default for Templar {
    fn default() -> Self {
        Self::new()
    }
}

static OMIT: LazyLock<Value> = LazyLock::new(|| Value::from_object(Omit));

/// Deepest nesting of data that is rendered or searched.
const MAX_DEPTH: usize = 100;

impl Templar {
    /// Filters, tests, methods; lookups that reach outside are refused.
    pub fn new() -> Self {
        Self::build(&(Arc::new(NoLookups) as Arc<dyn Lookups>))
    }

    /// The same with lookups.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "the environment shares it: callers hand it over")]
    pub fn with_lookups(self, lookups: Arc<dyn Lookups>) -> Self {
        Self::build(&lookups)
    }

    fn build(lookups: &Arc<dyn Lookups>) -> Self {
        let mut env = Environment::new();
        env.set_undefined_behavior(UndefinedBehavior::Strict);
        env.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        env.set_debug(false);
        env.set_formatter(print);
        env.set_unknown_method_callback(methods::call);
        let mut filters = filters::register(&mut env);
        filters.extend(checks::filter_names().map(str::to_owned));
        checks::register(&mut env);
        globals::register(&mut env, lookups);
        let mut syntax = SyntaxConfig::builder();
        syntax.trim_blocks(true);
        let main = Arc::new(Compiler::new(env.clone(), syntax.build().unwrap_or_default()));
        Self { base: Arc::new(env), main, others: Arc::default(), filters: Arc::new(filters) }
    }

    /// The value that says "as if this option were not written".
    pub fn omit() -> Value {
        OMIT.clone()
    }

    /// Whether a value is [`omit`](Self::omit).
    pub fn is_omit(value: &Value) -> bool {
        value.downcast_object_ref::<Omit>().is_some()
    }

    /// A text that may hold templates. Exactly one expression gives its value, anything else text.
    pub fn render(&self, text: &str, scope: &dyn Scope) -> Result<Value, TemplateError> {
        if !is_template(text) {
            return Ok(Value::from(text));
        }
        let compiled = self.main.compile(Mode::Text, text)?;
        let (value, _) = evaluate(&self.main, &compiled, scope)?;
        Ok(match value.as_str() {
            Some(text) => compiled.padded(text, "\n").map_or_else(|| value.clone(), Value::from),
            None => value,
        })
    }

    /// Every text in a value, keys too. Entries of maps and lists whose text renders to `omit` are dropped.
    pub fn render_value(&self, value: &Value, scope: &dyn Scope) -> Result<Value, TemplateError> {
        self.render_deep(value, scope, 0)
    }

    fn render_deep(&self, value: &Value, scope: &dyn Scope, depth: usize) -> Result<Value, TemplateError> {
        if depth > MAX_DEPTH {
            return Err(TemplateError::new(Kind::Other, format!("data is nested more than {MAX_DEPTH} deep")));
        }
        match value.kind() {
            ValueKind::String if !value.is_safe() => self.render(value.as_str().unwrap_or_default(), scope),
            ValueKind::Map if has_templates(value) => {
                let mut out = Vec::new();
                for (key, item) in python::pairs(value) {
                    let item = self.render_deep(&item, scope, depth + 1)?;
                    if !Self::is_omit(&item) {
                        out.push((self.render_deep(&key, scope, depth + 1)?, item));
                    }
                }
                Ok(Value::from_pairs(out))
            }
            ValueKind::Seq if has_templates(value) => {
                let mut out = Vec::new();
                for item in python::items(value) {
                    let item = self.render_deep(&item, scope, depth + 1)?;
                    if !Self::is_omit(&item) {
                        out.push(item);
                    }
                }
                Ok(Value::from(out))
            }
            _ => Ok(value.clone()),
        }
    }

    /// `when`, `until`, `changed_when`: an expression without braces, by Python's truth. The second value warns of a
    /// result that is not a boolean (an error since ansible-core 2.19) and of braces.
    pub fn condition(&self, expr: &str, scope: &dyn Scope) -> Result<(bool, Option<String>), TemplateError> {
        if is_template(expr) {
            let warning = Some(format!("conditions should not hold braces or tags: {}", expr.trim()));
            let value = self.render(expr.trim(), scope)?;
            let truth = match value.as_str().map(str::trim) {
                Some("") => false,
                Some(text) => match self.expression(text, scope) {
                    Ok(value) => truth(&value),
                    Err(e) if e.kind == Kind::Syntax => true,
                    Err(e) => return Err(e),
                },
                None => truth(&value),
            };
            return Ok((truth, warning));
        }
        let compiled = self.main.compile(Mode::Expression, expr)?;
        let (value, run) = evaluate(&self.main, &compiled, scope)?;
        let mut warnings = run.warnings;
        if value.kind() != ValueKind::Bool {
            warnings.push(format!("the condition `{}` is a {}, not a boolean", expr.trim(), python::type_name(&value)));
        }
        Ok((truth(&value), (!warnings.is_empty()).then(|| warnings.join("; "))))
    }

    /// The value of an expression without braces.
    pub fn expression(&self, expr: &str, scope: &dyn Scope) -> Result<Value, TemplateError> {
        let compiled = self.main.compile(Mode::Expression, expr)?;
        Ok(evaluate(&self.main, &compiled, scope)?.0)
    }

    /// A whole template file. `None` is printed as nothing.
    pub fn render_file(&self, file: &TemplateFile, scope: &dyn Scope) -> Result<String, TemplateError> {
        let mut options = file.options.clone();
        let named = |e: TemplateError| TemplateError { template: file.name.clone(), ..e };
        let text = options.header(&file.text).map_err(named)?;
        let (number, compiler) = self.file_compiler(&options).map_err(named)?;
        let compiled = compiler.compile(Mode::File(number), text).map_err(named)?;
        if compiled.walked.includes {
            let compiler = self.including(&options, file).map_err(named)?;
            let compiled = compiler.compile(Mode::File(number), text).map_err(named)?;
            return whole_file(&compiler, &compiled, scope).map_err(named);
        }
        whole_file(&compiler, &compiled, scope).map_err(named)
    }

    fn file_compiler(&self, options: &TemplateOptions) -> Result<(usize, Arc<Compiler>), TemplateError> {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((number, known)) = others.get(options) {
            return Ok((*number, Arc::clone(known)));
        }
        let compiler = Arc::new(Compiler::new((*self.base).clone(), options.syntax()?).ending(options.newline));
        let number = others.len();
        others.insert(options.clone(), (number, Arc::clone(&compiler)));
        Ok((number, compiler))
    }

    /// A compiler of its own for a file that includes others: their texts may differ the next time.
    fn including(&self, options: &TemplateOptions, file: &TemplateFile) -> Result<Compiler, TemplateError> {
        let syntax = options.syntax()?;
        let mut compiler = Compiler::new((*self.base).clone(), syntax.clone()).ending(options.newline);
        let newline = options.newline;
        let ends = move |text: String| if newline == "\n" { text } else { text.replace('\n', newline) };
        let Some(loader) = file.loader.clone() else { return Ok(compiler) };
        let (own, source) = analyse(Mode::File(0), options.clone().header(&file.text)?, &syntax)
            .map_err(|e| super::compile::syntax_error(&e, &file.text))?;
        drop(own);
        let mut main = Some(ends(source));
        let main = Mutex::new(main.take());
        compiler.env.set_loader(move |name| {
            if name == "t0" {
                return Ok(main.lock().unwrap_or_else(PoisonError::into_inner).take());
            }
            let failed = |e: String| minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, e);
            match loader(name).map_err(failed)? {
                Some(text) => Ok(Some(ends(analyse(Mode::File(0), &text, &syntax)?.1))),
                None => Ok(None),
            }
        });
        Ok(compiler)
    }

    /// The variables that the texts in a value take from outside.
    pub fn free_variables(&self, value: &Value) -> FreeVars {
        let mut found = FreeVars::default();
        self.collect_free(value, &mut found, 0);
        found
    }

    fn collect_free(&self, value: &Value, found: &mut FreeVars, depth: usize) {
        if depth > MAX_DEPTH {
            found.unknown = true;
            return;
        }
        match value.kind() {
            ValueKind::String if !value.is_safe() => {
                let text = value.as_str().unwrap_or_default();
                if is_template(text) {
                    match self.main.compile(Mode::Text, text) {
                        Ok(compiled) => found.merge(&compiled.free),
                        Err(_) => found.unknown = true,
                    }
                }
            }
            ValueKind::Map => {
                for (key, item) in python::pairs(value) {
                    self.collect_free(&key, found, depth + 1);
                    self.collect_free(&item, found, depth + 1);
                }
            }
            ValueKind::Seq | ValueKind::Iterable => {
                for item in python::items(value) {
                    self.collect_free(&item, found, depth + 1);
                }
            }
            _ => {}
        }
    }

    /// The variables that an expression without braces takes from outside.
    pub fn free_variables_expr(&self, expr: &str) -> FreeVars {
        if is_template(expr) {
            // Braces in a condition: what they yield is evaluated again, so anything may be read.
            return FreeVars { unknown: true, ..self.free_variables(&Value::from(expr)) };
        }
        self.main
            .compile(Mode::Expression, expr)
            .map_or_else(|_| FreeVars { unknown: true, ..FreeVars::default() }, |compiled| compiled.free.clone())
    }

    /// What a text can never do: syntax errors, unknown filters, tests, functions and lookups.
    pub fn check(&self, text: &str) -> Vec<TemplateIssue> {
        if is_template(text) { self.issues(Mode::Text, text) } else { Vec::new() }
    }

    /// The same for an expression without braces.
    pub fn check_expr(&self, expr: &str) -> Vec<TemplateIssue> {
        self.issues(if is_template(expr) { Mode::Text } else { Mode::Expression }, expr)
    }

    fn issues(&self, mode: Mode, text: &str) -> Vec<TemplateIssue> {
        check(mode, text, &self.main.syntax, &self.filters).unwrap_or_else(|e| {
            let e = super::compile::syntax_error(&e, text);
            vec![TemplateIssue { kind: e.kind, message: e.to_string(), line: e.line.unwrap_or(1) }]
        })
    }
}

/// Python's truth of a value.
fn truth(value: &Value) -> bool {
    mutable::frozen(value).as_ref().unwrap_or(value).is_true()
}

/// Prints one value into a text.
fn print(out: &mut Output<'_>, _: &mut State<'_, '_>, value: &Value) -> Result<(), minijinja::Error> {
    // Undefined itself never comes here, but for that of an `if` without `else`, which prints nothing.
    if value.is_undefined() {
        return Ok(());
    }
    if filters::holds_undefined(value, 0) {
        return Err(minijinja::ErrorKind::UndefinedError.into());
    }
    if value.is_none() {
        return Ok(());
    }
    run::note(|run| run.print(value));
    match value.as_str() {
        Some(text) => out.write_str(text)?,
        None => out.write_str(&python::str(value))?,
    }
    Ok(())
}

fn evaluate(compiler: &Compiler, compiled: &Compiled, scope: &dyn Scope) -> Result<(Value, Run), TemplateError> {
    if !compiled.expression {
        let (text, run) = render_text(compiler, compiled, scope)?;
        let value = match run.only_value(&text) {
            Some(value) => finish(&value, 0)?.unwrap_or_else(|| Value::from(text)),
            None => Value::from(text),
        };
        return Ok((value, run));
    }
    let (result, run) = run::with_scope(scope, || {
        let template = compiler.env.get_template(&compiled.id)?;
        template.render_captured(Value::from_object(Root)).map(|done| done.state().lookup(RESULT))
    });
    let value = result.map_err(|e| explain::error(&e, compiled, &run, |name| read_again(name, scope)))?;
    if let Some(message) = &run.refused {
        return Err(TemplateError::new(Kind::Other, message.clone()).within(&compiled.text));
    }
    let value = value.unwrap_or_default();
    let missing = || explain::error(&minijinja::ErrorKind::UndefinedError.into(), compiled, &run, |name| read_again(name, scope));
    if value.is_undefined() || value.downcast_object_ref::<Carrier>().is_some() {
        return Err(missing());
    }
    let value = if compiled.walked.literals || !is_plain(&value) { finish(&value, 0)?.ok_or_else(missing)? } else { value };
    Ok((value, run))
}

fn read_again(name: &str, scope: &dyn Scope) -> run::Read {
    match scope.get(name) {
        Ok(Some(value)) => run::Read::Found(value),
        Ok(None) => run::Read::Missing,
        Err(e) => run::Read::Failed(e),
    }
}

fn render_text(compiler: &Compiler, compiled: &Compiled, scope: &dyn Scope) -> Result<(String, Run), TemplateError> {
    let (result, run) = run::with_scope(scope, || compiler.env.get_template(&compiled.id)?.render(Value::from_object(Root)));
    let text = result.map_err(|e| explain::error(&e, compiled, &run, |name| read_again(name, scope)))?;
    match &run.refused {
        Some(message) => Err(TemplateError::new(Kind::Other, message.clone()).within(&compiled.text)),
        None => Ok((text, run)),
    }
}

/// A file's text. A file that is one value of another type than text loses its last newline, as in ansible-core.
fn whole_file(compiler: &Compiler, compiled: &Compiled, scope: &dyn Scope) -> Result<String, TemplateError> {
    let (text, run) = render_text(compiler, compiled, scope)?;
    let native = run.only_value(&text).is_some() || text.is_empty() && is_template(&compiled.text);
    Ok(if native { text } else { compiled.padded(&text, compiler.newline).unwrap_or(text) })
}

/// Whether a value is data as it stands: no lazy sequence, tuple or mutable object.
fn is_plain(value: &Value) -> bool {
    match value.kind() {
        ValueKind::Iterable => false,
        ValueKind::Seq => {
            let pairs = value.try_iter().ok().and_then(|mut items| items.next()).is_some_and(|first| first.is_tuple());
            !pairs && !value.is_tuple() && mutable::frozen(value).is_none()
        }
        ValueKind::Map => mutable::frozen(value).is_none(),
        _ => true,
    }
}

/// A value as plain data; `None` if something in it is undefined.
fn finish(value: &Value, depth: usize) -> Result<Option<Value>, TemplateError> {
    if depth > MAX_DEPTH {
        return Err(TemplateError::new(Kind::Other, format!("data is nested more than {MAX_DEPTH} deep")));
    }
    if let Some(frozen) = mutable::frozen(value) {
        return finish(&frozen, depth);
    }
    match value.kind() {
        ValueKind::Undefined => Ok(None),
        ValueKind::Invalid => {
            let mut message = String::new();
            let _ = write!(message, "{value}");
            Err(TemplateError::new(Kind::Other, message))
        }
        ValueKind::Seq | ValueKind::Iterable => {
            let mut out = Vec::new();
            for item in python::items(value) {
                match finish(&item, depth + 1)? {
                    Some(item) => out.push(item),
                    None => return Ok(None),
                }
            }
            Ok(Some(Value::from(out)))
        }
        ValueKind::Map if super::value::is_plain_map(value) => {
            let mut out = Vec::new();
            for (key, item) in python::pairs(value) {
                match finish(&item, depth + 1)? {
                    Some(item) => out.push((key, item)),
                    None => return Ok(None),
                }
            }
            Ok(Some(Value::from_pairs(out)))
        }
        _ => Ok(Some(value.clone())),
    }
}
