//! Tasks.

use super::{
    Action, Builtin, Entry, Keywords, Loader, Loop, RawArgs, Task,
    actions::{self, META, Takes},
    args,
    context::Context,
    keywords::Keys,
    role::RoleUse,
};
use crate::{
    inventory::{Raw, RawVars},
    modules::{self, Args, ModuleDef},
    text::{Problem, Span, nearest},
    yaml::Node,
};
use minijinja::Value;
use std::sync::{Arc, OnceLock};

/// Keywords of a task, for "did you mean".
pub(super) const KEYWORDS: [&str; 46] = [
    "name",
    "when",
    "register",
    "changed_when",
    "failed_when",
    "until",
    "retries",
    "delay",
    "notify",
    "listen",
    "loop",
    "loop_control",
    "tags",
    "vars",
    "become",
    "become_user",
    "become_method",
    "become_flags",
    "environment",
    "ignore_errors",
    "ignore_unreachable",
    "delegate_to",
    "delegate_facts",
    "run_once",
    "no_log",
    "check_mode",
    "diff",
    "args",
    "action",
    "local_action",
    "async",
    "poll",
    "throttle",
    "timeout",
    "any_errors_fatal",
    "module_defaults",
    "connection",
    "remote_user",
    "port",
    "collections",
    "debugger",
    "block",
    "rescue",
    "always",
    "with_items",
    "with_dict",
];

/// What a task's mapping says before its action is looked at.
struct Head<'n> {
    name: Option<String>,
    span: Span,
    own: Keywords,
    args: Option<&'n Node>,
    action: Option<(String, &'n Node)>,
}

