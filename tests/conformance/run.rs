//! Runs a case by ansible-core and by kubewright and collects what can be compared.

use super::{
    case::{Case, Run},
    machine::{Keys, Machine, USER},
    snapshot::{self, Snapshot},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Names in the inventory; all of them are one machine.
const INVENTORY: &str = "h1\nh2\nh3\n[web]\nh1\nh2\n[db]\nh3\n[all:vars]\n";

/// What one run of a case did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Did {
    pub run: Run,
    pub success: bool,
    pub tasks: BTreeMap<String, Vec<Task>>,
    pub recap: BTreeMap<String, BTreeMap<String, u64>>,
    pub changes: Snapshot,
    /// What the tool printed, to look at when something differs.
    pub output: String,
}

/// One task on one host.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Task {
    pub name: String,
    pub module: String,
    pub status: String,
    pub result: Value,
}

/// One side of the comparison.
pub struct Side<'a> {
    pub machine: &'a Machine,
    pub keys: &'a Keys,
    pub dir: PathBuf,
    /// The oracle's virtual environment; `None`: kubewright.
    pub oracle: Option<&'a Path>,
}

impl Side<'_> {
    /// Files that both tools need: inventory, known_hosts, ansible.cfg.
    pub fn prepare(&self) {
        let home = self.dir.join("home");
        std::fs::create_dir_all(home.join(".ssh")).expect("a home");
        let known = home.join(".ssh/known_hosts");
        std::fs::write(&known, format!("{} {}\n", self.machine.address, self.keys.host_line().trim())).expect("known_hosts");
        let vars = format!(
            "ansible_host={}\nansible_user={USER}\nansible_ssh_private_key_file={}\n{}",
            self.machine.address,
            self.keys.operator.display(),
            if self.oracle.is_some() { "ansible_python_interpreter=/usr/bin/python3\n" } else { "" }
        );
        std::fs::write(self.dir.join("machines.ini"), format!("{INVENTORY}{vars}")).expect("an inventory");
        let ssh = format!("-o ControlMaster=auto -o ControlPersist=60s -o UserKnownHostsFile={} -o IdentitiesOnly=yes", known.display());
        let config = format!(
            "[defaults]\ncallbacks_enabled = results\nhost_key_checking = True\nretry_files_enabled = False\nforks = 5\n[ssh_connection]\npipelining = True\nssh_args = {ssh}\ncontrol_path_dir = {}\n",
            self.dir.join("cp").display()
        );
        std::fs::write(self.dir.join("ansible.cfg"), config).expect("ansible.cfg");
    }

    /// All runs of a case. The machine is cleaned of what cases write to before.
    pub fn all(&self, case: &Case) -> Vec<Did> {
        self.machine.inside(
            "rm -rf /srv/t /tmp/t /root/.gnupg; mkdir -m 755 /srv/t /tmp/t; chown ubuntu: /tmp/t\n\
             dpkg-query -W -f '${Package}\\n' 'kw-*' 2>/dev/null | xargs -r apt-get purge -qq -y >/dev/null 2>&1 || :",
        );
        case.runs.iter().map(|run| self.one(case, *run)).collect()
    }

    fn one(&self, case: &Case, run: Run) -> Did {
        let before = snapshot::take(self.machine);
        // Playbooks may write beside themselves: each side has a copy.
        let work = self.dir.join("case");
        if run == case.runs[0] {
            let _ = std::fs::remove_dir_all(&work);
            copy(&case.dir, &work);
        }
        let out = self.dir.join("results.jsonl");
        let mut command = match self.oracle {
            Some(venv) => {
                let mut command = Command::new(venv.join("bin/python"));
                command.arg(venv.join("bin/ansible-playbook"));
                command.env("ANSIBLE_COLLECTIONS_PATH", venv.join("collections"));
                command.env("ANSIBLE_CALLBACK_PLUGINS", Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/oracle"));
                command.env("CONFORMANCE_OUT", &out).env("ANSIBLE_HOME", self.dir.join("ansible"));
                command.env("PATH", format!("{}:{}", venv.join("bin").display(), std::env::var("PATH").unwrap_or_default()));
                command
            }
            None => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_kubewright"));
                command.args(["playbook", "--format", "json", "-v"]);
                command
            }
        };
        command
            .env("HOME", self.dir.join("home"))
            .env("ANSIBLE_CONFIG", self.dir.join("ansible.cfg"))
            .env("CONFORMANCE_ENV", "from outside");
        command.env_remove("SSH_AUTH_SOCK").env_remove("KUBEWRIGHT_INVENTORY").current_dir(&work).stdin(Stdio::null());
        command.arg("-i").arg(self.dir.join("machines.ini"));
        for own in ["hosts.ini", "hosts.yml"] {
            if case.dir.join(own).exists() {
                command.args(["-i", own]);
            }
        }
        command.args(&case.args).arg("play.yml");
        if run == Run::Check {
            command.arg("--check");
        }
        let said = command.output().expect("the program starts");
        let stdout = String::from_utf8_lossy(&said.stdout).into_owned();
        let output = format!("{stdout}{}", String::from_utf8_lossy(&said.stderr));
        let events = if self.oracle.is_some() { std::fs::read_to_string(&out).unwrap_or_default() } else { stdout };
        let _ = std::fs::remove_file(&out);
        let events = events.replace(&self.machine.address, "ADDRESS").replace(&self.dir.display().to_string(), "DIR");
        let (tasks, recap) = if self.oracle.is_some() { theirs(&events) } else { ours(&events) };
        let after = snapshot::take(self.machine);
        Did { run, success: said.status.success(), tasks, recap, changes: snapshot::delta(&before, &after), output }
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry").path();
        let target = to.join(entry.file_name().expect("a name"));
        if entry.is_dir() {
            copy(&entry, &target);
        } else {
            std::fs::copy(&entry, &target).expect("a copy");
        }
    }
}

