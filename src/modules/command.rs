//! `command`, `shell`, `raw`, `script`: the user's own programs. Their text never becomes syntax of ours.

use super::{
    ArgError, Env, Finish, ModuleDef, OptionType as T, TaskResult, Work,
    args::{Opts, opt},
    outcome, path,
    script::Script,
};
use crate::{
    session::{Outcome, Verdict},
    shell::Sh,
};
use bytes::Bytes;
use jiff::Timestamp;
use minijinja::Value;
use std::sync::Arc;

macro_rules! options {
    ($($more:expr),*) => {
        &[
            opt("cmd", T::Raw), opt("argv", T::List), opt("chdir", T::Path), opt("creates", T::Path), opt("removes", T::Path),
            opt("executable", T::Str), opt("stdin", T::Str), opt("stdin_add_newline", T::Bool), opt("strip_empty_ends", T::Bool),
            opt("warn", T::Bool), $($more),*
        ]
    };
}

/// `command`: words, no shell.
pub static COMMAND: ModuleDef = ModuleDef {
    names: &["command"],
    options: options![opt("expand_argument_vars", T::Bool)],
    free_form: true,
    facts: &[],
    compile: |args, env| {
        let o = Opts::read(&COMMAND, args)?;
        let words = words(&o)?;
        let expand = o.flag("expand_argument_vars", true);
        let mut run: Vec<Sh> = words.iter().map(|w| if expand { path::word(w) } else { Sh::word(w) }).collect();
        // A plain name would reach the shell's builtins (`cd`, `exit`, an `echo` that knows backslashes): env finds the program.
        if !words[0].contains(['/', '=']) {
            run.insert(0, Sh::literal("env"));
        }
        let shown = words.iter().map(Value::from).collect();
        Ok(build(&o, Script::new(), &Sh::join(&run, " "), Shown { cmd: shown, program: Some(words[0].clone()), ..Shown::of(&o, env) }))
    },
};

/// `shell`: a text for /bin/sh, or `executable`.
pub static SHELL: ModuleDef = ModuleDef {
    names: &["shell"],
    options: options![],
    free_form: true,
    facts: &[],
    compile: |args, env| {
        let o = Opts::read(&SHELL, args)?;
        let text = text(&o)?;
        let shell = o.text_or("executable", "/bin/sh");
        Ok(build(&o, Script::new(), &Sh::fill("{} -c {}", &[&shell, &text]), Shown { cmd: text.into(), ..Shown::of(&o, env) }))
    },
};

/// `raw`: as `shell`, without `creates` and friends.
pub static RAW: ModuleDef = ModuleDef {
    names: &["raw"],
    options: &[opt("executable", T::Str), opt("cmd", T::Raw)],
    free_form: true,
    facts: &[],
    compile: |args, env| {
        let o = Opts::read(&RAW, args)?;
        let text = text(&o)?;
        let shell = o.text_or("executable", "/bin/sh");
        let shown = Shown { cmd: text.clone().into(), raw: true, strip: false, ..Shown::of(&o, env) };
        Ok(build(&o, Script::new(), &Sh::fill("{} -c {}", &[&shell, &text]), shown))
    },
};

/// `script`: a file of the operator's side, run there by the interpreter that its first line names.
pub static SCRIPT: ModuleDef = ModuleDef {
    names: &["script"],
    options: &[
        opt("cmd", T::Raw),
        opt("chdir", T::Path),
        opt("creates", T::Path),
        opt("removes", T::Path),
        opt("executable", T::Str),
        opt("decrypt", T::Bool),
    ],
    free_form: true,
    facts: &[],
    compile: |args, env| {
        let o = Opts::read(&SCRIPT, args)?;
        let words = shlex::split(&text(&o)?).filter(|w| !w.is_empty()).ok_or_else(|| ArgError("script needs a file name".into()))?;
        let file = (env.read)("files", &words[0]).map_err(ArgError)?;
        let first = file.content.split(|b| *b == b'\n').next().unwrap_or_default();
        let first = String::from_utf8_lossy(first).into_owned();
        let mut run: Vec<Sh> = match (o.text("executable"), first.strip_prefix("#!")) {
            (Some(program), _) => program.split_whitespace().map(Sh::word).collect(),
            (None, Some(line)) => line.split_whitespace().map(Sh::word).collect(),
            (None, None) => vec![Sh::literal("/bin/sh")],
        };
        run.push(Sh::literal("\"$KW_BLOBS/$kw_script\""));
        run.extend(words[1..].iter().map(|w| Sh::word(w)));
        let script = Script::new().blob("kw_script", file.content, false);
        let shown = Shown { cmd: words.iter().map(Value::from).collect(), script: true, ..Shown::of(&o, env) };
        Ok(build(&o, script, &Sh::join(&run, " "), shown))
    },
};

