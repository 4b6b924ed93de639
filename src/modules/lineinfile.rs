//! `lineinfile`, as `lib/ansible/modules/lineinfile.py` does it.

use super::{
    ArgError, Edit, Edited, ModuleDef, OptionType as T, Work,
    args::{Opts, opt},
    files::{file_options, of},
    pyre,
};
use fancy_regex::Regex;
use indexmap::IndexMap;
use std::sync::Arc;

/// One line, by a regular expression or literally.
pub static LINEINFILE: ModuleDef = ModuleDef {
    names: &["lineinfile"],
    options: file_options![
        opt("path", T::Path).alias(&["dest", "destfile", "name"]).req(),
        opt("state", T::Str).choices(&["present", "absent"]),
        opt("regexp", T::Str).alias(&["regex"]),
        opt("search_string", T::Str),
        opt("line", T::Str).alias(&["value"]),
        opt("insertafter", T::Str),
        opt("insertbefore", T::Str),
        opt("create", T::Bool),
        opt("backup", T::Bool),
        opt("backrefs", T::Bool),
        opt("firstmatch", T::Bool),
        opt("validate", T::Str),
    ],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&LINEINFILE, args)?;
        let wanted = Wanted {
            regexp: o.text("regexp").filter(|r| !r.is_empty()).map(|r| pyre::compile(&r, false)).transpose()?,
            search: o.text("search_string"),
            line: o.text("line"),
            after: place(&o, "insertafter")?,
            before: place(&o, "insertbefore")?,
            backrefs: o.flag("backrefs", false),
            first: o.flag("firstmatch", false),
            create: o.flag("create", false),
            present: o.text_or("state", "present") == "present",
            path: o.text_or("path", ""),
        };
        wanted.validate()?;
        Ok(Work::Edit(Edit {
            path: o.text_or("path", ""),
            edit: Arc::new(move |old| wanted.edit(old)),
            file: of(&o),
            validate: o.text("validate"),
            backup: o.flag("backup", false),
            report: false,
        }))
    },
};

/// `insertafter`/`insertbefore`.
enum Place {
    Begin,
    End,
    Match(Regex),
}

fn place(o: &Opts, name: &str) -> Result<Option<Place>, ArgError> {
    o.text(name)
        .map(|text| match text.as_str() {
            "EOF" => Ok(Place::End),
            "BOF" => Ok(Place::Begin),
            _ => pyre::compile(&text, false).map(Place::Match),
        })
        .transpose()
}

struct Wanted {
    regexp: Option<Regex>,
    search: Option<String>,
    line: Option<String>,
    after: Option<Place>,
    before: Option<Place>,
    backrefs: bool,
    first: bool,
    create: bool,
    present: bool,
    path: String,
}

impl Wanted {
    fn validate(&self) -> Result<(), ArgError> {
        let error = |text: &str| Err(ArgError(text.to_owned()));
        match self {
            Self { regexp: Some(_), search: Some(_), .. } => error("regexp and search_string are mutually exclusive"),
            Self { after: Some(_), before: Some(_), .. } => error("insertafter and insertbefore are mutually exclusive"),
            Self { present: true, backrefs: true, regexp: None, .. } => error("regexp is required with backrefs: true"),
            Self { present: true, line: None, .. } => error("line is required with state: present"),
            Self { present: false, regexp: None, search: None, line: None, .. } => {
                error("one of line, regexp, search_string is required with state: absent")
            }
            _ => Ok(()),
        }
    }

    /// Whether a line (its end included) is the one that is meant.
    fn hits(&self, line: &str) -> bool {
        match (&self.regexp, &self.search) {
            (Some(re), _) => re.is_match(searched(line)).unwrap_or(false),
            (_, Some(text)) => line.contains(text.as_str()),
            _ => self.line.as_deref() == Some(bare(line)),
        }
    }

    fn edit(&self, old: Option<&str>) -> Result<Edited, String> {
        if old.is_none() && (!self.present || !self.create) {
            return if self.present {
                Err(format!("Destination {} does not exist !", self.path))
            } else {
                Ok(done(None, "file not present"))
            };
        }
        let lines: Vec<&str> = old.unwrap_or_default().split_inclusive('\n').collect();
        if !self.present {
            let kept: Vec<&str> = lines.iter().copied().filter(|l| !self.hits(l)).collect();
            let found = lines.len() - kept.len();
            let removed = (found > 0).then(|| (kept.concat(), format!("{found} line(s) removed")));
            let (text, message) = removed.map_or((None, String::new()), |(t, m)| (Some(t), m));
            return Ok(Edited { fields: IndexMap::from([("found".to_owned(), found.into())]), ..done(text, &message) });
        }
        let line = self.line.as_deref().unwrap_or_default();
        let whole = |text: &str| if text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") };
        let mut new: Vec<String> = lines.iter().map(|l| (*l).to_owned()).collect();
        let matched = self.matched(&lines);
        let exact = || lines.iter().rposition(|l| bare(l) == line);
        let message = match matched.or_else(exact) {
            Some(at) => {
                let text = match (&self.regexp, self.backrefs && matched.is_some()) {
                    (Some(re), true) => re.captures(searched(lines[at])).ok().flatten().map(|c| pyre::expand(line, &c)).unwrap_or_default(),
                    _ => line.to_owned(),
                };
                if lines[at] == whole(&text) {
                    return Ok(done(None, ""));
                }
                new[at] = whole(&text);
                "line replaced"
            }
            None if self.backrefs => return Ok(done(None, "")),
            None => {
                let at = self.position(&lines);
                if at == lines.len()
                    && let Some(last) = new.last_mut().filter(|l| !l.ends_with(['\n', '\r']))
                {
                    last.push('\n');
                }
                new.insert(at, whole(line));
                "line added"
            }
        };
        Ok(done(Some(new.concat()), message))
    }

