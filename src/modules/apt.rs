//! `apt`, `dpkg_selections`, `package_facts`.

use super::{
    ArgError, ModuleDef, OptionType as T, TaskResult, Work,
    args::{Opts, opt},
    outcome::{self, Said},
    script::Script,
};
use indexmap::IndexMap;
use minijinja::Value;

/// `lib/ansible/modules/apt.py`. Lists are also updated when a source is newer than they are: a repository that was just
/// added is found without `update_cache`. A lock is waited for, and named with its holder when it stays.
pub static APT: ModuleDef = ModuleDef {
    names: &["apt"],
    options: &[
        opt("name", T::List).alias(&["package", "pkg"]),
        opt("state", T::Str).choices(&["present", "installed", "latest", "absent", "removed", "build-dep", "fixed"]),
        opt("update_cache", T::Bool).alias(&["update-cache"]),
        opt("cache_valid_time", T::Int),
        opt("update_cache_retries", T::Int),
        opt("update_cache_retry_max_delay", T::Int),
        opt("purge", T::Bool),
        opt("default_release", T::Str).alias(&["default-release"]),
        opt("install_recommends", T::Bool).alias(&["install-recommends"]),
        opt("force", T::Bool),
        opt("force_apt_get", T::Bool),
        opt("clean", T::Bool),
        opt("autoclean", T::Bool),
        opt("autoremove", T::Bool),
        opt("allow_unauthenticated", T::Bool).alias(&["allow-unauthenticated"]),
        opt("allow_downgrade", T::Bool).alias(&["allow-downgrade", "allow_downgrades", "allow-downgrades"]),
        opt("allow_change_held_packages", T::Bool),
        opt("upgrade", T::Str).choices(&["dist", "full", "no", "safe", "yes"]),
        opt("dpkg_options", T::Str),
        opt("deb", T::Path),
        opt("only_upgrade", T::Bool),
        opt("fail_on_autoremove", T::Bool),
        opt("policy_rc_d", T::Int),
        opt("lock_timeout", T::Int),
        opt("auto_install_module_deps", T::Bool),
    ],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&APT, args)?;
        let names: Vec<String> = o.list("name").into_iter().filter(|n| !n.trim().is_empty()).collect();
        if let Some(bad) = names.iter().find(|n| n.starts_with('-') || n.contains(char::is_whitespace)) {
            return Err(ArgError(format!("'{bad}' is no package name")));
        }
        Ok(packages(&o, &names))
    },
};

fn packages(o: &Opts, names: &[String]) -> Work {
    let state = match o.text_or("state", "present").as_str() {
        "installed" => "present".to_owned(),
        "removed" => "absent".to_owned(),
        other => other.to_owned(),
    };
    let mut options = Vec::new();
    let mut on = |flag: bool, text: &str| {
        if flag {
            options.push(text.to_owned());
        }
    };
    on(o.flag("allow_change_held_packages", false), "--allow-change-held-packages");
    on(o.flag("allow_downgrade", false) || o.flag("force", false), "--allow-downgrades");
    on(o.flag("allow_unauthenticated", false) || o.flag("force", false), "--allow-unauthenticated");
    on(o.flag("fail_on_autoremove", false), "--no-remove");
    match o.maybe_flag("install_recommends") {
        Some(true) => on(true, "-oAPT::Install-Recommends=yes"),
        Some(false) => on(true, "-oAPT::Install-Recommends=no"),
        None => {}
    }
    if let Some(release) = o.text("default_release") {
        options.push(format!("-t={release}"));
    }
    let dpkg = o.text_or("dpkg_options", "force-confdef,force-confold");
    let dpkg: Vec<String> = dpkg.split(',').map(|d| format!("-oDpkg::Options::=--{}", d.trim().trim_start_matches("--"))).collect();
    let upgrade = match o.text_or("upgrade", "no").as_str() {
        "dist" | "full" => "dist-upgrade",
        "safe" | "yes" => "upgrade",
        _ => "",
    };
    let clean = match (o.flag("clean", false), o.flag("autoclean", false)) {
        (true, true) => "clean autoclean",
        (true, false) => "clean",
        (false, true) => "autoclean",
        _ => "",
    };
    let update = o.maybe_flag("update_cache").unwrap_or(o.has("cache_valid_time"));
    let bare: Vec<&str> = names.iter().map(|n| n.split(['=', '/', '<', '>']).next().unwrap_or(n)).collect();
    Script::new()
        .set("kw_state", &state)
        .set("kw_names", &bare.join(" "))
        .flag("kw_update", update)
        .set("kw_valid", &o.int("cache_valid_time").unwrap_or(0).to_string())
        .set("kw_lock", &o.int("lock_timeout").unwrap_or(60).to_string())
        .set("kw_options", &options.join(" "))
        .set("kw_dpkg", &dpkg.join(" "))
        .set("kw_only", if o.flag("only_upgrade", false) { "--only-upgrade" } else { "" })
        .flag("kw_purge", o.flag("purge", false))
        .set("kw_upgrade", upgrade)
        .flag("kw_autoremove", o.flag("autoremove", false) && names.is_empty())
        .set("kw_clean", clean)
        .set("kw_policy", &o.int("policy_rc_d").map(|p| p.to_string()).unwrap_or_default())
        .set_sh("kw_deb", &o.path("deb"))
        .args(names)
        .work("kw_apt_check \"$@\"", "kw_apt_apply \"$@\"", outcome::with(finish))
}

