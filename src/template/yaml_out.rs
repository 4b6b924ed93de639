//! Values as YAML, byte for byte as PyYAML's `dump` writes them: `to_yaml` and `to_nice_yaml` fill files that people compare.
//!
//! The rules (when a scalar is quoted, where lines are folded, how sequences are indented) are those of PyYAML 6's
//! emitter and of YAML 1.1's implicit types.

use super::python;
use minijinja::Value;
use minijinja::value::ValueKind;
use regex::Regex;
use std::sync::LazyLock;

/// PyYAML's `dump` settings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    /// Columns per level; PyYAML takes 2 where it is not from 2 to 9.
    pub(super) indent: usize,
    /// Column after which lines are folded.
    pub(super) width: usize,
    /// `Some(true)` is all in flow style, `Some(false)` all in block style, `None` leaves in flow style.
    pub(super) flow: Option<bool>,
    /// Keys in order of their text.
    pub(super) sort_keys: bool,
    /// Begin with `---`.
    pub(super) explicit_start: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { indent: 2, width: 80, flow: None, sort_keys: true, explicit_start: false }
    }
}

/// The document for one value.
pub(super) fn dump(value: &Value, settings: Settings) -> String {
    let indent = if (2..10).contains(&settings.indent) { settings.indent } else { 2 };
    let width = if settings.width > indent * 2 { settings.width } else { 80 };
    let settings = Settings { indent, width, ..settings };
    let mut emitter = Emitter { settings, out: String::new(), column: 0, indent: None, whitespace: true, indention: true, flow_level: 0 };
    if settings.explicit_start {
        emitter.indicator("---", true, false, false);
    }
    emitter.node(value, Place::Root);
    if !emitter.out.is_empty() && !emitter.out.ends_with('\n') {
        emitter.out.push('\n');
    }
    emitter.out
}

/// Where a node stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Sequence,
    MappingValue,
    SimpleKey,
}

struct Emitter {
    settings: Settings,
    out: String,
    column: usize,
    indent: Option<usize>,
    /// The last thing written was white space.
    whitespace: bool,
    /// The line so far is only indentation and indicators such as `- `.
    indention: bool,
    flow_level: usize,
}

impl Emitter {
    fn put(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += text.chars().count();
    }

    fn line_break(&mut self) {
        self.out.push('\n');
        self.whitespace = true;
        self.indention = true;
        self.column = 0;
    }

    fn indicator(&mut self, text: &str, need_whitespace: bool, whitespace: bool, indention: bool) {
        if !self.whitespace && need_whitespace {
            self.put(" ");
        }
        self.put(text);
        self.whitespace = whitespace;
        self.indention &= indention;
    }

    fn write_indent(&mut self) {
        let indent = self.indent.unwrap_or(0);
        if !self.indention || self.column > indent || self.column == indent && !self.whitespace {
            self.line_break();
        }
        if self.column < indent {
            self.whitespace = true;
            self.put(&" ".repeat(indent - self.column));
        }
    }

    /// Goes one level in; gives the level to return to.
    fn deeper(&mut self, flow: bool, indentless: bool) -> Option<usize> {
        let before = self.indent;
        self.indent = match before {
            None => Some(if flow { self.settings.indent } else { 0 }),
            Some(indent) if indentless => Some(indent),
            Some(indent) => Some(indent + self.settings.indent),
        };
        before
    }

    fn node(&mut self, value: &Value, place: Place) {
        match value.kind() {
            ValueKind::Map => {
                let mut pairs = python::pairs(value);
                if self.settings.sort_keys && sortable(&pairs) {
                    pairs.sort_by(|a, b| a.0.cmp(&b.0));
                }
                if self.flow_level > 0 || pairs.is_empty() || self.flows(pairs.iter().flat_map(|(k, v)| [k, v])) {
                    self.flow_mapping(&pairs);
                } else {
                    self.block_mapping(&pairs);
                }
            }
            ValueKind::Seq | ValueKind::Iterable => {
                let items = python::items(value);
                if self.flow_level > 0 || items.is_empty() || self.flows(items.iter()) {
                    self.flow_sequence(&items);
                } else {
                    self.block_sequence(&items, place == Place::MappingValue && !self.indention);
                }
            }
            _ => self.scalar(value, place),
        }
    }

