//! Modules that only look (`slurp`, `find`, `getent`), and `tempfile`.

use super::{
    ArgError, ModuleDef, OptionType as T, TaskResult,
    args::{Opts, opt},
    outcome, pyre,
    script::Script,
};
use base64::Engine as _;
use fancy_regex::Regex;
use indexmap::IndexMap;
use minijinja::Value;
use std::collections::{HashMap, HashSet};

/// `lib/ansible/modules/slurp.py`
pub static SLURP: ModuleDef = ModuleDef {
    names: &["slurp"],
    options: &[opt("src", T::Path).alias(&["path"]).req()],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&SLURP, args)?;
        let source = o.text_or("src", "");
        Ok(Script::new().set_sh("kw_path", &o.path("src")).look(
            "kw_slurp_check",
            std::sync::Arc::new(move |outcome| {
                let mut result = outcome::base(outcome).0;
                if result.failed {
                    return result;
                }
                if outcome.truncated {
                    return super::TaskResult::failure(format!("{source} is larger than 1 MiB"));
                }
                let content = base64::engine::general_purpose::STANDARD.encode(&outcome.stdout);
                result.fields.clear();
                result.msg = None;
                result.diff.clear();
                result.warnings.clear();
                for (name, value) in [("content", content.as_str()), ("encoding", "base64"), ("source", &source)] {
                    result.fields.insert(name.into(), value.into());
                }
                result
            }),
        ))
    },
};

/// `lib/ansible/modules/find.py`: `find` walks there, patterns, age and size are judged here.
pub static FIND: ModuleDef = ModuleDef {
    names: &["find"],
    options: &[
        opt("paths", T::List).alias(&["name", "path"]).req(),
        opt("patterns", T::List).alias(&["pattern"]),
        opt("excludes", T::List).alias(&["exclude"]),
        opt("file_type", T::Str).choices(&["any", "directory", "file", "link"]),
        opt("recurse", T::Bool),
        opt("depth", T::Int),
        opt("hidden", T::Bool),
        opt("follow", T::Bool),
        opt("use_regex", T::Bool),
        opt("age", T::Str),
        opt("age_stamp", T::Str).choices(&["atime", "ctime", "mtime"]),
        opt("size", T::Str),
        opt("limit", T::Int),
        opt("mode", T::Str),
        opt("exact_mode", T::Bool),
        opt("get_checksum", T::Bool),
        opt("contains", T::Str),
        opt("read_whole_file", T::Bool),
        opt("checksum_algorithm", T::Str)
            .alias(&["checksum", "checksum_algo"])
            .choices(&["md5", "sha1", "sha224", "sha256", "sha384", "sha512"]),
    ],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&FIND, args)?;
        let filter = Filter::new(&o)?;
        // One level more than asked for is looked at, and counted, as there.
        let depth = if o.flag("recurse", false) { o.int("depth").map(|d| (d + 1).to_string()).unwrap_or_default() } else { "1".to_owned() };
        let contains = match o.text("contains") {
            Some(text) if o.flag("read_whole_file", false) => pyre::to_ere(&text)?,
            Some(text) => format!("^({})", pyre::to_ere(&text)?),
            None => String::new(),
        };
        let sums = if o.flag("get_checksum", false) { format!("{}sum", o.text_or("checksum_algorithm", "sha1")) } else { String::new() };
        let script = Script::new()
            .set("kw_depth", &depth)
            .flag("kw_follow", o.flag("follow", false))
            .set("kw_contains", &contains)
            .set("kw_sums", &sums)
            .flag("kw_aged", filter.age.is_some())
            .args(&o.list("paths"));
        Ok(script.look("kw_find_check \"$@\"", outcome::with(move |result, said, _| filter.result(result, said))))
    },
};

struct Filter {
    depth: Option<usize>,
    mode: Option<(u32, bool)>,
    contains: bool,
    patterns: Vec<Regex>,
    excludes: Vec<Regex>,
    kind: String,
    hidden: bool,
    age: Option<f64>,
    stamp: usize,
    size: Option<f64>,
    limit: usize,
}

