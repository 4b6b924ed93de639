//! An INI inventory: sections of hosts, `:children`, `:vars` (ansible: plugins/inventory/ini.py).

use super::{Inventory, Raw, hosts, literal::literal, shell_words};
use crate::text::{Problem, Problems, SourceFile, Span, nearest};
use minijinja::Value;
use std::sync::Arc;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Hosts,
    Children,
    Vars,
}

/// A group that a section names before, or without, its own section.
struct Promise {
    parent: Option<String>,
    group: String,
    span: Span,
}

pub(super) fn read(file: &Arc<SourceFile>, inventory: &mut Inventory, problems: &mut Problems) {
    let mut reader =
        Reader { inventory, problems, group: "ungrouped".to_owned(), kind: Kind::Hosts, promises: Vec::new(), declared: Vec::new() };
    let mut at = 0;
    for line in file.text.split_inclusive('\n') {
        let text = line.trim();
        let start = at + (line.len() - line.trim_start().len());
        at += line.len();
        if !text.is_empty() && !text.starts_with([';', '#']) {
            reader.line(text, &Span::new(file, start, start + text.len()));
        }
    }
    reader.finish();
}

struct Reader<'a> {
    inventory: &'a mut Inventory,
    problems: &'a mut Problems,
    group: String,
    kind: Kind,
    promises: Vec<Promise>,
    declared: Vec<String>,
}

impl Reader<'_> {
    fn line(&mut self, text: &str, span: &Span) {
        if text.starts_with('[') && self.section(text, span) {
            return;
        }
        match self.kind {
            Kind::Hosts => self.hosts(text, span),
            Kind::Vars => self.variable(text, span),
            Kind::Children => self.child(text, span),
        }
    }

    /// `[group]`, `[group:vars]`, perhaps with a comment behind. `false`: it is no section, but a host such as `[a:c].x`.
    fn section(&mut self, text: &str, span: &Span) -> bool {
        let inside = text[1..].split_once(']').filter(|(name, rest)| {
            let comment = rest.trim_start();
            !name.is_empty() && !name.contains(char::is_whitespace) && (comment.is_empty() || comment.starts_with('#'))
        });
        let Some((name, _)) = inside else {
            let wrong = text.ends_with(']');
            if wrong {
                self.problems.push(Problem::at(span, "this is not a section").hint("write it without spaces: [group] or [group:vars]"));
            }
            return wrong;
        };
        let (group, kind) = name.split_once(':').unwrap_or((name, "hosts"));
        self.kind = match kind {
            "hosts" => Kind::Hosts,
            "children" => Kind::Children,
            "vars" => Kind::Vars,
            other => {
                let problem = Problem::at(span, format!("there is no kind of section `{other}`"));
                self.problems.push(match nearest(other, ["hosts", "children", "vars"]) {
                    Some(known) => problem.hint(format!("did you mean `{known}`?")),
                    None => problem.hint("there are hosts, children and vars"),
                });
                Kind::Hosts
            }
        };
        group.clone_into(&mut self.group);
        if self.kind == Kind::Vars && !self.inventory.groups.contains_key(group) {
            self.promises.push(Promise { parent: None, group: group.to_owned(), span: span.clone() });
        }
        if self.kind != Kind::Vars {
            self.declared.push(group.to_owned());
        }
        self.inventory.add_group(group);
        true
    }

    fn hosts(&mut self, text: &str, span: &Span) {
        let words = match shell_words::split(text) {
            Ok(words) => words,
            Err(why) => {
                self.problems.push(Problem::at(span, format!("this line cannot be read: {why}")));
                return;
            }
        };
        let Some((pattern, assignments)) = words.split_first() else { return };
        if pattern == "---" {
            self.problems.push(Problem::at(span, "`---` begins a YAML file").hint("name the file .yml, or remove the line"));
            return;
        }
        let (names, port) = match hosts::expand(pattern) {
            Ok(expanded) => expanded,
            Err(why) => {
                self.problems.push(Problem::at(span, why));
                return;
            }
        };
        let raw = |value| Raw { value, span: Some(span.clone()) };
        let mut variables: Vec<(&str, Raw)> = Vec::new();
        for word in assignments {
            if let Some((name, value)) = word.split_once('=') {
                variables.push((name, raw(typed(value))));
            } else {
                let problem = Problem::at(span, format!("`{word}` is neither a host nor name=value"));
                self.problems.push(problem.hint("one host to a line; a value with spaces needs quotes"));
            }
        }
        for name in names {
            let host = self.inventory.add_host(&name);
            if let Some(port) = port {
                host.vars.insert("ansible_port".to_owned(), raw(Value::from(port)));
            }
            host.vars.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
            self.inventory.add_group(&self.group).hosts.insert(name);
        }
    }

    fn variable(&mut self, text: &str, span: &Span) {
        match text.split_once('=') {
            Some((name, value)) => {
                let raw = Raw { value: typed(value.trim()), span: Some(span.clone()) };
                // The group was added with its section.
                let _ = self.inventory.set_group_var(&self.group, name.trim(), raw);
            }
            None => self.problems.push(Problem::at(span, "name=value is wanted in a section of variables")),
        }
    }

    fn child(&mut self, text: &str, span: &Span) {
        let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        if name.contains([':', ']']) || !(rest.trim().is_empty() || rest.trim_start().starts_with('#')) {
            self.problems.push(Problem::at(span, format!("`{text}` is not the name of one group")));
            return;
        }
        if self.inventory.groups.contains_key(name) {
            self.join(&self.group.clone(), name, span);
        } else {
            self.promises.push(Promise { parent: Some(self.group.clone()), group: name.to_owned(), span: span.clone() });
        }
    }

    fn join(&mut self, parent: &str, child: &str, span: &Span) {
        if let Err(error) = self.inventory.add_child(parent, child) {
            self.problems.push(Problem::at(span, error.to_string()));
        }
    }

    fn finish(mut self) {
        for Promise { parent, group, span } in std::mem::take(&mut self.promises) {
            if !self.declared.contains(&group) {
                let problem = Problem::at(&span, format!("there is no group `{group}`"));
                self.problems.push(match nearest(&group, self.declared.iter().map(String::as_str)) {
                    Some(known) => problem.hint(format!("did you mean `{known}`?")),
                    None => problem.hint(format!("add a section [{group}]")),
                });
            } else if let Some(parent) = parent {
                self.join(&parent, &group, &span);
            }
        }
    }
}

fn typed(text: &str) -> Value {
    literal(text).unwrap_or_else(|| Value::from(text))
}
