//! What breaks, and what the program must say of it.

use super::support::Lab;
use std::{
    fs,
    time::{Duration, Instant},
};

/// Waits until a condition of the lab is true; a deadline is a failure that says what was waited for.
pub fn wait(what: &str, within: Duration, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < within, "{what} did not happen within {within:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// UDP 4789 is no longer let into worker-2.
pub fn vxlan_rule(lab: &Lab) {
    lab.inside("worker-2", "nft insert rule inet kubewright_sg ingress udp dport 4789 drop");
    let report = super::report(lab, 5);
    let red = super::failed(&report).join("\n");
    assert!(red.contains("worker-2") && red.contains("worker-1"), "the pair is named: {red}");
    let plan = lab.run(&["plan"]).expect(3).stdout();
    assert!(plan.contains("worker-2") && plan.contains("rule"), "the plan names the rule: {plan}");
    lab.run(&["bootstrap", "--yes", "--no-verify"]).expect(0);
    assert_eq!(super::failed(&super::report(lab, 0)), Vec::<String>::new(), "mended by bootstrap");
}

/// `reboot` inside a machine is a reboot.
pub fn reboot(lab: &Lab) {
    let started = |lab: &Lab| lab.inside("worker-3", "cut -d' ' -f22 /proc/1/stat");
    let before = started(lab);
    lab.inside("worker-3", "systemctl reboot || true");
    let container = lab.container("worker-3");
    wait("worker-3 is back with a new PID 1", Duration::from_secs(60), || {
        let out = std::process::Command::new("docker").args(["exec", &container, "cut", "-d ", "-f22", "/proc/1/stat"]).output();
        out.is_ok_and(|o| o.status.success() && String::from_utf8_lossy(&o.stdout) != before)
    });
    lab.run(&["bootstrap", "--yes", "--no-verify"]).expect(0);
    wait("a green report after the reboot", Duration::from_secs(120), || lab.run(&["verify"]).code() == 0);
}

/// A worker whose container is paused answers nothing: the others finish, it is named, the exit code is 4.
pub fn stopped_worker(lab: &Lab) {
    let container = lab.container("worker-2");
    super::docker(&["pause", &container]);
    lab.inside("worker-1", "sysctl -w net.ipv4.ip_forward=0");
    let begun = Instant::now();
    let run = lab.run(&["playbook", "playbooks/prerequisites.yml", "--format", "json"]);
    super::docker(&["unpause", &container]);
    let run = run.expect(4);
    assert!(begun.elapsed() < Duration::from_secs(60), "it ends soon: {:?}", begun.elapsed());
    assert_eq!(run.changed().iter().map(|(h, _)| h.as_str()).collect::<Vec<_>>(), ["worker-1"], "worker-1 was mended meanwhile");
    let lost = run.events().into_iter().find(|e| e["event"] == "host_lost").expect("worker-2 is reported");
    assert_eq!(lost["host"], "worker-2", "{lost}");
}

/// Each ends soon, with one clear cause, and touches nothing.
pub fn access(lab: &Lab) {
    let file = lab.inventory().join("cluster.yaml");
    let good = fs::read_to_string(&file).expect("cluster.yaml");
    let key = lab.inside("control-plane-1", "cut -d' ' -f1-2 /etc/ssh/ssh_host_ed25519_key.pub");
    let host = format!("{{name: control-plane-1, address: 172.30.0.10, pool: control-plane, host_key: {}}}", key.trim());
    let stranger = format!(
        "cluster: e2e\nprovider: static\npools: []\nhosts: [{host}]\naccess: {{user: nobody-of-that-name, key: other/id_ed25519}}\n"
    );
    let cases = [
        ("wrong user", stranger, "control-plane-1", "authentication as nobody-of-that-name refused"),
        ("wrong key", format!("{good}access: {{key: other/id_ed25519}}\n"), "worker-1", "authentication as ubuntu refused"),
    ];
    let keygen = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg({
            fs::create_dir_all(lab.inventory().join("other")).expect("a directory");
            lab.inventory().join("other/id_ed25519")
        })
        .status()
        .expect("ssh-keygen");
    assert!(keygen.success());
    for (name, text, host, expected) in cases {
        fs::write(&file, text).expect("cluster.yaml");
        let begun = Instant::now();
        let run = lab.run(&["ssh", host, "true"]);
        assert_eq!(run.code(), 4, "{name}: {}", run.stderr());
        assert!(run.stderr().replace("\n  │ ", " ").contains(expected), "{name}: {}", run.stderr());
        assert!(begun.elapsed() < Duration::from_secs(30), "{name} took {:?}", begun.elapsed());
    }
    // A machine that just boots may refuse its user's key for minutes; these are old.
    let begun = Instant::now();
    let run = lab.run(&["bootstrap", "--yes"]);
    assert_eq!(run.code(), 4, "{}", run.stderr());
    assert!(run.stderr().replace("\n  │ ", " ").contains("authentication as ubuntu refused"), "{}", run.stderr());
    assert!(begun.elapsed() < Duration::from_secs(60), "bootstrap took {:?}", begun.elapsed());
    fs::write(&file, format!("{good}pods: {{}}\nnetwork: {{pods: 172.30.0.0/16}}\n")).expect("cluster.yaml");
    let run = lab.run(&["bootstrap", "--yes"]).expect(2);
    assert!(run.stderr().contains("cluster.yaml:"), "{}", run.stderr());
    fs::write(&file, &good).expect("cluster.yaml");
    // The machine shows another host key than the provider knows: never accepted, never retried.
    lab.inside("worker-1", "cp -a /etc/ssh /root/ssh-backup && rm /etc/ssh/ssh_host_ed25519_key* && ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key && systemctl restart ssh");
    let begun = Instant::now();
    let run = lab.run(&["ssh", "worker-1", "true"]).expect(4);
    assert!(run.stderr().contains("host key mismatch"), "{}", run.stderr());
    assert!(begun.elapsed() < Duration::from_secs(15), "no retry: {:?}", begun.elapsed());
    lab.inside("worker-1", "cp -a /root/ssh-backup/. /etc/ssh/ && rm -rf /root/ssh-backup && systemctl restart ssh");
    lab.run(&["ssh", "worker-1", "true"]).expect(0);
}

/// A playbook of a user's own, beside the inventory.
fn playbook(lab: &Lab, name: &str, tasks: &str) -> String {
    let path = lab.inventory().join(format!("{name}.yml"));
    fs::write(&path, format!("- hosts: worker-1\n  become: true\n  gather_facts: false\n  tasks:\n{tasks}")).expect("a playbook");
    path.to_string_lossy().into_owned()
}

/// A package source that does not answer, a full disk, a jump host that is gone: each ends soon, with its cause, and leaves no
/// half file.
pub fn causes(lab: &Lab) {
    let soon = |begun: Instant, what: &str| assert!(begun.elapsed() < Duration::from_secs(90), "{what} took {:?}", begun.elapsed());

    let begun = Instant::now();
    let apt = playbook(lab, "apt", "    - apt: {name: tree, update_cache: true}\n");
    lab.inside("worker-1", "ip route add blackhole 172.30.0.5/32; for f in $(grep -rhoE 'https?://[a-z0-9.-]+' /etc/apt/sources.list* | sed 's#.*//##' | grep -v '^[0-9.]*$' | sort -u); do echo \"127.0.0.1 $f\" >>/etc/hosts; done");
    let run = lab.run(&["playbook", &apt, "--format", "plain"]).expect(4);
    let said = format!("{}{}", run.stdout(), run.stderr());
    assert!(
        said.contains("worker-1") && said.contains("apt-get update failed") && said.contains("172.30.0.5/apt"),
        "the cause is named: {said}"
    );
    soon(begun, "apt without its source");
    lab.inside(
        "worker-1",
        "ip route del blackhole 172.30.0.5/32; sed '/^127.0.0.1 .*\\./d' /etc/hosts >/run/hosts; cat /run/hosts >/etc/hosts",
    );
    lab.run(&["bootstrap", "--yes", "--no-verify"]).expect(0);

    let begun = Instant::now();
    lab.inside("worker-1", "mkdir -p /mnt/small && mount -t tmpfs -o size=64k tmpfs /mnt/small");
    let big = "x".repeat(200_000);
    let copy = playbook(lab, "copy", &format!("    - copy: {{dest: /mnt/small/file, content: {big}}}\n"));
    let run = lab.run(&["playbook", &copy, "--format", "plain"]).expect(4);
    let said = format!("{}{}", run.stdout(), run.stderr());
    assert!(said.contains("No space left"), "{said}");
    assert_eq!(lab.inside("worker-1", "ls -A /mnt/small; umount /mnt/small").trim(), "", "no half file is left");
    soon(begun, "a full disk");

    let control_plane = lab.container("control-plane-1");
    super::docker(&["pause", &control_plane]);
    let begun = Instant::now();
    let run = lab.run(&["ssh", "worker-1", "true"]);
    super::docker(&["unpause", &control_plane]);
    let run = run.expect(4);
    assert!(run.stderr().contains("control-plane-1"), "the jump host is named: {}", run.stderr());
    soon(begun, "a jump host that does not answer");
}