impl Filter {
    fn new(o: &Opts) -> Result<Self, ArgError> {
        let regex = o.flag("use_regex", false);
        let compile = |items: Vec<String>| -> Result<Vec<Regex>, ArgError> {
            items.iter().map(|p| pyre::compile(&if regex { format!("^(?:{p})") } else { glob(p) }, false)).collect()
        };
        let amount = |name: &str, units: &[(char, f64)], default: f64| -> Result<Option<f64>, ArgError> {
            let Some(text) = o.text(name) else { return Ok(None) };
            let text = text.trim().to_lowercase();
            let unit = text.chars().last().and_then(|c| units.iter().find(|(u, _)| *u == c).map(|(_, f)| *f));
            let digits = if unit.is_some() { &text[..text.len() - 1] } else { &text };
            let number: f64 = digits.parse().map_err(|_| ArgError(format!("{name}: '{text}' is no amount")))?;
            Ok(Some(number * unit.unwrap_or(default)))
        };
        let mode = match o.text("mode") {
            Some(text) => match u32::from_str_radix(text.trim_start_matches("0o"), 8) {
                Ok(mode) => Some((mode, o.flag("exact_mode", true))),
                Err(_) => return Err(ArgError(format!("find: only octal modes are supported, not '{text}'"))),
            },
            None => None,
        };
        Ok(Self {
            depth: o.int("depth").and_then(|d| usize::try_from(d).ok()).filter(|_| o.flag("recurse", false)),
            mode,
            contains: o.has("contains"),
            patterns: compile(o.list("patterns"))?,
            excludes: compile(o.list("excludes"))?,
            kind: o.text_or("file_type", "file"),
            hidden: o.flag("hidden", false),
            age: amount("age", &[('s', 1.0), ('m', 60.0), ('h', 3600.0), ('d', 86400.0), ('w', 604_800.0)], 1.0)?,
            stamp: match o.text_or("age_stamp", "mtime").as_str() {
                "atime" => 9,
                "ctime" => 11,
                _ => 10,
            },
            size: amount(
                "size",
                &[('b', 1.0), ('k', 1024.0), ('m', 1_048_576.0), ('g', 1_073_741_824.0), ('t', 1_099_511_627_776.0)],
                1.0,
            )?,
            limit: o.int("limit").and_then(|l| usize::try_from(l).ok()).unwrap_or(usize::MAX),
        })
    }

    /// Everything that the host said: `root PATH` before what is below it, a line for each thing there, `holds PATH` for
    /// what has what `contains` asks for, `sum SUM  PATH`.
    fn result(&self, result: &mut TaskResult, said: &outcome::Said) {
        let now = said.get("now").parse().unwrap_or(0);
        let lines = || said.text.lines().filter(|l| !l.is_empty());
        let holds: HashSet<&str> = lines().filter_map(|l| l.strip_prefix("holds ")).collect();
        let sums: HashMap<&str, &str> =
            lines().filter_map(|l| l.strip_prefix("sum ")?.split_once("  ")).map(|(sum, path)| (path, sum)).collect();
        let (mut files, mut examined, mut root) = (Vec::new(), 0, 0);
        for line in lines().filter(|l| !l.starts_with("holds ") && !l.starts_with("sum ")) {
            if let Some(path) = line.strip_prefix("root ") {
                root = path.trim_end_matches('/').matches('/').count();
                continue;
            }
            examined += 1;
            let Some((path, row)) = self.file(line, now, root, &holds) else { continue };
            let mut row = row;
            if let Some(sum) = sums.get(path) {
                row.insert("checksum", (*sum).into());
            }
            files.push(Value::from_pairs(row));
        }
        files.truncate(self.limit);
        let skipped: Vec<(&str, String)> = said.get("skipped").lines().map(|p| (p, format!("'{p}' is not a directory"))).collect();
        let msg = if skipped.is_empty() { "All paths examined" } else { "Not all paths examined, check warnings for details" };
        result.msg = Some(msg.into());
        result.fields.insert("matched".into(), files.len().into());
        result.fields.insert("examined".into(), examined.into());
        result.fields.insert("files".into(), files.into());
        result.fields.insert("skipped_paths".into(), Value::from_pairs(skipped));
    }

