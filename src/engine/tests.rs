//! Small playbooks on this machine, through real shells.

use super::{Context, Network, NoServices, RunOptions, RunSummary, run};
use crate::{
    event::{Counts, Event, Events, Kind, Status},
    inventory::Inventory,
    playbook::{self, LoadOptions, PlaybookSource},
    template::Templar,
    text::{Problems, Secret},
    vault::Vault,
};
use std::{path::Path, sync::Arc};
use tokio_util::sync::CancellationToken;

pub(super) struct Done {
    pub(super) summary: RunSummary,
    pub(super) events: Vec<Event>,
    pub(super) dir: tempfile::TempDir,
}

impl Done {
    /// `ok=1 changed=1 …`, zeros left out.
    pub(super) fn counts(&self, host: &str) -> String {
        let c = self.summary.counts.get(host).copied().unwrap_or_default();
        let Counts { ok, changed, unreachable, failed, skipped, rescued, ignored } = c;
        let all = [
            ("ok", ok),
            ("changed", changed),
            ("unreachable", unreachable),
            ("failed", failed),
            ("skipped", skipped),
            ("rescued", rescued),
            ("ignored", ignored),
        ];
        all.iter().filter(|(_, n)| *n > 0).map(|(k, n)| format!("{k}={n}")).collect::<Vec<_>>().join(" ")
    }

    /// `task: status message` of a host's finished tasks.
    pub(super) fn tasks(&self, host: &str) -> Vec<String> {
        self.events
            .iter()
            .filter_map(|e| match &e.kind {
                Kind::TaskFinished { host: h, name, status, message, .. } if h == host => {
                    Some(format!("{name}: {status:?} {}", message.clone().unwrap_or_default()).trim_end().to_owned())
                }
                _ => None,
            })
            .collect()
    }

    /// What `debug` said, in order.
    pub(super) fn said(&self) -> Vec<String> {
        self.events
            .iter()
            .filter_map(|e| match &e.kind {
                Kind::TaskFinished { message: Some(m), status: Status::Ok, .. } => Some(m.clone()),
                _ => None,
            })
            .collect()
    }

    pub(super) fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(name)).unwrap_or_else(|e| format!("<{e}>"))
    }
}

pub(super) struct Case {
    pub(super) dir: tempfile::TempDir,
    pub(super) options: RunOptions,
    pub(super) hosts: String,
    pub(super) allow_unsupported: bool,
}

/// What opens vault files of a case.
fn passwords() -> Vault {
    let mut vault = Vault::new();
    vault.add("default", Secret::new("open sesame".to_owned()));
    vault
}

/// A case with one host `h`.
pub(super) fn case() -> Case {
    let options = RunOptions { gather_facts: false, ..RunOptions::default() };
    Case { dir: tempfile::tempdir().unwrap(), options, hosts: "h".to_owned(), allow_unsupported: false }
}

impl Case {
    pub(super) fn hosts(mut self, ini: &str) -> Self {
        ini.clone_into(&mut self.hosts);
        self
    }

    pub(super) fn with(self, path: &str, text: &str) -> Self {
        let path = self.dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text.replace("{DIR}", &self.dir.path().display().to_string())).unwrap();
        self
    }

    pub(super) fn options(mut self, f: impl FnOnce(&mut RunOptions)) -> Self {
        f(&mut self.options);
        self
    }

    fn load(&self, yaml: &str) -> (LoadOptions, Result<playbook::Playbook, Problems>) {
        let site = self.dir.path().join("site.yml");
        std::fs::write(&site, yaml.replace("{DIR}", &self.dir.path().display().to_string())).unwrap();
        let open = |text: &str| passwords().decrypt_text(text).map(|s| s.expose().clone()).map_err(|e| e.to_string());
        let allow_unsupported = self.allow_unsupported;
        let load = LoadOptions { vault: Arc::new(open), allow_unsupported, ..LoadOptions::new(Arc::new(Templar::new())) };
        let playbook = playbook::load(&[PlaybookSource::Path(site)], &load);
        (load, playbook)
    }

    /// What loading says; the temporary directory is left out.
    pub(super) fn problems(&self, yaml: &str) -> Vec<String> {
        let dir = format!("{}/", self.dir.path().display());
        match self.load(yaml).1 {
            Ok(_) => Vec::new(),
            Err(problems) => problems.to_string().lines().map(|l| l.replace(&dir, "")).collect(),
        }
    }

    pub(super) fn run(self, yaml: &str) -> Done {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (load, playbook) = self.load(yaml);
        let playbook = playbook.unwrap_or_else(|p| panic!("{p}"));
        let ini = self.dir.path().join("hosts.ini");
        std::fs::write(&ini, format!("{}\n[all:vars]\nansible_connection=local\n", self.hosts)).unwrap();
        let inventory = Inventory::load(&[ini], Some(Path::new(self.dir.path()))).unwrap_or_else(|p| panic!("{p}"));
        let (events, mut rx) = Events::channel();
        let context = Context { load, connector: Arc::new(Network::default()), services: Arc::new(NoServices) };
        let summary = runtime.block_on(async {
            tokio::time::timeout(
                std::time::Duration::from_secs(60),
                run(&playbook, inventory, context, &self.options, &events, CancellationToken::new()),
            )
            .await
            .expect("the run hangs")
        });
        let mut seen = Vec::new();
        while let Ok(event) = rx.try_recv() {
            seen.push(event);
        }
        Done { summary, events: seen, dir: self.dir }
    }

    /// Runs tasks given as YAML list items.
    pub(super) fn tasks(self, tasks: &str) -> Done {
        let indented = format!("    {}\n", tasks.lines().collect::<Vec<_>>().join("\n    "));
        self.run(&format!("- hosts: all\n  tasks:\n{indented}"))
    }
}

