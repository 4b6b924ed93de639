//! End-to-end: the real program, a real lab, a real kubeadm cluster. One lab serves the whole walk; a lab that cannot be
//! made is a failure, never a skip. The order of the steps is the order of a cluster's life.

#![expect(clippy::print_stderr, reason = "a long test says where it is")]

mod control_planes;
mod crash;
mod explained;
mod faults;
mod health;
mod mutations;
mod nodes;
mod openssh;
mod registries;
mod restore;
mod secrets;
#[path = "../ec2/server.rs"]
mod server;
mod support;

use serde_json::Value;
use std::{fs, time::Instant};
use support::{Lab, docker};

const CLUSTER: &str = "\
cluster: e2e
provider: lab
network: {vpc: 172.30.0.0/16}
addons: {metrics_server: true}
";

fn report(lab: &Lab, code: i32) -> Value {
    let run = lab.run(&["verify", "--format", "json"]);
    let report: Value = serde_json::from_str(&run.stdout()).expect("verify --format json prints one JSON document");
    assert_eq!(run.code(), code, "{:#?}", failed(&report));
    report
}

/// What failed or could not be seen. A warning says that this machine is slow just now, not that the cluster is broken.
fn failed(report: &Value) -> Vec<String> {
    let checks = report["checks"].as_array().expect("checks");
    let red = |c: &&Value| c["status"] != "passed" && c["status"] != "warning";
    let text = |c: &Value| format!("{} {} {}: {}", c["id"], c["status"], c["subject"], c["observed"]);
    checks.iter().filter(red).map(text).collect()
}

/// Steps that failed while the walk went on.
static FAILED: std::sync::Mutex<Vec<String>> = std::sync::Mutex::new(Vec::new());

/// One step of the walk, with its name and time in the output.
fn step(name: &str, work: impl FnOnce()) {
    if std::env::var("KUBEWRIGHT_TEST_STEP").is_ok_and(|words| !name.contains(&words)) {
        return;
    }
    eprintln!("=== {name}");
    let begun = Instant::now();
    // While developing: KUBEWRIGHT_TEST_GO_ON=1 shows what else fails. The test fails all the same.
    if std::env::var_os("KUBEWRIGHT_TEST_GO_ON").is_none() {
        work();
    } else if std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err() {
        FAILED.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(name.to_owned());
    }
    eprintln!("=== {name}: {:.1} s", begun.elapsed().as_secs_f64());
}

