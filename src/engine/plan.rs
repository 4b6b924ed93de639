//! One task on one host, thought through: its loop, its conditions, its arguments, and the work that comes of them.
//! Nothing here has an effect; where something is not known yet, the caller gets it and asks again.

use super::{
    builtin, facts, files, loops, magic,
    scope::{Locals, TaskScope, Wants},
    value,
    world::World,
};
use crate::{
    inventory::{Raw, RawVars},
    modules::{self, Args, Control, Edit, Env, LocalFile, Step, TaskResult, Work},
    playbook::{Action, Condition, Task},
    template::{Kind, Scope, Templar, TemplateError, TemplateFile},
};
use indexmap::IndexMap;
use minijinja::{Value, value::ValueKind};
use std::sync::Arc;

/// A task ready to be run.
pub(super) struct Planned {
    pub(super) task: Arc<Task>,
    pub(super) name: String,
    pub(super) scope: Arc<TaskScope>,
    pub(super) items: Vec<Item>,
    pub(super) looped: bool,
    pub(super) ignore_errors: bool,
    pub(super) no_log: bool,
}

/// One item of its loop; a task without one has one item.
pub(super) struct Item {
    pub(super) vars: Locals,
    pub(super) label: String,
    pub(super) work: ItemWork,
}

/// What is to be done for an item.
pub(super) enum ItemWork {
    /// Nothing is left to do.
    Done(TaskResult, Effect),
    /// sh.
    Step(Step),
    /// An edit of a file.
    Edit(Edit),
    /// The engine's.
    Control(Control),
}

/// What a finished item brings besides its result.
#[derive(Default)]
pub(super) enum Effect {
    #[default]
    None,
    /// `include_vars`.
    Vars(RawVars),
}

/// Why a task cannot be planned now.
pub(super) enum Obstacle {
    /// Something is not known yet.
    Wants(Wants),
    /// It fails.
    Failed(Box<TaskResult>),
}

impl From<TemplateError> for Obstacle {
    fn from(e: TemplateError) -> Self {
        Self::failed(e.to_string())
    }
}

impl Obstacle {
    /// It fails, with a message.
    pub(super) fn failed(why: impl Into<String>) -> Self {
        Self::Failed(Box::new(TaskResult::failure(why)))
    }
}

/// A keyword's value.
pub(super) fn keyword(world: &World, scope: &dyn Scope, raw: Option<&Raw>) -> Result<Option<Value>, TemplateError> {
    let Some(raw) = raw else { return Ok(None) };
    let value = world.templar.render_value(&raw.value, scope)?;
    Ok((!Templar::is_omit(&value) && value.kind() != ValueKind::None).then_some(value))
}

/// A keyword that is yes or no.
pub(super) fn flag(world: &World, scope: &dyn Scope, raw: Option<&Raw>) -> Result<Option<bool>, TemplateError> {
    let Some(value) = keyword(world, scope, raw)? else { return Ok(None) };
    let bad = || TemplateError::new(Kind::Other, format!("`{value}` is neither yes nor no"));
    value::as_bool(&value).map(Some).ok_or_else(bad)
}

/// The first condition that is false.
pub(super) fn first_false<'c>(
    world: &World,
    scope: &dyn Scope,
    conditions: &'c [Condition],
) -> Result<Option<&'c Condition>, TemplateError> {
    for condition in conditions {
        let (truth, warning) = world.templar.condition(&condition.text, scope)?;
        if let Some(warning) = warning {
            if world.options.strict {
                return Err(TemplateError::new(Kind::Other, warning));
            }
            world.warn_once(&format!("{}: {warning}", condition.span));
        }
        if !truth {
            return Ok(Some(condition));
        }
    }
    Ok(None)
}

/// Plans a whole task.
pub(super) fn plan(world: &World, task: &Arc<Task>, scope: Arc<TaskScope>) -> Result<Planned, Wants> {
    let name = match world.templar.render(&task.title(), &*scope) {
        Ok(name) => value::as_text(&name),
        Err(_) => task.title(),
    };
    let mut planned = Planned {
        task: Arc::clone(task),
        name,
        scope,
        items: Vec::new(),
        looped: task.loop_.is_some(),
        ignore_errors: false,
        no_log: false,
    };
    let result = fill(world, &mut planned);
    let wants = planned.scope.take_wants();
    if wants.any() {
        return Err(wants);
    }
    match result {
        Ok(()) => Ok(planned),
        Err(Obstacle::Wants(wants)) => Err(wants),
        Err(Obstacle::Failed(result)) => {
            planned.items = vec![Item { vars: Vec::new(), label: String::new(), work: ItemWork::Done(*result, Effect::None) }];
            planned.looped = false;
            Ok(planned)
        }
    }
}

