//! Modules that need no host, or that the engine itself does: facts, conditions, pauses, reboots, files that come back.

use super::{
    ArgError, Args, Control, ModuleDef, OptionType as T, TaskResult, Work,
    args::{Opts, opt, to_text},
};
use minijinja::Value;
use std::time::Duration;

fn seconds(o: &Opts, name: &str, default: u64) -> Duration {
    o.float(name).filter(|s| *s >= 0.0 && s.is_finite()).map_or(Duration::from_secs(default), Duration::from_secs_f64)
}

/// Registers variables of a host.
pub static SET_FACT: ModuleDef = ModuleDef {
    names: &["set_fact"],
    options: &[opt("cacheable", T::Bool)],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&SET_FACT, args)?;
        let mut facts = args.named.clone();
        facts.shift_remove("cacheable");
        if let Some(bad) = facts.keys().find(|k| !super::path::is_name(k)) {
            return Err(ArgError(format!("the variable name '{bad}' is not valid: letters, digits and underscores only")));
        }
        if facts.is_empty() {
            return Err(ArgError("set_fact has nothing to set".into()));
        }
        Ok(Work::Control(Control::SetFact { facts, cacheable: o.flag("cacheable", false) }))
    },
};

/// Shows a message or a variable.
pub static DEBUG: ModuleDef = ModuleDef {
    names: &["debug"],
    options: &[opt("msg", T::Raw), opt("var", T::Raw), opt("verbosity", T::Int)],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&DEBUG, args)?;
        if let Some(var) = o.value("var") {
            return Ok(Work::Control(Control::DebugVar { var: to_text(var) }));
        }
        let msg = o.value("msg").cloned().unwrap_or_else(|| "Hello world!".into());
        let mut result = TaskResult::ok(match msg.as_str() {
            Some(text) => text.to_owned(),
            None => serde_json::to_string_pretty(&msg).unwrap_or_default(),
        });
        if msg.as_str().is_none() {
            result.fields.insert("msg".into(), msg);
        }
        Ok(Work::Here(result))
    },
};

/// Conditions that must hold.
pub static ASSERT: ModuleDef = ModuleDef {
    names: &["assert"],
    options: &[opt("that", T::Raw).req(), opt("fail_msg", T::Raw).alias(&["msg"]), opt("success_msg", T::Raw), opt("quiet", T::Bool)],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&ASSERT, args)?;
        let that = match o.value("that") {
            Some(v) if v.as_str().is_none() && v.try_iter().is_ok() => {
                v.try_iter().map(|i| i.map(|v| to_text(&v)).collect()).unwrap_or_default()
            }
            Some(v) => vec![to_text(v)],
            None => Vec::new(),
        };
        let message = |name: &str| {
            let value = o.value(name)?;
            let lines = if value.as_str().is_none() { value.try_iter().ok() } else { None };
            Some(lines.map_or_else(|| to_text(value), |i| i.map(|l| to_text(&l)).collect::<Vec<_>>().join("\n")))
        };
        Ok(Work::Control(Control::Assert {
            that,
            fail_msg: message("fail_msg"),
            success_msg: message("success_msg"),
            quiet: o.flag("quiet", false),
        }))
    },
};

/// Fails.
pub static FAIL: ModuleDef = ModuleDef {
    names: &["fail"],
    options: &[opt("msg", T::Str)],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&FAIL, args)?;
        Ok(Work::Here(TaskResult::failure(o.text_or("msg", "Failed as requested from task"))))
    },
};

/// Waits, or asks.
pub static PAUSE: ModuleDef = ModuleDef {
    names: &["pause"],
    options: &[opt("seconds", T::Float), opt("minutes", T::Float), opt("prompt", T::Str), opt("echo", T::Bool)],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&PAUSE, args)?;
        let duration =
            if o.has("seconds") { Some(seconds(&o, "seconds", 0)) } else { o.has("minutes").then(|| seconds(&o, "minutes", 0) * 60) };
        Ok(Work::Control(Control::Pause { duration, prompt: o.text("prompt"), echo: o.flag("echo", true) }))
    },
};

/// What `meta` can be asked for.
const KNOWN: &[&str] = &[
    "flush_handlers",
    "refresh_inventory",
    "noop",
    "clear_facts",
    "clear_host_errors",
    "end_play",
    "end_host",
    "end_batch",
    "end_role",
    "reset_connection",
];

/// `flush_handlers`, `end_play`, …
pub static META: ModuleDef = ModuleDef {
    names: &["meta"],
    options: &[],
    free_form: true,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&META, args)?;
        let action = o.free.unwrap_or_default().trim().to_owned();
        if KNOWN.contains(&action.as_str()) {
            Ok(Work::Control(Control::Meta(action)))
        } else {
            Err(ArgError(format!("meta has no action '{action}' ({})", KNOWN.join(", "))))
        }
    },
};

