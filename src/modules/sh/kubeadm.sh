# kubeadm: init, join, reset, membership. A marker file stands while init or join is under way: it says, after a kill at
# any moment, that what lies on the disk was never finished. It is removed last.

kw_k8s=${KW_ROOT-}/etc/kubernetes

# Runs a kubeadm command (the arguments) in the background and watches kubelet and static pods meanwhile: whoever
# crashes again and again ends it now, with the line that says why, not after kubeadm's 4 minutes.
kw_watched() {
	kw_log=${KW_ROOT-}/run/kubewright-kubeadm.log
	rm -f -- "$kw_log"
	(umask 077 && : >"$kw_log")
	kw_begun=$(date +%s)
	kw_earlier_logs=$(kw_pod_logs)
	kw_fails=0
	"$@" >"$kw_log" 2>&1 </dev/null &
	kw_pid=$!
	printf '%s\n' "$kw_pid" >"$kw_marker"
	kw_tick=${KW_TICK-1}
	while kill -0 "$kw_pid" 2>/dev/null; do
		sleep "$kw_tick"
		kw_why=$(kw_crashing) || kw_why=''
		case $kw_why in
		'') kw_fails=0 ;;
		# What may pass by itself has until kubelet was restarted three times; anything else is looked at three times.
		*containerd.sock* | *'onnection refused'* | *deadline* | *'imed out'* | *Unavailable*)
			kw_fails=$(systemctl show -p NRestarts --value kubelet) || kw_fails=0
			;;
		*) kw_fails=$((kw_fails + 1)) ;;
		esac
		if [ "${kw_fails:-0}" -ge 3 ]; then
			kill "$kw_pid" 2>/dev/null || :
			kw_tail_log
			kw_fail "$kw_why"
		fi
	done
	kw_rc=0
	wait "$kw_pid" || kw_rc=$?
	if [ "$kw_rc" != 0 ]; then
		kw_tail_log
		kw_why=$(kw_crashing) || kw_why=''
		[ -n "$kw_why" ] || kw_why=$(grep -E '\[ERROR |^error|^ *error' "$kw_log" | head -n 4 | kw_mask)
		kw_fail "${1##*/} $2: ${kw_why:-exit code $kw_rc}"
	fi
	rm -f -- "$kw_log"
}

# Tokens have no place in an error.
kw_mask() { sed 's/[a-z0-9]\{6\}\.[a-z0-9]\{16\}/[token]/g'; }
kw_tail_log() { tail -n 12 "$kw_log" | kw_mask >&2; }

