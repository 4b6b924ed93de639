//! `ini_file`, as `community.general.ini_file` does it.

use super::{
    ArgError, Edit, Edited, ModuleDef, OptionType as T, Work,
    args::{Opts, opt},
    files::{file_options, of},
};
use indexmap::IndexMap;
use std::sync::Arc;

/// Options in sections.
pub static INI_FILE: ModuleDef = ModuleDef {
    names: &["ini_file"],
    options: file_options![
        opt("path", T::Path).alias(&["dest"]).req(),
        opt("section", T::Str),
        opt("option", T::Str),
        opt("value", T::Str),
        opt("values", T::List),
        opt("state", T::Str).choices(&["present", "absent"]),
        opt("exclusive", T::Bool),
        opt("no_extra_spaces", T::Bool),
        opt("ignore_spaces", T::Bool),
        opt("allow_no_value", T::Bool),
        opt("modify_inactive_option", T::Bool),
        opt("create", T::Bool),
        opt("backup", T::Bool),
        opt("follow", T::Bool),
    ],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&INI_FILE, args)?;
        let mut values = o.list("values");
        values.extend(o.text("value"));
        let wanted = Wanted {
            section: o.text("section").filter(|s| !s.is_empty()),
            option: o.text("option"),
            values,
            present: o.text_or("state", "present") == "present",
            exclusive: o.flag("exclusive", true),
            separator: if o.flag("no_extra_spaces", false) { "=" } else { " = " },
            ignore_spaces: o.flag("ignore_spaces", false),
            no_value: o.flag("allow_no_value", false),
            inactive: o.flag("modify_inactive_option", true),
            create: o.flag("create", true),
            path: o.text_or("path", ""),
        };
        if wanted.present && wanted.option.is_some() && wanted.values.is_empty() && !wanted.no_value {
            return Err(ArgError("ini_file needs 'value' (or allow_no_value: true)".into()));
        }
        Ok(Work::Edit(Edit {
            path: wanted.path.clone(),
            edit: Arc::new(move |old| wanted.edit(old)),
            file: of(&o),
            validate: None,
            backup: o.flag("backup", false),
            report: true,
        }))
    },
};

struct Wanted {
    section: Option<String>,
    option: Option<String>,
    values: Vec<String>,
    present: bool,
    exclusive: bool,
    separator: &'static str,
    ignore_spaces: bool,
    no_value: bool,
    inactive: bool,
    create: bool,
    path: String,
}

/// `key = value` → key, value (`None`: no `=`), and whether it is commented out.
fn option_of(line: &str) -> Option<(&str, Option<&str>, bool)> {
    let text = line.trim();
    let bare = text.trim_start_matches(['#', ';']);
    let commented = bare.len() != text.len();
    if bare.trim().is_empty() || text.starts_with('[') {
        return None;
    }
    Some(match bare.split_once('=') {
        Some((k, v)) => (k.trim(), Some(v.trim()), commented),
        None => (bare.trim(), None, commented),
    })
}

impl Wanted {
    fn edit(&self, old: Option<&str>) -> Result<Edited, String> {
        if old.is_none() && (!self.create || !self.present) {
            return if self.present { Err(format!("Destination {} does not exist!", self.path)) } else { Ok(done(None, "OK")) };
        }
        let text = old.unwrap_or_default();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        if lines.is_empty() {
            // As Ansible begins a file.
            lines.push(String::new());
        }
        let range = self.range(&lines);
        let message = if self.present { self.put(&mut lines, range) } else { self.remove(&mut lines, range) };
        let mut new = lines.join("\n");
        if !new.is_empty() {
            new.push('\n');
        }
        if old.is_some() && (new == text || new.trim_end() == text.trim_end()) {
            Ok(done(None, "OK"))
        } else {
            Ok(done(Some(new), message))
        }
    }

    /// First line of the section (its header, or 0 without a section) and one past its last.
    fn range(&self, lines: &[String]) -> Option<(usize, usize)> {
        let header = |l: &String| l.trim().strip_prefix('[').and_then(|r| r.split_once(']')).map(|(n, _)| n.trim().to_owned());
        let start = match &self.section {
            None => 0,
            Some(section) => lines.iter().position(|l| header(l).as_deref() == Some(section))? + 1,
        };
        let end = lines[start..].iter().position(|l| header(l).is_some()).map_or(lines.len(), |i| start + i);
        Some((start, end))
    }

