//! What the engine costs, beside what a user would pick instead and beside what no tool can be faster than. All of it in one
//! run, tools in turn; prints a table and writes it into docs/benchmarks.md.
//!
//! `cargo bench --features testing --bench engine` (`make bench`). Environment: `RUNS` (5), `FILE_MIB` (1024), `HOSTS`
//! ("10 100 1000"), `ONLY` (a word in the name of a part). Nothing here is asserted but that the work was done: numbers are for readers.

#![allow(clippy::print_stdout, clippy::print_stderr, missing_docs)]

mod file;
mod floor;
mod four_hosts;
#[path = "../../tests/conformance/machine.rs"]
mod machine;
mod process;
mod relay;
mod simulated;
mod small;
mod table;
mod thousand;
mod tools;

use machine::{Keys, Machine, USER};
use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Duration,
};
use tools::Site;

/// One way: 50 ms.
const DELAY: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    // This program is also the floor, and the thousand hosts, in processes of their own.
    let done = match words.as_slice() {
        ["--floor", key, program, ..] => {
            let program = std::fs::read_to_string(program).expect("a program");
            runtime.block_on(floor::run(USER, Path::new(key), &program, &args[3..]))
        }
        ["--simulated", count, hosts, key, dir] => {
            let hosts = if *hosts == "ill" { simulated::Hosts::OneInTenIll } else { simulated::Hosts::Well };
            runtime.block_on(simulated::serve(count.parse().expect("a count"), hosts, Path::new(key), Path::new(dir)))
        }
        _ => {
            measure(&runtime);
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The parts, in the order of the page.
fn measure(runtime: &tokio::runtime::Runtime) {
    let dir = tempfile::tempdir().expect("a directory");
    let keys = Keys::new(dir.path());
    let said = Command::new("sh").arg(root().join("hack/peers.sh")).output().expect("sh starts");
    assert!(said.status.success(), "hack/peers.sh: {}", String::from_utf8_lossy(&said.stderr));
    let venv = PathBuf::from(String::from_utf8_lossy(&said.stdout).trim());
    let (with_python, _) = machine::images();
    let machines: Vec<Machine> = (1..=4).map(|i| Machine::start(&format!("bench-{i}"), &with_python, &keys)).collect();
    let direct: Vec<(String, u16)> = machines.iter().map(|m| (m.address.clone(), 22)).collect();
    let relays: Vec<(String, u16)> = direct
        .iter()
        .map(|(address, port)| {
            let relay = relay::start(format!("{address}:{port}"), DELAY);
            ("127.0.0.1".to_owned(), runtime.block_on(relay).expect("a relay"))
        })
        .collect();
    let site = |name: &str, hosts| Site::new(&dir.path().join(name), USER, &keys.operator, keys.host_line().trim(), hosts, &venv);
    let (near, far) = (site("near", direct), site("far", relays));

    let mut page = table::Page::begin(&venv);
    let mut part = |name: &str, work: &mut dyn FnMut(&mut table::Page)| {
        if std::env::var("ONLY").is_ok_and(|word| !name.contains(&word)) {
            return;
        }
        eprintln!("=== {name}");
        work(&mut page);
    };
    part("four hosts", &mut |page| four_hosts::measure(&machines, &near, &far, page));
    part("small things", &mut |page| small::measure(&near, &far, page));
    part("a large file", &mut |page| file::measure(&machines, &near, &keys.operator, page));
    drop(machines);
    part("many hosts", &mut |page| thousand::measure(dir.path(), &keys.operator, page));
    page.end();
}

/// How often what is quick is repeated.
fn runs() -> usize {
    std::env::var("RUNS").ok().and_then(|r| r.parse().ok()).unwrap_or(5)
}

/// The source tree.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What the hosts are brought to.
fn workload() -> PathBuf {
    root().join("benches/engine/workload")
}