/// Gathers facts.
pub static SETUP: ModuleDef = ModuleDef {
    names: &["setup", "gather_facts"],
    options: &[
        opt("filter", T::List),
        opt("gather_subset", T::List),
        opt("gather_timeout", T::Int),
        opt("fact_path", T::Path),
        opt("parallel", T::Bool),
    ],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&SETUP, args)?;
        Ok(Work::Control(Control::Setup { filter: o.list("filter"), gather_subset: o.list("gather_subset") }))
    },
};

/// Variables from a file or a directory.
pub static INCLUDE_VARS: ModuleDef = ModuleDef {
    names: &["include_vars"],
    options: &[
        opt("file", T::Path),
        opt("dir", T::Path),
        opt("name", T::Str),
        opt("depth", T::Int),
        opt("files_matching", T::Str),
        opt("ignore_files", T::List),
        opt("extensions", T::List),
        opt("ignore_unknown_extensions", T::Bool),
        opt("hash_behaviour", T::Str).choices(&["replace", "merge"]),
    ],
    free_form: true,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&INCLUDE_VARS, args)?;
        let mut named = args.named.clone();
        if let Some(file) = o.free.as_deref().map(str::trim).filter(|f| !f.is_empty()) {
            named.insert("file".into(), file.into());
        }
        if !named.contains_key("file") && !named.contains_key("dir") {
            return Err(ArgError("include_vars needs 'file' or 'dir'".into()));
        }
        Ok(Work::Control(Control::IncludeVars(named)))
    },
};

/// A host in memory.
pub static ADD_HOST: ModuleDef = ModuleDef {
    names: &["add_host"],
    options: &[opt("name", T::Str).alias(&["host", "hostname"]).req(), opt("groups", T::List).alias(&["group", "groupname"])],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&ADD_HOST, args)?;
        let own = ["name", "host", "hostname", "groups", "group", "groupname"];
        let vars = args.named.iter().filter(|(k, _)| !own.contains(&k.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect();
        Ok(Work::Control(Control::AddHost { name: o.text_or("name", ""), groups: o.list("groups"), vars }))
    },
};

/// Groups by a key.
pub static GROUP_BY: ModuleDef = ModuleDef {
    names: &["group_by"],
    options: &[opt("key", T::Str).req(), opt("parents", T::List)],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&GROUP_BY, args)?;
        Ok(Work::Control(Control::GroupBy { key: o.text_or("key", "").replace(' ', "-"), parents: o.list("parents") }))
    },
};

/// Reboots and waits.
pub static REBOOT: ModuleDef = ModuleDef {
    names: &["reboot"],
    options: &[
        opt("reboot_timeout", T::Int).alias(&["reboot_timeout_sec"]),
        opt("connect_timeout", T::Int).alias(&["connect_timeout_sec"]),
        opt("pre_reboot_delay", T::Int).alias(&["pre_reboot_delay_sec"]),
        opt("post_reboot_delay", T::Int).alias(&["post_reboot_delay_sec"]),
        opt("test_command", T::Str),
        opt("msg", T::Str),
        opt("search_paths", T::List),
        opt("boot_time_command", T::Str),
        opt("reboot_command", T::Str),
    ],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&REBOOT, args)?;
        Ok(Work::Control(Control::Reboot {
            timeout: seconds(&o, "reboot_timeout", 600),
            test_command: o.text_or("test_command", "whoami"),
            message: o.text_or("msg", "Reboot initiated by kubewright"),
        }))
    },
};

/// Waits until a host answers.
pub static WAIT_FOR_CONNECTION: ModuleDef = ModuleDef {
    names: &["wait_for_connection"],
    options: &[opt("timeout", T::Int), opt("delay", T::Int), opt("sleep", T::Int), opt("connect_timeout", T::Int)],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&WAIT_FOR_CONNECTION, args)?;
        Ok(Work::Control(Control::WaitForConnection {
            timeout: seconds(&o, "timeout", 600),
            delay: seconds(&o, "delay", 0),
            sleep: seconds(&o, "sleep", 1),
        }))
    },
};

/// A file from the host to here.
pub static FETCH: ModuleDef = ModuleDef {
    names: &["fetch"],
    options: &[
        opt("src", T::Str).req(),
        opt("dest", T::Str).req(),
        opt("flat", T::Bool),
        opt("fail_on_missing", T::Bool),
        opt("validate_checksum", T::Bool),
    ],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&FETCH, args)?;
        Ok(Work::Control(Control::Fetch {
            src: o.text_or("src", ""),
            dest: o.text_or("dest", ""),
            flat: o.flag("flat", false),
            fail_on_missing: o.flag("fail_on_missing", true),
        }))
    },
};

/// State of an asynchronous job.
pub static ASYNC_STATUS: ModuleDef = ModuleDef {
    names: &["async_status"],
    options: &[opt("jid", T::Str).req(), opt("mode", T::Str).choices(&["status", "cleanup"])],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&ASYNC_STATUS, args)?;
        Ok(Work::Control(Control::AsyncStatus { jid: o.text_or("jid", ""), cleanup: o.text("mode").as_deref() == Some("cleanup") }))
    },
};

