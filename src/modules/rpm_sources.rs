//! Where RPMs come from: `yum_repository`, `rpm_key`. Keys are read without gpg, which hosts need not have.

use super::{
    ArgError, ModuleDef, OptionType as T,
    args::{Opts, opt},
    files::{attributes, file_options},
    outcome,
    script::Script,
};
use std::fmt::Write;

/// `lib/ansible/modules/yum_repository.py`: one section of a file; the others in it stay.
pub static YUM_REPOSITORY: ModuleDef = ModuleDef {
    names: &["yum_repository"],
    options: file_options![
        opt("name", T::Str).req(),
        opt("state", T::Str).choices(&["absent", "present"]),
        opt("file", T::Str),
        opt("reposdir", T::Path),
        opt("description", T::Str),
        opt("async", T::Bool),
        opt("bandwidth", T::Str),
        opt("baseurl", T::List),
        opt("cost", T::Str),
        opt("countme", T::Bool),
        opt("deltarpm_metadata_percentage", T::Str),
        opt("deltarpm_percentage", T::Str),
        opt("enabled", T::Bool),
        opt("enablegroups", T::Bool),
        opt("exclude", T::List).alias(&["excludepkgs"]),
        opt("failovermethod", T::Str).choices(&["roundrobin", "priority"]),
        opt("gpgcakey", T::Str),
        opt("gpgcheck", T::Bool),
        opt("gpgkey", T::List),
        opt("http_caching", T::Str).choices(&["all", "packages", "none"]),
        opt("include", T::Str),
        opt("includepkgs", T::List),
        opt("ip_resolve", T::Str).choices(&["4", "6", "IPv4", "IPv6", "whatever"]),
        opt("keepalive", T::Bool),
        opt("keepcache", T::Str).choices(&["0", "1"]),
        opt("metadata_expire", T::Str),
        opt("metadata_expire_filter", T::Str),
        opt("metalink", T::Str),
        opt("mirrorlist", T::Str),
        opt("mirrorlist_expire", T::Str),
        opt("module_hotfixes", T::Bool),
        opt("password", T::Str),
        opt("priority", T::Str),
        opt("protect", T::Bool),
        opt("proxy", T::Str),
        opt("proxy_password", T::Str),
        opt("proxy_username", T::Str),
        opt("repo_gpgcheck", T::Bool),
        opt("retries", T::Str),
        opt("s3_enabled", T::Bool),
        opt("skip_if_unavailable", T::Bool),
        opt("ssl_check_cert_permissions", T::Bool),
        opt("sslcacert", T::Str).alias(&["ca_cert"]),
        opt("sslclientcert", T::Str).alias(&["client_cert"]),
        opt("sslclientkey", T::Str).alias(&["client_key"]),
        opt("sslverify", T::Bool).alias(&["validate_certs"]),
        opt("throttle", T::Str),
        opt("timeout", T::Str),
        opt("ui_repoid_vars", T::Str),
        opt("username", T::Str),
    ],
    free_form: false,
    facts: &[],
    compile: |args, env| {
        let o = Opts::read(&YUM_REPOSITORY, args)?;
        let name = o.text_or("name", "");
        let state = o.text_or("state", "present");
        if state == "present" {
            if !["baseurl", "mirrorlist", "metalink"].iter().any(|k| o.has(k)) {
                return Err(ArgError("yum_repository needs one of baseurl, mirrorlist, metalink".into()));
            }
            if !o.has("description") {
                return Err(ArgError("yum_repository needs a description".into()));
            }
        }
        let file = o.text_or("file", &name);
        // A name is a file in the directory, and a section's is on one line.
        if name.contains(['\n', ']']) || file.contains('/') {
            return Err(ArgError(format!("'{name}' in '{file}' cannot be a repository's name")));
        }
        let script = Script::new()
            .set("kw_state", &state)
            .set("kw_section", &name)
            .set_sh("kw_repos", &if o.has("reposdir") { o.path("reposdir") } else { crate::shell::Sh::word("/etc/yum.repos.d") })
            .set("kw_file", &format!("{file}.repo"))
            .blob("kw_sha", section(&o, &name), o.has("password") || o.has("proxy_password"))
            .flag("kw_diff", env.diff);
        Ok(attributes(script, &o)?.work(
            "kw_yumrepo_check",
            "kw_yumrepo_apply",
            outcome::with(move |result, _, _| {
                result.fields.insert("repo".into(), name.as_str().into());
                result.fields.insert("state".into(), state.as_str().into());
            }),
        ))
    },
};

