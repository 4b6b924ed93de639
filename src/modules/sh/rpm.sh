# The RHEL family: dnf and yum, rpm_key, yum_repository (a copy), selinux, firewalld.

# Positional parameters: names, `name-version`, files, URLs, `@group`. What rpm knows decides; one fork for all of them.
kw_dnf_check() {
	kw_missing=''
	if [ $# -gt 0 ]; then
		case " $* " in
		*' @'* | *' * '*) return 10 ;;
		esac
		for kw_p; do
			case $kw_p in
			*://*.rpm | /*.rpm)
				kw_missing=1
				break
				;;
			esac
		done
		kw_list=$(LC_ALL=C rpm -q --whatprovides --qf 'have %{NAME}\n' -- "$@" 2>&1) || :
		[ -n "$kw_missing" ] || case $kw_list in
		*'not installed'* | *'no package provides'*) kw_missing=1 ;;
		esac
		# rpm -q also takes name-version; what it does not know that way is asked for as such.
		if [ -n "$kw_missing" ]; then
			kw_missing=''
			for kw_p; do
				case $kw_p in
				*://*.rpm) kw_q=${kw_p##*/} && kw_q=${kw_q%.rpm} ;;
				/*.rpm) kw_q=$(rpm -qp "$kw_p" 2>/dev/null) || kw_q=$kw_p ;;
				*) kw_q=$kw_p ;;
				esac
				if rpm -q --quiet -- "$kw_q" 2>/dev/null || rpm -q --quiet --whatprovides -- "$kw_q" 2>/dev/null; then kw_have=1; else kw_have='' && kw_missing=1; fi
				[ "$kw_state" != absent ] || [ -z "$kw_have" ] || return 10
			done
		elif [ "$kw_state" = absent ]; then
			return 10
		fi
		case $kw_state in
		absent) ;;
		latest)
			[ -z "$kw_missing" ] || return 10
			kw_rc=0
			$kw_dnf -q check-update $kw_repos -- "$@" >/dev/null 2>&1 || kw_rc=$?
			[ "$kw_rc" != 100 ] || return 10
			;;
		*) [ -z "$kw_missing" ] || return 10 ;;
		esac
	elif [ -n "$kw_update" ]; then
		return 10
	fi
	[ -z "$kw_autoremove" ] || return 10
}

kw_dnf_apply() {
	kw_has "$kw_dnf" || kw_dnf=yum
	kw_rc=0
	[ -z "$kw_update" ] || $kw_dnf -q -y makecache $kw_repos >&2 || kw_rc=$?
	if [ $# -gt 0 ]; then
		kw_verb=install
		case $kw_state in
		absent) kw_verb=remove ;;
		latest) kw_verb=install && kw_again=upgrade ;;
		esac
		# Another dnf is waited for by dnf itself; give up in time.
		timeout "$kw_lock" $kw_dnf -q -y $kw_repos $kw_options "$kw_verb" -- "$@" >&2 || kw_rc=$?
		if [ "$kw_state" = latest ] && [ "$kw_rc" = 0 ]; then timeout "$kw_lock" $kw_dnf -q -y $kw_repos $kw_options "$kw_again" -- "$@" >&2 || kw_rc=$?; fi
	fi
	[ -z "$kw_autoremove" ] || $kw_dnf -q -y autoremove >&2 || kw_rc=$?
	case $kw_rc in
	0) ;;
	124) kw_fail "$kw_dnf was not done within $kw_lock s (another $kw_dnf may hold its lock)" ;;
	*) exit "$kw_rc" ;;
	esac
}

kw_rpmkey_check() {
	kw_id=''
	case $kw_key in
	*://* | /*) [ "$kw_state" = present ] || return 10 ;;
	esac
	# A key's packages are named by its short id; the URL is remembered beside them.
	kw_mark=${KW_ROOT-}/var/lib/rpm/.kubewright-key-$kw_keyhash
	if [ -e "$kw_mark" ]; then
		read -r kw_id <"$kw_mark" || :
		if [ -n "$kw_id" ] && rpm -q --quiet "gpg-pubkey-$kw_id" 2>/dev/null; then
			[ "$kw_state" != absent ] || return 10
			return 0
		fi
	fi
	[ "$kw_state" != absent ] || return 0
	return 10
}
kw_rpmkey_apply() {
	if [ "$kw_state" = absent ]; then
		rpm -e --allmatches "gpg-pubkey-${kw_id:-$kw_key}" && rm -f -- "$kw_mark"
		return 0
	fi
	kw_before=$(rpm -q gpg-pubkey 2>/dev/null) || :
	kw_file=$kw_key
	case $kw_key in
	*://*)
		kw_file=$(mktemp)
		kw_download "$kw_key" "$kw_file" || kw_fail "cannot download the key $kw_key"
		;;
	esac
	rpm --import "$kw_file"
	[ "$kw_file" = "$kw_key" ] || rm -f -- "$kw_file"
	kw_list=$(rpm -q gpg-pubkey 2>/dev/null) || :
	for kw_xk in $kw_list; do
		case $kw_before in
		*"$kw_xk"*) ;;
		*) printf '%s\n' "${kw_xk#gpg-pubkey-}" >"$kw_mark" ;;
		esac
	done
	# It was there before: any of those will do as a sign.
	[ -e "$kw_mark" ] || printf '%s\n' "$(printf '%s\n' "$kw_list" | head -n 1 | cut -d- -f3-)" >"$kw_mark"
}

kw_selinux_check() {
	kw_todo=''
	kw_config=${KW_ROOT-}/etc/selinux/config
	if [ ! -f "$kw_config" ]; then
		[ "$kw_state" = disabled ] || kw_fail "SELinux is not installed on this host ($kw_config is missing)"
		return 0
	fi
	kw_now='' kw_type=''
	while IFS='=' read -r kw_k kw_v; do
		case $kw_k in
		SELINUX) kw_now=$kw_v ;;
		SELINUXTYPE) kw_type=$kw_v ;;
		esac
	done <"$kw_config"
	[ "$kw_now" = "$kw_state" ] || kw_todo=file
	[ -z "$kw_policy" ] || [ "$kw_type" = "$kw_policy" ] || kw_todo=file
	if [ -r "${KW_ROOT-}/sys/fs/selinux/enforce" ]; then
		read -r kw_live <"${KW_ROOT-}/sys/fs/selinux/enforce" || :
		case $kw_state:$kw_live in
		enforcing:0 | permissive:1 | disabled:1) kw_todo="$kw_todo live" ;;
		esac
	elif [ "$kw_state" != disabled ]; then
		kw_out out_reboot_required 1
	fi
	[ -z "$kw_todo" ] || return 10
}
kw_selinux_apply() {
	for kw_do in $kw_todo; do
		case $kw_do in
		file)
			kw_plain_file
			awk -v "s=$kw_state" -v "p=$kw_policy" '/^SELINUX=/ {print "SELINUX=" s; n = 1; next} /^SELINUXTYPE=/ && p {print "SELINUXTYPE=" p; next} {print} END {if (!n) print "SELINUX=" s}' "$kw_config" | kw_write "$kw_config"
			;;
		live) if [ "$kw_state" = enforcing ]; then setenforce 1; else setenforce 0; fi ;;
		esac
	done
}

# firewalld: kw_what is a rule as firewall-cmd takes it (`service=http`); kw_zone may be empty.
kw_firewalld_check() {
	kw_todo=''
	kw_has firewall-cmd || kw_fail "firewalld is not installed on this host"
	for kw_side in $kw_sides; do
		kw_flag=''
		[ "$kw_side" = now ] || kw_flag=--permanent
		kw_rc=0
		firewall-cmd $kw_flag ${kw_zone:+--zone="$kw_zone"} "--query-$kw_what" >/dev/null 2>&1 || kw_rc=$?
		case $kw_state:$kw_rc in
		enabled:0 | disabled:1) ;;
		enabled:1 | disabled:0) kw_todo="$kw_todo $kw_side" ;;
		*) kw_fail "firewall-cmd --query-$kw_what: exit code $kw_rc (is firewalld running?)" ;;
		esac
	done
	[ -z "$kw_todo" ] || return 10
}
kw_firewalld_apply() {
	kw_verb=add
	[ "$kw_state" = enabled ] || kw_verb=remove
	for kw_side in $kw_todo; do
		kw_flag=''
		[ "$kw_side" = now ] || kw_flag=--permanent
		firewall-cmd -q $kw_flag ${kw_zone:+--zone="$kw_zone"} "--$kw_verb-$kw_what"
	done
}
