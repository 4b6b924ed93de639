//! The tests of Jinja2 and ansible-core: what stands after `is`, in `select` and `selectattr`.

use super::filters::{Args, COLLECTIONS, boolean, fail, list_items, refuse_undefined};
use super::re::{Flags, Pattern};
use super::version::{self, Scheme};
use super::{globals, python, run};
use minijinja::value::{Rest, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, State, Value, tests};
use std::cmp::Ordering;
use std::path::Path;

type Body = fn(&Args) -> Result<bool, Error>;

/// Every test: names, signature, body.
const CHECKS: &[(&str, &str, Body)] = &[
    ("none", "value", |a| Ok(a.value().is_none())),
    ("boolean", "value", |a| Ok(a.value().kind() == ValueKind::Bool)),
    ("true", "value", |a| Ok(a.value().kind() == ValueKind::Bool && a.value().is_true())),
    ("false", "value", |a| Ok(a.value().kind() == ValueKind::Bool && !a.value().is_true())),
    ("number", "value", |a| Ok(matches!(a.value().kind(), ValueKind::Number | ValueKind::Bool))),
    ("integer int", "value", |a| Ok(a.value().is_integer())),
    ("float", "value", |a| Ok(a.value().is_number() && !a.value().is_integer())),
    ("string", "value", |a| Ok(a.value().as_str().is_some())),
    ("mapping", "value", |a| Ok(a.value().kind() == ValueKind::Map)),
    ("sequence", "value", |a| Ok(sequence(&a.value()) || a.value().kind() == ValueKind::Map)),
    ("iterable", "value", |a| Ok(sequence(&a.value()) || a.value().kind() == ValueKind::Map)),
    ("eq equalto ==", "value other", |a| Ok(a.value() == *a.need(1, "other")?)),
    ("ne !=", "value other", |a| Ok(a.value() != *a.need(1, "other")?)),
    ("lt lessthan <", "value other", |a| order(a).map(Ordering::is_lt)),
    ("le <=", "value other", |a| order(a).map(Ordering::is_le)),
    ("gt greaterthan >", "value other", |a| order(a).map(Ordering::is_gt)),
    ("ge >=", "value other", |a| order(a).map(Ordering::is_ge)),
    ("in", "value container", |a| contains(a.need(1, "the container")?, &a.value())),
    ("contains", "value item", |a| contains(&a.value(), a.need(1, "the item")?)),
    ("failed failure", "result", |a| fact(a, "failed")),
    ("succeeded success successful", "result", |a| fact(a, "failed").map(|f| !f)),
    ("changed change", "result", changed),
    ("skipped skip", "result", |a| fact(a, "skipped")),
    ("unreachable", "result", |a| fact(a, "unreachable")),
    ("reachable", "result", |a| fact(a, "unreachable").map(|f| !f)),
    // What was not asynchronous is finished (ansible-core 2.19: plugins/test/core.py).
    ("finished", "result", |a| Ok(fact(a, "finished")? || a.value().get_attr("finished").is_ok_and(|v| v.is_undefined()))),
    ("started", "result", |a| fact(a, "started")),
    ("timedout", "result", |a| fact(a, "timedout")),
    ("match", "value pattern ignorecase multiline", |a| regex(a, true)),
    ("search", "value pattern ignorecase multiline", |a| regex(a, false)),
    ("regex", "value pattern ignorecase multiline match_type", |a| regex(a, a.str(4).as_deref() == Some("match"))),
    ("truthy", "value convert_bool", |a| Ok(truthy(a))),
    ("falsy", "value convert_bool", |a| Ok(!truthy(a))),
    ("any", "value", |a| Ok(a.items()?.iter().any(Value::is_true))),
    ("all", "value", |a| Ok(a.items()?.iter().all(Value::is_true))),
    ("subset issubset", "value other", |a| subset(&a.value(), a.need(1, "other")?)),
    ("superset issuperset", "value other", |a| subset(a.need(1, "other")?, &a.value())),
    ("version version_compare", "value version operator strict version_type", version),
    ("nan isnan", "value", |a| Ok(f64::try_from(a.value()).is_ok_and(f64::is_nan))),
    ("file is_file", "path", |a| Ok(Path::new(&a.text()).is_file())),
    ("directory is_dir", "path", |a| Ok(Path::new(&a.text()).is_dir())),
    ("link is_link", "path", |a| Ok(Path::new(&a.text()).is_symlink())),
    ("exists", "path", |a| Ok(Path::new(&a.text()).exists())),
    ("link_exists", "path", |a| Ok(Path::new(&a.text()).symlink_metadata().is_ok())),
    ("abs is_abs", "path", |a| Ok(Path::new(&a.text()).is_absolute())),
    ("same_file is_same_file", "path other", |a| {
        let real = |path: &str| std::fs::canonicalize(path).ok();
        Ok(real(&a.text()).is_some_and(|p| Some(p) == a.str(1).as_deref().and_then(real)))
    }),
    ("vault_encrypted", "value", |a| Ok(a.text().starts_with("$ANSIBLE_VAULT;"))),
    ("uri", "value schemes", uri),
    ("url", "value schemes", |a| {
        let text = a.text();
        let (scheme, rest) = scheme(&text);
        let host = rest.strip_prefix("//").is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', '?', '#']));
        Ok(uri(a)? && (host || scheme == "file"))
    }),
    ("ip ip_address", "value", |a| Ok(a.text().parse::<std::net::IpAddr>().is_ok())),
    ("ipv4_address ipv4", "value", |a| Ok(a.text().parse::<std::net::Ipv4Addr>().is_ok())),
    ("ipv6_address ipv6", "value", |a| Ok(a.text().parse::<std::net::Ipv6Addr>().is_ok())),
];

