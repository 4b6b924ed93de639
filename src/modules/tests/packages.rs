//! Packages of Debian and the repositories that they come from.

use super::{def, *};

fn debian(root: &Root) {
    root.write("have", "curl 8.5.0-2ubuntu10 installed\n");
    root.write("var/lib/dpkg/updates/.keep", "");
    root.write("var/lib/apt/.keep", "");
    root.write("etc/apt/sources.list.d/x.list", "");
    root.stub("dpkg-query", r#"cat "$R/have""#);
    root.stub("dpkg", r#"echo "dpkg $*" >>"$R/calls""#);
    root.stub("sleep", "exec /bin/sleep 0.02");
    root.stub(
        "apt-get",
        r#"for a; do case $a in -*) ;; *) set -- "$@" "$a" ;; esac; done
echo "$*" | sed 's/.* -- //' >/dev/null
case "$*" in *update*) mkdir -p "$R/var/lib/apt/lists"; : >"$R/var/lib/apt/lists/lock"; echo update >>"$R/calls" ;;
*install*) echo install >>"$R/calls"; echo 'kubelet 1.36.3-1.1 installed' >>"$R/have"; echo '0 upgraded, 1 newly installed, 0 to remove and 0 not upgraded.' ;;
*remove*) echo remove >>"$R/calls"; : >"$R/have" ;; esac"#,
    );
}

