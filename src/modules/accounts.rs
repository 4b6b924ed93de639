//! Users and what belongs to them: `user`, `group`, `authorized_key`, `known_hosts`, `cron`.

use super::{
    ArgError, ModuleDef, OptionType as T, TaskResult,
    args::{Opts, opt},
    outcome,
    script::Script,
};
use minijinja::Value;

/// `lib/ansible/modules/group.py`
pub static GROUP: ModuleDef = ModuleDef {
    names: &["group"],
    options: &[
        opt("name", T::Str).req(),
        opt("state", T::Str).choices(&["present", "absent"]),
        opt("gid", T::Int),
        opt("system", T::Bool),
        opt("local", T::Bool),
        opt("non_unique", T::Bool),
        opt("force", T::Bool),
    ],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&GROUP, args)?;
        let (name, state, system) = (o.text_or("name", ""), o.text_or("state", "present"), o.flag("system", false));
        let finish = outcome::with(move |result, said, _| {
            put(result, [("name", name.as_str().into()), ("state", state.as_str().into())]);
            if let Some(gid) = said.get("group").split(':').nth(2).and_then(|g| g.parse::<i64>().ok()) {
                put(result, [("gid", gid.into()), ("system", system.into())]);
            }
        });
        Ok(Script::new()
            .set("kw_name", &o.text_or("name", ""))
            .set("kw_state", &o.text_or("state", "present"))
            .set("kw_gid", &o.int("gid").map(|g| g.to_string()).unwrap_or_default())
            .flag("kw_system", system)
            .flag("kw_non_unique", o.flag("non_unique", false))
            .work("kw_group_check", "kw_group_apply", finish))
    },
};

/// `lib/ansible/modules/user.py`; a password is a hash and travels as a secret.
pub static USER: ModuleDef = ModuleDef {
    names: &["user"],
    options: &[
        opt("name", T::Str).alias(&["user"]).req(),
        opt("state", T::Str).choices(&["present", "absent"]),
        opt("uid", T::Int),
        opt("group", T::Str),
        opt("groups", T::List),
        opt("append", T::Bool),
        opt("shell", T::Str),
        opt("home", T::Path),
        opt("move_home", T::Bool),
        opt("create_home", T::Bool).alias(&["createhome"]),
        opt("skeleton", T::Str),
        opt("comment", T::Str),
        opt("system", T::Bool),
        opt("non_unique", T::Bool),
        opt("password", T::Str),
        opt("password_lock", T::Bool),
        opt("expires", T::Float),
        opt("update_password", T::Str).choices(&["always", "on_create"]),
        opt("remove", T::Bool),
        opt("force", T::Bool),
        opt("generate_ssh_key", T::Bool),
        opt("ssh_key_type", T::Str),
        opt("ssh_key_bits", T::Int),
        opt("ssh_key_file", T::Path),
        opt("ssh_key_comment", T::Str),
        opt("local", T::Bool),
    ],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&USER, args)?;
        let number = |name: &str| o.int(name).map(|n| n.to_string()).unwrap_or_default();
        for name in ["home", "shell", "group"] {
            if o.text(name).is_some_and(|t| t.contains(char::is_whitespace)) {
                return Err(ArgError(format!("user: {name} must not hold blanks")));
            }
        }
        let script = Script::new()
            .set("kw_name", &o.text_or("name", ""))
            .set("kw_state", &o.text_or("state", "present"))
            .set("kw_uid", &number("uid"))
            .set("kw_group", &o.text_or("group", ""))
            .flag("kw_has_groups", o.has("groups"))
            .set("kw_groups", &o.list("groups").join(","))
            .flag("kw_append", o.flag("append", false))
            .set("kw_shell", &o.text_or("shell", ""))
            .set("kw_home", &o.text_or("home", ""))
            .flag("kw_move", o.flag("move_home", false))
            .flag("kw_create_home", o.flag("create_home", true))
            .set("kw_skeleton", &o.text_or("skeleton", ""))
            .flag("kw_has_comment", o.has("comment"))
            .set("kw_comment", &o.text_or("comment", ""))
            .flag("kw_system", o.flag("system", false))
            .flag("kw_non_unique", o.flag("non_unique", false))
            .set("kw_update_password", &o.text_or("update_password", "always"))
            .set("kw_expires", &expires(&o))
            .set("kw_lock", o.maybe_flag("password_lock").map_or("", |l| if l { "yes" } else { "no" }))
            .flag("kw_remove", o.flag("remove", false))
            .flag("kw_force", o.flag("force", false))
            .flag("kw_ssh_key", o.flag("generate_ssh_key", false))
            .set("kw_ssh_type", &o.text_or("ssh_key_type", "rsa"))
            .set("kw_ssh_bits", &number("ssh_key_bits"))
            .set("kw_ssh_file", &o.text_or("ssh_key_file", ""))
            .set("kw_ssh_comment", &o.text_or("ssh_key_comment", ""));
        let script = match o.text("password") {
            Some(hash) if hash.contains([':', '\n']) => return Err(ArgError("password must be a hash as in /etc/shadow".into())),
            Some(hash) => script.blob("kw_password", format!("{hash}\n"), true),
            None => script.set("kw_password", ""),
        };
        let told = told_user(&o);
        let absent = o.text_or("state", "present") == "absent";
        let finish = outcome::with(move |result, said, _| {
            put(result, told.clone());
            if absent {
                return;
            }
            let words: Vec<&str> = said.get("passwd").split(':').collect();
            if let [_, _, uid, gid, comment, home, shell] = words[..] {
                let number = |text: &str| Value::from(text.parse::<i64>().unwrap_or_default());
                put(
                    result,
                    [
                        ("uid", number(uid)),
                        ("group", number(gid)),
                        ("comment", comment.into()),
                        ("home", home.into()),
                        ("shell", shell.into()),
                    ],
                );
            }
        });
        Ok(script.work("kw_user_check", "kw_user_apply", finish))
    },
};

