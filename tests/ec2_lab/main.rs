//! End to end in one run: the program provisions against moto, an EC2 by others, and the instances that moto reports are lab
//! machines with the addresses and the user data of these instances. So SSH, the jump through the control plane, host keys
//! from user data (read by the real cloud-init) and the whole bootstrap run on what the EC2 provider returned.
//!
//! Nothing leaves this machine: moto's public addresses are loopback addresses, and the private ones are a Docker network.

#![expect(clippy::print_stderr, reason = "a long test says where it is")]

mod instances;
#[path = "../ec2/server.rs"]
mod server;

use kubewright::{
    event::Events,
    infra::{Provider as _, Provision, Volumes, lab::Lab},
    spec::{self, ClusterSpec, Provider},
};
use server::Server;
use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// One specification, two providers: the machines of the lab are those that EC2 is asked for.
fn cluster_yaml(provider: &str, endpoint: &str, provision: &Provision) -> String {
    let repository = provision
        .package_repository
        .as_ref()
        .map_or_else(String::new, |r| format!("  package_repository: {{url: '{}', key_url: '{}'}}\n", r.url, r.key_url));
    let registry = provision.image_registry.as_ref().map_or_else(String::new, |r| format!("  image_registry: '{r}'\n"));
    format!(
        "cluster: ec2-e2e\nprovider: {provider}\naws: {{region: eu-central-1, endpoint: '{endpoint}'}}\n\
         network: {{vpc: 172.26.0.0/16}}\naccess: {{key: id_ed25519, ssh_from: [172.26.0.1/32]}}\n\
         kubernetes:\n  containerd: 2\n{repository}{registry}"
    )
}

fn read(text: &str, directory: &Path) -> ClusterSpec {
    spec::load_str("cluster.yaml", text, directory).expect("the test's specification")
}

/// The program, as an operator of the account.
struct Program<'a>(&'a Path);

