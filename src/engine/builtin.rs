//! Actions of the engine whose result is known without a host: `set_fact`, `debug`, `assert`, `fail`, `include_vars`.

use super::{
    files,
    plan::{self, Effect, ItemWork, Obstacle},
    scope::TaskScope,
    value,
    world::{World, lock},
};
use crate::{
    inventory::RawVars,
    modules::{Control, TaskResult},
    playbook::{Builtin, Condition, Loader, Task},
    template::Kind,
    vault::is_encrypted,
};
use minijinja::Value;
use std::{path::Path, sync::Arc};

pub(super) fn work(world: &World, task: &Arc<Task>, builtin: Builtin, scope: &TaskScope) -> Result<ItemWork, Obstacle> {
    let done = |result| Ok(ItemWork::Done(result, Effect::None));
    match builtin {
        Builtin::SetFact => done(set_fact(world, task, scope)?),
        Builtin::Debug => done(debug(world, task, scope)?),
        Builtin::Assert => done(assert(world, task, scope)?),
        Builtin::Fail => {
            let args = plan::args(world, task, scope)?;
            let msg = args.named.get("msg").map_or_else(|| "Failed as requested from task".to_owned(), value::as_text);
            done(TaskResult::failure(msg))
        }
        Builtin::IncludeVars => include_vars(world, task, scope),
        Builtin::AddHost => {
            let mut args = plan::args(world, task, scope)?.named;
            let mut take = |names: &[&str]| names.iter().find_map(|n| args.shift_remove(*n));
            let name = take(&["name", "hostname", "host"]).map(|v| value::as_text(&v)).unwrap_or_default();
            let groups = take(&["groups", "group", "groupname"]).map(|v| value::as_texts(&v)).unwrap_or_default();
            if name.is_empty() {
                return Err(Obstacle::failed("add_host needs `name`"));
            }
            Ok(ItemWork::Control(Control::AddHost { name, groups, vars: args }))
        }
        Builtin::GroupBy => {
            let args = plan::args(world, task, scope)?.named;
            let key = args.get("key").map(value::as_text).unwrap_or_default().replace(' ', "-");
            let parents = args.get("parents").map_or_else(|| vec!["all".to_owned()], value::as_texts);
            Ok(ItemWork::Control(Control::GroupBy { key, parents }))
        }
        Builtin::Setup => {
            let args = plan::args(world, task, scope)?.named;
            let list = |name: &str| args.get(name).map(value::as_texts).unwrap_or_default();
            Ok(ItemWork::Control(Control::Setup { filter: list("filter"), gather_subset: list("gather_subset") }))
        }
        Builtin::Meta => {
            Ok(ItemWork::Control(Control::Meta(task.args.free_form.as_ref().map(|r| value::as_text(&r.value)).unwrap_or_default())))
        }
        Builtin::Unsupported => {
            let why = task.args.free_form.as_ref().map(|r| value::as_text(&r.value)).unwrap_or_default();
            done(TaskResult::failure(format!("this task uses what is not supported: {why}")))
        }
        Builtin::IncludeTasks | Builtin::IncludeRole | Builtin::ImportTasks | Builtin::ImportRole => {
            Err(Obstacle::failed("an include was taken for a module, which is a bug in kubewright"))
        }
    }
}

fn set_fact(world: &World, task: &Task, scope: &TaskScope) -> Result<TaskResult, Obstacle> {
    let mut result = TaskResult::default();
    for (name, value) in plan::args(world, task, scope)?.named {
        let name = value::as_text(&world.templar.render(&name, scope)?);
        if name == "cacheable" {
            result.fields.insert("_cacheable".to_owned(), value);
            continue;
        }
        let valid =
            name.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_') && name.chars().all(|c| c.is_alphanumeric() || c == '_');
        if !valid {
            return Err(Obstacle::failed(format!(
                "The variable name '{name}' is not valid. Variables must start with a letter or underscore character, and contain only letters, numbers and underscores."
            )));
        }
        result.facts.insert(name, value);
    }
    Ok(result)
}

fn debug(world: &World, task: &Task, scope: &TaskScope) -> Result<TaskResult, Obstacle> {
    let named = &task.args.named;
    let render = |name: &str| named.get(name).map(|r| world.templar.render_value(&r.value, scope)).transpose();
    let mut result = TaskResult::default();
    if render("verbosity")?.and_then(|v| value::as_number(&v)).unwrap_or(0.0) > f64::from(world.options.verbosity) {
        result.skipped = true;
        result.fields.insert("skipped_reason".to_owned(), Value::from("Verbosity threshold not met."));
        return Ok(result);
    }
    if let Some(var) = named.get("var") {
        let var = value::as_text(&var.value);
        let found = if var.contains("{{") { world.templar.render(&var, scope) } else { world.templar.expression(&var, scope) };
        let found = match found {
            Err(e) if e.kind == Kind::Undefined => Value::from("VARIABLE IS NOT DEFINED!"),
            other => other?,
        };
        result.fields.insert(var, found);
        return Ok(result);
    }
    let msg = render("msg")?.unwrap_or_else(|| Value::from("Hello world!"));
    result.fields.insert("msg".to_owned(), msg);
    Ok(result)
}

