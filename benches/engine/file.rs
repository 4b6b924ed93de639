//! A large file to four hosts at once: by `copy`, and by as many `ssh HOST 'cat > FILE'`.

use super::{
    machine::{Machine, USER},
    process,
    table::{Page, Spread},
    tools::Site,
};
use std::{
    fs,
    io::{Read as _, Write as _},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const PLAY: &str = "- hosts: all\n  gather_facts: false\n  tasks:\n    - copy: {src: large, dest: /tmp/large}\n";

/// See the module.
pub fn measure(machines: &[Machine], site: &Site, key: &Path, page: &mut Page) {
    let mib: u64 = std::env::var("FILE_MIB").ok().and_then(|m| m.parse().ok()).unwrap_or(1024);
    let large = site.dir().join("large");
    let mut out = fs::File::create(&large).expect("a file");
    // Nothing that compresses.
    let mut random = fs::File::open("/dev/urandom").expect("random numbers").take(mib << 20);
    std::io::copy(&mut random, &mut out).expect("a file");
    out.flush().expect("a file");
    fs::write(site.dir().join("large.yml"), PLAY).expect("a playbook");
    let clear = || {
        for machine in machines {
            machine.inside("rm -f /tmp/large /srv/large");
        }
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..super::runs().min(3) {
        clear();
        ours.push(process::must(&mut site.kubewright("large.yml"), &site.dir().join("said")).wall);
        clear();
        theirs.push(by_ssh(machines, site, key, &large));
    }
    clear();
    fs::remove_file(&large).expect("a file");
    let (ours, theirs) = (Spread::of(&ours), Spread::of(&theirs));
    page.line("");
    page.line(&format!("**A file of {mib} MiB to four hosts at once**"));
    page.line("");
    page.line("| | s | MiB/s in all | share of ssh's |\n| --- | --- | --- | --- |");
    for (name, spread) in [("kubewright, `copy`", ours), ("`ssh HOST 'cat > FILE'` × 4", theirs)] {
        let rate = mib as f64 * 4.0 / spread.median;
        page.line(&format!("| {name} | {spread} | {rate:.0} | {:.2} |", theirs.median / spread.median));
    }
}

fn by_ssh(machines: &[Machine], site: &Site, key: &Path, large: &Path) -> Duration {
    let begun = Instant::now();
    let children: Vec<_> = machines
        .iter()
        .map(|machine| {
            Command::new("ssh")
                .args([
                    "-o",
                    &format!("UserKnownHostsFile={}", site.dir().join("home/.ssh/known_hosts").display()),
                    "-o",
                    "BatchMode=yes",
                    "-i",
                ])
                .arg(key)
                .arg(format!("{USER}@{}", machine.address))
                .arg("cat > /tmp/large")
                .stdin(Stdio::from(fs::File::open(large).expect("the file")))
                .spawn()
                .expect("ssh starts")
        })
        .collect();
    for mut child in children {
        assert!(child.wait().expect("it ends").success(), "ssh failed");
    }
    begun.elapsed()
}