impl Program<'_> {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubewright"));
        command
            .args(args)
            .env("KUBEWRIGHT_INVENTORY", self.0.join("inventory"))
            .env("XDG_STATE_HOME", self.0.join("state"))
            .envs([("AWS_ACCESS_KEY_ID", "testing"), ("AWS_SECRET_ACCESS_KEY", "testing"), ("AWS_EC2_METADATA_DISABLED", "true")])
            .envs([("AWS_CONFIG_FILE", "/dev/null"), ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")])
            .env_remove("AWS_PROFILE")
            .env_remove("SSH_AUTH_SOCK")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str], code: i32) -> String {
        let begun = Instant::now();
        let output = self.command(args).output().expect("the program starts");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        eprintln!("--- kubewright {} → {:?} in {:.1} s", args.join(" "), output.status.code(), begun.elapsed().as_secs_f64());
        assert_eq!(output.status.code(), Some(code), "kubewright {}\nstdout:\n{out}\nstderr:\n{err}", args.join(" "));
        out.into_owned()
    }

    /// Starts it and kills it (-9) when a step says that so many of its parts are done.
    fn kill_at(&self, args: &[&str], done: u64) {
        let mut command = self.command(args);
        let mut child = command.args(["--format", "json"]).stdout(Stdio::piped()).spawn().expect("the program starts");
        let killed = BufReader::new(child.stdout.take().expect("its output")).lines().any(|line| {
            let event: serde_json::Value = serde_json::from_str(&line.expect("a line")).unwrap_or_default();
            let there = event["event"] == "step_progress" && event["done"] == done;
            if there {
                child.kill().expect("it can be killed");
            }
            there
        });
        child.wait().expect("it ends");
        assert!(killed, "kubewright {} ended before part {done}", args.join(" "));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn from_an_empty_account_to_a_verified_cluster_and_back() {
    let moto = Server::start("127.0.0.1");
    let dir = tempfile::tempdir().unwrap();
    let inventory = dir.path().join("inventory");
    fs::create_dir_all(inventory.join("group_vars")).unwrap();

    // The hypervisor's side.
    let mut spec = read(&cluster_yaml("lab", &moto.url(), &Provision::default()), &inventory);
    let Provider::Lab(settings) = &spec.provider else { panic!("a lab") };
    let lab = Lab::new(settings).unwrap();
    lab.destroy(&spec, Volumes::Delete, &Events::none()).await.unwrap();
    let provision = lab.prepare(&spec, &Events::none()).await.unwrap();
    spec = read(&cluster_yaml("lab", &moto.url(), &provision), &inventory);
    let stop = CancellationToken::new();
    let hypervisor = tokio::spawn(instances::follow(moto.url(), lab.clone(), spec.clone(), stop.clone()));

    // The operator's side: EC2's specification, and what is true of machines on this host.
    fs::write(inventory.join("cluster.yaml"), cluster_yaml("aws", &moto.url(), &provision)).unwrap();
    let mut vars = provision.variables.clone();
    if vars.get("lab_cgroup_v1") == Some(&true.into()) {
        vars.insert("ignore_preflight_errors".to_owned(), serde_json::json!(["SystemVerification"]));
    }
    fs::write(inventory.join("group_vars/all.yml"), serde_json::to_string(&vars).unwrap()).unwrap();
    let program = Program(dir.path());
    let walk = || walk(&program);
    let result = tokio::task::block_in_place(|| std::panic::catch_unwind(std::panic::AssertUnwindSafe(walk)));

    stop.cancel();
    let followed = hypervisor.await;
    if std::env::var_os("KUBEWRIGHT_TEST_KEEP").is_none() || result.is_ok() {
        lab.destroy(&spec, Volumes::Delete, &Events::none()).await.unwrap();
    }
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
    followed.expect("the hypervisor's side works");
}

/// One step of the walk, with its name and time in the output.
fn step(name: &str, work: impl FnOnce()) {
    eprintln!("=== {name}");
    let begun = Instant::now();
    work();
    eprintln!("=== {name}: {:.1} s", begun.elapsed().as_secs_f64());
}

fn rotation(program: &Program<'_>) {
    let keys = || program.run(&["host-keys", "list"], 0);
    let before = keys();
    assert_eq!(before.lines().count(), 4, "{before}");
    for data in user_data() {
        let once = data.lines().find_map(|l| l.trim().strip_prefix("ed25519_public: ")).expect("a one-time key");
        let once = once.split_whitespace().nth(1).expect("key data");
        assert!(!before.contains(once), "the key of the user data is no longer trusted");
    }
    // Before the new key is installed, and before the old one is dropped.
    for part in [2, 4] {
        program.kill_at(&["host-keys", "rotate", "worker-1"], part);
        assert_eq!(program.run(&["ssh", "worker-1", "hostname"], 0).trim(), "worker-1");
        assert_eq!(keys().lines().count(), 5, "the old key and the new one");
    }
    program.run(&["host-keys", "rotate", "worker-1"], 0);
    let after = keys();
    assert_eq!(after.lines().filter(|l| !before.contains(l)).count(), 1, "{before}{after}");
    assert_eq!(program.run(&["ssh", "worker-1", "hostname"], 0).trim(), "worker-1");
}

/// A Service and a claim as a cloud controller and a storage driver would have left them: each with its finalizer, and the
/// controllers' side played here.
const OUTSIDE: &str = "\
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default, finalizers: [service.kubernetes.io/load-balancer-cleanup]}
spec: {type: LoadBalancer, ports: [{port: 80}]}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: pv-data, finalizers: [external-provisioner.volume.kubernetes.io/finalizer]}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Delete
  storageClassName: gp3
  csi: {driver: ebs.csi.aws.com, volumeHandle: vol-0}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: default}
spec: {accessModes: [ReadWriteOnce], storageClassName: gp3, volumeName: pv-data, resources: {requests: {storage: 1Gi}}}
";