/// Days since 1970, as shadow(5) has them; `-1`: never.
fn expires(o: &Opts) -> String {
    match o.float("expires") {
        Some(seconds) if seconds < 0.0 => "-1".to_owned(),
        Some(seconds) => format!("{}", (seconds / 86_400.0).floor()),
        None => String::new(),
    }
}

/// What `user` returns of its own options.
fn told_user(o: &Opts) -> Vec<(&'static str, Value)> {
    let mut told = vec![("name", o.text_or("name", "").into()), ("state", Value::from(o.text_or("state", "present")))];
    if o.text_or("state", "present") == "absent" {
        told.extend([("force", o.flag("force", false).into()), ("remove", o.flag("remove", false).into())]);
        return told;
    }
    // Which of them depends on whether the user was there: the union does no harm.
    told.extend(["append", "move_home", "system"].map(|name| (name, Value::from(o.flag(name, false)))));
    told.push(("create_home", o.flag("create_home", true).into()));
    if o.has("password") {
        told.push(("password", "NOT_LOGGING_PASSWORD".into()));
    }
    if o.has("groups") {
        told.push(("groups", o.list("groups").join(",").into()));
    }
    told
}

/// Puts fields into a result.
fn put(result: &mut TaskResult, fields: impl IntoIterator<Item = (&'static str, Value)>) {
    result.fields.extend(fields.into_iter().map(|(k, v)| (k.to_owned(), v)));
}

/// `ansible.posix.authorized_key`
pub static AUTHORIZED_KEY: ModuleDef = ModuleDef {
    names: &["authorized_key"],
    options: &[
        opt("user", T::Str).req(),
        opt("key", T::Str).req(),
        opt("state", T::Str).choices(&["present", "absent"]),
        opt("path", T::Path),
        opt("manage_dir", T::Bool),
        opt("key_options", T::Str),
        opt("comment", T::Str),
        opt("exclusive", T::Bool),
        opt("validate_certs", T::Bool),
        opt("follow", T::Bool),
    ],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&AUTHORIZED_KEY, args)?;
        let key = o.text_or("key", "");
        if key.starts_with("http://") || key.starts_with("https://") {
            return Err(ArgError("authorized_key: a URL as key is not supported; read it with the url lookup".into()));
        }
        let prefix = o.text("key_options").map(|k| format!("{k} ")).unwrap_or_default();
        let keys: Vec<String> =
            key.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).map(|l| format!("{prefix}{l}")).collect();
        let text = |name: &str| o.text(name).map_or(Value::from(()), Value::from);
        let told = [
            ("user", text("user")),
            ("key", text("key")),
            ("state", o.text_or("state", "present").into()),
            ("path", text("path")),
            ("key_options", text("key_options")),
            ("comment", text("comment")),
            ("manage_dir", o.flag("manage_dir", true).into()),
            ("exclusive", o.flag("exclusive", false).into()),
            ("validate_certs", o.flag("validate_certs", true).into()),
            ("follow", o.flag("follow", false).into()),
        ];
        let finish = outcome::with(move |result, said, _| {
            let state = result.fields.get("state").cloned();
            put(result, told.clone());
            put(result, [("keyfile", said.get("keyfile").into())]);
            // Of a path that was given, Ansible tells the file's own state.
            if let (Some(state), false) = (state, told[3].1.is_none()) {
                put(result, [("state", state)]);
            }
        });
        Ok(Script::new()
            .flag("kw_tells", o.has("path"))
            .set("kw_user", &o.text_or("user", ""))
            .set_sh("kw_file", &o.path("path"))
            .set("kw_home_now", "")
            .set("kw_state", &o.text_or("state", "present"))
            .flag("kw_exclusive", o.flag("exclusive", false))
            .flag("kw_manage", o.flag("manage_dir", true))
            .set("kw_list", &keys.join("\n"))
            .work("kw_keys_check", "kw_keys_apply", finish))
    },
};