#[test]
fn a_batch_of_tasks_runs_in_order_and_counts() {
    let done = case().tasks(
        "- shell: echo one > {DIR}/out\n- shell: echo two >> {DIR}/out\n  register: r\n- debug: msg='rc is {{ r.rc }}'\n- command: cat {DIR}/out\n  changed_when: false\n  register: c\n- debug: var=c.stdout_lines\n- command: 'false'\n  when: r.rc == 1",
    );
    assert_eq!(done.counts("h"), "ok=5 changed=2 skipped=1", "{:?}", done.tasks("h"));
    assert_eq!(done.file("out"), "one\ntwo\n");
    assert_eq!(done.said()[0], "rc is 0");
}

#[test]
fn registers_loops_and_sums() {
    let done = case().tasks(
        "- command: echo {{ item }}
  loop: [a, b, c]
  when: item != 'b'
  changed_when: item == 'c'
  register: r
- debug: {msg: '{{ r.results[1].skipped }} {{ r.changed }} {{ r.results[2].stdout }} {{ r.results[0].item }}'}
- set_fact: xs={{ xs | default([]) + [item * 2] }}
  loop: [1, 2, 3]
- debug: msg={{ xs }}
- debug: msg={{ item.0 ~ item.1 }}
  with_nested: [[1, 2], [a]]
  loop_control: {label: '{{ item.1 }}'}
- debug: msg={{ i }}-{{ item }}
  with_items: [[x, [y]], z]
  loop_control: {index_var: i}",
    );
    assert!(!done.said().is_empty(), "{:?}", done.tasks("h"));
    assert_eq!(done.said()[0], "True True c a", "{:?}", done.tasks("h"));
    assert_eq!(done.said()[1].split_whitespace().collect::<String>(), "[2,4,6]");
    let labels: Vec<String> = done
        .events
        .iter()
        .filter_map(|e| {
            if let Kind::ItemFinished { item, message, .. } = &e.kind {
                Some(format!("{item}={}", message.clone().unwrap_or_default()))
            } else {
                None
            }
        })
        .collect();
    assert!(labels.contains(&"a=1a".to_owned()) && labels.contains(&"z=2-z".to_owned()), "{labels:?}");
}

#[test]
fn blocks_rescue_and_always() {
    let done = case().run(
        "- hosts: all
  tasks:
  - block:
    - command: 'false'
    - debug: msg=never
    rescue:
    - debug: msg='rescued {{ ansible_failed_task.name }}{{ ansible_failed_result.rc }}'
    always:
    - debug: msg=always
  - block:
    - fail: msg=why
    always:
    - debug: msg=finally
  - debug: msg=never
",
    );
    assert_eq!(done.said(), ["rescued 1", "always", "finally"]);
    assert_eq!(done.counts("h"), "ok=3 failed=1 rescued=1");
    assert_eq!(done.summary.failed["h"], "fail: why");
}

#[test]
fn handlers_run_once_in_definition_order() {
    let done = case().run(
        "- hosts: all
  tasks:
  - shell: echo 1
    notify: [second, topic]
  - shell: echo 2
    notify: second
    changed_when: false
  - meta: flush_handlers
  - debug: msg=between
  - shell: echo 3
    notify: first
  handlers:
  - name: first
    debug: msg=first
    listen: topic
  - name: second
    command: echo second
    notify: third
  - name: third
    debug: msg=third
  - name: unused
    debug: msg=unused
",
    );
    assert_eq!(done.said(), ["first", "third", "between", "first"], "{:?}", done.tasks("h"));
    assert_eq!(done.counts("h"), "ok=8 changed=3");
}

