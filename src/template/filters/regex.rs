//! The regex filters.

use super::args::{Args, Registry, fail};
use crate::template::python;
use crate::template::re::{Flags, Pattern, escape};
use minijinja::{Error, State, Value};

pub(super) fn register(r: &mut Registry<'_>) {
    r.add("regex_replace", "value pattern replacement ignorecase multiline count mandatory_count", |_, a| {
        let pattern = pattern(a, 1, a.flag(3), a.flag(4))?;
        let count = usize::try_from(a.int(5)?.unwrap_or(0)).unwrap_or(0);
        let (text, done) = pattern.replace(&a.text(), &a.str(2).unwrap_or_default(), count).map_err(fail)?;
        match a.int(6)?.unwrap_or(0) {
            0 => Ok(Value::from(text)),
            wanted if i64::try_from(done) == Ok(wanted) => Ok(Value::from(text)),
            wanted => Err(fail(format!("should match {wanted} times, but matches {done} times"))),
        }
    });
    r.add("regex_search", "value pattern *groups **named", regex_search);
    r.add("regex_findall", "value pattern multiline ignorecase", |_, a| {
        let pattern = pattern(a, 1, a.flag(3), a.flag(2))?;
        let text = a.text();
        let group = |c: &fancy_regex::Captures<'_, str>, at: usize| Value::from(c.get(at).map_or("", |m| m.as_str()));
        let found = pattern.all(&text).map_err(fail)?;
        let row = |c: &fancy_regex::Captures<'_, str>| match pattern.groups() {
            1 => group(c, 0),
            2 => group(c, 1),
            n => Value::from((1..n).map(|at| group(c, at)).collect::<Vec<_>>()),
        };
        Ok(Value::from(found.iter().map(row).collect::<Vec<_>>()))
    });
    r.add("regex_escape", "value re_type", |_, a| match a.str(1).as_deref() {
        None | Some("python") => Ok(Value::from(escape(&a.text()))),
        Some("posix_basic") => {
            let special = |c: char| if "].[^$*\\".contains(c) { vec!['\\', c] } else { vec![c] };
            Ok(Value::from(a.text().chars().flat_map(special).collect::<String>()))
        }
        Some(other) => Err(fail(format!("the type '{other}' is not one of python, posix_basic"))),
    });
}

fn pattern(a: &Args, at: usize, ignore_case: bool, multi_line: bool) -> Result<Pattern, Error> {
    let text = python::str(a.need(at, "the pattern")?);
    Pattern::new(&text, Flags { ignore_case, multi_line }).map_err(fail)
}

fn regex_search(_: &mut State<'_, '_>, a: &Args) -> Result<Value, Error> {
    let flag = |name: &str| a.named.iter().any(|(key, value)| key == name && value.is_true());
    let pattern = pattern(a, 1, flag("ignorecase"), flag("multiline"))?;
    let text = a.text();
    let Some(found) = pattern.captures(&text, 0).map_err(fail)? else { return Ok(Value::from(())) };
    if a.rest.is_empty() {
        return Ok(Value::from(found.get(0).map_or("", |m| m.as_str())));
    }
    let mut out = Vec::new();
    for group in &a.rest {
        let group = python::str(group);
        let name = group.strip_prefix("\\g<").and_then(|g| g.strip_suffix('>')).or_else(|| group.strip_prefix('\\'));
        let name = name.ok_or_else(|| fail(format!("'{group}' is not a group such as \\\\1 or \\\\g<name>")))?;
        let found = match name.parse::<usize>() {
            Ok(at) if at < pattern.groups() => found.get(at),
            Ok(at) => return Err(fail(format!("there is no group {at}"))),
            Err(_) => found.name(name),
        };
        out.push(found.map_or_else(|| Value::from(()), |m| Value::from(m.as_str())));
    }
    Ok(Value::from(out))
}