/// `community.general.known_hosts`, without hashing.
pub static KNOWN_HOSTS: ModuleDef = ModuleDef {
    names: &["known_hosts"],
    options: &[
        opt("name", T::Str).alias(&["host"]).req(),
        opt("key", T::Str),
        opt("path", T::Path),
        opt("state", T::Str).choices(&["present", "absent"]),
        opt("hash_host", T::Bool),
    ],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&KNOWN_HOSTS, args)?;
        let state = o.text_or("state", "present");
        let key = o.text_or("key", "").trim().to_owned();
        if state == "present" && key.is_empty() {
            return Err(ArgError("known_hosts needs 'key' with state: present".into()));
        }
        if o.flag("hash_host", false) {
            return Err(ArgError("known_hosts: hash_host is not supported".into()));
        }
        let path = o.text_or("path", "~/.ssh/known_hosts");
        let told = [
            ("name", Value::from(o.text_or("name", ""))),
            ("key", o.text("key").map_or(Value::from(()), Value::from)),
            ("state", state.as_str().into()),
            ("hash_host", false.into()),
        ];
        let finish = outcome::with(move |result, said, _| {
            let state = result.fields.get("state").cloned();
            put(result, told.clone());
            put(result, [("path", said.get("path").into())]);
            put(result, state.map(|s| ("state", s)));
        });
        Ok(Script::new()
            .set("kw_host", &o.text_or("name", ""))
            .set("kw_line", &key)
            .set("kw_state", &state)
            .set_sh("kw_file", &super::path::word(&path))
            .work("kw_known_check", "kw_known_apply", finish))
    },
};

