//! Functions and constants that every template has: `omit`, `lookup`, and the helpers of the rewrite.

use super::run;
use super::undefined::Carrier;
use super::{Kind, Lookups, Scope, TemplateError, filters, mutable, python, value};
use minijinja::value::{Kwargs, Object, ObjectRepr, Rest, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, Value};
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// What `omit` stands for: a task's option with this value is as if not written.
#[derive(Debug)]
pub(super) struct Omit;

impl Object for Omit {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Inside of a longer text there is nothing to leave out but itself.
        f.write_str("")
    }
}

/// An operand of `<` and its kin.
#[derive(Debug)]
struct Operand(Value);

impl Object for Operand {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn custom_cmp(self: &Arc<Self>, other: &minijinja::value::DynObject) -> Option<Ordering> {
        let other = &other.downcast_ref::<Self>()?.0;
        if !comparable(&self.0, other) {
            let (left, right) = (python::type_name(&self.0), python::type_name(other));
            run::note(|run| {
                run.refused.get_or_insert_with(|| {
                    format!("a value of type '{left}' cannot be ordered against one of type '{right}' (convert one, with |int or |string)")
                });
            });
        }
        Some(self.0.cmp(other))
    }
}

/// Whether Python orders two values.
pub(super) fn comparable(a: &Value, b: &Value) -> bool {
    let class = |v: &Value| match v.kind() {
        ValueKind::Bool | ValueKind::Number => Some(0),
        ValueKind::String => Some(1),
        ValueKind::Seq | ValueKind::Iterable => Some(2),
        _ => None,
    };
    class(a).is_some_and(|c| class(b) == Some(c))
}

/// Adds every global.
pub(super) fn register(env: &mut Environment<'static>, lookups: &Arc<dyn Lookups>) {
    env.add_function("__c", |v: &Value| if v.is_undefined() { Value::from_object(Carrier) } else { v.clone() });
    env.add_function("__m", mutable::mutable);
    env.add_function("__o", |v: Value| {
        if v.is_undefined() { Err(Error::from(ErrorKind::UndefinedError)) } else { Ok(Value::from_object(Operand(v))) }
    });
    env.add_function("dict", |args: Rest<ValueOrKwargs>| {
        let mut pairs = Vec::new();
        for arg in args.into_values() {
            match arg.kind() {
                ValueKind::Map => pairs.extend(python::pairs(&arg)),
                _ => pairs.extend(value::pair_list(&arg).ok_or_else(|| filters::fail("dict() needs a dictionary or a list of pairs"))?),
            }
        }
        Ok::<_, Error>(Value::from_pairs(pairs))
    });
    env.add_function("undef", |kwargs: Kwargs| -> Result<Value, Error> {
        let hint: Option<String> = kwargs.get("hint")?;
        Err(run::carried(TemplateError::new(Kind::Undefined, hint.unwrap_or_else(|| "undef() was called".into()))))
    });
    env.add_function("now", |utc: Option<bool>, format: Option<String>, kwargs: Kwargs| {
        let utc = utc.or(kwargs.get("utc")?).unwrap_or(false);
        let format = format.or(kwargs.get("fmt")?).unwrap_or_else(|| "%Y-%m-%d %H:%M:%S.%6f".into());
        kwargs.assert_all_used()?;
        let zone = if utc { jiff::tz::TimeZone::UTC } else { jiff::tz::TimeZone::system() };
        filters::format_time(&format, &jiff::Timestamp::now().to_zoned(zone))
    });
    env.add_function("cycler", minijinja_contrib::globals::cycler);
    env.add_function("joiner", minijinja_contrib::globals::joiner);
    env.add_global("omit", super::Templar::omit());
    for (name, wants_list) in [("lookup", false), ("query", true), ("q", true)] {
        let lookups = Arc::clone(lookups);
        env.add_function(name, move |plugin: String, terms: Rest<Value>, kwargs: Kwargs| {
            lookup(&*lookups, &plugin, &terms, &kwargs, wants_list)
        });
    }
}

fn lookup(lookups: &dyn Lookups, plugin: &str, terms: &[Value], kwargs: &Kwargs, wants_list: bool) -> Result<Value, Error> {
    if terms.iter().any(Value::is_undefined) {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    let wants_list = kwargs.get::<Option<bool>>("wantlist")?.unwrap_or(wants_list);
    let mut options = Vec::new();
    for key in kwargs.args() {
        if !matches!(key, "wantlist" | "errors") {
            options.push((key.to_owned(), kwargs.get::<Value>(key)?));
        }
    }
    let errors: Option<String> = kwargs.get("errors")?;
    kwargs.assert_all_used()?;
    let name = plugin.rsplit('.').next().unwrap_or(plugin);
    let found = run::scope(|scope: &dyn Scope| lookups.lookup(name, terms, &options, scope));
    let found = match found.unwrap_or_else(|| Err("no variables here".into())) {
        Ok(found) => found,
        Err(message) => match errors.as_deref() {
            Some("ignore") => Value::from(Vec::<Value>::new()),
            Some("warn") => {
                run::note(|run| run.warnings.push(format!("lookup '{name}': {message}")));
                Value::from(Vec::<Value>::new())
            }
            _ => return Err(Error::new(ErrorKind::InvalidOperation, format!("lookup '{name}': {message}"))),
        },
    };
    if wants_list {
        return Ok(found);
    }
    // `lookup` joins texts with commas and gives a single other result as it is (ansible-core: template/_lookups.py).
    let items = python::items(&found);
    Ok(match &items[..] {
        [] => Value::from(""),
        [one] => one.clone(),
        many if many.iter().all(|v| v.as_str().is_some()) => {
            Value::from(many.iter().filter_map(|v| v.as_str()).collect::<Vec<_>>().join(","))
        }
        _ => found,
    })
}