type Tasks = BTreeMap<String, Vec<Task>>;
type Recap = BTreeMap<String, BTreeMap<String, u64>>;

fn lines(text: &str) -> impl Iterator<Item = Value> {
    text.lines().filter_map(|l| serde_json::from_str(l).ok())
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

fn short(module: &str) -> String {
    module.rsplit('.').next().unwrap_or_default().to_owned()
}

fn theirs(events: &str) -> (Tasks, Recap) {
    let (mut tasks, mut recap) = (Tasks::new(), Recap::new());
    for event in lines(events) {
        let host = text(&event, "host");
        if event["event"] == "recap" {
            let counts = event["counts"].as_object().expect("counts");
            // `ansible` and `kubewright` name two of them differently.
            let name = |k: &str| match k {
                "failures" => "failed".to_owned(),
                k => k.to_owned(),
            };
            recap.insert(host, counts.iter().map(|(k, v)| (name(k), v.as_u64().unwrap_or_default())).collect());
            continue;
        }
        let module = short(&text(&event, "module"));
        // An include that cannot be loaded is told of twice: as done, and as failed.
        let before = tasks.get_mut(&host).filter(|t| t.last().is_some_and(|t| t.name == text(&event, "task") && t.status == "ok"));
        if module.starts_with("include_") && text(&event, "status") == "failed" {
            before.map(Vec::pop);
        }
        tasks.entry(host).or_default().push(Task {
            name: text(&event, "task"),
            module,
            status: text(&event, "status"),
            result: event["result"].clone(),
        });
    }
    (tasks, recap)
}

fn ours(events: &str) -> (Tasks, Recap) {
    let (mut tasks, mut recap, mut modules) = (Tasks::new(), Recap::new(), BTreeMap::new());
    for event in lines(events) {
        let host = text(&event, "host");
        match event["event"].as_str().unwrap_or_default() {
            "task_started" => {
                modules.insert((host, event["task"].as_u64()), text(&event, "module"));
            }
            "task_finished" => {
                let module = modules.get(&(host.clone(), event["task"].as_u64())).cloned().unwrap_or_default();
                let status = match text(&event, "status") {
                    s if s == "rescued" => "failed".to_owned(),
                    s => s,
                };
                let mut result = event["result"].clone();
                if result.is_null() {
                    result = serde_json::json!({"censored": true, "msg": event["message"]});
                }
                tasks.entry(host).or_default().push(Task { name: text(&event, "name"), module: short(&module), status, result });
            }
            "recap" => {
                for pair in event["hosts"].as_array().into_iter().flatten() {
                    let counts = pair[1].as_object().expect("counts");
                    let counts = counts.iter().map(|(k, v)| (k.clone(), v.as_u64().unwrap_or_default())).collect();
                    recap.insert(pair[0].as_str().unwrap_or_default().to_owned(), counts);
                }
            }
            _ => {}
        }
    }
    (tasks, recap)
}
