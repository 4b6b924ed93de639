//! The crash matrix: a command is killed (-9), its connections are cut, its target is rebooted, at every boundary between two
//! steps; then the same command again, until it comes to its end. Boundaries are read from the event stream, so a new step or
//! task is one by itself.
//!
//! As a chained walk: one run has its fault at the first boundary, the next one at the second, and so on. Faults that a run
//! survives (a cut, a reboot) may be several in one run. `KUBEWRIGHT_TEST_FULL=1` walks through all of it, remembers in
//! target/crash-matrix.json what it has done, so that it can be interrupted, and writes docs/reliability.md.

use super::{
    nodes::kubectl,
    restore,
    support::{Ended, Lab},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const CLUSTER: &str = "\
cluster: crash
provider: lab
network: {vpc: 172.29.0.0/16}
pools: [{name: worker, count: 2}]
";

/// What happens at a boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fault {
    /// The tool is killed (-9).
    Killed,
    /// All SSH connections through the control plane are cut.
    Cut,
    /// The machine that the boundary is about is rebooted.
    Rebooted,
}

/// A command, and how the lab is brought to where it has something to do.
struct Operation {
    name: &'static str,
    args: &'static [&'static str],
    /// Returns the cluster that the command must leave as it is.
    prepare: fn(&Lab) -> Option<Identity>,
}

/// `SNAPSHOT` and `KEY` are files of the lab.
const OPERATIONS: [Operation; 5] = [
    Operation { name: "bootstrap", args: &["bootstrap", "--yes", "--no-verify"], prepare: nothing_there },
    Operation { name: "replace", args: &["node", "replace", "worker-1"], prepare: settle },
    Operation { name: "remove", args: &["node", "remove", "worker-2"], prepare: settle },
    Operation { name: "join", args: &["node", "join", "worker-2"], prepare: without_worker_2 },
    Operation {
        name: "restore",
        args: &["etcd", "restore", "SNAPSHOT", "--identity", "KEY", "--yes", "--no-verify"],
        prepare: without_control_plane,
    },
];

fn nothing_there(lab: &Lab) -> Option<Identity> {
    lab.run(&["destroy", "--yes"]).expect(0);
    None
}

fn settle(lab: &Lab) -> Option<Identity> {
    lab.run(&["bootstrap", "--yes", "--no-verify"]).expect(0);
    identity(lab)
}

fn without_worker_2(lab: &Lab) -> Option<Identity> {
    let one = settle(lab);
    lab.run(&["node", "remove", "worker-2"]).expect(0);
    one
}

fn without_control_plane(lab: &Lab) -> Option<Identity> {
    let one = settle(lab);
    restore::snapshot(lab);
    restore::lose_control_plane(lab);
    one
}

/// A boundary by what begins there: names of machines are replaced by what they are, so that it is the same for all of them.
/// Without `full` those after which something exists that did not before.
fn boundary(event: &Value, full: bool) -> Option<String> {
    let text = |key: &str| event[key].as_str().unwrap_or_default();
    let role = |host: &str| host.trim_end_matches(|c: char| c == '-' || c.is_ascii_digit()).to_owned();
    match text("event") {
        "step_started" => {
            let id: Vec<String> = text("id").split('/').map(role).collect();
            let id = id.join("/");
            (full || ["machine", "drain", "terminate", "forget", "join", "check"].iter().any(|w| id.contains(w)))
                .then(|| format!("step {id}"))
        }
        "task_started" => {
            let name = text("name");
            let chosen = [
                "containerd and runc",
                "Initialise the control plane",
                "The operator's own kubeconfig",
                "Flannel",
                "Join the cluster",
                "Revoke the join token",
            ];
            (full || chosen.contains(&name)).then(|| format!("{}: {name}", role(text("host"))))
        }
        _ => None,
    }
}

/// What has been done: the rows of the table.
#[derive(Default, Serialize, Deserialize)]
struct Matrix {
    /// The program that it was done with.
    program: String,
    cells: BTreeMap<String, Vec<Cell>>,
    /// Rows that were walked to their end.
    #[serde(default)]
    done: BTreeSet<String>,
}

/// One fault at one boundary.
#[derive(Serialize, Deserialize)]
struct Cell {
    boundary: String,
    /// How the run ended that had the fault: killed, or its exit code.
    ended: String,
    /// Whether the run went on over the fault.
    survived: bool,
}

