//! Backslashes in the strings of `{{ … }}` stand for themselves in playbooks, so that `'\1'` is a group and `'\d'` a digit.
//!
//! ansible-core doubles them before Jinja reads them, in `{{ }}` only: not in `{% %}`, in conditions, or in template
//! files (ansible-core: `_internal/_templating/_jinja_bits.py`, class `AnsibleLexer`).

use std::borrow::Cow;

/// The text with those backslashes doubled.
pub(super) fn literal(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') || !text.contains("{{") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        rest = from;
        let end = match rest.as_bytes().get(1) {
            Some(b'{') => {
                out.push_str("{{");
                rest = variable(&rest[2..], &mut out);
                continue;
            }
            Some(b'#') => rest.find("#}").map_or(rest.len(), |end| end + 2),
            Some(b'%') if rest[2..].trim_start_matches(['-', '+']).trim_start().starts_with("raw") => {
                rest.find("endraw").unwrap_or(rest.len())
            }
            Some(b'%') => block(rest),
            _ => 1,
        };
        out.push_str(&rest[..end]);
        rest = &rest[end..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The length of a `{% … %}`.
fn block(text: &str) -> usize {
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (Some(_), '\\') => {
                chars.next();
            }
            (Some(q), c) if q == c => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '%') if text[at..].starts_with("%}") => return at + 2,
            _ => {}
        }
    }
    text.len()
}

/// Copies the inside of `{{ … }}` with its closing braces; gives what follows.
fn variable<'t>(text: &'t str, out: &mut String) -> &'t str {
    let mut quote = None;
    let mut depth = 0_usize;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (Some(q), '\\') => {
                out.push_str("\\\\");
                match chars.next() {
                    Some((_, '\\')) => out.push_str("\\\\"),
                    Some((_, c)) if c == q => {
                        out.push('\\');
                        out.push(c);
                    }
                    Some((_, c)) => out.push(c),
                    None => {}
                }
                continue;
            }
            (Some(q), c) if q == c => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '{' | '[' | '(') => depth += 1,
            (None, '}') if depth == 0 && text[at..].starts_with("}}") => {
                out.push_str("}}");
                return &text[at + 2..];
            }
            (None, '}' | ']' | ')') => depth = depth.saturating_sub(1),
            _ => {}
        }
        out.push(c);
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::literal;

    #[test]
    fn only_strings_between_braces_change() {
        let cases = [
            (r"\1 {{ 'a\1' }} \2", r"\1 {{ 'a\\1' }} \2"),
            (r"{% if x == 'a\1' %}{{ '\d' }}{% endif %}", r"{% if x == 'a\1' %}{{ '\\d' }}{% endif %}"),
            (r"{% raw %}{{ '\1' }}{% endraw %}", r"{% raw %}{{ '\1' }}{% endraw %}"),
            (r#"{{ {'a': {'b': "\n"}} }}\n"#, r#"{{ {'a': {'b': "\\n"}} }}\n"#),
            (r"{{ 'it\'s' }}", r"{{ 'it\\\'s' }}"),
            (r"{# \ #}{{ '\\' }}", r"{# \ #}{{ '\\\\' }}"),
        ];
        for (text, expected) in cases {
            assert_eq!(literal(text), expected);
        }
    }
}
