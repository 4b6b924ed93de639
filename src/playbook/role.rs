//! Roles: where they lie and what is in them.

use super::{Entry, Keywords, Loader, Role, Task, context::Context, keywords::Keys};
use crate::{
    inventory::RawVars,
    text::{Problem, Span},
    yaml::Node,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// How a role is used at one place.
#[derive(Clone, Debug, Default)]
pub struct RoleUse {
    /// Name or path.
    pub name: String,
    /// `tasks_from`.
    pub tasks_from: Option<String>,
    /// `vars_from`.
    pub vars_from: Option<String>,
    /// `defaults_from`.
    pub defaults_from: Option<String>,
    /// `handlers_from`.
    pub handlers_from: Option<String>,
    /// `allow_duplicates` of an include.
    pub allow_duplicates: Option<bool>,
    /// Parameters, conditions and tags of the entry in `roles`: two uses that differ here are two roles.
    pub identity: String,
}

/// A role that was read.
#[derive(Debug, Default)]
pub struct LoadedRole {
    /// The role itself.
    pub role: Arc<Role>,
    /// Its tasks, those of its dependencies first.
    pub tasks: Vec<Entry>,
    /// Handlers, those of its dependencies first.
    pub handlers: Vec<Arc<Task>>,
}

impl Loader<'_> {
    /// The directory of a role, or the places that were searched.
    pub fn find_role(&self, name: &str, playbook_dir: &Path, from: Option<&Role>) -> Result<PathBuf, Vec<PathBuf>> {
        let mut places = vec![playbook_dir.join("roles")];
        if let Some(parent) = from.and_then(|r| r.directory.parent()) {
            places.push(parent.to_owned());
        }
        places.extend(self.options.roles_path.iter().cloned());
        places.push(playbook_dir.to_owned());
        if Path::new(name).is_absolute() {
            places = vec![PathBuf::new()];
        }
        let tried: Vec<PathBuf> = places.iter().map(|p| Self::beside(p, name)).collect();
        tried.iter().find(|p| self.options.files.is_dir(p)).cloned().ok_or(tried)
    }

    /// Reads a role with its dependencies. `keywords` hold for all of its tasks.
    pub fn role(
        &mut self,
        used: &RoleUse,
        at: &Span,
        keywords: &Arc<Keywords>,
        playbook_dir: &Path,
        parent: Option<&Arc<Role>>,
    ) -> Option<LoadedRole> {
        let directory = match self.find_role(&used.name, playbook_dir, parent.map(AsRef::as_ref)) {
            Ok(directory) => directory,
            Err(tried) => {
                let tried: Vec<String> = tried.iter().map(|p| p.display().to_string()).collect();
                self.problems
                    .push(Problem::at(at, format!("there is no role `{}`", used.name)).hint(format!("looked for {}", tried.join(", "))));
                return None;
            }
        };
        let mut parents = parent.map(|p| p.parents.clone()).unwrap_or_default();
        if parents.len() > 40 {
            self.problems.push(Problem::at(at, format!("role `{}` depends on itself", used.name)));
            return None;
        }
        parents.extend(parent.map(|p| (p.name.clone(), p.directory.clone())));
        let identity = format!("{} {:?} {}", directory.display(), used.tasks_from, used.identity);
        let name = used.name.trim_end_matches('/').rsplit('/').next().unwrap_or(&used.name).to_owned();
        let dependency = parent.is_some_and(|p| p.identity.is_empty());
        let mut role = Role { dependency, name, identity, directory: directory.clone(), parents, ..Role::default() };
        role.defaults = self.role_vars(&directory.join("defaults"), used.defaults_from.as_deref(), at);
        role.vars = self.role_vars(&directory.join("vars"), used.vars_from.as_deref(), at);

        let (mut tasks, mut handlers) = (Vec::new(), Vec::new());
        let shell =
            Arc::new(Role { name: role.name.clone(), directory: directory.clone(), parents: role.parents.clone(), ..Role::default() });
        if let Some(path) = self.options.files.yaml(&directory.join("meta/main")) {
            for meta in self.documents(&path, Some(at)) {
                role.allow_duplicates = meta.get("allow_duplicates").and_then(Node::as_bool).unwrap_or_default();
                for dependency in meta.get("dependencies").and_then(Node::items).unwrap_or_default() {
                    if let Some(loaded) = self.role_entry(dependency, keywords, playbook_dir, Some(&shell)) {
                        role.dependencies.push(loaded.role);
                        tasks.extend(loaded.tasks);
                        handlers.extend(loaded.handlers);
                    }
                }
            }
        }
        role.allow_duplicates = used.allow_duplicates.unwrap_or(role.allow_duplicates);
        let role = Arc::new(role);
        let ctx = Context {
            keywords: Arc::clone(keywords),
            role: Some(Arc::clone(&role)),
            directory: directory.join("tasks"),
            playbook_dir: playbook_dir.to_owned(),
            handlers: false,
        };
        tasks.push(Entry::Role(Arc::clone(&role), true));
        self.role_tasks(&directory, used, at, &ctx, &mut tasks);
        tasks.push(Entry::Role(Arc::clone(&role), false));
        let from = used.handlers_from.as_deref();
        if let Some(path) = self.options.files.yaml(&directory.join("handlers").join(from.unwrap_or("main"))) {
            let mut entries = Vec::new();
            self.task_file(&path, Some(at), &Context { handlers: true, ..ctx }, &mut entries);
            handlers.extend(tasks_of(&entries));
        }
        Some(LoadedRole { role, tasks, handlers })
    }

    fn role_tasks(&mut self, directory: &Path, used: &RoleUse, at: &Span, ctx: &Context, out: &mut Vec<Entry>) {
        let name = used.tasks_from.as_deref().unwrap_or("main");
        match self.options.files.yaml(&directory.join("tasks").join(name)) {
            Some(path) => self.task_file(&path, Some(at), ctx, out),
            None if used.tasks_from.is_some() => {
                self.problems.push(Problem::at(at, format!("role `{}` has no tasks/{name}", used.name)));
            }
            None => {}
        }
    }

    fn role_vars(&mut self, directory: &Path, from: Option<&str>, at: &Span) -> RawVars {
        let base = directory.join(from.unwrap_or("main"));
        let files = self.options.files.clone();
        let mut vars = RawVars::new();
        let paths = match files.yaml(&base) {
            Some(path) => vec![path],
            None if files.is_dir(&base) => files.tree(&base).into_iter().map(|p| base.join(p)).collect(),
            None => Vec::new(),
        };
        if paths.is_empty() && from.is_some() {
            self.problems.push(Problem::at(at, format!("there is no {}", base.display())));
        }
        for path in paths {
            vars.extend(self.vars_file(&path, Some(at)));
        }
        vars
    }

    /// The variables of a file.
    pub fn vars_file(&mut self, path: &Path, at: Option<&Span>) -> RawVars {
        let mut vars = RawVars::new();
        for document in self.documents(path, at) {
            vars.extend(self.vars(&document, "a file of variables"));
        }
        vars
    }

    /// One entry of `roles:` or of a role's `dependencies`.
    pub(super) fn role_entry(
        &mut self,
        node: &Node,
        outer: &Arc<Keywords>,
        playbook_dir: &Path,
        parent: Option<&Arc<Role>>,
    ) -> Option<LoadedRole> {
        if let Some(name) = node.as_str() {
            let used = RoleUse { name: name.to_owned(), ..RoleUse::default() };
            return self.role(&used, &node.span, outer, playbook_dir, parent);
        }
        let mut keys = Keys::new(node);
        let name = keys.take("role").or_else(|| keys.take("name")).and_then(Node::as_text);
        keys.take("name");
        let Some(name) = name else {
            self.problems.push(Problem::at(&node.span, "an entry of `roles` is a name, or a mapping with `role`"));
            return None;
        };
        let mut own = self.keywords(&mut keys);
        // Inline parameters win over facts that were set (role params); its `vars` only over the role's own variables.
        for (key, value) in keys.entries {
            let raw = self.raw(value);
            own.params.insert(key.as_text().unwrap_or_default(), raw);
        }
        let used = RoleUse { name, identity: identity(&own), ..RoleUse::default() };
        let span = node.entries().and_then(|e| e.first()).map_or_else(|| node.span.clone(), |(k, _)| k.span.clone());
        self.role(&used, &span, &Arc::new(outer.inside(&own)), playbook_dir, parent)
    }
}

/// What makes two uses of a role the same one (ansible-core: playbook/role/__init__.py `hash_params`).
fn identity(keywords: &Keywords) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for (name, raw) in keywords.params.iter().chain(&keywords.vars) {
        let _ = write!(out, " {name}={}", raw.value);
    }
    for condition in &keywords.when {
        let _ = write!(out, " when {}", condition.text);
    }
    let _ = write!(out, " {:?}", keywords.tags);
    out
}

/// All tasks of a list, those in blocks included.
pub(crate) fn tasks_of(entries: &[Entry]) -> Vec<Arc<Task>> {
    let mut out = Vec::new();
    for entry in entries {
        match entry {
            Entry::Task(task) => out.push(Arc::clone(task)),
            Entry::Block(block) => {
                for section in [&block.body, &block.rescue, &block.always] {
                    out.extend(tasks_of(section));
                }
            }
            Entry::Flush | Entry::Role(..) => {}
        }
    }
    out
}
