//! Text and scalar filters of Jinja2 and ansible-core.

use super::args::{Args, Registry, fail};
use crate::template::{python, run};
use minijinja::value::ValueKind;
use minijinja::{Error, State, Value, filters};

pub(super) fn register(r: &mut Registry<'_>) {
    r.lenient("default d", "value default boolean", |_, a| {
        let value = a.value();
        let empty = value.is_undefined() || a.flag(2) && !value.is_true();
        Ok(if empty { a.opt(1).cloned().unwrap_or_else(|| Value::from("")) } else { value })
    });
    r.lenient("mandatory", "value msg", |_, a| match (a.value().is_undefined(), a.str(1)) {
        (false, _) => Ok(a.value()),
        (true, Some(message)) => Err(fail(message)),
        (true, None) => Err(minijinja::ErrorKind::UndefinedError.into()),
    });
    r.add("bool", "value", |_, a| Ok(Value::from(boolean(&a.value()))));
    r.add("int", "value default base", |_, a| {
        let base = u32::try_from(a.int(2)?.unwrap_or(10)).unwrap_or(10);
        Ok(int(&a.value(), base).unwrap_or_else(|| a.opt(1).cloned().unwrap_or_else(|| Value::from(0))))
    });
    r.add("float", "value default", |_, a| {
        let default = || a.opt(1).cloned().unwrap_or_else(|| Value::from(0.0));
        Ok(float(&a.value()).map_or_else(default, Value::from))
    });
    r.add("string", "value", |_, a| Ok(Value::from(a.text())));
    r.add("lower", "value", |_, a| Ok(Value::from(a.text().to_lowercase())));
    r.add("upper", "value", |_, a| Ok(Value::from(a.text().to_uppercase())));
    r.add("capitalize", "value", |_, a| {
        let text = a.text().to_lowercase();
        let mut chars = text.chars();
        Ok(Value::from(chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())))
    });
    r.add("title", "value", |_, a| Ok(Value::from(title(&a.text()))));
    r.add("trim", "value chars", |_, a| {
        let text = a.text();
        Ok(Value::from(match a.str(1) {
            Some(chars) => text.trim_matches(|c| chars.contains(c)).to_owned(),
            None => text.trim().to_owned(),
        }))
    });
    r.add("length count", "value", |_, a| {
        let value = a.value();
        let len = value.as_str().map(|s| s.chars().count()).or_else(|| value.len());
        len.or_else(|| value.try_iter().ok().map(Iterator::count).filter(|_| !value.is_none()))
            .map(Value::from)
            .ok_or_else(|| fail(format!("object of type '{}' has no length", python::type_name(&value))))
    });
    r.add("replace", "value old new count", |_, a| {
        let (old, new) = (a.str(1).unwrap_or_default(), a.str(2).unwrap_or_default());
        Ok(Value::from(match a.int(3)? {
            Some(count) if count >= 0 => a.text().replacen(&old, &new, usize::try_from(count).unwrap_or(usize::MAX)),
            _ => a.text().replace(&old, &new),
        }))
    });
    r.add("indent", "value width first blank", |_, a| {
        let width = match a.opt(1) {
            Some(v) if v.as_str().is_some() => python::str(v),
            _ => " ".repeat(usize::try_from(a.int(1)?.unwrap_or(4)).unwrap_or(0)),
        };
        Ok(Value::from(indent(&a.text(), &width, a.flag(2), a.flag(3))))
    });
    r.add("truncate", "value length killwords end leeway", |_, a| {
        let length = usize::try_from(a.int(1)?.unwrap_or(255)).unwrap_or(0);
        let leeway = usize::try_from(a.int(4)?.unwrap_or(5)).unwrap_or(0);
        Ok(Value::from(truncate(&a.text(), length, a.flag(2), &a.str(3).unwrap_or_else(|| "...".into()), leeway)))
    });
    r.add("split", "value separator maxsplit", |_, a| {
        let limit = a.int(2)?.unwrap_or(-1);
        Ok(Value::from(split(&a.text(), a.str(1).as_deref(), limit)))
    });
    r.add("splitlines", "value", |_, a| Ok(Value::from(a.text().lines().map(str::to_owned).collect::<Vec<_>>())));
    r.add("join", "value separator attribute", join);
    r.add("quote", "value", |_, a| Ok(Value::from(if a.value().is_none() { "''".into() } else { quote(&a.text()) })));
    r.add("ternary", "value yes no none", |_, a| {
        let value = a.value();
        let at = if value.is_none() && a.some(3).is_some() {
            3
        } else if value.is_true() {
            1
        } else {
            2
        };
        a.need(at, "true_val and false_val").cloned()
    });
    r.lenient("type_debug", "value", |_, a| Ok(Value::from(python::type_name(&a.value()))));
    r.add("comment", "value style **settings", |_, a| comment(a).map(Value::from));
    r.add("wordcount", "value", |_, a| Ok(Value::from(a.text().split_whitespace().count())));
    r.add("center", "value width", |_, a| {
        let width = usize::try_from(a.int(1)?.unwrap_or(80)).unwrap_or(0);
        Ok(Value::from(center(&a.text(), width)))
    });
    r.builtin("abs", &Value::from_function(filters::abs));
    r.builtin("attr", &Value::from_function(filters::attr));
    r.builtin("escape", &Value::from_function(filters::escape));
    r.builtin("e", &Value::from_function(filters::escape));
    r.builtin("safe", &Value::from_function(filters::safe));
    r.builtin("format", &Value::from_function(filters::format));
    r.builtin("pprint", &Value::from_function(filters::pprint));
    r.builtin("filesizeformat", &Value::from_function(minijinja_contrib::filters::filesizeformat));
    r.add("round", "value precision method", round);
    r.add("pow", "value exponent", |_, a| math(a, 1, f64::powf));
    r.add("root", "value base", |_, a| {
        math(a, 1, |x, base| if (base - 2.0).abs() < f64::EPSILON { x.sqrt() } else { x.powf(base.recip()) })
    });
    r.add("log", "value base", |_, a| match a.some(1) {
        Some(_) => math(a, 1, |x, base| if (base - 10.0).abs() < f64::EPSILON { x.log10() } else { x.ln() / base.ln() }),
        None => float(&a.value()).map(|x| Value::from(x.ln())).ok_or_else(|| fail("can only be used on numbers")),
    });
    r.add("human_readable", "size isbits unit", |_, a| human_readable(a).map(Value::from));
    r.add("human_to_bytes", "size default_unit isbits", |_, a| human_to_bytes(a).map(Value::from));
}

