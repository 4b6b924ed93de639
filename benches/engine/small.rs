//! Small things of which there are many: items of a loop, skipped tasks, the start itself.

use super::{
    process,
    table::{Page, Spread},
    tools::Site,
};
use std::{
    fs,
    io::Read as _,
    net::TcpListener,
    process::Stdio,
    time::{Duration, Instant},
};

/// See the module.
pub fn measure(near: &Site, far: &Site, page: &mut Page) {
    let loop_of = |n: usize| {
        format!("- hosts: all\n  gather_facts: false\n  tasks:\n    - command: test -d /srv\n      loop: \"{{{{ range({n}) | list }}}}\"\n")
    };
    let skipped = |n: usize| {
        let tasks = "    - command: 'false'\n      when: never\n".repeat(n);
        format!("- hosts: all\n  gather_facts: false\n  vars: {{never: false}}\n  tasks:\n    - command: 'true'\n{tasks}")
    };
    let [[one, hundred], [near_one, near_hundred]] =
        [far, near].map(|site| [1, 100].map(|n| time(site, &format!("loop-{n}.yml"), &loop_of(n))));
    let [none, many] = [0, 2000].map(|n| time(near, &format!("skipped-{n}.yml"), &skipped(n)));
    let started: Vec<Duration> = (0..super::runs()).map(|_| first_byte(near)).collect();
    page.line("");
    page.line("**Small things**");
    page.line("");
    page.line("| | |\n| --- | --- |");
    page.line(&format!(
        "| a loop of 100 commands on four hosts, against one command | {near_hundred} s, {near_one} s; with 100 ms of round-trip time \
         {hundred} s, {one} s: {:.1} round trips more |",
        ((hundred.median - one.median) - (near_hundred.median - near_one.median)) / (2.0 * super::DELAY.as_secs_f64())
    ));
    page.line(&format!(
        "| a skipped task on a host | {:.4} ms (2,000 of them on four hosts {many} s, none {none} s; reading them is in it) |",
        (many.median - none.median) * 1000.0 / 2000.0 / 4.0
    ));
    page.line(&format!("| from the start to the first byte on the wire | {:.1} ms |", Spread::of(&started).median * 1000.0));
}

fn time(site: &Site, name: &str, playbook: &str) -> Spread {
    fs::write(site.dir().join(name), playbook).expect("a playbook");
    let log = site.dir().join("said");
    let times: Vec<Duration> = (0..super::runs()).map(|_| process::must(&mut site.kubewright(name), &log).wall).collect();
    Spread::of(&times)
}

/// A host that only listens: when it hears the first byte.
fn first_byte(site: &Site) -> Duration {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let hosts = fs::read_to_string(site.dir().join("hosts.ini")).expect("an inventory");
    let vars = hosts.split_once("[all:vars]").expect("variables").1;
    fs::write(site.dir().join("silent.ini"), format!("s ansible_host=127.0.0.1 ansible_port={port}\n[all:vars]{vars}"))
        .expect("an inventory");
    let known = site.dir().join("home/.ssh/known_hosts");
    let mut lines = fs::read_to_string(&known).expect("known_hosts");
    let key = lines.lines().next().and_then(|l| l.split_once(' ')).expect("a line").1.to_owned();
    lines.push_str(&format!("[127.0.0.1]:{port} {key}\n"));
    fs::write(&known, lines).expect("known_hosts");
    let mut command = site.kubewright("site.yml");
    command.args(["-i", "silent.ini", "--limit", "s"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let begun = Instant::now();
    let mut child = command.spawn().expect("it starts");
    let (mut socket, _) = listener.accept().expect("it connects");
    socket.read_exact(&mut [0]).expect("it speaks");
    let heard = begun.elapsed();
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    heard
}
