# iptables, ufw, alternatives, timezone, pip.

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

# ufw: its own --dry-run says whether a rule would be skipped as existing.
kw_ufw_check() {
	kw_has ufw || kw_fail "ufw is not installed on this host"
	kw_todo=''
	case $kw_state in
	enabled) LC_ALL=C ufw status | grep -q '^Status: active' || kw_todo=enable ;;
	disabled) LC_ALL=C ufw status | grep -q '^Status: inactive' || kw_todo=disable ;;
	reloaded) kw_todo=reload ;;
	reset) kw_todo=reset ;;
	esac
	if [ -n "$kw_default" ]; then
		LC_ALL=C ufw status verbose | grep -q "^Default:.*$kw_default_shown ($kw_direction" || kw_todo="$kw_todo default"
	fi
	if [ $# -gt 0 ]; then
		kw_list=$(LC_ALL=C ufw --dry-run $kw_delete "$@" 2>&1) || kw_fail "ufw $*: $kw_list"
		case $kw_list in
		*'Skipping '* | *'Could not delete non-existent'*) ;;
		*) kw_todo="$kw_todo rule" ;;
		esac
	fi
	[ -z "$kw_todo" ] || return 10
}
kw_ufw_apply() {
	for kw_do in $kw_todo; do
		case $kw_do in
		rule) ufw $kw_delete "$@" >&2 ;;
		default) ufw default "$kw_default" "$kw_direction" >&2 ;;
		*) ufw --force "$kw_do" >&2 ;;
		esac
	done
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

# pip is a program of the host; nothing else of ours needs Python there.
kw_pip_check() {
	if [ -n "$kw_venv" ]; then
		kw_pip=$kw_venv/bin/pip
		[ -x "$kw_pip" ] || return 10
	fi
	kw_has "$kw_pip" || kw_fail "$kw_pip is not installed on this host"
	[ -z "$kw_requirements" ] || return 10
	case $kw_state in
	latest | forcereinstall) return 10 ;;
	esac
	kw_list="
$("$kw_pip" list --format=freeze --disable-pip-version-check 2>/dev/null | tr 'A-Z_' 'a-z-')
"
	for kw_p; do
		kw_n=$(printf '%s' "${kw_p%%[=<>\[!~ ]*}" | tr 'A-Z_' 'a-z-')
		kw_v=''
		case $kw_p in
		*==*) kw_v=${kw_p#*==} ;;
		*[\<\>~!]*) return 10 ;;
		esac
		case $kw_list in
		*"
$kw_n==${kw_v:+$kw_v
}"*) [ "$kw_state" != absent ] || return 10 ;;
		*) [ "$kw_state" = absent ] || return 10 ;;
		esac
	done
}
kw_pip_apply() {
	if [ -n "$kw_venv" ] && [ ! -x "$kw_venv/bin/pip" ]; then
		$kw_venv_command "$kw_venv" >&2
		kw_pip=$kw_venv/bin/pip
	fi
	[ -z "$kw_chdir" ] || cd -- "$kw_chdir"
	case $kw_state in
	absent) "$kw_pip" uninstall -y -q -- "$@" >&2 ;;
	*)
		kw_flag=''
		[ "$kw_state" != latest ] || kw_flag=--upgrade
		[ "$kw_state" != forcereinstall ] || kw_flag=--force-reinstall
		kw_text=$("$kw_pip" install --disable-pip-version-check $kw_flag $kw_extra ${kw_requirements:+-r "$kw_requirements"} "$@")
		printf '%s\n' "$kw_text" >&2
		case $kw_text in
		*'Successfully installed'*) ;;
		*) kw_out same 1 ;;
		esac
		;;
	esac
}
