//! `replace`, as `lib/ansible/modules/replace.py` does it.

use super::{
    Edit, Edited, ModuleDef, OptionType as T, Work,
    args::{Opts, opt},
    files::{file_options, of},
    pyre,
};
use indexmap::IndexMap;
use std::sync::Arc;

/// All matches of a regular expression, optionally only after or before another.
pub static REPLACE: ModuleDef = ModuleDef {
    names: &["replace"],
    options: file_options![
        opt("path", T::Path).alias(&["dest", "destfile", "name"]).req(),
        opt("regexp", T::Str).req(),
        opt("replace", T::Str),
        opt("after", T::Str),
        opt("before", T::Str),
        opt("backup", T::Bool),
        opt("validate", T::Str),
        opt("encoding", T::Str),
    ],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&REPLACE, args)?;
        let path = o.text_or("path", "");
        let pattern = pyre::compile(&o.text_or("regexp", ""), true)?;
        let template = o.text_or("replace", "");
        let section = match (o.text("after"), o.text("before")) {
            (Some(a), Some(b)) => format!("{a}(?P<subsection>.*?){b}"),
            (Some(a), None) => format!("{a}(?P<subsection>.*)"),
            (None, Some(b)) => format!("(?P<subsection>.*){b}"),
            (None, None) => String::new(),
        };
        let limits = if section.is_empty() { None } else { Some(pyre::compile(&format!("(?s){section}"), false)?) };
        let shown = path.clone();
        let edit = move |old: Option<&str>| {
            let old = old.ok_or_else(|| format!("Path {shown} does not exist !"))?;
            let (start, end) = match &limits {
                None => (0, old.len()),
                Some(re) => match re.captures(old).ok().flatten().and_then(|c| c.name("subsection").map(|m| (m.start(), m.end()))) {
                    Some(range) => range,
                    None => {
                        let why = format!("Pattern for before/after params did not match the given file: {section}");
                        return Ok(edited(None, &why));
                    }
                },
            };
            let mut count = 0;
            let body = pattern.try_replacen(&old[start..end], 0, |c: &fancy_regex::Captures<'_, str>| {
                count += 1;
                pyre::expand(&template, c)
            });
            let body = body.map_err(|e| format!("regular expression: {e}"))?;
            let new = format!("{}{body}{}", &old[..start], &old[end..]);
            Ok(if new == old { edited(None, "") } else { edited(Some(new), &format!("{count} replacements made")) })
        };
        let (file, validate) = (of(&o), o.text("validate"));
        Ok(Work::Edit(Edit { path, edit: Arc::new(edit), file, validate, backup: o.flag("backup", false), report: false }))
    },
};

fn edited(text: Option<String>, message: &str) -> Edited {
    Edited { text, message: message.to_owned(), fields: IndexMap::from([("rc".to_owned(), 0.into())]) }
}

#[cfg(test)]
mod tests {
    use super::super::edit::tests::edit;
    use super::*;

    #[test]
    fn every_match_of_every_line_and_then_none() {
        let args = r##"{"path":"/etc/fstab","regexp":"^([^#].*\\sswap\\s.*)$","replace":"# \\1"}"##;
        let new = edit(&REPLACE, args, Some("/dev/a / ext4\n/dev/b none swap sw 0 0\n")).unwrap().unwrap();
        assert_eq!(new, "/dev/a / ext4\n# /dev/b none swap sw 0 0\n");
        assert_eq!(edit(&REPLACE, args, Some(&new)).unwrap(), None);
    }

    #[test]
    fn only_between_after_and_before() {
        let args = r#"{"path":"/f","regexp":"x","replace":"y","after":"BEGIN","before":"END"}"#;
        assert_eq!(edit(&REPLACE, args, Some("x\nBEGIN\nx x\nEND\nx\n")).unwrap().unwrap(), "x\nBEGIN\ny y\nEND\nx\n");
        assert!(edit(&REPLACE, args, None).is_err());
    }
}
