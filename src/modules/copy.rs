//! `copy` and `template`: content by its hash, put in place in one step.

use super::{
    ArgError, Env, Finish, LocalFile, ModuleDef, OptionType as T, Work,
    args::{Opts, opt, to_text},
    files::{attributes, file_options, with_mode},
    outcome,
    script::{Script, sha256},
};
use bytes::Bytes;
use minijinja::Value;

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
            (Some(content), None) => put(&o, env, "", Bytes::from(to_text(content)), &o.text_or("mode", "")),
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
        let mut text = (env.render)(&file, args).map_err(ArgError)?;
        match o.text_or("newline_sequence", "\n").as_str() {
            "\r\n" | "\\r\\n" => text = text.replace('\n', "\r\n"),
            "\r" | "\\r" => text = text.replace('\n', "\r"),
            _ => {}
        }
        let name = file_name(&file);
        let mode = mode_of(&o, file.mode);
        put(&o, env, name.strip_suffix(".j2").unwrap_or(&name), Bytes::from(text), &mode)
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
    put(o, env, &file_name(&file), file.content, &mode)
}

fn put(o: &Opts, env: &Env<'_>, name: &str, content: Bytes, mode: &str) -> Result<Work, ArgError> {
    let base = name.to_owned();
    let size = content.len();
    let after = if env.diff { diff_text(&content) } else { None };
    let script = Script::new()
        .set_sh("kw_dest", &o.path("dest"))
        .set("kw_base", &base)
        .blob("kw_sha", content, false)
        .flag("kw_force", o.flag("force", true))
        .flag("kw_follow", o.flag("follow", false))
        .flag("kw_backup", o.flag("backup", false))
        .set("kw_validate", &o.text_or("validate", ""))
        .set("kw_mkdir", "")
        .flag("kw_diff", env.diff);
    Ok(with_mode(script, o, mode)?.work("kw_copy_check", "kw_copy_apply", finish(o.text_or("dest", ""), after, size)))
}

/// The text as a diff shows it: none for something binary or huge.
fn diff_text(content: &Bytes) -> Option<String> {
    let text = std::str::from_utf8(content).ok()?;
    (content.len() <= 104_448 && !text.contains('\0')).then(|| text.to_owned())
}

fn finish(dest: String, after: Option<String>, size: usize) -> Finish {
    outcome::with(move |result, said, _| {
        for diff in &mut result.diff {
            // A diff without "after" is one of content: the host said what was there, we know what comes.
            if !said.has("after") {
                if diff.before.contains('\0') {
                    diff.before = "(binary)\n".into();
                }
                diff.after = after.clone().unwrap_or_else(|| "(binary or large)\n".into());
            }
        }
        result.fields.entry("dest".into()).or_insert_with(|| dest.as_str().into());
        result.fields.insert("size".into(), Value::from(size));
        result.fields.insert("state".into(), "file".into());
    })
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
    Ok(attributes(script, o)?.plain("kw_tree_check", "kw_tree_apply"))
}

fn remote(o: &Opts) -> Result<Work, ArgError> {
    let script = Script::new()
        .set_sh("kw_src", &o.path("src"))
        .set_sh("kw_dest", &o.path("dest"))
        .flag("kw_preserve", o.text("mode").as_deref() == Some("preserve"))
        .flag("kw_force", o.flag("force", true))
        .flag("kw_backup", o.flag("backup", false))
        .set("kw_validate", &o.text_or("validate", ""));
    Ok(attributes(script, o)?.plain("kw_remote_check", "kw_remote_apply"))
}