/// Server-side apply through the cluster's API (ours).
pub static KUBE_APPLY: ModuleDef = ModuleDef {
    names: &["kube_apply"],
    options: &[opt("manifest", T::Raw), opt("src", T::Path), opt("template", T::Path), opt("field_manager", T::Str)],
    free_form: false,
    facts: &[],
    compile: |args, env| {
        let o = Opts::read(&KUBE_APPLY, args)?;
        let manifest = match (o.value("manifest"), o.text("src"), o.text("template")) {
            (Some(text), None, None) => to_text(text),
            (None, Some(src), None) => {
                let file = (env.read)("files", &src).map_err(ArgError)?;
                String::from_utf8(file.content.to_vec()).map_err(|_| ArgError(format!("{src} is not UTF-8")))?
            }
            (None, None, Some(src)) => {
                let file = (env.read)("templates", &src).map_err(ArgError)?;
                (env.render)(&file, args).map_err(ArgError)?
            }
            _ => return Err(ArgError("kube_apply needs exactly one of manifest, src, template".into())),
        };
        Ok(Work::Control(Control::KubeApply { manifest, field_manager: o.text_or("field_manager", "kubewright") }))
    },
};

macro_rules! kube_actions {
    ($($(#[$doc:meta])* $name:ident $action:literal [$($option:expr),*];)*) => {
        $(
            $(#[$doc])*
            pub static $name: ModuleDef = ModuleDef {
                names: &[$action],
                options: &[$($option),*],
                free_form: false,
                facts: &[],
                compile: |args, _| kube(&$name, args),
            };
        )*
    };
}

/// The options as converted, for the engine's Kubernetes hand: `action` is the module's name without `kube_`.
fn kube(def: &'static ModuleDef, args: &Args) -> Result<Work, ArgError> {
    let o = Opts::read(def, args)?;
    let args = def.options.iter().filter_map(|s| o.value(s.name).map(|v| (s.name.to_owned(), v.clone()))).collect();
    Ok(Work::Control(Control::Kube { action: def.names[0].trim_start_matches("kube_").to_owned(), args }))
}

kube_actions! {
    /// Join tokens: made, or revoked by id or description.
    KUBE_TOKEN "kube_token" [
        opt("state", T::Str).choices(&["present", "absent"]), opt("ttl", T::Raw), opt("description", T::Str), opt("token_id", T::Str),
        opt("certificate_key", T::Bool)
    ];
    /// Labels, taints, annotations and readiness of a node; `absent`: whatever is left of an earlier machine of that name.
    KUBE_NODE "kube_node" [
        opt("name", T::Str).req(), opt("state", T::Str).choices(&["present", "absent"]), opt("address", T::Str), opt("since", T::Str), opt("machine", T::Str),
        opt("labels", T::Dict), opt("taints", T::Raw), opt("annotations", T::Dict), opt("wait", T::Int)
    ];
    /// The certificates that kubeadm uploads for a joining control plane: deleted.
    KUBE_CERTIFICATES "kube_certificates" [opt("state", T::Str).choices(&["absent"]).req()];
    /// The etcd member of a machine: `look` says whether it is one, `room` makes etcd take a new one, `voter` waits for its vote.
    KUBE_ETCD "kube_etcd" [
        opt("state", T::Str).choices(&["look", "room", "voter"]).req(), opt("name", T::Str).req(), opt("address", T::Str).req()
    ];
    /// Pods, deleted so that their controllers make new ones: by UID, or all that are bound to a `node`.
    KUBE_POD "kube_pod" [opt("state", T::Str).choices(&["absent"]).req(), opt("namespace", T::Str), opt("uids", T::List), opt("node", T::Str)];
    /// Waits until a workload is rolled out.
    KUBE_ROLLOUT "kube_rollout" [opt("kind", T::Str).req(), opt("namespace", T::Str).req(), opt("name", T::Str).req(), opt("wait", T::Int)];
    /// A workload's pods stand on at least so many nodes.
    KUBE_SPREAD "kube_spread" [opt("namespace", T::Str).req(), opt("name", T::Str).req(), opt("nodes", T::Int), opt("wait", T::Int)];
    /// Approves kubelets' serving certificates whose names match nodes that we know.
    KUBE_CSR "kube_csr" [opt("nodes", T::Raw).req(), opt("wait", T::Int)];
    /// The operator's own kubeconfig, by a signing request.
    KUBE_CONFIG "kube_config" [opt("client_name", T::Str).req(), opt("group", T::Str), opt("ttl", T::Raw), opt("dest", T::Path)];
}

/// Nothing but an answer.
pub static PING: ModuleDef = ModuleDef {
    names: &["ping"],
    options: &[opt("data", T::Str)],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&PING, args)?;
        let data = o.text_or("data", "pong");
        Ok(super::script::Script::new().look(
            ":",
            super::outcome::with(move |result, _, _| {
                result.fields.insert("ping".into(), Value::from(data.as_str()));
            }),
        ))
    },
};
