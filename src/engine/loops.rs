//! What `loop` and `with_…` go over.

use super::{
    lookups,
    scope::{Locals, TaskScope},
    world::World,
};
use crate::{
    playbook::Loop,
    template::{Kind, TemplateError},
};
use minijinja::{Value, value::ValueKind};

/// The items.
pub(super) fn values(world: &World, scope: &TaskScope, looping: &Loop) -> Result<Vec<Value>, TemplateError> {
    let over = match (&looping.lookup, looping.over.value.as_str()) {
        // Undefined candidates are passed over by first_found.
        _ if looping.over.value.is_undefined() => Value::default(),
        _ => world.templar.render_value(&looping.over.value, scope)?,
    };
    match &looping.lookup {
        None if matches!(over.kind(), ValueKind::Seq | ValueKind::Iterable) => {
            Ok(over.try_iter().map(Iterator::collect).unwrap_or_default())
        }
        None => {
            Err(TemplateError::new(Kind::Other, format!("Invalid data passed to 'loop', it requires a list, got this instead: {over}")))
        }
        Some(name) => {
            let terms: Vec<Value> = match over.kind() {
                ValueKind::Seq | ValueKind::Iterable => over.try_iter().map(Iterator::collect).unwrap_or_default(),
                _ => vec![over],
            };
            let found = lookups::with(world, name, &terms, scope).map_err(|e| TemplateError::new(Kind::Other, e))?;
            Ok(found.try_iter().map(Iterator::collect).unwrap_or_default())
        }
    }
}

/// The variables of one round.
pub(super) fn locals(looping: &Loop, values: &[Value], index: usize) -> Locals {
    let item = values.get(index).cloned().unwrap_or_default();
    let mut out = vec![(looping.var.clone(), item.clone()), ("ansible_loop_var".to_owned(), Value::from(looping.var.as_str()))];
    if let Some(name) = &looping.index_var {
        out.push((name.clone(), Value::from(index)));
        out.push(("ansible_index_var".to_owned(), Value::from(name.as_str())));
    }
    if looping.extended {
        let count = values.len();
        let mut info = vec![
            ("allitems", values.iter().cloned().collect::<Value>()),
            ("index", Value::from(index + 1)),
            ("index0", Value::from(index)),
            ("revindex", Value::from(count - index)),
            ("revindex0", Value::from(count - index - 1)),
            ("first", Value::from(index == 0)),
            ("last", Value::from(index + 1 == count)),
            ("length", Value::from(count)),
        ];
        if index > 0 {
            info.push(("previtem", values[index - 1].clone()));
        }
        if let Some(next) = values.get(index + 1) {
            info.push(("nextitem", next.clone()));
        }
        out.push(("ansible_loop".to_owned(), Value::from_pairs(info)));
    }
    out
}
