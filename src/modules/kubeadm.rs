//! kubeadm on a host (ours): `kubeadm_init`, `kubeadm_join`, `kubeadm_joined`, `kubeadm_reset`, `cri_image`.
//! What survives a kill, and how a crash is noticed, stands in `sh/kubeadm.sh`.

use super::{
    ArgError, ModuleDef, OptionType as T,
    args::{Opts, opt, to_text},
    outcome,
    script::{Script, hex},
};
use sha2::{Digest, Sha256};

/// Initialises a control plane, finishes an interrupted initialisation, or starts a stopped kubelet. A finished cluster is
/// never touched: it is known by admin.conf and the API server's manifest without our marker. `restored`: on the data and
/// certificates that `etcd_restore` brought back, which nobody else touches.
pub static KUBEADM_INIT: ModuleDef = ModuleDef {
    names: &["kubeadm_init"],
    options: &[opt("config", T::Raw).req(), opt("ignore_preflight_errors", T::List).alias(&["ignore_preflight"]), opt("restored", T::Bool)],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&KUBEADM_INIT, args)?;
        Ok(config(&o)?.flag("kw_restored", o.flag("restored", false)).plain("kw_init_check", "kw_init_apply"))
    },
};

/// Joins a cluster, after clean-up of an unfinished join or another cluster's leftovers. With `control_plane` as one, with an
/// etcd member of its own; `force`: also when it looks like a finished one, because etcd no longer knows it.
pub static KUBEADM_JOIN: ModuleDef = ModuleDef {
    names: &["kubeadm_join"],
    options: &[
        opt("config", T::Raw).req(),
        opt("ca_cert_hashes", T::List).alias(&["cluster_ca_hash"]),
        opt("ignore_preflight_errors", T::List).alias(&["ignore_preflight"]),
        opt("node_name", T::Str),
        opt("control_plane", T::Bool),
        opt("force", T::Bool),
    ],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&KUBEADM_JOIN, args)?;
        // Unsafe discovery is refused: a false API server could adopt the node.
        let text = o.value("config").map(to_text).unwrap_or_default();
        if let Some(hash) = o.list("ca_cert_hashes").iter().find(|h| !h.is_empty() && !text.contains(h.as_str())) {
            return Err(ArgError(format!("the configuration does not pin the cluster's CA ({hash})")));
        }
        let endpoint = text.lines().find_map(|l| l.trim().strip_prefix("apiServerEndpoint:"));
        let endpoint = endpoint.map(|e| e.trim().trim_matches(['"', '\'']).to_owned()).unwrap_or_default();
        let script = config(&o)?.set("kw_endpoint", &endpoint).set("kw_node", &o.text_or("node_name", ""));
        let script = script.flag("kw_control_plane", o.flag("control_plane", false)).flag("kw_force", o.flag("force", false));
        Ok(script.plain("kw_join_check", "kw_join_apply"))
    },
};

/// Puts the certificates that all control planes share into the cluster, encrypted with the configuration's
/// `certificateKey`, for one that joins now. Runs on a control plane that is initialised.
pub static KUBEADM_UPLOAD_CERTS: ModuleDef = ModuleDef {
    names: &["kubeadm_upload_certs"],
    options: &[opt("config", T::Raw).req()],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&KUBEADM_UPLOAD_CERTS, args)?;
        Ok(config(&o)?.plain("kw_upload_check", "kw_upload_apply"))
    },
};

/// To which cluster this machine belongs: `ca_cert_hash` (empty: to none, or a join was interrupted), `joined`, whether it is
/// a `control_plane`, and `kubelet_started`, seconds since 1970 by its own clock (empty: kubelet does not run). Only looks.
pub static KUBEADM_JOINED: ModuleDef = ModuleDef {
    names: &["kubeadm_joined"],
    options: &[],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        Opts::read(&KUBEADM_JOINED, args)?;
        Ok(Script::new().look(
            "kw_joined_check",
            outcome::with(|result, said, _| {
                let hash = ca_hash(said.get("ca")).unwrap_or_default();
                result.fields.insert("joined".into(), (!hash.is_empty()).into());
                result.fields.insert("control_plane".into(), (!hash.is_empty() && said.has("control_plane")).into());
                result.fields.insert("ca_cert_hash".into(), hash.into());
                result.fields.insert("kubelet_started".into(), said.get("started").into());
            }),
        ))
    },
};

