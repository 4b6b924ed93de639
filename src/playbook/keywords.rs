//! Keywords that plays, roles, blocks, imports and tasks share, and how they are passed down.

use super::{Condition, Keywords, Loader};
use crate::{
    inventory::{Raw, RawVars},
    text::Problem,
    yaml::Node,
};
use minijinja::Value;
use std::cell::RefCell;

/// A mapping's entries that were not taken yet.
pub(super) struct Keys<'n> {
    pub(super) entries: Vec<(&'n Node, &'n Node)>,
}

impl<'n> Keys<'n> {
    pub(super) fn new(node: &'n Node) -> Self {
        Self { entries: node.entries().unwrap_or_default().iter().map(|(k, v)| (k, v)).collect() }
    }

    pub(super) fn take(&mut self, key: &str) -> Option<&'n Node> {
        let at = self.entries.iter().position(|(k, _)| k.as_str() == Some(key))?;
        Some(self.entries.remove(at).1)
    }
}

impl Keywords {
    /// The keywords of something inside: `inner` wins, what adds up is added.
    #[must_use]
    pub fn inside(&self, inner: &Self) -> Self {
        fn either(inner: Option<&Raw>, outer: Option<&Raw>) -> Option<Raw> {
            inner.or(outer).cloned()
        }
        fn both<T: Clone>(outer: &[T], inner: &[T]) -> Vec<T> {
            outer.iter().chain(inner).cloned().collect()
        }
        let mut tags = self.tags.clone();
        for tag in &inner.tags {
            if !tags.contains(tag) {
                tags.push(tag.clone());
            }
        }
        let merged = |outer: &RawVars, inner: &RawVars| {
            let mut all = outer.clone();
            all.extend(inner.iter().map(|(k, v)| (k.clone(), v.clone())));
            all
        };
        macro_rules! inherit {
            ($($field:ident),*) => {
                Self {
                    when: both(&self.when, &inner.when),
                    tags,
                    vars: merged(&self.vars, &inner.vars),
                    params: merged(&self.params, &inner.params),
                    environment: both(&self.environment, &inner.environment),
                    module_defaults: both(&self.module_defaults, &inner.module_defaults),
                    notify: both(&self.notify, &inner.notify),
                    $($field: either(inner.$field.as_ref(), self.$field.as_ref())),*
                }
            };
        }
        inherit!(
            become_,
            become_user,
            become_method,
            become_flags,
            remote_user,
            connection,
            port,
            ignore_errors,
            ignore_unreachable,
            no_log,
            check_mode,
            diff,
            any_errors_fatal,
            delegate_to,
            delegate_facts,
            run_once,
            throttle,
            timeout
        )
    }
}