# Prints why kubelet or a static pod cannot live, or nothing.
kw_crashing() {
	kw_active='' kw_sub='' kw_restarts=0
	kw_list=$(systemctl show kubelet -p ActiveState,SubState,NRestarts 2>/dev/null) || return 0
	while IFS='=' read -r kw_k kw_v; do
		case $kw_k in
		ActiveState) kw_active=$kw_v ;;
		SubState) kw_sub=$kw_v ;;
		NRestarts) kw_restarts=$kw_v ;;
		esac
	done <<-EOT
		$kw_list
	EOT
	# Before kubeadm has written its configuration kubelet restarts all the time, and that is as it should be.
	if [ -f "${KW_ROOT-}/var/lib/kubelet/config.yaml" ]; then
		case $kw_sub in
		auto-restart | auto-restart-queued | failed)
			kw_line=$(journalctl -u kubelet --since "@$kw_begun" -o cat --no-pager -n 400 2>/dev/null | grep -E 'command failed|[Ff]ailed to run [Kk]ubelet|^panic:|^E.*err=|^Error:' | grep -v 'kubelet/config.yaml.*no such file' | tail -n 1) || :
			kw_line=$(printf '%s' "$kw_line" | sed 's/^[EFIW][0-9]* [0-9:.]* *[0-9]* [a-z_]*\.go:[0-9]*\] //')
			if [ -n "$kw_line" ]; then printf 'kubelet does not start: %s' "$kw_line"; elif [ "${kw_restarts:-0}" -ge 3 ]; then printf 'kubelet does not start and says nothing in its journal (%s restarts)' "$kw_restarts"; fi
			return 0
			;;
		esac
	fi
	if ! systemctl is-active -q containerd; then
		kw_line=$(journalctl -u containerd --since "@$kw_begun" -o cat --no-pager -n 50 2>/dev/null | grep -E 'level=(fatal|error)|[Ff]ailed' | tail -n 1) || :
		printf 'containerd is not running: %s' "${kw_line:-see journalctl -u containerd}"
		return 0
	fi
	# The same refusal of containerd again and again: a sandbox image that does not exist, a runtime that cannot start.
	kw_list=$(journalctl -u kubelet --since "@$kw_begun" -o cat --no-pager -n 400 2>/dev/null | grep 'RunPodSandbox from runtime service failed') || kw_list=''
	if [ "$(printf '%s\n' "$kw_list" | grep -c .)" -ge 8 ]; then
		printf 'containerd cannot start pods: %s' "$(printf '%s\n' "$kw_list" | tail -n 1 | sed 's/.*err=//')"
		return 0
	fi
	# A container's log files are numbered by its restarts, and a static pod that is made again goes on counting. A flag that it
	# does not know is final at once; one that ends twice with the same words will do so again; who says nothing has three restarts.
	kw_list=$(kw_pod_logs)
	while read -r kw_n kw_name; do
		[ -n "$kw_name" ] || continue
		kw_xf=$kw_name/$kw_n.log
		[ -s "$kw_xf" ] && [ "$kw_xf" -nt "$kw_marker" ] || continue
		kw_before=$(printf '%s\n' "$kw_earlier_logs" | while read -r kw_k kw_v; do if [ "$kw_v" = "$kw_name" ]; then echo "$kw_k"; fi; done)
		kw_restarts=$((kw_n - ${kw_before:--1} - 1))
		[ "$kw_restarts" -ge 0 ] || continue
		kw_words=$(kw_last_words "$kw_xf")
		kw_line=$kw_words
		kw_earlier=''
		# The one that runs now may be well: why the last one died is what tells.
		[ "$kw_restarts" -eq 0 ] || kw_earlier=$(kw_last_words "$kw_name/$((kw_n - 1)).log")
		[ -n "$kw_line" ] || kw_line=$kw_earlier
		if [ -z "$kw_line" ] && [ "$kw_restarts" -ge 3 ]; then kw_line=$(tail -n 1 "$kw_name/$((kw_n - 1)).log" 2>/dev/null | cut -d' ' -f4-) || :; fi
		case $kw_line in
		*'unknown flag: '* | *'flag provided but not defined'*) ;;
		# It waits for etcd, or etcd for the others.
		*'onnection refused'* | *deadline* | *'imed out'* | *timeout* | *navailable* | *:2379* | *:2380*) continue ;;
		*)
			if [ "$kw_restarts" -lt 3 ]; then
				[ -n "$kw_words" ] && [ "$(printf %s "$kw_words" | tr -d 0-9)" = "$(printf %s "$kw_earlier" | tr -d 0-9)" ] || continue
			fi
			;;
		esac
		printf '%s does not stay up: %s' "${kw_name##*/}" "$(printf '%s' "${kw_line:-it says nothing in its log}" | kw_mask)"
		return 0
	done <<-EOT
		$kw_list
	EOT
}

