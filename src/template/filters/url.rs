//! Addresses of the web, and dates.

use super::args::{Args, Registry, fail};
use crate::template::python;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use minijinja::value::ValueKind;
use minijinja::{Error, State, Value};
use std::fmt::Write as _;

pub(super) fn register(r: &mut Registry<'_>) {
    r.add("urlencode", "value", |_, a| Ok(Value::from(urlencode(&a.value()))));
    r.add("urldecode", "value", |_, a| Ok(Value::from(urldecode(&a.text()))));
    r.add("urlsplit", "value query", urlsplit);
    r.add("strftime", "format second utc", |_, a| {
        let seconds = a.some(1).map(|s| super::text::float(s).ok_or_else(|| fail("needs seconds since 1970"))).transpose()?;
        let time = match seconds {
            #[expect(clippy::cast_possible_truncation, reason = "jiff refuses what is out of its range")]
            Some(seconds) => Timestamp::from_second(seconds as i64).map_err(|e| fail(e.to_string()))?,
            None => Timestamp::now(),
        };
        let zone = if a.flag(2) { TimeZone::UTC } else { TimeZone::system() };
        format_time(&a.text(), &time.to_zoned(zone)).map(Value::from)
    });
}

/// `strftime`.
pub(in crate::template) fn format_time(format: &str, time: &Zoned) -> Result<String, Error> {
    strtime::format(format, time).map_err(|e| fail(format!("the format '{format}': {e}")))
}

/// Percent-encoding with `safe` characters besides letters, digits and `_.-~`.
fn quote(text: &str, safe: &str) -> String {
    text.bytes().fold(String::new(), |mut out, b| {
        if b.is_ascii_alphanumeric() || b"_.-~".contains(&b) || safe.as_bytes().contains(&b) {
            out.push(char::from(b));
        } else {
            let _ = write!(out, "%{b:02X}");
        }
        out
    })
}

/// Jinja's: a text keeps its slashes; pairs become a query.
fn urlencode(value: &Value) -> String {
    let pairs = match value.kind() {
        ValueKind::Map => Some(python::pairs(value)),
        ValueKind::Seq | ValueKind::Iterable => crate::template::value::pair_list(value),
        _ => None,
    };
    let plus = |v: &Value| quote(&python::str(v), " ").replace(' ', "+");
    match pairs {
        Some(pairs) => pairs.iter().map(|(k, v)| format!("{}={}", plus(k), plus(v))).collect::<Vec<_>>().join("&"),
        None => quote(&python::str(value), "/"),
    }
}

fn urldecode(text: &str) -> String {
    let mut out = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&b) = bytes.get(at) {
        let code = text.get(at + 1..at + 3).filter(|_| b == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match code {
            Some(code) => out.push(code),
            None => out.push(if b == b'+' { b' ' } else { b }),
        }
        at += if code.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The parts of a URL (RFC 3986), as Python's `urlsplit` names them.
fn urlsplit(_: &mut State<'_, '_>, a: &Args) -> Result<Value, Error> {
    let text = a.text();
    let (rest, fragment) = text.split_once('#').unwrap_or((&text, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let is_scheme =
        |s: &str| s.starts_with(|c: char| c.is_ascii_alphabetic()) && s.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let (scheme, rest) = rest.split_once(':').filter(|(s, _)| is_scheme(s)).unwrap_or(("", rest));
    let (netloc, path) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None => ("", rest),
    };
    let (user, host) = netloc.rsplit_once('@').map_or((None, netloc), |(u, h)| (Some(u), h));
    let (username, password) = match user.map(|u| u.split_once(':').map_or((u, None), |(u, p)| (u, Some(p)))) {
        Some((username, password)) => (Some(username), password),
        None => (None, None),
    };
    let (hostname, port) = match host.strip_prefix('[').and_then(|h| h.split_once(']')) {
        Some((address, port)) => (address, port.strip_prefix(':')),
        None => host.split_once(':').map_or((host, None), |(h, p)| (h, Some(p))),
    };
    let maybe = |text: Option<&str>| text.map_or_else(|| Value::from(()), Value::from);
    let parts = [
        ("fragment", Value::from(fragment)),
        ("hostname", maybe(Some(hostname.to_lowercase()).as_deref().filter(|h| !h.is_empty()))),
        ("netloc", Value::from(netloc)),
        ("password", maybe(password)),
        ("path", Value::from(path)),
        ("port", port.and_then(|p| p.parse::<u16>().ok()).map_or_else(|| Value::from(()), Value::from)),
        ("query", Value::from(query)),
        ("scheme", Value::from(scheme.to_lowercase())),
        ("username", maybe(username)),
    ];
    match a.str(1).filter(|q| !q.is_empty()) {
        None => Ok(Value::from_pairs(parts)),
        Some(query) => {
            parts.into_iter().find(|(name, _)| *name == query).map(|(_, v)| v).ok_or_else(|| fail(format!("a URL has no part '{query}'")))
        }
    }
}