/// The section as Ansible writes it: keys in order, further lines of a value begin with a tab.
fn section(o: &Opts, name: &str) -> String {
    const OURS: &[&str] = &["name", "state", "file", "reposdir", "mode", "owner", "group", "unsafe_writes"];
    let mut lines = Vec::new();
    for spec in YUM_REPOSITORY.options.iter().filter(|s| !OURS.contains(&s.name) && o.has(s.name)) {
        let value = match spec.kind {
            T::Bool => if o.flag(spec.name, false) { "1" } else { "0" }.to_owned(),
            T::List if matches!(spec.name, "exclude" | "includepkgs") => o.list(spec.name).join(" "),
            T::List => o.list(spec.name).join("\n"),
            _ => o.text_or(spec.name, ""),
        };
        lines.push((if spec.name == "description" { "name" } else { spec.name }, value));
    }
    lines.sort();
    let mut text = format!("[{name}]\n");
    for (key, value) in lines {
        let _ = writeln!(text, "{key} = {}", value.replace('\n', "\n\t"));
    }
    text
}

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
        let plain = |text: &str| text.replace(' ', "").to_lowercase();
        let fingerprints: Vec<String> = o.list("fingerprint").iter().map(|f| plain(f)).collect();
        let key = o.text_or("key", "").trim().to_owned();
        let id = plain(key.trim_start_matches("0x").trim_start_matches("0X"));
        // Eight digits or more are a key's id, as in Ansible; anything else is a file or a URL.
        let is_id = id.len() >= 8 && id.bytes().all(|b| b.is_ascii_hexdigit());
        Ok(Script::new()
            .set("kw_key", if is_id { "" } else { &key })
            .set("kw_id", if is_id { &id } else { "" })
            .set("kw_state", &o.text_or("state", "present"))
            .set("kw_prints", &fingerprints.join(" "))
            .flag("kw_insecure", !o.flag("validate_certs", true))
            .plain("kw_rpmkey_check", "kw_rpmkey_apply"))
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Root, converges, fails};

    #[test]
    fn a_repository_is_a_section() {
        let args = r#"{"name":"kubernetes","description":"K","baseurl":["https://x/","https://y/"],"gpgcheck":true,"exclude":["kubelet","kubeadm"]}"#;
        let section = "[kubernetes]\nbaseurl = https://x/\n\thttps://y/\nexclude = kubelet kubeadm\ngpgcheck = 1\nname = K\n\n";
        let file = "etc/yum.repos.d/kubernetes.repo";
        converges(&YUM_REPOSITORY, args, |r| r.write("etc/yum.repos.d/x", ""), |root| assert_eq!(root.read(file), section));
        let others = |root: &Root| root.write(file, "# c\n[b]\nB=1\n[kubernetes]\nname=old\n[a]\nx : y=z\n ; c\n  more\n");
        converges(&YUM_REPOSITORY, args, others, |root| {
            assert_eq!(root.read(file), format!("[b]\nb = 1\n\n[a]\nx = y=z\n\tmore\n\n{section}"));
        });
        converges(&YUM_REPOSITORY, r#"{"name":"kubernetes","state":"absent"}"#, others, |root| {
            assert_eq!(root.read(file), "[b]\nb = 1\n\n[a]\nx = y=z\n\tmore\n\n");
        });
        let alone = |root: &Root| root.write(file, "[kubernetes]\nname=old\n");
        converges(&YUM_REPOSITORY, r#"{"name":"kubernetes","state":"absent"}"#, alone, |root| assert!(!root.path(file).exists()));
        fails(&YUM_REPOSITORY, args, |_| {}, "the directory of repositories /etc/yum.repos.d does not exist");
    }

    /// Made by gpg: an ed25519 key. rpm names it by the end of its fingerprint.
    const KEY: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEawdXJRYJKwYBBAHaRw8BAQdAyne83DxfisSzGcPJ8uJYjgL6helTeowaP/Yz\n\
         /+10TqC0G25vYm9keSA8bm9ib2R5QGV4YW1wbGUuY29tPoiQBBMWCAA4FiEExT40\n\
         yLG6n4CDozcEgukkL2pOffsFAmsHVyUCGwMFCwkIBwIGFQoJCAsCBBYCAwECHgEC\n\
         F4AACgkQgukkL2pOffsnyAD/c+GqkBXpifQB15e6JeQvk9XbZhCtGIUvs+u4fws3\n\
         1loBAI5TQCfC9Kpo8sgvo6BW0IxeOzDLTXXvbczqJiRXHO8F\n\
         =0zKQ\n-----END PGP PUBLIC KEY BLOCK-----\n";
    const PRINT: &str = "c53e34c8b1ba9f8083a3370482e9242f6a4e7dfb";

    fn host(root: &Root) {
        root.write("key.asc", KEY);
        root.stub("curl", r#"while [ $# -gt 2 ]; do case $1 in -o) to=$2 ;; esac; shift; done; cp "$R/key.asc" "$to""#);
        root.stub(
            "rpm",
            &format!(
                r#"case "$*" in
--import*) echo {0} >"$R/keys" ;;
*--allmatches*) [ "$*" = "-e --allmatches gpg-pubkey-{0}" ] && rm "$R/keys" ;;
*) cat "$R/keys" 2>/dev/null || {{ echo 'package gpg-pubkey is not installed'; exit 1; }} ;;
esac"#,
                &PRINT[32..]
            ),
        );
    }

    #[test]
    fn a_key_is_known_by_its_fingerprint() {
        let url = |more: &str| format!(r#"{{"key":"https://example.org/key"{more}}}"#);
        converges(&RPM_KEY, &url(""), host, |root| assert_eq!(root.read("keys").trim(), &PRINT[32..]));
        converges(&RPM_KEY, &url(&format!(r#","fingerprint":["{}"]"#, PRINT.to_uppercase())), host, |_| {});
        fails(&RPM_KEY, &url(r#","fingerprint":"AB CD""#), host, "no key with the fingerprint abcd");
        let there = |root: &Root| {
            host(root);
            root.write("keys", &PRINT[32..]);
        };
        for key in ["https://example.org/key", &PRINT[24..], &format!("0x{}", PRINT[32..].to_uppercase())] {
            converges(&RPM_KEY, &format!(r#"{{"key":"{key}","state":"absent"}}"#), there, |root| assert!(!root.path("keys").exists()));
        }
        fails(&RPM_KEY, r#"{"key":"DEADBEEF"}"#, host, "give a file or a URL");
        let page = |root: &Root| {
            host(root);
            root.write("key.asc", "<html>");
        };
        fails(&RPM_KEY, &url(""), page, "is no public key");
    }
}
