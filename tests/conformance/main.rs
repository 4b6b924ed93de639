//! The same playbooks by ansible-core and by kubewright, on machines that are alike: recap, every task's result and what is
//! on the machine afterwards are compared, for `--check`, a first and a second run.
//!
//! `make conformance` runs all cases (environment CASES: names or beginnings of names) and writes docs/conformance.md;
//! `make test` a sample of them. What ansible-core did is kept in the cache directory, by a hash of the case and of
//! everything that it is run with; CONFORMANCE_FRESH=1 runs it again.

#![expect(clippy::print_stderr, reason = "a long test says where it is")]

mod case;
mod compare;
mod machine;
mod page;
mod run;
mod snapshot;

use case::Case;
use compare::{Difference, Found};
use machine::{Keys, Machine};
use run::{Did, Side};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The oracle's virtual environment.
fn oracle() -> PathBuf {
    let said = Command::new("sh").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("hack/ansible.sh")).output().expect("sh starts");
    assert!(said.status.success(), "hack/ansible.sh: {}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8_lossy(&said.stdout).trim().into()
}

/// Where what ansible-core did is kept.
fn cached(case: &Case, venv: &Path, image: &str) -> PathBuf {
    let mut parts: Vec<Vec<u8>> = vec![venv.display().to_string().into(), image.into(), format!("{:?}{:?}", case.args, case.runs).into()];
    for source in ["oracle/results.py", "run.rs", "snapshot.rs"] {
        parts.push(std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance").join(source)).expect("a source"));
    }
    for file in case.files() {
        parts.push(file.display().to_string().into());
        // What is said in comments at the top is about the comparison.
        let content = std::fs::read(&file).expect("a file");
        let text = String::from_utf8_lossy(&content);
        let body: Vec<&str> = text.lines().skip_while(|l| l.starts_with("# ")).collect();
        parts.push(if file.ends_with("play.yml") { body.join("\n").into_bytes() } else { content });
    }
    let base = venv.parent().expect("the cache").join("conformance");
    std::fs::create_dir_all(&base).expect("a cache");
    base.join(format!("{}-{}.json", case.name, machine::hash(parts.iter().map(Vec::as_slice))))
}

/// What came of a case.
struct Outcome {
    case: Case,
    found: Found,
}

fn run_cases(cases: &[Case]) -> Vec<Outcome> {
    let venv = oracle();
    let (python, plain) = machine::images();
    let dir = tempfile::tempdir().expect("a directory");
    let keys = Keys::new(dir.path());
    let fresh = std::env::var_os("CONFORMANCE_FRESH").is_some();
    let known = |case: &Case| {
        let path = cached(case, &venv, &python);
        let read = || serde_json::from_slice::<Vec<Did>>(&std::fs::read(&path).ok()?).ok();
        if fresh { None } else { read() }
    };
    std::thread::scope(|scope| {
        let theirs = scope.spawn(|| {
            let mut machine = None;
            cases
                .iter()
                .map(|case| {
                    known(case).unwrap_or_else(|| {
                        let machine = machine.get_or_insert_with(|| Machine::start("oracle", &python, &keys));
                        let side = Side { machine, keys: &keys, dir: dir.path().join("oracle"), oracle: Some(&venv) };
                        side.prepare();
                        let begun = std::time::Instant::now();
                        let did = side.all(case);
                        eprintln!("ansible-core: {} in {:.0} s", case.name, begun.elapsed().as_secs_f64());
                        std::fs::write(cached(case, &venv, &python), serde_json::to_vec(&did).expect("JSON")).expect("the cache");
                        did
                    })
                })
                .collect::<Vec<_>>()
        });
        let ours = scope.spawn(|| {
            let machine = Machine::start("kubewright", &plain, &keys);
            let side = Side { machine: &machine, keys: &keys, dir: dir.path().join("kubewright"), oracle: None };
            side.prepare();
            cases.iter().map(|case| side.all(case)).collect::<Vec<_>>()
        });
        let (theirs, ours) = (theirs.join().expect("the oracle"), ours.join().expect("kubewright"));
        let pairs = cases.iter().zip(theirs.iter().zip(&ours));
        pairs
            .map(|(case, (theirs, ours))| {
                let found = compare::case(case, theirs, ours);
                if std::env::var_os("CONFORMANCE_SHOW").is_some() {
                    for (theirs, ours) in theirs.iter().zip(ours) {
                        eprintln!(
                            "=== {} {:?}\n--- ansible-core\n{}\n--- kubewright\n{}",
                            case.name, theirs.run, theirs.output, ours.output
                        );
                    }
                }
                Outcome { case: case.clone(), found }
            })
            .collect()
    })
}

/// Cases that CASES names, or `default`.
fn chosen(default: impl Fn(&Case) -> bool) -> Vec<Case> {
    let wanted = std::env::var("CASES").ok();
    let named = |case: &Case, names: &str| names.split([' ', ',']).any(|n| !n.is_empty() && case.name.starts_with(n));
    case::all().into_iter().filter(|c| wanted.as_deref().map_or_else(|| default(c), |names| named(c, names))).collect()
}

#[test]
fn the_same_as_ansible_core() {
    let full = std::env::var_os("KUBEWRIGHT_TEST_FULL").is_some();
    let cases = chosen(|_| full);
    if cases.is_empty() {
        eprintln!("no cases: KUBEWRIGHT_TEST_FULL=1 runs all of them, CASES those that it names");
        return;
    }
    let outcomes = run_cases(&cases);
    let mut bad = 0;
    for Outcome { case, found } in &outcomes {
        let state = if found.bugs.is_empty() && found.stale.is_empty() { "same" } else { "DIFFERENT" };
        let better = if found.better.is_empty() { "" } else { ", better on purpose" };
        let omitted = if found.omitted.is_empty() { "" } else { ", something omitted" };
        eprintln!("{:<40} {state}{better}{omitted}", case.name);
        // The second run mostly repeats the first.
        let again = |d: &Difference| {
            d.path.strip_prefix("second/").is_some_and(|rest| found.bugs.iter().any(|o| o.path == format!("first/{rest}")))
        };
        for difference in found.bugs.iter().filter(|d| !again(d)) {
            eprintln!("  {difference}");
        }
        for path in &found.stale {
            eprintln!("  nothing differs at `{path}`: take the reason out of the case");
        }
        bad += usize::from(state != "same");
    }
    assert_eq!(bad, 0, "{bad} of {} cases differ", outcomes.len());
}