    /// A line `%f %u %g %U %G %s %i %d %h %X %Y %Z NAME`.
    #[expect(clippy::cast_precision_loss, reason = "sizes and times are compared, not kept")]
    fn file<'l>(&self, line: &'l str, now: i64, root: usize, holds: &HashSet<&str>) -> Option<(&'l str, IndexMap<&'static str, Value>)> {
        let words: Vec<&str> = line.splitn(13, ' ').collect();
        let path = *words.get(12)?;
        let name = path.rsplit('/').next().unwrap_or(path);
        let mode = u32::from_str_radix(words[0], 16).ok()?;
        let kind = match mode & 0o170_000 {
            0o040_000 => "directory",
            0o100_000 => "file",
            0o120_000 => "link",
            _ => "other",
        };
        let hits = |list: &[Regex]| list.iter().any(|r| r.is_match(name).unwrap_or(false));
        let number = |i: usize| words[i].parse::<i64>().unwrap_or_default();
        let old_enough = |limit: f64| {
            let age = (now - number(self.stamp)) as f64;
            if limit >= 0.0 { age >= limit } else { age <= -limit }
        };
        let large_enough = |limit: f64| if limit >= 0.0 { number(5) as f64 >= limit } else { number(5) as f64 <= -limit };
        let right_mode = |(wanted, exact): (u32, bool)| if exact { mode & 0o7777 == wanted } else { mode & wanted != 0 };
        let wanted = self.depth.is_none_or(|d| path.matches('/').count() - root <= d)
            && self.mode.is_none_or(right_mode)
            && (!self.contains || kind != "file" || holds.contains(path))
            && (self.kind == "any" || self.kind == kind)
            && (self.hidden || !name.starts_with('.'))
            && (self.patterns.is_empty() || hits(&self.patterns))
            && !hits(&self.excludes)
            && self.age.is_none_or(old_enough)
            && (kind != "file" || self.size.is_none_or(large_enough));
        wanted.then(|| {
            let mut row: IndexMap<&str, Value> = IndexMap::from([("path", path.into()), ("mode", format!("{:04o}", mode & 0o7777).into())]);
            row.extend(super::stat::mode_fields(mode));
            for (key, i) in [("uid", 1), ("gid", 2), ("size", 5), ("inode", 6), ("dev", 7), ("nlink", 8)] {
                row.insert(key, number(i).into());
            }
            for (key, i) in [("atime", 9), ("mtime", 10), ("ctime", 11)] {
                row.insert(key, (number(i) as f64).into());
            }
            row.insert("pw_name", words[3].into());
            row.insert("gr_name", words[4].into());
            (path, row)
        })
    }
}

/// A shell pattern (Python's fnmatch) as a regular expression.
fn glob(pattern: &str) -> String {
    let mut out = String::from("^");
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            '[' => {
                out.push('[');
                if chars.peek() == Some(&'!') {
                    chars.next();
                    out.push('^');
                }
            }
            ']' => out.push(']'),
            c => {
                if !c.is_alphanumeric() && c != '-' && c != '_' {
                    out.push('\\');
                }
                out.push(c);
            }
        }
    }
    out.push('$');
    out
}

/// `lib/ansible/modules/getent.py`
pub static GETENT: ModuleDef = ModuleDef {
    names: &["getent"],
    options: &[opt("database", T::Str).req(), opt("key", T::Str), opt("split", T::Str), opt("fail_key", T::Bool), opt("service", T::Str)],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&GETENT, args)?;
        let database = o.text_or("database", "");
        let split =
            o.text("split").or_else(|| matches!(database.as_str(), "passwd" | "shadow" | "group" | "gshadow").then(|| ":".to_owned()));
        let script =
            Script::new().set("kw_database", &database).set("kw_key", &o.text_or("key", "")).flag("kw_fail_key", o.flag("fail_key", true));
        Ok(script.look(
            "kw_getent_check",
            outcome::with(move |result, said, _| {
                let rows = said.get("list").lines().map(|line| {
                    let fields: Vec<&str> = match &split {
                        Some(s) => line.split(s.as_str()).collect(),
                        None => line.split_whitespace().collect(),
                    };
                    (fields[0].to_owned(), Value::from(fields[1..].iter().map(|f| (*f).to_owned()).collect::<Vec<_>>()))
                });
                let mut rows: Vec<(String, Value)> = rows.collect();
                if said.has("unknown") {
                    rows.push((said.get("unknown").to_owned(), Value::from(())));
                }
                result.facts.insert(format!("getent_{database}"), Value::from_pairs(rows));
            }),
        ))
    },
};

