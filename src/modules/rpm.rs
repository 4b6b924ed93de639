//! The RHEL family: `dnf`, `yum`, `package` (whatever the host has), `yum_repository`, `rpm_key`, `selinux`, `firewalld`.

use super::{
    ArgError, Args, Env, ModuleDef, OptionType as T, Work, apt,
    args::{Opts, opt},
    files::{attributes, file_options},
    outcome,
    script::{Script, sha256},
};
use std::fmt::Write;

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
                opt("allow_downgrade", T::Bool),
                opt("allowerasing", T::Bool),
                opt("autoremove", T::Bool),
                opt("disable_gpg_check", T::Bool),
                opt("installroot", T::Str),
                opt("install_weak_deps", T::Bool),
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
            compile: |args, _| rpm_packages(&Opts::read(&$name, args)?),
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

fn rpm_packages(o: &Opts) -> Result<Work, ArgError> {
    let names: Vec<String> = o.list("name").into_iter().filter(|n| !n.trim().is_empty()).collect();
    if let Some(bad) = names.iter().find(|n| n.starts_with('-') || n.contains(char::is_whitespace)) {
        return Err(ArgError(format!("'{bad}' is no package name")));
    }
    let state = match o.text_or("state", "present").as_str() {
        "installed" => "present".to_owned(),
        "removed" => "absent".to_owned(),
        other => other.to_owned(),
    };
    let mut repos: Vec<String> = o.list("enablerepo").iter().map(|r| format!("--enablerepo={r}")).collect();
    repos.extend(o.list("disablerepo").iter().map(|r| format!("--disablerepo={r}")));
    let mut options: Vec<String> = o.list("exclude").iter().map(|e| format!("--exclude={e}")).collect();
    for (name, text) in [
        ("disable_gpg_check", "--nogpgcheck"),
        ("allowerasing", "--allowerasing"),
        ("nobest", "--nobest"),
        ("skip_broken", "--skip-broken"),
        ("security", "--security"),
    ] {
        if o.flag(name, false) {
            options.push(text.to_owned());
        }
    }
    if let Some(what) = o.text("disable_excludes") {
        options.push(format!("--disableexcludes={what}"));
    }
    if let Some(version) = o.text("releasever") {
        options.push(format!("--releasever={version}"));
    }
    if o.maybe_flag("install_weak_deps") == Some(false) {
        options.push("--setopt=install_weak_deps=False".to_owned());
    }
    if let Some(bad) = repos.iter().chain(&options).find(|t| t.contains(char::is_whitespace)) {
        return Err(ArgError(format!("'{bad}' must not hold blanks")));
    }
    Ok(Script::new()
        .set("kw_dnf", "dnf")
        .set("kw_state", &state)
        .set("kw_repos", &repos.join(" "))
        .set("kw_options", &options.join(" "))
        .flag("kw_update", o.flag("update_cache", false))
        .flag("kw_autoremove", o.flag("autoremove", false) && names.is_empty())
        .set("kw_lock", &o.int("lock_timeout").filter(|l| *l > 30).unwrap_or(1800).to_string())
        .args(&names)
        .plain("kw_dnf_check \"$@\"", "kw_dnf_apply \"$@\""))
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

/// `lib/ansible/modules/yum_repository.py`
pub static YUM_REPOSITORY: ModuleDef = ModuleDef {
    names: &["yum_repository"],
    options: file_options![
        opt("name", T::Str).req(),
        opt("state", T::Str).choices(&["absent", "present"]),
        opt("file", T::Str),
        opt("description", T::Str),
        opt("baseurl", T::List),
        opt("mirrorlist", T::Str),
        opt("metalink", T::Str),
        opt("enabled", T::Bool),
        opt("gpgcheck", T::Bool),
        opt("repo_gpgcheck", T::Bool),
        opt("gpgkey", T::List),
        opt("gpgcakey", T::Str),
        opt("sslverify", T::Bool).alias(&["validate_certs"]),
        opt("sslcacert", T::Str).alias(&["ca_cert"]),
        opt("exclude", T::List),
        opt("includepkgs", T::List),
        opt("priority", T::Str),
        opt("cost", T::Str),
        opt("metadata_expire", T::Str),
        opt("module_hotfixes", T::Bool),
        opt("skip_if_unavailable", T::Bool),
        opt("proxy", T::Str),
        opt("timeout", T::Str),
        opt("username", T::Str),
        opt("password", T::Str),
    ],
    free_form: false,
    facts: &[],
    compile: |args, env| {
        let o = Opts::read(&YUM_REPOSITORY, args)?;
        let name = o.text_or("name", "");
        let file = format!("/etc/yum.repos.d/{}.repo", o.text_or("file", &name).trim_end_matches(".repo"));
        let present = o.text_or("state", "present") == "present";
        if present && !["baseurl", "mirrorlist", "metalink"].iter().any(|k| o.has(k)) {
            return Err(ArgError("yum_repository needs one of baseurl, mirrorlist, metalink".into()));
        }
        let mut text = format!("[{name}]\nname = {}\n", o.text_or("description", &name));
        for spec in YUM_REPOSITORY.options {
            let key = spec.name;
            if matches!(key, "name" | "state" | "file" | "description" | "mode" | "owner" | "group" | "unsafe_writes") || !o.has(key) {
                continue;
            }
            let value = match spec.kind {
                T::Bool => if o.flag(key, false) { "1" } else { "0" }.to_owned(),
                T::List if key == "exclude" || key == "includepkgs" => o.list(key).join(" "),
                T::List => o.list(key).join("\n    "),
                _ => o.text_or(key, ""),
            };
            let _ = writeln!(text, "{key} = {value}");
        }
        let script = Script::new()
            .set("kw_state", if present { "present" } else { "absent" })
            .set("kw_dest", &file)
            .set("kw_keyfile", "")
            .set("kw_key_url", "")
            .blob("kw_sha", text.clone(), false)
            .flag("kw_force", true)
            .set("kw_validate", "")
            .set("kw_backup", "")
            .flag("kw_diff", env.diff);
        Ok(attributes(script, &o)?.work(
            "kw_deb822_check",
            "kw_deb822_apply",
            outcome::with(move |result, said, _| {
                if let Some(diff) = result.diff.first_mut().filter(|_| !said.has("after")) {
                    diff.after.clone_from(&text);
                }
                result.fields.insert("repo".into(), name.as_str().into());
            }),
        ))
    },
};

/// `lib/ansible/modules/rpm_key.py`
pub static RPM_KEY: ModuleDef = ModuleDef {
    names: &["rpm_key"],
    options: &[
        opt("key", T::Str).req(),
        opt("state", T::Str).choices(&["absent", "present"]),
        opt("fingerprint", T::List),
        opt("validate_certs", T::Bool),
    ],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&RPM_KEY, args)?;
        let key = o.text_or("key", "");
        Ok(Script::new()
            .set("kw_key", &key)
            .set("kw_keyhash", &sha256(key.as_bytes())[..16])
            .set("kw_state", &o.text_or("state", "present"))
            .flag("kw_insecure", !o.flag("validate_certs", true))
            .plain("kw_rpmkey_check", "kw_rpmkey_apply"))
    },
};

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
        let script = Script::new().set("kw_state", &o.text_or("state", "")).set("kw_policy", &o.text_or("policy", ""));
        Ok(script.plain("kw_selinux_check", "kw_selinux_apply"))
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
    use crate::modules::testing::{Root, converges};

    #[test]
    fn dnf_installs_what_rpm_does_not_know() {
        let prepare = |root: &Root| {
            root.write("have", "bash\n");
            root.stub("rpm", r#"q=''; for a; do case $a in --quiet) q=1 ;; -*|'have '*) ;; *) last=$a; if ! grep -qx "$a" "$R/have"; then [ -n "$q" ] || echo "no package provides $a"; bad=1; fi ;; esac; done; exit ${bad:-0}"#);
            root.stub("dnf", r#"echo "$*" >>"$R/calls"; for a; do last=$a; done; echo "$last" >>"$R/have""#);
        };
        converges(&DNF, r#"{"name":["bash","containerd.io"],"disable_excludes":"kubernetes"}"#, prepare, |root| {
            assert_eq!(root.read("calls"), "-q -y --disableexcludes=kubernetes install -- bash containerd.io\n");
        });
    }

    #[test]
    fn a_repository_is_a_file() {
        let args = r#"{"name":"kubernetes","description":"K","baseurl":"https://x/","gpgcheck":true,"exclude":["kubelet","kubeadm"]}"#;
        converges(
            &YUM_REPOSITORY,
            args,
            |r| r.write("etc/yum.repos.d/x", ""),
            |root| {
                assert_eq!(
                    root.read("etc/yum.repos.d/kubernetes.repo"),
                    "[kubernetes]\nname = K\nbaseurl = https://x/\ngpgcheck = 1\nexclude = kubelet kubeadm\n"
                );
            },
        );
    }

    #[test]
    fn selinux_is_set_in_the_file() {
        let prepare = |root: &Root| root.write("etc/selinux/config", "# c\nSELINUX=enforcing\nSELINUXTYPE=targeted\n");
        converges(&SELINUX, r#"{"state":"permissive"}"#, prepare, |root| {
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
