//! Regular expressions as Python's `re` understands them, on fancy-regex.

use fancy_regex::{Captures, Regex};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// The flags that filters and tests offer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags {
    /// `re.IGNORECASE`.
    pub ignore_case: bool,
    /// `re.MULTILINE`.
    pub multi_line: bool,
}

/// A compiled pattern of Python's `re`.
#[derive(Clone, Debug)]
pub struct Pattern(Arc<Regex>);

/// Patterns compiled so far; emptied when it grows beyond reason.
static KNOWN: LazyLock<Mutex<HashMap<(String, Flags), Pattern>>> = LazyLock::new(Mutex::default);
const MOST: usize = 1000;

impl Pattern {
    /// Compiles a pattern; the error says what is wrong with it.
    pub fn new(pattern: &str, flags: Flags) -> Result<Self, String> {
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (pattern.to_owned(), flags);
        if let Some(found) = known.get(&key) {
            return Ok(found.clone());
        }
        let regex = Regex::new(&translate(pattern, flags)).map_err(|e| format!("the regular expression '{pattern}': {e}"))?;
        if known.len() >= MOST {
            known.clear();
        }
        let compiled = Self(Arc::new(regex));
        known.insert(key, compiled.clone());
        Ok(compiled)
    }

    /// The first match at or after byte `from`.
    pub fn captures<'t>(&self, text: &'t str, from: usize) -> Result<Option<Captures<'t, str>>, String> {
        self.0.captures_from_pos(text, from).map_err(|e| format!("the regular expression '{}': {e}", self.0.as_str()))
    }

    /// Every match from left to right, as `re.finditer`.
    pub fn all<'t>(&self, text: &'t str) -> Result<Vec<Captures<'t, str>>, String> {
        let mut found = Vec::new();
        let mut at = 0;
        let mut last_empty = None;
        while at <= text.len() {
            let Some(captures) = self.captures(text, at)? else { break };
            let Some(whole) = captures.get(0) else { break };
            if whole.start() == whole.end() && last_empty == Some(whole.start()) {
                at = next_char(text, at);
                last_empty = None;
                continue;
            }
            last_empty = (whole.start() == whole.end()).then_some(whole.end());
            at = whole.end();
            found.push(captures);
        }
        Ok(found)
    }

    /// `re.subn(replacement, text, count)`: the new text and the number of replacements. A `count` of 0 is all.
    pub fn replace(&self, text: &str, replacement: &str, count: usize) -> Result<(String, usize), String> {
        let mut out = String::with_capacity(text.len());
        let (mut at, mut done) = (0, 0);
        for captures in self.all(text)? {
            if count > 0 && done == count {
                break;
            }
            let Some(whole) = captures.get(0) else { continue };
            out.push_str(&text[at..whole.start()]);
            expand(replacement, &captures, &mut out)?;
            at = whole.end();
            done += 1;
        }
        out.push_str(&text[at..]);
        Ok((out, done))
    }

    /// Number of groups, the whole match counted.
    pub fn groups(&self) -> usize {
        self.0.captures_len()
    }
}

fn next_char(text: &str, at: usize) -> usize {
    at + text[at..].chars().next().map_or(1, char::len_utf8)
}

/// Appends a replacement with its `\1`, `\g<1>`, `\g<name>` and escapes filled in.
pub fn expand(template: &str, captures: &Captures<'_, str>, out: &mut String) -> Result<(), String> {
    let group = |name: &str| match name.parse::<usize>() {
        Ok(number) if number < captures.len() => Ok(captures.get(number)),
        Err(_) => Ok(captures.name(name)),
        Ok(number) => Err(format!("the replacement '{template}' names group {number}, which does not exist")),
    };
    let mut chars = template.char_indices();
    while let Some((_, c)) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        let Some((at, c)) = chars.next() else { return Err(format!("the replacement '{template}' ends in a backslash")) };
        match c {
            'g' => {
                let rest = &template[at + 1..];
                let name = rest.strip_prefix('<').and_then(|r| r.split_once('>')).map(|(name, _)| name);
                let name = name.ok_or_else(|| format!("the replacement '{template}' has \\g without <name>"))?;
                out.push_str(group(name)?.map_or("", |m| m.as_str()));
                chars.by_ref().take(name.chars().count() + 2).for_each(drop);
            }
            '1'..='9' => {
                let mut digits = c.to_string();
                if let Some(next) = template[at + 1..].chars().next().filter(char::is_ascii_digit) {
                    digits.push(next);
                    chars.next();
                }
                out.push_str(group(&digits)?.map_or("", |m| m.as_str()));
            }
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            'a' => out.push('\x07'),
            'f' => out.push('\x0c'),
            'v' => out.push('\x0b'),
            '0' => out.push('\0'),
            '\\' => out.push('\\'),
            c if c.is_ascii_alphabetic() => return Err(format!("bad escape \\{c} in the replacement '{template}'")),
            c => {
                out.push('\\');
                out.push(c);
            }
        }
    }
    Ok(())
}

