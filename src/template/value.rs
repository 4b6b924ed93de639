//! Small questions about values that several filters ask.

use super::python;
use minijinja::Value;
use minijinja::value::ValueKind;
use std::hash::{Hash, Hasher};

/// A value as a dictionary's key: equal where Python's keys are.
#[derive(Clone, Debug)]
pub(super) struct Key(pub(super) Value);

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match (self.0.as_str(), self.0.as_i64()) {
            (Some(text), _) => text.hash(state),
            (None, Some(number)) => number.hash(state),
            // Rare keys share one bucket: equality still tells them apart.
            (None, None) => {}
        }
    }
}

/// minijinja's own stateful objects, which look like mappings.
const STATEFUL: [&str; 4] = ["namespace_object", "loop_object", "macro_object", "module_object"];

/// Whether a mapping is data: not a namespace, a module or a loop.
pub(super) fn is_plain_map(value: &Value) -> bool {
    let stateful = |name: &str| STATEFUL.iter().any(|s| name.contains(s));
    value.kind() == ValueKind::Map && value.as_object().is_some_and(|o| !stateful(o.type_name()))
}

/// `[[k, v], …]` as pairs.
pub(super) fn pair_list(value: &Value) -> Option<Vec<(Value, Value)>> {
    value
        .try_iter()
        .ok()?
        .map(|pair| match &python::items(&pair)[..] {
            [k, v] => Some((k.clone(), v.clone())),
            _ => None,
        })
        .collect()
}