    fn put(&self, lines: &mut Vec<String>, range: Option<(usize, usize)>) -> &'static str {
        let (start, end) = range.unwrap_or_else(|| {
            lines.extend(self.section.iter().map(|s| format!("[{s}]")));
            (lines.len(), lines.len())
        });
        let Some(option) = &self.option else { return if range.is_none() { "only section added" } else { "OK" } };
        let wanted: Vec<String> = if self.values.is_empty() {
            vec![option.clone()]
        } else {
            self.values.iter().map(|v| format!("{option}{}{v}", self.separator)).collect()
        };
        let matching = |line: &str, commented: bool| option_of(line).is_some_and(|(k, _, c)| k == option && c == commented);
        let same = |line: &str, wanted: &str| {
            line == wanted || self.ignore_spaces && option_of(line).map(|(k, v, _)| (k, v)) == option_of(wanted).map(|(k, v, _)| (k, v))
        };
        let mut missing: Vec<String> =
            wanted.into_iter().filter(|w| !lines[start..end].iter().any(|l| matching(l, false) && same(l, w))).collect();
        missing.reverse();
        let keep: Vec<String> = self.values.iter().map(|v| format!("{option}{}{v}", self.separator)).collect();
        let mut out: Vec<String> = Vec::new();
        let (mut last, mut replaced) = (None, false);
        for line in lines[start..end].iter().cloned() {
            let active = matching(&line, false);
            let good = active && (keep.iter().any(|k| same(&line, k)) || keep.is_empty());
            let usable = active && !good && self.exclusive || self.inactive && matching(&line, true);
            if usable && let Some(new) = missing.pop() {
                replaced = true;
                last = Some(out.len());
                out.push(new);
            } else if active && !good && self.exclusive {
                // Another value of an option that has one.
                replaced = true;
            } else {
                if active {
                    last = Some(out.len());
                }
                out.push(line);
            }
        }
        let filled = out.iter().rposition(|l| !l.trim().is_empty()).map_or(0, |i| i + 1);
        let mut at = last.map_or(filled, |i| i + 1);
        let added = !missing.is_empty();
        while let Some(new) = missing.pop() {
            out.insert(at, new);
            at += 1;
        }
        lines.splice(start..end, out);
        match (range, added, replaced) {
            (None, ..) => "section and option added",
            (_, true, _) => "option added",
            _ => "option changed",
        }
    }

    fn remove(&self, lines: &mut Vec<String>, range: Option<(usize, usize)>) -> &'static str {
        let Some((start, end)) = range else { return "OK" };
        match &self.option {
            None => {
                lines.drain(start.saturating_sub(1)..end);
                "section removed"
            }
            Some(option) => {
                let gone = |l: &String| {
                    option_of(l)
                        .is_some_and(|(k, v, c)| k == option && !c && (self.exclusive || self.values.iter().any(|w| v == Some(w.as_str()))))
                };
                let kept: Vec<String> = lines[start..end].iter().filter(|l| !gone(l)).cloned().collect();
                lines.splice(start..end, kept);
                "option changed"
            }
        }
    }
}

fn done(text: Option<String>, message: &str) -> Edited {
    Edited { text, message: message.to_owned(), fields: IndexMap::new() }
}

#[cfg(test)]
mod tests {
    use super::super::edit::tests::edit;
    use super::*;

    #[test]
    fn options_are_put_into_their_section_once() {
        let set = r#"{"path":"/f","section":"b","option":"k","value":"2"}"#;
        for (old, new) in [
            ("[a]\nk = 1\n\n[b]\nx = 1\n", "[a]\nk = 1\n\n[b]\nx = 1\nk = 2\n"),
            ("[b]\nk=1\n", "[b]\nk = 2\n"),
            ("[b]\n#k = 9\n", "[b]\nk = 2\n"),
            ("[a]\n", "[a]\n[b]\nk = 2\n"),
        ] {
            assert_eq!(edit(&INI_FILE, set, Some(old)).unwrap().as_deref(), Some(new));
            assert_eq!(edit(&INI_FILE, set, Some(new)).unwrap(), None);
        }
        assert_eq!(edit(&INI_FILE, set, None).unwrap().as_deref(), Some("\n[b]\nk = 2\n"));
    }

    #[test]
    fn removal_takes_the_option_or_the_section() {
        let text = "[a]\nk = 1\n[b]\nk = 2\n";
        assert_eq!(
            edit(&INI_FILE, r#"{"path":"/f","section":"a","option":"k","state":"absent"}"#, Some(text)).unwrap().unwrap(),
            "[a]\n[b]\nk = 2\n"
        );
        assert_eq!(edit(&INI_FILE, r#"{"path":"/f","section":"a","state":"absent"}"#, Some(text)).unwrap().unwrap(), "[b]\nk = 2\n");
        assert_eq!(edit(&INI_FILE, r#"{"path":"/f","section":"z","state":"absent"}"#, Some(text)).unwrap(), None);
    }
}
