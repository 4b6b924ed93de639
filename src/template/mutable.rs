//! Lists and dictionaries that a template changes in place, for the idiom `{% set _ = list.append(x) %}`.
//!
//! Only texts that call such a method get them: there the value of every `set` is made mutable.

use super::python;
use super::value::{self, Key};
use indexmap::IndexMap;
use minijinja::value::{Enumerator, Object, ObjectRepr, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State, Value};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
struct List(Mutex<Vec<Value>>);

#[derive(Debug)]
struct Dict(Mutex<IndexMap<Key, Value>>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A value whose lists and dictionaries, at every depth, can be changed in place.
pub(super) fn mutable(value: &Value) -> Value {
    if value.downcast_object_ref::<List>().is_some() || value.downcast_object_ref::<Dict>().is_some() || value.is_kwargs() {
        return value.clone();
    }
    match value.kind() {
        ValueKind::Seq if !value.is_tuple() => Value::from_object(List(Mutex::new(python::items(value).iter().map(mutable).collect()))),
        ValueKind::Map if value::is_plain_map(value) => {
            Value::from_object(Dict(Mutex::new(python::pairs(value).into_iter().map(|(k, v)| (Key(k), mutable(&v))).collect())))
        }
        _ => value.clone(),
    }
}

/// The value as plain immutable data, if it is one of ours.
pub(super) fn frozen(value: &Value) -> Option<Value> {
    if let Some(list) = value.downcast_object_ref::<List>() {
        return Some(Value::from(lock(&list.0).clone()));
    }
    let dict = value.downcast_object_ref::<Dict>()?;
    Some(Value::from_pairs(lock(&dict.0).iter().map(|(k, v)| (k.0.clone(), v.clone()))))
}

fn failed(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

/// Python's index of an item: negative from the end, `None` outside.
fn index(at: i64, len: usize) -> Option<usize> {
    let len = i64::try_from(len).ok()?;
    let at = if at < 0 { at + len } else { at };
    (0..len).contains(&at).then(|| usize::try_from(at).ok()).flatten()
}

impl Object for List {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let list = lock(&self.0);
        list.get(index(key.as_i64()?, list.len())?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(lock(&self.0).clone())
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        // Arguments are read before the lock is taken: they may be this very list.
        match method {
            "append" => {
                let (item,): (Value,) = from_args(args)?;
                lock(&self.0).push(item);
            }
            "extend" => {
                let (more,): (&Value,) = from_args(args)?;
                let more: Vec<Value> = more.try_iter()?.collect();
                lock(&self.0).extend(more);
            }
            "insert" => {
                let (at, item): (i64, Value) = from_args(args)?;
                let mut list = lock(&self.0);
                let end = i64::try_from(list.len()).unwrap_or(i64::MAX);
                let at = if at < 0 { (at + end).max(0) } else { at.min(end) };
                list.insert(usize::try_from(at).unwrap_or_default(), item);
            }
            "pop" => {
                let (at,): (Option<i64>,) = from_args(args)?;
                let mut list = lock(&self.0);
                let at = index(at.unwrap_or(-1), list.len()).ok_or_else(|| failed("pop index out of range"))?;
                return Ok(list.remove(at));
            }
            "remove" => {
                let (item,): (Value,) = from_args(args)?;
                let mut list = lock(&self.0);
                let at = list.iter().position(|x| *x == item).ok_or_else(|| failed("list.remove(x): x not in list"))?;
                list.remove(at);
            }
            "clear" => lock(&self.0).clear(),
            "reverse" => lock(&self.0).reverse(),
            "sort" => lock(&self.0).sort(),
            _ => return Err(Error::from(ErrorKind::UnknownMethod)),
        }
        Ok(Value::from(()))
    }
}

impl Object for Dict {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        lock(&self.0).get(&Key(key.clone())).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(lock(&self.0).keys().map(|k| k.0.clone()).collect())
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match method {
            "update" => {
                let mut more = Vec::new();
                for arg in args {
                    match arg.kind() {
                        ValueKind::Map => more.extend(python::pairs(arg)),
                        _ => more.extend(value::pair_list(arg).ok_or_else(|| failed("update() needs a dictionary or pairs"))?),
                    }
                }
                lock(&self.0).extend(more.into_iter().map(|(k, v)| (Key(k), v)));
                Ok(Value::from(()))
            }
            "setdefault" => {
                let (key, default): (Value, Option<Value>) = from_args(args)?;
                Ok(lock(&self.0).entry(Key(key)).or_insert_with(|| default.unwrap_or_else(|| Value::from(()))).clone())
            }
            "pop" => {
                let (key, default): (Value, Option<Value>) = from_args(args)?;
                let gone = lock(&self.0).shift_remove(&Key(key.clone()));
                gone.or(default).ok_or_else(|| failed(format!("pop(): no key {key}")))
            }
            "clear" => {
                lock(&self.0).clear();
                Ok(Value::from(()))
            }
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }
}
