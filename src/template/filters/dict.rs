//! Dictionaries: merging, items and back, digging.

use super::args::{Args, Registry, fail, items};
use super::attr;
use crate::template::python;
use crate::template::value::Key;
use indexmap::IndexMap;
use minijinja::value::{Tuple, ValueKind};
use minijinja::{Error, Value};

pub(super) fn register(r: &mut Registry<'_>) {
    r.add("combine", "value *others **named", combine);
    r.add("dict2items", "value key_name value_name", |_, a| {
        let value = a.value();
        if value.kind() != ValueKind::Map {
            return Err(fail(format!("needs a dictionary, not {}", python::type_name(&value))));
        }
        let (key, item) = names(a);
        let entry = |(k, v): (Value, Value)| Value::from_pairs([(key.clone(), k), (item.clone(), v)]);
        Ok(Value::from(python::pairs(&value).into_iter().map(entry).collect::<Vec<_>>()))
    });
    r.add("items2dict", "value key_name value_name", |_, a| {
        let (key, item) = names(a);
        let mut out = Vec::new();
        for entry in a.items()? {
            let (k, v) = (
                entry.get_item(&Value::from(key.as_str())).unwrap_or_default(),
                entry.get_item(&Value::from(item.as_str())).unwrap_or_default(),
            );
            if k.is_undefined() || v.is_undefined() {
                return Err(fail(format!("each item needs the keys '{key}' and '{item}'")));
            }
            out.push((k, v));
        }
        Ok(Value::from_pairs(out))
    });
    r.lenient("extract", "item container morekeys", |_, a| {
        let mut keys = vec![a.value()];
        match a.some(2) {
            Some(more) if more.as_str().is_none() && more.try_iter().is_ok() => keys.extend(items(more)?),
            Some(more) => keys.push(more.clone()),
            None => {}
        }
        let container = a.need(1, "container")?.clone();
        Ok(keys.iter().fold(container, |value, key| value.get_item(key).unwrap_or_default()))
    });
    r.add("subelements", "value path skip_missing", subelements);
    r.add("rekey_on_member", "value key duplicates", |_, a| {
        let value = a.value();
        let list = if value.kind() == ValueKind::Map { python::pairs(&value).into_iter().map(|(_, v)| v).collect() } else { a.items()? };
        let path = a.need(1, "key")?;
        let overwrite = a.str(2).as_deref() == Some("overwrite");
        let mut out: IndexMap<Key, Value> = IndexMap::new();
        for item in list {
            let key = item.get_item(path).unwrap_or_default();
            if key.is_undefined() {
                return Err(fail(format!("an item has no key {path}")));
            }
            if out.insert(Key(key.clone()), item).is_some() && !overwrite {
                return Err(fail(format!("the key {key} is not unique")));
            }
        }
        Ok(Value::from_pairs(out.into_iter().map(|(k, v)| (k.0, v))))
    });
    r.add("dict", "value", |_, a| {
        crate::template::value::pair_list(&a.value()).map(Value::from_pairs).ok_or_else(|| fail("needs a list of pairs"))
    });
    r.add("dict_kv", "value key", |_, a| Ok(Value::from_pairs([(a.need(1, "key")?.clone(), a.value())])));
}

fn names(a: &Args) -> (String, String) {
    (a.str(1).unwrap_or_else(|| "key".into()), a.str(2).unwrap_or_else(|| "value".into()))
}

/// How `combine` merges two lists under the same key.
#[derive(Clone, Copy)]
enum Lists {
    Replace,
    Keep,
    Append,
    Prepend,
    AppendNew,
    PrependNew,
}

