# kubeadm: membership, init, join, reset; images. `kw_config` names a blob.

kw_marker=/etc/kubernetes/kubewright.running

# A run of ours that lost its operator may still be at work: its kubeadm finishes by itself. Wait for that.
kw_kubeadm_wait() {
	[ -e "$kw_marker" ] || return 0
	kw_owner=$(cat "$kw_marker")
	kw_tries=0
	while [ -n "$kw_owner" ] && kill -0 "$kw_owner" 2>/dev/null; do
		kw_tries=$((kw_tries + 1))
		[ "$kw_tries" -lt 300 ] || kw_fail "kubeadm of an earlier run (process $kw_owner) has been running for 5 minutes"
		sleep 1
	done
}

# The line that explains why a component does not come up, if there is one already. Prints it and returns 0.
kw_kubeadm_cause() {
	kw_restarts=$(systemctl show -p NRestarts --value kubelet)
	if [ "${kw_restarts:-0}" -ge 3 ]; then
		kw_line=$(journalctl -u kubelet -n 200 -o cat --no-pager 2>/dev/null | grep -E 'err=|[Ff]ailed|[Ee]rror|panic' | tail -n 1)
		printf 'kubelet does not stay up (%s restarts): %s\n' "$kw_restarts" "${kw_line:-see journalctl -u kubelet}"
		return 0
	fi
	if ! systemctl is-active -q containerd; then
		kw_line=$(journalctl -u containerd -n 50 -o cat --no-pager 2>/dev/null | grep -E 'level=(fatal|error)|[Ff]ailed' | tail -n 1)
		printf 'containerd is not running: %s\n' "${kw_line:-see journalctl -u containerd}"
		return 0
	fi
	for kw_file in /var/log/pods/kube-system_etcd-*/etcd/[3-9].log /var/log/pods/kube-system_kube-apiserver-*/kube-apiserver/[3-9].log; do
		[ -e "$kw_file" ] || continue
		kw_pod=${kw_file#/var/log/pods/kube-system_}
		printf 'static pod %s does not stay up: %s\n' "${kw_pod%%_*}" "$(tail -n 1 "$kw_file")"
		return 0
	done
	return 1
}

# Runs kubeadm; ends it as soon as a cause is known, instead of waiting for its own four minutes.
kw_kubeadm_run() {
	kw_log=$KW_BLOBS/kubeadm.$$.log
	mkdir -p /etc/kubernetes
	kubeadm "$@" >"$kw_log" 2>&1 </dev/null &
	kw_pid=$!
	echo "$kw_pid" >"$kw_marker"
	kw_why=''
	while kill -0 "$kw_pid" 2>/dev/null; do
		sleep 1
		# Before kubeadm has started it, kubelet restarts for lack of a configuration: that is no cause.
		if grep -qE 'wait-control-plane|kubelet-check' "$kw_log" && kw_why=$(kw_kubeadm_cause); then
			kill "$kw_pid" 2>/dev/null || true
			break
		fi
		kw_why=''
	done
	kw_rc=0
	wait "$kw_pid" || kw_rc=$?
	if [ -n "$kw_why" ]; then
		rm -f "$kw_log"
		kw_fail "$kw_why"
	fi
	if [ "$kw_rc" != 0 ]; then
		# kubeadm's own words; a configuration error may quote the token, so that is cut out.
		sed -E 's/[a-z0-9]{6}\.[a-z0-9]{16}/[token]/g' "$kw_log" | tail -n 25 >&2
		rm -f "$kw_log"
		return "$kw_rc"
	fi
	rm -f "$kw_log" "$kw_marker"
}

# What kubeadm, Flannel and kube-proxy put on a machine, and nothing else.
kw_kubeadm_clean() {
	kubeadm reset -f --cri-socket unix:///run/containerd/containerd.sock >/dev/null 2>&1 </dev/null || true
	for kw_link in cni0 flannel.1; do
		if [ -e "/sys/class/net/$kw_link" ]; then ip link delete "$kw_link"; fi
	done
	rm -f /etc/cni/net.d/10-flannel.conflist "$kw_marker"
	rm -rf /var/lib/cni/flannel /var/lib/cni/networks/cbr0 /run/flannel /etc/kubernetes/manifests /etc/kubernetes/pki /var/lib/etcd
	rm -f /etc/kubernetes/*.conf
	if command -v nft >/dev/null; then
		nft list tables 2>/dev/null | while read -r _ kw_family kw_table; do
			case $kw_table in
			kube-proxy | flannel-ipv4 | flannel-ipv6) nft delete table "$kw_family" "$kw_table" ;;
			esac
		done
	fi
}

kw_kubeadm_joined_check() {
	kw_kubeadm_wait
	if [ ! -e "$kw_marker" ] && [ -s /etc/kubernetes/kubelet.conf ] && [ -s /etc/kubernetes/pki/ca.crt ]; then
		cat /etc/kubernetes/pki/ca.crt
	fi
}

kw_kubeadm_init_check() {
	kw_kubeadm_wait
	if [ -e "$kw_marker" ]; then return 10; fi
	if [ -s /etc/kubernetes/admin.conf ] && [ -s /etc/kubernetes/manifests/kube-apiserver.yaml ] && [ -d /var/lib/etcd/member ]; then return 0; fi
	return 10
}

kw_kubeadm_init_apply() {
	# An init that began and did not end: nothing has joined it yet, because we go on only after it ended.
	if [ -e "$kw_marker" ]; then
		kw_kubeadm_clean
	elif [ -d /var/lib/etcd/member ]; then
		kw_fail "/var/lib/etcd holds the data of a cluster, but the control plane's files are not complete: restore them, or take the machine out with: kubewright reset"
	fi
	kw_kubeadm_run init --config "$KW_BLOBS/$kw_config" --skip-token-print "--ignore-preflight-errors=$kw_ignore"
}

kw_kubeadm_join_check() {
	kw_kubeadm_wait
	return 10
}

kw_kubeadm_join_apply() {
	# Leftovers of another cluster or of a join that was interrupted.
	if [ -e "$kw_marker" ] || [ -e /etc/kubernetes/kubelet.conf ] || [ -e /etc/kubernetes/bootstrap-kubelet.conf ] || [ -e /etc/kubernetes/pki/ca.crt ]; then
		kw_kubeadm_clean
	fi
	kw_kubeadm_run join --config "$KW_BLOBS/$kw_config" "--ignore-preflight-errors=$kw_ignore"
}

kw_kubeadm_reset_check() {
	for kw_file in /etc/kubernetes/*.conf /etc/kubernetes/manifests/*.yaml /etc/kubernetes/pki/ca.crt /var/lib/kubelet/config.yaml "$kw_marker" \
		/sys/class/net/cni0 /sys/class/net/flannel.1 /etc/cni/net.d/10-flannel.conflist; do
		if [ -e "$kw_file" ]; then return 10; fi
	done
}

kw_kubeadm_reset_apply() {
	kw_kubeadm_wait
	kw_kubeadm_clean
	systemctl stop kubelet 2>/dev/null || true
	systemctl disable -q kubelet 2>/dev/null || true
}

# Pulls are a head start, not a state: once the machine is in a cluster, kubelet pulls what it needs.
kw_cri_image_check() {
	if [ -e /etc/kubernetes/kubelet.conf ]; then return 0; fi
	kw_have=$(ctr -n k8s.io images ls -q 2>/dev/null) || kw_have=''
	for kw_image in $kw_images; do
		printf '%s\n' "$kw_have" | grep -qxF -- "$kw_image" || return 10
	done
}

kw_cri_image_apply() {
	# shellcheck disable=SC2016 # expanded by the inner shell
	kw_pull='for i in "$@"; do ctr -n k8s.io images pull --hosts-dir /etc/containerd/certs.d "$i" >/dev/null 2>&1 || { echo "cannot pull $i" >&2; rc=1; }; done; exit ${rc:-0}'
	if [ -n "$kw_background" ]; then
		if systemctl is-active -q kubewright-pull; then return 0; fi
		# shellcheck disable=SC2086 # image names hold no blanks
		systemd-run -q --unit kubewright-pull --collect --nice 5 sh -c "$kw_pull" sh $kw_images
	else
		# shellcheck disable=SC2086 # image names hold no blanks
		sh -c "$kw_pull" sh $kw_images
	fi
}
