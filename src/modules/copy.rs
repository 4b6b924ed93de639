//! `copy` and `template`: content by its hash, put in place in one step.

use super::{
    ArgError, Env, Finish, LocalFile, ModuleDef, OptionType as T, Work,
    args::{Opts, opt, to_text},
    files::{attributes, file_options, with_mode},
    outcome,
    script::{Script, hex, sha256},
};
use bytes::Bytes;
use minijinja::Value;
use sha1::{Digest as _, Sha1};
use std::sync::Arc;

/// `lib/ansible/modules/copy.py` and `plugins/action/copy.py`
pub static COPY: ModuleDef = ModuleDef {
    names: &["copy"],
    options: file_options![
        opt("src", T::Path),
        opt("content", T::Raw),
        opt("dest", T::Path).req(),
        opt("backup", T::Bool),
        opt("force", T::Bool).alias(&["thirsty"]),
        opt("directory_mode", T::Mode),
        opt("remote_src", T::Bool),
        opt("follow", T::Bool),
        opt("local_follow", T::Bool),
        opt("checksum", T::Str),
        opt("decrypt", T::Bool),
        opt("validate", T::Str),
    ],
    free_form: false,
    facts: &[],
    compile: |args, env| {
        let o = Opts::read(&COPY, args)?;
        match (o.value("content"), o.text("src")) {
            (Some(_), Some(_)) => Err(ArgError("src and content are mutually exclusive".into())),
            (None, None) => Err(ArgError("src (or content) is required".into())),
            (Some(content), None) => put(&o, env, "", "content", Bytes::from(to_text(content)), &o.text_or("mode", "")),
            (None, Some(_)) if o.flag("remote_src", false) => remote(&o),
            (None, Some(src)) => {
                let file = (env.read)("files", &src).map_err(ArgError)?;
                if file.tree.is_empty() && !src.ends_with('/') { single(&o, env, file) } else { tree(&o, &src, &file) }
            }
        }
    },
};

/// `plugins/action/template.py`
pub static TEMPLATE: ModuleDef = ModuleDef {
    names: &["template"],
    options: file_options![
        opt("src", T::Path).req(),
        opt("dest", T::Path).req(),
        opt("backup", T::Bool),
        opt("force", T::Bool),
        opt("follow", T::Bool),
        opt("validate", T::Str),
        opt("newline_sequence", T::Str).choices(&["\n", "\r", "\r\n", "\\n", "\\r", "\\r\\n"]),
        opt("block_start_string", T::Str),
        opt("block_end_string", T::Str),
        opt("variable_start_string", T::Str),
        opt("variable_end_string", T::Str),
        opt("comment_start_string", T::Str),
        opt("comment_end_string", T::Str),
        opt("trim_blocks", T::Bool),
        opt("lstrip_blocks", T::Bool),
        opt("output_encoding", T::Str),
    ],
    free_form: false,
    facts: &[],
    compile: |args, env| {
        let o = Opts::read(&TEMPLATE, args)?;
        let file = (env.read)("templates", &o.text_or("src", "")).map_err(ArgError)?;
        let text = (env.render)(&file, args).map_err(ArgError)?;
        let env = &env.about(&file);
        let name = file_name(&file);
        let mode = mode_of(&o, file.mode);
        put(&o, env, &name, &file.path.display().to_string(), Bytes::from(text), &mode)
    },
};

