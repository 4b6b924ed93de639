//! From minijinja's error to ours: which variable was undefined, in which text and line.

use super::compile::Compiled;
use super::run::{Read, Run};
use super::undefined::Chain;
use super::{Kind, TemplateError, python};
use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value};

/// Explains an error of rendering `compiled`.
pub(super) fn error(e: &Error, compiled: &Compiled, run: &Run, read: impl Fn(&str) -> Read) -> TemplateError {
    if let Some(inner) = carried(e) {
        return inner.clone().within(&compiled.text);
    }
    let e = innermost(e);
    let detail = e.detail().unwrap_or_default();
    let mut error = match e.kind() {
        ErrorKind::UndefinedError => undefined(e, compiled, run, read),
        ErrorKind::SyntaxError | ErrorKind::BadEscape => TemplateError::new(Kind::Syntax, format!("template syntax error: {detail}")),
        ErrorKind::UnknownFunction => {
            let name = detail.split_whitespace().next().unwrap_or("function").trim_matches('\'');
            TemplateError::undefined(name)
        }
        ErrorKind::UnknownFilter | ErrorKind::UnknownTest => TemplateError::new(Kind::Filter, detail),
        // To Python a method that does not exist is an attribute that does not exist.
        ErrorKind::UnknownMethod => TemplateError::new(Kind::Undefined, detail),
        kind => {
            let message = if detail.is_empty() { kind.to_string() } else { detail.to_owned() };
            TemplateError::new(Kind::Other, message)
        }
    };
    error.line = error.line.or(e.line());
    error.within(&compiled.text)
}

/// An error of ours that travelled through minijinja.
pub(super) fn carried(e: &Error) -> Option<&TemplateError> {
    let mut at: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(e);
    while let Some(source) = at {
        if let Some(found) = source.downcast_ref() {
            return Some(found);
        }
        at = source.source();
    }
    None
}

/// The cause under "could not render include" and its kin.
fn innermost(e: &Error) -> &Error {
    let mut at = e;
    while let Some(source) = std::error::Error::source(at).and_then(|s| s.downcast_ref()) {
        at = source;
    }
    at
}

fn undefined(e: &Error, compiled: &Compiled, run: &Run, read: impl Fn(&str) -> Read) -> TemplateError {
    let range = e.range().map(|r| {
        let at = |offset: usize| compiled.walked.original_offset(offset.saturating_sub(compiled.prefix));
        (at(r.start), at(r.end))
    });
    let inside = |c: &&Chain| range.is_some_and(|(start, end)| start <= c.span.0 && c.span.1 <= end);
    let read = |name: &str| run.read(name).cloned().unwrap_or_else(|| read(name));
    // What short-circuiting left out was never read, and so is not the cause.
    let reached = |c: &&Chain| run.read(&c.root).is_some() || compiled.walked.bound.contains(&c.root);
    let open = || compiled.walked.chains.iter().filter(reached).filter(|c| !c.guarded);
    let on_line = |c: &&Chain| e.line() == Some(c.line);
    let candidates = open().filter(inside).chain(open().filter(on_line)).chain(open());
    let guarded = compiled.walked.chains.iter().filter(reached).filter(|c| c.guarded);
    let mut local = None;
    for chain in candidates.chain(guarded) {
        let bound = compiled.walked.bound.contains(&chain.root);
        let found = if bound { Missing::Unknown } else { missing(chain, read) };
        match found {
            Missing::No => {}
            Missing::Yes(error) => return error,
            Missing::Unknown => local = local.or(Some(chain)),
        }
    }
    if let Some(chain) = local {
        return TemplateError::undefined(&path(chain, chain.keys.len()));
    }
    match e.detail() {
        Some(detail) => TemplateError::new(Kind::Undefined, detail),
        None => TemplateError::new(Kind::Undefined, "an undefined value is used"),
    }
}

enum Missing {
    No,
    Yes(TemplateError),
    Unknown,
}

/// Whether a lookup is undefined, by walking it again.
fn missing(chain: &Chain, read: impl Fn(&str) -> Read) -> Missing {
    let mut value = match read(&chain.root) {
        Read::Found(value) => value,
        Read::Failed(e) => return Missing::Yes(e),
        Read::Missing if chain.root == "vars" => return Missing::Unknown,
        Read::Missing => return Missing::Yes(TemplateError::undefined(&chain.root)),
    };
    for (at, key) in chain.keys.iter().enumerate() {
        let Some(key) = key else { return Missing::Unknown };
        let next = match key.as_str() {
            Some(name) => value.get_attr(name),
            None => value.get_item(key),
        };
        match next {
            Ok(next) if !next.is_undefined() => value = next,
            _ => return Missing::Yes(no_attribute(&value, key, &path(chain, at + 1))),
        }
    }
    Missing::No
}

fn no_attribute(value: &Value, key: &Value, path: &str) -> TemplateError {
    let mut shown = String::new();
    python::repr(key, &mut shown);
    let message = match value.kind() {
        ValueKind::Map | ValueKind::Seq | ValueKind::Iterable | ValueKind::String | ValueKind::None => {
            format!("'{path}' is undefined: object of type '{}' has no attribute {shown}", python::type_name(value))
        }
        _ => format!("'{path}' is undefined"),
    };
    TemplateError { variable: Some(path.to_owned()), ..TemplateError::new(Kind::Undefined, message) }
}

/// The first `len` keys of a chain as people write it: `a.b[0]`.
fn path(chain: &Chain, len: usize) -> String {
    let mut out = chain.root.clone();
    for key in chain.keys.iter().take(len) {
        match key.as_ref().map(|k| (k.as_str(), k)) {
            Some((Some(name), _)) if name.chars().all(|c| c.is_alphanumeric() || c == '_') => {
                out.push('.');
                out.push_str(name);
            }
            Some((_, key)) => {
                out.push('[');
                python::repr(key, &mut out);
                out.push(']');
            }
            None => out.push_str("[…]"),
        }
    }
    out
}