#[test]
fn a_clusters_life() {
    let lab = Lab::new(CLUSTER);
    // Minutes more: `make test-full`.
    let full = std::env::var_os("KUBEWRIGHT_TEST_FULL").is_some();
    step("plan of nothing says what would be made", || {
        let run = lab.run(&["plan"]).expect(3);
        assert!(run.stdout().contains("worker-3"), "{}", run.stdout());
        assert_eq!(lab.leftovers(), "", "a plan makes nothing");
    });
    step("bootstrap: four nodes Ready, report green, no secret on a command line, in an event, a log or a readable file", || {
        let run = secrets::watching_command_lines(|| lab.run(&["bootstrap", "--yes", "--format", "json"]).expect(0));
        secrets::after_bootstrap(&lab, &run);
        let report = report(&lab, 0);
        assert_eq!(failed(&report), Vec::<String>::new());
        let nodes = docker(&[
            "exec",
            &lab.container("control-plane-1"),
            "kubectl",
            "--kubeconfig",
            "/etc/kubernetes/admin.conf",
            "get",
            "nodes",
            "--no-headers",
        ]);
        assert_eq!(nodes.lines().filter(|l| l.split_whitespace().nth(1) == Some("Ready")).count(), 4, "{nodes}");
    });
    step("no Python on the nodes", || {
        assert_eq!(lab.inside("worker-1", "ls /usr/bin | grep -c ^python || true").trim(), "0");
    });
    step("a second bootstrap changes nothing and restarts nothing", || second_run(&lab));
    step("drift of one sysctl is found and mended, and nothing else", || {
        lab.inside("worker-2", "sysctl -w net.ipv4.ip_forward=0");
        let plan = lab.run(&["plan", "--format", "json"]).expect(3).changed();
        assert_eq!(plan.iter().map(|(h, _)| h.as_str()).collect::<Vec<_>>(), ["worker-2"], "{plan:?}");
        assert_eq!(lab.inside("worker-2", "cat /proc/sys/net/ipv4/ip_forward").trim(), "0", "a plan writes nothing");
        let done = lab.run(&["bootstrap", "--yes", "--no-verify", "--format", "json"]).expect(0).changed();
        assert_eq!(done, plan, "bootstrap does what the plan said");
        assert_eq!(lab.inside("worker-2", "cat /proc/sys/net/ipv4/ip_forward").trim(), "1");
    });
    step("without any local state: verify, plan, kubectl", || {
        fs::remove_dir_all(lab.state()).expect("the state directory");
        assert_eq!(failed(&report(&lab, 0)), Vec::<String>::new());
        lab.run(&["plan"]).expect(0);
        let pods = lab.run(&["kubectl", "--", "get", "pods", "-A", "-o", "name"]).expect(0).stdout();
        assert!(pods.contains("kube-flannel"), "{pods}");
    });
    step("metrics-server answers", || {
        faults::wait("metrics of worker-1", std::time::Duration::from_secs(60), || {
            lab.run(&["kubectl", "--", "get", "--raw", "/apis/metrics.k8s.io/v1beta1/nodes"]).stdout().contains("\"worker-1\"")
        });
    });
    step("run, ssh, playbook", || {
        let run = lab.run(&["run", "workers", "--", "hostname"]).expect(0);
        let text = format!("{}{}", run.stdout(), run.stderr());
        assert!(["worker-1", "worker-2", "worker-3"].iter().all(|w| text.contains(w)), "{text}");
        assert_eq!(lab.run(&["ssh", "worker-1", "hostname"]).expect(0).stdout().trim(), "worker-1");
        assert_eq!(lab.run(&["ssh", "worker-1", "exit", "7"]).code(), 7);
    });
    step("an OpenSSH user's aliases, jump hosts, agent and certificates", || openssh::as_openssh_does(&lab));
    step("a registry with a login, added to the specification", || registries::with_a_login(&lab));
    step("manifests of AWS's controllers are accepted", || registries::cloud(&lab));
    step("operations that cannot be right are refused", || nodes::wrong_requests(&lab));
    step("two operators at the same moment, and a dead one", || {
        nodes::second_operator(&lab);
        nodes::dead_holder(&lab, full);
    });
    step("a drain names what blocks it and leaves no cordon", || nodes::drain(&lab));
    step("workers are replaced while a Deployment serves", || nodes::replace_while_serving(&lab, full));
    step("scale out and in by cluster.yaml", || nodes::scale(&lab));
    step("reset, and back at once", || nodes::reset_and_back(&lab));
    step("a missing VXLAN rule makes the report red and names the nodes", || faults::vxlan_rule(&lab));
    let mut killed = String::new();
    step("a report is killed (-9) while its probes run", || killed = health::killed(&lab));
    step("reports of a healthy cluster: no false alarm, in time", || health::no_false_alarm(&lab, if full { 10 } else { 3 }));
    step("every check turns red, its neighbours stay green, and all is green after the repair", || every_fault(&lab, full));
    step("the killed report leaves nothing behind, a read-only one writes nothing", || {
        health::gone(&lab, &killed);
        health::read_only(&lab);
    });
    if full {
        step("verify --fix mends what is safe to mend, and nothing without a yes", || health::fixed(&lab));
        step("a support bundle has what is needed and no secret", || health::bundle(&lab));
    }
    step("a node survives a reboot", || faults::reboot(&lab));
    step("one worker stopped: the others finish, the report names it", || faults::stopped_worker(&lab));
    step("wrong keys, wrong user, wrong host key", || faults::access(&lab));
    step("no packages, a full disk, no jump host: one cause each", || faults::causes(&lab));
    step("a kubelet that cannot start, a static pod that crashes: the cause, soon", || {
        explained::kubelet(&lab);
        explained::static_pod(&lab);
    });
    step("destroy leaves nothing", || {
        lab.run(&["destroy", "--yes"]).expect(0);
        assert_eq!(lab.leftovers(), "");
        assert!(!lab.state().join("kubewright/e2e").exists(), "its local state is gone too");
    });
    let failed = FAILED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn crash_sample() {
    crash::sample();
}

/// `make test-full`: the control plane is lost, and comes back from a snapshot.
#[test]
fn snapshot_and_restore() {
    if std::env::var_os("KUBEWRIGHT_TEST_FULL").is_some() {
        restore::walk();
    }
}

/// `make test-full`: three control planes, about half an hour.
#[test]
fn three_control_planes() {
    if std::env::var_os("KUBEWRIGHT_TEST_FULL").is_some() {
        control_planes::walk();
    }
}

/// `make test-full`: all of the crash matrix, about an hour and a half.
#[test]
fn crash_matrix() {
    if std::env::var_os("KUBEWRIGHT_TEST_FULL").is_some() {
        crash::everything();
    }
}

/// The faults of docs/verify-coverage.md, batch by batch; without `full` those that take no minute.
fn every_fault(lab: &Lab, full: bool) {
    let run = |command: &mut std::process::Command| {
        let out = command.output().expect("docker");
        (out.status.success(), format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr)))
    };
    let inside =
        |node: &str, script: &str| run(std::process::Command::new("docker").args(["exec", &lab.container(node), "sh", "-c", script]));
    let host = |script: &str| run(std::process::Command::new("sh").args(["-c", script]));
    let container = |name: &str| if name == "mirror" { format!("kubewright-{}-mirror", lab.name) } else { lab.container(name) };
    let address = |node: &str| lab.inside(node, "ip -o -4 addr show dev eth0 | awk '{split($4, a, \"/\"); print a[1]}'").trim().to_owned();
    let report = |only: Option<&str>| {
        let mut args = vec!["verify", "--format", "json"];
        args.extend(only.iter().flat_map(|only| ["--only", only]));
        serde_json::from_str(&lab.run(&args).stdout()).expect("a report")
    };
    mutations::walk(&mutations::Site { inside: &inside, host: &host, container: &container, address: &address, report: &report }, full);
}

fn second_run(lab: &Lab) {
    let facts = |lab: &Lab| {
        let units = "systemctl show -p ActiveEnterTimestampMonotonic containerd kubelet";
        let nodes = ["control-plane-1", "worker-1", "worker-2", "worker-3"].map(|n| lab.inside(n, units)).join("");
        let pods = lab.inside("control-plane-1", "kubectl --kubeconfig /etc/kubernetes/admin.conf get pods -A -o jsonpath='{range .items[*]}{.metadata.uid} {.status.containerStatuses[*].restartCount}{\"\\n\"}{end}'");
        (nodes, pods)
    };
    let before = facts(lab);
    let run = lab.run(&["bootstrap", "--yes", "--no-verify", "--format", "json"]).expect(0);
    assert_eq!(run.changed(), Vec::<(String, String)>::new());
    let recap = run.events().into_iter().find(|e| e["event"] == "recap").expect("a recap");
    for host in recap["hosts"].as_array().expect("hosts") {
        assert_eq!((&host[1]["changed"], &host[1]["failed"]), (&Value::from(0), &Value::from(0)), "{host}");
    }
    assert_eq!(facts(lab), before, "no service and no pod was restarted");
    lab.run(&["plan"]).expect(0);
}