/// Old names that people still write as filters: `result|failed`, `x|search('y')`.
const AS_FILTERS: [&str; 14] = [
    "failed",
    "failure",
    "success",
    "succeeded",
    "successful",
    "changed",
    "change",
    "skipped",
    "skip",
    "search",
    "match",
    "version",
    "version_compare",
    "any",
];

/// Adds every test.
pub(super) fn register(env: &mut Environment<'static>) {
    for (names, signature, body) in CHECKS {
        for name in names.split_whitespace() {
            each(name, |full| {
                env.add_test(full, move |args: Rest<ValueOrKwargs>| {
                    let args = args.into_values();
                    refuse_undefined(&args)?;
                    Args::bind(&args, signature).and_then(|args| body(&args)).map_err(|e| named(&e, name).unwrap_or(e))
                });
            });
            if AS_FILTERS.contains(&name) {
                env.add_filter(name, move |args: Rest<ValueOrKwargs>| {
                    run::note(|run| run.warnings.push(format!("`|{name}` is a test: write `is {name}`")));
                    let args = args.into_values();
                    refuse_undefined(&args)?;
                    Args::bind(&args, signature).and_then(|args| body(&args)).map_err(|e| named(&e, name).unwrap_or(e))
                });
            }
        }
    }
    let builtin = [
        ("odd", Value::from_function(tests::is_odd)),
        ("even", Value::from_function(tests::is_even)),
        ("divisibleby", Value::from_function(tests::is_divisibleby)),
        ("lower", Value::from_function(tests::is_lower)),
        ("upper", Value::from_function(tests::is_upper)),
        ("sameas", Value::from_function(tests::is_sameas)),
        ("startingwith", Value::from_function(tests::is_startingwith)),
        ("endingwith", Value::from_function(tests::is_endingwith)),
    ];
    for (name, test) in builtin {
        each(name, |full| {
            let test = test.clone();
            env.add_test(full, move |state: &mut State, args: Rest<ValueOrKwargs>| {
                let args = args.into_values();
                refuse_undefined(&args)?;
                test.call(state, &args).map(|v| v.is_true())
            });
        });
    }
    for collection in COLLECTIONS {
        env.add_test(format!("{collection}.defined"), tests::is_defined);
        env.add_test(format!("{collection}.undefined"), tests::is_undefined);
    }
}

fn each(name: &str, mut add: impl FnMut(String)) {
    add(name.to_owned());
    for collection in COLLECTIONS {
        add(format!("{collection}.{name}"));
    }
}

/// The names of the tests that can be written after `is`.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let builtin = [
        "odd",
        "even",
        "divisibleby",
        "lower",
        "upper",
        "sameas",
        "startingwith",
        "endingwith",
        "defined",
        "undefined",
        "filter",
        "test",
        "safe",
        "escaped",
    ];
    CHECKS.iter().flat_map(|(names, _, _)| names.split_whitespace()).chain(builtin)
}

/// The tests that are filters too.
pub(super) fn filter_names() -> impl Iterator<Item = &'static str> {
    AS_FILTERS.into_iter()
}

fn named(e: &Error, name: &str) -> Option<Error> {
    let detail = e.detail().filter(|_| e.kind() == minijinja::ErrorKind::InvalidOperation)?;
    Some(run::carried(super::TemplateError::new(super::Kind::Filter, format!("test '{name}': {detail}"))))
}

fn sequence(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable | ValueKind::String)
}