impl Matrix {
    fn file() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/crash-matrix.json")
    }

    /// What an interrupted walk with this very program has done.
    fn load() -> Self {
        let program = hash_of(&super::support::program().to_string_lossy());
        let old: Option<Self> = fs::read_to_string(Self::file()).ok().and_then(|t| serde_json::from_str(&t).ok());
        old.filter(|m| m.program == program).unwrap_or(Self { program, ..Self::default() })
    }

    fn save(&self) {
        let text = serde_json::to_string_pretty(self).expect("a matrix is JSON");
        fs::write(Self::file(), text).expect("target/ can be written");
    }

    fn row(&mut self, operation: &str, fault: Fault) -> &mut Vec<Cell> {
        self.cells.entry(format!("{operation} {}", name_of(fault))).or_default()
    }
}

fn name_of(fault: Fault) -> &'static str {
    match fault {
        Fault::Killed => "killed",
        Fault::Cut => "cut",
        Fault::Rebooted => "rebooted",
    }
}

fn hash_of(path: &str) -> String {
    let out = Command::new("sha256sum").arg(path).output().expect("sha256sum");
    String::from_utf8_lossy(&out.stdout).split_whitespace().next().unwrap_or_default().to_owned()
}

/// One cluster: by the UID of kube-system and the hash of its CA.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Identity {
    uid: String,
    ca: String,
}

/// Once there is one.
fn identity(lab: &Lab) -> Option<Identity> {
    let name = lab.find_container("control-plane-1")?;
    let ask = |command: &str| {
        let output = Command::new("docker").args(["exec", &name, "sh", "-c", command]).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned()).filter(|t| !t.is_empty())
    };
    let uid = ask("kubectl --kubeconfig /etc/kubernetes/admin.conf get namespace kube-system -o jsonpath='{.metadata.uid}'")?;
    Some(Identity { uid, ca: ask("sha256sum /etc/kubernetes/pki/ca.crt")? })
}

/// After a command came to its end: one and the same cluster, and nothing half done anywhere.
fn sound(lab: &Lab, before: Option<&Identity>, expected: &[&str]) {
    let now = identity(lab).expect("a cluster");
    assert!(before.is_none_or(|b| *b == now), "another cluster: {before:?} and now {now:?}");
    let tokens = kubectl(lab, "-n kube-system get secret --field-selector type=bootstrap.kubernetes.io/token -o name");
    assert_eq!(tokens.trim(), "", "no join token is left");
    assert_eq!(lab.lock(), "", "no lock is left");
    let open = kubectl(lab, "-n kube-system get configmap kubewright-operations --ignore-not-found -o jsonpath='{.data}'");
    assert!(matches!(open.trim(), "" | "{}"), "no operation is left open: {open}");
    let mut nodes: Vec<String> = kubectl(lab, "get nodes -o name").lines().map(|l| l.trim_start_matches("node/").to_owned()).collect();
    nodes.sort();
    let mut machines = lab.machines();
    machines.sort();
    assert_eq!(
        (nodes, machines.iter().map(String::as_str).collect::<Vec<_>>()),
        (machines.clone(), expected.to_vec()),
        "nodes and machines"
    );
    let closed = kubectl(lab, "get nodes -o jsonpath='{.items[*].spec.unschedulable}'");
    assert_eq!(closed.trim(), "", "no node is left cordoned");
    // A machine that was removed is still wanted by cluster.yaml.
    if expected.len() == 3 {
        lab.run(&["plan"]).expect(0);
    }
}

/// Cuts, reboots; a kill is done by whoever reads the events.
fn inject(lab: &Lab, fault: Fault, event: &Value) -> bool {
    let on = |node: &str, script: &str| {
        let Some(container) = lab.find_container(node) else { return false };
        Command::new("docker").args(["exec", &container, "sh", "-c", script]).output().is_ok_and(|o| o.status.success())
    };
    match fault {
        Fault::Killed => true,
        // All sessions of sshd, not the one that listens.
        Fault::Cut => on("control-plane-1", "pids=$(pgrep -f '^sshd: .*@|^sshd: [a-z]+ \\[priv\\]') && kill -9 $pids"),
        Fault::Rebooted => {
            let host = event["host"].as_str().unwrap_or("control-plane-1");
            on(host, "systemctl reboot")
        }
    }
}

