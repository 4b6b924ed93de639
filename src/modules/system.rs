//! The kernel and the machine: `modprobe`, `sysctl`, `mount`, `swap` (ours), `hostname`.

use super::{
    ArgError, Finish, ModuleDef, OptionType as T,
    args::{Opts, opt},
    outcome,
    script::Script,
};

/// `community.general.modprobe`; a module that is built into the kernel counts as loaded.
pub static MODPROBE: ModuleDef = ModuleDef {
    names: &["modprobe"],
    options: &[
        opt("name", T::Str).req(),
        opt("state", T::Str).choices(&["present", "absent"]),
        opt("params", T::Str),
        opt("persistent", T::Str).choices(&["disabled", "present", "absent"]),
    ],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&MODPROBE, args)?;
        let name = o.text_or("name", "");
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b)) {
            return Err(ArgError(format!("'{name}' is no kernel module's name")));
        }
        Ok(Script::new()
            .set("kw_mod", &name.replace('-', "_"))
            .set("kw_name", &name)
            .set("kw_state", &o.text_or("state", "present"))
            .set("kw_params", &o.text_or("params", ""))
            .set("kw_persistent", &o.text_or("persistent", "disabled"))
            .work(
                "kw_modprobe_check",
                "kw_modprobe_apply",
                told([("name", name), ("params", o.text_or("params", "")), ("state", o.text_or("state", "present"))]),
            ))
    },
};

/// `ansible.posix.sysctl`: the file and the running kernel.
pub static SYSCTL: ModuleDef = ModuleDef {
    names: &["sysctl"],
    options: &[
        opt("name", T::Str).alias(&["key"]).req(),
        opt("value", T::Str).alias(&["val"]),
        opt("state", T::Str).choices(&["present", "absent"]),
        opt("ignoreerrors", T::Bool),
        opt("reload", T::Bool),
        opt("sysctl_file", T::Path),
        opt("sysctl_set", T::Bool),
    ],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&SYSCTL, args)?;
        let name = o.text_or("name", "");
        let state = o.text_or("state", "present");
        let value = match o.value("value").map(super::args::to_text) {
            Some(v) if v == "True" => "1".to_owned(),
            Some(v) if v == "False" => "0".to_owned(),
            Some(v) => v,
            None if state == "present" => return Err(ArgError("sysctl needs 'value' with state: present".into())),
            None => String::new(),
        };
        // sysctl(8): a name with slashes may hold dots (`net/ipv4/conf/eth0.1/forwarding`).
        let path = if name.contains('/') { name.clone() } else { name.replace('.', "/") };
        if path.split('/').any(|p| p.is_empty() || p == "..") {
            return Err(ArgError(format!("'{name}' is no sysctl")));
        }
        Ok(Script::new()
            .set("kw_key", &name)
            .set("kw_key_path", &path)
            .set("kw_value", &value)
            .set("kw_state", &state)
            .set("kw_file", &o.text_or("sysctl_file", "/etc/sysctl.conf"))
            .flag("kw_set", o.flag("reload", true) || o.flag("sysctl_set", false))
            .flag("kw_ignore", o.flag("ignoreerrors", false))
            .plain("kw_sysctl_check", "kw_sysctl_apply"))
    },
};

/// `ansible.posix.mount`
pub static MOUNT: ModuleDef = ModuleDef {
    names: &["mount"],
    options: &[
        opt("path", T::Path).alias(&["name"]).req(),
        opt("src", T::Str),
        opt("fstype", T::Str),
        opt("opts", T::Str),
        opt("dump", T::Str),
        opt("passno", T::Str),
        opt("state", T::Str).choices(&["mounted", "unmounted", "present", "absent", "remounted", "ephemeral", "absent_from_fstab"]).req(),
        opt("fstab", T::Path),
        opt("backup", T::Bool),
        opt("boot", T::Bool),
        opt("opts_no_log", T::Bool),
    ],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&MOUNT, args)?;
        let state = o.text_or("state", "");
        if matches!(state.as_str(), "mounted" | "present") && !(o.has("src") && o.has("fstype")) {
            return Err(ArgError(format!("mount needs src and fstype with state: {state}")));
        }
        // fstab(5): blanks are \040 there.
        let word = |text: String| text.replace(' ', "\\040");
        let path = o.text_or("path", "");
        let path = if path.len() > 1 { path.trim_end_matches('/').to_owned() } else { path };
        let mut fields = vec![
            ("name", o.text_or("path", "")),
            ("opts", o.text_or("opts", "defaults")),
            ("dump", o.text_or("dump", "0")),
            ("passno", o.text_or("passno", "0")),
            ("fstab", o.text_or("fstab", "/etc/fstab")),
            ("boot", if o.flag("boot", true) { "yes" } else { "no" }.to_owned()),
        ];
        fields.extend(["src", "fstype"].into_iter().filter_map(|name| Some((name, o.text(name)?))));
        Ok(Script::new()
            .set("kw_path", &word(path))
            .set("kw_src", &word(o.text_or("src", "")))
            .set("kw_fstype", &o.text_or("fstype", ""))
            .set("kw_opts", &word(o.text_or("opts", "defaults")))
            .set("kw_dump", &o.text_or("dump", "0"))
            .set("kw_passno", &o.text_or("passno", "0"))
            .set("kw_state", &state)
            .set("kw_fstab", &o.text_or("fstab", "/etc/fstab"))
            .work("kw_mount_check", "kw_mount_apply", told(fields)))
    },
};

/// A plain result with some of the options in it.
fn told(fields: impl IntoIterator<Item = (&'static str, String)>) -> Finish {
    let fields: Vec<(&str, String)> = fields.into_iter().collect();
    outcome::with(move |result, _, _| result.fields.extend(fields.iter().map(|(k, v)| ((*k).to_owned(), v.as_str().into()))))
}

/// Ours: no swap now and after every reboot (kubelet's `failSwapOn`).
pub static SWAP: ModuleDef = ModuleDef {
    names: &["swap"],
    options: &[opt("state", T::Str).choices(&["absent"]).req(), opt("shared", T::Bool)],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&SWAP, args)?;
        Ok(Script::new().flag("kw_shared", o.flag("shared", false)).plain("kw_swap_check", "kw_swap_apply"))
    },
};

/// `lib/ansible/modules/hostname.py`
pub static HOSTNAME: ModuleDef = ModuleDef {
    names: &["hostname"],
    options: &[opt("name", T::Str).req(), opt("use", T::Str)],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&HOSTNAME, args)?;
        let name = o.text_or("name", "");
        let shown = name.clone();
        Ok(Script::new().set("kw_name", &name).work(
            "kw_hostname_check",
            "kw_hostname_apply",
            outcome::with(move |result, _, _| {
                result.fields.insert("name".into(), shown.as_str().into());
                result.facts.insert("hostname".into(), shown.split('.').next().unwrap_or_default().into());
                result.facts.insert("nodename".into(), shown.as_str().into());
                result.facts.insert("fqdn".into(), shown.as_str().into());
            }),
        ))
    },
};
