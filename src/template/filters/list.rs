//! Lists as sets, products and slices.

use super::args::{Args, Registry, fail, items};
use super::attr;
use crate::template::{python, version};
use minijinja::value::{Tuple, ValueKind};
use minijinja::{Error, Value, filters};
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use sha2::{Digest as _, Sha256};

pub(super) fn register(r: &mut Registry<'_>) {
    r.add("list", "value", |_, a| Ok(Value::from(a.items()?)));
    r.add("first", "value", |_, a| Ok(a.items()?.into_iter().next().unwrap_or_default()));
    r.add("last", "value", |_, a| Ok(a.items()?.into_iter().next_back().unwrap_or_default()));
    r.add("unique", "value case_sensitive attribute", |_, a| {
        let fold = |v: Value| match v.as_str() {
            Some(text) if !a.flag(1) => Value::from(text.to_lowercase()),
            _ => v,
        };
        let mut seen: Vec<Value> = Vec::new();
        let mut out = Vec::new();
        for item in a.items()? {
            let key = fold(a.some(2).map_or_else(|| item.clone(), |path| attr::get(&item, path)));
            if !seen.contains(&key) {
                seen.push(key);
                out.push(item);
            }
        }
        Ok(Value::from(out))
    });
    r.add("union", "value other", |_, a| Ok(set([a.items()?, other(a)?].concat(), |_| true)));
    r.add("intersect", "value other", |_, a| {
        let other = other(a)?;
        Ok(set(a.items()?, |x| other.contains(x)))
    });
    r.add("difference", "value other", |_, a| {
        let other = other(a)?;
        Ok(set(a.items()?, |x| !other.contains(x)))
    });
    r.add("symmetric_difference", "value other", |_, a| {
        let (left, right) = (a.items()?, other(a)?);
        let both = [left.clone(), right.clone()].concat();
        Ok(set(both, |x| left.contains(x) != right.contains(x)))
    });
    r.add("flatten", "value levels skip_nulls", |_, a| {
        let levels = a.int(1)?;
        let skip = a.opt(2).is_none_or(Value::is_true);
        let mut out = Vec::new();
        flatten(&a.items()?, levels, skip, 0, &mut out)?;
        Ok(Value::from(out))
    });
    r.add("zip", "value *others", |_, a| Ok(Value::from(zip(a, None)?)));
    r.add("zip_longest", "value *others **named", |_, a| {
        let fill = a.named.iter().find(|(k, _)| k == "fillvalue").map_or_else(|| Value::from(()), |(_, v)| v.clone());
        Ok(Value::from(zip(a, Some(&fill))?))
    });
    r.add("product", "value *others **named", |_, a| {
        let repeat = a.named.iter().find(|(k, _)| k == "repeat").and_then(|(_, v)| v.as_usize()).unwrap_or(1);
        let mut lists = vec![a.items()?];
        for other in &a.rest {
            lists.push(items(other)?);
        }
        let lists: Vec<_> = std::iter::repeat_n(lists, repeat.min(16)).flatten().collect();
        product(&lists).map(Value::from)
    });
    r.add("combinations", "value size", |_, a| {
        let size = a.int(1)?.and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        let mut out = Vec::new();
        combinations(&a.items()?, size, &mut Vec::new(), &mut out)?;
        Ok(Value::from(out))
    });
    r.add("permutations", "value size", |_, a| {
        let items = a.items()?;
        let size = a.int(1)?.and_then(|n| usize::try_from(n).ok()).unwrap_or(items.len());
        let mut out = Vec::new();
        permutations(&items, size, &mut Vec::new(), &mut out)?;
        Ok(Value::from(out))
    });
    r.add("random", "value start step seed", random);
    r.add("shuffle", "value seed", |_, a| {
        let mut items = a.items()?;
        items.shuffle(&mut rng(a.some(1)));
        Ok(Value::from(items))
    });
    r.add("version_sort", "value reverse", |_, a| {
        let mut items = a.items()?;
        let mut refused = None;
        items.sort_by(|x, y| {
            version::compare(&python::str(x), &python::str(y), version::Scheme::Loose).unwrap_or_else(|e| {
                refused = Some(e);
                std::cmp::Ordering::Equal
            })
        });
        if a.flag(1) {
            items.reverse();
        }
        refused.map_or_else(|| Ok(Value::from(items)), |e| Err(fail(e)))
    });
    r.builtin("reverse", &Value::from_function(filters::reverse));
    r.builtin("batch", &Value::from_function(filters::batch));
    r.builtin("slice", &Value::from_function(filters::slice));
    r.builtin("chain", &Value::from_function(filters::chain));
    r.builtin("lines", &Value::from_function(filters::lines));
}

