//! A host line's words, as Python's `shlex.split(line, comments=True)` cuts them.

/// The words, or what is wrong with the line.
pub(super) fn split(line: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_ascii_whitespace() => words.extend(word.take()),
            // shlex ends a word at a `#` inside it, too.
            '#' => break,
            '\\' => word.get_or_insert_default().push(chars.next().ok_or("a backslash at its end escapes nothing")?),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next().ok_or("a ' is not closed")? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next().ok_or("a \" is not closed")? {
                        '"' => break,
                        '\\' => match chars.next().ok_or("a \" is not closed")? {
                            c @ ('"' | '\\') => word.push(c),
                            c => word.extend(['\\', c]),
                        },
                        c => word.push(c),
                    }
                }
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::split;

    /// Every line was checked against Python 3.11's `shlex.split(line, comments=True)`.
    #[test]
    fn words() {
        let cases: &[(&str, &[&str])] = &[
            ("a b=c", &["a", "b=c"]),
            ("a b='x y' c=\"z \\\" \\n\" # no", &["a", "b=x y", "c=z \" \\n"]),
            ("h1#x a=1", &["h1"]),
            ("a '' b\\ c", &["a", "", "b c"]),
            ("a b=\"it's\"'!'", &["a", "b=it's!"]),
        ];
        for (line, want) in cases {
            assert_eq!(split(line).unwrap(), *want, "{line}");
        }
        assert!(split("a 'b").is_err() && split("a \"b\\").is_err() && split("a \\").is_err());
    }
}
