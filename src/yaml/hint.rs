//! What to do about a syntax error, found by looking at the line as a person would.

const QUOTE: &str = "a value that starts with `{{` needs quotes: key: \"{{ x }}\"";

/// For an error at byte `at`.
pub(super) fn for_syntax(text: &str, at: usize) -> Option<String> {
    let start = text[..at].rfind('\n').map_or(0, |i| i + 1);
    let line = text[start..].lines().next().unwrap_or_default();
    // The parser often notices on the line after.
    let before = text[..start].lines().next_back().unwrap_or_default();
    for line in [line, before] {
        if unquoted_template(line) {
            return Some(QUOTE.to_owned());
        }
    }
    let indent = &line[..line.len() - line.trim_start().len()];
    if indent.contains('\t') {
        return Some("indent with spaces: YAML allows no tabs there".to_owned());
    }
    let value = line.split_once(": ").map_or_else(|| line.trim_start_matches([' ', '-']), |(_, v)| v).trim();
    if value.starts_with(['@', '`', '%']) {
        return Some(format!("a value that starts with `{}` needs quotes", value.chars().next().unwrap_or('@')));
    }
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
    if let Some(quote) = quote {
        let closed = value[1..].find(quote).map(|i| &value[i + 2..]);
        return Some(match closed {
            Some(rest) if !rest.trim().is_empty() => {
                format!("text follows the closing {quote}; put the whole value in quotes of the other kind")
            }
            _ => format!("is the closing {quote} missing?"),
        });
    }
    if value.contains(": ") || value.ends_with(':') && line.contains(": ") {
        return Some("a value with `: ` in it needs quotes".to_owned());
    }
    None
}

/// For a mapping or list that stands where a key is wanted: `{{ x }}` is a mapping with a mapping as key.
pub(super) fn for_key(text: &str, at: usize) -> Option<String> {
    let unquoted = text.get(..at)?.trim_end().ends_with('{') && text.get(at..)?.starts_with('{');
    unquoted.then(|| QUOTE.to_owned())
}

/// `key: {{ x }}/bin` or `- {{ x }}`.
fn unquoted_template(line: &str) -> bool {
    let value = line.split_once(": ").map_or(line, |(_, v)| v).trim_start();
    value.trim_start_matches("- ").trim_start().starts_with("{{")
}
