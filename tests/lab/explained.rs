//! A bootstrap that fails ends soon and says why, with the line of the log that shows it.

use super::support::{Lab, Run, files};
use serde_json::Value;
use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

/// kubeadm itself would wait for 4 minutes.
const SOON: Duration = Duration::from_secs(60);

/// The known causes among a run's events, the first one first: host, cause, line.
fn causes(run: &Run) -> Vec<(String, String, String)> {
    let text = |e: &Value, key: &str| e[key].as_str().unwrap_or_default().to_owned();
    let all = run.events().into_iter().filter(|e| e["event"] == "cause");
    all.map(|e| (text(&e, "host"), text(&e, "cause"), text(&e, "line"))).collect()
}

/// kubelet cannot start on a worker that is to join.
pub fn kubelet(lab: &Lab) {
    lab.run(&["reset", "--yes", "worker-3"]).expect(0);
    lab.inside("worker-3", "mv /dev/kmsg /dev/kmsg.off");
    let begun = Instant::now();
    let run = lab.run(&["bootstrap", "--yes", "--no-verify", "--format", "json"]);
    let took = begun.elapsed();
    lab.inside("worker-3", "mv /dev/kmsg.off /dev/kmsg");
    let run = run.expect(4);
    assert!(took < SOON, "{took:?}");
    let causes = causes(&run);
    let (host, cause, line) = causes.first().expect("a cause");
    assert_eq!(host, "worker-3");
    assert!(cause.contains("/dev/kmsg is missing") && line.contains("open /dev/kmsg: no such file or directory"), "{causes:?}");
    lab.run(&["bootstrap", "--yes", "--no-verify"]).expect(0);
}

/// The API server does not stay up: somebody gave it a flag that it does not know, in an edited copy of the templates.
pub fn static_pod(lab: &Lab) {
    lab.run(&["reset", "--yes"]).expect(0);
    let dir = tempfile::tempdir().expect("a temporary directory");
    for top in ["playbooks", "templates"] {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(top);
        for file in files(&source) {
            let to = dir.path().join(top).join(file.strip_prefix(&source).expect("below it"));
            fs::create_dir_all(to.parent().expect("a parent")).expect("a directory");
            fs::copy(&file, &to).expect("a copy");
        }
    }
    let template = dir.path().join("templates/kubeadm-init.yaml.j2");
    let text = fs::read_to_string(&template).expect("the template");
    let edited = text.replace("apiServer:\n", "apiServer:\n  extraArgs: [{name: no-such-flag, value: \"1\"}]\n");
    assert_ne!(text, edited);
    fs::write(&template, edited).expect("the template");
    let run = lab.run_in(dir.path(), &["bootstrap", "--yes", "--no-verify", "--format", "json"]).expect(4);
    assert!(run.elapsed < SOON, "{:?}", run.elapsed);
    let causes = causes(&run);
    let (host, cause, line) = causes.first().expect("a cause");
    assert_eq!(host, "control-plane-1");
    assert!(cause.contains("a flag that it does not know") && line.contains("unknown flag: --no-such-flag"), "{causes:?}");
    let text = run.stdout();
    assert!(text.contains("kube-apiserver does not stay up"), "{text}");
}
