//! Where packages come from: `deb822_repository`, `apt_repository`, `apt_key`. Keys are stored as binary keyrings; no gpg
//! is needed on the host, nothing is downloaded again while the definition stays the same.

use super::{
    ArgError, ModuleDef, OptionType as T,
    args::{Opts, opt, to_text},
    mode, outcome,
    script::{Script, sha256},
};
use minijinja::Value;
use std::fmt::Write;

/// `lib/ansible/modules/deb822_repository.py`
pub static DEB822: ModuleDef = ModuleDef {
    names: &["deb822_repository"],
    options: &[
        opt("name", T::Str).req(),
        opt("state", T::Str).choices(&["present", "absent"]),
        opt("mode", T::Mode),
        opt("types", T::List).choices(&["deb", "deb-src"]),
        opt("uris", T::List),
        opt("suites", T::List),
        opt("components", T::List),
        opt("architectures", T::List),
        opt("languages", T::List),
        opt("targets", T::List),
        opt("signed_by", T::Str),
        opt("enabled", T::Bool),
        opt("trusted", T::Bool),
        opt("by_hash", T::Bool),
        opt("check_date", T::Bool),
        opt("check_valid_until", T::Bool),
        opt("allow_insecure", T::Bool),
        opt("allow_weak", T::Bool),
        opt("allow_downgrade_to_insecure", T::Bool),
        opt("pdiffs", T::Bool),
        opt("date_max_future", T::Int),
        opt("inrelease_path", T::Str),
        opt("install_python_debian", T::Bool),
        opt("include", T::List),
        opt("exclude", T::List),
    ],
    free_form: false,
    facts: &[],
    compile: |args, env| {
        let o = Opts::read(&DEB822, args)?;
        let name = o.text_or("name", "");
        let slug: String =
            name.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect();
        if slug.is_empty() {
            return Err(ArgError("name is empty".into()));
        }
        let state = o.text_or("state", "present");
        let signed = o.text_or("signed_by", "");
        let is_url = signed.starts_with("http://") || signed.starts_with("https://");
        let keyring = if is_url { format!("/etc/apt/keyrings/{slug}.gpg") } else { String::new() };
        let content = stanza(&o, &name, &signed, &keyring);
        let dest = format!("/etc/apt/sources.list.d/{slug}.sources");
        let some = |text: &str| if text.is_empty() { Value::from(()) } else { text.into() };
        let repo = if state == "absent" { Value::from(()) } else { content.as_str().into() };
        let fields = [
            ("repo", repo),
            ("dest", dest.as_str().into()),
            ("key_filename", if state == "absent" { format!("/etc/apt/keyrings/{slug}.gpg").into() } else { some(&keyring) }),
        ];
        let after = content.clone();
        let script = Script::new()
            .set("kw_state", &state)
            .set("kw_dest", &dest)
            .set("kw_keyfile", &keyring)
            .set("kw_key_url", if is_url { &signed } else { "" })
            .blob("kw_sha", content, false)
            .set("kw_owner", "")
            .set("kw_group", "")
            .set("kw_mexpr", &mode::arithmetic(&o.text_or("mode", "0644")).map_err(ArgError)?)
            .flag("kw_force", true)
            .set("kw_validate", "")
            .set("kw_backup", "")
            .flag("kw_diff", env.diff);
        Ok(script.work(
            "kw_deb822_check",
            "kw_deb822_apply",
            outcome::with(move |result, said, _| {
                if let Some(diff) = result.diff.first_mut().filter(|_| !said.has("after")) {
                    diff.after.clone_from(&after);
                }
                result.fields.extend(fields.iter().map(|(k, v)| ((*k).to_owned(), v.clone())));
            }),
        ))
    },
};