fn file_name(file: &LocalFile) -> String {
    file.path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

fn mode_of(o: &Opts, local: u32) -> String {
    match o.text("mode") {
        Some(mode) if mode == "preserve" => format!("{:04o}", local & 0o7777),
        mode => mode.unwrap_or_default(),
    }
}

fn single(o: &Opts, env: &Env<'_>, file: LocalFile) -> Result<Work, ArgError> {
    let mode = mode_of(o, file.mode);
    let env = &env.about(&file);
    put(o, env, &file_name(&file), &file.path.display().to_string(), file.content, &mode)
}

/// `name`: the file's, where `dest` is a directory; `src`: as the result tells it.
fn put(o: &Opts, env: &Env<'_>, name: &str, src: &str, content: Bytes, mode: &str) -> Result<Work, ArgError> {
    let told = Told {
        dest: o.text_or("dest", ""),
        src: src.to_owned(),
        after: if env.diff { diff_text(&content) } else { None },
        sums: env.full.then(|| (hex(&md5::compute(&content).0), hex(&Sha1::digest(&content)))),
        force: o.flag("force", true),
    };
    let script = Script::new()
        .set_sh("kw_dest", &o.path("dest"))
        .set("kw_base", name)
        .blob("kw_sha", content, false)
        .flag("kw_force", told.force)
        .flag("kw_follow", o.flag("follow", false))
        .flag("kw_backup", o.flag("backup", false))
        .set("kw_validate", &o.text_or("validate", ""))
        .set("kw_mkdir", "")
        .flag("kw_diff", env.diff);
    Ok(with_mode(script, o, mode)?.work("kw_copy_check", "kw_copy_apply", told.finish()))
}

/// The text as a diff shows it: none for something binary or huge.
fn diff_text(content: &Bytes) -> Option<String> {
    let text = std::str::from_utf8(content).ok()?;
    (content.len() <= 104_448 && !text.contains('\0')).then(|| text.to_owned())
}

/// What is known here of a result before the host has said anything.
struct Told {
    dest: String,
    src: String,
    after: Option<String>,
    /// MD5 and SHA-1, where somebody will look at them.
    sums: Option<(String, String)>,
    force: bool,
}

impl Told {
    fn finish(self) -> Finish {
        Arc::new(move |outcome| {
            let (mut result, said) = outcome::base(outcome);
            let mut put = |name: &str, value: Value| {
                result.fields.insert(name.to_owned(), value);
            };
            if let Some((_, sha1)) = &self.sums {
                put("checksum", sha1.as_str().into());
            }
            if result.failed {
                return result;
            }
            for diff in &mut result.diff {
                // A diff without "after" is one of content: the host said what was there, we know what comes.
                if !said.has("after") {
                    if diff.before.contains('\0') {
                        diff.before = "(binary)\n".into();
                    }
                    diff.after = self.after.clone().unwrap_or_else(|| "(binary or large)\n".into());
                }
            }
            let dest = result.fields.entry("dest".into()).or_insert_with(|| self.dest.as_str().into()).clone();
            let mut put = |name: &str, value: Value| {
                result.fields.insert(name.to_owned(), value);
            };
            match (said.has("content"), &self.sums) {
                (true, Some((md5, _))) => {
                    put("src", self.src.as_str().into());
                    put("md5sum", md5.as_str().into());
                }
                // Ansible's `file` has the last word then, which calls it `path`.
                (false, Some(_)) if self.force => put("path", dest),
                (false, Some(_)) => put("src", self.src.as_str().into()),
                _ => {}
            }
            result
        })
    }
}

/// A directory of the operator's side: `src/` means what is in it, `src` the directory itself.
fn tree(o: &Opts, src: &str, dir: &LocalFile) -> Result<Work, ArgError> {
    let prefix = if src.ends_with('/') { String::new() } else { format!("{}/", file_name(dir)) };
    let (mut sums, mut list) = (Vec::new(), Vec::new());
    let mut script = Script::new();
    let mut directories = std::collections::BTreeSet::new();
    for (relative, file) in &dir.tree {
        let path = format!("./{prefix}{relative}");
        if path.contains(['\n', '\\']) {
            return Err(ArgError(format!("file name {path:?} cannot be copied: it has a line end or a backslash")));
        }
        for (i, _) in path.match_indices('/').skip(1) {
            if directories.insert(path[..i].to_owned()) {
                list.push(format!("0755 - {}", &path[..i]));
            }
        }
        let sha = sha256(&file.content);
        sums.push(format!("{sha}  {path}"));
        list.push(format!("{:04o} {sha} {path}", file.mode & 0o7777));
        script = script.add_blob(file.content.clone());
    }
    let mode = o.text_or("mode", "");
    let directory_mode = super::mode::arithmetic(&o.text_or("directory_mode", "")).map_err(ArgError)?;
    let script = script
        .set_sh("kw_dest", &o.path("dest"))
        .set("kw_base", "")
        .lines("kw_sums", &sums)
        .lines("kw_tree", &list)
        .set("kw_dexpr", &directory_mode)
        .flag("kw_preserve", mode == "preserve")
        .flag("kw_force", o.flag("force", true))
        .flag("kw_backup", o.flag("backup", false))
        .set("kw_validate", &o.text_or("validate", ""))
        .set("kw_mkdir", "")
        .set("kw_diff", "");
    // Ansible ends the destination with a slash, except for a single file.
    let dest = o.text_or("dest", "");
    let dest = if dest.ends_with('/') { dest } else { format!("{dest}/") };
    let slash = if src.ends_with('/') { "/" } else { "" };
    let src = format!("{}{slash}", dir.path.display().to_string().trim_end_matches('/'));
    let finish = outcome::with(move |result, _, _| {
        result.fields.insert("dest".into(), dest.as_str().into());
        result.fields.insert("src".into(), src.as_str().into());
    });
    Ok(attributes(script, o)?.work("kw_tree_check", "kw_tree_apply", finish))
}

fn remote(o: &Opts) -> Result<Work, ArgError> {
    let script = Script::new()
        .set_sh("kw_src", &o.path("src"))
        .set_sh("kw_dest", &o.path("dest"))
        .flag("kw_preserve", o.text("mode").as_deref() == Some("preserve"))
        .flag("kw_force", o.flag("force", true))
        .flag("kw_backup", o.flag("backup", false))
        .set("kw_validate", &o.text_or("validate", ""));
    let (src, dest) = (o.text_or("src", ""), o.text_or("dest", ""));
    let finish = outcome::with(move |result, said, _| {
        result.fields.entry("dest".into()).or_insert_with(|| dest.as_str().into());
        result.fields.insert("src".into(), src.as_str().into());
        for (name, sum) in [("md5sum", "md5"), ("checksum", "sha1")] {
            if said.has(sum) {
                let sum = said.get(sum);
                result.fields.insert(name.into(), if sum.is_empty() { Value::from(()) } else { sum.into() });
            }
        }
    });
    Ok(attributes(script, o)?.work("kw_remote_check", "kw_remote_apply", finish))
}
