//! `key=value` arguments and free-form text, split as ansible-core's `parsing/splitter.py` does: quotes and Jinja
//! braces hold a word together.

/// Words that are pulled out of the free-form text of command, shell, raw and script (splitter.py, `parse_kv`).
const RAW_PARAMETERS: [&str; 9] =
    ["creates", "removes", "chdir", "executable", "warn", "stdin", "stdin_add_newline", "strip_empty_ends", "expand_argument_vars"];

/// `key=value` pairs, and the text that is none.
type Split = (Vec<(String, String)>, Option<String>);

/// Byte ranges of the words of a text; an error names what is not closed. Words are cut at blanks and line ends; an open
/// quote or Jinja block holds those that follow together, and both are counted word by word, as `split_args` does.
fn words(text: &str) -> Result<Vec<(usize, usize)>, String> {
    let mut out: Vec<(usize, usize)> = Vec::new();
    let (mut quote, mut depth) = (None::<char>, [0_usize; 3]);
    let mut at = 0;
    for word in text.split([' ', '\n', '\t', '\r']) {
        let range = (at, at + word.len());
        at = range.1 + 1;
        let held = quote.is_some() || depth.iter().any(|d| *d > 0);
        quote = quote_after(word, quote);
        for (depth, (open, close)) in depth.iter_mut().zip([("{{", "}}"), ("{%", "%}"), ("{#", "#}")]) {
            *depth = (*depth + word.matches(open).count()).saturating_sub(word.matches(close).count());
        }
        match out.last_mut() {
            Some(last) if held => last.1 = range.1,
            _ if word.is_empty() => {}
            _ => out.push(range),
        }
    }
    match (quote, depth) {
        (Some(_), _) => Err("a quote is not closed".to_owned()),
        (_, [0, 0, 0]) => Ok(out),
        _ => Err("a Jinja brace is not closed".to_owned()),
    }
}

/// The text without backslashes that stand alone outside of quotes, and without the line ends that they continue.
fn continued(text: &str) -> String {
    let mut out = String::new();
    let mut quote = None;
    for line in text.split_inclusive('\n') {
        let (body, end) = line.strip_suffix('\n').map_or((line, ""), |b| (b, "\n"));
        let (mut continues, mut first) = (false, true);
        for word in body.split(' ') {
            if word == "\\" && quote.is_none() {
                continues = true;
                first = false;
                continue;
            }
            quote = quote_after(word, quote);
            if !first {
                out.push(' ');
            }
            out.push_str(word);
            first = false;
        }
        if !continues {
            out.push_str(end);
        }
    }
    out
}

/// `\n`, `\t`, `\x41`, `\u00e9` and their kin, as in the arguments of `key=value` (splitter.py, `_decode_escapes`).
fn unescaped(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.contains('\\') {
        return text.into();
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let number = |digits: usize| rest.get(1..=digits).and_then(|d| u32::from_str_radix(d, 16).ok()).and_then(char::from_u32);
        let (c, length) = match rest.chars().next() {
            Some('n') => (Some('\n'), 1),
            Some('t') => (Some('\t'), 1),
            Some('r') => (Some('\r'), 1),
            Some('a') => (Some('\u{7}'), 1),
            Some('b') => (Some('\u{8}'), 1),
            Some('f') => (Some('\u{c}'), 1),
            Some('v') => (Some('\u{b}'), 1),
            Some(c @ ('\\' | '\'' | '"')) => (Some(c), 1),
            Some('x') => (number(2), 3),
            Some('u') => (number(4), 5),
            Some('U') => (number(8), 9),
            _ => (None, 0),
        };
        match c {
            Some(c) => {
                out.push(c);
                rest = &rest[length..];
            }
            None => out.push('\\'),
        }
    }
    out.push_str(rest);
    out.into()
}

/// The quote that is open after a word.
fn quote_after(word: &str, mut quote: Option<char>) -> Option<char> {
    let mut before = None;
    for c in word.chars() {
        if matches!(c, '"' | '\'') && before != Some('\\') {
            quote = match quote {
                Some(open) if open == c => None,
                Some(open) => Some(open),
                None => Some(c),
            };
        }
        before = Some(c);
    }
    quote
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
    let text = &continued(text);
    for (begin, end) in words(text)? {
        let Some(word) = text.get(begin..end) else { continue };
        let decoded = unescaped(word);
        if let Some((key, value)) = pair(&decoded).filter(|(k, _)| takes(k)) {
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
    fn escapes_and_continued_lines() {
        assert_eq!(show(key_values(r#"content="a\nb\x41\q" x='c:\\d'"#).unwrap()), "content→a\nbA\\q, x→c:\\d | ");
        assert_eq!(show(free_form("echo one \\\n  two 'a \\ b'").unwrap()), " | echo one  two 'a \\ b'");
        assert_eq!(show(free_form("echo one \\ two").unwrap()), " | echo one two");
        assert_eq!(show(free_form("echo '{{ '{{' }} kept }}'").unwrap()), " | echo '{{ '{{' }} kept }}'");
    }

    #[test]
    fn only_known_words_leave_a_command() {
        assert_eq!(show(free_form("creates=/x echo a=b 'c  d'").unwrap()), "creates→/x | echo a=b 'c  d'");
        assert_eq!(show(free_form("cd /x\n  && ls chdir=/y").unwrap()), "chdir→/y | cd /x\n  && ls");
    }
}
