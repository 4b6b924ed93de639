//! A case: a directory with `play.yml` and whatever it needs. Comments at its top say how it is run and what differs on
//! purpose:
//!
//! ```text
//! # args: --tags one            options for both tools
//! # runs: first                 which of check, first, second; all of them by default
//! # better: PATH: why           differences whose path matches the glob are on purpose
//! # omitted: PATH: why          differences that are a lack, and are documented as one
//! # random: PATH                what no two runs share
//! ```

use super::compare::Path as DifferencePath;
use std::path::{Path, PathBuf};

/// One case.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    pub dir: PathBuf,
    pub args: Vec<String>,
    pub runs: Vec<Run>,
    pub better: Vec<(DifferencePath, String)>,
    pub omitted: Vec<(DifferencePath, String)>,
    pub random: Vec<DifferencePath>,
}

/// Which of a case's runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Run {
    /// `--check` on the machine as it is before.
    Check,
    /// The first real one.
    First,
    /// The same again.
    Second,
}

impl Case {
    fn read(dir: PathBuf) -> Self {
        let name = dir.file_name().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(dir.join("play.yml")).unwrap_or_else(|e| panic!("{}/play.yml: {e}", dir.display()));
        let mut case = Self {
            name,
            dir,
            args: Vec::new(),
            runs: vec![Run::Check, Run::First, Run::Second],
            better: Vec::new(),
            omitted: Vec::new(),
            random: Vec::new(),
        };
        for line in text.lines().take_while(|l| l.starts_with('#')) {
            let Some((key, value)) = line.trim_start_matches('#').trim().split_once(": ") else { continue };
            match key {
                "args" => case.args = shlex::split(value).expect("words"),
                "runs" => {
                    let run = |word: &str| match word {
                        "check" => Run::Check,
                        "first" => Run::First,
                        "second" => Run::Second,
                        other => panic!("{}: no run is called {other}", case.name),
                    };
                    case.runs = value.split_whitespace().map(run).collect();
                }
                "better" | "omitted" => {
                    let (path, why) = value.split_once(": ").unwrap_or_else(|| panic!("{}: `{key}` needs a path and a reason", case.name));
                    let list = if key == "better" { &mut case.better } else { &mut case.omitted };
                    list.push((DifferencePath(path.to_owned()), why.to_owned()));
                }
                "random" => case.random.push(DifferencePath(value.to_owned())),
                _ => {}
            }
        }
        case
    }

    /// All files of the case, for hashes and for what it covers.
    pub fn files(&self) -> Vec<PathBuf> {
        fn walk(dir: &Path, out: &mut Vec<PathBuf>) {
            let mut entries: Vec<_> = std::fs::read_dir(dir).expect("a directory").map(|e| e.expect("an entry").path()).collect();
            entries.sort();
            for path in entries {
                if path.is_dir() { walk(&path, out) } else { out.push(path) }
            }
        }
        let mut out = Vec::new();
        walk(&self.dir, &mut out);
        out
    }
}

/// All cases, in order of their names.
pub fn all() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/cases");
    let mut dirs: Vec<PathBuf> = std::fs::read_dir(root).expect("cases").map(|e| e.expect("an entry").path()).collect();
    dirs.sort();
    dirs.into_iter().map(Case::read).collect()
}