/// `lib/ansible/modules/tempfile.py`
pub static TEMPFILE: ModuleDef = ModuleDef {
    names: &["tempfile"],
    options: &[opt("state", T::Str).choices(&["directory", "file"]), opt("path", T::Path), opt("prefix", T::Str), opt("suffix", T::Str)],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&TEMPFILE, args)?;
        let state = o.text_or("state", "file");
        Ok(Script::new()
            .flag("kw_isdir", state == "directory")
            .set_sh("kw_path", &o.path("path"))
            .set("kw_prefix", &o.text_or("prefix", "ansible."))
            .set("kw_suffix", &o.text_or("suffix", ""))
            .work(
                "exit 10",
                "kw_tempfile_apply",
                std::sync::Arc::new(move |outcome| {
                    if outcome.verdict == crate::session::Verdict::WouldChange {
                        return outcome::no_check_mode("remote module (tempfile) does not support check mode");
                    }
                    let mut result = outcome::base(outcome).0;
                    result.fields.entry("state".into()).or_insert_with(|| state.as_str().into());
                    result
                }),
            ))
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Root, SHELLS, fails, step};

    #[test]
    fn find_filters_by_name_type_and_depth() {
        for shell in SHELLS {
            let root = Root::new(shell);
            for file in ["a.conf", "b.txt", ".hidden.conf", "d/c.conf"] {
                root.write(file, "x");
            }
            let found = |options: &str| {
                let json = format!(r#"{{"paths":"{}"{options}}}"#, root.path("").display());
                let (_, result) = root.result(&step(&FIND, &json), false);
                assert!(!result.failed, "{:?}", result.msg);
                let mut names: Vec<String> =
                    result.fields["files"].try_iter().unwrap().map(|f| f.get_attr("path").unwrap().to_string()).collect();
                names.sort();
                names.iter().map(|n| n.rsplit('/').next().unwrap().to_owned()).collect::<Vec<_>>()
            };
            assert_eq!(found(""), ["a.conf", "b.txt"]);
            assert_eq!(found(r#","patterns":"*.conf","recurse":true"#), ["a.conf", "c.conf"]);
            assert_eq!(found(r#","patterns":".*\\.txt$","use_regex":true"#), ["b.txt"]);
            assert_eq!(found(r#","file_type":"directory""#), ["d"]);
            assert_eq!(found(r#","hidden":true,"excludes":"b*""#), [".hidden.conf", "a.conf"]);
            assert!(found(r#","age":"1d""#).is_empty());
        }
    }

    #[test]
    fn slurp_keeps_every_byte() {
        for shell in SHELLS {
            let root = Root::new(shell);
            std::fs::write(root.path("f"), b"\x00\x1ea\xff\n").unwrap();
            let (_, result) = root.result(&step(&SLURP, &format!(r#"{{"src":"{}"}}"#, root.path("f").display())), false);
            assert_eq!(result.fields["content"].as_str(), Some("AB5h/wo="));
        }
        fails(&SLURP, r#"{"src":"$R/none"}"#, |_| {}, "file not found");
    }

    #[test]
    fn getent_becomes_a_fact() {
        let root = Root::new(SHELLS[0]);
        let (_, result) = root.result(&step(&GETENT, r#"{"database":"passwd","key":"root"}"#), false);
        assert_eq!(result.facts["getent_passwd"].get_attr("root").unwrap().get_item_by_index(1).unwrap().to_string(), "0");
    }
}