/// ansible-core's `bool`: yes, on, true, 1 in any case are true; everything else is false.
pub(in crate::template) fn boolean(value: &Value) -> bool {
    match value.kind() {
        ValueKind::Bool => value.is_true(),
        ValueKind::Number => *value == Value::from(1),
        ValueKind::String => {
            let text = value.as_str().unwrap_or_default().to_lowercase();
            let truth = matches!(text.as_str(), "yes" | "on" | "true" | "1");
            if !truth && !matches!(text.as_str(), "no" | "off" | "false" | "0") {
                run::note(|run| run.warnings.push(format!("the bool filter read {text:?} as false")));
            }
            truth
        }
        _ => false,
    }
}

/// `int(value, base)` of Jinja2: a number, a number in text, or nothing.
pub(super) fn int(value: &Value, base: u32) -> Option<Value> {
    match value.kind() {
        ValueKind::Bool => Some(Value::from(i64::from(value.is_true()))),
        ValueKind::Number if value.is_integer() => Some(value.clone()),
        ValueKind::Number => whole(f64::try_from(value.clone()).ok()?),
        ValueKind::String => {
            let text = value.as_str()?.trim();
            parse_int(text, base).or_else(|| text.parse().ok().and_then(whole))
        }
        _ => None,
    }
}

fn parse_int(text: &str, base: u32) -> Option<Value> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, digits) = match (base, lower.get(..2)) {
        (16 | 0, Some("0x")) => (16, &lower[2..]),
        (8 | 0, Some("0o")) => (8, &lower[2..]),
        (2 | 0, Some("0b")) => (2, &lower[2..]),
        (0, _) => (10, lower.as_str()),
        (base, _) => (base, lower.as_str()),
    };
    let plain = digits.starts_with(|c: char| c.is_digit(36)) && !digits.ends_with('_') && !digits.contains("__");
    if !plain || !(2..=36).contains(&base) {
        return None;
    }
    let number = i128::from_str_radix(&digits.replace('_', ""), base).ok()?;
    Some(Value::from(if negative { -number } else { number })).map(|v| v.as_i64().map_or(v, Value::from))
}

