//! `iptables`, `alternatives`, `timezone`, `git`.

use super::{
    ArgError, Finish, ModuleDef, OptionType as T,
    args::{Opts, opt, to_text},
    outcome,
    script::Script,
};
use minijinja::Value;

/// `lib/ansible/modules/iptables.py`
pub static IPTABLES: ModuleDef = ModuleDef {
    names: &["iptables"],
    options: &[
        opt("table", T::Str).choices(&["filter", "mangle", "nat", "raw", "security"]),
        opt("chain", T::Str),
        opt("state", T::Str).choices(&["absent", "present"]),
        opt("action", T::Str).choices(&["append", "insert"]),
        opt("rule_num", T::Str),
        opt("ip_version", T::Str).choices(&["ipv4", "ipv6"]),
        opt("protocol", T::Str),
        opt("source", T::Str),
        opt("destination", T::Str),
        opt("in_interface", T::Str),
        opt("out_interface", T::Str),
        opt("source_port", T::Str),
        opt("destination_port", T::Str),
        opt("destination_ports", T::List),
        opt("ctstate", T::List),
        opt("match", T::List),
        opt("syn", T::Str).choices(&["ignore", "match", "negate"]),
        opt("limit", T::Str),
        opt("limit_burst", T::Str),
        opt("icmp_type", T::Str),
        opt("tcp_flags", T::Dict),
        opt("reject_with", T::Str),
        opt("log_prefix", T::Str),
        opt("log_level", T::Str),
        opt("src_range", T::Str),
        opt("dst_range", T::Str),
        opt("gid_owner", T::Str),
        opt("to_destination", T::Str),
        opt("to_source", T::Str),
        opt("to_ports", T::Str),
        opt("uid_owner", T::Str),
        opt("set_dscp_mark", T::Str),
        opt("fragment", T::Str),
        opt("comment", T::Str),
        opt("jump", T::Str),
        opt("goto", T::Str),
        opt("gateway", T::Str),
        opt("policy", T::Str).choices(&["ACCEPT", "DROP", "QUEUE", "RETURN"]),
        opt("flush", T::Bool),
        opt("chain_management", T::Bool),
        opt("wait", T::Str),
        opt("numeric", T::Bool),
    ],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&IPTABLES, args)?;
        if !o.flag("flush", false) && !o.has("chain") {
            return Err(ArgError("iptables needs 'chain'".into()));
        }
        let rule = rule(&o);
        let program = if o.text_or("ip_version", "ipv4") == "ipv6" { "ip6tables" } else { "iptables" };
        Ok(Script::new()
            .set("kw_program", program)
            .set("kw_table", &o.text_or("table", "filter"))
            .set("kw_chain", &o.text_or("chain", ""))
            .set("kw_state", &o.text_or("state", "present"))
            .set("kw_action", &o.text_or("action", "append"))
            .set("kw_number", &o.text_or("rule_num", ""))
            .set("kw_policy", &o.text_or("policy", ""))
            .flag("kw_flush", o.flag("flush", false))
            .flag("kw_chain_only", o.flag("chain_management", false) && rule.is_empty())
            .args(&rule)
            .work("kw_iptables_check \"$@\"", "kw_iptables_apply \"$@\"", told_rule(&o, &rule)))
    },
};

/// What `iptables` returns of its options.
fn told_rule(o: &Opts, rule: &[String]) -> Finish {
    let mut told: Vec<(&str, Value)> = vec![
        ("ip_version", o.text_or("ip_version", "ipv4").into()),
        ("table", o.text_or("table", "filter").into()),
        ("chain", o.text("chain").map_or(Value::from(()), Value::from)),
        ("flush", o.flag("flush", false).into()),
        ("rule", rule.join(" ").into()),
        ("state", o.text_or("state", "present").into()),
        ("chain_management", o.flag("chain_management", false).into()),
        ("wait", o.text("wait").map_or(Value::from(()), Value::from)),
    ];
    if let Some(policy) = o.text("policy") {
        told.push(("policy", policy.into()));
    }
    outcome::with(move |result, _, _| result.fields.extend(told.iter().map(|(k, v)| ((*k).to_owned(), v.clone()))))
}

