//! All renderers over one recorded run, with a hostile host in it.

use super::{
    Display, Format, Options,
    display::{Renderer, renderer},
    summary::Tally,
};
use crate::event::{Counts, Diff, Event, Events, Kind, Output, Status};
use serde_json::json;
use std::time::Duration;

fn recorded() -> Vec<Event> {
    let at = "2026-11-21T10:00:00Z".parse().unwrap();
    let s = str::to_owned;
    let started = |host: &str, task, name: &str, module: &str, handler| Kind::TaskStarted {
        host: s(host),
        task,
        name: s(name),
        module: s(module),
        place: s("site.yml:3:5"),
        handler,
    };
    let finished = |host: &str, task, name: &str, status, ms, message: Option<&str>| Kind::TaskFinished {
        host: s(host),
        task,
        name: s(name),
        status,
        elapsed: Duration::from_millis(ms),
        message: message.map(s),
        output: None,
        diff: Vec::new(),
        result: None,
    };
    let hostile = "evil\u{1b}]0;pwned\u{7}\u{202e}<script>";
    let kinds = vec![
        Kind::RunStarted { title: s("bootstrap lab"), hosts: vec![s("cp-1"), s("worker-1")] },
        Kind::StepStarted { id: s("lab/machine/worker-1"), title: s("boot worker-1"), host: Some(s("worker-1")) },
        Kind::StepProgress { id: s("lab/machine/worker-1"), message: s("waiting for sshd"), done: 1, total: Some(3) },
        Kind::StepFinished { id: s("lab/machine/worker-1"), error: None, changed: true, elapsed: Duration::from_millis(2500) },
        Kind::PlayStarted { name: s("prerequisites"), hosts: vec![s("cp-1"), s("worker-1")] },
        started("cp-1", 1, "Install containerd", "apt", false),
        started("worker-1", 1, "Install containerd", "apt", false),
        Kind::TaskFinished {
            host: s("cp-1"),
            task: 1,
            name: s("Install containerd"),
            status: Status::Changed,
            elapsed: Duration::from_secs(16),
            message: None,
            output: None,
            result: Some(json!({"changed": true, "cache_updated": false})),
            diff: vec![Diff { subject: s("/etc/x"), before: s("a\n"), after: s("b\n") }],
        },
        finished("worker-1", 1, "Install containerd", Status::Ok, 120, None),
        started("cp-1", 2, "Say hello", "debug", false),
        finished("cp-1", 2, "Say hello", Status::Ok, 0, Some("hello")),
        finished("worker-1", 2, "Say hello", Status::Skipped, 0, Some("when: false")),
        started("cp-1", 3, "Load modules", "modprobe", false),
        Kind::ItemFinished { host: s("cp-1"), task: 3, item: s("overlay"), status: Status::Ok, message: None },
        Kind::ItemFinished { host: s("cp-1"), task: 3, item: s("br_netfilter"), status: Status::Changed, message: None },
        finished("cp-1", 3, "Load modules", Status::Changed, 40, None),
        started("worker-1", 4, "Start kubelet", "systemd", true),
        Kind::TaskFinished {
            host: s("worker-1"),
            task: 4,
            name: s("Start kubelet"),
            status: Status::Failed,
            elapsed: Duration::from_millis(900),
            message: Some(format!("unit failed: {hostile}")),
            diff: Vec::new(),
            result: None,
            output: Some(Output { rc: 1, stdout: s(""), stderr: format!("open /dev/kmsg: no such file\n{hostile}\n") }),
        },
        finished("cp-1", 5, "Optional", Status::Ignored, 3, Some("no such thing")),
        Kind::HostLost { host: s("worker-1"), reason: s("connection lost: broken pipe") },
        Kind::Warning { message: format!("odd: {hostile}") },
        Kind::Recap {
            hosts: vec![
                (s("cp-1"), Counts { ok: 4, changed: 2, ignored: 1, ..Counts::default() }),
                (s("worker-1"), Counts { ok: 1, failed: 1, skipped: 1, ..Counts::default() }),
            ],
            elapsed: Duration::from_secs(75),
        },
    ];
    kinds.into_iter().map(|kind| Event { at, kind }).collect()
}

