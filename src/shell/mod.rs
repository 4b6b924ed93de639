//! Text for a POSIX shell. Raw text cannot reach a shell unquoted: a piece of program is [`Sh`], and the only ways
//! to make one are a literal of ours (`&'static str`), a quoted word, and joining pieces.

use std::fmt;

/// A piece of POSIX sh that is safe to run: our own literals, and user text only as quoted words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sh(String);

impl Sh {
    /// Our own program text.
    pub fn literal(text: &'static str) -> Self {
        Self(text.to_owned())
    }

    /// Any text as one shell word.
    pub fn word(text: &str) -> Self {
        Self(quote(text))
    }

    /// Our own template text with `{}` holes, each filled by the next of `words` as a quoted word.
    /// The number of holes and words must agree: it is a bug of ours otherwise.
    ///
    /// # Panics
    /// When the numbers differ.
    pub fn fill(template: &'static str, words: &[&str]) -> Self {
        let pieces: Vec<&str> = template.split("{}").collect();
        assert_eq!(pieces.len(), words.len() + 1, "holes and words of {template:?}");
        let mut out = String::from(pieces[0]);
        for (word, piece) in words.iter().zip(&pieces[1..]) {
            out.push_str(&quote(word));
            out.push_str(piece);
        }
        Self(out)
    }

    /// Appends another piece as it is.
    #[must_use]
    pub fn then(mut self, other: &Self) -> Self {
        self.0.push_str(&other.0);
        self
    }

    /// Joins pieces by one of our literals (` `, `\n`, ` && `).
    pub fn join(pieces: &[Self], separator: &'static str) -> Self {
        Self(pieces.iter().map(Self::as_str).collect::<Vec<_>>().join(separator))
    }

    /// The program text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Sh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One shell word that stands for exactly `text`. NUL bytes, which no shell word can hold, are dropped.
pub fn quote(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-./:=@%+,".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 2);
    out.push('\'');
    for c in text.chars() {
        match c {
            '\'' => out.push_str("'\\''"),
            '\0' => {}
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

#[cfg(test)]
mod tests {
    use super::{Sh, quote};
    use proptest::prelude::*;
    use std::process::Command;

    #[test]
    fn fill_quotes_every_word() {
        let sh = Sh::fill("rm -f -- {} {}", &["a b", "it's"]);
        assert_eq!(sh.as_str(), "rm -f -- 'a b' 'it'\\''s'");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_real_shell_reads_the_word_back(text in "[^\0]{0,40}") {
            let out = Command::new("sh").arg("-c").arg(format!("printf %s {}", quote(&text))).output().unwrap();
            prop_assert_eq!(String::from_utf8(out.stdout).unwrap(), text);
        }
    }
}
