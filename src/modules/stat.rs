//! `stat`: one `stat` call, read here.

use super::{
    ModuleDef, OptionType as T,
    args::{Opts, opt},
    outcome::{self, Said},
    script::Script,
};
use indexmap::IndexMap;
use minijinja::Value;

/// `lib/ansible/modules/stat.py`
pub static STAT: ModuleDef = ModuleDef {
    names: &["stat"],
    options: &[
        opt("path", T::Path).alias(&["dest", "name"]).req(),
        opt("follow", T::Bool),
        opt("get_checksum", T::Bool),
        opt("checksum_algorithm", T::Str)
            .alias(&["checksum", "checksum_algo"])
            .choices(&["md5", "sha1", "sha224", "sha256", "sha384", "sha512"]),
        opt("get_mime", T::Bool).alias(&["mime", "mime_type", "mime-type"]),
        opt("get_attributes", T::Bool).alias(&["attr", "attributes"]),
        opt("get_selinux_context", T::Bool),
    ],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&STAT, args)?;
        let path = o.text_or("path", "");
        let algorithm = if o.flag("get_checksum", true) { o.text_or("checksum_algorithm", "sha1") } else { String::new() };
        let script = Script::new()
            .set_sh("kw_path", &o.path("path"))
            .flag("kw_follow", o.flag("follow", false))
            .set("kw_algorithm", &algorithm)
            .flag("kw_mime", o.flag("get_mime", true));
        Ok(script.look(
            "kw_stat_check",
            outcome::with(move |result, said, _| {
                result.fields.insert("stat".into(), Value::from_pairs(stat(&path, said)));
            }),
        ))
    },
};

/// `%f %u %g %U %G %s %i %d %h %X %Y %Z` → the documented fields.
fn stat(path: &str, said: &Said) -> IndexMap<String, Value> {
    let mut fields = IndexMap::new();
    let words: Vec<&str> = said.get("file").split_whitespace().collect();
    let mut put = |name: &str, value: Value| {
        fields.insert(name.to_owned(), value);
    };
    if words.len() < 12 {
        put("exists", false.into());
        return fields;
    }
    let mode = u32::from_str_radix(words[0], 16).unwrap_or_default();
    let number = |i: usize| words[i].parse::<i64>().unwrap_or_default();
    put("exists", true.into());
    put("path", path.into());
    put("mode", format!("{:04o}", mode & 0o7777).into());
    for (name, value) in mode_fields(mode) {
        put(name, value);
    }
    for (name, i) in [("uid", 1), ("gid", 2), ("size", 5), ("inode", 6), ("dev", 7), ("nlink", 8)] {
        put(name, number(i).into());
    }
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit")]
    for (name, i) in [("atime", 9), ("mtime", 10), ("ctime", 11)] {
        put(name, (number(i) as f64).into());
    }
    put("pw_name", words[3].into());
    put("gr_name", words[4].into());
    for name in ["readable", "writeable", "executable"] {
        put(name, (said.get(name) == "1").into());
    }
    if said.has("link") {
        put("lnk_target", said.get("link").into());
        put("lnk_source", said.get("source").into());
    }
    if let Some((kind, charset)) = said.get("mime").split_once("; charset=") {
        put("mimetype", kind.into());
        put("charset", charset.into());
    }
    if said.has("checksum") {
        put("checksum", said.get("checksum").into());
    }
    fields
}

/// What the file's mode says: its kind and its permission bits.
pub(super) fn mode_fields(mode: u32) -> Vec<(&'static str, Value)> {
    let kinds = [
        ("isdir", 0o040_000),
        ("ischr", 0o020_000),
        ("isblk", 0o060_000),
        ("isreg", 0o100_000),
        ("isfifo", 0o010_000),
        ("islnk", 0o120_000),
        ("issock", 0o140_000),
    ];
    let bits = [
        ("wusr", 0o200),
        ("rusr", 0o400),
        ("xusr", 0o100),
        ("wgrp", 0o020),
        ("rgrp", 0o040),
        ("xgrp", 0o010),
        ("woth", 0o002),
        ("roth", 0o004),
        ("xoth", 0o001),
        ("isuid", 0o4000),
        ("isgid", 0o2000),
    ];
    let kinds = kinds.into_iter().map(|(name, kind)| (name, (mode & 0o170_000 == kind).into()));
    kinds.chain(bits.into_iter().map(|(name, bit)| (name, (mode & bit != 0).into()))).collect()
}