    /// Whether a collection of these is written in flow style.
    fn flows<'v>(&self, mut parts: impl Iterator<Item = &'v Value>) -> bool {
        self.settings.flow.unwrap_or_else(|| !parts.any(|v| matches!(v.kind(), ValueKind::Map | ValueKind::Seq | ValueKind::Iterable)))
    }

    fn flow_sequence(&mut self, items: &[Value]) {
        self.indicator("[", true, true, false);
        self.flow_level += 1;
        let before = self.deeper(true, false);
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.indicator(",", false, false, false);
            }
            if self.column > self.settings.width {
                self.write_indent();
            }
            self.node(item, Place::Sequence);
        }
        self.indent = before;
        self.flow_level -= 1;
        self.indicator("]", false, false, false);
    }

    fn flow_mapping(&mut self, pairs: &[(Value, Value)]) {
        self.indicator("{", true, true, false);
        self.flow_level += 1;
        let before = self.deeper(true, false);
        for (at, (key, value)) in pairs.iter().enumerate() {
            if at > 0 {
                self.indicator(",", false, false, false);
            }
            if self.column > self.settings.width {
                self.write_indent();
            }
            if simple_key(key) {
                self.node(key, Place::SimpleKey);
                self.indicator(":", false, false, false);
            } else {
                self.indicator("?", true, false, false);
                self.node(key, Place::MappingValue);
                if self.column > self.settings.width {
                    self.write_indent();
                }
                self.indicator(":", true, false, false);
            }
            self.node(value, Place::MappingValue);
        }
        self.indent = before;
        self.flow_level -= 1;
        self.indicator("}", false, false, false);
    }

    fn block_sequence(&mut self, items: &[Value], indentless: bool) {
        let before = self.deeper(false, indentless);
        for item in items {
            self.write_indent();
            self.indicator("-", true, false, true);
            self.node(item, Place::Sequence);
        }
        self.indent = before;
    }

    fn block_mapping(&mut self, pairs: &[(Value, Value)]) {
        let before = self.deeper(false, false);
        for (key, value) in pairs {
            self.write_indent();
            if simple_key(key) {
                self.node(key, Place::SimpleKey);
                self.indicator(":", false, false, false);
            } else {
                self.indicator("?", true, false, true);
                self.node(key, Place::MappingValue);
                self.write_indent();
                self.indicator(":", true, false, true);
            }
            self.node(value, Place::MappingValue);
        }
        self.indent = before;
    }

    fn scalar(&mut self, value: &Value, place: Place) {
        // A scalar's continuation lines stand one level in, at the root too.
        let before = self.deeper(true, false);
        let split = place != Place::SimpleKey;
        if let Some(text) = value.as_str() {
            let looks = Looks::of(text);
            let one_line = split || !looks.multi_line;
            let plain = if self.flow_level > 0 { looks.flow_plain } else { looks.block_plain };
            if plain && one_line && !text.is_empty() && !other_type(text) {
                self.plain(text, split);
            } else if looks.single_quoted && one_line {
                self.single_quoted(text, split);
            } else {
                self.double_quoted(text, split);
            }
        } else {
            self.plain(&number(value), split);
        }
        self.indent = before;
    }

    fn plain(&mut self, text: &str, split: bool) {
        if !self.whitespace {
            self.put(" ");
        }
        self.whitespace = false;
        self.indention = false;
        for (at, run) in runs(text).into_iter().enumerate() {
            if run == " " && at > 0 && split && self.column > self.settings.width {
                self.write_indent();
                self.whitespace = false;
                self.indention = false;
            } else {
                self.put(run);
            }
        }
    }

    fn single_quoted(&mut self, text: &str, split: bool) {
        self.indicator("'", true, false, false);
        let parts = runs(text);
        let last = parts.len().saturating_sub(1);
        for (at, run) in parts.into_iter().enumerate() {
            if run == " " && at > 0 && at < last && split && self.column > self.settings.width {
                self.write_indent();
            } else if run.starts_with('\n') {
                self.line_break();
                for _ in run.chars() {
                    self.line_break();
                }
                self.write_indent();
            } else {
                self.put(&run.replace('\'', "''"));
            }
        }
        self.indicator("'", false, false, false);
    }

    fn double_quoted(&mut self, text: &str, split: bool) {
        self.indicator("\"", true, false, false);
        let chars: Vec<char> = text.chars().collect();
        let (mut start, mut end) = (0, 0);
        while end <= chars.len() {
            let c = chars.get(end).copied();
            if c.is_none_or(|c| escaped(c).is_some()) {
                if start < end {
                    self.put(&chars[start..end].iter().collect::<String>());
                    start = end;
                }
                if let Some(escape) = c.and_then(escaped) {
                    self.put(&escape);
                    start = end + 1;
                }
            }
            let inside = 0 < end && end + 1 < chars.len();
            let pending = end.saturating_sub(start);
            if inside && (c == Some(' ') || start >= end) && self.column + pending > self.settings.width && split {
                let data: String = if start < end { chars[start..end].iter().collect() } else { String::new() };
                if start < end {
                    start = end;
                }
                self.put(&(data + "\\"));
                self.write_indent();
                self.whitespace = false;
                self.indention = false;
                if chars.get(start) == Some(&' ') {
                    self.put("\\");
                }
            }
            end += 1;
        }
        self.indicator("\"", false, false, false);
    }
}

