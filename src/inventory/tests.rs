use super::{Inventory, Raw, is_cluster_dir};
use crate::{text::Secret, vault::Vault};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/inventory")
}

fn load(sources: &[&str]) -> Inventory {
    let sources: Vec<_> = sources.iter().map(|s| root().join(s)).collect();
    Inventory::load(&sources, None).unwrap_or_else(|p| panic!("{p}"))
}

fn expected(name: &str) -> String {
    std::fs::read_to_string(root().join("expected").join(name)).unwrap().trim_end().to_owned()
}

/// `expected/*.json` and `*.txt` are what ansible-inventory of ansible-core 2.19.14 printed for the same files.
#[test]
fn prints_what_ansible_inventory_prints() {
    let cases: &[(&str, &[&str])] = &[
        ("ini", &["ini/hosts.ini"]),
        ("yaml", &["yaml/hosts.yml"]),
        ("directory", &["directory"]),
        ("several", &["several/a.ini", "several/b.ini"]),
    ];
    for (name, sources) in cases {
        let inventory = load(sources);
        assert_eq!(inventory.to_json_list().unwrap(), expected(&format!("{name}.json")), "{name}");
        assert_eq!(inventory.to_graph("all").unwrap(), expected(&format!("{name}.txt")), "{name}");
    }
}

/// `patterns.tsv` is what `ansible PATTERN --list-hosts` of ansible-core 2.19.14 printed.
#[test]
fn patterns_select_what_ansible_selects() {
    let inventory = load(&["ini/hosts.ini"]);
    let cases = expected("patterns.tsv");
    assert!(cases.lines().count() > 30);
    for line in cases.lines() {
        let (pattern, hosts) = line.split_once('\t').unwrap_or((line, ""));
        assert_eq!(inventory.select(pattern).unwrap().join(" "), hosts, "{pattern}");
    }
    assert!(inventory.select("web[9]").is_err() && inventory.select("web[9:]").unwrap().is_empty());
    assert!(inventory.select("~web(").is_err());
    assert_eq!(inventory.select_limited("web", Some("db:!db-a")).unwrap(), ["web02.example", "db-b"]);
    let warnings: Vec<_> = inventory.unmatched("web,wbe,!late,empty,all,web[9:]").iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "no host or group matches `wbe` (did you mean `web`?)",
            "no host or group matches `late` (did you mean `later`?)",
            "no host or group matches `web[9:]`"
        ]
    );
}

#[test]
fn groups_in_the_order_of_their_variables() {
    let inventory = load(&["ini/hosts.ini"]);
    assert_eq!(inventory.groups_of("web01.example"), ["world", "region", "later", "web"]);
    assert_eq!(inventory.group_names("web01.example"), ["later", "region", "web", "world"]);
    assert_eq!(inventory.groups_of("lone"), ["ungrouped"]);
    assert_eq!(inventory.groups_dict()["region"], ["web01.example", "web02.example", "web03.example", "db-a", "db-b", "db-c"]);
    assert_eq!(inventory.host_vars("localhost")["ansible_connection"].value.as_str(), Some("local"));
    assert_eq!(inventory.host_vars("db-a")["port"].span.as_ref().unwrap().text(), "port = 5432");
}

/// Same as in Ansible: of everything beside the playbook, `group_vars/all` is weaker than any group's beside the inventory.
#[test]
fn playbook_variables_and_host_lists() {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    put("inv/hosts", "[g]\nh:2022 x=inventory\n");
    put("inv/group_vars/g.yml", "a: inventory-g\nb: inventory-g\n");
    put("play/group_vars/all/x.yml", "a: play-all\nc: play-all\n");
    put("play/group_vars/g", "b: play-g\n");
    put("play/host_vars/h.yml", "x: play-host\n");
    let inventory = Inventory::load(&[dir.path().join("inv/hosts"), "one,two:23,".into()], Some(&dir.path().join("play"))).unwrap();
    let json: serde_json::Value = serde_json::from_str(&inventory.to_json_host("h").unwrap()).unwrap();
    assert_eq!(json, serde_json::json!({"a": "inventory-g", "ansible_port": 2022, "b": "play-g", "c": "play-all", "x": "play-host"}));
    assert_eq!(inventory.select("all").unwrap(), ["one", "two", "h"]);
    assert_eq!(inventory.directory, Some(dir.path().join("inv")));
    assert!(inventory.to_json_host("hh").is_err());
}

