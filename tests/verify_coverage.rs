//! docs/verify-coverage.md: how each check was seen red. Generated, and refused when a check has no fault.

#[path = "lab/mutations/table/mod.rs"]
mod table;

use kubewright::verify::registry;
use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};
use table::{BATCHES, How};

fn page() -> String {
    let mut faults: BTreeMap<&str, (How, &str, &str)> = BTreeMap::new();
    for batch in BATCHES {
        for fault in batch.faults {
            faults.insert(fault.check, (fault.how, fault.node, batch.name));
        }
    }
    let all: Vec<_> = registry().collect();
    let real = all.iter().filter(|c| faults.get(c.id).is_some_and(|f| f.0 == How::Real)).count();
    let mut out = String::from(
        "# How every check was seen red\n\nGenerated; `UPDATE_DOCS=1 cargo test --test verify_coverage` writes it anew.\n\n\
         Every check turns red in `src/verify/tests/faults.rs`, by substituted input on what was recorded from a real cluster; there, no other check may turn red with it. \
         Besides, most are seen red on the lab (tests/lab/mutations): *real fault* is what happens in the field; *substituted input* replaces what the check reads in one node, \
         because nodes of the lab share a kernel (clock, memory, modules, disk); *recorded input* was seen red by the first kind alone.\n\n",
    );
    let _ = writeln!(out, "{} checks, all seen red; {real} of them ({} %) by a real fault.\n", all.len(), real * 100 / all.len());
    out.push_str("| Check | Severity | Red by | Where |\n| --- | --- | --- | --- |\n");
    for check in all {
        let (how, place) = match faults.get(check.id) {
            Some((How::Real, node, batch)) => ("real fault", format!("{node}: {batch}")),
            Some((How::Substituted, node, batch)) => ("substituted input", format!("{node}: {batch}")),
            None if check.id.starts_with("cloud-") => ("provider fake", "src/verify/tests/faults.rs".to_owned()),
            None => ("recorded input", "src/verify/tests/faults.rs".to_owned()),
        };
        let _ = writeln!(out, "| {} | {:?} | {how} | {place} |", check.id, check.severity);
    }
    out
}

#[test]
fn the_page_is_what_the_tables_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/verify-coverage.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, page()).expect("docs/verify-coverage.md can be written");
    }
    assert_eq!(fs::read_to_string(&path).unwrap_or_default(), page(), "run UPDATE_DOCS=1 cargo test --test verify_coverage");
}

#[test]
fn every_fault_is_about_a_check_that_exists_and_can_be_undone() {
    for fault in BATCHES.iter().flat_map(|b| b.faults) {
        assert!(kubewright::verify::find(fault.check).is_some(), "{}", fault.check);
        assert!(!fault.inject.is_empty() && !fault.repair.is_empty(), "{}", fault.check);
    }
}

#[test]
fn at_least_seventy_per_cent_by_real_faults() {
    let all = registry().count();
    let mut real: Vec<_> = BATCHES.iter().flat_map(|b| b.faults).filter(|f| f.how == How::Real).map(|f| f.check).collect();
    real.sort_unstable();
    real.dedup();
    assert!(real.len() * 10 >= all * 7, "{} of {all}", real.len());
}

#[test]
fn every_command_and_tag_that_a_fix_names_exists() {
    let command = kubewright::cli::command();
    let known: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
    let texts = registry().flat_map(|c| [c.causes, c.fix]).chain(kubewright::verify::SIGNATURES.iter().map(|s| s.fix));
    for text in texts {
        for word in text.split("kubewright ").skip(1).filter_map(|rest| rest.split([' ', '`', ';', ',', ')']).next()) {
            assert!(known.contains(&word), "kubewright {word}: {text}");
        }
    }
    let playbooks = Path::new(env!("CARGO_MANIFEST_DIR")).join("playbooks");
    let text: String = fs::read_dir(playbooks).expect("playbooks").flatten().filter_map(|e| fs::read_to_string(e.path()).ok()).collect();
    for tag in registry().filter_map(|c| c.tag) {
        assert!(text.lines().any(|l| l.contains("tags:") && l.contains(tag)), "no task is tagged {tag}");
    }
}
