# iptables, alternatives, timezone.

# The rule's words are the positional parameters; kw_table and kw_chain stand apart.
kw_iptables() { "$kw_program" -w 10 -t "$kw_table" "$@"; }
kw_iptables_check() {
	if [ -n "$kw_flush" ]; then
		[ "$(kw_iptables -S ${kw_chain:+"$kw_chain"} | grep -c '^-A')" = 0 ] || return 10
		return 0
	fi
	if [ -n "$kw_policy" ]; then
		case $(kw_iptables -S "$kw_chain" | head -n 1) in
		"-P $kw_chain $kw_policy") return 0 ;;
		esac
		return 10
	fi
	if [ -n "$kw_chain_only" ]; then
		kw_rc=0
		kw_iptables -S "$kw_chain" >/dev/null 2>&1 || kw_rc=$?
		case $kw_state:$kw_rc in
		present:0 | absent:[1-9]*) return 0 ;;
		esac
		return 10
	fi
	kw_rc=0
	kw_iptables -C "$kw_chain" "$@" >/dev/null 2>&1 || kw_rc=$?
	case $kw_state:$kw_rc in
	present:0 | absent:[1-9]*) ;;
	*) return 10 ;;
	esac
}
kw_iptables_apply() {
	if [ -n "$kw_flush" ]; then
		kw_iptables -F ${kw_chain:+"$kw_chain"}
	elif [ -n "$kw_policy" ]; then
		kw_iptables -P "$kw_chain" "$kw_policy"
	elif [ -n "$kw_chain_only" ]; then
		if [ "$kw_state" = present ]; then kw_iptables -N "$kw_chain"; else kw_iptables -X "$kw_chain"; fi
	elif [ "$kw_state" = absent ]; then
		kw_iptables -D "$kw_chain" "$@"
	elif [ "$kw_action" = insert ]; then
		kw_iptables -I "$kw_chain" ${kw_number:+"$kw_number"} "$@"
	else
		kw_iptables -A "$kw_chain" "$@"
	fi
}

kw_alternatives_check() {
	kw_program=update-alternatives
	kw_has "$kw_program" || kw_program=alternatives
	kw_has "$kw_program" || kw_fail "neither update-alternatives nor alternatives is installed on this host"
	kw_now=$(readlink -f "${KW_ROOT-}/etc/alternatives/$kw_name" 2>/dev/null) || kw_now=''
	kw_real=$(readlink -f "$kw_path" 2>/dev/null) || kw_real=$kw_path
	case $kw_state in
	absent) LC_ALL=C "$kw_program" --display "$kw_name" 2>/dev/null | grep -q "^$kw_path - priority" || return 0 ;;
	selected) [ "$kw_now" != "$kw_real" ] || return 0 ;;
	present) ! LC_ALL=C "$kw_program" --display "$kw_name" 2>/dev/null | grep -q "^$kw_path - priority" || return 0 ;;
	esac
	return 10
}
kw_alternatives_apply() {
	if [ "$kw_state" = absent ]; then
		"$kw_program" --remove "$kw_name" "$kw_path" >&2
		return 0
	fi
	if [ -n "$kw_link" ]; then "$kw_program" --install "$kw_link" "$kw_name" "$kw_path" "$kw_priority" >&2; fi
	if [ "$kw_state" = selected ]; then "$kw_program" --set "$kw_name" "$kw_path" >&2; fi
}

kw_timezone_check() {
	kw_zonefile=/usr/share/zoneinfo/$kw_name
	[ -f "$kw_zonefile" ] || kw_fail "there is no time zone $kw_name on this host (package tzdata)"
	kw_now=$(readlink -f "${KW_ROOT-}/etc/localtime" 2>/dev/null) || kw_now=''
	kw_real=$(readlink -f "$kw_zonefile")
	[ "$kw_now" = "$kw_zonefile" ] || [ "$kw_now" = "$kw_real" ] || return 10
}
kw_timezone_apply() {
	if [ -z "${KW_ROOT-}" ] && kw_has timedatectl && timedatectl set-timezone "$kw_name" 2>/dev/null; then return 0; fi
	ln -sfn "$kw_zonefile" "${KW_ROOT-}/etc/localtime"
	kw_plain_file
	if [ -f "${KW_ROOT-}/etc/timezone" ]; then printf '%s\n' "$kw_name" | kw_write "${KW_ROOT-}/etc/timezone"; fi
}
