//! One render in progress: the scope it reads, what it has read, and what it printed.
//!
//! minijinja's objects own what they hold, a scope is borrowed. So the scope is lent to the thread for the render.

use super::{Kind, Scope, TemplateError, python};
use minijinja::value::{Enumerator, Object};
use minijinja::{Error, ErrorKind, Value};
use std::cell::RefCell;
use std::sync::Arc;

scoped_tls_hkt::scoped_thread_local!(static SCOPE: for<'a> &'a dyn Scope);

thread_local! {
    static RUNS: RefCell<Vec<Run>> = const { RefCell::new(Vec::new()) };
}

/// What a render notes.
#[derive(Debug, Default)]
pub(super) struct Run {
    /// Variables read so far: a render sees each once, and an error can be explained without reading again.
    read: Vec<(String, Read)>,
    /// Values printed, `None`s not counted.
    printed: usize,
    /// The last of them.
    last: Option<Value>,
    /// A comparison that Python refuses.
    pub(super) refused: Option<String>,
    /// Warnings for the user.
    pub(super) warnings: Vec<String>,
}

#[derive(Clone, Debug)]
pub(super) enum Read {
    Missing,
    Found(Value),
    Failed(TemplateError),
}

/// Runs `render` with `scope`; gives back what it noted.
pub(super) fn with_scope<T>(scope: &dyn Scope, render: impl FnOnce() -> T) -> (T, Run) {
    struct Pop;
    impl Drop for Pop {
        fn drop(&mut self) {
            RUNS.with_borrow_mut(Vec::pop);
        }
    }
    RUNS.with_borrow_mut(|runs| runs.push(Run::default()));
    let pop = Pop;
    let result = SCOPE.set(scope, render);
    let run = RUNS.with_borrow_mut(|runs| runs.last_mut().map(std::mem::take)).unwrap_or_default();
    drop(pop);
    (result, run)
}

/// The scope of the render in progress.
pub(super) fn scope<T>(f: impl FnOnce(&dyn Scope) -> T) -> Option<T> {
    SCOPE.is_set().then(|| SCOPE.with(|scope| f(scope)))
}

/// Notes something in the render in progress.
pub(super) fn note(f: impl FnOnce(&mut Run)) {
    RUNS.with_borrow_mut(|runs| runs.last_mut().map(f));
}

impl Run {
    /// A variable, if it was read.
    pub(super) fn read(&self, name: &str) -> Option<&Read> {
        self.read.iter().find(|(n, _)| n == name).map(|(_, read)| read)
    }

    /// The one value printed, if the output is nothing but its text.
    pub(super) fn only_value(&self, output: &str) -> Option<Value> {
        let value = self.last.as_ref().filter(|_| self.printed == 1)?;
        (value.as_str().is_none() && python::str(value) == output).then(|| value.clone())
    }

    pub(super) fn print(&mut self, value: &Value) {
        self.printed += 1;
        self.last = Some(value.clone());
    }
}

/// Reads a variable through the render's memory.
pub(super) fn read(name: &str) -> Read {
    if let Some(known) = RUNS.with_borrow(|runs| runs.last().and_then(|run| run.read(name).cloned())) {
        return known;
    }
    let read = match scope(|s| s.get(name)) {
        Some(Ok(Some(value))) => Read::Found(value),
        Some(Ok(None)) | None => Read::Missing,
        Some(Err(e)) => Read::Failed(e),
    };
    note(|run| run.read.push((name.to_owned(), read.clone())));
    read
}

/// The root of every render: variables by name.
#[derive(Debug)]
pub(super) struct Root;

impl Object for Root {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        if key.starts_with("__") {
            return None;
        }
        match read(key) {
            Read::Found(value) => Some(value),
            Read::Missing => (key == "vars").then(|| Value::from_object(Vars)),
            // A variable whose own text uses something undefined is itself undefined.
            Read::Failed(e) if e.kind == Kind::Undefined => None,
            Read::Failed(e) => Some(Value::from(carried(e))),
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Empty
    }
}

/// An error of ours on its way through minijinja.
pub(super) fn carried(e: TemplateError) -> Error {
    let kind = if e.kind == Kind::Undefined { ErrorKind::UndefinedError } else { ErrorKind::InvalidOperation };
    Error::new(kind, e.message.clone()).with_source(e)
}

/// The `vars` dictionary.
#[derive(Debug)]
struct Vars;

impl Object for Vars {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match read(key.as_str()?) {
            Read::Found(value) => Some(value),
            Read::Failed(e) if e.kind != Kind::Undefined => Some(Value::from(carried(e))),
            _ => None,
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(scope(|s| s.names()).unwrap_or_default().into_iter().map(Value::from).collect())
    }
}