/// Pods on this machine with a container of this name whose hosts file knows `host` at none of the addresses: kubelet copies
/// the machine's file when it starts a pod with its network, and never again. `stale`: their UIDs. Only looks.
pub static POD_HOSTS: ModuleDef = ModuleDef {
    names: &["pod_hosts"],
    options: &[opt("container", T::Str).req(), opt("host", T::Str).req(), opt("addresses", T::List).req()],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&POD_HOSTS, args)?;
        let script = Script::new().set("kw_container", &o.text_or("container", "")).set("kw_host", &o.text_or("host", ""));
        Ok(script.args(&o.list("addresses")).look(
            "kw_pod_hosts_check \"$@\"",
            outcome::with(|result, said, _| {
                let stale: Vec<&str> = said.get("stale").split_whitespace().collect();
                result.fields.insert("stale".into(), stale.into_iter().map(minijinja::Value::from).collect());
            }),
        ))
    },
};

/// Takes a machine out of its cluster: kubeadm's reset, and the links and files of the network that we installed.
pub static KUBEADM_RESET: ModuleDef = ModuleDef {
    names: &["kubeadm_reset"],
    options: &[],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        Opts::read(&KUBEADM_RESET, args)?;
        Ok(Script::new().plain("kw_reset_check", "kw_reset_apply"))
    },
};

/// Images for kubelet, pulled through containerd's registry hosts; in the background if asked: then a failure is not
/// ours to report, kubelet pulls again.
pub static CRI_IMAGE: ModuleDef = ModuleDef {
    names: &["cri_image"],
    options: &[opt("name", T::List).req(), opt("background", T::Bool), opt("hosts_dir", T::Path)],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&CRI_IMAGE, args)?;
        let names = o.list("name");
        if let Some(bad) = names.iter().find(|n| n.is_empty() || n.starts_with('-') || n.contains(char::is_whitespace)) {
            return Err(ArgError(format!("'{bad}' is no image reference")));
        }
        let script = Script::new().flag("kw_background", o.flag("background", false));
        let script = script.set("kw_hosts", &o.text_or("hosts_dir", "/etc/containerd/certs.d"));
        Ok(script.args(&names).plain("kw_image_check \"$@\"", "kw_image_apply \"$@\""))
    },
};

/// The configuration may hold a token: it travels as a secret blob and is a 0600 file below a 0700 directory there.
fn config(o: &Opts) -> Result<Script, ArgError> {
    let text = o.value("config").map(to_text).unwrap_or_default();
    if !text.contains("kubeadm.k8s.io/") {
        return Err(ArgError("config is no kubeadm configuration (apiVersion: kubeadm.k8s.io/…)".into()));
    }
    let ignore = if o.has("ignore_preflight_errors") { o.list("ignore_preflight_errors").join(",") } else { String::new() };
    Ok(Script::new().blob("kw_config", text, true).set("kw_ignore", &ignore))
}

