//! Tasks against the Kubernetes API: `kube_config`, `kube_token`, `kube_node`, `kube_rollout`, `kube_spread`, `kube_csr`
//! and `kube_apply`. No shell is involved: the engine hands them to `ops`, which talks to the API through the SSH tunnel.

use super::{ArgError, Args, Control, Env, ModuleDef, OptionSpec, OptionType, Work};

const fn option(name: &'static str, kind: OptionType, required: bool) -> OptionSpec {
    OptionSpec { name, aliases: &[], kind, required, choices: &[] }
}

fn work(action: &str, args: &Args) -> Work {
    Work::Control(Control::Kube { action: action.to_owned(), args: args.named.clone() })
}

/// The operator's own client certificate.
pub static KUBE_CONFIG: ModuleDef = ModuleDef {
    names: &["kube_config"],
    options: &[option("client_name", OptionType::Str, true), option("group", OptionType::Str, true)],
    free_form: false,
    facts: &[],
    compile: |args: &Args, _: &Env<'_>| -> Result<Work, ArgError> { Ok(work("config", args)) },
};

/// A join token: made (`present`), or revoked by its id or by its description (`absent`).
pub static KUBE_TOKEN: ModuleDef = ModuleDef {
    names: &["kube_token"],
    options: &[
        OptionSpec { name: "state", aliases: &[], kind: OptionType::Str, required: false, choices: &["present", "absent"] },
        option("ttl", OptionType::Str, false),
        option("description", OptionType::Str, false),
        option("token_id", OptionType::Str, false),
    ],
    free_form: false,
    facts: &[],
    compile: |args: &Args, _: &Env<'_>| -> Result<Work, ArgError> {
        if !args.named.contains_key("description") && !args.named.contains_key("token_id") {
            return Err(ArgError("one of `description` and `token_id` is needed".into()));
        }
        Ok(work("token", args))
    },
};

/// Labels, taints and annotations of a Node, after waiting (at most `wait` seconds) until it is Ready.
pub static KUBE_NODE: ModuleDef = ModuleDef {
    names: &["kube_node"],
    options: &[
        option("name", OptionType::Str, true),
        option("labels", OptionType::Dict, false),
        option("taints", OptionType::List, false),
        option("annotations", OptionType::Dict, false),
        option("wait", OptionType::Int, false),
    ],
    free_form: false,
    facts: &[],
    compile: |args: &Args, _: &Env<'_>| -> Result<Work, ArgError> { Ok(work("node", args)) },
};

/// Waits (at most `wait` seconds) until a Deployment or DaemonSet is complete.
pub static KUBE_ROLLOUT: ModuleDef = ModuleDef {
    names: &["kube_rollout"],
    options: &[
        OptionSpec { name: "kind", aliases: &[], kind: OptionType::Str, required: true, choices: &["Deployment", "DaemonSet"] },
        option("namespace", OptionType::Str, true),
        option("name", OptionType::Str, true),
        option("wait", OptionType::Int, false),
    ],
    free_form: false,
    facts: &[],
    compile: |args: &Args, _: &Env<'_>| -> Result<Work, ArgError> { Ok(work("rollout", args)) },
};

/// Makes the pods of a Deployment stand on at least `nodes` nodes.
pub static KUBE_SPREAD: ModuleDef = ModuleDef {
    names: &["kube_spread"],
    options: &[
        option("namespace", OptionType::Str, true),
        option("name", OptionType::Str, true),
        option("nodes", OptionType::Int, false),
    ],
    free_form: false,
    facts: &[],
    compile: |args: &Args, _: &Env<'_>| -> Result<Work, ArgError> { Ok(work("spread", args)) },
};

/// Approves serving certificates of kubelets whose names are those of known nodes.
pub static KUBE_CSR: ModuleDef = ModuleDef {
    names: &["kube_csr"],
    options: &[option("nodes", OptionType::List, true)],
    free_form: false,
    facts: &[],
    compile: |args: &Args, _: &Env<'_>| -> Result<Work, ArgError> { Ok(work("csr", args)) },
};

/// Applies manifests server-side; the field manager is `kubewright`.
pub static KUBE_APPLY: ModuleDef = ModuleDef {
    names: &["kube_apply"],
    options: &[option("manifest", OptionType::Str, true), option("field_manager", OptionType::Str, false)],
    free_form: false,
    facts: &[],
    compile: |args: &Args, _: &Env<'_>| -> Result<Work, ArgError> { Ok(work("apply", args)) },
};