/// One operation with one kind of fault at every boundary that it has, until a run comes to its end without one.
fn chain(lab: &Lab, operation: &Operation, fault: Fault, full: bool, matrix: &mut Matrix) {
    let began = Instant::now();
    let expected: &[&str] = match operation.name {
        "remove" => &["control-plane-1", "worker-1"],
        _ => &["control-plane-1", "worker-1", "worker-2"],
    };
    let mut one = (operation.prepare)(lab);
    let files = [("SNAPSHOT", lab.inventory().join(restore::SNAPSHOT)), ("KEY", lab.inventory().join(restore::KEY))];
    let word = |a: &&str| files.iter().find(|(name, _)| name == a).map_or_else(|| (*a).to_owned(), |(_, f)| f.display().to_string());
    let words: Vec<String> = operation.args.iter().map(word).collect();
    let args: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut runs = 0;
    loop {
        runs += 1;
        assert!(runs < 200, "it does not come to an end");
        let mut hit: Vec<String> = Vec::new();
        let row: Vec<String> = matrix.row(operation.name, fault).iter().map(|c| c.boundary.clone()).collect();
        let mut last = Instant::now().checked_sub(Duration::from_mins(1)).unwrap_or_else(Instant::now);
        let ended = lab.watch(&args, |event| {
            let Some(at) = boundary(event, full).filter(|at| !row.contains(at) && !hit.contains(at)) else { return false };
            // What is rebooted or cut needs a moment before it can be again.
            let pause = if fault == Fault::Rebooted { 8 } else { 1 };
            if last.elapsed() < Duration::from_secs(pause) || !inject(lab, fault, event) {
                return false;
            }
            last = Instant::now();
            hit.push(at);
            fault == Fault::Killed
        });
        let (text, failed) = match &ended {
            Ended::Killed => ("killed".to_owned(), false),
            Ended::Code(code, _) => (format!("exit code {code}"), *code != 0),
        };
        for (i, at) in hit.iter().enumerate() {
            let survived = fault != Fault::Killed && (i + 1 < hit.len() || !failed);
            matrix.row(operation.name, fault).push(Cell { boundary: at.clone(), ended: text.clone(), survived });
        }
        if full {
            matrix.save();
        }
        eprintln!(
            "--- {} run {runs}: {} at {} → {text}",
            operation.name,
            name_of(fault),
            if hit.is_empty() { "no boundary".to_owned() } else { hit.join(", ") }
        );
        let now = identity_within(lab, one.as_ref());
        assert!(one.is_none() || now.is_none() || one == now, "another cluster after {hit:?}: {one:?}, {now:?}");
        one = one.or(now);
        match ended {
            Ended::Killed => {}
            Ended::Code(0, _) => {
                sound(lab, one.as_ref(), expected);
                if hit.is_empty() {
                    break;
                }
                // Done in spite of it. What boundaries are left needs something to do again.
                if operation.name != "bootstrap" {
                    (operation.prepare)(lab);
                }
            }
            // The kill of the run before came after that had done all: a cluster that works is not restored over.
            Ended::Code(2, said) if operation.name == "restore" && said.contains("nothing that a snapshot has to bring back") => {
                sound(lab, one.as_ref(), expected);
                (operation.prepare)(lab);
            }
            // With no fault in it a run must come to its end: whatever it says is a bug of ours.
            Ended::Code(code, said) => {
                assert!(!hit.is_empty(), "{} ended with exit code {code} by itself:\n{said}", operation.args.join(" "));
            }
        }
    }
    let cells = matrix.row(operation.name, fault).len();
    eprintln!("=== {} {}: {cells} boundaries, {runs} runs, {:.0} s", operation.name, name_of(fault), began.elapsed().as_secs_f64());
    // A pod that was moved a moment ago may still be named by an endpoint.
    if operation.name != "remove" {
        super::faults::wait("a green report", Duration::from_secs(90), || lab.run(&["verify"]).code() == 0);
    }
}