/// The rule's words, in the order of Ansible's `construct_rule`.
fn rule(o: &Opts) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let put = |words: &mut Vec<String>, flag: &str, name: &str| {
        for value in if name == "match" { o.list(name) } else { o.text(name).into_iter().collect() } {
            // `!10.0.0.0/8` negates.
            match value.strip_prefix('!') {
                Some(rest) => words.extend(["!".to_owned(), flag.to_owned(), rest.trim().to_owned()]),
                None => words.extend([flag.to_owned(), value]),
            }
        }
    };
    // A match extension, unless it was named already.
    let extension = |words: &mut Vec<String>, name: &str| {
        if !o.list("match").iter().any(|m| m == name) {
            words.extend(["-m".to_owned(), name.to_owned()]);
        }
    };
    for (name, flag) in [("protocol", "-p"), ("source", "-s"), ("destination", "-d"), ("match", "-m")] {
        put(&mut words, flag, name);
    }
    let flags = o.dict("tcp_flags");
    if !flags.is_empty() {
        let list = |key: &str| flags.get(key).and_then(|v| v.try_iter().ok()).map(|i| i.map(|v| to_text(&v)).collect::<Vec<_>>().join(","));
        words.push("--tcp-flags".to_owned());
        words.extend(["flags", "flags_set"].into_iter().filter_map(list));
    }
    for (name, flag) in [
        ("jump", "-j"),
        ("gateway", "--gateway"),
        ("log_prefix", "--log-prefix"),
        ("log_level", "--log-level"),
        ("to_destination", "--to-destination"),
    ] {
        put(&mut words, flag, name);
    }
    let ports = o.list("destination_ports");
    if !ports.is_empty() {
        words.extend(["-m".to_owned(), "multiport".to_owned(), "--dports".to_owned(), ports.join(",")]);
    }
    for (name, flag) in [
        ("to_source", "--to-source"),
        ("goto", "-g"),
        ("in_interface", "-i"),
        ("out_interface", "-o"),
        ("fragment", "-f"),
        ("source_port", "--source-port"),
        ("destination_port", "--destination-port"),
        ("to_ports", "--to-ports"),
        ("set_dscp_mark", "--set-dscp"),
    ] {
        put(&mut words, flag, name);
    }
    match o.text_or("syn", "ignore").as_str() {
        "match" => words.push("--syn".into()),
        "negate" => words.extend(["!".into(), "--syn".into()]),
        _ => {}
    }
    for (names, needs) in [
        (&[("ctstate", "--ctstate")][..], "conntrack"),
        (&[("src_range", "--src-range"), ("dst_range", "--dst-range")], "iprange"),
        (&[("limit", "--limit"), ("limit_burst", "--limit-burst")], "limit"),
        (&[("uid_owner", "--uid-owner"), ("gid_owner", "--gid-owner")], "owner"),
    ] {
        if names.iter().any(|(name, _)| o.has(name)) {
            extension(&mut words, needs);
        }
        for (name, flag) in names {
            match *name {
                "ctstate" if o.has(name) => words.extend([(*flag).to_owned(), o.list(name).join(",")]),
                name => put(&mut words, flag, name),
            }
        }
    }
    for (name, flag) in [("reject_with", "--reject-with"), ("icmp_type", "--icmp-type")] {
        put(&mut words, flag, name);
    }
    if let Some(comment) = o.text("comment") {
        words.extend(["-m".into(), "comment".into(), "--comment".into(), comment]);
    }
    words
}

/// `community.general.alternatives`
pub static ALTERNATIVES: ModuleDef = ModuleDef {
    names: &["alternatives"],
    options: &[
        opt("name", T::Str).req(),
        opt("path", T::Path).req(),
        opt("link", T::Path),
        opt("priority", T::Int),
        opt("state", T::Str).choices(&["present", "selected", "absent", "auto"]),
    ],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&ALTERNATIVES, args)?;
        Ok(Script::new()
            .set("kw_name", &o.text_or("name", ""))
            .set_sh("kw_path", &o.path("path"))
            .set("kw_link", &o.text_or("link", ""))
            .set("kw_priority", &o.int("priority").unwrap_or(50).to_string())
            .set("kw_state", &o.text_or("state", "selected"))
            .plain("kw_alternatives_check", "kw_alternatives_apply"))
    },
};

/// `community.general.timezone`
pub static TIMEZONE: ModuleDef = ModuleDef {
    names: &["timezone"],
    options: &[opt("name", T::Str).req(), opt("hwclock", T::Str)],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&TIMEZONE, args)?;
        if o.has("hwclock") {
            return Err(ArgError("timezone: hwclock is not supported".into()));
        }
        Ok(Script::new().set("kw_name", &o.text_or("name", "")).plain("kw_timezone_check", "kw_timezone_apply"))
    },
};

