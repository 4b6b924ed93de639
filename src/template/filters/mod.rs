//! Filters, by subject.

mod args;
mod attr;
mod data;
mod dict;
mod glob;
mod list;
mod net;
mod path;
mod regex;
mod text;

pub(super) use args::{Args, COLLECTIONS, fail, items as list_items, refuse_undefined};
pub(super) use data::holds_undefined;
pub(super) use text::{boolean, split};

use minijinja::Environment;

/// Adds every filter.
pub(super) fn register(env: &mut Environment<'static>) {
    let mut registry = args::Registry::new(env);
    for subject in
        [text::register, attr::register, list::register, dict::register, regex::register, path::register, data::register, net::register]
    {
        subject(&mut registry);
    }
}
