//! A snapshot under writes, the control plane destroyed, the cluster brought back on another machine.

use super::{
    faults::wait,
    nodes::kubectl,
    server::Server,
    step,
    support::{Lab, docker},
};
use std::{
    collections::BTreeSet,
    fs,
    process::{Command, Stdio},
    time::Duration,
};

const CLUSTER: &str = "\
cluster: restore
provider: lab
network: {vpc: 172.27.0.0/16}
pools: [{name: worker, count: 1}]
";
/// Files of the inventory's directory.
pub const SNAPSHOT: &str = "snapshot.db.age";
/// The private key of whoever can read snapshots.
pub const KEY: &str = "other/recipient";

/// What kubelet and kube-proxy on the worker read: a value in a file of a pod, a port of a Service.
const READERS: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: changed}
data: {value: old}
---
apiVersion: v1
kind: Service
metadata: {name: changed}
spec: {selector: {app: web}, ports: [{port: 1111, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: registry.k8s.io/kubewright/probe:v2
        args: [serve, --http, ":8080"]
        volumeMounts: [{name: changed, mountPath: /changed}]
      volumes: [{name: changed, configMap: {name: changed}}]
"#;

/// What they show: the file's content, whether the Service's old port and its new one lead anywhere.
fn shown(lab: &Lab) -> (String, bool, bool) {
    let value = lab.inside("worker-1", "cat /var/lib/kubelet/pods/*/volumes/kubernetes.io~configmap/changed/value");
    let address = kubectl(lab, "get service changed -o jsonpath='{.spec.clusterIP}'");
    let leads = |port: u16| {
        let ask = format!("curl -s -o /dev/null -m 2 http://{}:{port}/ && echo yes || echo no", address.trim());
        lab.inside("worker-1", &ask).trim() == "yes"
    };
    (value, leads(1111), leads(2222))
}

/// The public half of a key pair of the lab's own.
fn recipient(lab: &Lab) -> String {
    let key = lab.inventory().join(KEY);
    if !key.exists() {
        fs::create_dir_all(key.parent().expect("a directory")).expect("a directory");
        let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
        assert!(made.expect("ssh-keygen").success());
    }
    let public = fs::read_to_string(key.with_extension("pub")).expect("its public half");
    public.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

/// Takes one.
pub fn snapshot(lab: &Lab) {
    let (recipient, to) = (recipient(lab), lab.inventory().join(SNAPSHOT));
    lab.run(&["etcd", "snapshot", "--to", &to.to_string_lossy(), "--recipient", &recipient]).expect(0);
}

/// By the timer of the control plane, to an S3 of the lab's (moto) at the host's end of its network; each can be read by whoever
/// has the private key.
fn sent(lab: &Lab) {
    let recipient = recipient(lab);
    let server = Server::start("172.27.0.1");
    let curl = |args: &[&str]| {
        let out =
            Command::new("curl").args(["-sf", "--aws-sigv4", "aws:amz:us-east-1:s3", "--user", "operator:secret"]).args(args).output();
        let out = out.expect("curl");
        assert!(out.status.success(), "curl {args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    let buckets = ["near", "far"].map(|name| format!("{}/backups-{name}", server.url()));
    for bucket in &buckets {
        curl(&["-X", "PUT", bucket]);
    }
    fs::write(lab.inventory().join("other/s3"), "[default]\naws_access_key_id = node\naws_secret_access_key = n0desecret\n")
        .expect("a file");
    let backup = format!(
        "backup: {{recipient: {}, to: s3://backups-near/prod, copy_to: s3://backups-far/prod, copy_region: eu-west-1, endpoint: '{}', credentials: other/s3}}\n",
        recipient,
        server.url()
    );
    fs::write(lab.inventory().join("cluster.yaml"), format!("{CLUSTER}{backup}")).expect("cluster.yaml");
    lab.run(&["bootstrap", "--yes", "--no-verify"]).expect(0);
    let keys = |bucket: &String| -> Vec<String> {
        let list = curl(&[&format!("{bucket}?list-type=2")]);
        list.split("<Key>").skip(1).filter_map(|k| k.split('<').next()).map(str::to_owned).collect()
    };
    wait("a snapshot and its bundle in both places", Duration::from_secs(120), || buckets.iter().all(|b| keys(b).len() >= 2));
    let journal = lab.inside("control-plane-1", "journalctl -u kubewright-etcd-snapshot; ls -l /etc/kubewright; ps -ef");
    assert!(!journal.contains("n0desecret"), "{journal}");
    for bucket in &buckets {
        for key in keys(bucket) {
            let name = key.rsplit('/').next().unwrap_or_default().to_owned();
            curl(&["-o", &lab.inventory().join(&name).to_string_lossy(), &format!("{bucket}/{key}")]);
            if name.ends_with(".db.age") {
                assert!(key.starts_with("prod/etcd-restore-control-plane-1-"), "{key}");
            }
        }
        let name = keys(bucket).into_iter().find_map(|k| k.rsplit('/').next().filter(|n| n.ends_with(".db.age")).map(str::to_owned));
        let file = lab.inventory().join(name.expect("a snapshot"));
        // Opened, its hash checked; and then refused, because the cluster works.
        let refused =
            lab.run(&["etcd", "restore", &file.to_string_lossy(), "--identity", &lab.inventory().join(KEY).to_string_lossy(), "--yes"]);
        assert!(refused.expect(2).stderr().contains("the cluster works"));
    }
    // The server ends here; copies that cannot be sent are no snapshots that are not taken.
    fs::write(lab.inventory().join("cluster.yaml"), CLUSTER).expect("cluster.yaml");
}

/// The machine and its disk are gone.
pub fn lose_control_plane(lab: &Lab) {
    docker(&["rm", "-f", "-v", &lab.container("control-plane-1")]);
}

/// All of it.
pub fn walk() {
    let lab = Lab::new(CLUSTER);
    step("a cluster with somebody who writes all the time", || drop(lab.run(&["bootstrap", "--yes", "--no-verify"]).expect(0)));
    let uid = kubectl(&lab, "get namespace kube-system -o jsonpath='{.metadata.uid}'");
    fs::write(lab.inventory().join("readers.yaml"), READERS).expect("a manifest");
    let manifest = lab.inventory().join("readers.yaml");
    docker(&["cp", &manifest.to_string_lossy(), &format!("{}:/root/readers.yaml", lab.container("control-plane-1"))]);
    kubectl(&lab, "apply -f /root/readers.yaml");
    kubectl(&lab, "wait --for=condition=Available deployment/web --timeout=90s");
    wait("the old values are shown", Duration::from_secs(60), || shown(&lab) == ("old".to_owned(), true, false));
    let untouched = || lab.inside("worker-1", "systemctl show -p ActiveEnterTimestampMonotonic containerd kubelet");
    let containers = || lab.inside("worker-1", "ctr -n k8s.io containers ls -q 'labels.\"io.kubernetes.container.name\"==web'");
    let (before, running) = (untouched(), containers());
    assert!(!running.trim().is_empty());

    step("snapshots go to two places in S3 by themselves", || sent(&lab));

    // Each line is a write that the API server has acknowledged.
    let write = "n=0; while [ -e /run/writing ]; do n=$((n + 1)); kubectl --kubeconfig /etc/kubernetes/admin.conf create configmap w-$n >/dev/null && echo $n; done";
    lab.inside("control-plane-1", "touch /run/writing");
    let file = fs::File::create(lab.inventory().join("acknowledged")).expect("a file");
    let mut writer = Command::new("docker")
        .args(["exec", &lab.container("control-plane-1"), "sh", "-c", write])
        .stdout(Stdio::from(file))
        .spawn()
        .expect("docker");
    let acknowledged = || fs::read_to_string(lab.inventory().join("acknowledged")).expect("a file").lines().count();
    wait("twenty writes", Duration::from_secs(60), || acknowledged() >= 20);
    let safe = acknowledged();
    step("a snapshot under writes", || snapshot(&lab));
    wait("more writes", Duration::from_secs(60), || acknowledged() >= safe + 20);
    lab.inside("control-plane-1", "rm /run/writing");
    writer.wait().expect("the writer ends");
    kubectl(&lab, "patch configmap changed -p '{\"data\":{\"value\":\"new\"}}'");
    kubectl(&lab, "patch service changed --type merge -p '{\"spec\":{\"ports\":[{\"port\":2222,\"targetPort\":8080}]}}'");
    wait("the new values are shown", Duration::from_secs(150), || shown(&lab) == ("new".to_owned(), false, true));
    let all = acknowledged();

    step("an etcd that works is not overwritten", || {
        let refused = restore(&lab, &[]).expect(2).stderr().replace("\n  │ ", " ");
        assert!(refused.contains("the cluster works: etcd has its quorum") && refused.contains("--discard-newer"), "{refused}");
    });
    lose_control_plane(&lab);
    step("the control plane is destroyed, and brought back on a new machine", || {
        let run = restore(&lab, &[]).expect(0);
        let said = run.stdout() + &run.stderr();
        for line in said.lines().filter(|l| l.contains("RPO: ") || l.contains("RTO: ")) {
            eprintln!("    {}", line.trim());
        }
        assert!(said.contains("RPO: what was written in the ") && said.contains("RTO: back after "), "{said}");
    });

    assert_eq!(kubectl(&lab, "get namespace kube-system -o jsonpath='{.metadata.uid}'"), uid, "the same cluster");
    let names = kubectl(&lab, "get configmap -o jsonpath='{.items[*].metadata.name}'");
    let there: BTreeSet<usize> = names.split_whitespace().filter_map(|n| n.strip_prefix("w-")?.parse().ok()).collect();
    let lost: Vec<usize> = (1..=safe).filter(|n| !there.contains(n)).collect();
    assert_eq!(lost, Vec::<usize>::new(), "writes that were acknowledged before the snapshot");
    assert!(there.len() < all, "those after it are gone: {} of {all}", there.len());
    eprintln!(
        "    {all} writes acknowledged, {safe} of them before the snapshot began, {} brought back, none of the {safe} lost",
        there.len()
    );
    step("objects that were changed after it show their old values on the worker", || {
        wait("the old values are shown again", Duration::from_secs(150), || shown(&lab) == ("old".to_owned(), true, false));
    });
    assert_eq!(untouched(), before, "nothing on the worker was restarted");
    assert_eq!(containers(), running, "its containers run on");
    step("the report is green", || wait("a green report", Duration::from_secs(120), || lab.run(&["verify"]).code() == 0));
    step("kubelet and kube-proxy follow what the restored cluster says", || followed(&lab));
}

fn restore(lab: &Lab, more: &[&str]) -> super::support::Run {
    let (snapshot, key) = (lab.inventory().join(SNAPSHOT), lab.inventory().join(KEY));
    let (snapshot, key) = (snapshot.to_string_lossy(), key.to_string_lossy());
    lab.run(&[&["etcd", "restore", &snapshot, "--identity", &key, "--yes"], more].concat())
}

/// A watch that believes that it has seen all would never see these.
fn followed(lab: &Lab) {
    kubectl(lab, "scale deployment web --replicas=2");
    kubectl(lab, "wait --for=jsonpath='{.status.availableReplicas}'=2 deployment/web --timeout=60s");
    kubectl(lab, "create service clusterip new --tcp=80:8080");
    let address = kubectl(lab, "get service new -o jsonpath='{.spec.clusterIP}'");
    wait("kube-proxy on worker-1 knows a new Service", Duration::from_secs(30), || {
        lab.inside("worker-1", "nft list ruleset; iptables-save").contains(address.trim())
    });
}
