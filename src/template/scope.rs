//! Where variables and lookups come from: the engine stands behind these two traits.

use super::TemplateError;
use minijinja::Value;
use std::collections::BTreeMap;

/// Variables by name, looked up when a template reaches them. Values are final: already templated.
pub trait Scope: Send + Sync {
    /// The variable's value; `None` where there is no such variable. An error of kind
    /// [`Undefined`](super::Kind::Undefined) counts as an undefined variable, which `default` and `is defined` may handle.
    fn get(&self, name: &str) -> Result<Option<Value>, TemplateError>;
    /// Every name there is, for `vars` and the `varnames` lookup.
    fn names(&self) -> Vec<String>;
}

impl Scope for BTreeMap<String, Value> {
    fn get(&self, name: &str) -> Result<Option<Value>, TemplateError> {
        Ok(BTreeMap::get(self, name).cloned())
    }

    fn names(&self) -> Vec<String> {
        self.keys().cloned().collect()
    }
}

/// What `lookup`, `query` and `q` need from the outside: files, the environment, commands, templates.
pub trait Lookups: Send + Sync {
    /// The results of lookup plugin `name` for `terms`, always a list; an error's text names what is wrong.
    fn lookup(&self, name: &str, terms: &[Value], options: &[(String, Value)], scope: &dyn Scope) -> Result<Value, String>;
}

/// Refuses every lookup that reaches outside.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoLookups;

impl Lookups for NoLookups {
    fn lookup(&self, name: &str, _: &[Value], _: &[(String, Value)], _: &dyn Scope) -> Result<Value, String> {
        Err(format!("the lookup '{name}' is not available here"))
    }
}