impl Loader<'_> {
    /// A value as written, its templates checked.
    pub(super) fn raw(&mut self, node: &Node) -> Raw {
        let value = self.value(node);
        self.check_value(&value, &node.span);
        Raw { value, span: Some(node.span.clone()) }
    }

    /// A value as written, not checked: an expression, or templates of another kind.
    pub(super) fn value(&mut self, node: &Node) -> Value {
        let failed = RefCell::new(None);
        let value = node.to_value_with(&|n| {
            if !n.is_vault() {
                return None;
            }
            match (self.options.vault)(n.as_str().unwrap_or_default()) {
                // What was encrypted is a value, but it may hold templates, as in Ansible.
                Ok(text) => Some(Value::from(text)),
                Err(why) => {
                    failed.replace(Some((n.span.clone(), why)));
                    Some(Value::from(""))
                }
            }
        });
        if let Some((span, why)) = failed.into_inner() {
            self.problems.push(Problem::at(&span, why));
        }
        value
    }

    /// A mapping of variables.
    pub(super) fn vars(&mut self, node: &Node, what: &str) -> RawVars {
        let mut vars = RawVars::new();
        if let Some(list) = node.items() {
            // `vars: [{a: 1}]`, an old habit.
            for item in list {
                vars.extend(self.vars(item, what));
            }
            return vars;
        }
        let Some(entries) = node.entries() else {
            if !node.is_null() {
                self.problems.push(Problem::at(&node.span, format!("{what} is a mapping, this is {}", node.kind())));
            }
            return vars;
        };
        for (key, value) in entries {
            match key.as_text() {
                Some(name) => {
                    let raw = self.raw(value);
                    vars.insert(name, raw);
                }
                None => self.problems.push(Problem::at(&key.span, "a variable's name is text")),
            }
        }
        vars
    }

    /// `when`, `until`, `changed_when`, …: one condition or a list of them.
    pub(super) fn conditions(&mut self, node: &Node) -> Vec<Condition> {
        let nodes: Vec<&Node> = node.items().map_or_else(|| vec![node], |items| items.iter().collect());
        let mut out = Vec::new();
        for node in nodes {
            let text = match node.as_bool() {
                Some(b) => if b { "true" } else { "false" }.to_owned(),
                None if node.is_null() => continue,
                None => {
                    let Some(text) = node.as_text() else {
                        self.problems.push(Problem::at(&node.span, format!("a condition is text, this is {}", node.kind())));
                        continue;
                    };
                    text.trim().to_owned()
                }
            };
            if text.is_empty() {
                continue;
            }
            let condition = Condition { text, span: node.span.clone() };
            self.check_condition(&condition);
            out.push(condition);
        }
        out
    }

    /// Text, a list of texts, or comma-separated text.
    pub(super) fn texts(&mut self, node: &Node, split: bool) -> Vec<String> {
        let mut out = Vec::new();
        for node in node.items().map_or_else(|| vec![node], |items| items.iter().collect()) {
            match node.as_text() {
                Some(text) if split => out.extend(text.split(',').map(|t| t.trim().to_owned()).filter(|t| !t.is_empty())),
                Some(text) => out.push(text),
                None if node.is_null() => {}
                None => self.problems.push(Problem::at(&node.span, format!("expected text, this is {}", node.kind()))),
            }
        }
        out
    }

    /// The shared keywords of a mapping.
    pub(super) fn keywords(&mut self, keys: &mut Keys<'_>) -> Keywords {
        let mut out = Keywords::default();
        if let Some(node) = keys.take("when") {
            out.when = self.conditions(node);
        }
        if let Some(node) = keys.take("tags") {
            out.tags = self.texts(node, true);
        }
        if let Some(node) = keys.take("vars") {
            out.vars = self.vars(node, "`vars`");
        }
        if let Some(node) = keys.take("environment") {
            out.environment = match node.items() {
                Some(items) => items.iter().map(|n| self.raw(n)).collect(),
                None => vec![self.raw(node)],
            };
        }
        if let Some(node) = keys.take("module_defaults") {
            out.module_defaults = match node.items() {
                Some(items) => items.iter().map(|n| self.raw(n)).collect(),
                None => vec![self.raw(node)],
            };
        }
        macro_rules! take {
            ($($field:ident $key:literal),*) => {
                $(out.$field = keys.take($key).filter(|n| !n.is_null()).map(|n| self.raw(n));)*
            };
        }
        take!(
            become_ "become", become_user "become_user", become_method "become_method", become_flags "become_flags",
            remote_user "remote_user", connection "connection", port "port", ignore_errors "ignore_errors",
            ignore_unreachable "ignore_unreachable", no_log "no_log", check_mode "check_mode", diff "diff",
            any_errors_fatal "any_errors_fatal", delegate_to "delegate_to", delegate_facts "delegate_facts", run_once "run_once",
            throttle "throttle", timeout "timeout"
        );
        if let Some(raw) = &out.become_method {
            let known = raw.value.as_str().is_some_and(|m| m == "sudo" || m.contains("{{"));
            if !known {
                let span = raw.span.clone();
                let problem = Problem::new(format!("become_method `{}` is not supported", raw.value)).hint("sudo is");
                self.problems.push(Problem { span, ..problem });
            }
        }
        for (key, allowed) in [("debugger", "the debugger is not supported"), ("become_exe", "only sudo is supported")] {
            if let Some(node) = keys.take(key) {
                self.problems.push(Problem::at(&node.span, allowed));
            }
        }
        keys.take("collections");
        out
    }

    /// The keywords of an include's `apply`, given as a value.
    pub fn apply(&mut self, value: &Value) -> Keywords {
        // Written as JSON it is YAML again, and is read like any other mapping.
        let text = serde_json::to_string(value).unwrap_or_default();
        let Some(node) = self.parse("apply", text).into_iter().next() else { return Keywords::default() };
        let mut keys = Keys::new(&node);
        let keywords = self.keywords(&mut keys);
        for (key, _) in keys.entries {
            self.problems.push(Problem::new(format!("`{}` is not a keyword of `apply`", key.as_text().unwrap_or_default())));
        }
        keywords
    }
}