#[test]
fn apt_installs_exact_versions_once() {
    let args = r#"{"name":["kubelet=1.36.3-*","curl"],"update_cache":true,"cache_valid_time":3600}"#;
    converges(def("apt"), args, debian, |root| assert_eq!(root.read("calls"), "update\ninstall\n"));
    let fresh = |root: &Root| {
        debian(root);
        root.write("var/lib/apt/lists/lock", "");
    };
    converges(def("apt"), args, fresh, |root| assert_eq!(root.read("calls"), "install\n"));
    let killed = |root: &Root| {
        fresh(root);
        root.write("var/lib/apt/kubewright-update.started", "");
    };
    converges(def("apt"), args, killed, |root| {
        assert_eq!(root.read("calls"), "update\ninstall\n", "lists of an update that never ended look new");
        assert!(!root.path("var/lib/apt/kubewright-update.started").exists());
    });
    converges(def("apt"), r#"{"name":"curl","state":"absent"}"#, debian, |root| assert_eq!(root.read("calls"), "remove\n"));
    for shell in SHELLS {
        let root = Root::new(shell);
        debian(&root);
        let verdict = |json: &str| root.run(&step(def("apt"), json), true).verdict;
        assert_eq!(verdict(r#"{"name":"curl"}"#), Verdict::Ok);
        assert_eq!(verdict(r#"{"name":"curl=8.*"}"#), Verdict::Ok);
        assert_eq!(verdict(r#"{"name":"curl=7.*"}"#), Verdict::WouldChange);
        assert_eq!(verdict(r#"{"name":"curl:amd64"}"#), Verdict::Ok);
        assert_eq!(verdict(r#"{"name":"wget"}"#), Verdict::WouldChange);
    }
}

#[test]
fn apt_waits_for_a_lock_and_names_its_holder() {
    let held = |root: &Root| {
        debian(root);
        root.stub(
            "apt-get",
            r#"echo "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 77 (unattended-upgr)" >&2; exit 100"#,
        );
    };
    fails(def("apt"), r#"{"name":"kubelet","lock_timeout":2}"#, held, "held by process 77 (unattended-upgr)");
    let freed = |root: &Root| {
        debian(root);
        root.write("var/lib/apt/lists/lock", "");
        root.stub(
            "apt-get",
            r#"echo try >>"$R/tries"; if [ "$(wc -l <"$R/tries")" -lt 3 ]; then echo "E: Could not get lock /var/lib/apt/lists/lock" >&2; exit 100; fi
case "$*" in *install*) echo 'kubelet 1.36 installed' >>"$R/have" ;; esac"#,
        );
    };
    converges(def("apt"), r#"{"name":"kubelet"}"#, freed, |_| {});
    let broken = |root: &Root| {
        debian(root);
        root.stub("apt-get", "echo 'E: Unable to locate package nope' >&2; exit 100");
    };
    fails(def("apt"), r#"{"name":"nope"}"#, broken, "E: Unable to locate package nope");
    let interrupted = |root: &Root| {
        debian(root);
        root.write("var/lib/dpkg/updates/0001", "x");
    };
    converges(def("apt"), r#"{"name":"kubelet"}"#, interrupted, |root| assert!(root.read("calls").starts_with("dpkg --configure -a")));
    // A journal of dpkg's is there while another dpkg is at work, too.
    let at_work = |root: &Root| {
        interrupted(root);
        root.stub(
            "dpkg",
            r#"echo try >>"$R/tries"; [ "$(wc -l <"$R/tries")" -ge 3 ] || { echo "dpkg: error: dpkg frontend lock was locked by another process with pid 703" >&2; exit 2; }
echo "dpkg $*" >>"$R/calls""#,
        );
    };
    converges(def("apt"), r#"{"name":"kubelet"}"#, at_work, |root| assert!(root.read("calls").starts_with("dpkg --configure -a")));
    let for_long = |root: &Root| {
        interrupted(root);
        root.stub("dpkg", r#"echo "dpkg: error: dpkg frontend lock was locked by another process with pid 703" >&2; exit 2"#);
    };
    fails(
        def("apt"),
        r#"{"name":"kubelet","lock_timeout":2}"#,
        for_long,
        "not free within 2 s: dpkg: error: dpkg frontend lock was locked by another process with pid 703",
    );
    let for_good = |root: &Root| {
        interrupted(root);
        root.stub("dpkg", "echo 'dpkg: error processing package x (--configure)' >&2; exit 1");
    };
    fails(def("apt"), r#"{"name":"kubelet"}"#, for_good, "dpkg --configure -a failed: dpkg: error processing package x");
}

#[test]
fn selections_are_held() {
    let prepare = |root: &Root| {
        root.write("want", "install");
        root.stub("dpkg-query", r#"cat "$R/want""#);
        root.stub("dpkg", r#"read -r name what; printf %s "$what" >"$R/want""#);
    };
    converges(def("dpkg_selections"), r#"{"name":"kubelet","selection":"hold"}"#, prepare, |root| assert_eq!(root.read("want"), "hold"));
}

const KEY: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----\nVersion: x\n\naGVsbG8g\nd29ybGQ=\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----\n";

#[test]
fn repositories_bring_their_key() {
    let prepare = |root: &Root| {
        root.write("etc/apt/sources.list.d/.keep", "");
        root.write("key", KEY);
        root.stub("curl", r#"while [ $# -gt 0 ]; do case $1 in -o) cat "$R/key" >"$2"; shift ;; esac; shift; done"#);
    };
    let args = r#"{"name":"kubernetes","uris":"https://x/deb/","suites":"./","signed_by":"https://x/Release.key"}"#;
    converges(def("deb822_repository"), args, prepare, |root| {
        assert_eq!(root.read("etc/apt/keyrings/kubernetes.gpg"), "hello world");
        let text = root.read("etc/apt/sources.list.d/kubernetes.sources");
        assert!(
            text.contains("Suites: ./\nTypes: deb\nURIs: https://x/deb/\n")
                && text.contains("Signed-By: /etc/apt/keyrings/kubernetes.gpg\n"),
            "{text}"
        );
    });
    converges(def("apt_repository"), r#"{"repo":"deb https://x/ noble main","filename":"x","update_cache":false}"#, prepare, |root| {
        assert_eq!(root.read("etc/apt/sources.list.d/x.list"), "deb https://x/ noble main\n");
    });
    let there = |root: &Root| root.write("etc/apt/sources.list.d/x.list", "deb https://x/ noble main\n");
    converges(def("apt_repository"), r#"{"repo":"deb https://x/ noble main","state":"absent","update_cache":false}"#, there, |root| {
        assert!(!root.path("etc/apt/sources.list.d/x.list").exists());
    });
}

#[test]
fn a_key_that_cannot_be_had_leaves_no_half_repository() {
    let prepare = |root: &Root| {
        root.write("etc/apt/sources.list.d/.keep", "");
        root.stub("curl", "echo 'curl: (6) Could not resolve host' >&2; exit 6");
    };
    let args = r#"{"name":"k","uris":"https://x/","suites":"./","signed_by":"https://x/Release.key"}"#;
    fails(def("deb822_repository"), args, prepare, "cannot download the repository's key from https://x/Release.key");
}

#[test]
fn apt_key_adds_to_a_keyring_and_takes_out_by_id() {
    // A key is one packet here: 98 04 (its kind and size), then version 4 and three bytes.
    let prepare = move |root: &Root| {
        root.write("etc/apt/trusted.gpg.d/other.gpg", "no key");
        root.write("served", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmAQEAAAB\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----\n");
        root.stub("curl", r#"while [ $# -gt 2 ]; do case $1 in -o) to=$2 ;; esac; shift; done; cp "$R/served" "$to""#);
    };
    let print = "01691ea940c5e1ae1e2df6bffadb9dd05a3efbbd";
    converges(def("apt_key"), r#"{"url":"https://x/k","keyring":"/etc/apt/keyrings/x.gpg"}"#, prepare, |root| {
        assert_eq!(std::fs::read(root.path("etc/apt/keyrings/x.gpg")).unwrap(), [0x98, 4, 4, 0, 0, 1]);
    });
    converges(def("apt_key"), &format!(r#"{{"url":"https://x/k","id":"0x{}"}}"#, &print[32..]), prepare, |_| {});
    fails(def("apt_key"), r#"{"url":"https://x/k","id":"DEADBEEF"}"#, prepare, "is not key deadbeef");
    let there = move |root: &Root| {
        prepare(root);
        std::fs::write(root.path("etc/apt/trusted.gpg.d/k.gpg"), [0x98, 4, 4, 0, 0, 1]).unwrap();
    };
    for args in [format!(r#"{{"id":"{}","state":"absent"}}"#, &print[24..]), r#"{"url":"https://x/k","state":"absent"}"#.to_owned()] {
        converges(def("apt_key"), &args, there, |root| assert!(!root.path("etc/apt/trusted.gpg.d/k.gpg").exists()));
    }
}