impl Loader<'_> {
    pub(super) fn task(&mut self, node: &Node, ctx: &Context, out: &mut Vec<Entry>) {
        self.seen.0 += 1;
        let (before, entries, counted) = (self.problems.0.len(), out.len(), self.seen.1);
        self.task_inner(node, ctx, out);
        // The problems of a file that it includes are those of its tasks.
        if self.problems.0.len() > before && self.seen.1 == counted {
            self.seen.1 += 1;
            if let [Entry::Task(task)] = &mut out[entries..]
                && self.options.allow_unsupported
            {
                self.put_off(before, task);
            }
        }
    }

    /// Makes the problems of a task its failure: warnings now, an error if it is reached.
    fn put_off(&mut self, from: usize, task: &mut Arc<Task>) {
        let Some(task) = Arc::get_mut(task) else { return };
        let problems: Vec<Problem> = self.problems.0.drain(from..).collect();
        let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
        task.action = Action::Builtin(Builtin::Unsupported);
        task.args = RawArgs { free_form: Some(Raw { value: Value::from(said.join("; ")), span: None }), ..RawArgs::default() };
        self.warnings.0.extend(problems.into_iter().map(Problem::warning));
    }

    fn task_inner(&mut self, node: &Node, ctx: &Context, out: &mut Vec<Entry>) {
        let mut keys = Keys::new(node);
        let span = keys.entries.first().map_or_else(|| node.span.clone(), |(k, _)| k.span.clone());
        let name = keys.take("name").and_then(Node::as_text);
        let own = self.keywords(&mut keys);
        let mut conditions = |me: &mut Self, key: &str| keys.take(key).map(|n| me.conditions(n));
        let changed_when = conditions(self, "changed_when");
        let failed_when = conditions(self, "failed_when");
        let until = conditions(self, "until");
        let mut raw = |me: &mut Self, key: &str| keys.take(key).filter(|n| !n.is_null()).map(|n| me.raw(n));
        let retries = raw(self, "retries");
        let delay = raw(self, "delay");
        let async_ = raw(self, "async");
        let poll = raw(self, "poll");
        let register = keys.take("register").and_then(|n| self.identifier(n));
        let notify: Vec<Raw> = keys.take("notify").map(|n| self.list_of_raw(n)).unwrap_or_default();
        let listen = keys.take("listen").map(|n| self.texts(n, false)).unwrap_or_default();
        let args_node = keys.take("args");
        let loop_ = self.loop_(&mut keys);
        let mut head = Head { name, span, own, args: args_node, action: None };
        self.action_key(keys, &mut head);
        let (action, args) = match self.action(&mut head, node) {
            Some(known) => known,
            None if self.options.allow_unsupported => (Action::Builtin(Builtin::Unsupported), RawArgs::default()),
            None => return,
        };
        match action {
            Action::Builtin(Builtin::ImportTasks) => return self.import_tasks(&head, &args, loop_.is_some(), ctx, out),
            Action::Builtin(Builtin::ImportRole) => return self.import_role(&head, &args, loop_.is_some(), ctx, out),
            Action::Builtin(Builtin::IncludeTasks) => self.preload(&args, &head.own, ctx),
            _ => {}
        }
        let keywords = Arc::new(ctx.keywords.inside(&head.own));
        let mut notify_all = keywords.notify.clone();
        notify_all.extend(notify);
        out.push(Entry::Task(Arc::new(Task {
            number: self.number(),
            name: head.name,
            span: head.span,
            action,
            args,
            keywords,
            outer: Arc::clone(&ctx.keywords),
            loop_,
            register,
            changed_when,
            failed_when,
            until,
            retries,
            delay,
            notify: notify_all,
            listen,
            async_,
            poll,
            role: ctx.role.clone(),
            directory: ctx.directory.clone(),
            playbook_dir: ctx.playbook_dir.clone(),
            analysis: OnceLock::new(),
        })));
    }

    /// The action that a task names, with its arguments; a problem if there is no such action.
    fn action(&mut self, head: &mut Head<'_>, node: &Node) -> Option<(Action, RawArgs)> {
        let (module, value) = head.action.take()?;
        let Some((action, old)) = actions::find(&module) else {
            self.unknown_module(&module, &head.span, node);
            return None;
        };
        if old {
            self.old_habit(Problem::at(&head.span, format!("`{module}` was removed from Ansible: it is read as include_tasks")));
        }
        Some((action, self.args(action, value, head.args, &head.own)))
    }

    fn identifier(&mut self, node: &Node) -> Option<String> {
        let text = node.as_text().unwrap_or_default();
        let valid =
            text.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_') && text.chars().all(|c| c.is_alphanumeric() || c == '_');
        if !valid {
            self.problems.push(Problem::at(&node.span, format!("`{text}` is not a name for a variable")));
        }
        valid.then_some(text)
    }

    fn unknown_module(&mut self, module: &str, span: &Span, node: &Node) {
        let at = node.entries().into_iter().flatten().find(|(k, _)| k.as_str() == Some(module)).map_or(span, |(k, _)| &k.span);
        let problem = Problem::at(at, format!("module or keyword `{module}` is not supported"));
        let known = super::table::names().chain(KEYWORDS);
        self.problems.push(match nearest(module, known) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem,
        });
    }

    /// The one key that is left is the action.
    fn action_key<'n>(&mut self, mut keys: Keys<'n>, head: &mut Head<'n>) {
        let local = keys.take("local_action");
        if let Some(node) = local.or_else(|| keys.take("action")) {
            if local.is_some() {
                head.own.delegate_to = Some(Raw { value: Value::from("localhost"), span: Some(node.span.clone()) });
            }
            let module = match node.get("module").or_else(|| node.get("name")) {
                Some(module) => module.as_text(),
                None => node.as_str().and_then(|t| t.split_whitespace().next()).map(str::to_owned),
            };
            match module {
                Some(module) => head.action = Some((module, node)),
                None => self.problems.push(Problem::at(&node.span, "an action names a module first")),
            }
        }
        for (key, value) in keys.entries {
            let text = key.as_text().unwrap_or_default();
            if head.action.is_none() && actions::find(&text).is_some() {
                head.action = Some((text, value));
                continue;
            }
            let problem = match &head.action {
                Some((action, _)) => Problem::at(&key.span, format!("`{text}` is neither a keyword nor an option of `{action}` here")),
                None if text.starts_with("with_") => Problem::at(&key.span, format!("`{text}` is not a known lookup")),
                None => Problem::at(&key.span, format!("module or keyword `{text}` is not supported")),
            };
            let near = nearest(&text, KEYWORDS.into_iter().chain(super::table::names()));
            self.problems.push(match near {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem,
            });
        }
        if head.action.is_none() && head.args.is_none() && self.problems.0.is_empty() {
            self.problems.push(Problem::at(&head.span, "this task does nothing: it names no module"));
        }
    }

    /// Arguments in all the forms in which people write them.
    fn args(&mut self, action: Action, value: &Node, more: Option<&Node>, own: &Keywords) -> RawArgs {
        let mut args = RawArgs::default();
        let takes_text = match action {
            Action::Module(def) => def.free_form.then_some(""),
            Action::Builtin(b) => b.free_form(),
        };
        let is_action = value.get("module").is_some();
        if let Some(entries) = value.entries() {
            for (key, node) in entries {
                let name = key.as_text().unwrap_or_default();
                if is_action && name == "module" {
                    continue;
                }
                self.argument(action, key, &name, node, &mut args);
            }
        } else if let Some(text) = value.as_text() {
            let raw = |text: String| Raw { value: Value::from(text), span: Some(value.span.clone()) };
            // `action: module a=b` and `local_action: module a=b`.
            let text = text.trim_start();
            let text = match text.split_once(char::is_whitespace) {
                Some((first, rest))
                    if actions::find(first).is_some_and(|(a, _)| a.name() == action.name())
                        && !first.contains('=')
                        && self.is_action_key(value) =>
                {
                    rest
                }
                None if actions::find(text).is_some() && self.is_action_key(value) => "",
                _ => text,
            };
            let free = matches!(action, Action::Module(def) if def.free_form);
            match if free { args::free_form(text) } else { args::key_values(text) } {
                Ok((pairs, rest)) => {
                    let only_text = pairs.is_empty();
                    for (key, text) in pairs {
                        self.known_option(action, &value.span, &key);
                        args.named.insert(key, raw(text));
                    }
                    match (rest, takes_text) {
                        (Some(rest), Some("")) => args.free_form = Some(raw(rest)),
                        (Some(rest), Some(key)) => {
                            args.named.insert(key.to_owned(), raw(rest));
                        }
                        (Some(rest), None) if only_text && rest.starts_with("{{") => args.dynamic = Some(raw(rest)),
                        (Some(rest), None) => {
                            self.problems
                                .push(Problem::at(&value.span, format!("`{}` takes options, not the text `{rest}`", action.name())));
                        }
                        (None, _) => {}
                    }
                }
                Err(why) => self.problems.push(Problem::at(&value.span, why)),
            }
            self.check_value(&Value::from(text), &value.span);
        } else if let Some(items) = value.items() {
            let text: Option<Vec<String>> = items.iter().map(Node::as_text).collect();
            match (text, takes_text) {
                (Some(argv), Some("")) => {
                    args.named.insert("argv".to_owned(), Raw { value: argv.into_iter().collect(), span: Some(value.span.clone()) });
                }
                _ => self.problems.push(Problem::at(&value.span, format!("options of `{}` are a mapping, not a list", action.name()))),
            }
        }
        if let Some(more) = more {
            match more.entries() {
                Some(entries) => {
                    for (key, node) in entries {
                        let name = key.as_text().unwrap_or_default();
                        self.argument(action, key, &name, node, &mut args);
                    }
                }
                None => args.dynamic = Some(self.raw(more)),
            }
        }
        self.check_args(action, &args, &value.span, !own.module_defaults.is_empty());
        args
    }

    /// Whether a node stands under `action:` or `local_action:`.
    #[expect(clippy::unused_self, reason = "reads better beside its callers")]
    fn is_action_key(&self, value: &Node) -> bool {
        let before = value.span.file.text.get(..value.span.start).unwrap_or_default();
        let before = before.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '>' | '|' | '-'));
        before.ends_with("action:")
    }

    fn argument(&mut self, action: Action, key: &Node, name: &str, node: &Node, args: &mut RawArgs) {
        // Conditions and expressions are not templated as text.
        let expression = matches!((action, name), (Action::Builtin(Builtin::Assert), "that") | (Action::Builtin(Builtin::Debug), "var"));
        let value = if expression {
            if name == "that" {
                self.conditions(node);
            }
            Raw { value: self.value(node), span: Some(node.span.clone()) }
        } else {
            self.raw(node)
        };
        let takes_text = match action {
            Action::Module(def) => def.free_form,
            Action::Builtin(_) => false,
        };
        if takes_text && matches!(name, "_raw_params" | "free_form") {
            args.free_form = Some(value);
            return;
        }
        self.known_option(action, &key.span, name);
        args.named.insert(name.to_owned(), value);
    }

    /// Refuses an option that the action does not have.
    fn known_option(&mut self, action: Action, at: &Span, name: &str) {
        let has = match action {
            Action::Module(def) => takes_any(def) || option(def, name).is_some(),
            Action::Builtin(b) => match b.takes() {
                Takes::Only(known) => known.contains(&name),
                Takes::Any => true,
            },
        };
        // `include_tasks: file.yml a=b`: variables, an old habit.
        let variables = matches!(action, Action::Builtin(Builtin::IncludeTasks | Builtin::ImportTasks));
        if !has && !variables {
            self.unknown_option(action, at, name);
        }
    }

    fn unknown_option(&mut self, action: Action, at: &Span, name: &str) {
        let known: Vec<&str> = match action {
            Action::Module(def) => def.options.iter().map(|o| o.name).collect(),
            Action::Builtin(b) => match b.takes() {
                Takes::Only(known) => known.to_vec(),
                Takes::Any => Vec::new(),
            },
        };
        let problem = Problem::at(at, format!("`{}` has no option `{name}` that is supported", action.name()));
        self.problems.push(match nearest(name, known.iter().copied()) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.hint(format!("supported are {}", known.join(", "))),
        });
    }

    /// Required options and choices, as far as they can be known.
    fn check_args(&mut self, action: Action, args: &RawArgs, at: &Span, defaults: bool) {
        match action {
            Action::Module(def) => {
                for (name, raw) in args.named.iter().filter(|(name, _)| option(def, name).is_some()) {
                    let one = Args { named: [(name.clone(), raw.value.clone())].into_iter().collect(), free_form: None };
                    let wrong = modules::validate_static(def, &one);
                    // What is missing is said once, below.
                    for why in wrong.into_iter().filter(|w| w.starts_with(&format!("{name}: "))) {
                        self.problems.push(Problem::at(raw.span.as_ref().unwrap_or(at), format!("`{}`: {why}", action.name())));
                    }
                }
                if args.dynamic.is_some() || defaults {
                    return;
                }
                for spec in def.options.iter().filter(|o| o.required) {
                    if !args.named.keys().any(|n| n == spec.name || spec.aliases.contains(&n.as_str())) {
                        self.problems.push(Problem::at(at, format!("`{}` needs `{}`", action.name(), spec.name)));
                    }
                }
            }
            Action::Builtin(Builtin::Meta) => {
                let name = args.free_form.as_ref().and_then(|r| r.value.as_str()).unwrap_or_default();
                if !META.contains(&name) {
                    self.problems.push(Problem::at(at, format!("meta `{name}` is not known")).hint(format!("one of {}", META.join(", "))));
                }
            }
            Action::Builtin(Builtin::IncludeTasks | Builtin::ImportTasks) if !args.named.contains_key("file") => {
                self.problems.push(Problem::at(at, format!("`{}` needs a file", action.name())));
            }
            Action::Builtin(Builtin::IncludeRole | Builtin::ImportRole) if !args.named.contains_key("name") => {
                self.problems.push(Problem::at(at, format!("`{}` needs a name", action.name())));
            }
            Action::Builtin(_) => {}
        }
    }

    fn loop_(&mut self, keys: &mut Keys<'_>) -> Option<Loop> {
        let control = keys.take("loop_control");
        let with = keys.entries.iter().find_map(|(k, _)| k.as_str()?.strip_prefix("with_").map(str::to_owned));
        let (lookup, node) = if let Some(node) = keys.take("loop") {
            (None, node)
        } else {
            let with = with?;
            let node = keys.take(&format!("with_{with}"))?;
            (Some(with), node)
        };
        let mut over = self.raw(node);
        if lookup.is_some() {
            self.bare_variable(&mut over, node);
        }
        let mut out = Loop {
            lookup,
            over,
            var: "item".to_owned(),
            index_var: None,
            label: None,
            pause: None,
            extended: false,
            break_when: Vec::new(),
        };
        let Some(control) = control else { return Some(out) };
        let mut keys = Keys::new(control);
        if let Some(node) = keys.take("loop_var") {
            out.var = self.identifier(node).unwrap_or(out.var);
        }
        out.index_var = keys.take("index_var").and_then(|n| self.identifier(n));
        out.label = keys.take("label").map(|n| self.raw(n));
        out.pause = keys.take("pause").map(|n| self.raw(n));
        out.extended = keys.take("extended").and_then(Node::as_bool).unwrap_or_default();
        keys.take("extended_allitems");
        out.break_when = keys.take("break_when").map(|n| self.conditions(n)).unwrap_or_default();
        for (key, _) in keys.entries {
            self.problems.push(Problem::at(&key.span, format!("`{}` is not a key of loop_control", key.as_text().unwrap_or_default())));
        }
        Some(out)
    }

    /// `with_items: packages` means the variable, an old habit.
    fn bare_variable(&mut self, over: &mut Raw, node: &Node) {
        let Some(text) = node.as_str() else { return };
        let name =
            text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.') && text.starts_with(|c: char| c.is_alphabetic() || c == '_');
        if name && !text.contains("..") && node.style == crate::yaml::Style::Plain {
            self.warnings
                .push(Problem::at(&node.span, format!("`{text}` is read as text")).hint("for the variable write \"{{ … }}\"").warning());
        }
        over.value = Value::from(text);
    }

    /// A literal dynamic include is read now, so that its problems show with all others.
    fn preload(&mut self, args: &RawArgs, own: &Keywords, ctx: &Context) {
        let Some(file) = args.named.get("file") else { return };
        let Some(name) = file.value.as_str().filter(|n| !n.contains("{{")) else { return };
        let path = Self::beside(&ctx.directory, name);
        if self.open.contains(&path) || !self.options.files.is_file(&path) {
            // Recursion is allowed in dynamic includes, and a file may appear later or be elsewhere.
            return;
        }
        let numbers = self.options.numbers.load(std::sync::atomic::Ordering::Relaxed);
        let mut unused = Vec::new();
        let before = self.problems.0.len();
        self.task_file(&path, file.span.as_ref(), &ctx.inside(own), &mut unused);
        if self.problems.0.len() == before {
            // The engine loads it again when it runs: do not waste numbers.
            self.options.numbers.store(numbers, std::sync::atomic::Ordering::Relaxed);
        }
    }

    fn import_tasks(&mut self, head: &Head<'_>, args: &RawArgs, looped: bool, ctx: &Context, out: &mut Vec<Entry>) {
        self.seen.0 -= 1;
        let Some(file) = args.named.get("file") else { return };
        let at = file.span.clone().unwrap_or_else(|| head.span.clone());
        let Some(name) = self.static_name(file, looped, "import_tasks", "include_tasks") else { return };
        let mut own = head.own.clone();
        for (key, raw) in args.named.iter().filter(|(k, _)| *k != "file") {
            own.vars.insert(key.clone(), raw.clone());
        }
        let mut places = vec![Self::beside(&ctx.directory, &name)];
        if let Some(role) = &ctx.role {
            places.push(role.directory.join(if ctx.handlers { "handlers" } else { "tasks" }).join(&name));
        }
        places.push(Self::beside(&ctx.playbook_dir, &name));
        let path = places.iter().find(|p| self.options.files.is_file(p)).unwrap_or(&places[0]).clone();
        self.task_file(&path, Some(&at), &ctx.inside(&own), out);
    }

    fn static_name(&mut self, raw: &Raw, looped: bool, what: &str, instead: &str) -> Option<String> {
        let at = raw.span.clone()?;
        if looped {
            self.problems.push(Problem::at(&at, format!("{what} cannot be looped")).hint(format!("use {instead}")));
            return None;
        }
        let text = raw.value.as_str().unwrap_or_default();
        if text.contains("{{") {
            self.problems.push(Problem::at(&at, format!("a template in {what} is not supported")).hint(format!("use {instead}")));
            return None;
        }
        Some(text.to_owned())
    }

    fn import_role(&mut self, head: &Head<'_>, args: &RawArgs, looped: bool, ctx: &Context, out: &mut Vec<Entry>) {
        self.seen.0 -= 1;
        let Some(name) = args.named.get("name") else { return };
        let Some(name) = self.static_name(name, looped, "import_role", "include_role") else { return };
        let used = role_use(name, &args.named);
        let keywords = Arc::new(ctx.keywords.inside(&head.own));
        let Some(loaded) = self.role(&used, &head.span, &keywords, &ctx.playbook_dir.clone(), ctx.role.as_ref()) else { return };
        out.extend(loaded.tasks);
        self.imported.push((loaded.role, loaded.handlers));
    }
}

/// `include_role`'s and `import_role`'s options.
pub(crate) fn role_use(name: String, named: &RawVars) -> RoleUse {
    let text = |key: &str| named.get(key).and_then(|r| r.value.as_str()).map(str::to_owned);
    RoleUse {
        name,
        tasks_from: text("tasks_from"),
        vars_from: text("vars_from"),
        defaults_from: text("defaults_from"),
        handlers_from: text("handlers_from"),
        // As include_role and import_role have it.
        allow_duplicates: Some(named.get("allow_duplicates").is_none_or(|r| r.value.is_true())),
        identity: String::new(),
    }
}

/// A module's option by name or alias.
pub(super) fn option<'d>(def: &'d ModuleDef, name: &str) -> Option<&'d crate::modules::OptionSpec> {
    def.options.iter().find(|o| o.name == name || o.aliases.contains(&name))
}

/// Whether a module takes any option: its table has the name `*`.
fn takes_any(def: &ModuleDef) -> bool {
    def.options.iter().any(|o| o.name == "*")
}
