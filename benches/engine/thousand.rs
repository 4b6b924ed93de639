//! Many hosts, simulated in a process of their own: what one more costs kubewright, and what ill ones cost the others.

use super::{process, table::Page};
use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const TASKS: usize = 20;

/// See the module.
pub fn measure(dir: &Path, key: &Path, page: &mut Page) {
    page.line("");
    page.line(&format!(
        "**Many hosts: {TASKS} tasks on SSH servers in one other process (real shells); processor time and memory of kubewright alone**"
    ));
    page.line("");
    page.line("| Hosts | wall s | processor ms a host | peak MiB | recap |\n| --- | --- | --- | --- | --- |");
    let counts = std::env::var("HOSTS").unwrap_or_else(|_| "10 100 1000".to_owned());
    for count in counts.split_whitespace() {
        run(dir, key, count, "well", page);
    }
    run(dir, key, "200", "ill", page);
}

fn run(dir: &Path, key: &Path, count: &str, health: &str, page: &mut Page) {
    let dir = dir.join(format!("many-{count}-{health}"));
    fs::create_dir_all(dir.join("home/.ssh")).expect("a directory");
    let mut servers = Servers::start(&dir, key, count, health);
    fs::rename(dir.join("known_hosts"), dir.join("home/.ssh/known_hosts")).expect("known_hosts");
    fs::write(dir.join("play.yml"), playbook()).expect("a playbook");
    let hosts: usize = count.parse().expect("a count");
    let log = dir.join("said");
    let command = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubewright"));
        command.args(["playbook", "--format", "ansible", "-i", "inventory.ini", "-f", count, "play.yml"]).current_dir(&dir);
        command.env("HOME", dir.join("home")).env("XDG_STATE_HOME", dir.join("state")).env_remove("SSH_AUTH_SOCK");
        command
    };
    // The first run does the work; the second one finds nothing to do.
    let first = process::run(&mut command(), &log);
    let again = process::run(&mut command(), &log);
    eprintln!("{hosts} {health}: first {:.1} s, again {:.1} s", first.wall.as_secs_f64(), again.wall.as_secs_f64());
    let well = again.said.lines().filter(|l| l.contains(" ok=") && l.contains("unreachable=0") && l.contains("failed=0")).count();
    let (expected, name) =
        if health == "ill" { (hosts - hosts / 10, format!("{hosts}, one in ten hangs or dies")) } else { (hosts, hosts.to_string()) };
    assert_eq!(well, expected, "{}", again.said);
    page.line(&format!(
        "| {name} | {:.1} | {:.1} | {:.0} | {well} done, {} lost |",
        again.wall.as_secs_f64(),
        again.cpu.as_secs_f64() * 1000.0 / hosts as f64,
        again.peak_mib.max(first.peak_mib),
        hosts - well
    ));
    servers.stop();
}

fn playbook() -> String {
    let kinds = [
        "file: {path: '{{ base }}/d%', state: directory, mode: '0755'}",
        "copy: {content: 'number %', dest: '{{ base }}/d0/c%', mode: '0644'}",
        "lineinfile: {path: '{{ base }}/lines', line: 'line %', create: true}",
        "command: 'true'\n      changed_when: false",
        "stat: {path: '{{ base }}/d0'}\n      register: s%",
    ];
    let mut text = "- hosts: all\n  gather_facts: false\n  tasks:\n".to_owned();
    for n in 0..TASKS {
        text.push_str(&format!("    - {}\n", kinds[n % kinds.len()].replace('%', &(n / kinds.len()).to_string())));
    }
    text
}

/// The other process.
struct Servers(Child);

impl Servers {
    fn start(dir: &Path, key: &Path, count: &str, health: &str) -> Self {
        let child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--simulated", count, health])
            .arg(key)
            .arg(dir)
            .stdin(Stdio::piped())
            .spawn()
            .expect("it starts");
        let begun = Instant::now();
        while !dir.join("inventory.ini").exists() {
            assert!(begun.elapsed() < Duration::from_secs(60), "the hosts do not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self(child)
    }

    fn stop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.stop();
    }
}
