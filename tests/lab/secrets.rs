//! No join token and no private key where others could read it: command lines while a bootstrap runs, events, logs, files on
//! this side and on the hosts.

use super::support::{Lab, Run, files};
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

/// Runs `work` while every command line on this machine is looked at; those inside the lab's containers are among them.
/// Fails if one holds a secret. A process must live a quarter of a second to be seen, as kubeadm does.
pub fn watching_command_lines<T>(work: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    let (result, (looked_at, found)) = thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let (mut looked_at, mut found) = (0_usize, BTreeSet::new());
            while !done.load(Ordering::Relaxed) {
                for entry in fs::read_dir("/proc").expect("/proc").flatten() {
                    let Ok(line) = fs::read(entry.path().join("cmdline")) else { continue };
                    let line = String::from_utf8_lossy(&line).replace('\0', " ");
                    looked_at += usize::from(line.contains("kubeadm"));
                    if is_secret(&line) {
                        found.insert(line);
                    }
                }
                thread::sleep(Duration::from_millis(250));
            }
            (looked_at, found)
        });
        let result = work();
        done.store(true, Ordering::Relaxed);
        (result, watcher.join().expect("the watcher"))
    });
    assert_eq!(found, BTreeSet::new(), "secrets on command lines");
    assert!(looked_at > 0, "the watcher saw kubeadm on the machines");
    result
}

/// What a bootstrap said, and what it left.
pub fn after_bootstrap(lab: &Lab, bootstrap: &Run) {
    assert!(bootstrap.events().len() > 50, "its events");
    for line in bootstrap.stdout().lines().chain(bootstrap.stderr().lines()) {
        assert!(!is_secret(line), "an event or a message holds a secret: {line}");
    }
    let kubeconfig = fs::read_to_string(lab.state().join("kubewright").join(&lab.name).join("kubeconfig")).expect("the cached kubeconfig");
    let key = kubeconfig.lines().find(|l| l.contains("client-key-data")).expect("a key").split(':').nth(1).unwrap_or_default();
    let key = key.trim().trim_matches(|c| c == '"' || c == ',').to_owned();
    assert!(key.len() > 100);
    for path in files(&lab.state()).into_iter().chain(files(&lab.inventory())) {
        let mode = fs::metadata(&path).expect("metadata").permissions().mode() & 0o777;
        let text = String::from_utf8_lossy(&fs::read(&path).expect("a file of ours")).into_owned();
        let secret = text.contains(&key) || text.contains("PRIVATE KEY");
        assert!(!secret || mode == 0o600, "{} holds a private key and has mode {mode:o}", path.display());
        if path.to_string_lossy().contains("/logs/") {
            assert!(!secret && !is_secret(&text), "{} holds a secret", path.display());
        }
    }
    let tokens = lab.inside("control-plane-1", "kubectl --kubeconfig /etc/kubernetes/admin.conf -n kube-system get secret --field-selector type=bootstrap.kubernetes.io/token -o name");
    assert_eq!(tokens.trim(), "", "join tokens are revoked");
    for node in ["control-plane-1", "worker-1"] {
        let left = lab.inside(node, "find /tmp /run /dev/shm /root /home -name '*kubewright*' -o -name 'kw-*' 2>/dev/null | head; grep -rlE '[a-z0-9]{6}\\.[a-z0-9]{16}' /tmp /root /home /etc/kubernetes/*.yaml 2>/dev/null || true");
        assert_eq!(left.trim(), "", "nothing is left behind on {node}");
    }
}

/// Whether a text holds a private key or a bootstrap token (`[a-z0-9]{6}.[a-z0-9]{16}`, as a word of its own).
fn is_secret(text: &str) -> bool {
    let word = |s: &str| s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let token = |w: &str| w.split_once('.').is_some_and(|(a, b)| a.len() == 6 && b.len() == 16 && word(a) && word(b));
    text.contains("PRIVATE KEY") || text.split(|c: char| !c.is_ascii_alphanumeric() && c != '.').any(token)
}

#[test]
fn secrets_are_known_by_their_form() {
    assert!(is_secret("kubeadm join --token abcdef.0123456789abcdef"));
    assert!(is_secret("-----BEGIN PRIVATE KEY-----"));
    assert!(!is_secret("kubeadm join --config /run/kubewright/blobs/1 kube-proxy.v1.36.3 192.168.100.100"));
}