# The newest log of each container of the control plane: its number and its directory, a line each.
kw_pod_logs() {
	for kw_xd in "${KW_ROOT-}"/var/log/pods/kube-system_etcd-*/* "${KW_ROOT-}"/var/log/pods/kube-system_kube-*/*; do
		kw_newest=''
		for kw_xl in "$kw_xd"/[0-9].log "$kw_xd"/[1-9][0-9].log "$kw_xd"/[1-9][0-9][0-9].log; do
			[ -e "$kw_xl" ] || continue
			kw_xl=${kw_xl##*/}
			kw_newest=${kw_xl%.log}
		done
		[ -z "$kw_newest" ] || printf '%s %s\n' "$kw_newest" "$kw_xd"
	done
}

# The line of a container's log ($1) with which it gave up, where there is one.
kw_last_words() {
	tail -n 60 "$1" 2>/dev/null | cut -d' ' -f4- | grep -E '^(Error:|error:|panic:|F[0-9])|unknown flag|flag provided but not defined|"level":"fatal"|command failed' | tail -n 1 || :
}

# A kubeadm of an earlier run that is still at work is not disturbed: it is waited for.
kw_wait_for_earlier() {
	[ -s "$kw_marker" ] || return 0
	read -r kw_pid <"$kw_marker" || return 0
	while [ -r "/proc/$kw_pid/comm" ] && read -r kw_comm <"/proc/$kw_pid/comm" && [ "$kw_comm" = kubeadm ]; do sleep 1; done
}

# Removes what an unfinished or foreign kubeadm left on this machine, and links of its network. Nothing else: no flush, no
# other CNI's configuration.
kw_clean() {
	if kw_has kubeadm; then
		kw_rc=0
		timeout 180 kubeadm reset -f ${kw_skip_phases:+"--skip-phases=$kw_skip_phases"} >"${KW_ROOT-}/run/kubewright-reset.log" 2>&1 </dev/null || kw_rc=$?
		if [ "$kw_rc" != 0 ]; then tail -n 5 "${KW_ROOT-}/run/kubewright-reset.log" >&2; fi
		rm -f -- "${KW_ROOT-}/run/kubewright-reset.log"
	fi
	if kw_has systemctl; then systemctl stop kubelet >/dev/null 2>&1 || :; fi
	# The directory of static pods belongs to kubelet's package: without it kubelet complains every second.
	rm -rf -- "$kw_k8s/manifests"/* "$kw_k8s/pki" "$kw_k8s/tmp"
	rm -f -- "$kw_k8s"/*.conf "$kw_k8s"/kubewright-*.started
	rm -rf -- "${KW_ROOT-}/var/lib/etcd/member"
	rm -f -- "${KW_ROOT-}/var/lib/kubelet/config.yaml" "${KW_ROOT-}/var/lib/kubelet/kubeadm-flags.env" "${KW_ROOT-}"/var/lib/kubelet/pki/kubelet*.pem "${KW_ROOT-}"/var/lib/kubelet/pki/kubelet.*
	kw_clean_network
}

# Links and state of a pod network that was: a bridge with an address of the earlier node's range would keep every new pod from
# starting.
kw_clean_network() {
	rm -rf -- "${KW_ROOT-}/var/lib/cni/networks/cbr0" "${KW_ROOT-}/run/flannel"
	if [ -z "${KW_ROOT-}" ]; then
		for kw_link in flannel.1 flannel-v6.1 cni0; do
			[ ! -d "/sys/class/net/$kw_link" ] || ip link delete "$kw_link" || :
		done
		if kw_has nft; then
			kw_list=$(nft list tables 2>/dev/null) || kw_list=''
			while read -r kw_xt kw_family kw_table; do
				case $kw_table in
				kube-proxy | flannel-ipv4 | flannel-ipv6) nft delete table "$kw_family" "$kw_table" || : ;;
				esac
			done <<-EOT
				$kw_list
			EOT
		fi
	fi
	rm -f -- "${KW_ROOT-}/etc/cni/net.d/10-flannel.conflist"
}

kw_init_check() {
	kw_marker=$kw_k8s/kubewright-init.started
	kw_todo=init
	if [ ! -e "$kw_marker" ] && [ ! -e "$kw_k8s/kubewright-restore.started" ] && [ -s "$kw_k8s/admin.conf" ] && [ -s "$kw_k8s/manifests/kube-apiserver.yaml" ]; then
		kw_todo=''
		systemctl is-active -q kubelet || kw_todo=start
	fi
	[ -z "$kw_todo" ] || return 10
}

kw_init_apply() {
	if [ "$kw_todo" = start ]; then
		kw_scope='' kw_no_block='' kw_unit=kubelet
		kw_unit_do start
		return 0
	fi
	kw_has kubeadm || kw_fail "kubeadm is not installed on this host"
	mkdir -p -- "$kw_k8s"
	kw_finish=''
	if [ -e "$kw_k8s/kubewright-restore.started" ]; then
		[ -n "$kw_restored" ] || kw_fail "a restore of etcd was interrupted on this host: run 'kubewright etcd restore' again"
		kw_marker=$kw_k8s/kubewright-restore.started
		kw_watched kubeadm init --config "$KW_BLOBS/$kw_config" --skip-token-print "--ignore-preflight-errors=${kw_ignore:+$kw_ignore,}DirAvailable--var-lib-etcd"
		sync "$kw_k8s" 2>/dev/null || sync
		rm -rf -- "${KW_ROOT-}/var/lib/kubewright/restore"
		rm -f -- "$kw_marker"
		return 0
	fi
	if [ -e "$kw_marker" ]; then
		kw_wait_for_earlier
		if [ -d "${KW_ROOT-}/var/lib/etcd/member" ] && kw_api_answers; then
			kw_finish=1
		else
			kw_clean
			mkdir -p -- "$kw_k8s"
		fi
	elif [ -d "${KW_ROOT-}/var/lib/etcd/member" ]; then
		kw_fail "this host has etcd data (/var/lib/etcd/member) of a cluster that is not ours to finish, and no admin.conf: restore it, or take it off with 'kubewright reset'"
	elif [ -e "$kw_k8s/kubelet.conf" ] || [ -e "$kw_k8s/bootstrap-kubelet.conf" ] || [ -e "$kw_k8s/kubewright-join.started" ]; then
		kw_clean
		mkdir -p -- "$kw_k8s"
	else
		kw_clean_network
	fi
	: >"$kw_marker"
	sync "$kw_marker" 2>/dev/null || sync
	if [ -n "$kw_finish" ]; then
		# The API answers: the phases that may be missing are all idempotent. etcd's data is not touched.
		for kw_phase in 'upload-config all' mark-control-plane bootstrap-token 'kubelet-finalize all' 'addon all'; do
			kw_watched kubeadm init phase $kw_phase --config "$KW_BLOBS/$kw_config"
		done
	else
		kw_watched kubeadm init --config "$KW_BLOBS/$kw_config" --skip-token-print ${kw_ignore:+"--ignore-preflight-errors=$kw_ignore"}
	fi
	sync "$kw_k8s" 2>/dev/null || sync
	rm -f -- "$kw_marker"
}

# After an interrupted init the static pods may still be coming up.
kw_api_answers() {
	[ -s "$kw_k8s/admin.conf" ] && kw_has kubectl || return 1
	kw_left=30
	while [ "$kw_left" -gt 0 ]; do
		kubectl --kubeconfig "$kw_k8s/admin.conf" --request-timeout=3s get --raw /readyz >/dev/null 2>&1 && return 0
		systemctl is-active -q kubelet || return 1
		kw_left=$((kw_left - 1))
		sleep 1
	done
	return 1
}

# kw_joined: yes, or no and why. A machine belongs to a cluster when the API at its address, verified with the CA that it
# has, knows its node. While the API is silent nothing can be said: kw_wait seconds for an answer.
kw_membership() {
	kw_joined=no kw_marker=$kw_k8s/kubewright-join.started
	if [ -e "$kw_marker" ]; then
		kw_reason='a join was interrupted'
		return 0
	fi
	if [ ! -s "$kw_k8s/kubelet.conf" ] || [ ! -s "$kw_k8s/pki/ca.crt" ]; then
		kw_reason='no kubelet.conf'
		return 0
	fi
	kw_server=''
	while read -r kw_k kw_v; do
		[ "$kw_k" != server: ] || kw_server=$kw_v
	done <"$kw_k8s/kubelet.conf"
	if [ -n "$kw_endpoint" ] && [ "$kw_server" != "https://$kw_endpoint" ]; then
		kw_reason="it belongs to $kw_server"
		return 0
	fi
	if [ -z "$kw_node" ]; then
		read -r kw_node <"${KW_ROOT-}/proc/sys/kernel/hostname"
		if [ -r "${KW_ROOT-}/var/lib/kubelet/kubeadm-flags.env" ]; then
			read -r kw_flags <"${KW_ROOT-}/var/lib/kubelet/kubeadm-flags.env" || :
			case $kw_flags in
			*--hostname-override=*)
				kw_node=${kw_flags##*--hostname-override=}
				kw_node=${kw_node%%[\" ]*}
				;;
			esac
		fi
	fi
	kw_url=$kw_server/api/v1/nodes/$kw_node
	kw_until=''
	while :; do
		kw_ask
		case $kw_code in
		200 | 403) kw_joined=yes ;;
		401) kw_reason='the API does not accept its certificate' ;;
		404) kw_reason="the API knows no node $kw_node" ;;
		tls) kw_reason="$kw_server is another cluster" ;;
		*)
			[ -n "$kw_until" ] || kw_until=$(($(date +%s) + kw_wait))
			[ "$(date +%s)" -lt "$kw_until" ] || kw_fail "cannot tell whether this machine belongs to the cluster: $kw_server did not answer within $kw_wait s ($kw_err)"
			sleep 1
			continue
			;;
		esac
		return 0
	done
}

kw_ask() {
	kw_err='' kw_code=''
	kw_pem=${KW_ROOT-}/var/lib/kubelet/pki/kubelet-client-current.pem
	if kw_has curl; then
		kw_rc=0
		kw_code=$(curl -sS --noproxy '*' --max-time 5 -o /dev/null -w '%{http_code}' --cacert "$kw_k8s/pki/ca.crt" --cert "$kw_pem" --key "$kw_pem" "$kw_url" 2>/dev/null) || kw_rc=$?
		case $kw_rc in
		0) ;;
		60 | 51 | 83) kw_code=tls ;;
		58) kw_code=401 ;;
		*) kw_code='' kw_err="curl exit code $kw_rc" ;;
		esac
	else
		kw_rc=0
		kw_err=$(kubectl --kubeconfig "$kw_k8s/kubelet.conf" --request-timeout=5s get --raw "${kw_url#"$kw_server"}" 2>&1 >/dev/null) || kw_rc=$?
		case $kw_rc:$kw_err in
		0:*) kw_code=200 ;;
		*NotFound*) kw_code=404 ;;
		*Forbidden*) kw_code=403 ;;
		*Unauthorized* | *'must be logged in'*) kw_code=401 ;;
		*x509*) kw_code=tls ;;
		esac
	fi
}

# The CA that this machine trusts, when its join (or init) came to an end, and when kubelet was started. Whether that is the wanted cluster's CA is
# compared by whoever knows that one.
kw_joined_check() {
	kw_marker=$kw_k8s/kubewright-join.started
	kw_wait_for_earlier
	if [ ! -e "$kw_marker" ] && [ ! -e "$kw_k8s/kubewright-init.started" ] && [ -s "$kw_k8s/kubelet.conf" ] && [ -s "$kw_k8s/pki/ca.crt" ]; then
		kw_out_stdin ca <"$kw_k8s/pki/ca.crt"
		if kw_is_control_plane; then kw_out control_plane 1; fi
	fi
	kw_active='' kw_since=''
	kw_list=$(systemctl show kubelet -p ActiveState,ActiveEnterTimestamp 2>/dev/null) || kw_list=''
	while IFS='=' read -r kw_k kw_v; do
		case $kw_k in
		ActiveState) kw_active=$kw_v ;;
		ActiveEnterTimestamp) kw_since=$kw_v ;;
		esac
	done <<-EOT
		$kw_list
	EOT
	# "Wed 2026-11-25 07:00:00 UTC" of systemd is a date that date(1) reads.
	if [ "$kw_active" = active ] && [ -n "$kw_since" ]; then kw_out started "$(date -d "$kw_since" +%s)"; fi
}

kw_is_control_plane() {
	[ -s "$kw_k8s/admin.conf" ] && [ -s "$kw_k8s/manifests/kube-apiserver.yaml" ] && [ -s "$kw_k8s/manifests/etcd.yaml" ]
}

kw_join_check() {
	kw_wait=20
	if [ -n "$kw_control_plane" ]; then
		# Whether etcd knows it as a member is asked by whoever says `force`.
		kw_marker=$kw_k8s/kubewright-join.started
		if [ -n "$kw_force" ] || [ -e "$kw_marker" ] || [ -e "$kw_k8s/kubewright-init.started" ] || ! kw_is_control_plane; then return 10; fi
		return 0
	fi
	kw_membership
	[ "$kw_joined" = yes ] || return 10
}

kw_join_apply() {
	kw_has kubeadm || kw_fail "kubeadm is not installed on this host"
	if [ -d "${KW_ROOT-}/var/lib/etcd/member" ] && [ ! -e "$kw_k8s/kubewright-init.started" ]; then
		if [ -z "$kw_control_plane" ]; then
			kw_fail "this host is a control plane with etcd data (/var/lib/etcd/member): it cannot join as a worker before 'kubewright reset'"
		elif [ -z "$kw_force" ] && [ ! -e "$kw_marker" ]; then
			kw_fail "this host has etcd data (/var/lib/etcd/member) of a cluster that it is no finished control plane of: take it off with 'kubewright reset'"
		fi
	fi
	kw_wait_for_earlier
	if [ -e "$kw_marker" ] || [ -e "$kw_k8s/kubelet.conf" ] || [ -e "$kw_k8s/bootstrap-kubelet.conf" ] || [ -e "$kw_k8s/pki/ca.crt" ]; then kw_clean; else kw_clean_network; fi
	mkdir -p -- "$kw_k8s"
	: >"$kw_marker"
	sync "$kw_marker" 2>/dev/null || sync
	kw_watched kubeadm join --config "$KW_BLOBS/$kw_config" ${kw_ignore:+"--ignore-preflight-errors=$kw_ignore"}
	sync "$kw_k8s" 2>/dev/null || sync
	rm -f -- "$kw_marker"
}

kw_upload_check() { return 10; }

# kubeadm prints the key: its output stays in a file that nobody else can read, and goes at once.
kw_upload_apply() {
	kw_log=${KW_ROOT-}/run/kubewright-upload.log
	rm -f -- "$kw_log"
	(umask 077 && : >"$kw_log")
	kw_rc=0
	timeout 120 kubeadm init phase upload-certs --upload-certs --config "$KW_BLOBS/$kw_config" >"$kw_log" 2>&1 </dev/null || kw_rc=$?
	kw_err=$(grep -iE 'error|failed' "$kw_log" | tail -n 3 | sed 's/[0-9a-f]\{64\}/[key]/g' | kw_mask) || kw_err=''
	rm -f -- "$kw_log"
	[ "$kw_rc" = 0 ] || kw_fail "kubeadm cannot upload the certificates: ${kw_err:-exit code $kw_rc}"
}

# kw_pod_hosts_check ADDRESS…: pods whose copy of the hosts file knows kw_host at another address, or at none.
kw_pod_hosts_check() {
	kw_stale=''
	for kw_xf in "${KW_ROOT-}"/var/lib/kubelet/pods/*/containers/"$kw_container"; do
		kw_pod=${kw_xf%/containers/*}
		[ -r "$kw_pod/etc-hosts" ] || continue
		kw_found=''
		while read -r kw_k kw_v; do
			case " $kw_v " in *" $kw_host "*) ;; *) continue ;; esac
			kw_found=other
			for kw_address; do [ "$kw_k" != "$kw_address" ] || kw_found=yes; done
			[ "$kw_found" = yes ] || break
		done <"$kw_pod/etc-hosts"
		[ "$kw_found" = yes ] || kw_stale="$kw_stale ${kw_pod##*/}"
	done
	kw_out stale "$kw_stale"
}

kw_reset_check() {
	for kw_xf in "$kw_k8s"/*.conf "$kw_k8s"/kubewright-*.started "$kw_k8s"/manifests/*.yaml "$kw_k8s/pki/ca.crt" "${KW_ROOT-}/var/lib/kubelet/config.yaml" "${KW_ROOT-}/var/lib/etcd/member" \
		"${KW_ROOT-}/etc/cni/net.d/10-flannel.conflist" "${KW_ROOT-}/opt/cni/bin/flannel" "${KW_ROOT-}/sys/class/net/cni0" "${KW_ROOT-}/sys/class/net/flannel.1"; do
		[ ! -e "$kw_xf" ] || return 10
	done
	if [ -z "${KW_ROOT-}" ]; then
		for kw_ipt in $(kw_every_iptables); do
			if "$kw_ipt-save" 2>/dev/null | grep -v '^:KUBE-ROUTER-' | grep -qE '^:(KUBE|FLANNEL)-'; then return 10; fi
		done
	fi
}

kw_reset_apply() {
	kw_marker=$kw_k8s/kubewright-join.started
	kw_wait_for_earlier
	kw_marker=$kw_k8s/kubewright-init.started
	kw_wait_for_earlier
	kw_clean
	if kw_has systemctl; then systemctl disable -q kubelet 2>/dev/null || :; fi
	# Flannel's own plugin came with its pods; the other plugins belong to a package.
	rm -f -- "${KW_ROOT-}/opt/cni/bin/flannel"
	rm -rf -- "${KW_ROOT-}/var/lib/cni/flannel"
	for kw_xf in cni/networks cni/results cni etcd kubelet; do
		[ ! -d "${KW_ROOT-}/var/lib/$kw_xf" ] || rmdir -- "${KW_ROOT-}/var/lib/$kw_xf" 2>/dev/null || :
	done
	if [ -z "${KW_ROOT-}" ]; then
		if kw_has systemctl; then systemctl stop kubepods.slice >/dev/null 2>&1 || :; fi
		for kw_ipt in $(kw_every_iptables); do kw_chains "$kw_ipt"; done
	fi
}

# Every iptables that there is; the legacy one only where it is in use, because looking at it would load it.
kw_every_iptables() {
	for kw_xi in iptables ip6tables; do
		if kw_has "$kw_xi-nft-save"; then printf '%s ' "$kw_xi-nft"; elif kw_has "$kw_xi-save"; then printf '%s ' "$kw_xi"; fi
	done
	if kw_has iptables-legacy-save && [ -s /proc/net/ip_tables_names ]; then printf '%s ' iptables-legacy; fi
	if kw_has ip6tables-legacy-save && [ -s /proc/net/ip6_tables_names ]; then printf '%s ' ip6tables-legacy; fi
}

# Chains of kubelet, kube-proxy and Flannel, by their names, and the rules elsewhere that lead to them; one transaction a table.
# All other rules stay, and nothing is flushed that is not ours. KUBE-ROUTER-… is another project's.
kw_chains() {
	for kw_xt in raw mangle nat filter; do
		kw_list=$("$1-save" -t "$kw_xt" 2>/dev/null) || continue
		kw_list=$(printf '%s\n' "$kw_list" | awk -v "table=$kw_xt" '
			function is_ours(c) { return c ~ /^(KUBE|FLANNEL)-/ && c !~ /^KUBE-ROUTER-/ }
			/^:/ { c = substr($1, 2); if (is_ours(c)) chain[++n] = c }
			/^-A/ && !is_ours($2) {
				for (i = 3; i < NF; i++) if (($i == "-j" || $i == "-g") && is_ours($(i + 1))) { rule[++m] = $0; break }
			}
			END {
				if (!n) exit
				print "*" table
				for (i = 1; i <= m; i++) { sub(/^-A/, "-D", rule[i]); print rule[i] }
				for (i = 1; i <= n; i++) print "-F " chain[i]
				for (i = 1; i <= n; i++) print "-X " chain[i]
				print "COMMIT"
			}')
		[ -z "$kw_list" ] || printf '%s\n' "$kw_list" | "$1-restore" --noflush
	done
}

# Images in containerd's k8s.io namespace, where kubelet looks.
kw_image_check() {
	kw_missing=''
	# In the background it is a head start, not a state: once the machine is in a cluster, kubelet pulls what it needs.
	if [ -n "$kw_background" ] && [ -e "$kw_k8s/kubelet.conf" ]; then return 0; fi
	kw_have=$(ctr -n k8s.io images ls -q 2>/dev/null) || return 10
	kw_have="
$kw_have
"
	for kw_xi; do
		case $kw_have in
		*"
$kw_xi
"*) ;;
		*) kw_missing="$kw_missing $kw_xi" ;;
		esac
	done
	[ -z "$kw_missing" ] || return 10
}

kw_image_apply() {
	[ -n "$kw_missing" ] || kw_missing=$*
	if [ -n "$kw_background" ]; then
		kw_loop='for i; do ctr -n k8s.io images pull --hosts-dir "$0" "$i" || :; done'
		if [ -d "${KW_ROOT-}/run/systemd/system" ] && kw_has systemd-run; then
			systemctl is-active -q kubewright-images.service || systemd-run -q --unit=kubewright-images --collect --no-block --nice 5 sh -c "$kw_loop" "$kw_hosts" $kw_missing >&2
		else
			setsid sh -c "$kw_loop" "$kw_hosts" $kw_missing >/dev/null 2>&1 </dev/null &
		fi
		return 0
	fi
	for kw_xi in $kw_missing; do
		kw_rc=0
		kw_err=$(ctr -n k8s.io images pull --hosts-dir "$kw_hosts" "$kw_xi" 2>&1 >/dev/null) || kw_rc=$?
		[ "$kw_rc" = 0 ] || kw_fail "image $kw_xi cannot be pulled: $(printf '%s' "$kw_err" | tail -n 1)"
	done
}
