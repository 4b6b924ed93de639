//! Text from hosts, made harmless for a terminal.

use std::fmt::Write;

/// Keeps line breaks and tabs; every other control character, direction override and invisible format character
/// becomes a visible escape (`\x1b`, `\u{202e}`).
pub fn clean(text: &str) -> String {
    escape(text, |c| c == '\n' || c == '\t')
}

/// As [`clean`], for one line: line breaks become `\n`, too.
pub fn clean_line(text: &str) -> String {
    escape(text, |_| false)
}

fn escape(text: &str, keep: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if keep(c) => out.push(c),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c if deceives(c) => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// Direction overrides and isolates, zero-width characters, line and paragraph separators, tags, the byte order mark:
/// they show something else than what is there (Unicode TR 36).
fn deceives(c: char) -> bool {
    matches!(u32::from(c), 0x00ad | 0x061c | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff | 0xe0000..=0xe007f)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_are_visible_and_text_stays() {
        assert_eq!(clean("a\x1b[31mb\r\n\tü\u{202e}x\u{9b}"), "a\\x1b[31mb\\r\n\tü\\u{202e}x\\x9b");
        assert_eq!(clean_line("a\nb"), "a\\nb");
    }

    proptest! {
        #[test]
        fn nothing_that_moves_a_cursor_is_left(text in any::<String>()) {
            prop_assert!(clean_line(&text).chars().all(|c| !c.is_control() && !deceives(c)));
        }
    }
}