/// The identity, waited for a little where there was one: an API server that was just rebooted answers soon.
fn identity_within(lab: &Lab, known: Option<&Identity>) -> Option<Identity> {
    let begun = Instant::now();
    loop {
        let now = identity(lab);
        if now.is_some() || known.is_none() || begun.elapsed() > Duration::from_secs(30) {
            return now;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// All operations, all faults.
pub fn everything() {
    // Beside a sample that runs on the same machine.
    let lab = Lab::new(&CLUSTER.replace("cluster: crash", "cluster: matrix").replace("172.29.", "172.25."));
    let mut matrix = Matrix::load();
    for fault in [Fault::Killed, Fault::Cut, Fault::Rebooted] {
        for operation in &OPERATIONS {
            let name = format!("{} {}", operation.name, name_of(fault));
            let chosen = std::env::var("KUBEWRIGHT_TEST_STEP").map_or(true, |words| name.contains(&words));
            if matrix.done.contains(&name) || !chosen {
                continue;
            }
            chain(&lab, operation, fault, true, &mut matrix);
            matrix.done.insert(name);
            matrix.save();
            // What is done is written down at once: the walk may be interrupted.
            fs::write(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/reliability.md"), page(&matrix)).expect("docs/reliability.md");
        }
    }
}

/// A sample for `make test`: each fault once, at the boundaries that matter most.
pub fn sample() {
    let lab = Lab::new(CLUSTER);
    let mut matrix = Matrix::default();
    let [bootstrap, replace, ..] = &OPERATIONS;
    two_from_nothing(&lab);
    chain(&lab, bootstrap, Fault::Killed, false, &mut matrix);
    chain(&lab, replace, Fault::Killed, false, &mut matrix);
    chain(&lab, replace, Fault::Cut, false, &mut matrix);
}

/// Two operators, with a state directory each, begin at the same moment, before there is any machine: one of them makes the
/// cluster, the other is told who.
fn two_from_nothing(lab: &Lab) {
    let start = |state: &str| {
        let mut command = lab.command(&["bootstrap", "--yes", "--no-verify"]);
        command.env("XDG_STATE_HOME", lab.state().join(state)).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().expect("it starts")
    };
    let mut both = vec![start("one"), start("other")];
    let begun = Instant::now();
    let refused = loop {
        assert!(begun.elapsed() < Duration::from_secs(60), "none of two is refused");
        if let Some(i) = both.iter_mut().position(|c| c.try_wait().expect("a child").is_some()) {
            break both.swap_remove(i);
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let said = refused.wait_with_output().expect("it ended");
    assert_eq!(said.status.code(), Some(6), "{}", String::from_utf8_lossy(&said.stderr));
    let mut other = both.remove(0);
    assert!(other.try_wait().expect("a child").is_none(), "the other one is at work");
    other.kill().expect("it can be killed");
    other.wait().expect("it ends");
}

/// The table as a page of the documentation.
fn page(matrix: &Matrix) -> String {
    let mut text = String::from(
        "# Reliability: what was done to it, and what came of it\n\n\
         Generated by `make test-full` (tests/lab/crash.rs) on the lab; not written by hand. Each row is a command that was killed (-9),\n\
         cut off from the control plane, or had its target machine rebooted, at every boundary between two of its steps that the event\n\
         stream shows; then the same command was run again, until it came to its end. After each end: one cluster (the UID of kube-system\n\
         and the CA are the same), no join token, no lock, no open operation, no cordoned node, machines = Nodes, and `plan` has nothing to\n\
         do. A row that is not here has not been walked to its end.\n\n\
         | command | fault | boundaries | run went on over the fault | run ended, the next one finished it |\n|---|---|---|---|---|\n",
    );
    let whole = || matrix.cells.iter().filter(|(name, _)| matrix.done.contains(*name));
    for (name, cells) in whole() {
        let (operation, fault) = name.split_once(' ').unwrap_or((name, ""));
        let survived = cells.iter().filter(|c| c.survived).count();
        text.push_str(&format!("| {operation} | {fault} | {} | {survived} | {} |\n", cells.len(), cells.len() - survived));
    }
    text.push_str("\n## The boundaries\n");
    for (name, cells) in whole() {
        text.push_str(&format!("\n### {name}\n\n"));
        for cell in cells {
            text.push_str(&format!("- {} ({})\n", cell.boundary, cell.ended));
        }
    }
    text
}
