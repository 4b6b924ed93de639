//! `pip`: a program of the host, which needs Python for it; nothing else of ours does.

use super::{
    ArgError, Env, ModuleDef, OptionType as T, Work,
    args::{Opts, opt},
    outcome,
    script::Script,
};
use minijinja::Value;

/// `lib/ansible/modules/pip.py`
pub static PIP: ModuleDef = ModuleDef {
    names: &["pip"],
    options: &[
        opt("name", T::List),
        opt("version", T::Str),
        opt("requirements", T::Str),
        opt("state", T::Str).choices(&["absent", "forcereinstall", "latest", "present"]),
        opt("extra_args", T::Str),
        opt("executable", T::Path),
        opt("virtualenv", T::Path),
        opt("virtualenv_command", T::Str),
        opt("virtualenv_site_packages", T::Bool),
        opt("virtualenv_python", T::Str),
        opt("chdir", T::Path),
        opt("editable", T::Bool),
        opt("umask", T::Str),
        opt("break_system_packages", T::Bool),
    ],
    free_form: false,
    facts: &[],
    compile: |args, env| compile(&Opts::read(&PIP, args)?, env),
};

fn compile(o: &Opts, env: &Env<'_>) -> Result<Work, ArgError> {
    let (given, version, state) = (o.list("name"), o.text("version"), o.text_or("state", "present"));
    let names = names(&given, version.as_deref(), &state)?;
    let requirements = o.text("requirements");
    if names.is_empty() == requirements.is_none() {
        return Err(ArgError("pip needs one of name, requirements".into()));
    }
    let extra = shlex::split(&o.text_or("extra_args", "")).ok_or_else(|| ArgError("extra_args has no closing quotation".into()))?;
    let umask = o.text_or("umask", "");
    if !umask.bytes().all(|b| b.is_ascii_digit()) {
        return Err(ArgError("umask must be an octal number".into()));
    }
    let command = o.text_or("virtualenv_command", "python3 -m venv");
    if o.has("virtualenv_python") && command.contains("venv") && !command.contains("virtualenv") {
        return Err(ArgError("virtualenv_python goes with virtualenv, not with venv".into()));
    }
    // A repository's revision, and what a file of requirements names, show only in what is installed afterwards.
    let freeze = requirements.is_some() || names.iter().any(|n| ["git+", "svn+", "hg+", "bzr+"].iter().any(|v| n.contains(v)));
    let script =
        if o.has("executable") { Script::new().set_sh("kw_pip", &o.path("executable")) } else { Script::new().set("kw_pip", "pip3") };
    let looks = env.check_mode;
    Ok(script
        .set_sh("kw_venv", &o.path("virtualenv"))
        .set("kw_venv_command", &command)
        .set("kw_venv_python", &o.text_or("virtualenv_python", ""))
        .flag("kw_venv_site", o.flag("virtualenv_site_packages", false))
        .set("kw_requirements", requirements.as_deref().unwrap_or_default())
        .set("kw_state", &state)
        .lines("kw_extra", &extra)
        .flag("kw_editable", o.flag("editable", false))
        .flag("kw_break", o.flag("break_system_packages", false))
        .set("kw_umask", &umask)
        .set_sh("kw_chdir", &o.path("chdir"))
        .flag("kw_freeze", freeze)
        .flag("kw_looks", looks)
        .args(&names)
        .work(
            "kw_pip_check \"$@\"",
            "kw_pip_apply \"$@\"",
            outcome::with(move |result, said, outcome| {
                result.changed = result.changed && !said.has("same");
                let text = |value: Option<&str>| value.map_or(Value::from(()), Value::from);
                if !looks {
                    result.fields.insert("name".into(), if given.is_empty() { Value::from(()) } else { Value::from(given.clone()) });
                    result.fields.insert("version".into(), text(version.as_deref()));
                    result.fields.insert("state".into(), state.as_str().into());
                    result.fields.insert("requirements".into(), text(requirements.as_deref()));
                    result.fields.insert("virtualenv".into(), text(Some(said.get("venv")).filter(|v| !v.is_empty())));
                    // As pip wrote them, with the last line's end.
                    let stdout = if said.get("text").is_empty() { String::new() } else { format!("{}\n", said.get("text")) };
                    result.fields.insert("stdout_lines".into(), outcome::lines(&stdout));
                    result.fields.insert("stdout".into(), stdout.into());
                    result.fields.insert("stderr".into(), String::from_utf8_lossy(&outcome.stderr).as_ref().into());
                }
            }),
        ))
}

/// Names with their versions. A comma also stands in `name>=1,<2`.
fn names(given: &[String], version: Option<&str>, state: &str) -> Result<Vec<String>, ArgError> {
    let mut names: Vec<String> = Vec::new();
    for name in given.iter().map(|n| n.trim()).filter(|n| !n.is_empty()) {
        match names.last_mut() {
            Some(last) if name.starts_with(['<', '>', '=', '!', '~']) => *last = format!("{last},{name}"),
            _ => names.push(name.to_owned()),
        }
    }
    if let Some(bad) = names.iter().find(|n| n.starts_with('-')) {
        return Err(ArgError(format!("'{bad}' is no package name")));
    }
    if let Some(version) = version {
        if state == "latest" {
            return Err(ArgError("pip: a version and state=latest contradict each other".into()));
        }
        let [name] = &mut names[..] else { return Err(ArgError("pip: version needs exactly one name".into())) };
        if name.contains(['<', '>', '=', '!', '~']) {
            return Err(ArgError(format!("pip: '{name}' has a version already")));
        }
        let sign = if version.trim_start().starts_with(|c: char| c.is_ascii_digit()) { "==" } else { "" };
        *name = format!("{name}{sign}{}", version.trim());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Root, converges};

    #[test]
    fn pip_installs_what_its_list_has_not() {
        let pip = |root: &Root| {
            root.stub(
                "pip3",
                r#"case $1 in list) cat "$R/have" 2>/dev/null ;; install) echo "$*" >>"$R/calls"; echo 'Ansible_Core==2.1' >>"$R/have"; echo 'Successfully installed x' ;; esac"#,
            );
        };
        let args = r#"{"name":"Ansible.core","version":"2.1","extra_args":"--index-url 'https://a b/'"}"#;
        converges(&PIP, args, pip, |root| {
            assert_eq!(root.read("calls"), "install --disable-pip-version-check --index-url https://a b/ Ansible.core==2.1\n");
        });
    }

    #[test]
    fn versions_go_with_one_name() {
        let text = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        assert_eq!(names(&text(&["a>=1", "<2", "b"]), None, "present").unwrap(), ["a>=1,<2", "b"]);
        assert_eq!(names(&text(&["a"]), Some(">=2"), "present").unwrap(), ["a>=2"]);
        for (given, state) in [(text(&["a", "b"]), "present"), (text(&["a==1"]), "present"), (text(&["a"]), "latest")] {
            assert!(names(&given, Some("1"), state).is_err(), "{given:?} {state}");
        }
    }
}