/// The text of `shell`: free form, or `cmd`.
fn text(o: &Opts) -> Result<String, ArgError> {
    let cmd = o.value("cmd").map(super::args::to_text);
    cmd.or_else(|| o.free.clone()).filter(|t| !t.trim().is_empty()).ok_or_else(|| ArgError("no command given".into()))
}

fn words(o: &Opts) -> Result<Vec<String>, ArgError> {
    if o.has("argv") {
        return Ok(o.list("argv"));
    }
    let text = text(o)?;
    let words = shlex::split(&text).ok_or_else(|| ArgError(format!("no closing quotation in: {text}")))?;
    if words.is_empty() { Err(ArgError("no command given".into())) } else { Ok(words) }
}

/// What is known here of a result.
struct Shown {
    cmd: Value,
    /// The program of `command`, which is run without a shell.
    program: Option<String>,
    strip: bool,
    /// `creates` or `removes` stand guard.
    guarded: bool,
    raw: bool,
    script: bool,
    check: bool,
}

impl Shown {
    fn of(o: &Opts, env: &Env<'_>) -> Self {
        let guarded = o.has("creates") || o.has("removes");
        let strip = o.flag("strip_empty_ends", true);
        Self { cmd: Value::from(()), program: None, strip, guarded, raw: false, script: false, check: env.check_mode }
    }

    /// The system's error when the program could not be started: number and text, as Python says it.
    fn not_started(&self, outcome: &Outcome, stderr: &str) -> Option<(i32, String)> {
        let program = self.program.as_deref().filter(|_| outcome.stdout.is_empty() && !stderr.contains('\n'))?;
        let by_us = stderr.contains(program) && (stderr.starts_with("env: ") || stderr.contains("exec: ") || stderr.contains(": line "));
        match outcome.rc {
            127 if by_us => Some((2, format!("[Errno 2] No such file or directory: b'{program}'"))),
            126 if by_us => Some((13, format!("[Errno 13] Permission denied: b'{program}'"))),
            _ => None,
        }
    }
}

fn build(o: &Opts, script: Script, run: &Sh, shown: Shown) -> Work {
    let mut script =
        script.set_sh("kw_chdir", &o.path("chdir")).set_sh("kw_creates", &o.path("creates")).set_sh("kw_removes", &o.path("removes"));
    if let Some(mut stdin) = o.text("stdin") {
        if o.flag("stdin_add_newline", true) {
            stdin.push('\n');
        }
        script = script.stdin(Bytes::from(stdin));
    }
    Work::Sh(script.step_sh(&Sh::literal("kw_command_check"), Some(Sh::literal("exec ").then(run)), finish(shown)))
}

