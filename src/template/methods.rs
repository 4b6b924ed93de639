//! Python's methods of texts, lists and dictionaries, as far as minijinja-contrib does not have them.

use super::filters::split;
use super::python;
use super::undefined::MUTATING;
use minijinja::value::{Tuple, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State, Value};

fn failed(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

/// Calls a method that the value itself does not have.
pub(super) fn call(state: &mut State<'_, '_>, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    super::filters::refuse_undefined(args)?;
    let known = match value.kind() {
        ValueKind::String => text(value.as_str().unwrap_or_default(), method, args)?,
        ValueKind::Seq | ValueKind::Iterable => list(value, method, args)?,
        ValueKind::Map => dict(value, method, args)?,
        ValueKind::Number => number(value, method)?,
        _ => None,
    };
    if let Some(result) = known {
        return Ok(result);
    }
    minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args).map_err(|e| match e.kind() {
        ErrorKind::UnknownMethod => {
            Error::new(ErrorKind::UnknownMethod, format!("'{}' has no method '{method}'", python::type_name(value)))
        }
        _ => e,
    })
}

fn text(s: &str, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    let cut = |at: usize, len: usize| Value::from(Tuple::from([&s[..at], &s[at..at + len], &s[at + len..]].map(Value::from)));
    let pad = |args: &[Value], default: char| -> Result<(usize, String), Error> {
        let (width, fill): (usize, Option<char>) = from_args(args)?;
        let missing = width.min(1 << 20).saturating_sub(s.chars().count());
        Ok((missing, fill.unwrap_or(default).to_string()))
    };
    Ok(Some(match method {
        "split" => {
            let (separator, limit): (Option<&str>, Option<i64>) = from_args(args)?;
            if separator == Some("") {
                return Err(failed("empty separator"));
            }
            Value::from(split(s, separator, limit.unwrap_or(-1)))
        }
        "rsplit" => {
            let (separator, limit): (Option<&str>, Option<i64>) = from_args(args)?;
            Value::from(rsplit(s, separator, limit.unwrap_or(-1)))
        }
        "index" | "rindex" => {
            let (part,): (&str,) = from_args(args)?;
            let at = if method == "index" { s.find(part) } else { s.rfind(part) };
            let at = at.ok_or_else(|| failed("substring not found"))?;
            Value::from(s[..at].chars().count())
        }
        "zfill" => {
            let (missing, zeros) = pad(args, '0')?;
            let (sign, digits) = if s.starts_with(['-', '+']) { s.split_at(1) } else { ("", s) };
            Value::from(format!("{sign}{}{digits}", zeros.repeat(missing)))
        }
        "ljust" => {
            let (missing, fill) = pad(args, ' ')?;
            Value::from(format!("{s}{}", fill.repeat(missing)))
        }
        "rjust" => {
            let (missing, fill) = pad(args, ' ')?;
            Value::from(format!("{}{s}", fill.repeat(missing)))
        }
        "partition" => {
            let (separator,): (&str,) = from_args(args)?;
            s.find(separator).map_or_else(|| Value::from(Tuple::from([s, "", ""].map(Value::from))), |at| cut(at, separator.len()))
        }
        "rpartition" => {
            let (separator,): (&str,) = from_args(args)?;
            s.rfind(separator).map_or_else(|| Value::from(Tuple::from(["", "", s].map(Value::from))), |at| cut(at, separator.len()))
        }
        "removeprefix" => {
            let (part,): (&str,) = from_args(args)?;
            Value::from(s.strip_prefix(part).unwrap_or(s))
        }
        "removesuffix" => {
            let (part,): (&str,) = from_args(args)?;
            Value::from(s.strip_suffix(part).unwrap_or(s))
        }
        "startswith" | "endswith" => {
            let (parts,): (&Value,) = from_args(args)?;
            let parts = if parts.as_str().is_some() { vec![parts.clone()] } else { python::items(parts) };
            let holds = |p: &Value| p.as_str().is_some_and(|p| if method == "startswith" { s.starts_with(p) } else { s.ends_with(p) });
            Value::from(parts.iter().any(holds))
        }
        "join" => {
            let (parts,): (&Value,) = from_args(args)?;
            let parts = super::filters::list_items(parts)?;
            if let Some(odd) = parts.iter().find(|p| p.as_str().is_none()) {
                return Err(failed(format!("join() needs texts, not {}", python::type_name(odd))));
            }
            Value::from(parts.iter().filter_map(|p| p.as_str()).collect::<Vec<_>>().join(s))
        }
        "swapcase" => Value::from(
            s.chars()
                .map(|c| if c.is_uppercase() { c.to_lowercase().to_string() } else { c.to_uppercase().to_string() })
                .collect::<String>(),
        ),
        "casefold" => Value::from(s.to_lowercase()),
        "encode" | "decode" | "__str__" => Value::from(s),
        _ => return Ok(None),
    }))
}

fn rsplit(s: &str, separator: Option<&str>, limit: i64) -> Vec<String> {
    let Ok(limit) = usize::try_from(limit) else { return split(s, separator, -1) };
    let all = split(s, separator, -1);
    if all.len() <= limit + 1 {
        return all;
    }
    let Some(separator) = separator else {
        let mut rest = s.trim_end();
        let mut out = Vec::new();
        for _ in 0..limit {
            let at = rest.rfind(char::is_whitespace).map_or(0, |at| at + 1);
            out.push(rest[at..].to_owned());
            rest = rest[..at].trim_end();
        }
        out.push(rest.to_owned());
        out.reverse();
        return out;
    };
    let mut out: Vec<String> = s.rsplitn(limit + 1, separator).map(str::to_owned).collect();
    out.reverse();
    out
}

fn list(value: &Value, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match method {
        "index" => {
            let (item,): (&Value,) = from_args(args)?;
            let at = python::items(value).iter().position(|x| x == item);
            Value::from(at.ok_or_else(|| failed(format!("{} is not in list", python::str(item))))?)
        }
        "count" => {
            let (item,): (&Value,) = from_args(args)?;
            Value::from(python::items(value).iter().filter(|x| *x == item).count())
        }
        "copy" => value.clone(),
        method if MUTATING.contains(&method) => {
            return Err(failed(format!("{method}() cannot change a list that the template did not make itself (with `set`)")));
        }
        _ => return Ok(None),
    }))
}

fn dict(value: &Value, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match method {
        // A view in Python; pairs, so that `for k, v in` unpacks them.
        "items" => Value::from(python::pairs(value).into_iter().map(|(k, v)| Value::from(Tuple::from([k, v]))).collect::<Vec<_>>()),
        "keys" => Value::from(python::items(value)),
        "values" => Value::from(python::pairs(value).into_iter().map(|(_, v)| v).collect::<Vec<_>>()),
        "get" => {
            let (key, default): (&Value, Option<Value>) = from_args(args)?;
            match value.get_item(key) {
                Ok(found) if !found.is_undefined() => found,
                _ => default.unwrap_or_else(|| Value::from(())),
            }
        }
        "copy" => value.clone(),
        method if MUTATING.contains(&method) => {
            return Err(failed(format!("{method}() cannot change a dictionary that the template did not make itself (with `set`)")));
        }
        _ => return Ok(None),
    }))
}

fn number(value: &Value, method: &str) -> Result<Option<Value>, Error> {
    Ok(match method {
        "is_integer" => Some(Value::from(f64::try_from(value.clone())?.fract() == 0.0)),
        _ => None,
    })
}