/// The file's text, fields in the order of their options' names, as Ansible writes it. The key's URL stands in it as a
/// comment, so that another URL is another text.
fn stanza(o: &Opts, name: &str, signed: &str, keyring: &str) -> String {
    let mut text = String::new();
    if !keyring.is_empty() {
        let _ = writeln!(text, "# Key from {signed}");
    }
    let mut line = |key: &str, value: &str| {
        if value.trim().contains('\n') {
            let _ = writeln!(text, "{key}:");
            for part in value.trim_end().lines() {
                let _ = writeln!(text, "    {}", if part.trim().is_empty() { "." } else { part.trim() });
            }
        } else if !value.is_empty() {
            let _ = writeln!(text, "{key}: {value}");
        }
    };
    let yes_no = |option: &str| o.maybe_flag(option).map_or("", |on| if on { "yes" } else { "no" });
    let list = |option: &str| o.list(option).join(" ");
    line("Allow-Downgrade-To-Insecure", yes_no("allow_downgrade_to_insecure"));
    line("Allow-Insecure", yes_no("allow_insecure"));
    line("Allow-Weak", yes_no("allow_weak"));
    line("Architectures", &list("architectures"));
    line("By-Hash", yes_no("by_hash"));
    line("Check-Date", yes_no("check_date"));
    line("Check-Valid-Until", yes_no("check_valid_until"));
    line("Components", &list("components"));
    line("Date-Max-Future", &o.int("date_max_future").map(|n| n.to_string()).unwrap_or_default());
    line("Enabled", yes_no("enabled"));
    line("Exclude", &list("exclude"));
    line("Include", &list("include"));
    line("Inrelease-Path", &o.text_or("inrelease_path", ""));
    line("Languages", &list("languages"));
    line("X-Repolib-Name", name);
    line("Pdiffs", yes_no("pdiffs"));
    line("Signed-By", if keyring.is_empty() { signed } else { keyring });
    line("Suites", &list("suites"));
    line("Targets", &list("targets"));
    line("Trusted", yes_no("trusted"));
    let types = list("types");
    line("Types", if types.is_empty() { "deb" } else { &types });
    line("URIs", &list("uris"));
    text
}

/// `lib/ansible/modules/apt_repository.py`; PPAs are refused by name (they need Launchpad's API).
pub static APT_REPOSITORY: ModuleDef = ModuleDef {
    names: &["apt_repository"],
    options: &[
        opt("repo", T::Str).req(),
        opt("state", T::Str).choices(&["present", "absent"]),
        opt("filename", T::Str),
        opt("mode", T::Mode),
        opt("update_cache", T::Bool).alias(&["update-cache"]),
        opt("update_cache_retries", T::Int),
        opt("update_cache_retry_max_delay", T::Int),
        opt("validate_certs", T::Bool),
        opt("codename", T::Str),
        opt("install_python_apt", T::Bool),
    ],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&APT_REPOSITORY, args)?;
        let repo = o.text_or("repo", "").split_whitespace().collect::<Vec<_>>().join(" ");
        if repo.starts_with("ppa:") {
            return Err(ArgError("ppa: repositories are not supported; give the deb line and its key".into()));
        }
        let name = o.text("filename").unwrap_or_else(|| suggested_name(&repo));
        let name = name.strip_suffix(".list").unwrap_or(&name).to_owned();
        let file = if name.starts_with('/') { format!("{name}.list") } else { format!("/etc/apt/sources.list.d/{name}.list") };
        let (shown, state, added) = (o.text_or("repo", ""), o.text_or("state", "present"), file.clone());
        Ok(Script::new()
            .set("kw_repo", &repo)
            .set("kw_file", &file)
            .set("kw_state", &o.text_or("state", "present"))
            .set("kw_mexpr", &mode::arithmetic(&o.text_or("mode", "0644")).map_err(ArgError)?)
            .flag("kw_update", o.flag("update_cache", true))
            .set("kw_lock", "60")
            .set("kw_valid", "0")
            .work(
                "kw_repo_check",
                "kw_repo_apply",
                outcome::with(move |result, said, _| {
                    let files = |key: &str| -> Value {
                        if said.has(key) {
                            std::iter::once(Value::from(added.as_str())).collect()
                        } else {
                            std::iter::empty::<Value>().collect()
                        }
                    };
                    result.fields.insert("sources_added".into(), files("added"));
                    result.fields.insert("sources_removed".into(), files("removed"));
                    result.fields.insert("repo".into(), shown.as_str().into());
                    result.fields.insert("state".into(), state.as_str().into());
                }),
            ))
    },
};

