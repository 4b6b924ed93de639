//! Where a value of the merged specification was written.

use crate::{
    text::Span,
    yaml::{Node, Yaml},
};

/// Finds places by path: `network.pods`, `pools.0.addresses.2`.
pub(super) struct Places<'a> {
    root: &'a Node,
}

impl<'a> Places<'a> {
    pub(super) fn new(root: &'a Node) -> Self {
        Self { root }
    }

    /// The value's place; for a list or mapping its key, and for what is not written the nearest thing above it.
    pub(super) fn at(&self, path: &str) -> Span {
        let mut node = self.root;
        let mut best = first_line(node);
        for part in path.split('.') {
            let (key, next) = match &node.value {
                Yaml::Map(entries) => match entries.iter().find(|(k, _)| k.as_str() == Some(part)) {
                    Some((key, value)) => (Some(key), value),
                    None => return best,
                },
                Yaml::Seq(items) => match part.parse::<usize>().ok().and_then(|i| items.get(i)) {
                    Some(item) => (None, item),
                    None => return best,
                },
                _ => return best,
            };
            best = match (&next.value, key) {
                (Yaml::Map(_) | Yaml::Seq(_), Some(key)) => key.span.clone(),
                (Yaml::Map(_) | Yaml::Seq(_), None) => first_line(next),
                _ => next.span.clone(),
            };
            node = next;
        }
        best
    }

    /// The place of a key that a person chose, so that it may hold dots: a label, a tag.
    pub(super) fn key(&self, path: &str, key: &str) -> Span {
        let entries = self.node(path).and_then(Node::entries).unwrap_or_default();
        entries.iter().find(|(k, _)| k.as_text().as_deref() == Some(key)).map_or_else(|| self.at(path), |(k, _)| k.span.clone())
    }

    /// Whether something is written there.
    pub(super) fn has(&self, path: &str) -> bool {
        self.node(path).is_some_and(|n| !n.is_null())
    }

    fn node(&self, path: &str) -> Option<&'a Node> {
        path.split('.').try_fold(self.root, |node, part| match &node.value {
            Yaml::Seq(items) => part.parse::<usize>().ok().and_then(|i| items.get(i)),
            _ => node.get(part),
        })
    }
}

fn first_line(node: &Node) -> Span {
    match &node.value {
        Yaml::Map(entries) => entries.first().map_or(&node.span, |(k, _)| &k.span).clone(),
        _ => node.span.clone(),
    }
}
