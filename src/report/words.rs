//! How durations, diffs and JSON are written for people.

use super::clean::{clean, clean_line};
use crate::event::Diff;
use serde_json::Value;
use std::{fmt::Write, time::Duration};

/// `85 ms`, `3.2 s`, `2 min 05 s`.
pub fn duration(d: Duration) -> String {
    let s = d.as_secs();
    match s {
        0 => format!("{} ms", d.as_millis()),
        1..60 => format!("{:.1} s", d.as_secs_f64()),
        60..3600 => format!("{} min {:02} s", s / 60, s % 60),
        _ => format!("{} h {:02} min", s / 3600, s / 60 % 60),
    }
}

/// A unified diff as Ansible prints it (`--- before: PATH`).
pub fn unified_diff(diff: &Diff) -> String {
    let subject = clean_line(&diff.subject);
    let (before, after) = (clean(&diff.before), clean(&diff.after));
    let lines = similar::TextDiff::from_lines(&before, &after);
    let text = lines.unified_diff().header(&format!("before: {subject}"), &format!("after: {subject}")).to_string();
    if text.is_empty() && diff.before != diff.after { format!("--- {subject}\n") } else { text }
}

/// JSON as Python's `json.dumps(sort_keys=True)` writes it, which people grep for; `indent` as there.
pub(super) fn python_json(value: &Value, indent: Option<usize>) -> String {
    let mut out = String::new();
    write_json(&mut out, value, indent, 0);
    clean(&out)
}

fn write_json(out: &mut String, value: &Value, indent: Option<usize>, depth: usize) {
    let newline = |out: &mut String, depth: usize| {
        if let Some(width) = indent {
            let _ = write!(out, "\n{:1$}", "", width * depth);
        }
    };
    let comma = |out: &mut String, index: usize| {
        if index > 0 {
            out.push_str(if indent.is_some() { "," } else { ", " });
        }
    };
    match value {
        Value::Array(items) if !items.is_empty() => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                comma(out, index);
                newline(out, depth + 1);
                write_json(out, item, indent, depth + 1);
            }
            newline(out, depth);
            out.push(']');
        }
        Value::Object(map) if !map.is_empty() => {
            let mut keys: Vec<_> = map.keys().collect();
            keys.sort();
            out.push('{');
            for (index, key) in keys.into_iter().enumerate() {
                comma(out, index);
                newline(out, depth + 1);
                let _ = write!(out, "{}: ", Value::from(key.as_str()));
                write_json(out, &map[key], indent, depth + 1);
            }
            newline(out, depth);
            out.push('}');
        }
        plain => {
            let _ = write!(out, "{plain}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn durations_read_well() {
        let of = |ms| duration(Duration::from_millis(ms));
        assert_eq!([of(85), of(3210), of(125_000), of(3_720_000)], ["85 ms", "3.2 s", "2 min 05 s", "1 h 02 min"]);
    }

    #[test]
    fn json_is_written_as_python_does() {
        let value = json!({"b": [1, {"x": null}], "a": "q\"\u{1b}", "e": {}});
        assert_eq!(python_json(&value, None), r#"{"a": "q\"\u001b", "b": [1, {"x": null}], "e": {}}"#);
        assert_eq!(python_json(&json!({"msg": "hi"}), Some(4)), "{\n    \"msg\": \"hi\"\n}");
    }
}
