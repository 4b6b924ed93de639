//! Values with a syntax of their own.

use crate::{
    text::{Problem, Problems},
    yaml::{FromNode, Node},
};
use ipnet::Ipv4Net;
use std::time::Duration;

/// An IPv4 range without host bits.
pub(super) struct Cidr(pub(super) Ipv4Net);

impl FromNode for Cidr {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = String::from_node(node, problems)?;
        let Ok(net) = text.parse::<Ipv4Net>() else {
            let hint = if text.contains(':') {
                "IPv6 is not supported".to_owned()
            } else if text.parse::<std::net::Ipv4Addr>().is_ok() {
                format!("the prefix length is missing: {text}/32 is this one address")
            } else {
                "write it like 10.0.0.0/16".to_owned()
            };
            problems.push(Problem::at(&node.span, format!("`{text}` is not an IPv4 range")).hint(hint));
            return None;
        };
        if net.addr() != net.network() {
            let problem = Problem::at(&node.span, format!("`{text}` has host bits set"));
            problems.push(problem.hint(format!("the range that it lies in is {}", net.trunc())));
            return None;
        }
        Some(Self(net))
    }
}

/// `15m`, `2h 30m`.
pub(super) struct Span(pub(super) Duration);

impl FromNode for Span {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = String::from_node(node, problems)?;
        if let Ok(duration) = humantime::parse_duration(&text) {
            Some(Self(duration))
        } else {
            problems.push(Problem::at(&node.span, format!("`{text}` is not a duration")).hint("write it like 15m or 2h"));
            None
        }
    }
}

/// A lower-case DNS label (RFC 1123) of at most `max` characters.
pub(super) fn is_label(text: &str, max: usize) -> bool {
    !text.is_empty()
        && text.len() <= max
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// A DNS name of labels.
pub(super) fn is_dns_name(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(|label| is_label(label, 63))
}

/// A Kubernetes label's or taint's key: `[prefix/]name` (apimachinery, validation.IsQualifiedName).
pub(super) fn is_qualified_name(text: &str) -> bool {
    let (prefix, name) = text.split_once('/').map_or((None, text), |(p, n)| (Some(p), n));
    prefix.is_none_or(is_dns_name) && !name.is_empty() && is_label_value(name)
}

/// A Kubernetes label's value (apimachinery, validation.IsValidLabelValue).
pub(super) fn is_label_value(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let edge = |b: Option<u8>| b.is_none_or(|b| b.is_ascii_alphanumeric());
    text.len() <= 63 && text.bytes().all(inner) && edge(text.bytes().next()) && edge(text.bytes().next_back())
}

#[cfg(test)]
mod tests {
    use super::{is_dns_name, is_label, is_label_value, is_qualified_name};

    #[test]
    fn names() {
        assert!(is_label("lab-1", 40) && !is_label("Lab", 40) && !is_label("-a", 40) && !is_label("", 40) && !is_label("abcd", 3));
        assert!(is_dns_name("a.b-c.example") && !is_dns_name("a..b") && !is_dns_name("a_b"));
        assert!(
            is_qualified_name("example.com/Team_1")
                && !is_qualified_name("a/b/c")
                && !is_qualified_name("example.com/")
                && !is_qualified_name("-x")
        );
        assert!(is_label_value("") && is_label_value("v1.2_x") && !is_label_value("a b") && !is_label_value("x-"));
    }
}