fn rendered(options: &Options) -> String {
    let mut renderer: Box<dyn Renderer> = renderer(options);
    let (mut tally, mut text) = (Tally::default(), String::new());
    for event in recorded() {
        tally.event(&event);
        let said = renderer.event(&event);
        text.push_str(&said.out);
        text.push_str(&said.err);
    }
    let mut summary = tally.finish();
    summary.log_dir = Some("/state/kubewright/lab/runs/1".into());
    let said = renderer.end(&summary);
    text + &said.out + &said.err
}

#[test]
fn plain() {
    insta::assert_snapshot!(rendered(&Options::new(Format::Plain)));
}

#[test]
fn plain_with_diffs_and_details() {
    insta::assert_snapshot!(rendered(&Options { verbosity: 1, diff: true, ..Options::new(Format::Plain) }));
}

#[test]
fn a_step_of_minutes_says_how_far_it_is_without_a_terminal() {
    let begun: jiff::Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
    let at = |seconds: i64| begun + jiff::SignedDuration::from_secs(seconds);
    let progress = |message: &str| Kind::StepProgress { id: "build".to_owned(), message: message.to_owned(), done: 0, total: None };
    let kinds = [
        (0, Kind::StepStarted { id: "build".to_owned(), title: "packages".to_owned(), host: None }),
        (2, progress("fetching")),
        (11, progress("building kubeadm")),
        (15, progress("linking")),
        (60, progress("building kubelet")),
    ];
    let mut renderer = renderer(&Options::new(Format::Plain));
    let text: String = kinds.into_iter().map(|(s, kind)| renderer.event(&Event { at: at(s), kind }).err).collect();
    assert_eq!(text, "start    packages\n…        building kubeadm\n…        building kubelet\n");
}

#[test]
fn ansible() {
    insta::assert_snapshot!(rendered(&Options { diff: true, ..Options::new(Format::Ansible) }));
}

#[test]
fn json_is_one_event_a_line_with_seconds() {
    let text = rendered(&Options::new(Format::Json));
    let values: Vec<serde_json::Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(values.len(), recorded().len());
    assert_eq!((values[3]["event"].as_str(), values[3]["elapsed"].as_f64()), (Some("step_finished"), Some(2.5)));
}

#[test]
fn nothing_hostile_reaches_a_terminal() {
    for format in [Format::Plain, Format::Ansible, Format::Json] {
        let text = rendered(&Options { verbosity: 3, diff: true, ..Options::new(format) });
        let bad = text.chars().find(|c| (c.is_control() && !"\n\t".contains(*c)) || (format != Format::Json && *c == '\u{202e}'));
        assert_eq!(bad, None, "{format:?}");
    }
}

#[tokio::test]
async fn logs_are_kept_per_host_and_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let (events, receiver) = Events::channel();
    let options = Options { log_dir: Some(dir.path().join("run")), ..Options::new(Format::Json) };
    // The display of a test writes nowhere: only the logs are of interest, so it gets no event that prints.
    drop(events);
    Display::start(options, receiver).await.unwrap();
    let mut logs = super::log::Logs::new(&dir.path().join("run"));
    for event in recorded() {
        logs.event(&event).unwrap();
    }
    let read = |name: &str| std::fs::read_to_string(dir.path().join("run").join(name)).unwrap();
    assert!(read("worker-1.log").contains("> open /dev/kmsg: no such file"));
    assert!(!read("cp-1.log").contains("kubelet") && read("run.log").contains("Start kubelet"));
    let mode = std::fs::metadata(dir.path().join("run/run.log")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
