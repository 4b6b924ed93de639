//! Machines reached as somebody reaches them who has only OpenSSH's files: aliases, jump hosts, a key with a passphrase in an
//! agent, certificates of users and of hosts, hashed names in known_hosts.

use super::support::{Lab, Run};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

const CONFIG: &str = "\
Host cp
  HostName 172.30.0.10
Host w1 w2
  ProxyJump cp
Host w3
  ProxyCommand ssh -q -W %h:%p cp
Host w1
  HostName 172.30.1.10
Host w2
  HostName 172.30.2.10
Host w3
  HostName 172.30.3.10
Host *
  User ubuntu
  IdentityFile ~/.ssh/id_lab
";

/// An agent that ends with this value.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn keygen(args: &[&str]) {
    let output = Command::new("ssh-keygen").args(args).output().expect("ssh-keygen");
    assert!(output.status.success(), "ssh-keygen {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An agent that holds the key; its passphrase is told to ssh-add by a program.
fn agent(dir: &Path, key: &Path) -> (Agent, PathBuf) {
    let (socket, ask) = (dir.join("agent"), dir.join("ask"));
    fs::write(&ask, "#!/bin/sh\necho open sesame\n").expect("a program");
    let made = Command::new("chmod").arg("700").arg(&ask).status().expect("chmod");
    assert!(made.success());
    let agent = Agent(Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().expect("ssh-agent"));
    super::faults::wait("the agent's socket", std::time::Duration::from_secs(10), || socket.exists());
    let add = Command::new("ssh-add")
        .arg(key)
        .env("SSH_AUTH_SOCK", &socket)
        .env("SSH_ASKPASS", &ask)
        .env("SSH_ASKPASS_REQUIRE", "force")
        .stdin(Stdio::null())
        .output()
        .expect("ssh-add");
    assert!(add.status.success(), "{}", String::from_utf8_lossy(&add.stderr));
    (agent, socket)
}

/// The control plane and worker-1 know the key, worker-2 shows a host certificate, worker-3 knows only who signs users.
pub fn as_openssh_does(lab: &Lab) {
    let home = tempfile::tempdir().expect("a home");
    let ssh = home.path().join(".ssh");
    fs::create_dir(&ssh).expect("a directory");
    let file = |name: &str| ssh.join(name).to_string_lossy().into_owned();
    keygen(&["-q", "-t", "ed25519", "-N", "open sesame", "-C", "openssh-test", "-f", &file("id_lab")]);
    keygen(&["-q", "-t", "ed25519", "-N", "", "-f", &file("authority")]);
    keygen(&["-q", "-s", &file("authority"), "-I", "somebody", "-n", "ubuntu", "-V", "+1h", &file("id_lab.pub")]);
    let read = |name: &str| fs::read_to_string(ssh.join(name)).expect("a key").trim().to_owned();
    let (key, authority) = (read("id_lab.pub"), read("authority.pub"));

    for node in ["control-plane-1", "worker-1", "worker-2"] {
        lab.inside(node, &format!("echo '{key}' >>/home/ubuntu/.ssh/authorized_keys"));
    }
    fs::write(ssh.join("worker-2.pub"), lab.inside("worker-2", "cat /etc/ssh/ssh_host_ed25519_key.pub")).expect("a key");
    keygen(&["-q", "-s", &file("authority"), "-I", "worker-2", "-h", "-n", "172.30.2.10", "-V", "+1h", &file("worker-2.pub")]);
    let certificate = read("worker-2-cert.pub");
    lab.inside(
        "worker-2",
        &format!(
            "echo '{certificate}' >/etc/ssh/test-cert.pub; echo 'HostCertificate /etc/ssh/test-cert.pub' >/etc/ssh/sshd_config.d/test.conf; \
             systemctl reload ssh"
        ),
    );
    lab.inside(
        "worker-3",
        &format!(
            "echo '{authority}' >/etc/ssh/test-ca.pub; echo 'TrustedUserCAKeys /etc/ssh/test-ca.pub' >/etc/ssh/sshd_config.d/test.conf; \
             systemctl reload ssh"
        ),
    );

    let host_key = |node: &str| lab.inside(node, "cut -d' ' -f1-2 /etc/ssh/ssh_host_ed25519_key.pub").trim().to_owned();
    let plain = [("172.30.0.10", "control-plane-1"), ("172.30.1.10", "worker-1"), ("172.30.3.10", "worker-3")];
    let known: String = plain.iter().map(|(address, node)| format!("{address} {}\n", host_key(node))).collect();
    fs::write(ssh.join("known_hosts"), known).expect("known_hosts");
    keygen(&["-H", "-f", &file("known_hosts")]);
    let hashed = read("known_hosts");
    assert!(hashed.starts_with("|1|") && !hashed.contains("172.30"), "{hashed}");
    fs::write(ssh.join("known_hosts"), format!("{hashed}\n@cert-authority 172.30.2.* {authority}\n")).expect("known_hosts");
    fs::write(ssh.join("config"), CONFIG).expect("a configuration");
    let hosts = home.path().join("hosts.ini");
    fs::write(&hosts, "[all]\ncp\nw1\nw2\nw3\n").expect("an inventory");

    let (_agent, socket) = agent(home.path(), &ssh.join("id_lab"));
    let run = || {
        let mut command = lab.command(&["run", "-i", &hosts.to_string_lossy(), "all", "--", "hostname"]);
        command.env("HOME", home.path()).env("SSH_AUTH_SOCK", &socket).current_dir(home.path());
        Run::of(command)
    };
    let said = run().expect(0);
    let text = said.stdout() + &said.stderr();
    for node in ["control-plane-1", "worker-1", "worker-2", "worker-3"] {
        assert!(text.contains(node), "{node} in {text}");
    }

    // Another key for worker-1, and nobody who vouches for worker-2: both are refused, each with its reason; the others answer.
    let own = host_key("worker-1");
    let (own, other) = (own.split(' ').nth(1).expect("a key"), authority.split(' ').nth(1).expect("a key"));
    assert!(hashed.contains(own), "{hashed}");
    fs::write(ssh.join("known_hosts"), hashed.replace(own, other) + "\n").expect("known_hosts");
    let said = run().expect(4);
    let text = (said.stdout() + &said.stderr()).replace("\n  │ ", " ");
    assert!(text.contains("control-plane-1") && text.contains("worker-3"), "{text}");
    assert!(!text.contains("worker-1") && !text.contains("worker-2"), "{text}");
    assert!(text.contains("host key mismatch"), "{text}");

    for node in ["control-plane-1", "worker-1", "worker-2"] {
        lab.inside(node, "sed -i '/openssh-test/d' /home/ubuntu/.ssh/authorized_keys");
    }
    for node in ["worker-2", "worker-3"] {
        lab.inside(node, "rm /etc/ssh/sshd_config.d/test.conf /etc/ssh/test-*.pub; systemctl reload ssh");
    }
}
