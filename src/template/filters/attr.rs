//! Filters that look into each item: map, select, sort, group, and their kin.

use super::args::{Args, Registry, fail, items, refuse_undefined};
use crate::template::{globals, python};
use minijinja::{Error, ErrorKind, State, Value, filters};
use std::cmp::Ordering;

pub(super) fn register(r: &mut Registry<'_>) {
    r.lenient("map", "value *args **named", map);
    r.add("select", "value *args", |s, a| pick(s, a, false, true));
    r.add("reject", "value *args", |s, a| pick(s, a, false, false));
    r.add("selectattr", "value *args", |s, a| pick(s, a, true, true));
    r.add("rejectattr", "value *args", |s, a| pick(s, a, true, false));
    r.add("sort", "value reverse case_sensitive attribute", |_, a| {
        let items = sorted(a.items()?, a.some(3), a.flag(2), a.flag(1))?;
        Ok(Value::from(items))
    });
    r.add("min", "value case_sensitive attribute", |_, a| {
        Ok(sorted(a.items()?, a.some(2), a.flag(1), false)?.into_iter().next().unwrap_or_default())
    });
    r.add("max", "value case_sensitive attribute", |_, a| {
        Ok(sorted(a.items()?, a.some(2), a.flag(1), true)?.into_iter().next().unwrap_or_default())
    });
    r.add("sum", "value attribute start", |state, a| {
        let mut total = a.opt(2).cloned().unwrap_or_else(|| Value::from(0));
        for item in a.items()? {
            let item = a.some(1).map_or_else(|| item.clone(), |path| get(&item, path));
            refuse_undefined(std::slice::from_ref(&item))?;
            total = add(state, &total, &item)?;
        }
        Ok(total)
    });
    r.builtin("groupby", &Value::from_function(filters::groupby));
    r.builtin("dictsort", &Value::from_function(filters::dictsort));
    r.builtin("items", &Value::from_function(filters::items));
}

/// `a + b` for numbers and for what joins: lists.
fn add(_: &mut State<'_, '_>, a: &Value, b: &Value) -> Result<Value, Error> {
    if let (Some(x), Some(y)) = (a.as_i64(), b.as_i64()) {
        return Ok(Value::from(x + y));
    }
    if let (Some(x), Some(y), true) = (super::text::float(a), super::text::float(b), a.is_number() && b.is_number()) {
        return Ok(Value::from(x + y));
    }
    if a.as_str().is_none() && b.as_str().is_none() && a.try_iter().is_ok() && b.try_iter().is_ok() {
        return Ok(Value::from([items(a)?, items(b)?].concat()));
    }
    Err(fail(format!("cannot add {} to {}", python::type_name(b), python::type_name(a))))
}

/// The attribute at a dotted path; undefined where it does not exist.
pub(super) fn get(item: &Value, path: &Value) -> Value {
    let step = |value: &Value, key: &Value| value.get_item(key).unwrap_or_default();
    let Some(text) = path.as_str() else { return step(item, path) };
    text.split('.').fold(item.clone(), |value, part| match part.parse::<i64>() {
        Ok(index) => step(&value, &Value::from(index)),
        Err(_) => step(&value, &Value::from(part)),
    })
}

fn map(state: &mut State<'_, '_>, a: &Args) -> Result<Value, Error> {
    let value = a.value();
    refuse_undefined(std::slice::from_ref(&value))?;
    let named = |name: &str| a.named.iter().find(|(key, _)| key == name).map(|(_, v)| v.clone());
    let mut out = Vec::new();
    if let (Some(path), []) = (named("attribute"), &a.rest[..]) {
        let default = named("default");
        for item in items(&value)? {
            let found = get(&item, &path);
            out.push(if found.is_undefined() { default.clone().unwrap_or_default() } else { found });
        }
        return Ok(Value::from(out));
    }
    let Some((name, args)) = a.rest.split_first() else {
        return Err(fail("needs a filter's name or attribute="));
    };
    let name = python::str(name);
    let mut call = vec![Value::UNDEFINED];
    call.extend_from_slice(args);
    if !a.named.is_empty() {
        call.push(a.named.iter().map(|(k, v)| (k.as_str(), v.clone())).collect::<minijinja::value::Kwargs>().into());
    }
    for item in items(&value)? {
        call[0] = item;
        out.push(state.apply_filter(&name, &call).map_err(|e| unknown(e, "filter", &name))?);
    }
    Ok(Value::from(out))
}

fn unknown(e: Error, what: &str, name: &str) -> Error {
    match e.kind() {
        ErrorKind::UnknownFilter | ErrorKind::UnknownTest => Error::new(e.kind(), format!("{what} {name} is unknown")),
        _ => e,
    }
}

fn pick(state: &mut State<'_, '_>, a: &Args, by_attribute: bool, wanted: bool) -> Result<Value, Error> {
    let mut rest = a.rest.iter();
    let attribute = if by_attribute { Some(rest.next().ok_or_else(|| fail("needs an attribute's name"))?) } else { None };
    let test = rest.next().map(python::str);
    let mut call = vec![Value::UNDEFINED];
    call.extend(rest.cloned());
    let mut out = Vec::new();
    for item in a.items()? {
        call[0] = attribute.map_or_else(|| item.clone(), |path| get(&item, path));
        let holds = if let Some(test) = &test {
            state.perform_test(test, &call).map_err(|e| unknown(e, "test", test))?
        } else {
            refuse_undefined(&call[..1])?;
            call[0].is_true()
        };
        if holds == wanted {
            out.push(item);
        }
    }
    Ok(Value::from(out))
}

/// Items in Python's order; texts without regard to case unless `case_sensitive`. Values that Python does not order are refused.
pub(super) fn sorted(items: Vec<Value>, attribute: Option<&Value>, case_sensitive: bool, reverse: bool) -> Result<Vec<Value>, Error> {
    let key = |item: &Value| -> Vec<Value> {
        let parts: Vec<Value> = match attribute {
            Some(path) if path.as_str().is_some_and(|p| p.contains(',')) => {
                path.as_str().unwrap_or_default().split(',').map(|p| get(item, &Value::from(p.trim()))).collect()
            }
            Some(path) => vec![get(item, path)],
            None => vec![item.clone()],
        };
        let fold = |v: Value| match v.as_str() {
            Some(text) if !case_sensitive => Value::from(text.to_lowercase()),
            _ => v,
        };
        parts.into_iter().map(fold).collect()
    };
    let mut keyed: Vec<(Vec<Value>, Value)> = items.into_iter().map(|item| (key(&item), item)).collect();
    for pair in keyed.windows(2) {
        for (a, b) in pair[0].0.iter().zip(&pair[1].0) {
            refuse_undefined(&[a.clone(), b.clone()])?;
            if !globals::comparable(a, b) {
                return Err(fail(format!("cannot order {} against {}", python::type_name(b), python::type_name(a))));
            }
        }
    }
    let order = |a: &(Vec<Value>, Value), b: &(Vec<Value>, Value)| -> Ordering { if reverse { b.0.cmp(&a.0) } else { a.0.cmp(&b.0) } };
    keyed.sort_by(order);
    Ok(keyed.into_iter().map(|(_, item)| item).collect())
}
