//! Typed values from nodes.

use super::{Node, Yaml};
use crate::text::{Problem, Problems, Span};
use indexmap::IndexMap;
use std::str::FromStr;

/// Something that can be read from a node. Every problem is pushed; `None` says that there was one.
pub trait FromNode: Sized {
    /// Reads it.
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self>;
}

fn wrong(node: &Node, wanted: &str, problems: &mut Problems) {
    problems.push(Problem::at(&node.span, format!("{wanted} is wanted here, this is {}", node.kind())));
}

impl FromNode for Node {
    fn from_node(node: &Node, _: &mut Problems) -> Option<Self> {
        Some(node.clone())
    }
}

impl FromNode for Span {
    fn from_node(node: &Node, _: &mut Problems) -> Option<Self> {
        Some(node.span.clone())
    }
}

/// Text; numbers, booleans and dates are taken as they were written.
impl FromNode for String {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = node.as_text();
        if text.is_none() {
            wrong(node, "text", problems);
        }
        text
    }
}

impl FromNode for bool {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        let value = node.as_bool();
        if value.is_none() {
            problems.push(Problem::at(&node.span, format!("true or false is wanted here, this is {}", node.kind())));
        }
        value
    }
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl FromNode for $type {
            fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
                let Yaml::Int(value) = node.value else {
                    wrong(node, "a whole number", problems);
                    return None;
                };
                let fits = Self::try_from(value).ok();
                if fits.is_none() {
                    problems.push(Problem::at(&node.span, format!("{value} is not between {} and {}", Self::MIN, Self::MAX)));
                }
                fits
            }
        }
    )*};
}
integers!(u8, u16, u32, u64, i64);

impl<T: FromNode> FromNode for Vec<T> {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Some(items) = node.items() else {
            wrong(node, "a list", problems);
            return None;
        };
        let read: Vec<_> = items.iter().filter_map(|item| T::from_node(item, problems)).collect();
        (read.len() == items.len()).then_some(read)
    }
}

impl<T: FromNode> FromNode for IndexMap<String, T> {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Some(entries) = node.entries() else {
            wrong(node, "a mapping", problems);
            return None;
        };
        let read: Self = entries.iter().filter_map(|(k, v)| Some((String::from_node(k, problems)?, T::from_node(v, problems)?))).collect();
        (read.len() == entries.len()).then_some(read)
    }
}

/// The value with the place where it stands, for checks that come later.
impl<T: FromNode> FromNode for (T, Span) {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        Some((T::from_node(node, problems)?, node.span.clone()))
    }
}

/// Text that a type parses itself: `parsed::<Ipv4Addr>(node, "an IPv4 address", problems)`.
pub(crate) fn parsed<T: FromStr>(node: &Node, wanted: &str, problems: &mut Problems) -> Option<T> {
    let Some(text) = node.as_text() else {
        wrong(node, wanted, problems);
        return None;
    };
    let value = text.parse().ok();
    if value.is_none() {
        problems.push(Problem::at(&node.span, format!("`{text}` is not {wanted}")));
    }
    value
}

impl FromNode for std::net::Ipv4Addr {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        parsed(node, "an IPv4 address", problems)
    }
}
