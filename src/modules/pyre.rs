//! Python's regular expressions, as `lineinfile` and `replace` take them: fancy-regex, and Python's replacement text.

use super::ArgError;
use fancy_regex::{Captures, Regex};

/// Compiles a Python pattern. Line ends behave as in `re.search` on one line without its newline.
pub(super) fn compile(pattern: &str, multiline: bool) -> Result<Regex, ArgError> {
    let mut text = pattern.replace("\\Z", "\\z");
    if multiline {
        text.insert_str(0, "(?m)");
    }
    Regex::new(&text).map_err(|e| ArgError(format!("bad regular expression '{pattern}': {e}")))
}

/// Python's template (`\1`, `\g<1>`, `\g<name>`, `\n`) filled with a match.
pub(super) fn expand(template: &str, found: &Captures<'_, str>) -> String {
    let group = |key: &str| match key.parse::<usize>() {
        Ok(i) => found.get(i).map_or("", |m| m.as_str()),
        Err(_) => found.name(key).map_or("", |m| m.as_str()),
    };
    let mut out = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        rest = match after.chars().next() {
            Some('g') if after.starts_with("g<") && after.contains('>') => {
                let end = after.find('>').unwrap_or(after.len());
                out.push_str(group(&after[2..end]));
                &after[end + 1..]
            }
            Some(c) if c.is_ascii_digit() => {
                let len = after.bytes().take(2).take_while(u8::is_ascii_digit).count();
                out.push_str(group(&after[..len]));
                &after[len..]
            }
            Some(c) => {
                let escaped = match c {
                    'n' => Some('\n'),
                    't' => Some('\t'),
                    'r' => Some('\r'),
                    '\\' => Some('\\'),
                    _ => None,
                };
                match escaped {
                    Some(e) => out.push(e),
                    None => out.extend(['\\', c]),
                }
                &after[c.len_utf8()..]
            }
            None => {
                out.push('\\');
                after
            }
        };
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_pythons() {
        let re = compile(r"^(?P<key>\w+)=(\d+)(?=;)", false).unwrap();
        let found = re.captures("abc=12;x").unwrap().unwrap();
        assert_eq!(expand(r"\g<key>: \2\n\g<0>\\ \.", &found), "abc: 12\nabc=12\\ \\.");
        assert!(compile("(", false).is_err());
    }
}
