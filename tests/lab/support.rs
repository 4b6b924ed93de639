//! Runs the real program against a real lab and looks at what it did.

use serde_json::Value;
use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

/// A lab of its own: inventory directory, state directory, everything in a temporary place.
pub struct Lab {
    dir: PathBuf,
    /// While developing, steps can be run on a lab that stands already: `KUBEWRIGHT_TEST_LAB=DIR` with `inventory` and `state` in
    /// it, and `KUBEWRIGHT_TEST_STEP=WORDS` to choose the steps. It is not destroyed.
    own: Option<tempfile::TempDir>,
    /// Name of the cluster.
    pub name: String,
}

impl Lab {
    /// A lab with this `cluster.yaml` (its name is taken from it). Nothing is started yet.
    pub fn new(cluster_yaml: &str) -> Self {
        let name = |text: &str| text.lines().find_map(|l| l.strip_prefix("cluster: ")).expect("a name").trim().to_owned();
        if let Some(dir) = std::env::var_os("KUBEWRIGHT_TEST_LAB") {
            let dir = PathBuf::from(dir);
            let text = fs::read_to_string(dir.join("inventory/cluster.yaml")).expect("its cluster.yaml");
            return Self { dir, own: None, name: name(&text) };
        }
        let own = tempfile::tempdir().expect("a temporary directory");
        let dir = own.path().to_owned();
        fs::create_dir(dir.join("inventory")).expect("an inventory directory");
        fs::write(dir.join("inventory/cluster.yaml"), cluster_yaml).expect("cluster.yaml");
        Self { dir, own: Some(own), name: name(cluster_yaml) }
    }

    /// The inventory's directory.
    pub fn inventory(&self) -> PathBuf {
        self.dir.join("inventory")
    }

    /// The tool's local state.
    pub fn state(&self) -> PathBuf {
        self.dir.join("state")
    }

    /// A command of the program for this lab, without a terminal.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(args).env("KUBEWRIGHT_INVENTORY", self.inventory()).env("XDG_STATE_HOME", self.state());
        command.env_remove("SSH_AUTH_SOCK").stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    pub fn run(&self, args: &[&str]) -> Run {
        self.run_in(Path::new("."), args)
    }

    /// Runs it to its end, in a directory.
    pub fn run_in(&self, directory: &Path, args: &[&str]) -> Run {
        let mut command = self.command(args);
        command.current_dir(directory);
        Run::of(command)
    }

    /// Starts it with JSON events and kills it (-9) at the first event for which `when` is true.
    pub fn watch(&self, args: &[&str], mut when: impl FnMut(&Value) -> bool) -> Ended {
        let errors = self.dir.join("stderr");
        let file = fs::File::create(&errors).expect("a file for what it says");
        let mut child =
            self.command(args).args(["--format", "json"]).stdout(Stdio::piped()).stderr(file).spawn().expect("the program starts");
        let stdout = child.stdout.take().expect("its output");
        let mut last = String::new();
        for line in BufReader::new(stdout).lines() {
            let line = line.expect("a line");
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            if when(&event) {
                child.kill().expect("it can be killed");
                child.wait().expect("it ends");
                return Ended::Killed;
            }
            if event["status"] == "failed" || event["event"] == "host_lost" || !event["error"].is_null() {
                last.push_str(&line);
                last.push('\n');
            }
        }
        let status = child.wait().expect("it ends");
        Ended::Code(status.code().unwrap_or(-1), last + &fs::read_to_string(errors).unwrap_or_default())
    }

