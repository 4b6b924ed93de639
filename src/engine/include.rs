//! Dynamic includes: files and roles that are loaded when it is known which.

use super::{
    files,
    level::{Kind, Level},
    loops,
    plan::{self, Effect, Item, ItemWork, Planned},
    runner::Runner,
    scope::{HostPlay, Locals, TaskScope},
    settle::Results,
    value,
    world::lock,
};
use crate::{
    inventory::{Raw, RawVars},
    modules::TaskResult,
    playbook::{Action, Builtin, Entries, Keywords, LoadedRole, Loader, Task},
};
use minijinja::Value;
use std::{path::PathBuf, sync::Arc};

impl Runner {
    /// Puts what a dynamic include names on the stack.
    pub(super) async fn include(&mut self, task: &Arc<Task>, scope: &Arc<TaskScope>) {
        let mut planned = Planned::bare(&self.world, task, Arc::clone(scope));
        planned.ignore_errors = plan::flag(&self.world, &**scope, task.keywords.ignore_errors.as_ref()).ok().flatten().unwrap_or_default();
        let rounds = match self.rounds(task, scope) {
            Ok(rounds) => rounds,
            Err(_) if scope.wants_any() => return self.provide(scope.take_wants()).await,
            Err(result) => {
                planned.items = vec![Item { vars: Vec::new(), label: String::new(), work: ItemWork::Done(*result, Effect::None) }];
                let before = self.stack.clone();
                self.consume(task);
                self.settle_known(planned, before);
                return;
            }
        };
        planned.looped = task.loop_.is_some();
        let mut sequence: Vec<(Entries, Arc<Locals>)> = Vec::new();
        let mut results = Results::empty();
        let (mut failed, mut missing) = (false, false);
        for vars in rounds {
            let inner = scope.with(vars.clone());
            let (result, found) = match plan::first_false(&self.world, &inner, &task.keywords.when) {
                Ok(Some(condition)) => (plan::skipped(condition), None),
                Err(e) => (TaskResult::failure(e.to_string()), None),
                Ok(None) => match self.load(task, &inner) {
                    Ok((what, entries)) => {
                        let mut result = TaskResult::default();
                        result.fields.insert("include".to_owned(), Value::from(what));
                        (result, Some(entries))
                    }
                    Err(why) => {
                        missing = true;
                        (TaskResult::failure(why), None)
                    }
                },
            };
            if scope.wants_any() {
                return self.provide(scope.take_wants()).await;
            }
            failed |= result.failed;
            if let Some(entries) = found {
                let mut locals: Locals = vars.clone();
                locals.extend(self.stack.locals().iter().cloned());
                sequence.push((entries, Arc::new(locals)));
            }
            planned.items.push(Item { vars, label: String::new(), work: ItemWork::Done(result.clone(), Effect::None) });
            results.push(result);
        }
        // What cannot be loaded is nothing to ignore, as in Ansible.
        planned.ignore_errors &= !missing;
        let before = self.stack.clone();
        if failed || sequence.is_empty() {
            self.consume(task);
            let rescued = self.host.data().counts.rescued;
            self.settle(planned, results, before);
            // A file that cannot be loaded counts as a failure even where it is rescued (strategy/__init__.py,
            // `_load_included_file`).
            let mut data = self.host.data();
            if missing && data.counts.rescued > rescued {
                data.counts.rescued = rescued;
                data.counts.failed += 1;
            }
            return;
        }
        if self.stack.in_handlers() {
            self.notified.remove(&task.number);
        }
        self.settle(planned, results, before);
        let sequence: Arc<[(Entries, Arc<Locals>)]> = sequence.into();
        if let Some((entries, locals)) = sequence.first().cloned() {
            self.stack.push(Level::new(entries, locals, Kind::Sequence(sequence)));
        }
    }

    /// The loop's rounds; one without variables where there is no loop.
    fn rounds(&self, task: &Task, scope: &TaskScope) -> Result<Vec<Locals>, Box<TaskResult>> {
        let Some(looping) = &task.loop_ else { return Ok(vec![Vec::new()]) };
        match loops::values(&self.world, scope, looping) {
            Ok(_) if scope.wants_any() => Err(Box::default()),
            Ok(values) => Ok((0..values.len()).map(|i| loops::locals(looping, &values, i)).collect()),
            Err(e) => match plan::first_false(&self.world, scope, &task.keywords.when) {
                Ok(Some(condition)) => Err(Box::new(plan::skipped(condition))),
                _ => Err(Box::new(TaskResult::failure(e.to_string()))),
            },
        }
    }

    fn load(&mut self, task: &Arc<Task>, scope: &TaskScope) -> Result<(String, Entries), String> {
        let args = plan::args(&self.world, task, scope).map_err(|e| e.to_string())?.named;
        let keywords = self.passed_on(task)?;
        if matches!(task.action, Action::Builtin(Builtin::IncludeRole)) {
            return self.load_role(task, &args, &keywords);
        }
        let name = args.get("file").map(value::as_text).filter(|n| !n.is_empty()).ok_or("include_tasks needs a file")?;
        let path = self.find(task, &name)?;
        let key = (task.number, path.clone());
        let world = Arc::clone(&self.world);
        let known = lock(&world.includes).get(&key).cloned();
        let entries = if let Some(known) = known {
            known?
        } else {
            let mut loader = Loader::new(&world.load);
            let handlers = self.stack.in_handlers();
            let entries = loader.include(&path, keywords, task.role.clone(), &task.playbook_dir, handlers);
            let loaded = if loader.problems.has_errors() { Err(loader.problems.to_string()) } else { Ok(entries) };
            lock(&world.includes).entry(key).or_insert(loaded).clone()?
        };
        Ok((name, entries))
    }

