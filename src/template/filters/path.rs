//! Paths, as Python's `posixpath` sees them.

use super::args::{Registry, fail, items};
use crate::template::python;
use minijinja::Value;
use minijinja::value::Tuple;

pub(super) fn register(r: &mut Registry<'_>) {
    r.add("basename", "value", |_, a| Ok(Value::from(a.text().rsplit('/').next().unwrap_or_default())));
    r.add("dirname", "value", |_, a| Ok(Value::from(dirname(&a.text()))));
    r.add("splitext", "value", |_, a| {
        let text = a.text();
        let (root, extension) = splitext(&text);
        Ok(Value::from(Tuple::from([Value::from(root), Value::from(extension)])))
    });
    r.add("path_join", "value", |_, a| {
        let value = a.value();
        let parts = if value.as_str().is_some() { vec![value] } else { items(&value)? };
        Ok(Value::from(parts.iter().map(python::str).reduce(|a, b| join(&a, &b)).unwrap_or_default()))
    });
    r.add("normpath", "value", |_, a| Ok(Value::from(normpath(&a.text()))));
    r.add("realpath", "value", |_, a| {
        let text = a.text();
        // The real path of what exists; of the rest, its absolute form.
        let path = std::fs::canonicalize(&text).ok().and_then(|p| p.to_str().map(str::to_owned));
        Ok(Value::from(path.unwrap_or_else(|| absolute(&text))))
    });
    r.add("relpath", "value start", |_, a| {
        let start = absolute(&a.str(1).unwrap_or_else(|| ".".into()));
        let path = absolute(&a.text());
        let (from, to): (Vec<&str>, Vec<&str>) = (parts(&start), parts(&path));
        let common = from.iter().zip(&to).take_while(|(x, y)| x == y).count();
        let mut out = vec![".."; from.len() - common];
        out.extend(&to[common..]);
        Ok(Value::from(if out.is_empty() { ".".to_owned() } else { out.join("/") }))
    });
    r.add("commonpath", "value", |_, a| {
        let paths: Vec<String> = a.items()?.iter().map(python::str).collect();
        let first = paths.first().ok_or_else(|| fail("needs at least one path"))?;
        let mut common = parts(first);
        for path in &paths {
            let shared = common.iter().zip(parts(path)).take_while(|(x, y)| **x == *y).count();
            common.truncate(shared);
        }
        Ok(Value::from(format!("{}{}", if first.starts_with('/') { "/" } else { "" }, common.join("/"))))
    });
    r.add("expanduser", "value", |_, a| {
        let text = a.text();
        let home = std::env::var("HOME").unwrap_or_else(|_| "/root".into());
        Ok(Value::from(match text.strip_prefix('~') {
            Some("") => home,
            Some(rest) if rest.starts_with('/') => format!("{}{rest}", home.trim_end_matches('/')),
            _ => text,
        }))
    });
    r.add("expandvars", "value", |_, a| Ok(Value::from(expandvars(&a.text()))));
    r.add("fileglob", "value", |_, a| Ok(Value::from(super::glob::files(&a.text()))));
}

fn parts(path: &str) -> Vec<&str> {
    path.split('/').filter(|p| !p.is_empty() && *p != ".").collect()
}

fn dirname(path: &str) -> String {
    let Some(at) = path.rfind('/') else { return String::new() };
    let head = &path[..=at];
    let trimmed = head.trim_end_matches('/');
    if trimmed.is_empty() { head.to_owned() } else { trimmed.to_owned() }
}

fn splitext(path: &str) -> (&str, &str) {
    let name = path.rfind('/').map_or(0, |at| at + 1);
    let leading = path[name..].len() - path[name..].trim_start_matches('.').len();
    match path[name + leading..].rfind('.') {
        Some(dot) => path.split_at(name + leading + dot),
        None => (path, ""),
    }
}

/// `posixpath.join` of two.
fn join(a: &str, b: &str) -> String {
    if b.starts_with('/') || a.is_empty() {
        b.to_owned()
    } else if a.ends_with('/') {
        format!("{a}{b}")
    } else {
        format!("{a}/{b}")
    }
}

fn normpath(path: &str) -> String {
    let root = match path.bytes().take_while(|b| *b == b'/').count() {
        0 => "",
        2 => "//",
        _ => "/",
    };
    let mut out: Vec<&str> = Vec::new();
    for part in parts(path) {
        if part == ".." && out.last().is_some_and(|last| *last != "..") {
            out.pop();
        } else if part != ".." || root.is_empty() {
            out.push(part);
        }
    }
    let path = format!("{root}{}", out.join("/"));
    if path.is_empty() { ".".into() } else { path }
}

fn absolute(path: &str) -> String {
    let here = std::env::current_dir().ok().and_then(|p| p.to_str().map(str::to_owned)).unwrap_or_else(|| "/".into());
    normpath(&join(&here, path))
}

fn expandvars(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let (name, used) = if let Some((name, _)) = after.strip_prefix('{').and_then(|r| r.split_once('}')) {
            (name, name.len() + 2)
        } else {
            let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
            (&after[..end], end)
        };
        match std::env::var(name) {
            Ok(value) if !name.is_empty() => out.push_str(&value),
            _ => out.push_str(&rest[at..=at + used]),
        }
        rest = &after[used..];
    }
    out + rest
}