fn assert(world: &World, task: &Task, scope: &TaskScope) -> Result<TaskResult, Obstacle> {
    let named = &task.args.named;
    let text = |names: &[&str]| -> Result<Option<Value>, Obstacle> {
        let raw = names.iter().find_map(|n| named.get(*n));
        Ok(raw.map(|r| world.templar.render_value(&r.value, scope)).transpose()?)
    };
    let Some(that) = named.get("that") else { return Err(Obstacle::failed("assert needs `that`")) };
    let mut that_value = that.value.clone();
    if that_value.as_str().is_some_and(|t| t.trim_start().starts_with("{{") && t.trim_end().ends_with("}}")) {
        // `that: "{{ list_of_conditions }}"`.
        let rendered = world.templar.render_value(&that_value, scope)?;
        if rendered.as_str().is_none() && rendered.kind() == minijinja::value::ValueKind::Seq {
            that_value = rendered;
        }
    }
    let span = that.span.clone().unwrap_or_else(|| task.span.clone());
    for text_of in value::as_expressions(&that_value) {
        let condition = Condition { text: text_of, span: span.clone() };
        if plan::first_false(world, scope, std::slice::from_ref(&condition))?.is_some() {
            let msg = text(&["fail_msg", "msg"])?.unwrap_or_else(|| Value::from("Assertion failed"));
            let mut result = TaskResult { failed: true, msg: Some(value::as_text(&msg)), ..TaskResult::default() };
            result.fields.insert("assertion".to_owned(), Value::from(condition.text.as_str()));
            result.fields.insert("evaluated_to".to_owned(), Value::from(false));
            return Ok(result);
        }
    }
    let msg = text(&["success_msg"])?.map_or_else(|| "All assertions passed".to_owned(), |v| value::as_text(&v));
    Ok(TaskResult::ok(msg))
}

/// The variables of a file, read once for all hosts.
pub(super) fn vars_file(world: &World, path: &Path) -> Result<RawVars, String> {
    let mut known = lock(&world.var_files);
    known
        .entry(path.to_owned())
        .or_insert_with(|| {
            let mut loader = Loader::new(&world.load);
            let vars = loader.vars_file(path, None);
            if loader.problems.has_errors() { Err(loader.problems.to_string()) } else { Ok(vars) }
        })
        .clone()
}

fn include_vars(world: &World, task: &Arc<Task>, scope: &TaskScope) -> Result<ItemWork, Obstacle> {
    let failed = |why: String| Obstacle::failed(why);
    let args = plan::args(world, task, scope)?.named;
    let text = |name: &str| args.get(name).map(value::as_text);
    let mut paths = Vec::new();
    if let Some(dir) = text("dir") {
        let base = files::find(world, task, "vars", &dir).map_err(failed)?;
        let depth = args.get("depth").and_then(value::as_count).unwrap_or(0);
        let matching = text("files_matching").map(|p| regex::Regex::new(&p)).transpose().map_err(|e| failed(e.to_string()))?;
        let extensions =
            args.get("extensions").map_or_else(|| vec!["yaml".to_owned(), "yml".to_owned(), "json".to_owned()], value::as_texts);
        let ignored = args.get("ignore_files").map(value::as_texts).unwrap_or_default();
        for path in world.load.files.tree(&base) {
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            let extension = path.extension().map(|e| e.to_string_lossy().into_owned()).unwrap_or_default();
            let fits = (depth == 0 || path.components().count() <= depth)
                && extensions.contains(&extension)
                && !ignored.contains(&name)
                && matching.as_ref().is_none_or(|m| m.is_match(&name));
            if fits {
                paths.push(base.join(path));
            }
        }
    } else {
        let file = text("file").ok_or_else(|| failed("include_vars needs a file or a dir".to_owned()))?;
        paths.push(files::find(world, task, "vars", &file).map_err(failed)?);
    }
    let mut vars = RawVars::new();
    for path in &paths {
        vars.extend(vars_file(world, path).map_err(failed)?);
    }
    if let Some(name) = text("name") {
        let all = Value::from_pairs(vars.iter().map(|(k, r)| (Value::from(k.as_str()), r.value.clone())));
        vars = RawVars::from([(name, crate::inventory::Raw { value: all, span: None })]);
    }
    // As in Ansible: what an encrypted file holds is not shown (plugins/action/include_vars.py, `show_content`).
    let secret = paths.iter().any(|path| world.load.files.read(path).is_ok_and(|text| is_encrypted(&text)));
    let mut result = TaskResult { secret, ..TaskResult::default() };
    let shown = vars.iter().map(|(k, r)| (Value::from(k.as_str()), r.value.clone()));
    result.fields.insert("ansible_facts".to_owned(), Value::from_pairs(shown));
    result.fields.insert("ansible_included_var_files".to_owned(), paths.iter().map(|p| Value::from(super::magic::absolute(p))).collect());
    Ok(ItemWork::Done(result, Effect::Vars(vars)))
}