fn order(a: &Args) -> Result<Ordering, Error> {
    let (value, other) = (a.value(), a.need(1, "other")?);
    if globals::comparable(&value, other) {
        return Ok(value.cmp(other));
    }
    Err(fail(format!("{} cannot be ordered against {}", python::type_name(&value), python::type_name(other))))
}

fn contains(container: &Value, item: &Value) -> Result<bool, Error> {
    match (container.as_str(), item.as_str()) {
        (Some(text), Some(part)) => Ok(text.contains(part)),
        (Some(_), None) => Err(fail(format!("a text cannot contain a {}", python::type_name(item)))),
        _ => Ok(list_items(container)?.contains(item)),
    }
}

/// A key of a task's result, false where it is missing.
/// Scheme (lower case, empty without one) and the rest, as Python's `urlparse` takes them apart.
fn scheme(text: &str) -> (String, &str) {
    let valid =
        |s: &str| s.starts_with(|c: char| c.is_ascii_alphabetic()) && s.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    match text.split_once(':').filter(|(s, _)| valid(s)) {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
        None => (String::new(), text),
    }
}

/// ansible-core's plugins/test/uri.py: any text, unless schemes are asked for.
fn uri(a: &Args) -> Result<bool, Error> {
    let Some(wanted) = a.some(1) else { return Ok(true) };
    let wanted = list_items(wanted)?;
    Ok(wanted.is_empty() || wanted.iter().any(|s| s.as_str() == Some(&scheme(&a.text()).0)))
}

fn fact(a: &Args, key: &str) -> Result<bool, Error> {
    let result = a.value();
    if result.kind() != ValueKind::Map {
        return Err(fail(format!("needs a task's result, not {}", python::type_name(&result))));
    }
    Ok(result.get_attr(key).is_ok_and(|v| v.is_true()))
}

fn changed(a: &Args) -> Result<bool, Error> {
    let result = a.value();
    if fact(a, "changed")? {
        return Ok(true);
    }
    let own = result.get_attr("changed").is_ok_and(|v| !v.is_undefined());
    let results = result.get_attr("results").ok().filter(|_| !own).map(|r| python::items(&r)).unwrap_or_default();
    Ok(results.iter().any(|r| r.get_attr("changed").is_ok_and(|v| v.is_true())))
}

fn regex(a: &Args, from_start: bool) -> Result<bool, Error> {
    let flags = Flags { ignore_case: a.flag(2), multi_line: a.flag(3) };
    let pattern = a.str(1).unwrap_or_default();
    let pattern = if from_start { format!(r"\A(?:{pattern})") } else { pattern };
    let text = a.text();
    Ok(Pattern::new(&pattern, flags).map_err(fail)?.captures(&text, 0).map_err(fail)?.is_some())
}

fn truthy(a: &Args) -> bool {
    let value = a.value();
    if a.flag(1) && matches!(value.kind(), ValueKind::String | ValueKind::Number | ValueKind::Bool) {
        return boolean(&value);
    }
    value.is_true()
}

fn subset(small: &Value, large: &Value) -> Result<bool, Error> {
    let large = list_items(large)?;
    Ok(list_items(small)?.iter().all(|x| large.contains(x)))
}

fn version(a: &Args) -> Result<bool, Error> {
    let (value, other) = (a.text(), python::str(a.need(1, "the version")?));
    let operator = a.str(2).unwrap_or_else(|| "eq".into());
    let scheme = match (a.str(4).as_deref(), a.flag(3)) {
        (Some(_), true) => return Err(fail("takes strict or version_type, not both")),
        (Some("strict"), _) | (None, true) => Scheme::Strict,
        (Some("semver" | "semantic"), _) => Scheme::Semantic,
        (Some("loose" | "pep440") | None, _) => Scheme::Loose,
        (Some(kind), _) => return Err(fail(format!("the version type '{kind}' is not one of loose, strict, semver, semantic, pep440"))),
    };
    if value.is_empty() || other.is_empty() {
        return Err(fail("a version is empty"));
    }
    let order = version::compare(&value, &other, scheme).map_err(fail)?;
    match operator.as_str() {
        "==" | "=" | "eq" => Ok(order.is_eq()),
        "!=" | "<>" | "ne" => Ok(order.is_ne()),
        "<" | "lt" => Ok(order.is_lt()),
        "<=" | "le" => Ok(order.is_le()),
        ">" | "gt" => Ok(order.is_gt()),
        ">=" | "ge" => Ok(order.is_ge()),
        other => Err(fail(format!("'{other}' is not an operator such as >= or ge"))),
    }
}
