//! Every check is seen red on the lab, names the right machine, and its neighbours stay green; after the repair all is
//! green again.

pub mod table;

use serde_json::Value;
use std::time::{Duration, Instant};
use table::{BATCHES, Batch, EXPIRED, Fault, HOST};

/// What the walk needs of a cluster.
pub struct Site<'a> {
    /// Runs sh as root inside a node: exit code 0 or not, and what it said.
    pub inside: &'a dyn Fn(&str, &str) -> (bool, String),
    /// Address of a node.
    pub address: &'a dyn Fn(&str) -> String,
    /// The same on the machine that the lab runs on.
    pub host: &'a dyn Fn(&str) -> (bool, String),
    /// Name of a container: of a node, or of the mirror.
    pub container: &'a dyn Fn(&str) -> String,
    /// `verify --format json --only …`, whatever its exit code.
    pub report: &'a dyn Fn(Option<&str>) -> Value,
}

/// Injects every batch (without `full` not the long ones), looks, repairs, looks again. What went wrong is said at the end, of all of them.
pub fn walk(site: &Site<'_>, full: bool) {
    let only = std::env::var("KUBEWRIGHT_TEST_BATCH").ok();
    let address = |node| (site.address)(node);
    let variables = format!("CP={} W1={} W2={} EXPIRED='{EXPIRED}'", address("control-plane-1"), address("worker-1"), address("worker-2"));
    let host = format!("W3={} MIRROR={}", (site.container)("worker-3"), (site.container)("mirror"));
    let execute = |node: &str, script: &str| match node {
        HOST => (site.host)(&format!("set -e; {host}\n{script}")),
        _ => (site.inside)(node, &format!("set -e; export KUBECONFIG=/etc/kubernetes/admin.conf {variables}\n{script}")),
    };
    let mut wrong = Vec::new();
    let chosen = |b: &&Batch| only.as_ref().map_or(full || !b.long, |words| b.name.contains(words.as_str()));
    for batch in BATCHES.iter().filter(chosen) {
        let begun = Instant::now();
        let ended = run(site, &execute, batch);
        let word = if ended.is_ok() { "" } else { ": WRONG" };
        eprintln!("    {}: {} faults in {:.1} s{word}", batch.name, batch.faults.len(), begun.elapsed().as_secs_f64());
        wrong.extend(ended.err().map(|why| format!("{}: {why}", batch.name)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

type Execute<'a> = dyn Fn(&str, &str) -> (bool, String) + 'a;

fn run(site: &Site<'_>, execute: &Execute<'_>, batch: &Batch) -> Result<(), String> {
    let red = inject(site, execute, batch)?;
    let red_by = |f: &Fault| red.iter().any(|r| r.id == f.check && r.line.contains(f.names));
    let green: Vec<_> = batch.faults.iter().filter(|f| !red_by(f)).map(|f| format!("{} naming {}", f.check, f.names)).collect();
    // A warning of another check says that this machine is slow just now.
    let others: Vec<_> = red.iter().filter(|r| !batch.explains(r) && !r.line.starts_with("warning")).map(Red::to_string).collect();
    let mut wrong = String::new();
    if !green.is_empty() {
        wrong = format!("did not turn red: {}\nred:\n{}", green.join("; "), lines(&red));
    } else if !others.is_empty() {
        wrong = format!("should have stayed green:\n{}", others.join("\n"));
    }
    // Leases and DaemonSets take a moment to be themselves again.
    let begun = Instant::now();
    loop {
        let mut red = not_green(&(site.report)(None));
        red.retain(|r| batch.faults.iter().any(|f| f.check == r.id) || !r.line.starts_with("warning"));
        if red.is_empty() {
            return if wrong.is_empty() { Ok(()) } else { Err(wrong) };
        }
        if begun.elapsed() > Duration::from_secs(120) {
            return Err(format!("{wrong}\nstill red after the repair:\n{}", lines(&red)));
        }
    }
}

/// What is red while the faults are there. They are repaired whatever happens: an error must not leave a broken lab behind.
fn inject(site: &Site<'_>, execute: &Execute<'_>, batch: &Batch) -> Result<Vec<Red>, String> {
    let settle = |what: &str, condition: &str| -> Result<(), String> {
        let begun = Instant::now();
        loop {
            let (well, said) = execute("control-plane-1", condition);
            match well {
                true => return Ok(()),
                false if begun.elapsed() > Duration::from_secs(150) => {
                    let (_, traced) = execute("control-plane-1", &format!("set -x; {condition}"));
                    return Err(format!("{what} did not show: {said}\n{traced}"));
                }
                false => std::thread::sleep(Duration::from_millis(500)),
            }
        }
    };
    let mut injected = 0;
    let mut ended = Ok(());
    for fault in batch.faults {
        let (well, said) = execute(fault.node, fault.inject);
        injected += 1;
        if !well {
            ended = Err(format!("{}: the fault could not be injected: {said}", fault.check));
            break;
        }
    }
    let red = ended.and_then(|()| settle("the fault", batch.shown)).map(|()| not_green(&(site.report)(batch.only)));
    let mut repaired = Ok(());
    for fault in batch.faults[..injected].iter().rev() {
        let (well, said) = execute(fault.node, fault.repair);
        if !well {
            repaired = Err(format!("{}: could not be repaired: {said}", fault.check));
        }
    }
    let healed = settle("the repair", batch.healed);
    let red = red?;
    repaired.and(healed).map(|()| red)
}

fn lines(red: &[Red]) -> String {
    red.iter().map(Red::to_string).collect::<Vec<_>>().join("\n")
}

impl Batch {
    /// Whether a red result follows from these faults: it names what one of them should turn red, or was announced.
    fn explains(&self, red: &Red) -> bool {
        let is = |pattern: &str| pattern == red.id || pattern.strip_suffix('*').is_some_and(|p| red.id.starts_with(p));
        let also = |entry: &&str| match entry.split_once('@') {
            Some((pattern, word)) => is(pattern) && red.line.contains(word),
            None => is(entry),
        };
        self.faults.iter().any(|f| f.check == red.id && red.line.contains(f.names)) || self.also.iter().any(also)
    }
}

/// A result that is not green.
struct Red {
    id: String,
    /// Its status, subject and observation.
    line: String,
}

impl std::fmt::Display for Red {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.id, self.line)
    }
}

fn not_green(report: &Value) -> Vec<Red> {
    let text = |c: &Value, key: &str| c[key].as_str().unwrap_or_default().to_owned();
    let checks = report["checks"].as_array().expect("a report has checks");
    checks
        .iter()
        .filter(|c| c["status"] != "passed")
        .map(|c| Red { id: text(c, "id"), line: format!("{} {}: {}", text(c, "status"), text(c, "subject"), text(c, "observed")) })
        .collect()
}