fn fill(world: &World, planned: &mut Planned) -> Result<(), Obstacle> {
    let (task, scope) = (Arc::clone(&planned.task), Arc::clone(&planned.scope));
    planned.no_log = flag(world, &*scope, task.keywords.no_log.as_ref())?.unwrap_or_default();
    let Some(looping) = &task.loop_ else {
        planned.ignore_errors = flag(world, &*scope, task.keywords.ignore_errors.as_ref())?.unwrap_or_default();
        planned.items.push(Item { vars: Vec::new(), label: String::new(), work: item_work(world, &task, &scope)? });
        return Ok(());
    };
    let values = match loops::values(world, &scope, looping) {
        Ok(values) => values,
        Err(e) => {
            planned.ignore_errors = flag(world, &*scope, task.keywords.ignore_errors.as_ref()).ok().flatten().unwrap_or_default();
            // A loop over something undefined is skipped if a condition that does not need the item is false.
            if let Ok(Some(condition)) = first_false(world, &*scope, &task.keywords.when) {
                planned.looped = false;
                planned.items.push(Item { vars: Vec::new(), label: String::new(), work: ItemWork::Done(skipped(condition), Effect::None) });
                return Ok(());
            }
            return Err(e.into());
        }
    };
    let count = values.len();
    let mut before: Locals = Vec::new();
    for index in 0..count {
        let mut vars = loops::locals(looping, &values, index);
        vars.extend(before.iter().cloned());
        let inner = scope.with(vars);
        let label = match &looping.label {
            Some(label) => value::as_text(&world.templar.render_value(&label.value, &inner)?),
            None => value::as_text(&values[index]),
        };
        planned.ignore_errors = flag(world, &inner, task.keywords.ignore_errors.as_ref())?.unwrap_or_default();
        let work = match item_work(world, &task, &inner) {
            Ok(work) => work,
            Err(Obstacle::Failed(result)) => ItemWork::Done(*result, Effect::None),
            Err(wants) => return Err(wants),
        };
        if let (ItemWork::Done(result, _), true) = (&work, sets_variables(&task)) {
            // `set_fact: x: "{{ x + [item] }}"`: every round sees the one before.
            for (name, value) in &result.facts {
                before.retain(|(n, _)| n != name);
                before.push((name.clone(), value.clone()));
            }
        }
        planned.items.push(Item { vars: loops::locals(looping, &values, index), label, work });
    }
    Ok(())
}

fn sets_variables(task: &Task) -> bool {
    matches!(task.action, Action::Builtin(crate::playbook::Builtin::SetFact))
}

/// The result of a false condition.
pub(super) fn skipped(condition: &Condition) -> TaskResult {
    let mut result = TaskResult { skipped: true, ..TaskResult::default() };
    let shown = if condition.text == "false" { Value::from(false) } else { Value::from(condition.text.as_str()) };
    result.fields.insert("false_condition".to_owned(), shown);
    result.fields.insert("skip_reason".to_owned(), Value::from("Conditional result was False"));
    result
}

/// One item: its conditions, then its work.
pub(super) fn item_work(world: &World, task: &Arc<Task>, scope: &TaskScope) -> Result<ItemWork, Obstacle> {
    match first_false(world, scope, &task.keywords.when) {
        Ok(None) => {}
        Ok(Some(condition)) => return Ok(ItemWork::Done(skipped(condition), Effect::None)),
        Err(e) => {
            let wants = scope.take_wants();
            if wants.any() {
                return Err(Obstacle::Wants(wants));
            }
            return Err(Obstacle::failed(format!("the condition could not be evaluated: {e}")));
        }
    }
    let wants = scope.take_wants();
    if wants.any() {
        return Err(Obstacle::Wants(wants));
    }
    let work = match task.action {
        Action::Builtin(b) => builtin::work(world, task, b, scope),
        Action::Module(def) => module_work(world, task, def, scope),
    };
    let wants = scope.take_wants();
    if wants.any() { Err(Obstacle::Wants(wants)) } else { work }
}

/// Arguments, templated; what is omitted is gone.
pub(super) fn args(world: &World, task: &Task, scope: &dyn Scope) -> Result<Args, TemplateError> {
    let mut args = Args::default();
    for defaults in &task.keywords.module_defaults {
        let defaults = world.templar.render_value(&defaults.value, scope)?;
        for (name, options) in value::pairs(&defaults) {
            let short = name.rsplit('.').next().unwrap_or(&name);
            let meant = match task.action {
                Action::Module(def) => def.names.contains(&short),
                Action::Builtin(b) => b.name() == short,
            };
            if meant {
                args.named.extend(value::pairs(&options));
            }
        }
    }
    if let Some(dynamic) = &task.args.dynamic {
        args.named.extend(value::pairs(&world.templar.render_value(&dynamic.value, scope)?));
    }
    for (name, raw) in &task.args.named {
        let value = world.templar.render_value(&raw.value, scope)?;
        if Templar::is_omit(&value) {
            args.named.shift_remove(name);
        } else {
            args.named.insert(name.clone(), value);
        }
    }
    if let Some(raw) = &task.args.free_form {
        args.free_form = Some(value::as_text(&world.templar.render_value(&raw.value, scope)?));
    }
    Ok(args)
}

