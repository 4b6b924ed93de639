//! The same questions to `ssh -G`.

use super::{HostConfig, Jump, Sources, jump, proxy_command, resolve};
use proptest::prelude::*;
use std::{collections::HashMap, path::Path, process::Command};

fn sources(file: &Path, options: &[&str]) -> Sources {
    let home = std::env::var_os("HOME").expect("HOME").into();
    let options = options.iter().map(|o| (*o).to_owned()).collect();
    Sources { files: vec![file.to_owned()], home, local_user: "tester".to_owned(), options }
}

fn ours(text: &str, host: &str) -> HostConfig {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config");
    std::fs::write(&file, text).unwrap();
    resolve(host, &sources(&file, &[]))
}

/// `keyword → values` as `ssh -G` prints them.
fn openssh(text: &str, host: &str) -> HashMap<String, Vec<String>> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config");
    std::fs::write(&file, text).unwrap();
    let out = Command::new("ssh").arg("-G").arg("-F").arg(&file).arg(host).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let mut all: HashMap<String, Vec<String>> = HashMap::new();
    for line in String::from_utf8(out.stdout).unwrap().lines() {
        let (keyword, value) = line.split_once(' ').unwrap_or((line, ""));
        all.entry(keyword.to_owned()).or_default().push(value.to_owned());
    }
    all
}

const CONFIG: &str = r#"
# first value wins
Host bastion jump-*
    HostName %h.example.com
    User admin
Host !secret.internal *.internal 10.0.?.1?
    ProxyJump bastion,ops@second:2222
    User = ubuntu
    Port=2200
    IdentityFile "/keys/with space/id"
    IdentityFile /keys/%r-%n
    IdentitiesOnly yes
Match originalhost matched user *
    Port 77
    UserKnownHostsFile /etc/known/a /etc/known/b
Match host bastion.example.com
    Port 78
Match host *.internal !originalhost x.internal
    Compression yes
    IdentityFile /keys/extra
Host old
    ProxyCommand ssh -q -W %h:%p -i /keys/b -p 23 me@gate
HOST *
    User last
    Port 99
"#;

#[test]
fn as_ssh_dash_g_says() {
    let hosts =
        ["bastion", "jump-1", "secret.internal", "a.internal", "x.internal", "10.0.3.10", "10.0.3.100", "matched", "old", "A.Internal"];
    for host in hosts {
        let (ours, theirs) = (ours(CONFIG, host), openssh(CONFIG, host));
        assert_eq!(vec![ours.host_name.clone()], theirs["hostname"], "{host}");
        assert_eq!(vec![ours.port.to_string()], theirs["port"], "{host}");
        assert_eq!(ours.user.as_ref(), theirs["user"].first(), "{host}");
        assert_eq!(ours.identities_only, theirs["identitiesonly"] == ["yes"], "{host}");
        let jumps = ours.jumps.iter().map(|j| {
            let user = j.user.as_ref().map_or_else(String::new, |u| format!("{u}@"));
            user + &j.host + &j.port.map_or_else(String::new, |p| format!(":{p}"))
        });
        let jumps = jumps.collect::<Vec<_>>().join(",");
        if host != "old" {
            assert_eq!(jumps, theirs.get("proxyjump").map_or(String::new(), |v| v[0].clone()), "{host}");
        }
        if theirs["identityfile"].iter().all(|f| f.starts_with("/keys")) {
            // ssh -G shows tokens as they were written.
            let expanded: Vec<String> =
                theirs["identityfile"].iter().map(|f| f.replace("%r", ours.user.as_deref().unwrap()).replace("%n", host)).collect();
            let files: Vec<String> = ours.identity_files.iter().map(|f| f.to_string_lossy().into_owned()).collect();
            assert_eq!(files, expanded, "{host}");
        }
        if host == "matched" {
            let files = ours.known_hosts[..2].iter().map(|f| f.to_string_lossy()).collect::<Vec<_>>().join(" ");
            assert_eq!(vec![files], theirs["userknownhostsfile"]);
        }
    }
}

#[test]
fn options_win_and_includes_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let (main, more) = (directory.path().join("config"), directory.path().join("more-1.conf"));
    std::fs::write(&main, format!("Host a\n  Include {}/more-*.conf\nHost *\n  Port 3\n", directory.path().display())).unwrap();
    std::fs::write(&more, "User included\nHost b\n  Port 4\n").unwrap();
    let found = resolve("a", &sources(&main, &["Port=5"]));
    assert_eq!((found.port, found.user.as_deref()), (5, Some("included")));
    assert_eq!(resolve("b", &sources(&main, &[])).user, None);
    std::fs::write(&more, format!("Include {}\n", more.display())).unwrap();
    assert!(resolve("a", &sources(&main, &[])).warnings[0].contains("nest too deep"));
}

#[test]
fn what_is_ignored_is_said() {
    let found = ours("StrictHostKeyChecking no\nProxyCommand nc %h %p\nMatch exec \"true\"\n  Port 9\n", "a");
    assert_eq!((found.port, found.jumps.len(), found.warnings.len()), (22, 0, 2), "{:?}", found.warnings);
    assert!(found.refused.unwrap().contains("nc %h %p: only"));
    assert!(ours("StrictHostKeyChecking yes\n", "a").warnings.is_empty());
}

#[test]
fn jump_hosts_in_all_their_forms() {
    let simple = |host: &str, user: Option<&str>, port| Jump { host: host.into(), user: user.map(Into::into), port, ..Jump::default() };
    assert_eq!(jump("ssh://me@[::1]:23"), Some(simple("::1", Some("me"), Some(23))));
    assert_eq!(jump("fe80::1"), Some(simple("fe80::1", None, None)));
    assert_eq!(jump("me@dom@gate:2"), Some(simple("gate", Some("me@dom"), Some(2))));
    assert_eq!(jump("gate:x"), None);
    let command = "/usr/bin/ssh -o StrictHostKeyChecking=no -o 'User=me' -i k1 -J first -qW %h:%p gate -p2222";
    assert_eq!(
        proxy_command(&command.replace("-qW", "-q -W")).unwrap(),
        [simple("first", None, None), Jump { identity_files: vec!["k1".into()], ..simple("gate", Some("me"), Some(2222)) }]
    );
    for other in ["nc %h %p", "ssh gate nc %h %p", "ssh gate", "ssh -W other:22 gate", ""] {
        assert_eq!(proxy_command(other), None, "{other}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_without_harm(text in "(Host |Match |Port |HostName |ProxyJump |ProxyCommand |[ -~]|\\n|\"|%){0,60}", host in "[a-z%*.]{0,8}") {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = super::Settings::default();
        let home = directory.path();
        let asked = super::Asked { original: &host, user: None, local_user: "u", home };
        settings.text(&text.replace("nclude", "x"), Path::new("config"), &asked, 0);
        super::from_settings(&host, settings, &Sources { files: vec![], home: home.into(), local_user: "u".into(), options: vec![] });
    }
}
