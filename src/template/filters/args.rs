//! A filter's arguments by Python's rules: positional, or by name, each once.

use crate::template::{Kind, TemplateError, explain, python, run, undefined};
use minijinja::value::{Rest, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, State, Value};
use std::collections::BTreeSet;

/// Arguments bound to a signature.
#[derive(Debug)]
pub(in crate::template) struct Args {
    bound: Vec<Option<Value>>,
    /// Positional arguments beyond the signature (`*name`).
    pub(super) rest: Vec<Value>,
    /// Keywords beyond the signature (`**name`).
    pub(super) named: Vec<(String, Value)>,
}

/// What a filter is: its arguments to its value.
pub(super) type Body = fn(&mut State<'_, '_>, &Args) -> Result<Value, Error>;

/// An error of a filter's own.
pub(in crate::template) fn fail(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

impl Args {
    /// Binds `values` to a signature such as `value width first **more`.
    pub(in crate::template) fn bind(values: &[Value], signature: &str) -> Result<Self, Error> {
        let names: Vec<&str> = signature.split_whitespace().filter(|n| !n.starts_with('*')).collect();
        let takes = |star: &str| signature.split_whitespace().any(|n| n.starts_with(star) && !n[star.len()..].starts_with('*'));
        let mut bound: Vec<Option<Value>> = vec![None; names.len()];
        let (mut rest, mut named) = (Vec::new(), Vec::new());
        let (positional, keywords) = match values.split_last() {
            Some((last, before)) if last.is_kwargs() => (before, python::pairs(last)),
            _ => (values, Vec::new()),
        };
        for (at, value) in positional.iter().enumerate() {
            match bound.get_mut(at) {
                Some(slot) => *slot = Some(value.clone()),
                None if takes("*") => rest.push(value.clone()),
                None => return Err(fail(format!("takes at most {} arguments, {} given", names.len(), positional.len()))),
            }
        }
        for (key, value) in keywords {
            let key = python::str(&key);
            match names.iter().position(|n| *n == key) {
                Some(at) if bound[at].is_some() => return Err(fail(format!("got the argument '{key}' twice"))),
                Some(at) => bound[at] = Some(value),
                None if takes("**") => named.push((key, value)),
                None => return Err(fail(format!("does not know the argument '{key}'"))),
            }
        }
        Ok(Self { bound, rest, named })
    }

    /// The filtered value.
    pub(in crate::template) fn value(&self) -> Value {
        self.opt(0).cloned().unwrap_or_default()
    }

    /// The filtered value as `str()` of it.
    pub(in crate::template) fn text(&self) -> String {
        python::str(&self.value())
    }

    /// An argument, if given.
    pub(in crate::template) fn opt(&self, at: usize) -> Option<&Value> {
        self.bound.get(at).and_then(Option::as_ref)
    }

    /// An argument, if given and not `None`.
    pub(in crate::template) fn some(&self, at: usize) -> Option<&Value> {
        self.opt(at).filter(|v| !v.is_none())
    }

    /// An argument that must be given.
    pub(in crate::template) fn need(&self, at: usize, name: &str) -> Result<&Value, Error> {
        self.opt(at).ok_or_else(|| fail(format!("needs the argument '{name}'")))
    }

    /// An argument as text.
    pub(in crate::template) fn str(&self, at: usize) -> Option<String> {
        self.some(at).map(python::str)
    }

    /// An argument as truth; absent is false.
    pub(in crate::template) fn flag(&self, at: usize) -> bool {
        self.opt(at).is_some_and(Value::is_true)
    }

    /// An argument as a whole number.
    pub(in crate::template) fn int(&self, at: usize) -> Result<Option<i64>, Error> {
        self.some(at)
            .map(|v| {
                v.as_i64().or_else(|| python::str(v).trim().parse().ok()).ok_or_else(|| fail(format!("needs a whole number, not {v}")))
            })
            .transpose()
    }

    /// The filtered value's items: characters of a text, keys of a mapping.
    pub(in crate::template) fn items(&self) -> Result<Vec<Value>, Error> {
        items(&self.value())
    }
}

/// A value's items, as `list(value)`.
pub(in crate::template) fn items(value: &Value) -> Result<Vec<Value>, Error> {
    if let Some(text) = value.as_str() {
        return Ok(text.chars().map(Value::from).collect());
    }
    value.try_iter().map(Iterator::collect).map_err(|_| fail(format!("needs a list, not {}", python::type_name(value))))
}

/// Adds filters to an environment.
pub(super) struct Registry<'e> {
    env: &'e mut Environment<'static>,
    /// Every name so far.
    pub(super) names: BTreeSet<String>,
}

