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

/// A Python pattern as grep -E knows it, to look for it on the host, line by line.
///
/// # Errors
/// What there is no way to say there: look-around, back-references, flags.
pub(super) fn to_ere(pattern: &str) -> Result<String, ArgError> {
    let no = |what: &str| ArgError(format!("'{pattern}': {what} cannot be looked for on the host"));
    let mut out = String::new();
    let mut chars = pattern.chars().peekable();
    let mut class = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                let escaped = chars.next().ok_or_else(|| no("a backslash at the end"))?;
                let plain = match escaped {
                    'd' => "0-9",
                    's' => "[:space:]",
                    'w' => "[:alnum:]_",
                    'n' => return Err(no("a line end")),
                    't' => "\t",
                    'D' if !class => "^0-9",
                    'S' if !class => "^[:space:]",
                    'W' if !class => "^[:alnum:]_",
                    'b' | 'B' if !class => {
                        out.extend(['\\', escaped]);
                        continue;
                    }
                    'A' if !class => {
                        out.push('^');
                        continue;
                    }
                    'Z' if !class => {
                        out.push('$');
                        continue;
                    }
                    c if c.is_ascii_alphanumeric() => return Err(no(&format!("\\{c}"))),
                    // In a class of POSIX a backslash is itself.
                    c if class => {
                        out.push(c);
                        continue;
                    }
                    c => {
                        out.extend(['\\', c]);
                        continue;
                    }
                };
                out.push_str(&if class || plain == "\t" { plain.to_owned() } else { format!("[{plain}]") });
            }
            '[' if !class => {
                class = true;
                out.push('[');
                for first in ['^', ']'] {
                    if chars.next_if_eq(&first).is_some() {
                        out.push(first);
                    }
                }
            }
            ']' if class => {
                class = false;
                out.push(']');
            }
            '(' if !class && chars.peek() == Some(&'?') => {
                chars.next();
                match chars.next() {
                    Some(':') => out.push('('),
                    Some('P') if chars.next_if_eq(&'<').is_some() => {
                        chars.by_ref().take_while(|c| *c != '>').for_each(drop);
                        out.push('(');
                    }
                    _ => return Err(no("look-around, flags or a back-reference")),
                }
            }
            // Greedy or not: whether something is found is the same.
            '*' | '+' | '?' | '}' if !class => {
                out.push(c);
                chars.next_if_eq(&'?');
            }
            c => out.push(c),
        }
    }
    Ok(out)
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

    #[test]
    fn patterns_for_grep() {
        for (python, ere) in [
            (r"^\s*key\s*=\s*(\d+)", "^[[:space:]]*key[[:space:]]*=[[:space:]]*([0-9]+)"),
            (r"(?:a|b)+?\.x", r"(a|b)+\.x"),
            (r"[^\w\]]{2,}?$", "[^[:alnum:]_]]{2,}$"),
            (r"(?P<n>x)\bword", r"(x)\bword"),
        ] {
            assert_eq!(to_ere(python).unwrap(), ere);
        }
        for bad in [r"(?=x)", r"(a)\1", r"(?i)a", r"a\nb"] {
            assert!(to_ere(bad).is_err(), "{bad}");
        }
    }
}
