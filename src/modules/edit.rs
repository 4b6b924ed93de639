//! How an [`Edit`] reaches a host: one step reads the file, the edit happens here, a second step writes it back if
//! nobody else changed it meanwhile. An edit that changes nothing ends after the first.

use super::{
    Edit, Step, TaskResult, mode, outcome, path,
    script::{Script, sha256},
};
use crate::{event::Diff, session::Outcome};

/// Reads the file and looks at its attributes; the step's outcome goes to [`decide`]. It never writes.
pub fn read(edit: &Edit) -> Step {
    attributes(edit).step("kw_edit_read", None, outcome::plain())
}

/// What to do after reading: the task's result, and the step that makes it true, if there is something to do. In check
/// mode the step is not sent. When it fails, the step's own `finish` gives the result instead.
pub fn decide(edit: &Edit, read: &Outcome, diff: bool, check: bool) -> (TaskResult, Option<Step>) {
    let (mut result, said) = outcome::base(read);
    if result.failed {
        // The numbers are Ansible's: 256 for a directory, 257 where there is no file.
        result.fields.insert("rc".into(), 256.into());
        return (result, None);
    }
    if read.truncated || std::str::from_utf8(&read.stdout).is_err() {
        let why = if read.truncated { "is larger than 1 MiB" } else { "is not UTF-8 text" };
        return (TaskResult::failure(format!("{} {why}: it cannot be edited", edit.path)), None);
    }
    let old = said.fields.get("text").map(String::as_str);
    let edited = match (edit.edit)(old) {
        Ok(edited) => edited,
        Err(why) => {
            let mut result = TaskResult::failure(why);
            if old.is_none() {
                result.fields.insert("rc".into(), 257.into());
            }
            return (result, None);
        }
    };
    let mut message = edited.message;
    result.fields.extend(edited.fields);
    let attributes_differ = said.has("attributes") && (old.is_some() || edited.text.is_some());
    result.changed = edited.text.is_some() || attributes_differ;
    if edit.report {
        result.fields.insert("path".into(), edit.path.as_str().into());
    } else if attributes_differ && !(check && old.is_none()) {
        message.push_str(if message.is_empty() { "" } else { " and " });
        message.push_str("ownership, perms or SE linux context changed");
    }
    result.msg = Some(message);
    if !result.changed {
        return (result, None);
    }
    let mut script = attributes(edit)
        .set("kw_old", &old.map(|t| sha256(t.as_bytes())).unwrap_or_default())
        .flag("kw_mkdir", true)
        .flag("kw_backup", edit.backup)
        .set("kw_validate", edit.validate.as_deref().unwrap_or(""));
    script = match edited.text {
        Some(text) => {
            if diff {
                let before = old.unwrap_or_default().to_owned();
                result.diff = vec![Diff { subject: edit.path.clone(), before, after: text.clone() }];
            }
            script.blob("kw_sha", text, false)
        }
        None => script.set("kw_sha", ""),
    };
    (result, Some(script.step("kw_edit_check", Some("kw_edit_apply"), outcome::plain())))
}

/// The file's text once this edit is done; `None` where it leaves it alone or fails.
pub fn text_after(edit: &Edit, read: &Outcome) -> Option<String> {
    let said = outcome::Said::of(&read.stdout);
    (edit.edit)(said.fields.get("text").map(String::as_str)).ok()?.text
}

/// The same reading of a file whose text is another by now: an earlier edit will have written it.
pub fn with_text(read: &Outcome, text: &str) -> Outcome {
    let stdout = String::from_utf8_lossy(&read.stdout);
    let others = stdout.split('\u{1e}').filter(|piece| !piece.starts_with("text\u{1f}"));
    let mut pieces: Vec<String> = others.map(str::to_owned).collect();
    pieces.push(format!("text\u{1f}{text}"));
    pieces.push(String::new());
    Outcome { stdout: pieces.join("\u{1e}").into(), ..read.clone() }
}

fn attributes(edit: &Edit) -> Script {
    let text = |t: &Option<String>| t.clone().unwrap_or_default();
    Script::new()
        .flag("kw_full", edit.report)
        .set_sh("kw_path", &path::word(&edit.path))
        .set("kw_owner", &text(&edit.file.owner))
        .set("kw_group", &text(&edit.file.group))
        .set("kw_mexpr", &mode::arithmetic(&text(&edit.file.mode)).unwrap_or_default())
        .set("kw_mode", &text(&edit.file.mode))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::{Args, ModuleDef, Work, testing};

    /// Compiles an edit and runs it on a text.
    pub(crate) fn edit(def: &'static ModuleDef, json: &str, old: Option<&str>) -> Result<Option<String>, String> {
        let args = Args { named: serde_json::from_str(json).unwrap(), free_form: None };
        match testing::compile(def, &args) {
            Ok(Work::Edit(edit)) => (edit.edit)(old).map(|e| e.text),
            Ok(_) => panic!("no edit"),
            Err(e) => Err(e.0),
        }
    }
}
