//! Runs a step as the session does, in real shells: check, then apply in the same subshell.

use super::{ArgError, Args, Env, LocalFile, ModuleDef, Step, TaskResult, Work, compile as compile_module, prelude};
use crate::session::{Outcome, Verdict, WOULD_CHANGE};
use bytes::Bytes;
use indexmap::IndexMap;
use minijinja::Value;
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

/// The shells that every step must run under.
pub(super) const SHELLS: &[&[&str]] = &[&["dash"], &["bash", "--posix"], &["busybox", "sh"]];

pub(super) fn args(json: &str) -> Args {
    let mut named: IndexMap<String, Value> = serde_json::from_str(json).unwrap();
    let free_form = named.shift_remove("_free").map(|v| v.as_str().unwrap().to_owned());
    Args { named, free_form }
}

/// Compiles with an environment in which files come from nowhere but `files()`.
pub(super) fn compile(def: &'static ModuleDef, args: &Args) -> Result<Work, ArgError> {
    let environment = IndexMap::new();
    let env = Env {
        check_mode: false,
        diff: true,
        full: false,
        facts: &|_| None,
        read: &|_, name| local_file(name),
        render: &|file, _| Ok(String::from_utf8_lossy(&file.content).into_owned()),
        environment: &environment,
    };
    compile_module(def, args, &env)
}

fn local_file(name: &str) -> Result<LocalFile, String> {
    let file = |path: &str, text: &'static str, mode| LocalFile {
        path: path.into(),
        content: Bytes::from_static(text.as_bytes()),
        mode,
        tree: Vec::new(),
        secret: false,
    };
    match name {
        "motd" => Ok(file("/here/files/motd", "hello\n", 0o640)),
        "run.sh" => Ok(file("/here/files/run.sh", "#!/bin/sh\necho ran $1 >>\"$OUT\"\n", 0o755)),
        "tree/" | "tree" => Ok(LocalFile {
            tree: vec![("a".into(), file("/here/files/tree/a", "A\n", 0o644)), ("d/b".into(), file("/here/files/tree/d/b", "B\n", 0o600))],
            ..file("/here/files/tree", "", 0o755)
        }),
        _ => Err(format!("could not find {name}")),
    }
}

pub(super) fn step(def: &'static ModuleDef, json: &str) -> Step {
    match compile(def, &args(json)) {
        Ok(Work::Sh(step)) => step,
        Ok(_) => panic!("not a step: {json}"),
        Err(e) => panic!("{json}: {e}"),
    }
}

/// A throw-away root: `$KW_ROOT`, with stub programs first in PATH.
pub(super) struct Root {
    dir: tempfile::TempDir,
    shell: &'static [&'static str],
}

