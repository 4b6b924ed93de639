//! The tools, each told of the same hosts.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// russh and one hand-written program.
    Floor,
    /// This project.
    Kubewright,
    /// pyinfra 3.
    Pyinfra,
    /// ansible-core with mitogen's strategy.
    Mitogen,
    /// ansible-core with pipelining and ControlPersist.
    Ansible,
}

impl Tool {
    /// All of them, the quickest first.
    pub const ALL: [Self; 5] = [Self::Floor, Self::Kubewright, Self::Pyinfra, Self::Mitogen, Self::Ansible];

    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Kubewright => "kubewright",
            Self::Pyinfra => "pyinfra",
            Self::Mitogen => "ansible-core with mitogen",
            Self::Ansible => "ansible-core, pipelining",
        }
    }
}

/// Hosts as one set of tools sees them: by their addresses, or through relays.
pub struct Site {
    dir: PathBuf,
    key: PathBuf,
    hosts: Vec<(String, u16)>,
    venv: PathBuf,
}

impl Site {
    /// Writes what the tools read into `dir`.
    pub fn new(dir: &Path, user: &str, key: &Path, host_line: &str, hosts: Vec<(String, u16)>, venv: &Path) -> Self {
        let home = dir.join("home/.ssh");
        fs::create_dir_all(&home).expect("a home");
        let (mut known, mut ini, mut py) = (String::new(), String::new(), String::from("hosts = [\n"));
        for (i, (address, port)) in hosts.iter().enumerate() {
            writeln!(known, "[{address}]:{port} {host_line}\n{address} {host_line}").expect("text");
            writeln!(ini, "h{i} ansible_host={address} ansible_port={port}").expect("text");
            writeln!(py, "    ('{address}', {{'ssh_port': {port}, 'ssh_user': '{user}', 'ssh_key': '{}', '_sudo': True}}),", key.display())
                .expect("text");
        }
        py.push_str("]\n");
        let vars =
            format!("ansible_user={user}\nansible_ssh_private_key_file={}\nansible_python_interpreter=/usr/bin/python3\n", key.display());
        let known_hosts = home.join("known_hosts");
        fs::write(&known_hosts, known).expect("known_hosts");
        fs::write(dir.join("hosts.ini"), format!("{ini}[all:vars]\n{vars}")).expect("an inventory");
        fs::write(dir.join("inventory.py"), py).expect("an inventory");
        let common = format!(
            "forks = 50\nretry_files_enabled = False\n{{strategy}}[ssh_connection]\npipelining = True\nssh_args = -o ControlMaster=auto -o \
             ControlPersist=60s -o UserKnownHostsFile={}\ncontrol_path_dir = {}\n",
            known_hosts.display(),
            dir.join("cp").display()
        );
        fs::write(dir.join("ansible.cfg"), format!("[defaults]\n{}", common.replace("{strategy}", ""))).expect("ansible.cfg");
        // Where the package is, as the Python of that environment says.
        let asked = Command::new(venv.join("bin/python"))
            .args(["-c", "import ansible_mitogen, os; print(os.path.dirname(ansible_mitogen.__file__))"])
            .output()
            .expect("python starts");
        let plugins = format!("{}/plugins/strategy", String::from_utf8_lossy(&asked.stdout).trim());
        let strategy = format!("strategy_plugins = {plugins}\nstrategy = mitogen_linear\n");
        fs::write(dir.join("mitogen.cfg"), format!("[defaults]\n{}", common.replace("{strategy}", &strategy))).expect("mitogen.cfg");
        for part in ["files", "templates"] {
            let from = super::workload().join(part);
            fs::create_dir_all(dir.join(part)).expect("a directory");
            for file in fs::read_dir(from).expect("a directory") {
                let file = file.expect("a file").path();
                fs::copy(&file, dir.join(part).join(file.file_name().expect("a name"))).expect("a copy");
            }
        }
        for file in ["site.yml", "deploy.py"] {
            fs::copy(super::workload().join(file), dir.join(file)).expect("a copy");
        }
        Self { dir: dir.to_owned(), key: key.to_owned(), hosts, venv: venv.to_owned() }
    }

    /// Where its files are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The command that does the work by this tool.
    pub fn command(&self, tool: Tool) -> Command {
        match tool {
            Tool::Floor => {
                let mut command = Command::new(std::env::current_exe().expect("this program"));
                command.arg("--floor").arg(&self.key).arg(super::workload().join("floor.sh"));
                command.args(self.hosts.iter().map(|(address, port)| format!("{address}:{port}")));
                command
            }
            Tool::Kubewright => self.kubewright("site.yml"),
            Tool::Pyinfra => {
                let mut command = self.python("pyinfra", "ansible.cfg");
                command.args(["-y", "inventory.py", "deploy.py"]);
                command
            }
            Tool::Mitogen => self.ansible("mitogen.cfg"),
            Tool::Ansible => self.ansible("ansible.cfg"),
        }
    }

    /// kubewright with a playbook of `dir`.
    pub fn kubewright(&self, playbook: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubewright"));
        self.at_home(&mut command, "ansible.cfg");
        command.env("XDG_STATE_HOME", self.dir.join("state")).args(["playbook", "--format", "ansible", "-i", "hosts.ini", playbook]);
        command
    }

    fn ansible(&self, config: &str) -> Command {
        let mut command = self.python("ansible-playbook", config);
        command.args(["-i", "hosts.ini", "site.yml"]);
        command
    }

    fn python(&self, program: &str, config: &str) -> Command {
        let mut command = Command::new(self.venv.join("bin/python"));
        command.arg(self.venv.join("bin").join(program));
        self.at_home(&mut command, config);
        command.env("ANSIBLE_HOME", self.dir.join("ansible"));
        command.env("PATH", format!("{}:{}", self.venv.join("bin").display(), std::env::var("PATH").unwrap_or_default()));
        command
    }

    fn at_home(&self, command: &mut Command, config: &str) {
        command.current_dir(&self.dir).env("HOME", self.dir.join("home")).env("ANSIBLE_CONFIG", self.dir.join(config));
        command.env_remove("SSH_AUTH_SOCK").env_remove("KUBEWRIGHT_INVENTORY");
    }
}