/// `re.escape`.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' | '\r' | '\x0b' | '\x0c' => out.push('\\'),
            c if c.is_ascii() && "()[]{}?*+-|^$\\.&~# ".contains(c) => out.push('\\'),
            _ => {}
        }
        out.push(c);
    }
    out
}

/// A pattern of Python's `re` in fancy-regex's language.
fn translate(pattern: &str, flags: Flags) -> String {
    let mut out = String::new();
    out.push_str(match (flags.ignore_case, flags.multi_line) {
        (true, true) => "(?im)",
        (true, false) => "(?i)",
        (false, true) => "(?m)",
        (false, false) => "",
    });
    let multi_line = flags.multi_line || inline_flags(pattern).contains('m');
    let chars: Vec<char> = pattern.chars().collect();
    let (mut at, mut class) = (0, None);
    while let Some(&c) = chars.get(at) {
        let next = chars.get(at + 1).copied();
        match (c, class) {
            ('\\', None) if next == Some('Z') => out.push_str("\\z"),
            ('\\', _) if matches!(next, Some('<' | '>' | '"' | '\'' | '/' | '@' | '%' | ',' | ':' | ';' | '=' | '!' | '`' | '_')) => {
                out.extend(next);
            }
            ('\\', Some(_)) if matches!(next, Some('b')) => out.push_str("\\x08"),
            ('\\', _) => {
                out.push('\\');
                out.extend(next);
            }
            ('[', None) => {
                class = Some(at + if next == Some('^') { 2 } else { 1 });
                out.push('[');
                if next == Some('^') {
                    out.push('^');
                    at += 1;
                }
            }
            (']', Some(first)) if at > first => {
                class = None;
                out.push(']');
            }
            // Inside a class these are plain characters in Python, operators in Rust.
            (']' | '[' | '&' | '~', Some(_)) => {
                out.push('\\');
                out.push(c);
            }
            ('-', Some(_)) if next == Some('-') => out.push_str("\\-"),
            ('$', None) => out.push_str(if multi_line { "$" } else { "(?=\\n?\\z)" }),
            ('{', None) if !quantifier(&chars[at + 1..]) => out.push_str("\\{"),
            ('}', None) if !closes_quantifier(&chars[..at]) => out.push_str("\\}"),
            ('(', None) if chars[at + 1..].starts_with(&['?', 'P', '=']) => {
                let name: String = chars[at + 4..].iter().take_while(|c| **c != ')').collect();
                out.extend(["\\k<", &name, ">"]);
                at += 4 + name.chars().count();
            }
            _ => out.push(c),
        }
        at += if c == '\\' { 2 } else { 1 };
    }
    out
}

/// The letters of a pattern's leading `(?…)`.
fn inline_flags(pattern: &str) -> &str {
    pattern
        .strip_prefix("(?")
        .and_then(|rest| rest.split_once(')'))
        .map_or("", |(flags, _)| if flags.chars().all(|c| c.is_ascii_lowercase()) { flags } else { "" })
}

/// Whether what follows `{` makes it a repetition: `2}`, `2,}`, `,3}`, `2,3}`.
fn quantifier(rest: &[char]) -> bool {
    let Some(end) = rest.iter().position(|c| *c == '}') else { return false };
    let body: String = rest[..end].iter().collect();
    let digits = |s: &str| s.chars().all(|c| c.is_ascii_digit());
    match body.split_once(',') {
        Some((low, high)) => digits(low) && digits(high) && !(low.is_empty() && high.is_empty()),
        None => !body.is_empty() && digits(&body),
    }
}

fn closes_quantifier(before: &[char]) -> bool {
    before.iter().rposition(|c| *c == '{').is_some_and(|open| {
        let mut rest: Vec<char> = before[open + 1..].to_vec();
        rest.push('}');
        quantifier(&rest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sub(pattern: &str, replacement: &str, text: &str) -> String {
        Pattern::new(pattern, Flags::default()).unwrap().replace(text, replacement, 0).unwrap().0
    }

    /// Expected results are Python 3.11's.
    #[test]
    fn substitution_is_pythons() {
        assert_eq!(sub("x*", "-", "abxd"), "-a-b--d-");
        assert_eq!(sub(r"(?P<n>\w+)=(\d+)", r"\g<2>=\g<n>\n\1", "a=1"), "1=a\na");
        assert_eq!(sub(r"\$", r"\\$", "a$b"), "a\\$b");
        assert_eq!(sub("a$", "b", "a\n"), "b\n");
        assert_eq!(sub(r"[[\]]", "", "[x]"), "x");
        assert_eq!(sub(r"{{ (\w+) }}", r"<\1>", "{{ a }}"), "<a>");
        assert_eq!(sub(r"(?P<q>['\x22]).*?(?P=q)", "", "a'b'c"), "ac");
        assert_eq!(sub(r"(?<=a)b(?!c)", "X", "abc abd"), "abc aXd");
    }

    #[test]
    fn bad_replacements_are_refused() {
        let pattern = Pattern::new("(a)", Flags::default()).unwrap();
        for bad in [r"\2", r"\g<7>", r"\q", r"\g", "\\"] {
            assert!(pattern.replace("a", bad, 0).is_err(), "{bad}");
        }
    }
}
