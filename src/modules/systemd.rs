//! `systemd`, `systemd_service`, `service`, `service_facts`.

use super::{
    ArgError, ModuleDef, OptionType as T, Work,
    args::{Opts, opt},
    outcome,
    script::Script,
};
use indexmap::IndexMap;
use minijinja::Value;

/// `lib/ansible/modules/systemd_service.py`
pub static SYSTEMD: ModuleDef = ModuleDef {
    names: &["systemd", "systemd_service"],
    options: &[
        opt("name", T::Str).alias(&["service", "unit"]),
        opt("state", T::Str).choices(&["reloaded", "restarted", "started", "stopped"]),
        opt("enabled", T::Bool),
        opt("masked", T::Bool),
        opt("force", T::Bool),
        opt("daemon_reload", T::Bool).alias(&["daemon-reload"]),
        opt("daemon_reexec", T::Bool).alias(&["daemon-reexec"]),
        opt("scope", T::Str).choices(&["system", "user", "global"]),
        opt("no_block", T::Bool),
    ],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&SYSTEMD, args)?;
        if !o.has("name") && (o.has("state") || o.has("enabled") || o.has("masked")) {
            return Err(ArgError("systemd needs 'name' with state, enabled or masked".into()));
        }
        Ok(unit(&o, "kw_unit_check", "kw_unit_apply"))
    },
};

/// `lib/ansible/modules/service.py`; what runs the services is found out on the host.
pub static SERVICE: ModuleDef = ModuleDef {
    names: &["service", "sysvinit"],
    options: &[
        opt("name", T::Str).req(),
        opt("state", T::Str).choices(&["reloaded", "restarted", "started", "stopped"]),
        opt("enabled", T::Bool),
        opt("pattern", T::Str),
        opt("sleep", T::Int),
        opt("runlevel", T::Str),
        opt("arguments", T::Str).alias(&["args"]),
        opt("use", T::Str),
        opt("daemon_reload", T::Bool),
    ],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&SERVICE, args)?;
        Ok(unit(&o, "kw_service_check", "kw_service_apply"))
    },
};

fn unit(o: &Opts, check: &'static str, apply: &'static str) -> Work {
    let name = o.text_or("name", "");
    let full = if name.is_empty() || name.contains('.') { name.clone() } else { format!("{name}.service") };
    let yes_no = |option: &str| o.maybe_flag(option).map_or("", |on| if on { "yes" } else { "no" });
    let script = Script::new()
        .set("kw_unit", &full)
        .set("kw_state", &o.text_or("state", ""))
        .set("kw_enabled", yes_no("enabled"))
        .set("kw_masked", yes_no("masked"))
        .flag("kw_reload", o.flag("daemon_reload", false))
        .flag("kw_reexec", o.flag("daemon_reexec", false))
        .flag("kw_no_block", o.flag("no_block", false))
        .flag("kw_force", o.flag("force", false))
        .set("kw_scope", &o.text("scope").filter(|s| s != "system").unwrap_or_default());
    let (state, enabled) = (o.text("state"), o.maybe_flag("enabled"));
    script.work(
        check,
        apply,
        outcome::with(move |result, said, _| {
            // Ansible does not call a daemon-reload a change.
            if name.is_empty() || said.has("reloaded") {
                result.changed = false;
            }
            if name.is_empty() {
                result.fields.insert("name".into(), Value::from(()));
                return;
            }
            result.fields.insert("name".into(), name.as_str().into());
            if let Some(enabled) = enabled {
                result.fields.insert("enabled".into(), enabled.into());
            }
            if let Some(state) = &state {
                result.fields.insert("state".into(), if state == "stopped" { "stopped" } else { "started" }.into());
            }
            if said.has("show") {
                let status = said.get("show").lines().filter_map(|l| l.split_once('='));
                result.fields.insert("status".into(), Value::from_pairs(status.map(|(k, v)| (k.to_owned(), v.to_owned()))));
            }
        }),
    )
}

/// `ansible_facts.services`
pub static SERVICE_FACTS: ModuleDef = ModuleDef {
    names: &["service_facts"],
    options: &[],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        Opts::read(&SERVICE_FACTS, args)?;
        Ok(Script::new().look(
            "kw_units_check",
            outcome::with(|result, _, outcome| {
                let text = String::from_utf8_lossy(&outcome.stdout).into_owned();
                result.facts.insert("services".into(), services(&text));
            }),
        ))
    },
};

/// Units as `service_facts` shows them: name, state (running, stopped, …), status (enabled, …), source.
fn services(text: &str) -> Value {
    let (units, files) = text.split_once("\u{1e}files\u{1f}\u{1e}").unwrap_or((text, ""));
    let mut all: IndexMap<String, (String, String)> = IndexMap::new();
    for line in units.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [name, load, active, sub, ..] = words[..] {
            let status = if load == "not-found" {
                "not-found"
            } else if active == "failed" {
                "failed"
            } else {
                active
            };
            let state = match (sub, active) {
                ("running", _) => "running",
                (_, "failed") => "failed",
                _ => "stopped",
            };
            all.insert(name.to_owned(), (state.to_owned(), status.to_owned()));
        }
    }
    for line in files.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [name, status, ..] = words[..] {
            let state =
                all.get(name).map_or_else(|| if status == "static" { "inactive" } else { "unknown" }.to_owned(), |(s, _)| s.clone());
            all.insert(name.to_owned(), (state, status.to_owned()));
        }
    }
    let row = |name: &str, state: &str, status: &str| {
        Value::from_pairs([("name", name), ("state", state), ("status", status), ("source", "systemd")])
    };
    Value::from_pairs(all.iter().map(|(name, (state, status))| (name.clone(), row(name, state, status))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_have_state_and_status() {
        let all = services(
            "ssh.service loaded active running OpenBSD\ngone.service not-found inactive dead x\n\u{1e}files\u{1f}\u{1e}\nssh.service enabled enabled\nx.service disabled enabled\n",
        );
        let get = |unit: &str, key: &str| all.get_item(&unit.into()).unwrap().get_attr(key).unwrap().to_string();
        assert_eq!((get("ssh.service", "state"), get("ssh.service", "status")), ("running".into(), "enabled".into()));
        assert_eq!(get("x.service", "status"), "disabled");
        assert_eq!(get("gone.service", "status"), "not-found");
    }
}
