//! A [`Program`] as the text that the shell reads: one compound command, so that all of it is parsed before any of it runs.

use super::{Program, ProgramStep};
use crate::shell::quote;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

/// What all blobs and inputs of a program may add to its text; above that they take a channel of their own.
pub(super) const INLINE_CAP: usize = 64 << 10;

/// The program's text. `there` are the blobs that the host has already; the caller has seen to the large ones.
pub(super) fn compile(program: &Program, there: &BTreeSet<String>) -> String {
    let mut text = String::from("{\nkw_stop=\n");
    let mut secrets = String::new();
    for (name, blob) in blobs(program) {
        if !there.contains(name) {
            write_file(&mut text, name, &blob.content);
        }
        if blob.secret {
            let _ = write!(secrets, " \"$kw_d/{name}\"");
        }
    }
    for step in &program.steps {
        if let Some(stdin) = &step.stdin {
            let name = input_name(step);
            let _ = write!(secrets, " \"$kw_d/{name}\"");
            if !there.contains(&name) {
                write_file(&mut text, &name, stdin.expose());
            }
        }
        let (check, apply) = (quote(step.check.as_str()), step.apply.as_ref().map_or("''".to_owned(), |a| quote(a.as_str())));
        // Writing to a String cannot fail.
        let _ = writeln!(text, "kw {} '{}' {check} {apply}", step.id, flags(step));
    }
    let _ = write!(text, "kw_end{secrets}\n}}\n");
    text
}

/// The file that holds a step's standard input.
pub(super) fn input_name(step: &ProgramStep) -> String {
    format!("{}.i", step.id)
}

/// Whether a file of the session's directory is a step's standard input.
pub(super) fn is_input(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, kind)| kind == "i")
}

/// All blobs, each once, in a stable order.
pub(super) fn blobs(program: &Program) -> BTreeMap<&str, &super::Blob> {
    program.steps.iter().flat_map(|s| &s.blobs).map(|b| (b.sha256.as_str(), b)).collect()
}

/// `a` stands first: `prelude.sh` looks for it there.
fn flags(step: &ProgramStep) -> String {
    let mut flags = String::new();
    for (letter, on) in [('a', step.apply.is_some()), ('k', step.keep_going), ('i', step.stdin.is_some()), ('t', step.timeout.is_some())] {
        if on {
            flags.push(letter);
        }
    }
    flags
}

/// Any bytes by the shell's own `printf`: it is in every shell, forks nothing, and octal escapes hold any byte,
/// while base64(1) is missing on small systems and would be a process for each file.
fn write_file(text: &mut String, name: &str, content: &[u8]) {
    text.push_str("{ :\n");
    for chunk in content.chunks(8 << 10) {
        text.push_str("printf '");
        for (at, &byte) in chunk.iter().enumerate() {
            match byte {
                // What begins with a dash would be an option.
                b'-' if at == 0 => text.push_str("\\055"),
                b'\n' | b' ' | b'"'..=b'$' | b'&' | b'('..=b'[' | b']'..=b'~' => text.push(char::from(byte)),
                _ => {
                    let _ = write!(text, "\\{byte:03o}");
                }
            }
        }
        text.push_str("'\n");
    }
    let _ = writeln!(text, "}} >\"$kw_d/{name}\" || {{ printf 'fail cannot write %s\\n' \"$kw_d/{name}\"; kw_stop=1; }}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{session::Blob, shell::Sh, text::Secret};
    use bytes::Bytes;

    #[test]
    fn a_program_is_one_compound_command() {
        let step = ProgramStep {
            id: 4,
            check: Sh::literal("test -e '/x y' || exit 10"),
            apply: Some(Sh::literal("cp \"$KW_BLOBS/ab\" '/x y'")),
            keep_going: true,
            timeout: None,
            stdin: Some(Secret::new(Bytes::from_static(b"a%\0'\n"))),
            blobs: vec![Blob { sha256: "ab".into(), content: Bytes::from_static(b"\\x"), secret: true }],
        };
        let text = compile(&Program { steps: vec![step] }, &BTreeSet::new());
        insta::assert_snapshot!(text, @r#"
        {
        kw_stop=
        { :
        printf '\134x'
        } >"$kw_d/ab" || { printf 'fail cannot write %s\n' "$kw_d/ab"; kw_stop=1; }
        { :
        printf 'a\045\000\047
        '
        } >"$kw_d/4.i" || { printf 'fail cannot write %s\n' "$kw_d/4.i"; kw_stop=1; }
        kw 4 'aki' 'test -e '\''/x y'\'' || exit 10' 'cp "$KW_BLOBS/ab" '\''/x y'\'''
        kw_end "$kw_d/ab" "$kw_d/4.i"
        }
        "#);
    }
}