/// A text cut where spaces or line breaks begin and end.
fn runs(text: &str) -> Vec<&str> {
    let class = |c: char| match c {
        ' ' => 1,
        '\n' => 2,
        _ => 0,
    };
    let mut out = Vec::new();
    let (mut start, mut current) = (0, None);
    for (at, c) in text.char_indices() {
        if current.is_some_and(|kind| kind != class(c)) {
            out.push(&text[start..at]);
            start = at;
        }
        current = Some(class(c));
    }
    if start < text.len() {
        out.push(&text[start..]);
    }
    out
}

fn escaped(c: char) -> Option<String> {
    let short = match c {
        '\0' => '0',
        '\x07' => 'a',
        '\x08' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\x0b' => 'v',
        '\x0c' => 'f',
        '\r' => 'r',
        '\x1b' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        ' '..='~' => return None,
        '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' if c != '\u{feff}' => return None,
        c if u32::from(c) <= 0xff => return Some(format!("\\x{:02X}", u32::from(c))),
        c if u32::from(c) <= 0xffff => return Some(format!("\\u{:04X}", u32::from(c))),
        c => return Some(format!("\\U{:08X}", u32::from(c))),
    };
    Some(format!("\\{short}"))
}

/// What the characters of a text allow.
struct Looks {
    multi_line: bool,
    flow_plain: bool,
    block_plain: bool,
    single_quoted: bool,
}

impl Looks {
    fn of(text: &str) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let is_break = |c: char| matches!(c, '\n' | '\u{85}' | '\u{2028}' | '\u{2029}');
        let is_blank = |c: Option<&char>| c.is_none_or(|c| matches!(c, '\0' | ' ' | '\t' | '\r') || is_break(*c));
        let mut flow_mark = text.starts_with("---") || text.starts_with("...");
        let mut block_mark = flow_mark;
        let (mut breaks, mut special, mut space_break, mut break_space) = (false, false, false, false);
        for (at, &c) in chars.iter().enumerate() {
            let before = at.checked_sub(1).and_then(|b| chars.get(b));
            let followed = is_blank(chars.get(at + 1));
            match c {
                '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' if at == 0 => {
                    flow_mark = true;
                    block_mark = true;
                }
                '-' if at == 0 && followed => {
                    flow_mark = true;
                    block_mark = true;
                }
                '?' if at == 0 => {
                    flow_mark = true;
                    block_mark |= followed;
                }
                ':' => {
                    flow_mark = true;
                    block_mark |= followed;
                }
                ',' | '?' | '[' | ']' | '{' | '}' => flow_mark = true,
                '#' if is_blank(before) => {
                    flow_mark = true;
                    block_mark = true;
                }
                _ => {}
            }
            breaks |= is_break(c);
            let printable = matches!(c, '\n' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
            special |= !printable || c == '\u{feff}';
            break_space |= c == ' ' && before.copied().is_some_and(is_break);
            space_break |= is_break(c) && before == Some(&' ');
        }
        let edge = |c: Option<&char>| c.is_some_and(|c| *c == ' ' || is_break(*c));
        let plain = !edge(chars.first()) && !edge(chars.last()) && !breaks && !special && !space_break && !break_space;
        Self {
            multi_line: breaks,
            flow_plain: plain && !flow_mark,
            block_plain: plain && !block_mark,
            single_quoted: !special && !space_break && !break_space,
        }
    }
}

/// Whether YAML 1.1 would read a plain text as something else than text.
fn other_type(text: &str) -> bool {
    static TYPES: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(
            r"(?x)^(?:
            yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF
            |~|null|Null|NULL|<<|=
            |[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?
            |[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)
            |[-+]?0b[01_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+
            |[0-9]{4}-[0-9]{2}-[0-9]{2}
            |[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[\x20\t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?(?:[\x20\t]*(?:Z|[-+][0-9]{1,2}(?::?[0-9]{2})?))?
            )$",
        )
        .ok()
    });
    TYPES.as_ref().is_some_and(|types| types.is_match(text))
}

/// A scalar that is not text.
fn number(value: &Value) -> String {
    match value.kind() {
        ValueKind::Bool => if value.is_true() { "true" } else { "false" }.into(),
        ValueKind::None => "null".into(),
        ValueKind::Number if !value.is_integer() => {
            let text = python::str(value);
            match text.as_str() {
                "inf" => ".inf".into(),
                "-inf" => "-.inf".into(),
                "nan" => ".nan".into(),
                _ if !text.contains('.') => text.replacen('e', ".0e", 1),
                _ => text,
            }
        }
        _ => python::str(value),
    }
}

fn simple_key(key: &Value) -> bool {
    match key.as_str() {
        Some(text) => !text.is_empty() && text.chars().count() < 128 && !text.contains(['\n', '\u{85}', '\u{2028}', '\u{2029}']),
        None => !matches!(key.kind(), ValueKind::Map | ValueKind::Seq | ValueKind::Iterable) || key.len() == Some(0),
    }
}

/// Whether Python can order these keys.
fn sortable(pairs: &[(Value, Value)]) -> bool {
    pairs.windows(2).all(|w| super::globals::comparable(&w[0].0, &w[1].0))
}
