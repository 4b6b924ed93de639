//! `key=value` arguments and free-form text, split as ansible-core's `parsing/splitter.py` does: quotes and Jinja
//! braces hold a word together.

/// Words that are pulled out of the free-form text of command, shell, raw and script (splitter.py, `parse_kv`).
const RAW_PARAMETERS: [&str; 9] =
    ["creates", "removes", "chdir", "executable", "warn", "stdin", "stdin_add_newline", "strip_empty_ends", "expand_argument_vars"];

/// `key=value` pairs, and the text that is none.
type Split = (Vec<(String, String)>, Option<String>);

/// Byte ranges of the words of a text; an error names what is not closed.
fn words(text: &str) -> Result<Vec<(usize, usize)>, String> {
    let bytes = text.as_bytes();
    let (mut out, mut begin, mut quote, mut depth, mut i) = (Vec::new(), None, None::<u8>, 0_u32, 0);
    while let Some(&c) = bytes.get(i) {
        let next = bytes.get(i + 1).copied();
        if let Some(q) = quote {
            if c == b'\\' && q == b'"' {
                i += 1;
            } else if c == q {
                quote = None;
            }
        } else if c == b'{' && matches!(next, Some(b'{' | b'%' | b'#')) {
            (depth, begin) = (depth + 1, begin.or(Some(i)));
            i += 1;
        } else if depth > 0 && matches!(c, b'}' | b'%' | b'#') && next == Some(b'}') {
            depth -= 1;
            i += 1;
        } else if depth == 0 && c.is_ascii_whitespace() {
            if let Some(begin) = begin.take() {
                out.push((begin, i));
            }
        } else {
            begin = begin.or(Some(i));
            if depth == 0 && matches!(c, b'"' | b'\'') {
                quote = Some(c);
            } else if depth == 0 && c == b'\\' {
                i += 1;
            }
        }
        i += 1;
    }
    if let Some(begin) = begin {
        out.push((begin, text.len()));
    }
    match (quote, depth) {
        (Some(_), _) => Err("a quote is not closed".to_owned()),
        (_, 1..) => Err("a Jinja brace is not closed".to_owned()),
        _ => Ok(out),
    }
}

/// `'a b'` → `a b`.
fn unquote(text: &str) -> &str {
    for q in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(q).and_then(|t| t.strip_suffix(q)) {
            return inner;
        }
    }
    text
}

fn pair(word: &str) -> Option<(&str, &str)> {
    let (key, value) = word.split_once('=')?;
    let plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    plain.then_some((key, value))
}

/// Pairs and what is left, of arguments that are `key=value` words.
pub(super) fn key_values(text: &str) -> Result<Split, String> {
    split(text.trim(), |_| true)
}

/// Pairs and the command, of free-form text.
pub(super) fn free_form(text: &str) -> Result<Split, String> {
    // An unclosed quote may be what the shell is meant to see (a here-document); ansible-core refuses it, and so do we.
    split(text, |key| RAW_PARAMETERS.contains(&key))
}

fn split(text: &str, takes: impl Fn(&str) -> bool) -> Result<Split, String> {
    let (mut pairs, mut rest, mut from) = (Vec::new(), String::new(), 0);
    for (begin, end) in words(text)? {
        let Some(word) = text.get(begin..end) else { continue };
        if let Some((key, value)) = pair(word).filter(|(k, _)| takes(k)) {
            pairs.push((key.to_owned(), unquote(value).to_owned()));
            rest.push_str(text.get(from..begin).unwrap_or_default());
            from = end;
            while text.as_bytes().get(from).is_some_and(|b| *b == b' ') {
                from += 1;
            }
        }
    }
    rest.push_str(text.get(from..).unwrap_or_default());
    // The line end of a block scalar stays: `cmd` of the result shows it.
    let rest = rest.trim_start().trim_end_matches([' ', '\t']).to_owned();
    Ok((pairs, (!rest.trim().is_empty()).then_some(rest)))
}

#[cfg(test)]
mod tests {
    use super::{free_form, key_values};

    fn show(result: (Vec<(String, String)>, Option<String>)) -> String {
        let pairs: Vec<String> = result.0.into_iter().map(|(k, v)| format!("{k}→{v}")).collect();
        format!("{} | {}", pairs.join(", "), result.1.unwrap_or_default())
    }

    #[test]
    fn quotes_and_braces_hold_words_together() {
        assert_eq!(
            show(key_values("path=/x mode='0 6' owner={{ a | default('b c') }}").unwrap()),
            "path→/x, mode→0 6, owner→{{ a | default('b c') }} | "
        );
        assert_eq!(show(key_values("main.yml a=1").unwrap()), "a→1 | main.yml");
        assert!(key_values("msg='open").is_err());
    }

    #[test]
    fn only_known_words_leave_a_command() {
        assert_eq!(show(free_form("creates=/x echo a=b 'c  d'").unwrap()), "creates→/x | echo a=b 'c  d'");
        assert_eq!(show(free_form("cd /x\n  && ls chdir=/y").unwrap()), "chdir→/y | cd /x\n  && ls");
    }
}
