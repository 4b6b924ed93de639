# etcd brought back from a snapshot that lies in kw_from, with the certificates beside it.

kw_restore_check() { return 10; }

# A marker stands from the first change until `kubeadm init` has ended: what lies on the disk meanwhile is no cluster, and
# nothing but another restore may touch it.
kw_restore_apply() {
	kw_from=${KW_ROOT-}/var/lib/kubewright/restore
	[ -s "$kw_from/snapshot.db" ] || kw_fail "there is no snapshot in $kw_from: run 'kubewright etcd restore' again"
	kw_marker=$kw_k8s/kubewright-restore.started
	mkdir -p -- "$kw_k8s"
	kw_stand_down
	: >"$kw_marker"
	sync "$kw_marker" 2>/dev/null || sync
	for kw_xf in ca.crt ca.key etcd/ca.crt etcd/ca.key front-proxy-ca.crt front-proxy-ca.key sa.key sa.pub; do
		kw_mode=0600
		case $kw_xf in *.crt | *.pub) kw_mode=0644 ;; esac
		mkdir -p -- "$kw_k8s/pki/etcd"
		cp -- "$kw_from/pki/$kw_xf" "$kw_k8s/pki/$kw_xf"
		chmod "$kw_mode" "$kw_k8s/pki/$kw_xf"
	done
	kw_dir=${KW_ROOT-}/run/kubewright-etcd-image
	kw_new=${KW_ROOT-}/var/lib/etcd/kubewright-restored
	mkdir -p -- "$kw_dir" "${kw_new%/*}"
	chmod 0700 "${kw_new%/*}"
	rm -rf -- "$kw_new"
	kw_image_check "$kw_image" || kw_image_apply "$kw_image"
	kw_unmount_image
	kw_err=$(ctr -n k8s.io images mount "$kw_image" "$kw_dir" 2>&1 >/dev/null) || kw_fail "etcd's image $kw_image cannot be mounted: $(printf '%s' "$kw_err" | tail -n 1)"
	kw_rc=0
	# Revisions jump beyond all that anybody has seen: who watches then notices that it has missed something, and reads
	# everything again. The time in milliseconds, so that a second restore of the same snapshot jumps further than the first.
	kw_bump=$(date +%s)000
	kw_err=$("$kw_dir/usr/local/bin/etcdutl" snapshot restore "$kw_from/snapshot.db" --data-dir "$kw_new" --name "$kw_node" \
		--initial-cluster "$kw_node=https://$kw_address:2380" --initial-advertise-peer-urls "https://$kw_address:2380" \
		--initial-cluster-token "$kw_token" --bump-revision "$kw_bump" --mark-compacted 2>&1) || kw_rc=$?
	kw_unmount_image
	[ "$kw_rc" = 0 ] || kw_fail "etcdutl snapshot restore: $(printf '%s' "$kw_err" | tail -n 2)"
	mv -- "$kw_new/member" "${kw_new%/*}/member"
	rm -rf -- "$kw_new"
	sync "${kw_new%/*}" 2>/dev/null || sync
}

kw_unmount_image() {
	ctr -n k8s.io images unmount --rm "$kw_dir" >/dev/null 2>&1 || umount "$kw_dir" 2>/dev/null || :
}

# What this machine has of a cluster goes; etcd's data is put aside, not deleted. Its member is not taken out of etcd: there
# may be no quorum to do it, and the restored cluster knows none of the old members.
kw_stand_down_check() {
	for kw_xf in "$kw_k8s"/*.conf "$kw_k8s"/manifests/*.yaml "${KW_ROOT-}/var/lib/etcd/member"; do
		[ ! -e "$kw_xf" ] || return 10
	done
}

kw_stand_down() {
	rm -rf -- "$kw_k8s/manifests"
	if kw_has systemctl; then systemctl stop kubelet >/dev/null 2>&1 || :; fi
	if kw_has ctr; then
		for kw_xi in $(ctr -n k8s.io containers ls -q 'labels."io.kubernetes.container.name"==etcd' 2>/dev/null) $(ctr -n k8s.io containers ls -q 'labels."io.kubernetes.container.name"==kube-apiserver' 2>/dev/null); do
			ctr -n k8s.io tasks kill -s SIGKILL "$kw_xi" >/dev/null 2>&1 || :
		done
	fi
	if [ -d "${KW_ROOT-}/var/lib/etcd/member" ] && [ ! -e "$kw_k8s/kubewright-restore.started" ]; then
		kw_aside=${KW_ROOT-}/var/lib/kubewright/etcd-before-restore-$(date -u +%Y%m%dT%H%M%SZ)
		mkdir -p -- "${KW_ROOT-}/var/lib/kubewright"
		chmod 0700 "${KW_ROOT-}/var/lib/kubewright"
		mv -- "${KW_ROOT-}/var/lib/etcd/member" "$kw_aside"
		kw_out msg "etcd's data is kept in $kw_aside"
	fi
	kw_skip_phases=remove-etcd-member kw_clean
	mkdir -p -- "$kw_k8s"
}
