//! Merge keys (`<<`) and repeated keys, in PyYAML's order: what is merged in stands first and is overridden in place.

use super::{Node, Style, Yaml};
use crate::text::{Problem, Problems};
use std::collections::{HashMap, HashSet};

/// Entries with `<<` resolved and repeats removed: the last value wins, at the first one's place, with a warning.
pub(super) fn flatten(entries: Vec<(Node, Node)>, problems: &mut Problems) -> Vec<(Node, Node)> {
    let mut merged: Vec<(Node, Node)> = Vec::new();
    let mut own = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        if key.style == Style::Plain && key.as_str() == Some("<<") {
            merge_in(value, &mut merged, problems);
        } else {
            own.push((key, value));
        }
    }
    let mut result = Ordered::default();
    for (key, value) in merged {
        result.put(key, value);
    }
    let mut seen = HashSet::new();
    for (key, value) in own {
        if !seen.insert(fingerprint(&key)) {
            let text = key.as_text().unwrap_or_default();
            problems.push(Problem::at(&key.span, format!("key `{text}` stands here twice; the last one wins")).warning());
        }
        result.put(key, value);
    }
    result.entries
}

fn merge_in(value: Node, merged: &mut Vec<(Node, Node)>, problems: &mut Problems) {
    match value.value {
        Yaml::Map(entries) => merged.extend(entries),
        // The first of a list takes precedence, so it is put in last.
        Yaml::Seq(items) => items.into_iter().rev().for_each(|item| match item.value {
            Yaml::Map(entries) => merged.extend(entries),
            _ => problems.push(refused(&item)),
        }),
        _ => problems.push(refused(&value)),
    }
}

fn refused(node: &Node) -> Problem {
    Problem::at(&node.span, format!("`<<` merges mappings, this is {}", node.kind()))
}

#[derive(Default)]
struct Ordered {
    entries: Vec<(Node, Node)>,
    index: HashMap<String, usize>,
}

impl Ordered {
    fn put(&mut self, key: Node, value: Node) {
        if let Some(at) = self.index.get(&fingerprint(&key)) {
            if let Some(entry) = self.entries.get_mut(*at) {
                *entry = (key, value);
            }
        } else {
            self.index.insert(fingerprint(&key), self.entries.len());
            self.entries.push((key, value));
        }
    }
}

/// Equal for keys that Python's dict takes for the same.
fn fingerprint(key: &Node) -> String {
    match &key.value {
        Yaml::String(s) => format!("s{s}"),
        other => format!("{other:?}"),
    }
}