/// rc, stdout, stderr, their lines, start, end, delta, cmd: `lib/ansible/modules/command.py`.
fn finish(shown: Shown) -> Finish {
    Arc::new(move |outcome: &Outcome| {
        let mut result = TaskResult { changed: outcome::changed(outcome), failed: outcome::failed(outcome), ..TaskResult::default() };
        if outcome.verdict == Verdict::WouldChange {
            if shown.raw || shown.script {
                let msg = shown.script.then(|| "Check mode is not supported for this task.".to_owned());
                return TaskResult { changed: shown.script && shown.guarded, skipped: !(shown.script && shown.guarded), msg, ..result };
            }
            // `creates` and `removes` know that it would have run: a change. Without them it is skipped.
            let none = || Value::from(());
            let fields: [(&str, Value); 9] = [
                ("cmd", shown.cmd.clone()),
                ("rc", 0.into()),
                ("stdout", "".into()),
                ("stderr", "".into()),
                ("stdout_lines", outcome::lines("")),
                ("stderr_lines", outcome::lines("")),
                ("start", none()),
                ("end", none()),
                ("delta", none()),
            ];
            result.fields.extend(fields.into_iter().map(|(k, v)| (k.to_owned(), v)));
            result.msg = Some("Command would have run if not in check mode".into());
            return TaskResult { changed: shown.guarded, skipped: !shown.guarded, ..result };
        }
        let text = |bytes: &[u8]| if shown.strip { outcome::stream(bytes) } else { String::from_utf8_lossy(bytes).into_owned() };
        let (stdout, stderr) = (text(&outcome.stdout), text(&outcome.stderr));
        if let Some((rc, why)) = shown.not_started(outcome, &stderr) {
            let fields: [(&str, Value); 6] = [
                ("cmd", shown.program.clone().unwrap_or_default().into()),
                ("rc", rc.into()),
                ("stdout", "".into()),
                ("stderr", "".into()),
                ("stdout_lines", outcome::lines("")),
                ("stderr_lines", outcome::lines("")),
            ];
            result.fields.extend(fields.into_iter().map(|(k, v)| (k.to_owned(), v)));
            return TaskResult { changed: false, failed: true, msg: Some(why), ..result };
        }
        let end = Timestamp::now();
        let start = end.checked_sub(outcome.elapsed).unwrap_or(end);
        let stamp = |t: Timestamp| t.strftime("%Y-%m-%d %H:%M:%S%.6f").to_string();
        result.changed = outcome.verdict == Verdict::Changed || outcome.verdict == Verdict::ApplyFailed;
        let seconds = outcome.elapsed.as_secs();
        let delta = format!("{}:{:02}:{:02}.{:06}", seconds / 3600, seconds / 60 % 60, seconds % 60, outcome.elapsed.subsec_micros());
        let fields: [(&str, Value); 9] = [
            ("cmd", shown.cmd.clone()),
            ("rc", outcome.rc.into()),
            ("stdout_lines", outcome::lines(&stdout)),
            ("stderr_lines", outcome::lines(&stderr)),
            ("stdout", stdout.clone().into()),
            ("stderr", stderr.clone().into()),
            ("start", stamp(start).into()),
            ("end", stamp(end).into()),
            ("delta", delta.into()),
        ];
        result.fields.extend(fields.into_iter().map(|(k, v)| (k.to_owned(), v)));
        if let (Verdict::Ok, Some(why)) = (outcome.verdict, stdout.strip_prefix("skipped, since ")) {
            if shown.script {
                let ends = [(" exists", "exists, matching creates"), (" does not exist", "does not exist, matching removes")];
                let end = ends.into_iter().find_map(|(end, told)| Some(format!("{} {told} option", why.strip_suffix(end)?)));
                return TaskResult { skipped: true, changed: false, msg: end, ..TaskResult::default() };
            }
            let verb = if shown.check { "Would" } else { "Did" };
            let ends = [" exists", " does not exist"].into_iter().find_map(|e| Some((why.strip_suffix(e)?, e)));
            result.msg = ends.map(|(path, end)| format!("{verb} not run command since '{path}'{end}"));
        }
        if result.failed {
            result.msg = Some(match outcome.verdict {
                Verdict::TimedOut => format!("timed out after {seconds} s and was stopped"),
                Verdict::CheckFailed => stderr.trim_start_matches("cause: ").to_owned(),
                _ => "non-zero return code".into(),
            });
        }
        result
    })
}

/// Free-form text of `command`: only these options are pulled out of it (`lib/ansible/parsing/splitter.py`), which the
/// loader does; here for it to ask.
pub const FREE_FORM_OPTIONS: &[&str] =
    &["creates", "removes", "chdir", "executable", "warn", "stdin", "stdin_add_newline", "strip_empty_ends"];
