//! etcd on a host (ours): `etcd_restore` brings its data back from a snapshot, `etcd_stand_down` takes an old control plane
//! out of the way. How that goes stands in `sh/etcd.sh`.

use super::{
    ModuleDef, OptionType as T,
    args::{Opts, opt},
    script::Script,
};

/// Restores the snapshot and the certificates that were put into /var/lib/kubewright/restore, for a cluster of this one
/// member. `kubeadm_init` with `restored` goes on from there.
pub static ETCD_RESTORE: ModuleDef = ModuleDef {
    names: &["etcd_restore"],
    options: &[opt("image", T::Str).req(), opt("name", T::Str).req(), opt("address", T::Str).req(), opt("token", T::Str).req()],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&ETCD_RESTORE, args)?;
        let script = Script::new()
            .set("kw_image", &o.text_or("image", ""))
            .set("kw_node", &o.text_or("name", ""))
            .set("kw_address", &o.text_or("address", ""))
            .set("kw_token", &o.text_or("token", ""))
            .set("kw_hosts", "/etc/containerd/certs.d")
            .flag("kw_background", false);
        Ok(script.plain("kw_restore_check", "kw_restore_apply"))
    },
};

/// Stops a control plane for good and keeps its etcd data aside.
pub static ETCD_STAND_DOWN: ModuleDef = ModuleDef {
    names: &["etcd_stand_down"],
    options: &[],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        Opts::read(&ETCD_STAND_DOWN, args)?;
        Ok(Script::new().plain("kw_stand_down_check", "kw_stand_down"))
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Root, SHELLS, converges, step};

    const RESTORE: &str = r#"{"image":"registry.k8s.io/etcd:3.6.8-0","name":"n1","address":"10.0.0.10","token":"t1"}"#;

    fn host(root: &Root) {
        root.write("run/x", "");
        root.stub("systemctl", "exit 0");
        root.stub("umount", "exit 0");
        root.stub("kubeadm", r#"echo "kubeadm $*" >>"$R/calls""#);
        root.stub(
            "ctr",
            r#"case "$3 $4" in 'images ls') echo registry.k8s.io/etcd:3.6.8-0 ;;
'images mount') mkdir -p "$6/usr/local/bin"; printf '#!/bin/sh\nR=%s\necho "etcdutl $*" >>"$R/calls"; while [ "$1" != --data-dir ]; do shift; done; mkdir -p "$2/member"; echo new >"$2/member/wal"\n' "$R" >"$6/usr/local/bin/etcdutl"; chmod 755 "$6/usr/local/bin/etcdutl" ;; esac"#,
        );
        root.write("var/lib/etcd/member/wal", "old");
        root.write("etc/kubernetes/admin.conf", "old");
    }

    #[test]
    fn a_snapshot_becomes_a_cluster_of_one_and_old_data_is_kept_aside() {
        for shell in SHELLS {
            let root = Root::new(shell);
            host(&root);
            root.write("var/lib/kubewright/restore/snapshot.db", "db");
            for file in crate::modules::etcd::tests::FILES {
                root.write(&format!("var/lib/kubewright/restore/pki/{file}"), file);
            }
            let (_, result) = root.result(&step(&ETCD_RESTORE, RESTORE), false);
            assert!(result.changed && !result.failed, "{shell:?} {result:?}");
            let calls = root.read("calls");
            assert!(calls.contains("kubeadm reset -f --skip-phases=remove-etcd-member"), "{calls}");
            assert!(calls.contains("--name n1 --initial-cluster n1=https://10.0.0.10:2380 --initial-advertise-peer-urls https://10.0.0.10:2380 --initial-cluster-token t1 --bump-revision 1"), "{calls}");
            let bump = calls.split("--bump-revision ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default();
            assert!(bump.parse::<u64>().unwrap() > 1_700_000_000_000 && calls.contains("--mark-compacted"), "{calls}");
            assert_eq!(root.read("var/lib/etcd/member/wal"), "new\n");
            let aside = std::fs::read_dir(root.path("var/lib/kubewright")).unwrap().flatten();
            let aside = aside.map(|e| e.path()).find(|p| p.to_string_lossy().contains("etcd-before-restore-")).expect("old data");
            assert_eq!(std::fs::read_to_string(aside.join("wal")).unwrap(), "old");
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |f: &str| std::fs::metadata(root.path(f)).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode("etc/kubernetes/pki/etcd/ca.key"), mode("etc/kubernetes/pki/ca.crt")), (0o600, 0o644));
            assert!(root.path("etc/kubernetes/kubewright-restore.started").exists(), "until kubeadm init has ended");
        }
    }

    pub(super) const FILES: [&str; 8] =
        ["ca.crt", "ca.key", "etcd/ca.crt", "etcd/ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "sa.key", "sa.pub"];

    #[test]
    fn an_old_control_plane_stands_down_once() {
        converges(&ETCD_STAND_DOWN, "{}", host, |root| {
            assert!(!root.path("etc/kubernetes/admin.conf").exists() && !root.path("var/lib/etcd/member").exists());
        });
    }
}