/// Most items that a product or permutation may have.
const LIMIT: usize = 1_000_000;

fn other(a: &Args) -> Result<Vec<Value>, Error> {
    items(a.need(1, "the other list")?)
}

/// Each item once, in order (ansible-core's order is that of a Python set: none).
fn set(items: Vec<Value>, keep: impl Fn(&Value) -> bool) -> Value {
    let mut out: Vec<Value> = Vec::new();
    for item in items {
        if keep(&item) && !out.contains(&item) {
            out.push(item);
        }
    }
    Value::from(out)
}

fn flatten(list: &[Value], levels: Option<i64>, skip: bool, depth: usize, out: &mut Vec<Value>) -> Result<(), Error> {
    if depth > 100 {
        return Err(fail("the list is nested too deep"));
    }
    for item in list {
        if skip && (item.is_none() || matches!(item.as_str(), Some("None" | "null"))) {
            continue;
        }
        let nested = matches!(item.kind(), ValueKind::Seq | ValueKind::Iterable);
        if nested && levels.is_none_or(|n| n >= 1) {
            flatten(&items(item)?, levels.map(|n| n - 1), skip, depth + 1, out)?;
        } else {
            out.push(item.clone());
        }
    }
    Ok(())
}

fn zip(a: &Args, fill: Option<&Value>) -> Result<Vec<Value>, Error> {
    let mut lists = vec![a.items()?];
    for other in &a.rest {
        lists.push(items(other)?);
    }
    let lengths = lists.iter().map(Vec::len);
    let length = if fill.is_some() { lengths.max() } else { lengths.min() }.unwrap_or(0);
    let row =
        |at: usize| -> Vec<Value> { lists.iter().map(|l| l.get(at).cloned().or_else(|| fill.cloned()).unwrap_or_default()).collect() };
    Ok((0..length).map(|at| Value::from(Tuple::from(row(at)))).collect())
}

fn product(lists: &[Vec<Value>]) -> Result<Vec<Value>, Error> {
    let size = lists.iter().try_fold(1_usize, |n, l| n.checked_mul(l.len()).filter(|n| *n <= LIMIT));
    if size.is_none() {
        return Err(fail(format!("has more than {LIMIT} items")));
    }
    let mut rows: Vec<Vec<Value>> = vec![Vec::new()];
    for list in lists {
        rows = rows.iter().flat_map(|row| list.iter().map(|x| [row.clone(), vec![x.clone()]].concat())).collect();
    }
    Ok(rows.into_iter().map(|row| Value::from(Tuple::from(row))).collect())
}

fn push(row: &[Value], out: &mut Vec<Value>) -> Result<(), Error> {
    out.push(Value::from(Tuple::from(row)));
    if out.len() > LIMIT { Err(fail(format!("has more than {LIMIT} items"))) } else { Ok(()) }
}

fn combinations(items: &[Value], size: usize, row: &mut Vec<Value>, out: &mut Vec<Value>) -> Result<(), Error> {
    if row.len() == size {
        return push(row, out);
    }
    for (at, item) in items.iter().enumerate() {
        row.push(item.clone());
        combinations(&items[at + 1..], size, row, out)?;
        row.pop();
    }
    Ok(())
}

fn permutations(items: &[Value], size: usize, row: &mut Vec<Value>, out: &mut Vec<Value>) -> Result<(), Error> {
    if row.len() == size {
        return push(row, out);
    }
    for (at, item) in items.iter().enumerate() {
        let rest = [&items[..at], &items[at + 1..]].concat();
        row.push(item.clone());
        permutations(&rest, size, row, out)?;
        row.pop();
    }
    Ok(())
}

/// Chance: the same every time for the same seed (though not the numbers that Python's generator gives for it).
fn rng(seed: Option<&Value>) -> StdRng {
    match seed {
        Some(seed) => StdRng::from_seed(Sha256::digest(python::str(seed)).into()),
        None => StdRng::from_rng(&mut rand::rng()),
    }
}

fn random(_: &mut minijinja::State<'_, '_>, a: &Args) -> Result<Value, Error> {
    let mut rng = rng(a.some(3));
    let value = a.value();
    if let Some(end) = value.as_i64().filter(|_| value.is_number()) {
        let (start, step) = (a.int(1)?.unwrap_or(0), a.int(2)?.filter(|s| *s != 0).unwrap_or(1));
        let count = (end - start + step - step.signum()) / step;
        if count <= 0 {
            return Err(fail(format!("there is no number from {start} to {end}")));
        }
        return Ok(Value::from(start + step * rng.random_range(0..count)));
    }
    Ok(items(&value)?.choose(&mut rng).cloned().unwrap_or_default())
}
