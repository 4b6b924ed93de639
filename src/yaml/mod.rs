//! YAML 1.1 as PyYAML reads it, with a [`Span`](crate::text::Span) on every node. The only YAML reader of kubewright.
//!
//! Typed serde crates cannot load playbooks: they read `0644` as decimal, keep `yes` a string, drop `!vault`, know no
//! positions and stop at their first error. Here parser events become [`Node`]s, and [`Fields`] takes a mapping key by
//! key and gathers every problem. Nothing in here panics, whatever the input (there is a property test).

mod fields;
mod hint;
mod lenient;
mod load;
mod merge;
mod node;
mod read;
mod scalar;
#[cfg(test)]
mod tests;

pub use fields::Fields;
pub use load::{Parsed, parse, read};
pub use node::{Node, Style, Yaml};
pub use read::FromNode;
pub use scalar::resolve as resolve_plain;
