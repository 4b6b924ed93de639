//! `blockinfile`, as `lib/ansible/modules/blockinfile.py` does it.

use super::{
    Edit, Edited, ModuleDef, OptionType as T, Work,
    args::{Opts, opt},
    files::{file_options, of},
    pyre,
};
use fancy_regex::Regex;
use indexmap::IndexMap;
use std::sync::Arc;

/// Lines between two markers.
pub static BLOCKINFILE: ModuleDef = ModuleDef {
    names: &["blockinfile"],
    options: file_options![
        opt("path", T::Path).alias(&["dest", "destfile", "name"]).req(),
        opt("state", T::Str).choices(&["present", "absent"]),
        opt("block", T::Str).alias(&["content"]),
        opt("marker", T::Str),
        opt("marker_begin", T::Str),
        opt("marker_end", T::Str),
        opt("insertafter", T::Str),
        opt("insertbefore", T::Str),
        opt("create", T::Bool),
        opt("backup", T::Bool),
        opt("validate", T::Str),
        opt("append_newline", T::Bool),
        opt("prepend_newline", T::Bool),
    ],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&BLOCKINFILE, args)?;
        let marker = o.text_or("marker", "# {mark} ANSIBLE MANAGED BLOCK");
        let place = |name: &str| o.text(name).filter(|t| t != "EOF" && t != "BOF").map(|t| pyre::compile(&t, false)).transpose();
        let block = Block {
            begin: marker.replace("{mark}", &o.text_or("marker_begin", "BEGIN")),
            end: marker.replace("{mark}", &o.text_or("marker_end", "END")),
            lines: o.text_or("block", ""),
            present: o.text_or("state", "present") == "present",
            create: o.flag("create", false),
            after: place("insertafter")?,
            before: place("insertbefore")?,
            top: o.text("insertbefore").as_deref() == Some("BOF"),
            path: o.text_or("path", ""),
            newline_before: o.flag("prepend_newline", false),
            newline_after: o.flag("append_newline", false),
        };
        Ok(Work::Edit(Edit {
            path: o.text_or("path", ""),
            edit: Arc::new(move |old| block.edit(old)),
            file: of(&o),
            validate: o.text("validate"),
            backup: o.flag("backup", false),
            report: false,
        }))
    },
};

struct Block {
    begin: String,
    end: String,
    lines: String,
    present: bool,
    create: bool,
    after: Option<Regex>,
    before: Option<Regex>,
    top: bool,
    path: String,
    newline_before: bool,
    newline_after: bool,
}

impl Block {
    fn edit(&self, old: Option<&str>) -> Result<Edited, String> {
        if old.is_none() && !self.create {
            return Err(format!("Path {} does not exist !", self.path));
        }
        if old.is_none() && !self.present {
            return Ok(edited(None, &format!("File {} not present", self.path)));
        }
        let mut lines: Vec<String> = old.unwrap_or_default().split_inclusive('\n').map(str::to_owned).collect();
        let at = match self.range(&lines) {
            Some((from, to)) => {
                lines.drain(from..=to);
                from
            }
            None => self.position(old.unwrap_or_default(), &lines),
        };
        if let Some(last) = at.checked_sub(1).and_then(|i| lines.get_mut(i)).filter(|l| !l.ends_with('\n')) {
            last.push('\n');
        }
        let mut block = Vec::new();
        if self.present && !self.lines.is_empty() {
            block.push(format!("{}\n", self.begin));
            block.extend(self.lines.lines().map(|l| format!("{l}\n")));
            block.push(format!("{}\n", self.end));
        }
        let removes = block.is_empty();
        let blank = |line: Option<&String>| line.is_none_or(|l| l == "\n");
        if self.newline_before && self.present && at > 0 && !blank(lines.get(at - 1)) {
            block.insert(0, "\n".to_owned());
        }
        if self.newline_after && self.present && !blank(lines.get(at)) {
            block.push("\n".to_owned());
        }
        lines.splice(at..at, block);
        let new = lines.concat();
        let message = match old {
            Some(old) if old == new => return Ok(edited(None, "")),
            None => "File created",
            Some(_) if removes => "Block removed",
            Some(_) => "Block inserted",
        };
        Ok(edited(Some(new), message))
    }

    /// First and last line of the block, markers included.
    fn range(&self, lines: &[String]) -> Option<(usize, usize)> {
        let last = |marker: &str| lines.iter().rposition(|l| l.strip_suffix('\n') == Some(marker));
        let (begin, end) = (last(&self.begin)?, last(&self.end)?);
        Some(if begin < end { (begin, end) } else { (end, begin) })
    }

    fn position(&self, text: &str, lines: &[String]) -> usize {
        let last = |re: &Regex| {
            // A pattern over several lines is looked for in the whole text.
            if re.as_str().starts_with("(?m") || re.as_str().starts_with("(?sm") {
                let found = re.find(text).ok().flatten()?;
                let end = if self.after.is_some() { found.end() } else { found.start() };
                return Some(text[..end].matches('\n').count());
            }
            lines.iter().rposition(|l| re.is_match(l.strip_suffix('\n').unwrap_or(l)).unwrap_or(false))
        };
        match (&self.after, &self.before) {
            _ if self.top => 0,
            (Some(re), _) => last(re).map_or(lines.len(), |i| i + 1),
            (_, Some(re)) => last(re).unwrap_or(lines.len()),
            _ => lines.len(),
        }
    }
}

fn edited(text: Option<String>, message: &str) -> Edited {
    Edited { text, message: message.to_owned(), fields: IndexMap::new() }
}

#[cfg(test)]
mod tests {
    use super::super::edit::tests::edit;
    use super::*;

    #[test]
    fn inserted_changed_removed() {
        let add = r#"{"path":"/f","block":"a\nb"}"#;
        let one = edit(&BLOCKINFILE, add, Some("top\n")).unwrap().unwrap();
        assert_eq!(one, "top\n# BEGIN ANSIBLE MANAGED BLOCK\na\nb\n# END ANSIBLE MANAGED BLOCK\n");
        assert_eq!(edit(&BLOCKINFILE, add, Some(&one)).unwrap(), None);
        let two = edit(&BLOCKINFILE, r#"{"path":"/f","block":"c"}"#, Some(&one)).unwrap().unwrap();
        assert_eq!(two, "top\n# BEGIN ANSIBLE MANAGED BLOCK\nc\n# END ANSIBLE MANAGED BLOCK\n");
        assert_eq!(edit(&BLOCKINFILE, r#"{"path":"/f","state":"absent"}"#, Some(&two)).unwrap().unwrap(), "top\n");
    }

    #[test]
    fn at_its_place_with_its_own_marker() {
        let args = r#"{"path":"/f","block":"x","marker":"; {mark} m","insertafter":"^\\[s\\]"}"#;
        assert_eq!(edit(&BLOCKINFILE, args, Some("[s]\nk=1\n")).unwrap().unwrap(), "[s]\n; BEGIN m\nx\n; END m\nk=1\n");
        assert!(edit(&BLOCKINFILE, args, None).is_err());
    }
}
