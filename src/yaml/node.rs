//! The tree: a typed value with its place, its tag and how it was written.

use crate::text::Span;
use minijinja::Value;

/// A value as it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it is.
    pub value: Yaml,
    /// Where it stands.
    pub span: Span,
    /// An explicit tag as written with its resolved handle: `!vault`, `!unsafe`; standard ones as `!!str`.
    pub tag: Option<String>,
    /// How it was written.
    pub style: Style,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub enum Yaml {
    /// `null`, `~`, nothing.
    Null,
    /// `yes`, `True`, `off`, …
    Bool(bool),
    /// Decimal, octal (`0644`), hexadecimal, binary or sexagesimal.
    Int(i128),
    /// A number with a point.
    Float(f64),
    /// A date, or a date and time, as written.
    Date(String),
    /// Text.
    String(String),
    /// A list.
    Seq(Vec<Node>),
    /// A mapping in the order of the file; keys are scalars and do not repeat.
    Map(Vec<(Node, Node)>),
}

/// How a node was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Unquoted.
    Plain,
    /// In single or double quotes.
    Quoted,
    /// A `|` or `>` block.
    Block,
    /// A list or mapping.
    Collection,
}

impl Node {
    /// Text, where it is text.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Yaml::String(s) => Some(s),
            _ => None,
        }
    }

    /// A scalar as text: numbers and booleans as they were written. `None` for null, lists and mappings.
    pub fn as_text(&self) -> Option<String> {
        match &self.value {
            Yaml::String(s) | Yaml::Date(s) => Some(s.clone()),
            Yaml::Bool(_) | Yaml::Int(_) | Yaml::Float(_) => Some(self.span.text().to_owned()),
            Yaml::Null | Yaml::Seq(_) | Yaml::Map(_) => None,
        }
    }

    /// A boolean, where it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self.value {
            Yaml::Bool(b) => Some(b),
            _ => None,
        }
    }

    /// An integer, where it is one.
    pub fn as_int(&self) -> Option<i128> {
        match self.value {
            Yaml::Int(i) => Some(i),
            _ => None,
        }
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        self.value == Yaml::Null
    }

    /// The list's items; `None` where it is no list.
    pub fn items(&self) -> Option<&[Self]> {
        match &self.value {
            Yaml::Seq(items) => Some(items),
            _ => None,
        }
    }

    /// The mapping's keys and values; `None` where it is no mapping.
    pub fn entries(&self) -> Option<&[(Self, Self)]> {
        match &self.value {
            Yaml::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The value under a text key of a mapping.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries()?.iter().find(|(k, _)| k.as_str() == Some(key)).map(|(_, v)| v)
    }

    /// What it is, in words: `a list`, `text`.
    pub fn kind(&self) -> &'static str {
        match self.value {
            Yaml::Null => "nothing",
            Yaml::Bool(_) => "a boolean",
            Yaml::Int(_) => "a whole number",
            Yaml::Float(_) => "a number",
            Yaml::Date(_) => "a date",
            Yaml::String(_) => "text",
            Yaml::Seq(_) => "a list",
            Yaml::Map(_) => "a mapping",
        }
    }

    /// The value for templates, in order. Text tagged `!unsafe` becomes a *safe string* (`Value::is_safe`): whoever
    /// renders leaves it alone. Text tagged `!vault` stays ciphertext: `to_value_with` opens it.
    pub fn to_value(&self) -> Value {
        self.to_value_with(&|_| None)
    }

    /// As [`Node::to_value`]; `special` may supply the value of any node first (`!vault`).
    pub fn to_value_with(&self, special: &dyn Fn(&Self) -> Option<Value>) -> Value {
        if let Some(value) = special(self) {
            return value;
        }
        match &self.value {
            Yaml::Null => Value::from(()),
            Yaml::Bool(b) => Value::from(*b),
            Yaml::Int(i) => i64::try_from(*i).map_or_else(|_| Value::from(*i), Value::from),
            Yaml::Float(f) => Value::from(*f),
            Yaml::String(s) if self.tag.as_deref() == Some("!unsafe") => Value::from_safe_string(s.clone()),
            Yaml::String(s) | Yaml::Date(s) => Value::from(s.as_str()),
            Yaml::Seq(items) => items.iter().map(|n| n.to_value_with(special)).collect(),
            Yaml::Map(entries) => Value::from_pairs(entries.iter().map(|(k, v)| (k.to_value(), v.to_value_with(special)))),
        }
    }

    /// Whether the text is encrypted (`!vault`, or its old name `!vault-encrypted`).
    pub fn is_vault(&self) -> bool {
        matches!(self.tag.as_deref(), Some("!vault" | "!vault-encrypted"))
    }
}
