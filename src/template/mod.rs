//! Jinja templates with Ansible's semantics: minijinja set up once.
//!
//! [`Templar`] renders texts, conditions and files against a [`Scope`] of variables. A text that is exactly one
//! expression keeps its value's type; anything else is text. What is undefined is an error where it is used, and
//! chainable before `default` and `is defined`. The filters, tests, methods and lookups are ansible-core's.

mod backslash;
mod check;
mod checks;
mod compile;
mod error;
mod explain;
mod file;
mod filters;
mod free;
mod globals;
#[cfg(test)]
mod golden;
mod methods;
mod mutable;
mod python;
pub mod re;
mod run;
mod scope;
mod templar;
#[cfg(test)]
mod tests;
mod undefined;
mod value;
mod version;
mod visit;
mod yaml_out;

#[cfg(test)]
pub(crate) use check::LOOKUPS;
pub use error::{Kind, TemplateError, TemplateIssue};
pub use file::{TemplateFile, TemplateLoader, TemplateOptions};
pub use free::FreeVars;
pub use scope::{Lookups, NoLookups, Scope};
pub use templar::{Templar, has_templates};
