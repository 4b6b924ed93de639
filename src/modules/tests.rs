//! Every module's sh, byte by byte (tests/golden/modules; `UPDATE_GOLDEN=1` writes them), and run in throw-away roots under
//! dash, bash --posix and busybox sh: a check that writes nothing, a change, then nothing to do.

mod packages;

use super::testing::{Root, SHELLS, args, compile, converges, fails, step};
use super::*;
use crate::session::Verdict;
use std::fmt::Write as _;

fn def(name: &str) -> &'static ModuleDef {
    lookup(name).unwrap()
}

/// What each module is compiled from for its golden file.
const GOLDEN: &[(&str, &str)] = &[
    (
        "apt",
        r#"{"name":["kubelet=1.36.3-*","curl"],"update_cache":true,"cache_valid_time":3600,"lock_timeout":300,"install_recommends":false,"allow_change_held_packages":true}"#,
    ),
    ("apt_key", r#"{"url":"https://example.org/key.asc"}"#),
    ("apt_repository", r#"{"repo":"deb [signed-by=/k.gpg] https://example.org/x noble main","filename":"x"}"#),
    ("authorized_key", r#"{"user":"ubuntu","key":"ssh-ed25519 AAAA me@laptop"}"#),
    ("blockinfile", r#"{"path":"/etc/x","block":"a"}"#),
    ("command", r#"{"_free":"echo $HOME 'a b' it","chdir":"/tmp","creates":"/x/*.done"}"#),
    ("copy", r#"{"content":"it's\n","dest":"/etc/x y","mode":"u=rw,g=r,o=","owner":"root","backup":true}"#),
    ("cri_image", r#"{"name":["registry.k8s.io/pause:3.10"],"background":true}"#),
    ("cron", r#"{"name":"n","job":"x '%' y","hour":3,"user":"root"}"#),
    (
        "deb822_repository",
        r#"{"name":"kubernetes","uris":"https://pkgs.k8s.io/x/deb/","suites":"./","signed_by":"https://pkgs.k8s.io/x/deb/Release.key"}"#,
    ),
    ("dnf", r#"{"name":"kubelet","disable_excludes":"kubernetes"}"#),
    ("dpkg_selections", r#"{"name":"kubelet","selection":"hold"}"#),
    ("file", r#"{"path":"~/d","state":"directory","mode":493,"recurse":true}"#),
    ("find", r#"{"paths":"/var/log","patterns":"*.log","recurse":true,"depth":2}"#),
    ("get_url", r#"{"url":"https://example.org/f","dest":"/opt/f","checksum":"sha256:AB","mode":"0755"}"#),
    ("git", r#"{"repo":"https://example.org/r.git","dest":"/srv/r","version":"v1"}"#),
    ("group", r#"{"name":"g"}"#),
    ("hostname", r#"{"name":"n1.example.org"}"#),
    ("iptables", r#"{"chain":"INPUT","protocol":"tcp","destination_port":22,"jump":"ACCEPT"}"#),
    ("etcd_restore", r#"{"image":"registry.k8s.io/etcd:3.6.8-0","name":"n1","address":"10.0.0.10","token":"t"}"#),
    ("etcd_stand_down", "{}"),
    ("pip", r#"{"name":"a","version":"1.0","virtualenv":"~/v","extra_args":"--index-url x"}"#),
    ("ufw", r#"{"rule":"allow","port":"6443","proto":"tcp","insert":1}"#),
    ("pod_hosts", r#"{"container":"kube-proxy","host":"api.c.internal","addresses":["10.0.0.6","10.0.0.10"]}"#),
    ("kubeadm_init", r#"{"config":"apiVersion: kubeadm.k8s.io/v1beta4\n","ignore_preflight_errors":["Swap"]}"#),
    ("kubeadm_join", r#"{"config":"apiVersion: kubeadm.k8s.io/v1beta4\n    apiServerEndpoint: api:6443\n"}"#),
    ("kubeadm_joined", "{}"),
    ("kubeadm_reset", "{}"),
    ("kubeadm_upload_certs", r#"{"config":"apiVersion: kubeadm.k8s.io/v1beta4\n"}"#),
    ("lineinfile", r#"{"path":"/etc/hosts","line":"1 a"}"#),
    ("modprobe", r#"{"name":"br_netfilter","persistent":"present"}"#),
    ("mount", r#"{"path":"/mnt/d","src":"/dev/sdb1","fstype":"ext4","state":"mounted"}"#),
    ("raw", r#"{"_free":"id; echo $X"}"#),
    ("rpm_key", r#"{"key":"https://example.org/k","fingerprint":"AB CD"}"#),
    ("script", r#"{"_free":"run.sh one"}"#),
    ("selinux", r#"{"state":"permissive","policy":"targeted"}"#),
    ("service", r#"{"name":"ssh","state":"restarted"}"#),
    ("shell", r#"{"_free":"set -o pipefail; a | b && it's","executable":"/bin/bash"}"#),
    ("slurp", r#"{"src":"/etc/hostname"}"#),
    ("stat", r#"{"path":"/etc/hosts"}"#),
    ("swap", r#"{"state":"absent"}"#),
    ("sysctl", r#"{"name":"net.ipv4.ip_forward","value":1,"sysctl_file":"/etc/sysctl.d/99-kubernetes.conf"}"#),
    ("systemd", r#"{"name":"containerd","state":"started","enabled":true,"daemon_reload":true}"#),
    ("template", r#"{"src":"motd","dest":"/etc/motd"}"#),
    ("unarchive", r#"{"src":"https://example.org/x.tgz","dest":"/opt","remote_src":true}"#),
    ("uri", r#"{"url":"https://example.org/","headers":{"Authorization":"Bearer t"}}"#),
    ("user", r#"{"name":"u","groups":"a,b","append":true,"password":"$6$x"}"#),
    ("wait_for", r#"{"port":6443,"host":"10.0.0.10"}"#),
    ("yum_repository", r#"{"name":"k","description":"K","baseurl":"https://example.org/","gpgkey":"https://example.org/k"}"#),
];

#[test]
fn every_byte_of_sh_is_golden() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/modules");
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    for (name, json) in GOLDEN {
        let step = match compile(def(name), &args(json)).unwrap_or_else(|e| panic!("{name}: {e}")) {
            Work::Sh(step) => step,
            Work::Edit(e) => edit::read(&e),
            _ => panic!("{name}: no sh"),
        };
        let mut text = format!("# {name}: {json}\n# check\n{}", step.check);
        if let Some(apply) = &step.apply {
            text.push_str("# apply\n");
            text.push_str(apply.as_str());
        }
        for blob in &step.blobs {
            let _ = writeln!(text, "# blob {} ({} bytes{})", blob.sha256, blob.content.len(), if blob.secret { ", secret" } else { "" });
        }
        let file = dir.join(format!("{name}.sh"));
        if update {
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(&file, &text).unwrap();
        } else if std::fs::read_to_string(&file).unwrap_or_default() != text {
            wrong.push(format!("{name}:\n{text}"));
        }
    }
    assert!(wrong.is_empty(), "UPDATE_GOLDEN=1 records these:\n{}", wrong.join("\n"));
}

#[test]
fn compiling_is_pure() {
    for (name, json) in GOLDEN {
        let text = || match compile(def(name), &args(json)) {
            Ok(Work::Sh(s)) => format!("{}{:?}{:?}", s.check, s.apply, s.blobs),
            _ => String::new(),
        };
        assert_eq!(text(), text(), "{name}");
    }
}

#[test]
fn secrets_are_blobs_and_not_text() {
    let step = step(def("uri"), r#"{"url":"https://x/","headers":{"Authorization":"Bearer s3cret"},"body":"p4ss","method":"POST"}"#);
    let text = format!("{}{:?}", step.check, step.apply);
    assert!(!text.contains("s3cret") && !text.contains("p4ss"));
    assert!(step.blobs.iter().all(|b| b.secret));
}

#[test]
fn command_and_shell_run_what_was_written() {
    for shell in SHELLS {
        let root = Root::new(shell);
        let result = |name: &str, json: &str| root.result(&step(def(name), &json.replace("$R", root.path("").to_str().unwrap())), false);
        let (_, r) = result("command", r#"{"_free":"printf '%s|' a 'b c' \\$x `id`"}"#);
        assert_eq!(r.fields["stdout"].as_str(), Some("a|b c|$x|`id`|"), "{shell:?}");
        assert!(r.changed && !r.failed);
        let (o, r) = result("shell", r#"{"_free":"echo out; echo err >&2; exit 3"}"#);
        assert_eq!(
            (o.verdict, r.fields["rc"].as_i64(), r.msg.as_deref()),
            (Verdict::ApplyFailed, Some(3), Some("non-zero return code")),
            "{shell:?}"
        );
        assert_eq!((r.fields["stdout"].as_str(), r.fields["stderr"].as_str()), (Some("out"), Some("err")));
        let (_, r) = result("shell", r#"{"_free":"cat","stdin":"text"}"#);
        assert_eq!(r.fields["stdout"].as_str(), Some("text"));
        let (_, r) = result("command", r#"{"_free":"cd /tmp"}"#);
        assert!(r.failed, "{shell:?}: a builtin is no program");
        root.write("marker", "");
        let (o, r) = result("command", r#"{"_free":"false","creates":"$R/mark*"}"#);
        assert_eq!((o.verdict, r.changed, r.fields["rc"].as_i64()), (Verdict::Ok, false, Some(0)), "{shell:?}");
        assert!(r.fields["stdout"].as_str().unwrap().starts_with("skipped, since"));
        let (_, r) = result("command", r#"{"_free":"pwd","chdir":"$R"}"#);
        assert_eq!(r.fields["stdout"].as_str(), root.path("").to_str().map(|p| p.trim_end_matches('/')));
        let (_, r) = result("script", r#"{"_free":"run.sh one"}"#);
        assert!(!r.failed, "{:?}", r.msg);
        assert_eq!(root.read("out"), "ran one\n");
        let (_, checked) = root.result(&step(def("command"), r#"{"_free":"touch /nonexistent/x"}"#), true);
        assert!(checked.skipped && !checked.changed);
    }
}

#[test]
fn files_directories_and_links() {
    converges(
        def("file"),
        r#"{"path":"$R/a/b/c","state":"directory","mode":"0750"}"#,
        |_| {},
        |root| {
            for dir in ["a", "a/b", "a/b/c"] {
                assert_eq!(mode(root, dir), 0o750, "{dir}");
            }
        },
    );
    converges(def("file"), r#"{"path":"$R/f","mode":"u+x,g-r,o="}"#, |r| r.write("f", "x"), |root| assert_eq!(mode(root, "f"), 0o700));
    converges(def("file"), r#"{"path":"$R/l","src":"$R/f","state":"link"}"#, |r| r.write("f", "x"), |root| assert_eq!(root.read("l"), "x"));
    converges(def("file"), r#"{"path":"$R/d","state":"absent"}"#, |r| r.write("d/e/f", "x"), |root| assert!(!root.path("d").exists()));
    converges(
        def("file"),
        r#"{"path":"$R/t","state":"directory","recurse":true,"mode":"u=rwX,g=rX,o="}"#,
        |r| r.write("t/u/v", "x"),
        |root| {
            assert_eq!((mode(root, "t/u"), mode(root, "t/u/v")), (0o750, 0o640));
        },
    );
    converges(
        def("file"),
        r#"{"path":"$R/n","state":"touch","modification_time":"preserve","access_time":"preserve"}"#,
        |_| {},
        |root| assert!(root.path("n").exists()),
    );
    fails(def("file"), r#"{"path":"$R/none","mode":"0644"}"#, |_| {}, "is absent, cannot continue");
    fails(def("file"), r#"{"path":"$R/l","src":"$R/none","state":"link"}"#, |_| {}, "does not exist");
}

fn mode(root: &Root, name: &str) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(root.path(name)).unwrap().permissions().mode() & 0o7777
}

#[test]
fn copies_are_by_content_and_attributes() {
    converges(
        def("copy"),
        r#"{"content":"new\n","dest":"$R/f","mode":"0640"}"#,
        |r| r.write("f", "old\n"),
        |root| {
            assert_eq!((root.read("f").as_str(), mode(root, "f")), ("new\n", 0o640));
        },
    );
    converges(
        def("copy"),
        r#"{"content":"same\n","dest":"$R/f","mode":"0600"}"#,
        |r| r.write("f", "same\n"),
        |root| assert_eq!(mode(root, "f"), 0o600),
    );
    converges(
        def("copy"),
        r#"{"src":"motd","dest":"$R/d/","mode":"preserve"}"#,
        |r| r.write("d/x", ""),
        |root| {
            assert_eq!((root.read("d/motd").as_str(), mode(root, "d/motd")), ("hello\n", 0o640));
        },
    );
    converges(
        def("copy"),
        r#"{"src":"tree/","dest":"$R/t","mode":"0600","directory_mode":"0700"}"#,
        |_| {},
        |root| {
            assert_eq!((root.read("t/a"), root.read("t/d/b")), ("A\n".to_owned(), "B\n".to_owned()));
            assert_eq!((mode(root, "t/d"), mode(root, "t/d/b")), (0o700, 0o600));
        },
    );
    converges(
        def("copy"),
        r#"{"src":"$R/a","dest":"$R/b","remote_src":true}"#,
        |r| r.write("a", "x"),
        |root| assert_eq!(root.read("b"), "x"),
    );
    converges(
        def("copy"),
        r#"{"src":"$R/a","dest":"$R/b/","remote_src":true}"#,
        |r| {
            r.write("a/x/y", "1");
            r.write("b/z", "");
        },
        |root| {
            assert_eq!(root.read("b/a/x/y"), "1");
        },
    );
    converges(
        def("template"),
        r#"{"src":"motd","dest":"$R/m","backup":true}"#,
        |r| r.write("m", "old"),
        |root| {
            let kept = std::fs::read_dir(root.path(""))
                .unwrap()
                .filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().ends_with('~'))
                .count();
            assert_eq!((root.read("m").as_str(), kept), ("hello\n", 1));
        },
    );
    fails(def("copy"), r#"{"content":"x","dest":"$R/none/f"}"#, |_| {}, "does not exist");
    fails(def("copy"), r#"{"content":"bad","dest":"$R/f","validate":"grep -q good %s"}"#, |_| {}, "the new file is not valid");
}

#[test]
fn a_refused_copy_leaves_nothing_behind() {
    for shell in SHELLS {
        let root = Root::new(shell);
        root.write("f", "old");
        let json = r#"{"content":"bad","dest":"$R/f","validate":"grep -q good %s"}"#.replace("$R", root.path("").to_str().unwrap());
        assert!(root.result(&step(def("copy"), &json), false).1.failed);
        assert_eq!(root.read("f"), "old");
        assert_eq!(std::fs::read_dir(root.path("")).unwrap().count(), 1, "{shell:?}: a temporary file stayed");
    }
}

#[test]
fn a_copy_shows_its_diff() {
    let root = Root::new(SHELLS[0]);
    root.write("f", "old\n");
    let json = r#"{"content":"new\n","dest":"$R/f"}"#.replace("$R", root.path("").to_str().unwrap());
    let (_, result) = root.result(&step(def("copy"), &json), true);
    assert_eq!((result.diff[0].before.as_str(), result.diff[0].after.as_str()), ("old\n", "new\n"));
    assert!(result.changed);
}

#[test]
fn edits_are_read_decided_and_written() {
    for shell in SHELLS {
        let root = Root::new(shell);
        root.write("hosts", "127.0.0.1 localhost\n");
        let json =
            r#"{"path":"$R/hosts","regexp":"\\sapi$","line":"10.0.0.10 api","mode":"0640"}"#.replace("$R", root.path("").to_str().unwrap());
        let Ok(Work::Edit(work)) = compile(def("lineinfile"), &args(&json)) else { panic!("no edit") };
        let before = root.snapshot();
        let read = root.run(&edit::read(&work), false);
        assert_eq!(before, root.snapshot());
        let (result, write) = edit::decide(&work, &read, true, false);
        assert!(result.changed && result.diff[0].after.ends_with("10.0.0.10 api\n"), "{result:?}");
        let write = write.unwrap();
        assert_eq!(root.run(&write, false).verdict, Verdict::Changed, "{shell:?}");
        assert_eq!((root.read("hosts").as_str(), mode(&root, "hosts")), ("127.0.0.1 localhost\n10.0.0.10 api\n", 0o640));
        let (result, again) = edit::decide(&work, &root.run(&edit::read(&work), false), true, false);
        assert!(!result.changed && again.is_none(), "{shell:?}: {result:?}");
        // Somebody else wrote in between: the first write is refused.
        let outcome = root.run(&write, false);
        assert_eq!(outcome.verdict, Verdict::CheckFailed);
        assert!(String::from_utf8_lossy(&outcome.stderr).contains("changed by somebody else"));
    }
}

#[test]
fn stat_has_ansibles_fields() {
    for shell in SHELLS {
        let root = Root::new(shell);
        root.write("f", "hello");
        std::os::unix::fs::symlink("f", root.path("l")).unwrap();
        let stat = |name: &str| {
            let (_, r) = root.result(&step(def("stat"), &format!(r#"{{"path":"{}"}}"#, root.path(name).display())), false);
            assert!(!r.failed && !r.changed, "{:?}", r.msg);
            r.fields["stat"].clone()
        };
        let get = |v: &minijinja::Value, k: &str| v.get_attr(k).unwrap().to_string().to_lowercase();
        let file = stat("f");
        assert_eq!((get(&file, "exists"), get(&file, "isreg"), get(&file, "size")), ("true".into(), "true".into(), "5".into()));
        assert_eq!(get(&file, "checksum"), "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d");
        let link = stat("l");
        assert_eq!((get(&link, "islnk"), get(&link, "lnk_target")), ("true".into(), "f".into()));
        assert_eq!(get(&stat("none"), "exists"), "false");
    }
}

fn units(root: &Root) {
    root.write("run/systemd/system/x", "");
    root.write("unit", "ActiveState=inactive\nUnitFileState=disabled\nLoadState=loaded\nNeedDaemonReload=no\n");
    root.stub(
        "systemctl",
        r#"case $1 in show) cat "$R/unit" ;; *) echo "$*" >>"$R/calls"
case $1 in start|restart) sed -i 's/ActiveState=.*/ActiveState=active/' "$R/unit" ;; enable) sed -i 's/FileState=.*/FileState=enabled/' "$R/unit" ;; esac ;; esac"#,
    );
}

#[test]
fn units_are_started_and_enabled_once() {
    for module in ["systemd", "service"] {
        converges(def(module), r#"{"name":"containerd","state":"started","enabled":true}"#, units, |root| {
            assert_eq!(root.read("calls"), "enable -- containerd.service\nstart -- containerd.service\n");
        });
    }
    let missing = |root: &Root| {
        units(root);
        root.write("unit", "ActiveState=inactive\nUnitFileState=\nLoadState=not-found\nNeedDaemonReload=no\n");
    };
    fails(def("systemd"), r#"{"name":"nope","state":"started"}"#, missing, "could not find the requested service nope.service");
    let broken = |root: &Root| {
        units(root);
        root.stub("systemctl", r#"case $1 in show) cat "$R/unit" ;; *) echo "Job failed" >&2; exit 1 ;; esac"#);
        root.stub("journalctl", "echo 'bind: address already in use'");
    };
    fails(def("systemd"), r#"{"name":"x","state":"started"}"#, broken, "address already in use");
    for shell in SHELLS {
        let root = Root::new(shell);
        units(&root);
        let step = step(def("systemd"), r#"{"name":"x","state":"restarted"}"#);
        assert_eq!(root.run(&step, false).verdict, Verdict::Changed);
        assert_eq!(root.run(&step, false).verdict, Verdict::Changed, "a restart is always a change");
    }
}

fn kernel(root: &Root) {
    for (file, text) in [
        ("proc/filesystems", "nodev\tsysfs\n\text4\nnodev\toverlay\n"),
        ("proc/sys/kernel/osrelease", "6.1\n"),
        ("sys/module/vxlan/x", ""),
        ("proc/kallsyms", "0 t nf_nat_init\n"),
    ] {
        root.write(file, text);
    }
}

#[test]
fn modules_may_be_built_in() {
    let prepare = |root: &Root| {
        kernel(root);
        root.stub("modprobe", r#"mkdir -p "$R/sys/module/$1""#);
        root.write("etc/modules-load.d/.keep", "");
    };
    converges(def("modprobe"), r#"{"name":"br_netfilter","persistent":"present"}"#, prepare, |root| {
        assert_eq!(root.read("etc/modules-load.d/br_netfilter.conf"), "br_netfilter\n");
    });
    for shell in SHELLS {
        let root = Root::new(shell);
        kernel(&root);
        for name in ["overlay", "vxlan"] {
            assert_eq!(root.run(&step(def("modprobe"), &format!(r#"{{"name":"{name}"}}"#)), true).verdict, Verdict::Ok, "{shell:?} {name}");
        }
        root.write("proc/sys/net/bridge/x", "");
        assert_eq!(root.run(&step(def("modprobe"), r#"{"name":"br_netfilter"}"#), true).verdict, Verdict::Ok);
    }
    let refuses = |root: &Root| {
        kernel(root);
        root.stub("modprobe", "echo 'modprobe: FATAL: Module nope not found' >&2; exit 1");
    };
    fails(def("modprobe"), r#"{"name":"nope"}"#, refuses, "kernel module nope cannot be loaded: modprobe: FATAL");
}

#[test]
fn sysctls_are_set_live_and_kept() {
    let prepare = |root: &Root| {
        root.write("proc/sys/net/ipv4/ip_forward", "0\n");
        root.write("proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n");
        root.write("etc/sysctl.d/99-k.conf", "vm.x = 1\nnet.ipv4.ip_forward=0\n");
    };
    let file = r#""sysctl_file":"/etc/sysctl.d/99-k.conf""#;
    converges(def("sysctl"), &format!(r#"{{"name":"net.ipv4.ip_forward","value":"1",{file}}}"#), prepare, |root| {
        assert_eq!(root.read("proc/sys/net/ipv4/ip_forward"), "1\n");
        assert_eq!(root.read("etc/sysctl.d/99-k.conf"), "vm.x = 1\nnet.ipv4.ip_forward=1\n");
    });
    converges(def("sysctl"), &format!(r#"{{"name":"net.ipv4.ip_local_port_range","value":"32768 60999",{file}}}"#), prepare, |root| {
        assert!(root.read("etc/sysctl.d/99-k.conf").ends_with("net.ipv4.ip_local_port_range=32768 60999\n"));
    });
    converges(def("sysctl"), &format!(r#"{{"name":"vm.x","state":"absent",{file}}}"#), prepare, |root| {
        assert_eq!(root.read("etc/sysctl.d/99-k.conf"), "net.ipv4.ip_forward=0\n");
    });
    fails(def("sysctl"), &format!(r#"{{"name":"net.nope","value":"1",{file}}}"#), prepare, "there is no sysctl net.nope");
}

#[test]
fn mounts_swap_and_the_host_name() {
    let fstab = |root: &Root| {
        root.write("etc/fstab", "# c\n/dev/sda1 / ext4 defaults 0 1\n/dev/sdb1 /old ext4 defaults 0 0\n/swap.img none swap sw 0 0\n");
        root.write("proc/self/mounts", "/dev/sda1 / ext4 rw 0 0\n");
        root.write("proc/swaps", "Filename Type Size Used Priority\n");
        root.write("proc/sys/kernel/hostname", "old\n");
        root.write("etc/hostname", "old\n");
        root.write("etc/systemd/system/x", "");
        root.stub("swapoff", r#"printf 'Filename Type\n' >"$R/proc/swaps""#);
        root.stub("systemctl", "exit 0");
        root.stub("hostnamectl", r#"echo "$2" >"$R/etc/hostname"; echo "$2" >"$R/proc/sys/kernel/hostname""#);
        root.stub("mount", r#"for p; do :; done; echo "/dev/x $p ext4 rw 0 0" >>"$R/proc/self/mounts""#);
    };
    converges(def("mount"), r#"{"path":"$R/mnt","src":"/dev/sdc1","fstype":"xfs","state":"mounted"}"#, fstab, |root| {
        assert!(root.read("etc/fstab").ends_with(&format!("/dev/sdc1 {} xfs defaults 0 0\n", root.path("mnt").display())));
    });
    converges(def("mount"), r#"{"path":"/old","state":"absent_from_fstab"}"#, fstab, |root| {
        assert!(!root.read("etc/fstab").contains("/old"));
    });
    let swapping = |root: &Root| {
        fstab(root);
        root.write("proc/swaps", "Filename Type Size Used Priority\n/swap.img file 1 0 -2\n");
    };
    converges(def("swap"), r#"{"state":"absent"}"#, swapping, |root| {
        assert!(root.read("etc/fstab").contains("\n# kubewright: /swap.img none swap"));
        assert!(root.read("etc/fstab").contains("\n/dev/sda1 / ext4"));
    });
    converges(def("hostname"), r#"{"name":"node-1"}"#, fstab, |root| assert_eq!(root.read("etc/hostname"), "node-1\n"));
}

#[test]
fn every_module_says_what_its_arguments_lack() {
    for name in names() {
        let def = def(name);
        if def.options.iter().any(|o| o.required) {
            let Err(e) = compile(def, &Args::default()) else { panic!("{name} takes no arguments at all") };
            assert!(e.0.contains("needs '"), "{name}: {e}");
        }
        let Err(e) = compile(def, &args(r#"{"no_such_option":1}"#)) else {
            assert!(["set_fact", "add_host"].contains(&name), "{name} takes an unknown option");
            continue;
        };
        assert!(name == "add_host" || e.0.contains("no option 'no_such_option'"), "{name}: {e}");
    }
}

#[test]
fn the_environment_of_a_task_reaches_its_program() {
    let environment = indexmap::IndexMap::from([("A_B".to_owned(), "it's".to_owned())]);
    let none = |_: &str, _: &str| Err(String::new());
    let env = Env {
        full: false,
        check_mode: false,
        diff: false,
        facts: &|_| None,
        read: &none,
        render: &|_, _| Err(String::new()),
        environment: &environment,
    };
    let Ok(Work::Sh(step)) = super::compile(def("shell"), &args(r#"{"_free":"printf %s \"$A_B\""}"#), &env) else { panic!("no step") };
    for shell in SHELLS {
        assert_eq!(Root::new(shell).result(&step, false).1.fields["stdout"].as_str(), Some("it's"), "{shell:?}");
    }
    let bad = indexmap::IndexMap::from([("A B".to_owned(), String::new())]);
    assert!(super::compile(def("shell"), &args(r#"{"_free":"id"}"#), &Env { environment: &bad, ..env }).is_err());
}