#[test]
fn a_failed_host_leaves_and_others_go_on() {
    let done = case().hosts("a\nb").tasks("- command: test {{ inventory_hostname }} = a\n- debug: msg=on");
    assert_eq!((done.counts("a"), done.counts("b")), ("ok=2 changed=1".to_owned(), "failed=1".to_owned()));
    assert!(done.summary.failed["b"].contains("command"));
}

#[test]
fn until_tries_again_and_counts_attempts() {
    let done = case().tasks(
        "- shell: echo x >> {DIR}/n; wc -l < {DIR}/n
  register: r
  until: r.stdout | int >= 3
  retries: 5
  delay: 0
- debug: msg={{ r.attempts }}
- command: 'false'
  retries: 2
  delay: 0
  ignore_errors: true
  register: f
- debug: msg='{{ f.attempts }} {{ f.failed }} {{ f is failed }}'",
    );
    assert_eq!(done.said(), ["3", "2 True True"], "{:?}", done.tasks("h"));
}

#[test]
fn includes_roles_and_precedence() {
    let done = case()
        .with("roles/r/defaults/main.yml", "a: default\nb: default\nc: default\n")
        .with("roles/r/vars/main.yml", "b: role\n")
        .with("roles/r/tasks/main.yml", "- debug: msg='{{ a }} {{ b }} {{ c }} {{ p | default(0) }}'\n  notify: h\n  changed_when: true\n- include_tasks: more.yml\n  vars: {v: 1}\n  tags: x\n")
        .with("roles/r/tasks/more.yml", "- debug: msg='more {{ v }} {{ role_name }}'\n")
        .with("roles/r/handlers/main.yml", "- name: h\n  debug: msg=handled\n")
        .with("roles/dep/tasks/main.yml", "- debug: msg=dep\n")
        .with("roles/r/meta/main.yml", "dependencies: [dep]\n")
        .with("inc.yml", "- debug: msg='{{ item }} {{ x }}'\n")
        .run(
            "- hosts: all
  vars: {c: play, b: play}
  roles:
  - role: r
    p: 7
  - r
  tasks:
  - include_tasks: inc.yml
    loop: [1, 2]
    vars: {x: '{{ item + 1 }}'}
  - import_tasks: inc.yml
    vars: {item: i, x: x}
    when: false
  - include_role: {name: r, tasks_from: more}
    vars: {v: 2}
",
        );
    assert_eq!(
        done.said().into_iter().chain(done.tasks("h").into_iter().filter(|t| t.contains("Changed"))).collect::<Vec<_>>(),
        [
            "dep",
            "more 1 r",
            "more 1 r",
            "1 2",
            "2 3",
            "more 2 r",
            "handled",
            "r : debug: Changed default role play 7",
            "r : debug: Changed default role play 0"
        ],
        "{:?}",
        done.tasks("h")
    );
}