/// `_suggest_filename` of `apt_repository.py`: the URL and the rest, everything odd an underscore.
fn suggested_name(repo: &str) -> String {
    let mut rest = repo.to_owned();
    if let (Some(open), Some(close)) = (rest.find('['), rest.find(']')) {
        rest.replace_range(open..=close, "");
    }
    let words: Vec<&str> = rest.split_whitespace().filter(|w| *w != "deb" && *w != "deb-src").collect();
    let text = words.first().map_or("repository", |url| url.split_once("://").map_or(*url, |(_, r)| r));
    let text = text.rsplit_once('@').map_or(text, |(_, r)| r);
    text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|p| !p.is_empty()).collect::<Vec<_>>().join("_")
}

/// `lib/ansible/modules/apt_key.py`: the key becomes a keyring of its own, which is what replaced apt-key.
pub static APT_KEY: ModuleDef = ModuleDef {
    names: &["apt_key"],
    options: &[
        opt("id", T::Str),
        opt("url", T::Str),
        opt("data", T::Raw),
        opt("file", T::Path),
        opt("keyring", T::Path),
        opt("keyserver", T::Str),
        opt("state", T::Str).choices(&["present", "absent"]),
        opt("validate_certs", T::Bool),
    ],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&APT_KEY, args)?;
        let data = o.value("data").map(to_text).unwrap_or_default();
        let url = o.text("url").or_else(|| o.text("file").map(|f| format!("file://{f}"))).unwrap_or_default();
        // As in Ansible: at least eight hex digits, of which the last are the key's.
        let id = o.text_or("id", "").trim().to_lowercase();
        let id = id.strip_prefix("0x").unwrap_or(&id);
        if !id.is_empty() && (id.len() < 8 || !id.bytes().all(|b| b.is_ascii_hexdigit())) {
            return Err(ArgError(format!("'{id}' is no key's id")));
        }
        let absent = o.text_or("state", "present") == "absent";
        let Some(source) = [url.as_str(), id, &data].into_iter().find(|s| !s.is_empty()) else {
            return Err(ArgError("apt_key needs one of url, data, file, id with keyserver".into()));
        };
        if source == id && !absent && data.is_empty() && !o.has("keyserver") {
            return Err(ArgError(format!("apt_key: an id says nothing of where key {id} comes from: url, data, file or keyserver does")));
        }
        Ok(Script::new()
            .set("kw_ring", &o.text_or("keyring", ""))
            .set("kw_keyfile", &format!("/etc/apt/trusted.gpg.d/kubewright-{}.gpg", &sha256(source.as_bytes())[..12]))
            .set("kw_key_url", &url)
            .blob("kw_key_sha", data, false)
            .set("kw_keyserver", &o.text_or("keyserver", ""))
            .set("kw_id", id)
            .set("kw_state", if absent { "absent" } else { "present" })
            .flag("kw_insecure", !o.flag("validate_certs", true))
            .plain("kw_aptkey_check", "kw_aptkey_apply"))
    },
};

#[cfg(test)]
mod tests {
    use super::suggested_name;

    #[test]
    fn file_names_are_ansibles() {
        assert_eq!(
            suggested_name("deb [arch=amd64 signed-by=/k.gpg] https://download.docker.com/linux/ubuntu noble stable"),
            "download_docker_com_linux_ubuntu"
        );
    }
}
