//! Filters, by subject.

mod args;
mod attr;
mod data;
mod dict;
mod glob;
mod list;
mod net;
mod path;
mod query;
mod regex;
mod text;
mod url;

pub(super) use args::{Args, COLLECTIONS, fail, items as list_items, refuse_undefined};
pub(super) use data::holds_undefined;
pub(super) use text::{boolean, split};
pub(super) use url::format_time;

use minijinja::Environment;
use std::collections::BTreeSet;

/// Adds every filter; gives their names.
pub(super) fn register(env: &mut Environment<'static>) -> BTreeSet<String> {
    let mut registry = args::Registry::new(env);
    let subjects = [
        text::register,
        attr::register,
        list::register,
        dict::register,
        regex::register,
        path::register,
        data::register,
        net::register,
        query::register,
        url::register,
    ];
    for subject in subjects {
        subject(&mut registry);
    }
    registry.names
}