    /// The line that is to be replaced: the last match, or the first with `firstmatch`.
    fn matched(&self, lines: &[&str]) -> Option<usize> {
        if self.regexp.is_none() && self.search.is_none() {
            return None;
        }
        let mut hits = lines.iter().enumerate().filter(|(_, l)| self.hits(l)).map(|(i, _)| i);
        if self.first { hits.next() } else { hits.next_back() }
    }

    fn position(&self, lines: &[&str]) -> usize {
        let find = |re: &Regex| {
            let mut hits = lines.iter().enumerate().filter(|(_, l)| re.is_match(searched(l)).unwrap_or(false)).map(|(i, _)| i);
            if self.first { hits.next() } else { hits.next_back() }
        };
        match (&self.after, &self.before) {
            (_, Some(Place::Begin)) | (Some(Place::Begin), _) => 0,
            (Some(Place::Match(re)), _) => find(re).map_or(lines.len(), |i| i + 1),
            (_, Some(Place::Match(re))) => find(re).unwrap_or(lines.len()),
            _ => lines.len(),
        }
    }
}

/// A line as Python's `$` sees it: only the final newline does not count.
fn searched(line: &str) -> &str {
    line.strip_suffix('\n').unwrap_or(line)
}

/// A line without its end.
fn bare(line: &str) -> &str {
    line.trim_end_matches(['\r', '\n'])
}

fn done(text: Option<String>, message: &str) -> Edited {
    Edited { text, message: message.to_owned(), fields: IndexMap::new() }
}

#[cfg(test)]
mod tests {
    use super::super::{Work, edit::tests::edit};
    use super::*;

    fn run(json: &str, old: Option<&str>) -> Result<Option<String>, String> {
        edit(&LINEINFILE, json, old)
    }

    #[test]
    fn replaces_the_last_match_and_then_is_done() {
        let args = r#"{"path":"/f","regexp":"^a=","line":"a=3"}"#;
        let new = run(args, Some("a=1\nb\na=2\n")).unwrap().unwrap();
        assert_eq!(new, "a=1\nb\na=3\n");
        assert_eq!(run(args, Some(&new)).unwrap(), None);
    }

    #[test]
    fn adds_at_the_end_even_without_a_final_newline() {
        assert_eq!(run(r#"{"path":"/f","line":"x"}"#, Some("a")).unwrap().unwrap(), "a\nx\n");
        assert_eq!(run(r#"{"path":"/f","line":"x"}"#, Some("a\nx\n")).unwrap(), None);
        assert!(run(r#"{"path":"/f","line":"x"}"#, None).is_err());
        assert_eq!(run(r#"{"path":"/f","line":"x","create":true}"#, None).unwrap().unwrap(), "x\n");
    }

    #[test]
    fn places_and_back_references() {
        assert_eq!(run(r#"{"path":"/f","line":"x","insertafter":"^a"}"#, Some("a\nb\n")).unwrap().unwrap(), "a\nx\nb\n");
        assert_eq!(run(r#"{"path":"/f","line":"x","insertbefore":"BOF"}"#, Some("a\n")).unwrap().unwrap(), "x\na\n");
        assert_eq!(run(r#"{"path":"/f","regexp":"^(k)=.*","line":"\\1=9","backrefs":true}"#, Some("k=1\n")).unwrap().unwrap(), "k=9\n");
        assert_eq!(run(r#"{"path":"/f","regexp":"^(z)=.*","line":"\\1=9","backrefs":true}"#, Some("k=1\n")).unwrap(), None);
    }

    #[test]
    fn removes_every_match() {
        assert_eq!(
            run(r#"{"path":"/f","regexp":"\\sname$","state":"absent"}"#, Some("1 name\n2 other\n3 name\n")).unwrap().unwrap(),
            "2 other\n"
        );
        assert_eq!(run(r#"{"path":"/f","regexp":"q","state":"absent"}"#, None).unwrap(), None);
    }

    #[test]
    fn contradictions_are_refused() {
        assert!(matches!(edit(&LINEINFILE, r#"{"path":"/f"}"#, None), Err(e) if e.contains("line is required")));
        let _: Option<Work> = None;
    }
}