/// `lib/ansible/modules/cron.py`
pub static CRON: ModuleDef = ModuleDef {
    names: &["cron"],
    options: &[
        opt("name", T::Str).req(),
        opt("job", T::Str).alias(&["value"]),
        opt("state", T::Str).choices(&["present", "absent"]),
        opt("user", T::Str),
        opt("cron_file", T::Path),
        opt("minute", T::Str),
        opt("hour", T::Str),
        opt("day", T::Str).alias(&["dom"]),
        opt("month", T::Str),
        opt("weekday", T::Str).alias(&["dow"]),
        opt("special_time", T::Str).choices(&["annually", "daily", "hourly", "monthly", "reboot", "weekly", "yearly"]),
        opt("disabled", T::Bool),
        opt("env", T::Bool),
        opt("backup", T::Bool),
    ],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&CRON, args)?;
        let (name, state, job) = (o.text_or("name", ""), o.text_or("state", "present"), o.text_or("job", ""));
        if state == "present" && job.is_empty() {
            return Err(ArgError("cron needs 'job' with state: present".into()));
        }
        let file = o.text_or("cron_file", "");
        let time = match o.text("special_time") {
            Some(special) => format!("@{special}"),
            None => ["minute", "hour", "day", "month", "weekday"].map(|f| o.text_or(f, "*")).join(" "),
        };
        let user = if file.is_empty() { String::new() } else { format!("{} ", o.text_or("user", "root")) };
        let disabled = if o.flag("disabled", false) { "#" } else { "" };
        let is_env = o.flag("env", false);
        let shown = file.clone();
        let finish = outcome::with(move |result, said, _| {
            let names = |key: &str| said.get(key).lines().map(Value::from).collect::<Value>();
            put(result, [("jobs", names("jobs")), ("envs", names("envs"))]);
            if !shown.is_empty() {
                put(result, [("cron_file", shown.as_str().into())]);
            }
        });
        let line = if is_env { format!("{name}=\"{job}\"") } else { format!("{disabled}{time} {user}{job}") };
        Ok(Script::new()
            .set("kw_mark", &format!("#Ansible: {name}"))
            .set("kw_env_name", if is_env { &name } else { "" })
            .set("kw_job", &line)
            .set("kw_state", &state)
            .set("kw_user", &if file.is_empty() { o.text_or("user", "") } else { String::new() })
            .set("kw_file", &file)
            .work("kw_cron_check", "kw_cron_apply", finish))
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Root, converges};

    fn passwd(root: &Root) {
        root.write("passwd", "root:x:0:0:root:/root:/bin/bash\n");
        root.write("group", "root:x:0:\nusers:x:100:\n");
        root.stub("getent", r#"case $1 in shadow) grep "^$2:" "$R/shadow" 2>/dev/null ;; *) grep "^$2:" "$R/$1" ;; esac"#);
        root.stub(
            "id",
            r#"case $1 in -nG) cat "$R/groups" 2>/dev/null || echo "$2" ;; -ng) echo "$2" ;; *) exec /usr/bin/id "$@" ;; esac"#,
        );
    }

    #[test]
    fn a_user_is_made_and_then_left_alone() {
        let prepare = |root: &Root| {
            passwd(root);
            root.stub("useradd", r#"echo "$*" >"$R/calls"; echo "app:x:1001:100:App:/srv/app:/bin/bash" >>"$R/passwd""#);
            root.stub("chpasswd", r#"read -r line; echo "$line:1::::::" >>"$R/shadow""#);
        };
        let args = r#"{"name":"app","group":"users","shell":"/bin/bash","home":"/srv/app","comment":"App","password":"$6$salt$hash"}"#;
        converges(&USER, args, prepare, |root| {
            assert_eq!(root.read("calls"), "-m -g users -s /bin/bash -d /srv/app -c App -- app\n");
            assert_eq!(root.read("shadow"), "app:$6$salt$hash:1::::::\n");
        });
    }

    #[test]
    fn groups_are_appended_once() {
        let prepare = |root: &Root| {
            passwd(root);
            root.write("passwd", "app:x:1:1::/:/bin/sh\n");
            root.stub("usermod", r#"echo "$*" >"$R/calls"; echo "app docker" >"$R/groups""#);
        };
        converges(&USER, r#"{"name":"app","groups":["docker"],"append":true}"#, prepare, |root| {
            assert_eq!(root.read("calls"), "-a -G docker -- app\n");
        });
    }

    #[test]
    fn keys_are_known_by_type_and_data() {
        let prepare = |root: &Root| root.write("keys", "# mine\nssh-rsa AAAA old@host\nssh-ed25519 BBBB x\n");
        converges(
            &AUTHORIZED_KEY,
            r#"{"user":"root","path":"$R/keys","key":"ssh-rsa AAAA new@host\nssh-ed25519 CCCC y"}"#,
            prepare,
            |root| {
                assert_eq!(root.read("keys"), "# mine\nssh-rsa AAAA new@host\nssh-ed25519 BBBB x\nssh-ed25519 CCCC y\n");
            },
        );
        converges(&AUTHORIZED_KEY, r#"{"user":"root","path":"$R/keys","key":"ssh-ed25519 BBBB","state":"absent"}"#, prepare, |root| {
            assert_eq!(root.read("keys"), "# mine\nssh-rsa AAAA old@host\n");
        });
    }

    #[test]
    fn known_hosts_and_cron() {
        converges(
            &KNOWN_HOSTS,
            r#"{"name":"h1","key":"h1 ssh-ed25519 NEW","path":"$R/known"}"#,
            |r| r.write("known", "h0 ssh-rsa A\nh1 ssh-ed25519 OLD\n"),
            |root| {
                assert_eq!(root.read("known"), "h0 ssh-rsa A\nh1 ssh-ed25519 NEW\n");
            },
        );
        let prepare = |root: &Root| root.write("etc/cron.d/jobs", "MAILTO=root\n#Ansible: clean\n0 1 * * * root old\n");
        converges(&CRON, r#"{"name":"clean","job":"find /tmp -name '*.x'","minute":"5","cron_file":"jobs"}"#, prepare, |root| {
            assert_eq!(root.read("etc/cron.d/jobs"), "MAILTO=root\n#Ansible: clean\n5 * * * * root find /tmp -name '*.x'\n");
        });
        converges(&CRON, r#"{"name":"clean","state":"absent","cron_file":"jobs"}"#, prepare, |root| {
            assert_eq!(root.read("etc/cron.d/jobs"), "MAILTO=root\n");
        });
    }

    #[test]
    fn a_group_is_made_once() {
        let prepare = |root: &Root| {
            passwd(root);
            root.stub("groupadd", r#"echo "$*" >"$R/calls"; echo "app:x:77:" >>"$R/group""#);
        };
        converges(&GROUP, r#"{"name":"app","gid":77}"#, prepare, |root| assert_eq!(root.read("calls"), "-g 77 -- app\n"));
    }
}
