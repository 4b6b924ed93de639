//! Modules that only look (`slurp`, `find`, `getent`), and `tempfile`.

use super::{
    ArgError, ModuleDef, OptionType as T,
    args::{Opts, opt},
    outcome, pyre,
    script::Script,
};
use base64::Engine as _;
use fancy_regex::Regex;
use indexmap::IndexMap;
use minijinja::Value;

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
    ],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&FIND, args)?;
        for unsupported in ["contains", "mode", "get_checksum"] {
            if o.has(unsupported) && o.text(unsupported).is_some() {
                return Err(ArgError(format!("find: {unsupported} is not supported")));
            }
        }
        let filter = Filter::new(&o)?;
        let depth = if o.flag("recurse", false) { o.int("depth").map(|d| d.to_string()).unwrap_or_default() } else { "1".to_owned() };
        let script = Script::new().set("kw_depth", &depth).flag("kw_follow", o.flag("follow", false)).args(&o.list("paths"));
        Ok(script.look(
            "kw_find_check \"$@\"",
            outcome::with(move |result, said, _| {
                let now = said.text.lines().rev().find_map(|l| l.strip_prefix("now ")).and_then(|n| n.parse().ok()).unwrap_or(0);
                let rows: Vec<&str> = said.text.lines().filter(|l| !l.starts_with("now ") && !l.is_empty()).collect();
                let files: Vec<Value> = rows.iter().filter_map(|l| filter.file(l, now)).take(filter.limit).collect();
                result.fields.insert("matched".into(), files.len().into());
                result.fields.insert("examined".into(), rows.len().into());
                result.fields.insert("files".into(), files.into());
                result.fields.insert("skipped_paths".into(), Value::from_pairs(Vec::<(&str, &str)>::new()));
            }),
        ))
    },
};

struct Filter {
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
        Ok(Self {
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

    /// A line `%f %u %g %U %G %s %i %d %h %X %Y %Z NAME`.
    #[expect(clippy::cast_precision_loss, reason = "sizes and times are compared, not kept")]
    fn file(&self, line: &str, now: i64) -> Option<Value> {
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
        let wanted = (self.kind == "any" || self.kind == kind)
            && (self.hidden || !name.starts_with('.'))
            && (self.patterns.is_empty() || hits(&self.patterns))
            && !hits(&self.excludes)
            && self.age.is_none_or(old_enough)
            && (self.size.is_none() || kind == "file" && self.size.is_none_or(large_enough));
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
            Value::from_pairs(row)
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
                let rows: Vec<(String, Value)> = rows.collect();
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
                outcome::with(move |result, _, _| {
                    result.fields.insert("state".into(), state.as_str().into());
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
