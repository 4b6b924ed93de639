//! `file`: directories, links, attributes, removal.

use super::{
    ArgError, ModuleDef, OptionType as T,
    args::Opts,
    args::opt,
    files::{attributes, file_options},
    outcome,
    script::Script,
};
use minijinja::Value;

/// `lib/ansible/modules/file.py`
pub static FILE: ModuleDef = ModuleDef {
    names: &["file"],
    options: file_options![
        opt("path", T::Path).alias(&["dest", "name"]).req(),
        opt("state", T::Str).choices(&["absent", "directory", "file", "hard", "link", "touch"]),
        opt("src", T::Path),
        opt("recurse", T::Bool),
        opt("force", T::Bool),
        opt("follow", T::Bool),
        opt("modification_time", T::Str),
        opt("modification_time_format", T::Str),
        opt("access_time", T::Str),
        opt("access_time_format", T::Str),
    ],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&FILE, args)?;
        let state = o.text_or("state", "");
        if matches!(state.as_str(), "link" | "hard") && !o.has("src") {
            return Err(ArgError(format!("state {state} needs 'src'")));
        }
        if o.flag("recurse", false) && !matches!(state.as_str(), "" | "directory") {
            return Err(ArgError("recurse needs state: directory".into()));
        }
        let preserve = |name: &str| o.text(name).as_deref() == Some("preserve");
        let stamp = o.text("modification_time").or_else(|| o.text("access_time"));
        let stamp = stamp.filter(|t| t != "preserve" && t != "now").unwrap_or_default();
        let (path, src) = (o.text_or("path", ""), o.text("src"));
        let script = Script::new()
            .set_sh("kw_path", &o.path("path"))
            .set("kw_state", &state)
            .set_sh("kw_src", &o.path("src"))
            .flag("kw_recurse", o.flag("recurse", false))
            .flag("kw_force", o.flag("force", false))
            .flag("kw_follow", o.flag("follow", true))
            .flag("kw_keep_times", preserve("modification_time") && preserve("access_time"))
            .set("kw_times", &stamp);
        Ok(attributes(script, &o)?.work(
            "kw_file_check",
            "kw_file_apply",
            std::sync::Arc::new(move |outcome| {
                let (mut result, said) = outcome::base(outcome);
                let key = if matches!(state.as_str(), "link" | "hard" | "touch") && !result.failed { "dest" } else { "path" };
                let path = if said.has("path") { said.get("path") } else { path.as_str() };
                let key = if said.has("link") {
                    result.fields.insert("src".into(), Value::from(said.get("link")));
                    "dest"
                } else {
                    key
                };
                result.fields.insert(key.into(), Value::from(path));
                if said.fields.get("stat").is_some_and(String::is_empty) {
                    result.fields.insert("state".into(), "absent".into());
                } else if !state.is_empty() {
                    result.fields.entry("state".into()).or_insert_with(|| Value::from(state.as_str()));
                }
                if let (Some(src), "link" | "hard") = (&src, state.as_str()) {
                    result.fields.insert("src".into(), Value::from(src.as_str()));
                }
                result
            }),
        ))
    },
};