fn whole(x: f64) -> Option<Value> {
    #[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
    (x.is_finite() && x.abs() < 9.0e18).then(|| Value::from(x.trunc() as i64))
}

/// `float(value)`.
pub(super) fn float(value: &Value) -> Option<f64> {
    match value.kind() {
        ValueKind::Bool => Some(f64::from(u8::from(value.is_true()))),
        ValueKind::Number => f64::try_from(value.clone()).ok(),
        ValueKind::String => value.as_str()?.trim().replace('_', "").parse().ok(),
        _ => None,
    }
}

fn math(a: &Args, at: usize, f: fn(f64, f64) -> f64) -> Result<Value, Error> {
    let other = a.some(at).map_or(Some(2.0), float);
    match (float(&a.value()), other) {
        (Some(x), Some(y)) => Ok(Value::from(f(x, y))),
        _ => Err(fail("can only be used on numbers")),
    }
}

fn round(_: &mut State<'_, '_>, a: &Args) -> Result<Value, Error> {
    let x = float(&a.value()).ok_or_else(|| fail("needs a number"))?;
    let precision = i32::try_from(a.int(1)?.unwrap_or(0)).unwrap_or(0).clamp(-300, 300);
    let scale = 10_f64.powi(precision);
    Ok(Value::from(match a.str(2).as_deref() {
        Some("ceil") => (x * scale).ceil() / scale,
        Some("floor") => (x * scale).floor() / scale,
        None | Some("common") if precision > 0 => format!("{x:.*}", usize::try_from(precision).unwrap_or(0)).parse().unwrap_or(x),
        None | Some("common") => (x * scale).round_ties_even() / scale,
        Some(other) => return Err(fail(format!("method must be common, ceil or floor, not {other}"))),
    }))
}

fn title(text: &str) -> String {
    let mut out = String::new();
    let mut begins = true;
    for c in text.chars() {
        if begins {
            out.extend(c.to_uppercase());
        } else {
            out.extend(c.to_lowercase());
        }
        begins = c.is_whitespace() || "-({[<".contains(c);
    }
    out
}

fn indent(text: &str, indent: &str, first: bool, blank: bool) -> String {
    let mut out = String::new();
    for (at, line) in text.split('\n').enumerate() {
        if at > 0 {
            out.push('\n');
        }
        if (at > 0 || first) && (blank || !line.trim().is_empty()) {
            out.push_str(indent);
        }
        out.push_str(line);
    }
    out
}

fn truncate(text: &str, length: usize, killwords: bool, end: &str, leeway: usize) -> String {
    if text.chars().count() <= length + leeway {
        return text.to_owned();
    }
    let kept: String = text.chars().take(length.saturating_sub(end.chars().count())).collect();
    if killwords {
        return kept + end;
    }
    kept.rsplit_once(' ').map_or(kept.as_str(), |(before, _)| before).to_owned() + end
}

/// Python's `str.split`.
pub(in crate::template) fn split(text: &str, separator: Option<&str>, limit: i64) -> Vec<String> {
    let max = usize::try_from(limit).unwrap_or(usize::MAX - 1).saturating_add(1);
    let Some(separator) = separator else {
        let mut parts = Vec::new();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            if parts.len() + 1 >= max {
                parts.push(rest.to_owned());
                break;
            }
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            parts.push(rest[..end].to_owned());
            rest = rest[end..].trim_start();
        }
        return parts;
    };
    if separator.is_empty() {
        return vec![text.to_owned()];
    }
    text.splitn(max, separator).map(str::to_owned).collect()
}

fn join(_: &mut State<'_, '_>, a: &Args) -> Result<Value, Error> {
    let separator = a.str(1).unwrap_or_default();
    let mut parts = Vec::new();
    for item in a.items()? {
        let item = match a.some(2) {
            Some(path) => super::attr::get(&item, path),
            None => item,
        };
        if item.is_undefined() {
            return Err(minijinja::ErrorKind::UndefinedError.into());
        }
        parts.push(python::str(&item));
    }
    Ok(Value::from(parts.join(&separator)))
}

/// Python's `shlex.quote`.
fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\"'\"'"))
}

