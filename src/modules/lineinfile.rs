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

    fn hits(&self, line: &str) -> bool {
        match (&self.regexp, &self.search) {
            (Some(re), _) => re.is_match(line).unwrap_or(false),
            (_, Some(text)) => line.contains(text.as_str()),
            _ => self.line.as_deref() == Some(line),
        }
    }

    fn edit(&self, old: Option<&str>) -> Result<Edited, String> {
        let Some(old) = old else {
            return match (self.present, self.create, &self.line) {
                (true, true, Some(line)) => Ok(done(Some(format!("{line}\n")), "line added", 0)),
                (true, ..) => Err(format!("destination {} does not exist", self.path)),
                _ => Ok(done(None, "file not present", 0)),
            };
        };
        let lines: Vec<&str> = old.lines().collect();
        if !self.present {
            let kept: Vec<&str> = lines.iter().copied().filter(|l| !self.hits(l)).collect();
            let found = lines.len() - kept.len();
            let text = (found > 0).then(|| joined(&kept, old.ends_with('\n')));
            return Ok(done(text, &if found > 0 { format!("{found} line(s) removed") } else { String::new() }, found));
        }
        let line = self.line.as_deref().unwrap_or_default();
        let mut new: Vec<String> = lines.iter().map(|l| (*l).to_owned()).collect();
        let message = match self.matched(&lines) {
            Some(at) => {
                let text = match (&self.regexp, self.backrefs) {
                    (Some(re), true) => re.captures(lines[at]).ok().flatten().map(|c| pyre::expand(line, &c)).unwrap_or_default(),
                    _ => line.to_owned(),
                };
                if lines[at] == text {
                    return Ok(done(None, "", 1));
                }
                new[at] = text;
                "line replaced"
            }
            None if self.backrefs => return Ok(done(None, "", 0)),
            // Not matched, but it may stand there literally already.
            None if (self.regexp.is_some() || self.search.is_some()) && lines.contains(&line) => return Ok(done(None, "", 0)),
            None => {
                new.insert(self.position(&lines), line.to_owned());
                "line added"
            }
        };
        let new: Vec<&str> = new.iter().map(String::as_str).collect();
        Ok(done(Some(joined(&new, true)), message, 0))
    }

    /// The line that is to be replaced: the last match, or the first with `firstmatch`.
    fn matched(&self, lines: &[&str]) -> Option<usize> {
        let mut hits = lines.iter().enumerate().filter(|(_, l)| self.hits(l)).map(|(i, _)| i);
        if self.first { hits.next() } else { hits.next_back() }
    }

    fn position(&self, lines: &[&str]) -> usize {
        let find = |re: &Regex| {
            let mut hits = lines.iter().enumerate().filter(|(_, l)| re.is_match(l).unwrap_or(false)).map(|(i, _)| i);
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

fn joined(lines: &[&str], newline: bool) -> String {
    let mut text = lines.join("\n");
    if newline && !lines.is_empty() {
        text.push('\n');
    }
    text
}

fn done(text: Option<String>, message: &str, found: usize) -> Edited {
    let mut fields = IndexMap::new();
    if found > 0 {
        fields.insert("found".to_owned(), found.into());
    }
    Edited { text, message: message.to_owned(), fields }
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
