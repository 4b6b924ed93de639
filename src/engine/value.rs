//! Conversions that Ansible does for keywords.

use minijinja::{Value, value::ValueKind};

/// yes/no/on/off/true/false/1/0/t/f/y/n, in any case (ansible-core: parsing/convert_bool.py).
pub(super) fn as_bool(value: &Value) -> Option<bool> {
    match value.kind() {
        ValueKind::Bool => Some(value.is_true()),
        ValueKind::Number => match value.as_i64() {
            Some(1) => Some(true),
            Some(0) => Some(false),
            _ => None,
        },
        ValueKind::String => match value.as_str()?.trim().to_ascii_lowercase().as_str() {
            "yes" | "on" | "true" | "1" | "t" | "y" => Some(true),
            "no" | "off" | "false" | "0" | "f" | "n" | "" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// A number, also where it is written as text.
pub(super) fn as_number(value: &Value) -> Option<f64> {
    f64::try_from(value.clone()).ok().or_else(|| value.as_str()?.trim().parse().ok())
}

/// A whole number that is not negative, also where it is written as text or with a point.
pub(super) fn as_count(value: &Value) -> Option<usize> {
    let text = as_text(value);
    let whole = text.trim().split('.').next().unwrap_or_default();
    if whole.starts_with('-') { Some(0) } else { whole.parse().ok() }
}

/// A value as one text.
pub(super) fn as_text(value: &Value) -> String {
    match value.kind() {
        ValueKind::None | ValueKind::Undefined => String::new(),
        ValueKind::String => value.as_str().unwrap_or_default().to_owned(),
        ValueKind::Bool => if value.is_true() { "True" } else { "False" }.to_owned(),
        _ => value.to_string(),
    }
}

/// A list of texts: a list's items, or comma-separated text.
pub(super) fn as_texts(value: &Value) -> Vec<String> {
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => value.try_iter().into_iter().flatten().map(|v| as_text(&v)).collect(),
        ValueKind::None | ValueKind::Undefined => Vec::new(),
        _ => as_text(value).split(',').map(|t| t.trim().to_owned()).filter(|t| !t.is_empty()).collect(),
    }
}

/// A mapping's pairs with text keys.
pub(super) fn pairs(value: &Value) -> Vec<(String, Value)> {
    if value.kind() != ValueKind::Map {
        return Vec::new();
    }
    let keys = value.try_iter().into_iter().flatten();
    keys.filter_map(|k| value.get_item(&k).ok().map(|v| (as_text(&k), v))).collect()
}

/// JSON of a value, for events.
pub(super) fn as_json(value: &Value) -> serde_json::Value {
    serde_json::to_value(value).unwrap_or(serde_json::Value::Null)
}

/// `that:` of assert and the like: one expression or a list of them.
pub(super) fn as_expressions(value: &Value) -> Vec<String> {
    match value.kind() {
        ValueKind::Seq => value.try_iter().into_iter().flatten().map(|v| as_text(&v)).collect(),
        _ => vec![as_text(value)],
    }
}

/// A list's items as texts, or one text as it is.
pub(super) fn as_list(value: &Value) -> Vec<String> {
    as_expressions(value)
}
