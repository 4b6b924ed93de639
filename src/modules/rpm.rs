//! The RHEL family: `dnf`, `yum`, `package` (whatever the host has), `selinux`, `firewalld`.

use super::{
    ArgError, Args, Env, ModuleDef, OptionType as T, TaskResult, Work, apt,
    args::{Opts, opt},
    outcome::{self, Said},
    script::Script,
};
use minijinja::Value;
use std::sync::Arc;

macro_rules! dnf {
    ($(#[$doc:meta])* $name:ident $names:expr) => {
        $(#[$doc])*
        pub static $name: ModuleDef = ModuleDef {
            names: $names,
            options: &[
                opt("name", T::List).alias(&["pkg"]),
                opt("state", T::Str).choices(&["absent", "installed", "latest", "present", "removed"]),
                opt("enablerepo", T::List),
                opt("disablerepo", T::List),
                opt("disable_excludes", T::Str),
                opt("exclude", T::List),
                opt("update_cache", T::Bool).alias(&["expire-cache"]),
                opt("update_only", T::Bool),
                opt("allow_downgrade", T::Bool),
                opt("allowerasing", T::Bool),
                opt("autoremove", T::Bool),
                opt("best", T::Bool),
                opt("bugfix", T::Bool),
                opt("cacheonly", T::Bool),
                opt("conf_file", T::Str),
                opt("disable_gpg_check", T::Bool),
                opt("disable_plugin", T::List),
                opt("download_dir", T::Str),
                opt("download_only", T::Bool),
                opt("enable_plugin", T::List),
                opt("install_repoquery", T::Bool),
                opt("install_weak_deps", T::Bool),
                opt("installroot", T::Str),
                opt("lock_timeout", T::Int),
                opt("nobest", T::Bool),
                opt("releasever", T::Str),
                opt("security", T::Bool),
                opt("skip_broken", T::Bool),
                opt("sslverify", T::Bool),
                opt("use_backend", T::Str),
                opt("validate_certs", T::Bool),
            ],
            free_form: false,
            facts: &[],
            compile: |args, env| rpm_packages(&Opts::read(&$name, args)?, env),
        };
    };
}

dnf! {
    /// `lib/ansible/modules/dnf.py`
    DNF &["dnf", "dnf5"]
}
dnf! {
    /// `yum`: the same, by dnf where there is no yum.
    YUM &["yum"]
}

/// What every call of dnf is given: where packages come from, and what is allowed with them.
fn dnf_options(o: &Opts) -> Vec<String> {
    let each = |name: &str, option: &str| o.list(name).iter().map(|v| format!("--{option}={v}")).collect::<Vec<_>>();
    let mut options = Vec::new();
    if let Some(file) = o.text("conf_file") {
        options.push(format!("--config={file}"));
    }
    if let Some(root) = o.text("installroot").filter(|r| r != "/") {
        options.push(format!("--installroot={root}"));
    }
    // Those that are enabled win over those that are disabled, whatever their order in the task.
    options.extend(each("disablerepo", "disablerepo"));
    options.extend(each("enablerepo", "enablerepo"));
    options.extend(each("disable_plugin", "disableplugin"));
    options.extend(each("enable_plugin", "enableplugin"));
    options.extend(each("exclude", "exclude"));
    if let Some(what) = o.text("disable_excludes") {
        options.push(format!("--disableexcludes={what}"));
    }
    if let Some(version) = o.text("releasever") {
        options.push(format!("--releasever={version}"));
    }
    // Signatures are asked for where a repository says nothing of them, and of files: dnf's own default is not to.
    if o.flag("disable_gpg_check", false) {
        options.push("--nogpgcheck".to_owned());
    } else {
        options.extend(["--setopt=gpgcheck=1", "--setopt=localpkg_gpgcheck=1"].map(str::to_owned));
    }
    // What a package needed stays unless `autoremove` asks for more.
    options.push(format!("--setopt=clean_requirements_on_remove={}", u8::from(o.flag("autoremove", false))));
    match (o.maybe_flag("nobest"), o.maybe_flag("best")) {
        (Some(on), _) => options.push(format!("--setopt=best={}", u8::from(!on))),
        (None, Some(on)) => options.push(format!("--setopt=best={}", u8::from(on))),
        (None, None) => {}
    }
    for (name, wanted, text) in [
        ("allowerasing", true, "--allowerasing"),
        ("skip_broken", true, "--skip-broken"),
        ("security", true, "--security"),
        ("bugfix", true, "--bugfix"),
        ("cacheonly", true, "--cacheonly"),
        ("download_only", true, "--downloadonly"),
        ("install_weak_deps", false, "--setopt=install_weak_deps=0"),
        ("sslverify", false, "--setopt=sslverify=0"),
    ] {
        if o.maybe_flag(name) == Some(wanted) {
            options.push(text.to_owned());
        }
    }
    if let Some(dir) = o.text("download_dir").filter(|_| o.flag("download_only", false)) {
        options.push(format!("--downloaddir={dir}"));
    }
    options
}

fn rpm_packages(o: &Opts, env: &Env<'_>) -> Result<Work, ArgError> {
    // A list's items may be lists themselves: `[a, "b,c"]`.
    let names = o.list("name").iter().flat_map(|n| n.split(',').map(|n| n.trim().to_owned()).collect::<Vec<_>>()).collect::<Vec<_>>();
    let names: Vec<String> = names.into_iter().filter(|n| !n.is_empty()).collect();
    let compares = |n: &str| n.contains(['@', '<', '>', '=']);
    if let Some(bad) = names.iter().find(|n| n.starts_with('-') || n.contains('\n') || (n.contains(' ') && !compares(n))) {
        return Err(ArgError(format!("'{bad}' is no package name; several are separated by commas")));
    }
    let autoremove = o.flag("autoremove", false);
    let state = match o.text("state").as_deref() {
        None if autoremove => "absent",
        None | Some("installed") => "present",
        Some("removed") => "absent",
        Some(other) => other,
    }
    .to_owned();
    if autoremove && state != "absent" {
        return Err(ArgError("autoremove goes with state=absent, or stands alone".into()));
    }
    let is_file = |n: &str| n.contains("://") || n.rsplit_once('.').is_some_and(|(_, end)| end == "rpm");
    if let Some(file) = names.iter().find(|n| state == "absent" && is_file(n)) {
        return Err(ArgError(format!("cannot remove the file {file}: name the package")));
    }
    let options = dnf_options(o);
    if let Some(bad) = options.iter().find(|t| t.contains(char::is_whitespace)) {
        return Err(ArgError(format!("'{bad}' must not hold blanks")));
    }
    let root = o.text_or("installroot", "");
    let (only_cache, looks) = (names.is_empty() && !autoremove, env.check_mode);
    let downloads = o.flag("download_only", false);
    Ok(Script::new()
        .set("kw_dnf", "dnf")
        .set("kw_state", &state)
        .set("kw_rpm_root", if root == "/" { "" } else { &root })
        .set("kw_options", &options.join(" "))
        .flag("kw_update", o.flag("update_cache", false))
        .flag("kw_autoremove", autoremove)
        .flag("kw_downgrade", o.flag("allow_downgrade", false))
        .flag("kw_only", o.flag("update_only", false))
        .flag("kw_looks", looks)
        .set("kw_lock", &o.int("lock_timeout").filter(|l| *l > 30).unwrap_or(1800).to_string())
        .args(&names)
        .work(
            "kw_dnf_check \"$@\"",
            "kw_dnf_apply \"$@\"",
            Arc::new(move |outcome| {
                let (mut result, said) = outcome::base(outcome);
                dnf_result(&mut result, &said, only_cache, looks, downloads);
                result
            }),
        ))
}

/// `results`, `rc`, `msg`, and whether anything changed: that is what is different in rpm's list.
fn dnf_result(result: &mut TaskResult, said: &Said, only_cache: bool, looks: bool, downloads: bool) {
    if result.failed {
        result.fields.insert("results".into(), Value::from(Vec::<Value>::new()));
        return;
    }
    let lines = |name: &str| said.get(name).lines().filter(|l| !l.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let (notes, done) = (lines("notes"), lines("done"));
    result.changed = result.changed && !only_cache && (looks || downloads || !done.is_empty());
    result.msg = Some(
        match (only_cache, result.changed) {
            (true, _) => "Cache updated",
            (_, false) => "Nothing to do",
            (_, true) if looks => "Check mode: No changes made, but would have if not in check mode",
            (_, true) => "",
        }
        .to_owned(),
    );
    result.fields.insert("rc".into(), 0.into());
    result.fields.insert("results".into(), notes.into_iter().chain(done).map(Value::from).collect());
}

/// `lib/ansible/modules/package.py`: by `pkg_mgr`.
pub static PACKAGE: ModuleDef = ModuleDef {
    names: &["package"],
    options: &[
        opt("name", T::List).req(),
        opt("state", T::Str),
        opt("use", T::Str),
        opt("update_cache", T::Bool),
        opt("lock_timeout", T::Int),
        // What goes on to apt or dnf; the one that does not know an option refuses it.
        opt("allow_change_held_packages", T::Bool),
        opt("allow_downgrade", T::Bool),
        opt("allow_unauthenticated", T::Bool),
        opt("allowerasing", T::Bool),
        opt("autoremove", T::Bool),
        opt("cache_valid_time", T::Int),
        opt("default_release", T::Str),
        opt("disable_excludes", T::Str),
        opt("disable_gpg_check", T::Bool),
        opt("disablerepo", T::List),
        opt("dpkg_options", T::Str),
        opt("enablerepo", T::List),
        opt("exclude", T::List),
        opt("force", T::Bool),
        opt("force_apt_get", T::Bool),
        opt("install_recommends", T::Bool),
        opt("install_weak_deps", T::Bool),
        opt("nobest", T::Bool),
        opt("only_upgrade", T::Bool),
        opt("policy_rc_d", T::Int),
        opt("purge", T::Bool),
        opt("skip_broken", T::Bool),
        opt("update_cache_retries", T::Int),
        opt("upgrade", T::Str),
    ],
    free_form: false,
    facts: &["pkg_mgr"],
    compile: |args, env| {
        let o = Opts::read(&PACKAGE, args)?;
        let chosen = o.text("use").filter(|u| u != "auto").or_else(|| fact(env, "pkg_mgr")).unwrap_or_default();
        let mut args = Args { named: args.named.clone(), free_form: None };
        args.named.shift_remove("use");
        match chosen.as_str() {
            "apt" => (apt::APT.compile)(&args, env),
            "dnf" | "dnf5" | "yum" => (DNF.compile)(&args, env),
            "" => Err(ArgError("package: the host's package manager is not known yet (fact pkg_mgr)".into())),
            other => Err(ArgError(format!("package: package manager {other} is not supported (apt, dnf, yum)"))),
        }
    },
};

fn fact(env: &Env<'_>, name: &str) -> Option<String> {
    (env.facts)(name).and_then(|v| v.as_str().map(str::to_owned))
}

/// `ansible.posix.selinux`
pub static SELINUX: ModuleDef = ModuleDef {
    names: &["selinux"],
    options: &[
        opt("state", T::Str).choices(&["disabled", "enforcing", "permissive"]).req(),
        opt("policy", T::Str),
        opt("configfile", T::Str).alias(&["conf", "file"]),
        opt("update_kernel_param", T::Bool),
    ],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&SELINUX, args)?;
        let (state, file) = (o.text_or("state", ""), o.text_or("configfile", "/etc/selinux/config"));
        if state != "disabled" && !o.has("policy") {
            return Err(ArgError(format!("selinux: state {state} needs a policy")));
        }
        Ok(Script::new()
            .set("kw_state", &state)
            .set("kw_policy", &o.text_or("policy", ""))
            .set("kw_configfile", &file)
            .flag("kw_grub", o.flag("update_kernel_param", false))
            .work(
                "kw_selinux_check",
                "kw_selinux_apply",
                outcome::with(move |result, said, _| {
                    // Playbooks ask for it, also where nothing changed.
                    result.fields.insert("reboot_required".into(), said.has("reboot").into());
                    result.fields.insert("state".into(), state.as_str().into());
                    result.fields.insert("policy".into(), said.get("policy").into());
                    result.fields.insert("configfile".into(), file.as_str().into());
                }),
            ))
    },
};

/// `ansible.posix.firewalld`
pub static FIREWALLD: ModuleDef = ModuleDef {
    names: &["firewalld"],
    options: &[
        opt("state", T::Str).choices(&["enabled", "disabled", "present", "absent"]).req(),
        opt("service", T::Str),
        opt("port", T::Str),
        opt("protocol", T::Str),
        opt("source", T::Str),
        opt("interface", T::Str),
        opt("rich_rule", T::Str),
        opt("icmp_block", T::Str),
        opt("masquerade", T::Bool),
        opt("zone", T::Str),
        opt("permanent", T::Bool),
        opt("immediate", T::Bool),
        opt("offline", T::Bool),
        opt("timeout", T::Int),
    ],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&FIREWALLD, args)?;
        let kinds = [
            ("service", "service"),
            ("port", "port"),
            ("protocol", "protocol"),
            ("source", "source"),
            ("interface", "interface"),
            ("rich_rule", "rich-rule"),
            ("icmp_block", "icmp-block"),
        ];
        let mut rules: Vec<String> = kinds.iter().filter_map(|(name, flag)| o.text(name).map(|v| format!("{flag}={v}"))).collect();
        let mut state = o.text_or("state", "").replace("present", "enabled").replace("absent", "disabled");
        if let Some(on) = o.maybe_flag("masquerade") {
            rules.push("masquerade".to_owned());
            if !on {
                state = if state == "enabled" { "disabled".into() } else { "enabled".into() };
            }
        }
        let [rule] = &rules[..] else {
            return Err(ArgError(
                "firewalld takes exactly one of service, port, protocol, source, interface, rich_rule, icmp_block, masquerade".into(),
            ));
        };
        let permanent = o.flag("permanent", false);
        let sides = match (permanent, o.flag("immediate", !permanent)) {
            (true, true) => "kept now",
            (true, false) => "kept",
            _ => "now",
        };
        Ok(Script::new()
            .set("kw_what", rule)
            .set("kw_state", &state)
            .set("kw_zone", &o.text_or("zone", ""))
            .set("kw_sides", sides)
            .plain("kw_firewalld_check", "kw_firewalld_apply"))
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Root, compile, converges};

    /// An rpm that knows the names in `have`, and a dnf that writes down how it was called and adds its last word to them.
    fn host(root: &Root) {
        root.write("have", "bash\n");
        root.stub(
            "rpm",
            r#"case " $* " in *' -qa '*) exec cat "$R/have" ;; esac
for a; do case $a in -*) ;; *) grep -qx -- "$a" "$R/have" || bad=1 ;; esac; done; exit ${bad:-0}"#,
        );
        root.stub("dnf", r#"echo "$*" >>"$R/calls"; for a; do last=$a; done; echo "$last" >>"$R/have""#);
    }

    #[test]
    fn dnf_installs_what_rpm_does_not_know() {
        converges(&DNF, r#"{"name":["bash","containerd.io"],"disable_excludes":"kubernetes"}"#, host, |root| {
            assert_eq!(
                root.read("calls"),
                "-q -y --disableexcludes=kubernetes --setopt=gpgcheck=1 --setopt=localpkg_gpgcheck=1 --setopt=clean_requirements_on_remove=0 install -- containerd.io\n"
            );
        });
    }

    #[test]
    fn files_and_odd_names_are_refused() {
        for (args, why) in [
            (r#"{"name":"a b"}"#, "no package name"),
            (r#"{"name":"-y"}"#, "no package name"),
            (r#"{"name":"/x/a.rpm","state":"absent"}"#, "cannot remove the file"),
            (r#"{"name":"a","state":"present","autoremove":true}"#, "autoremove"),
            (r#"{"name":"a","exclude":["b c"]}"#, "must not hold blanks"),
        ] {
            let Err(error) = compile(&DNF, &crate::modules::testing::args(args)) else { panic!("{args} was taken") };
            assert!(error.0.contains(why), "{args}: {error}");
        }
    }

    #[test]
    fn selinux_is_set_in_the_file() {
        let prepare = |root: &Root| root.write("etc/selinux/config", "# c\nSELINUX=enforcing\nSELINUXTYPE=targeted\n");
        converges(&SELINUX, r#"{"state":"permissive","policy":"targeted"}"#, prepare, |root| {
            assert_eq!(root.read("etc/selinux/config"), "# c\nSELINUX=permissive\nSELINUXTYPE=targeted\n");
        });
    }

    #[test]
    fn firewalld_asks_before_it_adds() {
        let prepare = |root: &Root| {
            root.stub(
                "firewall-cmd",
                r#"case "$*" in *--query-*) grep -q . "$R/open" 2>/dev/null || exit 1 ;; *) echo "$*" >>"$R/open" ;; esac"#,
            );
        };
        converges(&FIREWALLD, r#"{"port":"6443/tcp","state":"enabled","permanent":true,"zone":"public"}"#, prepare, |root| {
            assert_eq!(root.read("open"), "-q --permanent --zone=public --add-port=6443/tcp\n");
        });
    }
}
