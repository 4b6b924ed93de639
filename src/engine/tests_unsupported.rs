//! `--allow-unsupported`: what is not supported fails where a host reaches it, and only there.

use super::tests::case;

/// A module, an option, a filter and a file of tasks that are not supported; each stands behind a condition.
const PLAY: &str = "- hosts: all
  vars: {arch: false}
  tasks:
  - name: one
    pacman: {name: x}
    when: arch
  - name: two
    copy: {content: x, dest: '{DIR}/x', nosuchoption: 1}
    when: arch
  - name: three
    debug: {msg: '{{ 1 | nosuchfilter }}'}
    when: arch
  - include_tasks: more.yml
  - {name: last, command: echo done}
";

const MORE: &str = "- name: four
  nosuchmodule: a=1
  loop: [1, 2]
  when: arch
- {name: five, command: echo in between}
";

#[test]
fn it_is_refused_and_the_switch_is_named() {
    let said = case().with("more.yml", MORE).problems(PLAY).join("\n");
    for part in ["`pacman`", "`nosuchoption`", "'nosuchfilter'", "more.yml:2:3", "4 of 7 tasks", "nothing was run", "--allow-unsupported"] {
        assert!(said.contains(part), "{part} in\n{said}");
    }
}

#[test]
fn what_is_skipped_hinders_nobody() {
    let mut case = case().with("more.yml", MORE);
    case.allow_unsupported = true;
    let done = case.run(PLAY);
    assert_eq!(done.counts("h"), "ok=3 changed=2 skipped=4", "{:?}", done.tasks("h"));
}

#[test]
fn what_is_reached_fails_with_the_reason_and_can_be_rescued() {
    let mut case = case().with("more.yml", MORE);
    case.allow_unsupported = true;
    let tasks = "- hosts: all
  tasks:
  - block:
    - pacman: {name: x}
    rescue:
    - debug: {msg: '{{ ansible_failed_result.msg }}'}
  - {nosuchmodule: {a: '{{ undefined }}'}, ignore_errors: true, register: r}
  - debug: {msg: '{{ r is failed }}'}
";
    let done = case.run(tasks);
    assert!(done.said()[0].contains("site.yml:4:7: module or keyword `pacman` is not supported"), "{:?}", done.said());
    assert_eq!(done.said()[1], "true");
}

#[test]
fn a_playbook_that_is_wrong_in_itself_is_refused_all_the_same() {
    let mut case = case();
    case.allow_unsupported = true;
    let said = case.problems("- hosts: all\n  tsks: []\n  tasks: []\n").join("\n");
    assert!(said.contains("`tsks`"), "{said}");
}