    /// A run that holds the cluster's lock and is stopped in the middle.
    pub fn hold_lock(&self) -> Held {
        let mut command = self.command(&["bootstrap", "--yes", "--no-verify", "--format", "json"]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        // Its first event comes when it has the lock. Stopped, it does not go on, and says no more that it lives.
        lines.next().expect("an event").expect("a line");
        let stopped = Command::new("kill").args(["-STOP", &child.id().to_string()]).status().expect("kill");
        assert!(stopped.success());
        Held(child)
    }

    /// The lock of somebody whose process cannot be seen from here, and who dies at once.
    pub fn lock_of_a_stranger(&self) {
        let holder = format!(
            r#"{{"owner":"bob@elsewhere","pid":7,"command":"destroy","since":"{}","process":""}}"#,
            docker(&["info", "--format", "{{.SystemTime}}"]).trim()
        );
        let (cluster, holder) = (format!("kubewright.dev/cluster={}", self.name), format!("kubewright.dev/holder={holder}"));
        let name = format!("kubewright-{}-lock", self.name);
        let labels = ["--label", &cluster, "--label", "kubewright.dev/role=lock", "--label", &holder];
        docker(&[&["create", "--name", &name][..], &labels, &["kubewright-lab/lock:1", "never started"]].concat());
    }

    /// The cluster's lock, if there is one.
    pub fn lock(&self) -> String {
        let filter = format!("label=kubewright.dev/cluster={}", self.name);
        docker(&["ps", "-aq", "--filter", &filter, "--filter", "label=kubewright.dev/role=lock"]).trim().to_owned()
    }

    /// Names of the machines that exist.
    pub fn machines(&self) -> Vec<String> {
        let filter = format!("label=kubewright.dev/cluster={}", self.name);
        let names = docker(&[
            "ps",
            "-a",
            "--filter",
            &filter,
            "--filter",
            "label=kubewright.dev/role=node",
            "--format",
            "{{.Label \"kubewright.dev/node\"}}",
        ]);
        names.lines().map(str::to_owned).collect()
    }

    /// Name of a machine's container, where there is one that runs.
    pub fn find_container(&self, node: &str) -> Option<String> {
        let filter = format!("label=kubewright.dev/cluster={}", self.name);
        let names =
            docker(&["ps", "--filter", &filter, "--filter", &format!("label=kubewright.dev/node={node}"), "--format", "{{.Names}}"]);
        names.lines().next().map(str::to_owned)
    }

    /// Name of a machine's container.
    pub fn container(&self, node: &str) -> String {
        let filter = format!("label=kubewright.dev/cluster={}", self.name);
        let output =
            docker(&["ps", "-a", "--filter", &filter, "--filter", &format!("label=kubewright.dev/node={node}"), "--format", "{{.Names}}"]);
        let name = output.trim().to_owned();
        assert!(!name.is_empty(), "no container for {node}");
        name
    }

    /// Runs a command inside a machine, behind the tool's back.
    pub fn inside(&self, node: &str, command: &str) -> String {
        docker(&["exec", &self.container(node), "sh", "-c", command])
    }

    /// Everything of this lab that Docker knows: containers, networks, volumes.
    pub fn leftovers(&self) -> String {
        let filter = format!("label=kubewright.dev/cluster={}", self.name);
        let containers = docker(&["ps", "-aq", "--filter", &filter]);
        let networks = docker(&["network", "ls", "-q", "--filter", &filter]);
        let volumes = docker(&["volume", "ls", "-q", "--filter", &filter]);
        format!("{containers}{networks}{volumes}").trim().to_owned()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // To look at what a failed test left: KUBEWRIGHT_TEST_KEEP=1.
        if self.own.is_none() {
            return;
        }
        if std::env::var_os("KUBEWRIGHT_TEST_KEEP").is_some() && std::thread::panicking() {
            return;
        }
        let output = self.command(&["destroy", "--yes"]).output().expect("destroy starts");
        let failed_before = std::thread::panicking();
        assert!(output.status.success() || failed_before, "destroy failed: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The program: the one that Cargo built, or another build of it (`KUBEWRIGHT_TEST_PROGRAM`).
pub fn program() -> PathBuf {
    std::env::var_os("KUBEWRIGHT_TEST_PROGRAM").map_or_else(|| env!("CARGO_BIN_EXE_kubewright").into(), PathBuf::from)
}

/// What a command did.
pub struct Run {
    args: String,
    /// How long it took.
    pub elapsed: Duration,
    output: Output,
}

impl Run {
    /// Runs a command to its end.
    pub fn of(mut command: Command) -> Self {
        let args: Vec<String> = command.get_args().map(|a| a.to_string_lossy().into_owned()).collect();
        let begun = Instant::now();
        let output = command.output().expect("the program starts");
        let run = Self { args: args.join(" "), elapsed: begun.elapsed(), output };
        eprintln!("--- kubewright {} → {} in {:.1} s", run.args, run.code(), run.elapsed.as_secs_f64());
        run
    }

    /// Its exit code.
    pub fn code(&self) -> i32 {
        self.output.status.code().unwrap_or(-1)
    }

    /// Standard output.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    /// Standard error.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    /// Demands an exit code, and shows everything where it is another.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code(), code, "kubewright {}\nstdout:\n{}\nstderr:\n{}", self.args, self.stdout(), self.stderr());
        self
    }

    /// The JSON events on standard output.
    pub fn events(&self) -> Vec<Value> {
        self.stdout().lines().filter_map(|l| serde_json::from_str(l).ok()).collect()
    }

    /// `(host, task name)` of everything that changed something, from JSON events.
    pub fn changed(&self) -> Vec<(String, String)> {
        let text = |e: &Value, key: &str| e[key].as_str().unwrap_or_default().to_owned();
        self.events()
            .iter()
            .filter(|e| e["event"] == "task_finished" && e["status"] == "changed")
            .map(|e| (text(e, "host"), text(e, "name")))
            .collect()
    }
}

/// Runs docker and demands that it works.
#[track_caller]
pub fn docker(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).output().expect("docker is installed by `make engine`");
    assert!(output.status.success(), "docker {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Every file below a directory.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { out.extend(files(&path)) } else { out.push(path) }
    }
    out
}

/// How a watched run ended.
pub enum Ended {
    /// By us.
    Killed,
    /// With an exit code, and what it said of failures.
    Code(i32, String),
}

/// A run that stands still with the lock in its hands; it is killed (-9) when this value goes.
pub struct Held(std::process::Child);

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
