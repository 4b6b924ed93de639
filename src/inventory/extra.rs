//! `-e`: variables from the command line (ansible: utils/vars.py, `load_extra_vars`).

use super::{Raw, RawVars, vars_files};
use crate::{
    text::{Problem, Problems, SourceFile},
    vault::Vault,
    yaml,
};
use minijinja::Value;
use std::path::Path;

/// The variables of all `-e` options, later ones over earlier ones: `@FILE` (YAML or JSON), `{…}` as YAML, or words
/// `name=value` whose values are text.
pub fn extra_vars(given: &[String]) -> Result<RawVars, Problems> {
    extra_vars_with(given, &Vault::new())
}

/// As [`extra_vars`], with passwords for what is encrypted.
pub fn extra_vars_with(given: &[String], vault: &Vault) -> Result<RawVars, Problems> {
    let mut vars = RawVars::new();
    let mut problems = Problems::default();
    for text in given {
        if let Some(file) = text.strip_prefix('@') {
            match vars_file(Path::new(file), vault) {
                Ok(more) => vars.extend(more),
                Err(found) => problems.extend(found),
            }
        } else if text.starts_with(['/', '.']) {
            problems.push(Problem::new(format!("-e {text} is not name=value")).hint(format!("a file has an @ before it: -e @{text}")));
        } else if text.starts_with(['{', '[']) {
            let file = SourceFile::new("-e", text.as_str());
            match yaml::parse(&file) {
                Ok(documents) => documents.iter().for_each(|root| vars_files::entries(root, vault, false, &mut vars, &mut problems)),
                Err(found) => problems.extend(found),
            }
        } else {
            words(text, &mut vars, &mut problems);
        }
    }
    problems.into_result(vars)
}

/// The variables of a file: YAML or JSON, perhaps encrypted as a whole or value by value (`vars_files`, `include_vars`).
pub fn vars_file(path: &Path, vault: &Vault) -> Result<RawVars, Problems> {
    let mut vars = RawVars::new();
    let (mut problems, mut warnings) = (Problems::default(), Problems::default());
    vars_files::read(path, vault, &mut vars, &mut problems, &mut warnings);
    problems.into_result(vars)
}

fn words(text: &str, vars: &mut RawVars, problems: &mut Problems) {
    for word in split(text) {
        match word.split_once('=').filter(|(name, _)| !name.trim().is_empty()) {
            Some((name, value)) => {
                let value = unescape(unquote(value.trim()));
                vars.insert(name.trim().to_owned(), Raw { value: Value::from(value), span: None });
            }
            None => problems.push(
                Problem::new(format!("-e {word} is not name=value")).hint("a value with spaces needs quotes of its own: -e 'name=\"a b\"'"),
            ),
        }
    }
}

/// Words between spaces that are neither in quotes nor inside `{{ … }}`; quotes stay.
fn split(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let (mut quote, mut braces) = (None, 0_usize);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '{') if chars.peek() == Some(&'{') => braces += 1,
            (None, '}') if chars.peek() == Some(&'}') => braces = braces.saturating_sub(1),
            (None, c) if c.is_whitespace() && braces == 0 => {
                words.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(word) = words.last_mut() {
            word.push(c);
        }
        // The character behind a backslash never closes a quote.
        if c == '\\'
            && let (Some(next), Some(word)) = (chars.next(), words.last_mut())
        {
            word.push(next);
        }
    }
    words.retain(|w| !w.is_empty());
    words
}

fn unquote(text: &str) -> &str {
    let mut chars = text.chars();
    match (chars.next(), chars.next_back()) {
        (Some(first @ ('"' | '\'')), Some(last)) if first == last => &text[1..text.len() - 1],
        _ => text,
    }
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some(c @ ('\\' | '"' | '\'')) => out.push(c),
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::extra_vars;

    fn json(given: &[&str]) -> String {
        let given: Vec<_> = given.iter().map(|s| (*s).to_owned()).collect();
        let vars = extra_vars(&given).unwrap();
        let words: Vec<_> = vars.iter().map(|(k, v)| format!("{k}={}", serde_json::to_string(&v.value).unwrap())).collect();
        words.join(" ")
    }

    #[test]
    fn words_yaml_and_files() {
        assert_eq!(json(&["a=1 b='x y' c=\"it's\" d={{ e f }} g=", "a=2"]), r#"a="2" b="x y" c="it's" d="{{ e f }}" g="""#);
        assert_eq!(json(&[r"n=a\nb q=k=v"]), r#"n="a\nb" q="k=v""#);
        assert_eq!(json(&["{a: 1, b: [yes]}"]), "a=1 b=[true]");
        let file = tempfile::NamedTempFile::with_suffix(".yml").unwrap();
        std::fs::write(file.path(), "mode: 0644\n").unwrap();
        assert_eq!(json(&[&format!("@{}", file.path().display())]), "mode=420");
        let bad = ["./vars.yml", "{a: [", "lonely", "@/none.yml", "[1]"].map(str::to_owned);
        let problems = extra_vars(&bad).unwrap_err();
        assert_eq!(problems.0.len(), 5, "{problems}");
    }
}
