//! Plays.

use super::{Keywords, Loader, Play, PlaybookSource, Prompt, Strategy, context::Context, files::EMBEDDED, keywords::Keys, role::tasks_of};
use crate::{
    inventory::Raw,
    text::{Problem, nearest},
    yaml::Node,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

const KEYWORDS: [&str; 22] = [
    "name",
    "hosts",
    "strategy",
    "serial",
    "order",
    "gather_facts",
    "gather_subset",
    "gather_timeout",
    "fact_path",
    "max_fail_percentage",
    "force_handlers",
    "vars_files",
    "vars_prompt",
    "roles",
    "pre_tasks",
    "tasks",
    "post_tasks",
    "handlers",
    "become",
    "vars",
    "tags",
    "environment",
];

impl Loader<'_> {
    /// The plays of a source.
    pub(super) fn source(&mut self, source: &PlaybookSource, out: &mut Vec<Arc<Play>>) {
        let (documents, path) = match source {
            PlaybookSource::Path(path) => (self.documents(path, None), path.clone()),
            PlaybookSource::Embedded(path) => {
                let path = Path::new(EMBEDDED).join(path);
                (self.documents(&path, None), path)
            }
            PlaybookSource::Text { name, text } => (self.parse(name, text.clone()), PathBuf::from(name)),
        };
        self.plays(&documents, &path, &Keywords::default(), out);
    }

    fn plays(&mut self, documents: &[Node], path: &Path, outer: &Keywords, out: &mut Vec<Arc<Play>>) {
        if self.open.len() > 60 {
            self.problems.push(Problem::new(format!("{} imports itself", path.display())));
            return;
        }
        self.open.push(path.to_owned());
        let directory = path.parent().unwrap_or_else(|| Path::new("")).to_owned();
        for document in documents {
            let Some(items) = document.items() else {
                self.problems.push(Problem::at(&document.span, format!("a playbook is a list of plays, this is {}", document.kind())));
                continue;
            };
            for item in items {
                let import = ["import_playbook", "ansible.builtin.import_playbook"].into_iter().find_map(|k| item.get(k));
                match import {
                    Some(target) => self.import_playbook(item, target, &directory, outer, out),
                    None if item.get("hosts").is_some() || item.entries().is_none() || item.get("include").is_none() => {
                        if let Some(play) = self.play(item, &directory, outer) {
                            out.push(Arc::new(play));
                        }
                    }
                    None => self
                        .problems
                        .push(Problem::at(&item.span, "`include` of a playbook was removed from Ansible").hint("use `import_playbook`")),
                }
            }
        }
        self.open.pop();
    }

    fn import_playbook(&mut self, item: &Node, target: &Node, directory: &Path, outer: &Keywords, out: &mut Vec<Arc<Play>>) {
        let mut keys = Keys::new(item);
        for key in ["import_playbook", "ansible.builtin.import_playbook", "name"] {
            keys.take(key);
        }
        let own = self.keywords(&mut keys);
        for (key, _) in keys.entries {
            self.problems
                .push(Problem::at(&key.span, format!("`{}` is not a keyword of import_playbook", key.as_text().unwrap_or_default())));
        }
        let Some(name) = target.as_str() else {
            self.problems.push(Problem::at(&target.span, "the name of a playbook is expected"));
            return;
        };
        if name.contains("{{") {
            self.problems.push(Problem::at(&target.span, "templates in import_playbook are not supported").hint("name the file"));
            return;
        }
        let path = Self::beside(directory, name);
        let documents = self.documents(&path, Some(&target.span));
        self.plays(&documents, &path, &outer.inside(&own), out);
    }

    fn play(&mut self, node: &Node, directory: &Path, outer: &Keywords) -> Option<Play> {
        if node.entries().is_none() {
            self.problems.push(Problem::at(&node.span, format!("a play is a mapping, this is {}", node.kind())));
            return None;
        }
        let mut keys = Keys::new(node);
        let span = keys.entries.first().map_or_else(|| node.span.clone(), |(k, _)| k.span.clone());
        for (old, new) in [("user", "remote_user"), ("sudo", "become"), ("sudo_user", "become_user")] {
            if let Some((key, _)) = keys.entries.iter().find(|(k, _)| k.as_str() == Some(old)) {
                self.problems.push(Problem::at(&key.span, format!("`{old}` was removed from Ansible")).hint(format!("use `{new}`")));
                keys.take(old);
            }
        }
        let Some(hosts) = keys.take("hosts") else {
            self.problems.push(Problem::at(&span, "this play has no `hosts`"));
            return None;
        };
        let hosts = self.raw(hosts);
        let name = keys.take("name").and_then(Node::as_text);
        let mut own = self.keywords(&mut keys);
        let vars = std::mem::take(&mut own.vars);
        let strategy = self.strategy(keys.take("strategy"));
        let serial = keys.take("serial").map(|n| self.raw(n).value);
        let serial = match serial {
            Some(value) if value.kind() == minijinja::value::ValueKind::Seq => value.try_iter().map(Iterator::collect).unwrap_or_default(),
            Some(value) => vec![value],
            None => Vec::new(),
        };
        let mut raw = |me: &mut Self, key: &str| keys.take(key).map(|n| me.raw(n));
        let gather_facts = raw(self, "gather_facts");
        let max_fail_percentage = raw(self, "max_fail_percentage");
        let force_handlers = raw(self, "force_handlers");
        let order = keys.take("order").and_then(Node::as_text);
        for ignored in ["gather_subset", "gather_timeout", "fact_path"] {
            keys.take(ignored);
        }
        let vars_files = keys.take("vars_files").map(|n| self.list_of_raw(n)).unwrap_or_default();
        let vars_prompt = keys.take("vars_prompt").map(|n| self.prompts(n)).unwrap_or_default();
        let (pre, roles, tasks, post, handlers) =
            (keys.take("pre_tasks"), keys.take("roles"), keys.take("tasks"), keys.take("post_tasks"), keys.take("handlers"));
        for (key, _) in keys.entries {
            let text = key.as_text().unwrap_or_default();
            let problem = Problem::at(&key.span, format!("`{text}` is not a keyword of a play"));
            self.problems.push(match nearest(&text, KEYWORDS.into_iter().chain(super::task::KEYWORDS)) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem,
            });
        }
        let any_errors_fatal = own.any_errors_fatal.clone();
        let keywords = Arc::new(outer.inside(&own));
        let ctx = Context {
            keywords: Arc::clone(&keywords),
            role: None,
            directory: directory.to_owned(),
            playbook_dir: directory.to_owned(),
            handlers: false,
        };
        let pre_tasks = self.section(pre, &ctx);
        let mut play_handlers = Vec::new();
        let mut used = Vec::new();
        let mut entries = Vec::new();
        for item in roles.and_then(Node::items).unwrap_or_default() {
            if let Some(loaded) = self.role_entry(item, &keywords, directory, None) {
                used.push(loaded.role);
                entries.extend(loaded.tasks);
                play_handlers.extend(loaded.handlers);
            }
        }
        if let Some(tasks) = tasks {
            self.entries(tasks, &ctx, &mut entries);
        }
        let post_tasks = self.section(post, &ctx);
        let own_handlers = self.section(handlers, &Context { handlers: true, ..ctx });
        for (role, handlers) in std::mem::take(&mut self.imported) {
            used.push(role);
            play_handlers.extend(handlers);
        }
        play_handlers.extend(tasks_of(&own_handlers));
        Some(Play {
            name,
            span,
            directory: directory.to_owned(),
            hosts,
            strategy,
            serial,
            order,
            gather_facts,
            any_errors_fatal,
            max_fail_percentage,
            force_handlers,
            keywords,
            vars,
            vars_files,
            vars_prompt,
            roles: used,
            pre_tasks,
            tasks: entries.into(),
            post_tasks,
            handlers: play_handlers,
        })
    }

    fn strategy(&mut self, node: Option<&Node>) -> Strategy {
        let Some(node) = node else { return Strategy::Linear };
        match node.as_str().unwrap_or_default() {
            "linear" | "ansible.builtin.linear" | "mitogen_linear" | "debug" => Strategy::Linear,
            "free" | "ansible.builtin.free" | "host_pinned" | "ansible.builtin.host_pinned" | "mitogen_free" => Strategy::Free,
            "kubewright.independent" => Strategy::Independent,
            templated if templated.contains("{{") => {
                self.old_habit(Problem::at(&node.span, "a template in `strategy` is not looked at: linear is used"));
                Strategy::Linear
            }
            other => {
                self.problems.push(Problem::at(&node.span, format!("strategy `{other}` is not known")).hint("linear and free are"));
                Strategy::Linear
            }
        }
    }

    pub(super) fn list_of_raw(&mut self, node: &Node) -> Vec<Raw> {
        match node.items() {
            Some(items) => items.iter().map(|n| self.raw(n)).collect(),
            None if node.is_null() => Vec::new(),
            None => vec![self.raw(node)],
        }
    }

    fn prompts(&mut self, node: &Node) -> Vec<Prompt> {
        let mut out = Vec::new();
        for item in node.items().unwrap_or_default() {
            let text = |key: &str| item.get(key).and_then(Node::as_text);
            let flag = |key: &str, default: bool| item.get(key).and_then(Node::as_bool).unwrap_or(default);
            let Some(name) = text("name") else {
                self.problems.push(Problem::at(&item.span, "a prompt needs a `name`"));
                continue;
            };
            out.push(Prompt {
                prompt: text("prompt").unwrap_or_else(|| name.clone()),
                name,
                default: item.get("default").map(Node::to_value),
                private: flag("private", true),
                confirm: flag("confirm", false),
            });
        }
        out
    }
}
