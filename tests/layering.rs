//! The import order of `src/lib.rs` and docs/architecture.md, kept true: a module uses only what stands before it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Left to right; modules of one row are peers that may not use each other.
const ORDER: &[&[&str]] = &[
    &["text", "yaml", "shell"],
    &["event", "vault"],
    &["spec"],
    &["inventory"],
    &["infra", "connection"],
    &["template"],
    &["session", "kube"],
    &["modules"],
    &["playbook"],
    &["engine", "cluster"],
    &["verify"],
    &["report"],
    &["ops"],
    &["cli"],
];

/// Exceptions, each with its reason.
const ALLOWED: &[(&str, &str, &str)] =
    &[("yaml", "text", "spans and problems are text's; text knows nothing of YAML"), ("spec", "yaml", "cluster.yaml is YAML")];

fn rust_files(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a directory of ours can be read") {
        let path = entry.expect("an entry of ours can be read").path();
        if path.is_dir() {
            rust_files(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

fn files() -> Vec<(PathBuf, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    rust_files(&src, &mut paths);
    let read = |p: &PathBuf| fs::read_to_string(p).expect("a source file can be read");
    paths.iter().map(|p| (p.strip_prefix(&src).expect("it is below src").to_owned(), read(p))).collect()
}

/// Modules named by `crate::NAME` in a text, also in `use crate::{a, b::c}`.
fn used(text: &str) -> Vec<String> {
    let word = |s: &str| s.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut out = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        // `$crate::` of a macro and `other_crate::` are none of ours.
        if text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = &text[at + "crate::".len()..];
        let Some(group) = rest.strip_prefix('{') else {
            out.push(word(rest));
            continue;
        };
        // The first word of each item at the top of the group.
        let (mut depth, mut at_start) = (0, true);
        for (i, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => at_start = true,
                c if depth == 0 && at_start && !c.is_whitespace() => {
                    out.push(word(&group[i..]));
                    at_start = false;
                }
                _ => {}
            }
        }
    }
    out.retain(|w| !w.is_empty());
    out
}

#[test]
fn each_module_uses_only_what_stands_before_it() {
    let rank: BTreeMap<&str, usize> = ORDER.iter().enumerate().flat_map(|(i, row)| row.iter().map(move |m| (*m, i))).collect();
    let mut wrong = Vec::new();
    for (path, text) in files() {
        let first = path.components().next().expect("a path has a first component").as_os_str().to_string_lossy().into_owned();
        let module = first.trim_end_matches(".rs").to_owned();
        let Some(own) = rank.get(module.as_str()) else { continue };
        for other in used(&text) {
            let Some(theirs) = rank.get(other.as_str()) else { continue };
            let allowed = ALLOWED.iter().any(|(a, b, _)| *a == module && *b == other);
            if other != module && theirs >= own && !allowed {
                wrong.push(format!("src/{} uses {other}, which stands right of {module} or beside it", path.display()));
            }
        }
    }
    wrong.dedup();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_module_has_its_place_in_the_order() {
    let known: Vec<&str> = ORDER.iter().flat_map(|row| row.iter().copied()).collect();
    for (path, _) in files() {
        let first = path.components().next().expect("a path has a first component").as_os_str().to_string_lossy().into_owned();
        if !["lib.rs", "main.rs"].contains(&first.as_str()) {
            assert!(known.contains(&first.trim_end_matches(".rs")), "{first} is in no row of the import order");
        }
    }
}

/// A file is one thing: above 400 lines it deserves a look, above 700 it is two things.
#[test]
fn files_stay_small() {
    let large: Vec<String> = files()
        .into_iter()
        .filter(|(_, text)| text.lines().count() > 700)
        .map(|(path, text)| format!("{}: {} lines", path.display(), text.lines().count()))
        .collect();
    assert!(large.is_empty(), "larger than 700 lines: {large:?}");
}

/// Only `report` and `cli` write to the terminal.
#[test]
fn nobody_else_prints() {
    for (path, text) in files() {
        let first = path.components().next().expect("a path has a first component").as_os_str().to_string_lossy().into_owned();
        if !["report", "cli", "main.rs"].contains(&first.as_str()) {
            for word in ["println!", "eprintln!", "print!(", "dbg!("] {
                assert!(!text.contains(word), "src/{} has {word}", path.display());
            }
        }
    }
}

#[test]
fn the_scanner_sees_groups_and_plain_paths() {
    assert_eq!(used("use crate::{event::Events, spec::{A, B}, text};\ncrate::yaml::parse()"), ["event", "spec", "text", "yaml"]);
}