fn combine(_: &mut minijinja::State<'_, '_>, a: &Args) -> Result<Value, Error> {
    let (mut recursive, mut lists) = (false, Lists::Replace);
    for (key, value) in &a.named {
        match (key.as_str(), python::str(value).as_str()) {
            ("recursive", _) => recursive = value.is_true(),
            ("list_merge", "replace") => lists = Lists::Replace,
            ("list_merge", "keep") => lists = Lists::Keep,
            ("list_merge", "append") => lists = Lists::Append,
            ("list_merge", "prepend") => lists = Lists::Prepend,
            ("list_merge", "append_rp") => lists = Lists::AppendNew,
            ("list_merge", "prepend_rp") => lists = Lists::PrependNew,
            _ => return Err(fail("only recursive= and list_merge= (replace, keep, append, prepend, append_rp, prepend_rp) are known")),
        }
    }
    let mut merged: Option<Value> = None;
    for term in std::iter::once(a.value()).chain(a.rest.iter().cloned()) {
        let maps = if matches!(term.kind(), ValueKind::Seq | ValueKind::Iterable) { items(&term)? } else { vec![term] };
        for map in maps {
            if map.kind() != ValueKind::Map {
                return Err(fail(format!("needs dictionaries, not {}", python::type_name(&map))));
            }
            merged = Some(match merged {
                Some(low) => merge(&low, &map, recursive, lists, 0)?,
                None => map,
            });
        }
    }
    Ok(merged.unwrap_or_else(|| Value::from_pairs(Vec::<(Value, Value)>::new())))
}

fn merge(low: &Value, high: &Value, recursive: bool, lists: Lists, depth: usize) -> Result<Value, Error> {
    if depth > 100 {
        return Err(fail("the dictionary is nested too deep"));
    }
    let mut out: IndexMap<Key, Value> = python::pairs(low).into_iter().map(|(k, v)| (Key(k), v)).collect();
    let list = |v: &Value| matches!(v.kind(), ValueKind::Seq | ValueKind::Iterable);
    for (key, new) in python::pairs(high) {
        let value = match out.get(&Key(key.clone())) {
            Some(old) if recursive && old.kind() == ValueKind::Map && new.kind() == ValueKind::Map => {
                merge(old, &new, true, lists, depth + 1)?
            }
            Some(old) if list(old) && list(&new) => {
                let (old_items, new_items) = (items(old)?, items(&new)?);
                let without =
                    |from: &[Value], gone: &[Value]| -> Vec<Value> { from.iter().filter(|x| !gone.contains(x)).cloned().collect() };
                match lists {
                    Lists::Replace => new,
                    Lists::Keep => old.clone(),
                    Lists::Append => Value::from([old_items, new_items].concat()),
                    Lists::Prepend => Value::from([new_items, old_items].concat()),
                    Lists::AppendNew => Value::from([without(&old_items, &new_items), new_items].concat()),
                    Lists::PrependNew => Value::from([new_items.clone(), without(&old_items, &new_items)].concat()),
                }
            }
            _ => new,
        };
        out.insert(Key(key), value);
    }
    Ok(Value::from_pairs(out.into_iter().map(|(k, v)| (k.0, v))))
}

fn subelements(_: &mut minijinja::State<'_, '_>, a: &Args) -> Result<Value, Error> {
    let value = a.value();
    let elements = if value.kind() == ValueKind::Map { python::pairs(&value).into_iter().map(|(_, v)| v).collect() } else { a.items()? };
    let path = a.need(1, "the sub-list's name")?;
    let path = if path.as_str().is_some() {
        path.clone()
    } else {
        Value::from(items(path)?.iter().map(python::str).collect::<Vec<_>>().join("."))
    };
    let mut out = Vec::new();
    for element in elements {
        let found = attr::get(&element, &path);
        match found.kind() {
            ValueKind::Undefined if a.flag(2) => {}
            ValueKind::Undefined => return Err(fail(format!("could not find the key '{path}' in {}", python::str(&element)))),
            ValueKind::Seq | ValueKind::Iterable => {
                out.extend(items(&found)?.into_iter().map(|item| Value::from(Tuple::from([element.clone(), item]))));
            }
            _ => return Err(fail(format!("the key '{path}' should hold a list, not {}", python::type_name(&found)))),
        }
    }
    Ok(Value::from(out))
}
