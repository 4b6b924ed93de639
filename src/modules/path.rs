//! Words in which `~` and `$VAR` are expanded on the host, and nothing else is.

use crate::shell::Sh;

/// Text → one shell word. `~/`, `$NAME` and `${NAME}` are expanded there (as Python's `expanduser` and `expandvars` do:
/// an unset variable stays as it is written); everything else is quoted.
pub(super) fn word(text: &str) -> Sh {
    let mut pieces = Vec::new();
    let mut rest = text;
    if text == "~" || text.starts_with("~/") {
        pieces.push(Sh::literal("\"$HOME\""));
        rest = &text[1..];
    }
    while let Some(at) = rest.find('$') {
        let after = &rest[at + 1..];
        let (name, len) = if let Some((name, _)) = after.strip_prefix('{').and_then(|b| b.split_once('}')) {
            (name, name.len() + 2)
        } else {
            let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
            (&after[..end], end)
        };
        if is_name(name) {
            if at > 0 {
                pieces.push(Sh::word(&rest[..at]));
            }
            pieces.push(Sh::fill("\"$(kw_env {})\"", &[name]));
            rest = &after[len..];
        } else {
            pieces.push(Sh::word(&rest[..=at]));
            rest = after;
        }
    }
    if !rest.is_empty() || pieces.is_empty() {
        pieces.push(Sh::word(rest));
    }
    Sh::join(&pieces, "")
}

/// Whether it can be the name of a shell variable.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.starts_with(|c: char| c.is_ascii_digit()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::word;

    #[test]
    fn only_home_and_variables_are_left_to_the_shell() {
        assert_eq!(word("~/a b").as_str(), "\"$HOME\"'/a b'");
        assert_eq!(word("/x/$A/${B}c").as_str(), "/x/\"$(kw_env A)\"/\"$(kw_env B)\"c");
        assert_eq!(word("cost $5; `id`").as_str(), "'cost $''5; `id`'");
        assert_eq!(word("").as_str(), "''");
    }
}
