//! Machines to compare on: containers of the lab's node image, alike but for the Python packages that ansible-core's modules need.

use kubewright::{event::Events, infra::lab::node_image, spec::LabSettings};
use sha2::{Digest as _, Sha256};
use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

/// Login of the lab's nodes.
pub const USER: &str = "ubuntu";

/// A running machine; gone when it is dropped.
pub struct Machine {
    name: String,
    /// Its address on Docker's network.
    pub address: String,
}

/// Keys that all machines of a run share.
pub struct Keys {
    /// The operator's private key.
    pub operator: PathBuf,
    host: PathBuf,
}

impl Keys {
    pub fn new(dir: &Path) -> Self {
        let make = |name: &str| {
            let path = dir.join(name);
            let said = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"]).arg(&path).status();
            assert!(said.expect("ssh-keygen starts").success(), "ssh-keygen failed");
            path
        };
        Self { operator: make("operator"), host: make("host") }
    }

    pub fn host_line(&self) -> String {
        read(&self.host.with_extension("pub"))
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Runs docker; its output, or a panic that says what it said.
pub fn docker(args: &[&str], stdin: Option<&[u8]>) -> Vec<u8> {
    let output = docker_output(args, stdin);
    assert!(output.status.success(), "docker {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn docker_output(args: &[&str], stdin: Option<&[u8]>) -> Output {
    let mut command = Command::new("docker");
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("docker starts");
    let mut input = child.stdin.take().expect("its input");
    let text = stdin.unwrap_or_default().to_vec();
    let feed = std::thread::spawn(move || drop(input.write_all(&text)));
    let output = child.wait_with_output().expect("docker ends");
    feed.join().expect("its input was fed");
    output
}

/// Hash of parts, short: images and cached results are named by it.
pub fn hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(6).map(|b| format!("{b:02x}")).collect()
}

/// Where the image's recipe is.
fn recipe() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/machine")
}

/// Images for the oracle and for kubewright, named by what they are made from.
pub fn images() -> (String, String) {
    let settings = LabSettings { docker: None, image: "debian:12".to_owned(), resolved: false };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let node = runtime.block_on(node_image(&settings, &Events::none())).unwrap_or_else(|e| panic!("the lab's node image: {e}"));
    let [dockerfile, setup, packages] = ["Dockerfile", "setup", "packages"].map(|name| read(&recipe().join(name)));
    let key = hash([&node, &dockerfile, &setup, &packages].map(String::as_bytes));
    let image = |python: &str| {
        let name = format!("kubewright-conformance/{}:{key}", if python.is_empty() { "plain" } else { "python" });
        if docker(&["images", "-q", &name], None).is_empty() {
            eprintln!("building {name}");
            let context = recipe();
            let file = format!("FROM {node}\n{dockerfile}");
            let args =
                ["build", "-q", "-t", &name, "--build-arg", &format!("PYTHON={python}"), "-f", "-", context.to_str().expect("a path")];
            docker(&args, Some(file.as_bytes()));
        }
        name
    };
    (image("1"), image(""))
}

impl Machine {
    /// Starts one and waits until it answers.
    pub fn start(role: &str, image: &str, keys: &Keys) -> Self {
        let name = format!("kubewright-conformance-{role}-{}", std::process::id());
        let mut machine = Self { name, address: String::new() };
        #[rustfmt::skip]
        let args = [
            "create", "--name", &machine.name, "--hostname", "machine", "--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE", "--cap-drop", "SYS_TIME",
            "--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined", "--security-opt", "systempaths=unconfined",
            "--device-cgroup-rule", "a *:* rwm", "--cgroupns", "private", "--tmpfs", "/run:exec,mode=755", "--tmpfs", "/tmp:exec,mode=1777",
            "--memory", "1g", image,
        ];
        docker(&args, None);
        let put = |path: &str, mode: &str, text: &str| machine.put(path, mode, text);
        put("etc/ssh/ssh_host_ed25519_key", "0600", &read(&keys.host));
        put("etc/ssh/ssh_host_ed25519_key.pub", "0644", &keys.host_line());
        let data = format!("NODE=machine\nADDRESS=127.0.1.1\nLOGIN={USER}\nRESOLVERS=\nRESOLVED=0\nKEYS_AFTER=0\nLOCK_FOR=0\n");
        put("etc/kubewright-lab/user-data", "0644", &data);
        put("etc/kubewright-lab/authorized_keys", "0644", &read(&keys.operator.with_extension("pub")));
        put(
            "etc/kubewright-lab/meminfo",
            "0444",
            "MemTotal: 1048576 kB\nMemFree: 900000 kB\nMemAvailable: 950000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n",
        );
        put("etc/kubewright-lab/security-groups.nft", "0600", "");
        docker(&["start", &machine.name], None);
        let address = docker(&["inspect", "-f", "{{.NetworkSettings.IPAddress}}", &machine.name], None);
        String::from_utf8_lossy(&address).trim().clone_into(&mut machine.address);
        let begun = Instant::now();
        loop {
            let said = docker_output(
                &["exec", &machine.name, "sh", "-c", "systemctl is-system-running; test -e /var/lib/cloud/instance/boot-finished"],
                None,
            );
            let state = String::from_utf8_lossy(&said.stdout).trim().to_owned();
            if said.status.success() && (state == "running" || state == "degraded") {
                return machine;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "{} did not boot: {state} {}",
                machine.name,
                String::from_utf8_lossy(&said.stderr)
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn put(&self, path: &str, mode: &str, text: &str) {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(u32::from_str_radix(mode, 8).expect("a mode"));
        header.set_cksum();
        archive.append_data(&mut header, path, text.as_bytes()).expect("an entry");
        docker(&["cp", "-", &format!("{}:/", self.name)], Some(&archive.into_inner().expect("an archive")));
    }

    /// Runs a script in it as root, behind the tools' backs.
    pub fn inside(&self, script: &str) -> String {
        String::from_utf8_lossy(&docker(&["exec", "-i", &self.name, "sh"], Some(script.as_bytes()))).into_owned()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if self.name.is_empty() || std::env::var_os("KUBEWRIGHT_TEST_KEEP").is_some() {
            return;
        }
        let _ = docker_output(&["rm", "-f", "-v", &self.name], None);
    }
}