#[test]
fn what_is_encrypted() {
    let dir = tempfile::tempdir().unwrap();
    let mut vault = Vault::new();
    vault.add("default", Secret::new("pw".to_owned()));
    let sealed = vault.encrypt(b"in the open", None).unwrap();
    let inline: String = sealed.lines().flat_map(|l| ["    ", l, "\n"]).collect();
    std::fs::create_dir(dir.path().join("group_vars")).unwrap();
    std::fs::write(dir.path().join("hosts.yml"), format!("all:\n  hosts: h\n  vars:\n   secret: !vault |\n{inline}")).unwrap();
    let file = [dir.path().join("hosts.yml")];

    let open = Inventory::load_with(&file, None, &vault).unwrap();
    assert_eq!(open.host_vars("h")["secret"].value.as_str(), Some("in the open"));
    let closed = Inventory::load(&file, None).unwrap();
    let locked = super::locked(&closed.host_vars("h")["secret"].value).unwrap();
    assert!(locked.ends_with("hosts.yml:5:5: a vault password is needed: give --vault-password-file or --ask-vault-pass"), "{locked}");
    assert!(closed.to_json_list().unwrap().contains("__ansible_vault"));

    std::fs::write(dir.path().join("group_vars/all.yml"), vault.encrypt(b"whole: file\n", None).unwrap()).unwrap();
    assert_eq!(Inventory::load_with(&file, None, &vault).unwrap().host_vars("h")["whole"].value.as_str(), Some("file"));
    assert!(Inventory::load(&file, None).unwrap_err().to_string().contains("cannot open"));
    std::fs::write(dir.path().join("group_vars/all.yml"), vault.encrypt(b"hush: [hunter2\n", None).unwrap()).unwrap();
    let problems = Inventory::load_with(&file, None, &vault).unwrap_err();
    assert!(problems.0.iter().all(|p| p.span.is_none()) && !problems.to_string().contains("hunter2"), "{problems}");
}

#[test]
fn problems_name_their_line_and_come_together() {
    let dir = tempfile::tempdir().unwrap();
    let problems = |name: &str, text: &str| {
        std::fs::write(dir.path().join(name), text).unwrap();
        let found = Inventory::load(&[dir.path().join(name)], None).unwrap_err().to_string();
        found.replace(&format!("{}/", dir.path().display()), "")
    };
    let found = problems(
        "bad.ini",
        "a b\n[web]\nx[1:] y=1\nz q='1\n[web:childs]\n[wbe:vars]\n[top:children]\nwen\nweb\n[web:children]\ntop\n[a b]\n[web:vars]\nnothing\n",
    );
    for want in [
        "bad.ini:1:1: `b` is neither a host nor name=value",
        "bad.ini:3:1: [1:] has no end",
        "bad.ini:4:1: this line cannot be read: a ' is not closed",
        "bad.ini:5:1: there is no kind of section `childs`",
        "bad.ini:6:1: there is no group `wbe` (did you mean `web`?)",
        "bad.ini:8:1: there is no group `wen` (did you mean `web`?)",
        "bad.ini:11:1: group `top` below `web` would be a loop",
        "bad.ini:12:1: this is not a section",
        "bad.ini:14:1: name=value is wanted",
    ] {
        assert!(found.contains(want), "missing {want:?} in\n{found}");
    }
    let found = problems("bad.yml", "all:\n  hosts: [a]\n  children:\n    12: {}\n    g: {hosts: {5: ~, h: x}}\n");
    for want in [
        "bad.yml:2:10: a mapping is wanted here",
        "bad.yml:4:5: the name of a group is text",
        "bad.yml:5:17: the name of a host is text",
        "bad.yml:5:26: a host's variables are a mapping",
    ] {
        assert!(found.contains(want), "missing {want:?} in\n{found}");
    }
    assert!(problems("x.yml", "plugin: aws_ec2\n").contains("inventory plugin"));
    assert!(problems("script", "#!/bin/sh\n").contains("is a program"));
    assert!(Inventory::load(&[dir.path().join("none")], None).unwrap_err().to_string().contains("cannot read inventory"));
}

#[test]
fn by_hand() {
    let mut inventory = Inventory::new();
    inventory.add_host("a");
    inventory.add_group("web");
    inventory.add_to_group("web", "a").unwrap();
    inventory.set_group_var("web", "x", Raw { value: 1.into(), span: None }).unwrap();
    inventory.set_host_var("a", "y", Raw { value: 2.into(), span: None }).unwrap();
    inventory.reconcile();
    assert_eq!(inventory.to_graph("all").unwrap(), "@all:\n  |--@ungrouped:\n  |--@web:\n  |  |--a");
    assert_eq!(inventory.host_vars("a").len(), 2);
    assert!(inventory.add_to_group("nope", "a").is_err() && inventory.add_child("web", "all").is_err());
}

#[test]
fn a_directory_with_cluster_yaml_is_a_clusters() {
    let inventories = Path::new(env!("CARGO_MANIFEST_DIR")).join("inventories");
    assert!(is_cluster_dir(&inventories.join("lab")) && is_cluster_dir(&inventories.join("lab/cluster.yaml")));
    assert!(!is_cluster_dir(&root().join("directory")) && !is_cluster_dir(&root().join("ini/hosts.ini")));
}