/// Collections whose names people write before a filter's or test's own.
pub(in crate::template) const COLLECTIONS: [&str; 6] =
    ["ansible.builtin", "ansible.legacy", "ansible.utils", "ansible.netcommon", "community.general", "ansible.posix"];

impl<'e> Registry<'e> {
    pub(super) fn new(env: &'e mut Environment<'static>) -> Self {
        Self { env, names: BTreeSet::new() }
    }

    /// A filter under one or more names; an undefined argument is an error.
    pub(super) fn add(&mut self, names: &'static str, signature: &'static str, body: Body) {
        self.install(names, signature, body, true);
    }

    /// A filter that handles undefined arguments itself.
    pub(super) fn lenient(&mut self, names: &'static str, signature: &'static str, body: Body) {
        self.install(names, signature, body, false);
    }

    /// One of minijinja's own, made strict.
    pub(super) fn builtin(&mut self, name: &'static str, filter: &Value) {
        self.each(name, |env, full| {
            let filter = filter.clone();
            env.add_filter(full, move |state: &mut State, args: Rest<ValueOrKwargs>| {
                let args = args.into_values();
                refuse_undefined(&args)?;
                filter.call(state, &args).map_err(|e| named(e, name))
            });
        });
    }

    fn install(&mut self, names: &'static str, signature: &'static str, body: Body, strict: bool) {
        for name in names.split_whitespace() {
            self.each(name, |env, full| {
                env.add_filter(full, move |state: &mut State, args: Rest<ValueOrKwargs>| {
                    let args = args.into_values();
                    if strict {
                        refuse_undefined(&args)?;
                    }
                    Args::bind(&args, signature).and_then(|args| body(state, &args)).map_err(|e| named(e, name))
                });
            });
        }
    }

    fn each(&mut self, name: &'static str, mut add: impl FnMut(&mut Environment<'static>, String)) {
        for full in std::iter::once(name.to_owned()).chain(COLLECTIONS.map(|collection| format!("{collection}.{name}"))) {
            self.names.insert(full.clone());
            add(self.env, full);
        }
    }
}

/// The error of an undefined argument.
pub(in crate::template) fn refuse_undefined(args: &[Value]) -> Result<(), Error> {
    let undefined = |v: &Value| {
        v.is_undefined()
            || v.is_kwargs() && python::pairs(v).iter().any(|(_, v)| v.is_undefined())
            || v.downcast_object_ref::<undefined::Carrier>().is_some()
    };
    if args.iter().any(undefined) { Err(ErrorKind::UndefinedError.into()) } else { Ok(()) }
}

/// Says which filter refused.
fn named(e: Error, name: &str) -> Error {
    let ours = matches!(
        e.kind(),
        ErrorKind::InvalidOperation | ErrorKind::MissingArgument | ErrorKind::TooManyArguments | ErrorKind::BadSerialization
    );
    if !ours || explain::carried(&e).is_some() {
        return e;
    }
    let message = format!("filter '{name}': {}", e.detail().unwrap_or("wrong arguments"));
    run::carried(TemplateError::new(Kind::Filter, message))
}