    fn find(&self, task: &Task, name: &str) -> Result<PathBuf, String> {
        let beside = task.directory.join(name);
        if self.world.load.files.is_file(&beside) {
            return Ok(beside);
        }
        files::find(&self.world, task, "tasks", name)
    }

    /// The keywords for what is included: those around the include, its `apply`, and its variables as parameters.
    fn passed_on(&self, task: &Task) -> Result<Arc<Keywords>, String> {
        let mut keywords = (*task.outer).clone();
        if let Some(apply) = task.args.named.get("apply") {
            let mut loader = Loader::new(&self.world.load);
            let own = loader.apply(&apply.value);
            if loader.problems.has_errors() {
                return Err(loader.problems.to_string());
            }
            keywords = keywords.inside(&own);
        }
        // `keywords.vars` of the task holds what is around it too: only its own variables are parameters.
        let own: RawVars = task
            .keywords
            .vars
            .iter()
            .filter(|(name, raw)| task.outer.vars.get(*name).is_none_or(|o| o.value != raw.value))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        keywords.params.extend(own);
        let options = ["file", "apply"];
        if matches!(task.action, Action::Builtin(Builtin::IncludeTasks)) {
            keywords
                .params
                .extend(task.args.named.iter().filter(|(k, _)| !options.contains(&k.as_str())).map(|(k, v)| (k.clone(), v.clone())));
        }
        Ok(Arc::new(keywords))
    }

    fn load_role(
        &mut self,
        task: &Arc<Task>,
        args: &indexmap::IndexMap<String, Value>,
        keywords: &Arc<Keywords>,
    ) -> Result<(String, Entries), String> {
        let name = args.get("name").map(value::as_text).filter(|n| !n.is_empty()).ok_or("include_role needs a name")?;
        let named: RawVars = args.iter().map(|(k, v)| (k.clone(), Raw { value: v.clone(), span: None })).collect();
        let used = crate::playbook::role_use(name.clone(), &named);
        let key = (task.number, format!("{used:?}"));
        let world = Arc::clone(&self.world);
        let known = lock(&world.roles).get(&key).cloned();
        let loaded: Arc<LoadedRole> = if let Some(known) = known {
            known?
        } else {
            let mut loader = Loader::new(&world.load);
            let loaded = loader.role(&used, &task.span, keywords, &task.playbook_dir, task.role.as_ref());
            let loaded = match loaded {
                Some(loaded) if !loader.problems.has_errors() => Ok(Arc::new(loaded)),
                _ => Err(loader.problems.to_string()),
            };
            lock(&world.roles).entry(key).or_insert(loaded).clone()?
        };
        for handler in &loaded.handlers {
            if !self.handlers.iter().any(|h| h.number == handler.number) {
                self.handlers.push(Arc::clone(handler));
            }
        }
        if args.get("public").and_then(value::as_bool).unwrap_or_default() {
            let mut own = HostPlay { vars: self.own.vars.clone(), roles: self.own.roles.clone() };
            own.roles.push(Arc::clone(&loaded.role));
            self.own = Arc::new(own);
        }
        Ok((name, loaded.tasks.clone().into()))
    }

    /// `meta:`.
    pub(super) async fn meta(&mut self, task: &Arc<Task>, scope: &TaskScope) {
        let action = task.args.free_form.as_ref().map(|r| value::as_text(&r.value)).unwrap_or_default();
        match plan::first_false(&self.world, scope, &task.keywords.when) {
            Ok(None) => {}
            Ok(Some(condition)) => {
                // Told, but not counted.
                let mut planned = Planned::bare(&self.world, task, Arc::new(self.scope(Some(task), self.stack.locals())));
                planned.items =
                    vec![Item { vars: Vec::new(), label: String::new(), work: ItemWork::Done(plan::skipped(condition), Effect::None) }];
                let before = self.stack.clone();
                self.consume(task);
                self.settle_known(planned, before);
                let mut data = self.host.data();
                data.counts.skipped = data.counts.skipped.saturating_sub(1);
                return;
            }
            Err(_) if scope.wants_any() => return self.provide(scope.take_wants()).await,
            Err(e) => return self.fail_here(&e.to_string()),
        }
        match action.as_str() {
            "flush_handlers" => {
                if self.stack.in_handlers() || !self.flush() {
                    self.consume(task);
                }
                return;
            }
            "end_play" | "end_batch" => self.run.end(),
            "end_host" => self.stack = super::level::Stack::default(),
            "end_role" => self.end_role(task),
            "clear_facts" => {
                for name in &self.run.batch {
                    let host = self.world.host(name);
                    let mut data = host.data();
                    data.facts.clear();
                    data.asked.clear();
                    data.asked_all = false;
                    data.facts_on = false;
                }
            }
            "clear_host_errors" => {
                let names = self.run.batch.clone();
                for name in names {
                    let host = self.world.host(&name);
                    let mut data = host.data();
                    data.failed = None;
                    data.unreachable = None;
                }
            }
            "reset_connection" => super::connect::forget(&self.world, &self.host.name).await,
            _ => {}
        }
        self.consume(task);
    }

    fn end_role(&mut self, task: &Task) {
        let Some(role) = &task.role else { return };
        let identity = &role.identity;
        while let Some(top) = self.stack.0.last_mut() {
            let end = top
                .entries
                .iter()
                .enumerate()
                .skip(top.at)
                .find(|(_, e)| matches!(e, crate::playbook::Entry::Role(r, false) if r.identity == *identity));
            if let Some((end, _)) = end {
                top.at = end;
                return;
            }
            if self.stack.0.len() == 1 {
                return;
            }
            self.stack.pop();
        }
    }
}