fn kubectl(args: &[&str], input: &str) -> String {
    let command = ["exec", "-i", "kubewright-ec2-e2e-control-plane-1", "kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf"];
    let mut child = Command::new("docker")
        .args(command)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("docker");
    child.stdin.take().expect("its input").write_all(input.as_bytes()).expect("it reads");
    String::from_utf8_lossy(&child.wait_with_output().expect("it ends").stdout).into_owned()
}

/// Waits, at most a minute, until `look` says so.
fn until(what: &str, look: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !look() {
        assert!(Instant::now() < end, "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(300));
    }
}

fn outside(program: &Program<'_>) {
    kubectl(&["apply", "-f", "-"], OUTSIDE);
    until("the claim is bound", || kubectl(&["get", "pvc", "data", "-o", "jsonpath={.status.phase}"], "") == "Bound");
    let plan = program.run(&["destroy", "--dry-run", "--retain-volumes"], 0);
    assert!(plan.contains("- load balancer of Service default/web") && !plan.contains("default/data"), "{plan}");
    assert!(program.run(&["destroy", "--dry-run"], 0).contains("- volume of claim default/data\n    pv-data"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let going =
                |kind: &str, name: &str| !kubectl(&["get", kind, name, "-o", "jsonpath={.metadata.deletionTimestamp}"], "").is_empty();
            let done =
                |kind: &str, name: &str| kubectl(&["patch", kind, name, "--type=merge", "-p", r#"{"metadata":{"finalizers":null}}"#], "");
            until("destroy deletes the Service", || going("service", "web"));
            done("service", "web");
            until("the claim goes", || kubectl(&["get", "pvc", "data", "--ignore-not-found", "-o", "name"], "").is_empty());
            kubectl(&["delete", "pv", "pv-data", "--wait=false"], "");
            done("pv", "pv-data");
        });
        program.run(&["destroy", "--yes"], 0);
    });
}

/// What the machines were launched with.
fn user_data() -> Vec<String> {
    let machines = ["control-plane-1", "worker-1", "worker-2", "worker-3"];
    machines
        .map(|machine| {
            let container = format!("kubewright-ec2-e2e-{machine}");
            let said = Command::new("docker").args(["exec", &container, "cat", "/var/lib/cloud/instance/user-data.txt"]).output();
            String::from_utf8_lossy(&said.expect("docker").stdout).into_owned()
        })
        .to_vec()
}

fn walk(program: &Program<'_>) {
    let plan = program.run(&["plan"], 3);
    assert!(plan.contains("+ instance worker-3") && plan.contains("USD a month"), "{plan}");
    // 0 means: the playbooks went through and the health report is green.
    program.run(&["bootstrap", "--yes", "--format", "plain"], 0);
    let nodes = program
        .run(&["kubectl", "--", "get", "nodes", "-o", "jsonpath={range .items[*]}{.metadata.name} {.spec.providerID}{'\\n'}{end}"], 0);
    let mut nodes: Vec<&str> = nodes.lines().collect();
    nodes.sort_unstable();
    assert_eq!(nodes.len(), 4, "{nodes:?}");
    for (node, address) in nodes.iter().zip(["0-10", "1-10", "2-10", "3-10"]) {
        let name = format!("ip-172-26-{address}.eu-central-1.compute.internal aws:///eu-central-1");
        assert!(node.starts_with(&name) && node.contains("/i-"), "{node}");
    }
    program.run(&["plan"], 0);
    step("user data is what cloud-init understands", || {
        let inside = ["exec", "kubewright-ec2-e2e-worker-1", "sh", "-c", "cloud-init schema --system 2>&1; cloud-init status"];
        let said = Command::new("docker").args(inside).output().expect("docker");
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.contains("Valid") && said.contains("status: done"), "{said}");
    });
    step("one-time host keys are replaced; a rotation that is killed goes on", || rotation(program));
    step("destroy takes away what controllers made outside the cluster, by these controllers, and first", || outside(program));
    assert_eq!(program.run(&["list"], 0), "", "the account is empty again");
    assert!(program.run(&["plan"], 3).contains("+ vpc vpc"), "and a plan begins at the beginning");
}