/// `environment` of play, blocks and task.
pub(super) fn environment(world: &World, task: &Task, scope: &dyn Scope) -> Result<IndexMap<String, String>, TemplateError> {
    let mut out = IndexMap::new();
    for raw in &task.keywords.environment {
        let value = world.templar.render_value(&raw.value, scope)?;
        out.extend(value::pairs(&value).into_iter().map(|(k, v)| (k, value::as_text(&v))));
    }
    Ok(out)
}

fn module_work(world: &World, task: &Arc<Task>, def: &'static crate::modules::ModuleDef, scope: &TaskScope) -> Result<ItemWork, Obstacle> {
    let missing: Vec<&str> = {
        let data = scope.frame.host.data();
        def.facts.iter().copied().filter(|f| facts::is_known(f) && !data.asked_all && !data.asked.contains(*f)).collect()
    };
    if !missing.is_empty() {
        let facts = missing.into_iter().map(str::to_owned).collect();
        return Err(Obstacle::Wants(Wants { facts, ..Wants::default() }));
    }
    let args = args(world, task, scope)?;
    let environment = environment(world, task, scope)?;
    let host = Arc::clone(&scope.frame.host);
    let known = |name: &str| host.data().facts.get(name).cloned();
    let sealed = args.named.get("decrypt").and_then(value::as_bool) == Some(false);
    let read = |kind: &str, name: &str| files::read(world, task, kind, name, sealed);
    let render = |file: &LocalFile, args: &Args| render(world, task, scope, file, args);
    let env = Env {
        check_mode: magic::check_mode(scope),
        diff: world.options.diff,
        full: task.register.is_some() || world.options.verbosity > 0,
        facts: &known,
        read: &read,
        render: &render,
        environment: &environment,
    };
    match modules::compile(def, &args, &env) {
        Ok(Work::Sh(step)) => Ok(ItemWork::Step(step)),
        Ok(Work::Edit(edit)) => Ok(ItemWork::Edit(edit)),
        Ok(Work::Here(result)) => Ok(ItemWork::Done(result, Effect::None)),
        Ok(Work::Control(control)) => Ok(ItemWork::Control(control)),
        Err(e) => Err(Obstacle::failed(e.to_string())),
    }
}

/// A template file's text with the task's variables.
fn render(world: &World, task: &Task, scope: &TaskScope, file: &LocalFile, args: &Args) -> Result<String, String> {
    let text = String::from_utf8(file.content.to_vec()).map_err(|_| format!("{} is not UTF-8 text", file.path.display()))?;
    let path = file.path.display().to_string();
    let mut template = TemplateFile::new(path.clone(), text);
    let flag = |name: &str| args.named.get(name).and_then(value::as_bool);
    let options = &mut template.options;
    options.newline = match args.named.get("newline_sequence").and_then(|v| v.as_str()) {
        Some("\r\n" | "\\r\\n") => "\r\n",
        Some("\r" | "\\r") => "\r",
        _ => "\n",
    };
    options.trim_blocks = flag("trim_blocks").unwrap_or(options.trim_blocks);
    options.lstrip_blocks = flag("lstrip_blocks").unwrap_or(options.lstrip_blocks);
    for (name, into) in [
        ("block_start_string", &mut options.block.0),
        ("block_end_string", &mut options.block.1),
        ("variable_start_string", &mut options.variable.0),
        ("variable_end_string", &mut options.variable.1),
        ("comment_start_string", &mut options.comment.0),
        ("comment_end_string", &mut options.comment.1),
    ] {
        if let Some(text) = args.named.get(name).and_then(|v| v.as_str()) {
            text.clone_into(into);
        }
    }
    let (files, vault) = (Arc::clone(&world.load.files), Arc::clone(&world.load.vault));
    let mut dirs = vec![file.path.parent().map(std::path::Path::to_owned).unwrap_or_default()];
    dirs.extend(files::search_dirs(task).into_iter().flat_map(|d| [d.join("templates"), d]));
    template.loader = Some(Arc::new(move |name| {
        let Some(path) = dirs.iter().map(|d| d.join(name)).find(|p| files.is_file(p)) else { return Ok(None) };
        let text = files.read_text(&path)?;
        if text.starts_with("$ANSIBLE_VAULT;") { vault(&text).map(Some) } else { Ok(Some(text)) }
    }));
    let extra = vec![
        ("ansible_managed".to_owned(), Value::from("Ansible managed")),
        ("template_path".to_owned(), Value::from(path.as_str())),
        ("template_fullpath".to_owned(), Value::from(path.as_str())),
        ("template_destpath".to_owned(), args.named.get("dest").cloned().unwrap_or_default()),
    ];
    // The user's own `ansible_managed` wins.
    let extra = extra.into_iter().filter(|(n, _)| scope.get(n).ok().flatten().is_none()).collect();
    world.templar.render_file(&template, &scope.with(extra)).map_err(|e| match e.line {
        Some(line) => format!("{path}:{line}: {e}"),
        None => format!("{path}: {e}"),
    })
}
