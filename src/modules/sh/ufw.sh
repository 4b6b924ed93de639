# ufw. Its own --dry-run says whether a rule is there; defaults and logging are read where it keeps them, which it shows only
# while it is on.

# kw_set: what file $1 says $2 is.
kw_ufw_set() {
	kw_set=''
	while IFS='=' read -r kw_k kw_v; do
		[ "$kw_k" != "$2" ] || kw_set=$kw_v
	done <"${KW_ROOT-}$1"
	kw_set=${kw_set#\"}
	kw_set=${kw_set%\"}
}

# kw_place_words: where a rule goes, `insert 3` or nothing.
kw_ufw_place() {
	kw_place_words=''
	[ -n "$kw_insert" ] || return 0
	kw_at=$kw_insert
	if [ "$kw_beside" != zero ]; then
		set -- $(LC_ALL=C ufw status numbered | awk '/^\[/ { all++; if (/\(v6\)/) six++; else last4 = all } END { print all + 0, six + 0, last4 + 0 }')
		case $kw_beside in
		first-ipv4) kw_at=$((kw_insert + 1)) ;;
		last-ipv4) if [ "$3" -gt 0 ]; then kw_at=$((kw_insert + $3)); else kw_at=$((kw_insert + 1)); fi ;;
		first-ipv6) kw_at=$((kw_insert + $3 + 1)) ;;
		last-ipv6) if [ "$2" -gt 0 ]; then kw_at=$((kw_insert + $1)); else kw_at=$((kw_insert + $1 + 1)); fi ;;
		esac
		# ufw refuses a place behind the last.
		[ "$kw_at" -le "$1" ] || return 0
	fi
	kw_place_words="insert $kw_at"
}

# Whether the rules that --dry-run (kw_list) would write are others than those that are there. It says that it would skip a rule
# that exists, but writes all again to delete one that does not.
kw_ufw_differs() {
	printf '%s\n' "$kw_list" | grep -qv '^Skipping \|^Could not delete non-existent\|^WARN' || return 1
	for kw_xf in user user6; do
		kw_had=$(grep '^### tuple' "${KW_ROOT-}/etc/ufw/$kw_xf.rules" 2>/dev/null) || :
		# What is not written at all stays as it is.
		printf '%s\n' "$kw_list" | grep -q "^:ufw${kw_xf#user}-user-input" || continue
		kw_will=$(printf '%s\n' "$kw_list" | awk -v "v=:ufw${kw_xf#user}-user-input" '/^:ufw6?-user-input/ { on = $1 == v } on && /^### tuple/')
		[ "$kw_had" = "$kw_will" ] || return 0
		kw_same=1
	done
	[ -z "${kw_same-}" ]
}

kw_ufw_check() {
	kw_has ufw || kw_fail "ufw is not installed on this host"
	kw_todo='' kw_same=''
	case $kw_state in
	enabled) LC_ALL=C ufw status | grep -q '^Status: active' || kw_todo=enable ;;
	disabled) LC_ALL=C ufw status | grep -q '^Status: inactive' || kw_todo=disable ;;
	reloaded) kw_todo=reload ;;
	reset) kw_todo=reset ;;
	esac
	if [ -n "$kw_default" ]; then
		case $kw_direction in
		incoming) kw_ufw_set /etc/default/ufw DEFAULT_INPUT_POLICY ;;
		outgoing) kw_ufw_set /etc/default/ufw DEFAULT_OUTPUT_POLICY ;;
		*) kw_ufw_set /etc/default/ufw DEFAULT_FORWARD_POLICY ;;
		esac
		case $kw_default:$kw_set in
		allow:ACCEPT | deny:DROP | reject:REJECT) ;;
		*) kw_todo="$kw_todo default" ;;
		esac
	fi
	if [ $# -gt 0 ]; then
		kw_ufw_place
		kw_rc=0
		kw_list=$(LC_ALL=C ufw --dry-run $kw_route $kw_delete $kw_place_words "$@" 2>&1) || kw_rc=$?
		case $kw_rc:$kw_looks:$kw_list in
		0:*) ;;
		# The rules before it may be what earlier tasks would have brought.
		*:1:*'Invalid position'*) ;;
		*) kw_fail "ufw $kw_delete $kw_place_words $*: $kw_list" ;;
		esac
		if kw_ufw_differs; then kw_todo="$kw_todo rule"; fi
	fi
	if [ -n "$kw_logging" ]; then
		kw_ufw_set /etc/ufw/ufw.conf LOGLEVEL
		case $kw_logging:$kw_set in
		"$kw_set:$kw_logging") ;;
		on:off | on:) kw_todo="$kw_todo logging" ;;
		on:*) ;;
		*) kw_todo="$kw_todo logging" ;;
		esac
	fi
	[ -z "$kw_todo" ] || return 10
	[ -n "$kw_looks" ] || kw_ufw_show
}

# ufw's state, where somebody looks at it.
kw_ufw_show() {
	[ -z "$kw_full" ] || kw_out status "$(LC_ALL=C ufw status verbose)"
}

kw_ufw_apply() {
	for kw_do in $kw_todo; do
		case $kw_do in
		rule) ufw $kw_route $kw_delete $kw_place_words "$@" >&2 ;;
		default) ufw default "$kw_default" "$kw_direction" >&2 ;;
		logging) ufw logging "$kw_logging" >&2 ;;
		*) ufw --force "$kw_do" >&2 ;;
		esac
	done
	kw_ufw_show
}