/// kubeadm's `sha256:…` of a CA certificate's public key (RFC 7469).
fn ca_hash(pem: &str) -> Option<String> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).ok()?;
    let certificate = pem.parse_x509().ok()?;
    Some(format!("sha256:{}", hex(&Sha256::digest(certificate.public_key().raw))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Root, SHELLS, converges, fails, step};

    const CONFIG: &str = r#"{"config":"apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\n","ignore_preflight_errors":["Mem"]}"#;

    fn host(root: &Root) {
        root.write("/run/x", "");
        root.write("/proc/sys/kernel/hostname", "n1\n");
        root.stub("systemctl", r#"case "$*" in *--value*) cat "$R/restarts" ;; *is-active*) [ ! -e "$R/down" ] ;; *show*) cat "$R/unit" 2>/dev/null || printf 'ActiveState=active\nSubState=running\nNRestarts=0\n' ;; *) : ;; esac"#);
        root.stub("journalctl", r#"cat "$R/journal" 2>/dev/null"#);
        root.stub("kubectl", "exit 1");
        root.stub("ip", "exit 0");
        root.stub("sleep", "exec /bin/sleep 0.02");
        root.stub(
            "kubeadm",
            r#"echo "$*" | sed 's#/[^ ]*blobs/.*#CONFIG#' >>"$R/calls"; case $1 in
init) mkdir -p "$R/etc/kubernetes/manifests"; echo x >"$R/etc/kubernetes/admin.conf"; echo x >"$R/etc/kubernetes/manifests/kube-apiserver.yaml" ;;
reset) : ;; esac"#,
        );
    }

    #[test]
    fn init_runs_once() {
        converges(&KUBEADM_INIT, CONFIG, host, |root| {
            assert_eq!(root.read("calls"), "init --config CONFIG\n");
            assert!(!root.path("etc/kubernetes/kubewright-init.started").exists());
            assert!(!root.path("run/kubewright-kubeadm.log").exists());
        });
    }

    #[test]
    fn an_interrupted_init_is_cleaned_and_done_again() {
        let prepare = |root: &Root| {
            host(root);
            root.write("etc/kubernetes/kubewright-init.started", "999999\n");
            root.write("etc/kubernetes/admin.conf", "half");
            root.write("etc/kubernetes/manifests/kube-apiserver.yaml", "half");
            root.write("var/lib/etcd/member/wal", "half");
            root.write("down", "");
        };
        converges(&KUBEADM_INIT, CONFIG, prepare, |root| {
            assert_eq!(root.read("calls"), "reset -f\ninit --config CONFIG\n");
            assert!(!root.path("var/lib/etcd/member").exists());
            std::fs::remove_file(root.path("down")).unwrap();
        });
    }

    #[test]
    fn when_the_api_answers_an_interrupted_init_is_finished_and_etcd_stays() {
        let prepare = |root: &Root| {
            host(root);
            root.stub("kubectl", "exit 0");
            root.write("etc/kubernetes/kubewright-init.started", "");
            root.write("etc/kubernetes/admin.conf", "x");
            root.write("etc/kubernetes/manifests/kube-apiserver.yaml", "x");
            root.write("var/lib/etcd/member/wal", "data");
        };
        converges(&KUBEADM_INIT, CONFIG, prepare, |root| {
            assert!(root.read("calls").starts_with("init phase upload-config all"));
            assert_eq!(root.read("var/lib/etcd/member/wal"), "data");
        });
    }

    #[test]
    fn restored_data_is_initialised_by_a_restore_only() {
        let prepare = |root: &Root| {
            host(root);
            root.write("etc/kubernetes/kubewright-restore.started", "");
            root.write("var/lib/etcd/member/wal", "restored");
            root.write("var/lib/kubewright/restore/snapshot.db", "db");
            let init = r#"echo "$4 $5" >"$R/calls"; mkdir -p "$R/etc/kubernetes/manifests"; for f in admin.conf manifests/kube-apiserver.yaml; do echo x >"$R/etc/kubernetes/$f"; done"#;
            root.stub("kubeadm", init);
        };
        fails(&KUBEADM_INIT, CONFIG, prepare, "a restore of etcd was interrupted");
        let restored = CONFIG.replace("\"]}", "\"],\"restored\":true}");
        converges(&KUBEADM_INIT, &restored, prepare, |root| {
            assert_eq!(root.read("var/lib/etcd/member/wal"), "restored");
            assert!(root.read("calls").contains("--ignore-preflight-errors=Mem,DirAvailable--var-lib-etcd"), "{}", root.read("calls"));
            assert!(!root.path("var/lib/kubewright/restore").exists() && !root.path("etc/kubernetes/kubewright-restore.started").exists());
        });
    }

    #[test]
    fn foreign_etcd_data_is_never_touched() {
        let prepare = |root: &Root| {
            host(root);
            root.write("var/lib/etcd/member/wal", "data");
        };
        fails(&KUBEADM_INIT, CONFIG, prepare, "etcd data (/var/lib/etcd/member)");
    }

    #[test]
    fn a_crash_looping_kubelet_ends_it_with_the_line_of_its_journal() {
        let prepare = |root: &Root| {
            host(root);
            root.write("unit", "ActiveState=activating\nSubState=auto-restart\nNRestarts=1\n");
            root.write("var/lib/kubelet/config.yaml", "x");
            root.write("journal", "I1121 10:00:00.000000 1 server.go:1] fine\nE1121 10:00:00.000000    77 run.go:72] \"command failed\" err=\"failed to run Kubelet: failed to create kubelet: open /dev/kmsg: no such file or directory\"\n");
            root.stub("kubeadm", "exec /bin/sleep 30");
        };
        fails(
            &KUBEADM_INIT,
            CONFIG,
            prepare,
            "kubelet does not start: \"command failed\" err=\"failed to run Kubelet: failed to create kubelet: open /dev/kmsg",
        );
    }

    #[test]
    fn what_may_pass_by_itself_is_given_three_restarts() {
        let waiting = |restarts: &'static str, end: &'static str| {
            move |root: &Root| {
                host(root);
                root.write("restarts", restarts);
                root.write("unit", "ActiveState=activating\nSubState=auto-restart\nNRestarts=1\n");
                root.write("var/lib/kubelet/config.yaml", "x");
                root.write(
                    "journal",
                    "E1 run.go:72] \"command failed\" err=\"dial unix /run/containerd/containerd.sock: connect: connection refused\"\n",
                );
                root.stub("kubeadm", end);
            }
        };
        fails(&KUBEADM_INIT, CONFIG, waiting("3\n", "exec /bin/sleep 30"), "containerd.sock: connect: connection refused");
        // kubeadm itself came to an end meanwhile: all is well.
        for shell in SHELLS {
            let root = Root::new(shell);
            waiting("1\n", "exec /bin/sleep 0.5")(&root);
            assert!(!root.result(&step(&KUBEADM_INIT, CONFIG), false).1.failed, "{shell:?}");
        }
    }

    /// Logs of kube-apiserver that appear while kubeadm waits, after those that were there before.
    fn apiserver(root: &Root, before: &[u32], now: &[(u32, &str)], end: &str) {
        host(root);
        let dir = "var/log/pods/kube-system_kube-apiserver-n1_0123/kube-apiserver";
        for n in before {
            root.write(&format!("{dir}/{n}.log"), "2026-11-25T09:44:48Z stderr F old\n");
        }
        // busybox compares times of files by whole seconds, and all this happens in one.
        let line = |(n, text): &(u32, &str)| {
            format!(r#"f="$R/{dir}/{n}.log"; echo '2026-11-25T09:44:48Z stderr F {text}' >"$f"; touch -d '+1 min' "$f"; "#)
        };
        let lines: String = now.iter().map(line).collect();
        root.stub("kubeadm", &format!("if [ \"$1\" = init ]; then mkdir -p \"$R/{dir}\"; /bin/sleep 0.1; {lines} {end}; fi"));
    }

    #[test]
    fn a_static_pod_that_dies_again_and_again_ends_it_with_its_last_words() {
        let dying = |root: &Root| apiserver(root, &[1], &[(4, "unknown flag: --oops"), (5, "")], "exec /bin/sleep 30");
        fails(&KUBEADM_INIT, CONFIG, dying, "kube-apiserver does not stay up: unknown flag: --oops");
    }

    #[test]
    fn restarts_of_an_earlier_attempt_do_not_count_and_what_waits_for_etcd_passes() {
        let wait = "exec /bin/sleep 0.5";
        for shell in crate::modules::testing::SHELLS {
            let root = Root::new(shell);
            // After three attempts that were interrupted the fourth one begins with number 3.
            apiserver(&root, &[2, 3], &[(4, "Starting OpenAPI controller")], wait);
            assert!(!root.result(&step(&KUBEADM_INIT, CONFIG), false).1.failed, "{shell:?}");
            let root = Root::new(shell);
            apiserver(&root, &[], &[(2, "dial tcp 127.0.0.1:2379: connect: connection refused"), (3, "Starting")], wait);
            assert!(!root.result(&step(&KUBEADM_INIT, CONFIG), false).1.failed, "{shell:?}");
        }
    }

    #[test]
    fn a_static_pod_that_ends_twice_with_the_same_words_ends_it() {
        let words = |first: &str, second: &str, seconds: u32| {
            let line = |n: u32, text: &str| format!("2026-11-25T08:00:0{n}.000000000Z stderr F {text}\n");
            let (first, second) = (line(1, first), line(2, second));
            format!(
                r#"d="$R/var/log/pods/kube-system_kube-apiserver-n1_0123/kube-apiserver"; mkdir -p "$d"; printf %s '{first}' >"$d/0.log"; printf %s '{second}' >"$d/1.log"; touch -d '+1 min' "$d"/*; exec /bin/sleep {seconds}"#
            )
        };
        let prepare = |stub: String| {
            move |root: &Root| {
                host(root);
                root.stub("kubeadm", &stub);
            }
        };
        let error = "Error: failed to load admission configuration: open /x: no such file or directory";
        fails(&KUBEADM_INIT, CONFIG, prepare(words(error, error, 30)), &format!("kube-apiserver does not stay up: {error}"));
        let final_at_once = "Error: unknown flag: --no-such-flag";
        fails(
            &KUBEADM_INIT,
            CONFIG,
            prepare(words("fine", final_at_once, 30)),
            &format!("kube-apiserver does not stay up: {final_at_once}"),
        );
        // A pod that was made again goes on counting where an earlier one ended: that is no restart.
        let root = Root::new(crate::modules::testing::SHELLS[0]);
        host(&root);
        let old = "2026-11-25T08:00:01.000000000Z stderr F serving\n";
        for n in 0..4 {
            root.write(&format!("var/log/pods/kube-system_etcd-n1_0123/etcd/{n}.log"), old);
        }
        root.stub("kubeadm", r#"f="$R/var/log/pods/kube-system_etcd-n1_0123/etcd/4.log"; echo '2026-11-25T08:01:01.000000000Z stderr F serving' >"$f"; touch -d '+1 min' "$f"; exec /bin/sleep 1"#);
        let result = root.result(&step(&KUBEADM_INIT, CONFIG), false).1;
        assert!(!result.failed, "{result:?}");
        // Two different endings are no pattern yet, and what may pass by itself is given time: kubeadm comes to its own end.
        for (first, second) in
            [(error, "I1125 a harmless last line"), ("Error: context deadline exceeded", "Error: context deadline exceeded: 2")]
        {
            let root = Root::new(crate::modules::testing::SHELLS[0]);
            prepare(words(first, second, 1))(&root);
            assert!(!root.result(&step(&KUBEADM_INIT, CONFIG), false).1.failed, "{first}");
        }
    }

    #[test]
    fn preflight_errors_are_the_message() {
        let prepare = |root: &Root| {
            host(root);
            root.stub("kubeadm", "echo '[preflight] running'; printf '\\t[ERROR NumCPU]: the number of available CPUs 1 is less than the required 2\\n' >&2; exit 1");
        };
        fails(&KUBEADM_INIT, CONFIG, prepare, "[ERROR NumCPU]: the number of available CPUs 1");
    }

    #[test]
    fn a_machine_of_another_cluster_is_cleaned_and_joined() {
        let prepare = |root: &Root| {
            host(root);
            root.write("etc/kubernetes/kubelet.conf", "    server: https://old:6443\n");
            root.write("etc/kubernetes/pki/ca.crt", "old");
            root.stub("curl", r#"if grep -q new "$R/etc/kubernetes/pki/ca.crt"; then printf 200; else exit 60; fi"#);
            root.stub(
                "kubeadm",
                r#"echo "$1" >>"$R/calls"; [ "$1" != join ] || { mkdir -p "$R/etc/kubernetes/pki"; echo new >"$R/etc/kubernetes/pki/ca.crt"; echo '    server: https://api:6443' >"$R/etc/kubernetes/kubelet.conf"; }"#,
            );
        };
        let args = r#"{"config":"apiVersion: kubeadm.k8s.io/v1beta4\ncaCertHashes: [sha256:aa]\n","ca_cert_hashes":["sha256:aa"]}"#;
        converges(&KUBEADM_JOIN, args, prepare, |root| assert_eq!(root.read("calls"), "reset\njoin\n"));
    }

    #[test]
    fn an_api_that_is_silent_decides_nothing() {
        let prepare = |root: &Root| {
            host(root);
            root.write("etc/kubernetes/kubelet.conf", "server: https://api:6443\n");
            root.write("etc/kubernetes/pki/ca.crt", "ca");
            root.stub("date", "n=$(cat \"$R/now\" 2>/dev/null || echo 100); echo $((n + 15)) >\"$R/now\"; echo \"$n\"");
            root.stub("curl", "exit 7");
        };
        let args = r#"{"config":"apiVersion: kubeadm.k8s.io/v1beta4\n    apiServerEndpoint: api:6443\n"}"#;
        fails(&KUBEADM_JOIN, args, prepare, "cannot tell whether this machine belongs to the cluster");
    }

    #[test]
    fn only_a_join_that_ended_counts() {
        for (files, joined) in [
            (vec!["kubelet.conf", "pki/ca.crt"], true),
            (vec!["kubelet.conf", "pki/ca.crt", "kubewright-join.started"], false),
            (vec!["pki/ca.crt"], false),
        ] {
            let root = Root::new(SHELLS[0]);
            let key = rcgen::KeyPair::generate().unwrap();
            let ca = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap().pem();
            for f in &files {
                root.write(&format!("etc/kubernetes/{f}"), if f.ends_with("crt") { &ca } else { "" });
            }
            root.write("etc/kubernetes/kubelet.conf", if files.contains(&"kubelet.conf") { "x" } else { "" });
            let (_, result) = root.result(&step(&KUBEADM_JOINED, "{}"), false);
            let hash = result.fields["ca_cert_hash"].to_string();
            assert_eq!((result.fields["joined"].is_true(), hash.starts_with("sha256:") && hash.len() == 71), (joined, joined), "{files:?}");
        }
    }

    /// What `kubeadm join --control-plane` leaves.
    const JOINED: &str = r#"echo "$1" >>"$R/calls"; [ "$1" != join ] || { mkdir -p "$R/etc/kubernetes/manifests" "$R/var/lib/etcd/member"; for f in admin.conf kubelet.conf manifests/kube-apiserver.yaml manifests/etcd.yaml; do echo x >"$R/etc/kubernetes/$f"; done; }"#;
    const CONTROL_PLANE: &str = r#"{"config":"apiVersion: kubeadm.k8s.io/v1beta4\n","control_plane":true}"#;

    #[test]
    fn an_interrupted_join_as_a_control_plane_is_done_again_with_its_etcd_data() {
        let prepare = |root: &Root| {
            host(root);
            root.stub("kubeadm", JOINED);
            root.write("etc/kubernetes/kubewright-join.started", "999999\n");
            root.write("etc/kubernetes/admin.conf", "half");
            root.write("var/lib/etcd/member/wal", "half");
        };
        converges(&KUBEADM_JOIN, CONTROL_PLANE, prepare, |root| {
            assert_eq!(root.read("calls"), "reset\njoin\n");
            assert!(!root.path("var/lib/etcd/member/wal").exists());
        });
    }

    #[test]
    fn a_control_plane_that_etcd_does_not_know_joins_again_only_when_asked() {
        let prepare = |root: &Root| {
            host(root);
            root.stub("kubeadm", JOINED);
            for file in ["admin.conf", "kubelet.conf", "pki/ca.crt", "manifests/kube-apiserver.yaml", "manifests/etcd.yaml"] {
                root.write(&format!("etc/kubernetes/{file}"), "x");
            }
            root.write("var/lib/etcd/member/wal", "data");
        };
        let root = Root::new(SHELLS[0]);
        prepare(&root);
        assert!(!root.result(&step(&KUBEADM_JOIN, CONTROL_PLANE), false).1.changed, "it is a finished one");
        let forced = CONTROL_PLANE.replace("true}", "true,\"force\":true}");
        assert!(root.result(&step(&KUBEADM_JOIN, &forced), false).1.changed);
        assert_eq!(root.read("calls"), "reset\njoin\n");
    }

    #[test]
    fn foreign_etcd_data_stops_a_join_as_a_control_plane() {
        let prepare = |root: &Root| {
            host(root);
            root.write("var/lib/etcd/member/wal", "data");
        };
        fails(&KUBEADM_JOIN, CONTROL_PLANE, prepare, "of a cluster that it is no finished control plane of");
    }

    #[test]
    fn the_certificate_key_is_in_no_error_and_on_no_command_line() {
        let key = "0123456789abcdef".repeat(4);
        let args = format!(r#"{{"config":"apiVersion: kubeadm.k8s.io/v1beta4\ncertificateKey: {key}\n"}}"#);
        let prepare = |root: &Root| {
            host(root);
            root.stub("kubeadm", r#"echo "$*" >"$R/calls"; echo "error: failed with $(sed -n 's/certificateKey: //p' "$6")"; exit 1"#);
        };
        let root = Root::new(SHELLS[0]);
        prepare(&root);
        let (_, result) = root.result(&step(&KUBEADM_UPLOAD_CERTS, &args), false);
        let said = format!("{result:?}");
        assert!(result.failed && said.contains("failed with [key]") && !said.contains(&key), "{said}");
        assert!(!root.read("calls").contains(&key) && !root.path("run/kubewright-upload.log").exists());
    }

    #[test]
    fn reset_takes_off_ours_only() {
        let prepare = |root: &Root| {
            host(root);
            root.write("etc/kubernetes/kubelet.conf", "x");
            root.write("etc/cni/net.d/10-flannel.conflist", "x");
            root.write("etc/cni/net.d/99-other.conflist", "x");
        };
        converges(&KUBEADM_RESET, "{}", prepare, |root| assert!(root.path("etc/cni/net.d/99-other.conflist").exists()));
    }

    #[test]
    fn pods_that_know_the_api_elsewhere_are_named() {
        let root = Root::new(SHELLS[0]);
        for (uid, container, hosts) in [
            ("u-old", "kube-proxy", "127.0.0.1 localhost\n10.0.0.10\tapi.x.internal\n"),
            ("u-new", "kube-proxy", "10.0.0.6 api.x.internal\n"),
            ("u-both", "kube-proxy", "10.0.0.6 api.x.internal\n10.0.0.10 api.x.internal\n"),
            ("u-none", "kube-proxy", "127.0.0.1 localhost\n"),
            ("u-other", "flanneld", "10.0.0.10 api.x.internal\n"),
        ] {
            root.write(&format!("var/lib/kubelet/pods/{uid}/etc-hosts"), hosts);
            root.write(&format!("var/lib/kubelet/pods/{uid}/containers/{container}/0123"), "");
        }
        let args = r#"{"container":"kube-proxy","host":"api.x.internal","addresses":["10.0.0.6","10.0.0.20"]}"#;
        let (_, result) = root.result(&step(&POD_HOSTS, args), false);
        assert_eq!(result.fields["stale"].to_string(), "['u-both', 'u-none', 'u-old']", "{result:?}");
    }

    #[test]
    fn only_missing_images_are_pulled() {
        let prepare = |root: &Root| {
            root.write("have", "registry.k8s.io/pause:3.10\n");
            root.stub("ctr", r#"case $4 in ls) cat "$R/have" ;; pull) echo "$7" >>"$R/have" ;; esac"#);
        };
        let args = r#"{"name":["registry.k8s.io/pause:3.10","registry.k8s.io/etcd:3.6"]}"#;
        converges(&CRI_IMAGE, args, prepare, |root| {
            assert_eq!(root.read("have"), "registry.k8s.io/pause:3.10\nregistry.k8s.io/etcd:3.6\n");
        });
    }
}