impl Root {
    pub(super) fn new(shell: &'static [&'static str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for sub in ["bin", "blobs", "root"] {
            std::fs::create_dir(dir.path().join(sub)).unwrap();
        }
        Self { dir, shell }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("root").join(name.trim_start_matches('/'))
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(super) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// A program that shadows the real one; `$R` in it is the root.
    pub(super) fn stub(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.dir.path().join("bin").join(name);
        std::fs::write(&path, format!("#!/bin/sh\nR={}\n{text}\n", self.path("").display())).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// busybox prefers its own applets to what is in PATH, but not to functions.
    fn stubs_as_functions(&self) -> String {
        let names = std::fs::read_dir(self.dir.path().join("bin")).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned());
        let plain = names.filter(|n| self.shell[0] == "busybox" && n.bytes().all(|b| b.is_ascii_alphanumeric()));
        plain.map(|n| format!("{n}() {{ {} \"$@\"; }}", self.dir.path().join("bin").join(&n).display())).collect::<Vec<_>>().join("\n")
    }

    /// Check, and then apply unless `check_mode`: what the session would send back.
    pub(super) fn run(&self, step: &Step, check_mode: bool) -> Outcome {
        let blobs = self.dir.path().join("blobs");
        for blob in &step.blobs {
            std::fs::write(blobs.join(&blob.sha256), &blob.content).unwrap();
        }
        let apply = step.apply.as_ref().filter(|_| !check_mode);
        let marker = self.dir.path().join("applied");
        let _ = std::fs::remove_file(&marker);
        let quote = crate::shell::quote;
        // As in session/prelude.sh.
        let program = format!(
            "{}\n{}\n(\nkw_c={} kw_a={}\ntrap 'kw_r=$?; trap - EXIT; case $kw_r in 10) ;; *) exit \"$kw_r\" ;; esac; {}; set -eu; eval \"$kw_a\"; exit \"$?\"' EXIT\nset --\nset -eu\neval \"$kw_c\"\n)\n",
            prelude(),
            self.stubs_as_functions(),
            quote(step.check.as_str()),
            quote(apply.map_or("", |a| a.as_str())),
            if apply.is_some() { format!("echo >{}", marker.display()) } else { "exit 10".to_owned() },
        );
        let file = self.dir.path().join("program");
        std::fs::write(&file, program).unwrap();
        let path = format!("{}:{}", self.dir.path().join("bin").display(), std::env::var("PATH").unwrap());
        let mut command = Command::new(self.shell[0]);
        command.args(&self.shell[1..]).arg(&file).env("KW_BLOBS", &blobs).env("KW_ROOT", self.path("")).env("PATH", path);
        command.env("LC_ALL", "C").env("OUT", self.path("out")).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.stdin(Stdio::null());
        if let Some(stdin) = &step.stdin {
            let input = self.dir.path().join("stdin");
            std::fs::write(&input, stdin.expose()).unwrap();
            command.stdin(std::fs::File::open(input).unwrap());
        }
        let out = command.output().unwrap();
        let rc = out.status.code().unwrap_or(-1);
        let applied = marker.exists();
        let verdict = match (applied, rc) {
            (false, 0) => Verdict::Ok,
            (false, WOULD_CHANGE) => Verdict::WouldChange,
            (false, _) => Verdict::CheckFailed,
            (true, 0) => Verdict::Changed,
            (true, _) => Verdict::ApplyFailed,
        };
        Outcome {
            id: 1,
            verdict,
            rc,
            stdout: out.stdout.into(),
            stderr: out.stderr.into(),
            truncated: false,
            elapsed: Duration::from_millis(5),
        }
    }

    /// The finished result.
    pub(super) fn result(&self, step: &Step, check_mode: bool) -> (Outcome, TaskResult) {
        let outcome = self.run(step, check_mode);
        let result = (step.finish)(&outcome);
        (outcome, result)
    }

    /// Names, modes, and contents of everything, to see that a check wrote nothing.
    pub(super) fn snapshot(&self) -> Vec<String> {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        fn walk(path: &Path, out: &mut Vec<String>) {
            let mut entries: Vec<_> = std::fs::read_dir(path).unwrap().map(|e| e.unwrap().path()).collect();
            entries.sort();
            for entry in entries {
                let meta = entry.symlink_metadata().unwrap();
                let text = if meta.is_file() { std::fs::read(&entry).map(|b| b.len()).unwrap_or_default() } else { 0 };
                out.push(format!("{} {:o} {} {}.{}", entry.display(), meta.permissions().mode(), text, meta.mtime(), meta.mtime_nsec()));
                if meta.is_dir() {
                    walk(&entry, out);
                }
            }
        }
        let mut out = Vec::new();
        walk(&self.path(""), &mut out);
        out
    }
}

/// A module's life: a check that writes nothing and would change, an apply that changes, then nothing to do.
/// `$R` in the arguments is the throw-away root. Runs under every shell.
pub(super) fn converges(def: &'static ModuleDef, json: &str, prepare: impl Fn(&Root), verify: impl Fn(&Root)) {
    for shell in SHELLS {
        let root = Root::new(shell);
        prepare(&root);
        let step = step(def, &json.replace("$R", root.path("").to_str().unwrap().trim_end_matches('/')));
        let before = root.snapshot();
        let (checked, _) = root.result(&step, true);
        assert_eq!(checked.verdict, Verdict::WouldChange, "{shell:?} {json}: {}", String::from_utf8_lossy(&checked.stderr));
        assert_eq!(before, root.snapshot(), "{shell:?} {json}: a check wrote something");
        let (applied, result) = root.result(&step, false);
        assert_eq!(applied.verdict, Verdict::Changed, "{shell:?} {json}: rc {} {}", applied.rc, String::from_utf8_lossy(&applied.stderr));
        assert!(!result.failed, "{shell:?} {json}: {:?}", result.msg);
        verify(&root);
        let (again, _) = root.result(&step, false);
        assert_eq!(again.verdict, Verdict::Ok, "{shell:?} {json}: not idempotent: {}", String::from_utf8_lossy(&again.stderr));
    }
}

/// The message of a failure, the same under every shell.
pub(super) fn fails(def: &'static ModuleDef, json: &str, prepare: impl Fn(&Root), cause: &str) {
    for shell in SHELLS {
        let root = Root::new(shell);
        prepare(&root);
        let step = step(def, &json.replace("$R", root.path("").to_str().unwrap().trim_end_matches('/')));
        let (outcome, result) = root.result(&step, false);
        assert!(result.failed, "{shell:?} {json}: {outcome:?}");
        assert!(result.msg.as_deref().is_some_and(|m| m.contains(cause)), "{shell:?} {json}: {:?} has not {cause:?}", result.msg);
    }
}
