//! `unarchive` and `archive`.

use super::{
    ArgError, Finish, ModuleDef, OptionType as T,
    args::{Opts, opt},
    files::{attributes, file_options},
    outcome::{self, Said},
    script::Script,
};
use minijinja::Value;
use std::sync::Arc;

/// `lib/ansible/modules/unarchive.py`
pub static UNARCHIVE: ModuleDef = ModuleDef {
    names: &["unarchive"],
    options: file_options![
        opt("src", T::Path).req(),
        opt("dest", T::Path).req(),
        opt("remote_src", T::Bool),
        opt("creates", T::Path),
        opt("extra_opts", T::List),
        opt("exclude", T::List),
        opt("include", T::List),
        opt("keep_newer", T::Bool),
        opt("list_files", T::Bool),
        opt("copy", T::Bool),
        opt("validate_certs", T::Bool),
        opt("decrypt", T::Bool),
    ],
    free_form: false,
    facts: &[],
    compile: |args, env| {
        let o = Opts::read(&UNARCHIVE, args)?;
        let src = o.text_or("src", "");
        let there = src.contains("://") || o.flag("remote_src", !o.flag("copy", true));
        let ending = std::path::Path::new(&src).extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
        let zip = ending == "zip";
        let mut options = o.list("extra_opts");
        let excluded = o.list("exclude");
        if !zip {
            options.extend(excluded.iter().map(|e| format!("--exclude={e}")));
        }
        if o.flag("keep_newer", false) {
            options.push(if zip { "-u" } else { "--keep-newer-files" }.into());
        }
        let mut members = o.list("include");
        if zip && !excluded.is_empty() {
            members.push("-x".into());
            members.extend(excluded);
        }
        if let Some(bad) = options.iter().chain(&members).find(|t| t.contains(char::is_whitespace)) {
            return Err(ArgError(format!("unarchive: '{bad}' must not hold blanks")));
        }
        let script = if there {
            Script::new().set("kw_blob", "").set_sh("kw_src", &o.path("src"))
        } else {
            let file = (env.read)("files", &src).map_err(ArgError)?;
            Script::new().blob("kw_blob", file.content, false).set("kw_src", &src)
        };
        let list = o.flag("list_files", false);
        let script = script
            .set_sh("kw_dest", &o.path("dest"))
            .set_sh("kw_creates", &o.path("creates"))
            .set("kw_opts", &options.join(" "))
            .set("kw_members", &members.join(" "))
            .flag("kw_names", list)
            .flag("kw_looks", env.check_mode)
            .flag("kw_insecure", !o.flag("validate_certs", true));
        let handler = match ending.as_str() {
            "zip" => "ZipArchive",
            "gz" | "tgz" => "TgzArchive",
            _ => "TarArchive",
        };
        Ok(attributes(script, &o)?.work("kw_unarchive_check", "kw_unarchive_apply", unpacked(o.text_or("dest", ""), src, handler, list)))
    },
};

fn unpacked(dest: String, src: String, handler: &'static str, list: bool) -> Finish {
    Arc::new(move |outcome| {
        let (mut result, said) = outcome::base(outcome);
        if said.has("skipped") {
            result.skipped = true;
            result.msg = Some(said.get("skipped").to_owned());
            return result;
        }
        result.fields.insert("dest".into(), dest.as_str().into());
        result.fields.insert("src".into(), src.as_str().into());
        result.fields.insert("handler".into(), handler.into());
        if list {
            result.fields.insert("files".into(), outcome::lines(said.get("names")));
        }
        result
    })
}

/// `community.general.archive`
pub static ARCHIVE: ModuleDef = ModuleDef {
    names: &["archive"],
    options: file_options![
        opt("path", T::List).req(),
        opt("dest", T::Path),
        opt("format", T::Str).choices(&["bz2", "gz", "tar", "xz", "zip"]),
        opt("remove", T::Bool),
        opt("force_archive", T::Bool),
        opt("exclude_path", T::List),
        opt("exclusion_patterns", T::List),
    ],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&ARCHIVE, args)?;
        let (paths, format) = (o.list("path"), o.text_or("format", "gz"));
        let dest = match (o.text("dest"), &paths[..]) {
            (Some(dest), _) => dest,
            (None, [only]) => format!("{}.{format}", only.trim_end_matches('/')),
            (None, _) => return Err(ArgError("archive: dest is required for several paths".into())),
        };
        let script = Script::new().set_sh("kw_dest", &super::path::word(&dest));
        let script = script
            .set("kw_format", &format)
            .flag("kw_remove", o.flag("remove", false))
            .flag("kw_always", o.flag("force_archive", false))
            .lines("kw_excluded", &o.list("exclude_path"))
            .lines("kw_patterns", &o.list("exclusion_patterns"))
            .set("kw_backup", "")
            .set("kw_validate", "")
            .args(&paths);
        Ok(attributes(script, &o)?.work(
            "kw_archive_check \"$@\"",
            "kw_archive_apply \"$@\"",
            outcome::with(move |r, said, _| packed(r, said, &dest)),
        ))
    },
};

fn packed(result: &mut super::TaskResult, said: &Said, dest: &str) {
    result.fields.insert("dest".into(), dest.into());
    for (name, key) in
        [("archived", "members"), ("expanded_paths", "paths"), ("expanded_exclude_paths", "excluded"), ("missing", "missing")]
    {
        result.fields.insert(name.into(), said.get(key).lines().map(Value::from).collect());
    }
    for name in ["arcroot", "dest_state"] {
        result.fields.insert(name.into(), said.get(name).into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Root, converges, fails};

    #[test]
    fn an_archive_is_unpacked_once() {
        let prepare = |root: &Root| {
            root.write("in/a", "1\n");
            root.write("out/x", "");
            let mut tar = std::process::Command::new("tar");
            tar.arg("-czf").arg(root.path("a.tar.gz")).arg("-C").arg(root.path("in")).arg("a");
            assert!(tar.status().unwrap().success());
        };
        converges(&UNARCHIVE, r#"{"src":"$R/a.tar.gz","dest":"$R/out","remote_src":true}"#, prepare, |root| {
            assert_eq!(root.read("out/a"), "1\n");
        });
        fails(&UNARCHIVE, r#"{"src":"$R/a.tar.gz","dest":"$R/none","remote_src":true}"#, prepare, "must be an existing dir");
        converges(&ARCHIVE, r#"{"path":"$R/in","dest":"$R/new.tar.gz"}"#, prepare, |root| assert!(root.path("new.tar.gz").is_file()));
    }
}
