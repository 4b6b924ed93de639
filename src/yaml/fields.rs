//! A mapping read key by key, with every problem gathered.

use super::{FromNode, Node};
use crate::text::{Problem, Problems, Span, nearest};
use std::collections::HashSet;

/// Takes a mapping apart: ask for each key that is known, then [`Fields::finish`] complains about the rest.
pub struct Fields<'n, 'p> {
    what: String,
    node: &'n Node,
    entries: &'n [(Node, Node)],
    asked: Vec<String>,
    taken: HashSet<usize>,
    problems: &'p mut Problems,
}

impl<'n, 'p> Fields<'n, 'p> {
    /// Begins with a node that should be a mapping; `what` names it in messages: `a pool`. Null is an empty mapping;
    /// anything else is a problem, and then reads as empty.
    pub fn new(node: &'n Node, what: impl Into<String>, problems: &'p mut Problems) -> Self {
        let what = what.into();
        let entries = node.entries().unwrap_or_default();
        if node.entries().is_none() && !node.is_null() {
            problems.push(Problem::at(&node.span, format!("{what} is a mapping, this is {}", node.kind())));
        }
        Self { what, node, entries, asked: Vec::new(), taken: HashSet::new(), problems }
    }

    /// The node under a key, as it is; the key counts as known.
    pub fn take(&mut self, key: &str) -> Option<&'n Node> {
        self.asked.push(key.to_owned());
        let at = self.entries.iter().position(|(k, _)| k.as_str() == Some(key))?;
        self.taken.insert(at);
        self.entries.get(at).map(|(_, value)| value)
    }

    /// A value that may be missing. Null counts as missing.
    pub fn optional<T: FromNode>(&mut self, key: &str) -> Option<T> {
        let node = self.take(key).filter(|n| !n.is_null())?;
        T::from_node(node, self.problems)
    }

    /// A value, or a default where it is missing (or wrong: then the problem is noted).
    pub fn or<T: FromNode>(&mut self, key: &str, default: T) -> T {
        self.optional(key).unwrap_or(default)
    }

    /// A value that must be there; `None` says that a problem was noted.
    pub fn required<T: FromNode>(&mut self, key: &str) -> Option<T> {
        if let Some(node) = self.take(key) {
            T::from_node(node, self.problems)
        } else {
            if self.node.entries().is_some() || self.node.is_null() {
                self.problems.push(Problem::at(&self.first_line(), format!("{} has no `{key}`", self.what)));
            }
            None
        }
    }

    /// Where a key's value stands, or the mapping itself where it is missing.
    pub fn span(&self, key: &str) -> Span {
        self.node.get(key).map_or_else(|| self.first_line(), |n| n.span.clone())
    }

    /// The place of the mapping's first entry: an excerpt of a whole mapping helps nobody.
    pub fn first_line(&self) -> Span {
        self.entries.first().map_or_else(|| self.node.span.clone(), |(k, _)| k.span.clone())
    }

    /// Where to put problems of one's own.
    pub fn problems(&mut self) -> &mut Problems {
        self.problems
    }

    /// Entries that nobody asked for yet; they count as known from here on.
    pub fn rest(&mut self) -> Vec<(&'n Node, &'n Node)> {
        let rest: Vec<_> = self.entries.iter().enumerate().filter(|(i, _)| !self.taken.contains(i)).map(|(i, (k, v))| (i, k, v)).collect();
        self.taken.extend(rest.iter().map(|(i, ..)| *i));
        rest.into_iter().map(|(_, k, v)| (k, v)).collect()
    }

    /// Names every key that nobody asked for.
    pub fn finish(mut self) {
        for (key, _) in self.rest() {
            let text = key.as_text().unwrap_or_default();
            let problem = Problem::at(&key.span, format!("{} has no key `{text}`", self.what));
            let problem = match nearest(&text, self.asked.iter().map(String::as_str)) {
                Some(known) => problem.hint(format!("did you mean `{known}`?")),
                None => problem.hint(format!("known are {}", self.asked.join(", "))),
            };
            self.problems.push(problem);
        }
    }
}
