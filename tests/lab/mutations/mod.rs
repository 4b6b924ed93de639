//! Every check is seen red on the lab, names the right machine, and its neighbours stay green; after the repair all is
//! green again.

pub mod table;

use serde_json::Value;
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};
use table::{BATCHES, Batch, EXPIRED};

/// What the walk needs of a cluster.
pub struct Site<'a> {
    /// Runs sh as root inside a node: exit code 0 or not, and what it said.
    pub inside: &'a dyn Fn(&str, &str) -> (bool, String),
    /// Address of a node.
    pub address: &'a dyn Fn(&str) -> String,
    /// `verify --format json`, whatever its exit code.
    pub report: &'a dyn Fn() -> Value,
}

/// Injects every batch, looks, repairs, looks again.
pub fn walk(site: &Site<'_>) {
    for batch in BATCHES {
        let begun = Instant::now();
        run(site, batch);
        eprintln!("    {}: {} checks in {:.1} s", batch.name, batch.faults.len(), begun.elapsed().as_secs_f64());
    }
}

pub fn run(site: &Site<'_>, batch: &Batch) {
    let inside = |node: &str, script: &str| {
        let preamble = format!(
            "set -e; export KUBECONFIG=/etc/kubernetes/admin.conf CP={} W1={} W2={} EXPIRED='{EXPIRED}'\n",
            (site.address)("control-plane-1"),
            (site.address)("worker-1"),
            (site.address)("worker-2")
        );
        (site.inside)(node, &format!("{preamble}{script}"))
    };
    let settle = |what: &str, condition: &str| {
        let begun = Instant::now();
        loop {
            let (well, said) = inside("control-plane-1", condition);
            if well {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(120), "{}: {what} did not show: {said}", batch.name);
            std::thread::sleep(Duration::from_millis(500));
        }
    };
    let mut injected = 0;
    let mut failed = None;
    for fault in batch.faults {
        let (well, said) = inside(fault.node, fault.inject);
        injected += 1;
        if !well {
            failed = Some(format!("{}: the fault could not be injected: {said}", fault.check));
            break;
        }
    }
    let red = if failed.is_none() {
        settle("the fault", batch.shown);
        not_green(&(site.report)())
    } else {
        Vec::new()
    };
    // Repaired before anything is asserted: a failed assertion must not leave a broken lab behind.
    for fault in batch.faults[..injected].iter().rev() {
        let (well, said) = inside(fault.node, fault.repair);
        if !well && failed.is_none() {
            failed = Some(format!("{}: could not be repaired: {said}", fault.check));
        }
    }
    assert!(failed.is_none(), "{}: {}", batch.name, failed.unwrap_or_default());
    settle("the repair", batch.healed);
    let ids: BTreeSet<&str> = red.iter().map(|(id, _)| id.as_str()).collect();
    let green: Vec<_> = batch.faults.iter().map(|f| f.check).filter(|c| !ids.contains(c)).collect();
    let mine = |id: &str| {
        batch.faults.iter().any(|f| f.check == id)
            || batch.also.iter().any(|a| *a == id || a.strip_suffix('*').is_some_and(|p| id.starts_with(p)))
    };
    // A warning of another check says that this machine is slow just now.
    let others: Vec<_> = red.iter().filter(|(id, line)| !mine(id) && !line.starts_with("warning")).collect();
    assert!(green.is_empty(), "{}: these stayed green: {green:?}", batch.name);
    assert!(others.is_empty(), "{}: these should have stayed green: {others:?}", batch.name);
    // Leases and DaemonSets take a moment to be themselves again.
    let begun = Instant::now();
    loop {
        let mut red = not_green(&(site.report)());
        red.retain(|(id, line)| batch.faults.iter().any(|f| f.check == id) || !line.starts_with("warning"));
        if red.is_empty() {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(90), "{}: still red after the repair: {red:?}", batch.name);
    }
}

/// Id and a line for each result that is not green.
fn not_green(report: &Value) -> Vec<(String, String)> {
    let text = |c: &Value, key: &str| c[key].as_str().unwrap_or_default().to_owned();
    let checks = report["checks"].as_array().expect("a report has checks");
    checks
        .iter()
        .filter(|c| c["status"] != "passed")
        .map(|c| (text(c, "id"), format!("{} {}: {}", text(c, "status"), text(c, "subject"), text(c, "observed"))))
        .collect()
}