fn center(text: &str, width: usize) -> String {
    let missing = width.saturating_sub(text.chars().count());
    let left = missing / 2 + (missing & width & 1);
    format!("{}{text}{}", " ".repeat(left), " ".repeat(missing - left))
}

/// The comment filter: a text behind comment marks (ansible-core: `plugins/filter/core.py`, its documented styles).
fn comment(a: &Args) -> Result<String, Error> {
    let (beginning, decoration, end) = match a.str(1).as_deref().unwrap_or("plain") {
        "plain" => ("", "# ", ""),
        "erlang" => ("", "% ", ""),
        "c" => ("", "// ", ""),
        "cblock" => ("/*", " * ", " */"),
        "xml" => ("<!--", " - ", "-->"),
        other => return Err(fail(format!("the style '{other}' is not one of plain, erlang, c, cblock, xml"))),
    };
    let setting = |name: &str| a.named.iter().find(|(key, _)| key == name).map(|(_, value)| python::str(value));
    let count = |name: &str| setting(name).and_then(|n| n.parse().ok()).unwrap_or(1_usize);
    let newline = setting("newline").unwrap_or_else(|| "\n".into());
    let decoration = setting("decoration").unwrap_or_else(|| decoration.into());
    let bare = decoration.trim_end().to_owned();
    let prefix = setting("prefix").unwrap_or_else(|| bare.clone());
    let postfix = setting("postfix").unwrap_or_else(|| bare.clone());
    let mut out = String::new();
    let beginning = setting("beginning").unwrap_or_else(|| beginning.into());
    if !beginning.is_empty() {
        out += &(beginning + &newline);
    }
    if !prefix.is_empty() {
        let line = if prefix == newline { newline.clone() } else { format!("{prefix}{newline}") };
        out += &line.repeat(count("prefix_count"));
    }
    let body = format!("{decoration}{}", a.text().replace(&newline, &format!("{newline}{decoration}")));
    out += &body.replace(&format!("{decoration}{newline}"), &format!("{bare}{newline}"));
    for _ in 0..count("postfix_count") {
        out.extend([newline.as_str(), &postfix]);
    }
    let end = setting("end").unwrap_or_else(|| end.into());
    if !end.is_empty() {
        out.extend([newline.as_str(), &end]);
    }
    Ok(out)
}

/// Units from large to small, with their sizes (ansible-core: `module_utils/common/text/formatters.py`).
const UNITS: [(char, f64); 9] = [
    ('Y', 1_208_925_819_614_629_174_706_176.0),
    ('Z', 1_180_591_620_717_411_303_424.0),
    ('E', 1_152_921_504_606_846_976.0),
    ('P', 1_125_899_906_842_624.0),
    ('T', 1_099_511_627_776.0),
    ('G', 1_073_741_824.0),
    ('M', 1_048_576.0),
    ('K', 1024.0),
    ('B', 1.0),
];

fn human_readable(a: &Args) -> Result<String, Error> {
    let size = float(&a.value()).ok_or_else(|| fail("needs a number"))?;
    let base = if a.flag(1) { "bits" } else { "Bytes" };
    let wanted = a.str(2).map(|u| u.to_uppercase());
    let (unit, scale) = UNITS
        .into_iter()
        .find(|(unit, scale)| match &wanted {
            Some(wanted) => wanted.starts_with(*unit),
            None => size >= *scale,
        })
        .unwrap_or(('B', 1.0));
    let suffix = if unit == 'B' { base.to_owned() } else { format!("{unit}{}", if a.flag(1) { "b" } else { "B" }) };
    Ok(format!("{:.2} {suffix}", size / scale))
}

fn human_to_bytes(a: &Args) -> Result<i64, Error> {
    let text = a.text();
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..end].parse().map_err(|_| fail(format!("cannot read a size from '{text}'")))?;
    let unit = text[end..].trim();
    let unit = if unit.is_empty() { a.str(1).unwrap_or_default() } else { unit.to_owned() };
    let first = unit.chars().next().unwrap_or('B').to_ascii_uppercase();
    let scale = UNITS.into_iter().find(|(u, _)| *u == first).ok_or_else(|| fail(format!("'{unit}' is not a unit of size")))?.1;
    whole((number * scale).round()).and_then(|v| v.as_i64()).ok_or_else(|| fail("the size is too large"))
}