/// `lib/ansible/modules/git.py`
pub static GIT: ModuleDef = ModuleDef {
    names: &["git"],
    options: &[
        opt("repo", T::Str).alias(&["name"]).req(),
        opt("dest", T::Path).req(),
        opt("version", T::Str),
        opt("remote", T::Str),
        opt("force", T::Bool),
        opt("update", T::Bool),
        opt("clone", T::Bool),
        opt("depth", T::Int),
        opt("bare", T::Bool),
        opt("recursive", T::Bool),
        opt("accept_hostkey", T::Bool),
        opt("accept_newhostkey", T::Bool),
        opt("key_file", T::Path),
        opt("ssh_opts", T::Str),
        opt("single_branch", T::Bool),
    ],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&GIT, args)?;
        if o.flag("accept_hostkey", false) {
            return Err(ArgError("git: accept_hostkey is not supported, no key is accepted unseen; put it into known_hosts first".into()));
        }
        let mut ssh = String::from("ssh -o BatchMode=yes");
        if let Some(key) = o.text("key_file") {
            ssh.push_str(" -o IdentitiesOnly=yes -i ");
            ssh.push_str(&crate::shell::quote(&key));
        }
        if let Some(more) = o.text("ssh_opts") {
            ssh.push(' ');
            ssh.push_str(&more);
        }
        Ok(Script::new()
            .set("kw_repo", &o.text_or("repo", ""))
            .set_sh("kw_dest", &o.path("dest"))
            .set("kw_version", &o.text_or("version", "HEAD"))
            .set("kw_remote", &o.text_or("remote", "origin"))
            .set("kw_ssh", &ssh)
            .flag("kw_force", o.flag("force", false))
            .flag("kw_update", o.flag("update", true))
            .flag("kw_clone", o.flag("clone", true))
            .set("kw_depth", &o.int("depth").map(|d| d.to_string()).unwrap_or_default())
            .flag("kw_bare", o.flag("bare", false))
            .flag("kw_recursive", o.flag("recursive", true))
            .work(
                "kw_git_check",
                "kw_git_apply",
                outcome::with(|result, said, _| {
                    let before = said.get("before_commit");
                    result.fields.insert("before".into(), if before.is_empty() { Value::from(()) } else { before.into() });
                    for (key, other) in [("url_same", false), ("url_other", true)] {
                        if said.has(key) {
                            result.fields.insert("remote_url_changed".into(), other.into());
                        }
                    }
                }),
            ))
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Root, converges, fails};

    #[test]
    fn iptables_asks_before_it_appends() {
        let prepare = |root: &Root| root.stub("iptables", r#"case "$*" in *-C*) [ -e "$R/rules" ] ;; *) echo "$*" >>"$R/rules" ;; esac"#);
        let args = r#"{"chain":"INPUT","protocol":"tcp","destination_port":"22","ctstate":["NEW"],"jump":"ACCEPT","comment":"ssh in"}"#;
        converges(&IPTABLES, args, prepare, |root| {
            assert_eq!(
                root.read("rules"),
                "-w 10 -t filter -A INPUT -p tcp -j ACCEPT --destination-port 22 -m conntrack --ctstate NEW -m comment --comment ssh in\n"
            );
        });
    }

    #[test]
    fn git_clones_and_follows() {
        let prepare = |root: &Root| {
            let script =
                "cd \"$1\" && git init -q -b main r && cd r && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m one";
            assert!(std::process::Command::new("sh").args(["-c", script, "sh"]).arg(root.path("")).status().unwrap().success());
        };
        converges(&GIT, r#"{"repo":"$R/r","dest":"$R/clone","version":"main"}"#, prepare, |root| assert!(root.path("clone/.git").is_dir()));
    }

    #[test]
    fn time_zones_exist() {
        converges(
            &TIMEZONE,
            r#"{"name":"Etc/UTC"}"#,
            |r| r.write("etc/timezone", "x\n"),
            |root| assert_eq!(root.read("etc/timezone"), "Etc/UTC\n"),
        );
        fails(&TIMEZONE, r#"{"name":"Mars/Base"}"#, |_| {}, "no time zone Mars/Base");
    }
}