fn finish(result: &mut TaskResult, said: &Said, outcome: &crate::session::Outcome) {
    let summary = |l: &str| l.contains("newly installed") && l.contains("to remove");
    let summaries: Vec<&str> = said.text.lines().filter(|l| summary(l)).collect();
    // A virtual package is not in dpkg's list under its name: apt says that nothing was to do.
    let nothing = |l: &&str| {
        l.starts_with("0 upgraded, 0 newly installed, 0 to remove")
            || l.starts_with("0 upgraded, 0 newly installed, 0 downgraded, 0 to remove")
    };
    if result.changed && !summaries.is_empty() && summaries.iter().all(nothing) {
        result.changed = false;
    }
    // Lists that came out as they were are no change, nor is cleaning where nothing was.
    let only_lists = summaries.is_empty() && said.has("cache_updated") && !said.has("lists_changed");
    let cleaned = said.has("cleaned");
    if result.changed && (only_lists && !cleaned || cleaned && !said.text.lines().any(|l| l.starts_with("Del "))) {
        result.changed = false;
    }
    result.fields.insert("cache_updated".into(), said.has("cache_updated").into());
    if result.changed && !said.text.is_empty() {
        let text = outcome::stream(said.text.as_bytes());
        result.fields.insert("stdout_lines".into(), outcome::lines(&text));
        result.fields.insert("stdout".into(), text.into());
        result.fields.insert("stderr".into(), outcome::stream(&outcome.stderr).into());
    }
}

/// `lib/ansible/modules/dpkg_selections.py`
pub static DPKG_SELECTIONS: ModuleDef = ModuleDef {
    names: &["dpkg_selections"],
    options: &[opt("name", T::Str).req(), opt("selection", T::Str).choices(&["install", "hold", "deinstall", "purge"]).req()],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&DPKG_SELECTIONS, args)?;
        let script = Script::new().set("kw_name", &o.text_or("name", "")).set("kw_selection", &o.text_or("selection", ""));
        let after = o.text_or("selection", "");
        let finish = outcome::with(move |result, said, _| {
            result.fields.insert("before".into(), said.get("selected").into());
            result.fields.insert("after".into(), after.as_str().into());
        });
        Ok(script.work("kw_selection_check", "kw_selection_apply", finish))
    },
};

/// `ansible_facts.packages`
pub static PACKAGE_FACTS: ModuleDef = ModuleDef {
    names: &["package_facts"],
    options: &[opt("manager", T::List), opt("strategy", T::Str).choices(&["first", "all"])],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        Opts::read(&PACKAGE_FACTS, args)?;
        Ok(Script::new().look(
            "kw_packages_check",
            outcome::with(|result, said, _| {
                result.facts.insert("packages".into(), package_list(&said.text));
            }),
        ))
    },
};

fn package_list(text: &str) -> Value {
    let mut all: IndexMap<String, Vec<Value>> = IndexMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let row = match words[..] {
            ["apt", name, version, arch, "installed", ref section @ ..] => {
                let category = section.first().copied().unwrap_or_default();
                vec![("name", name), ("version", version), ("arch", arch), ("source", "apt"), ("category", category)]
            }
            ["rpm", name, version, arch, release, epoch] => {
                vec![("name", name), ("version", version), ("release", release), ("epoch", epoch), ("arch", arch), ("source", "rpm")]
            }
            _ => continue,
        };
        all.entry(words[1].to_owned()).or_default().push(Value::from_pairs(row));
    }
    Value::from_pairs(all.into_iter().map(|(name, rows)| (name, Value::from(rows))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_by_name() {
        let all = package_list("apt curl 7.88 amd64 installed web\napt gone 1 all config-files x\nrpm bash 5.1 x86_64 6.el9 (none)\n");
        let version =
            |name: &str| all.get_item(&name.into()).and_then(|l| l.get_item_by_index(0)).and_then(|p| p.get_attr("version")).unwrap();
        assert_eq!(version("curl").to_string(), "7.88");
        assert_eq!(version("bash").to_string(), "5.1");
        assert!(all.get_item(&"gone".into()).unwrap().is_undefined());
    }
}