#[test]
fn problems_are_listed_at_once_with_places() {
    let problems = case().problems(
        "- hosts: all
  tsks: []
  tasks:
  - nosuchmodule: a=1
  - copy: {content: x, dset: /x}
  - debug: msg={{ a | }}
  - command: echo
    whn: true
",
    );
    let text = problems.join("\n");
    for part in [
        "site.yml:2:3: `tsks`",
        "did you mean `tasks`",
        "site.yml:4:5: module or keyword `nosuchmodule`",
        "`dset`",
        "site.yml:6:12: ",
        "`whn`",
        "not supported",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

const TWO: &str = "[cp]\nm\n[workers]\nw1\nw2";

#[test]
fn independent_hosts_wait_only_for_what_they_read() {
    let done = case().hosts(TWO).run(
        "- hosts: all
  strategy: kubewright.independent
  tasks:
  - shell: sleep 0.5; echo workers >> {DIR}/order
    when: inventory_hostname != 'm'
- hosts: cp
  strategy: kubewright.independent
  tasks:
  - shell: echo master >> {DIR}/order; echo secret
    register: join
- hosts: workers
  strategy: kubewright.independent
  tasks:
  - debug: msg='{{ hostvars[groups.cp[0]].join.stdout }}'
    when: hostvars['m'].join is not failed
",
    );
    assert_eq!(done.said(), ["secret", "secret"], "{:?}", done.tasks("w1"));
    assert!(done.file("order").starts_with("master\nworkers"), "{}", done.file("order"));
}

#[test]
fn serial_of_an_independent_play_is_one_host_at_a_time() {
    let done = case().hosts("a\nb\nc").run(
        "- hosts: all
  strategy: kubewright.independent
  serial: 1
  tasks:
  - shell: echo in >> {DIR}/order
  - shell: sleep 0.1
    register: slept
  - shell: echo out >> {DIR}/order; test {{ inventory_hostname }} != b
    when: slept is not failed
",
    );
    assert_eq!(done.file("order"), "in\nout\nin\nout\nin\nout\n", "also after the failure of one");
    assert_eq!(done.summary.failed.keys().collect::<Vec<_>>(), ["b"]);
}

#[test]
fn who_waits_for_a_host_that_failed_is_told() {
    let done = case().hosts(TWO).run(
        "- hosts: cp
  strategy: kubewright.independent
  tasks:
  - {name: init, fail: {msg: broken}}
  - command: echo
    register: join
- hosts: workers
  strategy: kubewright.independent
  tasks:
  - debug: msg='{{ hostvars.m.join.stdout }}'
",
    );
    let why = &done.summary.failed["w1"];
    assert!(why.contains("waits for `join` of m, which failed: init: broken"), "{why}");
}

#[test]
fn other_hosts_variables_are_read_in_step() {
    let done = case().hosts("a\nb\nc").tasks(
        "- shell: '{{ \"sleep 0.4;\" if inventory_hostname == \"a\" else \"\" }} echo of-{{ inventory_hostname }}'
  register: r
- debug: msg='{{ groups.all | map(\"extract\", hostvars, [\"r\", \"stdout\"]) | join(\",\") }}'
",
    );
    assert_eq!(done.said(), ["of-a,of-b,of-c"; 3], "{:?}", done.tasks("b"));
}

#[test]
fn run_once_delegate_and_serial() {
    let done = case().hosts("a\nb\nc").run(
        "- hosts: all
  tasks:
  - shell: echo x >> {DIR}/once; hostname
    run_once: true
    register: r
  - debug: msg='{{ r.rc }}'
  - shell: echo {{ inventory_hostname }} >> {DIR}/delegated
    delegate_to: localhost
- hosts: all
  serial: 2
  tasks:
  - shell: echo {{ ansible_play_batch | length }} >> {DIR}/serial
",
    );
    assert_eq!(done.file("once"), "x\n");
    assert_eq!(done.said(), ["0", "0", "0"], "{:?}", done.tasks("b"));
    assert_eq!(done.file("delegated").lines().count(), 3);
    assert_eq!(done.file("serial"), "2\n2\n1\n");
    assert_eq!((done.counts("a"), done.counts("c")), ("ok=4 changed=3".to_owned(), "ok=3 changed=2".to_owned()));
}

#[test]
fn any_errors_fatal_stops_everybody_at_the_task() {
    let done = case().hosts("a\nb").run(
        "- hosts: all
  any_errors_fatal: true
  tasks:
  - command: test {{ inventory_hostname }} = a
  - shell: echo no >> {DIR}/after
- hosts: all
  tasks:
  - shell: echo no >> {DIR}/after
",
    );
    assert!(done.file("after").starts_with('<'));
    assert_eq!((done.counts("a"), done.counts("b")), ("ok=1 changed=1".to_owned(), "failed=1".to_owned()));
}

#[test]
fn check_mode_sends_nothing_that_writes() {
    let tasks = "- copy: {content: new, dest: '{DIR}/f'}
  register: c
- lineinfile: {path: '{DIR}/g', line: more}
- shell: echo ran >> {DIR}/ran
  register: s
- command: echo looked
  check_mode: false
  changed_when: false
- file: {path: '{DIR}/d', state: directory}
  notify: h
- debug: msg='{{ c.changed }} {{ s is skipped }} {{ ansible_check_mode }}'
";
    let done = case()
        .with("g", "old\n")
        .options(|o| (o.check, o.diff) = (true, true))
        .tasks(tasks.trim_end().replace("  notify: h\n", "").as_str());
    assert_eq!(done.said().last().map(String::as_str), Some("True True True"), "{:?}", done.tasks("h"));
    assert_eq!(done.counts("h"), "ok=5 changed=3 skipped=1");
    assert_eq!(done.file("g"), "old\n");
    assert!(done.file("ran").starts_with('<') && done.file("f").starts_with('<'));
    let diffs: Vec<_> = done
        .events
        .iter()
        .filter_map(|e| if let Kind::TaskFinished { diff, .. } = &e.kind { diff.first().map(|d| d.after.clone()) } else { None })
        .collect();
    assert!(diffs.contains(&"new".to_owned()) && diffs.contains(&"old\nmore\n".to_owned()), "{diffs:?}");
}

#[test]
fn edits_of_one_file_follow_each_other_and_the_second_run_changes_nothing() {
    let tasks = "- lineinfile: {path: '{DIR}/f', line: a=1, create: true}
- lineinfile: {path: '{DIR}/f', regexp: '^a=', line: a=2}
- replace: {path: '{DIR}/f', regexp: '2', replace: '3'}
- lineinfile: {path: '{DIR}/f', line: '{{ item }}'}
  loop: [x, y]
- shell: cat {DIR}/f
  register: r
  changed_when: false
- debug: var=r.stdout_lines";
    let done = case().tasks(tasks);
    assert_eq!(done.file("f"), "a=3\nx\ny\n", "{:?}", done.tasks("h"));
    assert_eq!(done.counts("h"), "ok=6 changed=4");
    let again = case().with("f", "a=3\nx\ny\n").tasks(
        &tasks
            .replace("- lineinfile: {path: '{DIR}/f', line: a=1, create: true}\n", "")
            .replace("line: a=2", "line: a=3")
            .replace("regexp: '2'", "regexp: '9'"),
    );
    assert_eq!(again.counts("h"), "ok=5");
}

#[test]
fn an_unreachable_host_is_lost_and_named() {
    let done = case().hosts("a\nb ansible_connection=ssh ansible_host=127.0.0.1 ansible_port=1").tasks("- command: echo\n- command: echo");
    assert_eq!((done.counts("a"), done.counts("b")), ("ok=2 changed=2".to_owned(), "unreachable=1".to_owned()));
    assert!(done.summary.unreachable.contains_key("b"));
}

#[test]
fn facts_are_gathered_when_something_reads_them() {
    let done = case().options(|o| o.gather_facts = true).run(
        "- hosts: all
  vars: {family: '{{ ansible_os_family }}'}
  tasks:
  - debug: msg='{{ family }} {{ ansible_facts[\"distribution\"] | length > 0 }} {{ ansible_kernel == ansible_facts.kernel }}'
  - debug: msg='{{ ansible_facts | length > 10 }}'
- hosts: all
  gather_facts: false
  tasks:
  - debug: msg='{{ ansible_memtotal_mb | int > 0 }}'
",
    );
    assert_eq!(done.counts("h"), "ok=4", "{:?}", done.tasks("h"));
    assert!(done.said()[0].ends_with(" True True") && done.said()[1..] == ["true", "true"], "{:?}", done.said());
}

#[test]
fn asynchronous_jobs_go_on_beside_the_play() {
    let done = case().tasks(
        "- shell: while [ ! -e {DIR}/go ]; do sleep 0.05; done; echo out
  async: 20
  poll: 0
  register: job
- file: {path: '{DIR}/go', state: touch}
- async_status: {jid: '{{ job.ansible_job_id }}'}
  register: s
  until: s.finished
  retries: 100
  delay: 0.05
- debug: msg='{{ job.started }}{{ job.finished }} {{ s.stdout }}'",
    );
    assert_eq!(done.said().last().map(String::as_str), Some("TrueFalse out"), "{:?}", done.tasks("h"));
}

#[test]
fn what_no_log_hides_is_nowhere() {
    let done = case().tasks("- shell: echo s3cret; echo s3cret >&2; exit 1\n  no_log: true\n  loop: [s3cret]\n");
    assert!(!format!("{:?} {:?}", done.events, done.summary).contains("s3cret"));
    assert_eq!(done.counts("h"), "failed=1");
}

#[test]
fn what_was_encrypted_is_used_and_shown_nowhere() {
    let sealed = |text: &str| passwords().encrypt(text.as_bytes(), None).unwrap();
    let done = case()
        .with("more.yml", &sealed("password: s3cret\n"))
        .with("secret.txt", &sealed("s3cret file\n"))
        .with("secret.j2", &sealed("{{ password }} in a template\n"))
        .options(|o| o.diff = true)
        .tasks(
            "- include_vars: more.yml
  register: included
- include_vars: {dir: '{DIR}', files_matching: more}
- copy: {src: secret.txt, dest: '{DIR}/out'}
- template: {src: secret.j2, dest: '{DIR}/rendered'}
- debug: {msg: '{{ password | length }} {{ included.ansible_facts.password | length }}'}",
        );
    assert_eq!(done.said().last().map(String::as_str), Some("6 6"), "{:?}", done.tasks("h"));
    assert_eq!((done.file("out").as_str(), done.file("rendered").as_str()), ("s3cret file\n", "s3cret in a template\n"));
    assert!(!format!("{:?}", done.events).contains("s3cret"), "{:?}", done.events);
}
