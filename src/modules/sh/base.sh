# Small functions that all modules share. POSIX sh; sent once per shell. Variables of a step start with kw_, so do
# functions. A check returns 0 (as wanted), 10 (would change) or fails; it only reads. Fixed paths start with $KW_ROOT,
# which is empty outside of tests.

# A named field of the result: RS name US value RS (see outcome.rs).
kw_out() { printf '\036%s\037%s\036' "$1" "$2"; }

# What the documented results tell of a path in the end, where somebody will look at them; see outcome.rs.
kw_full=''
kw_report() {
	[ -n "$kw_full" ] || return 0
	if [ -e "$1" ]; then kw_out stat "$(stat -c '%f %u %g %U %G %s %h' -- "$1")"; else kw_out stat ''; fi
}

kw_fail() {
	printf 'cause: %s\n' "$*" >&2
	exit 1
}

# The variable's value, or its name as it was written.
kw_env() { eval "printf %s \"\${$1-\\\$$1}\""; }

kw_has() { command -v "$1" >/dev/null 2>&1; }

# Text on stdin → one field, without holding it in a variable.
kw_out_stdin() {
	printf '\036%s\037' "$1"
	cat
	printf '\036'
}

# kw_dir: the directory of a path, without a fork.
kw_dir_of() {
	case $1 in
	*/*)
		kw_dir=${1%/*}
		[ -n "$kw_dir" ] || kw_dir=/
		;;
	*) kw_dir=. ;;
	esac
}

# Owner, group and mode now: kw_now_mode (octal digits), kw_now_uid, kw_now_gid, kw_now_user, kw_now_group.
kw_look() {
	kw_stat=$(stat -L -c '%a %u %g %U %G' -- "$1")
	kw_split_stat $kw_stat
}
kw_split_stat() {
	kw_now_mode=$1 kw_now_uid=$2 kw_now_gid=$3 kw_now_user=$4 kw_now_group=$5
}

# Compares what kw_look saw with kw_owner, kw_group and kw_mexpr (shell arithmetic over m and d; all may be empty).
# Sets kw_differs, and kw_was/kw_will for the diff. $1: 1 for a directory.
kw_compare() {
	kw_was='' kw_will=''
	if [ -n "$kw_mexpr" ]; then
		m=0$kw_now_mode d=$1
		eval "kw_want=\$(( $kw_mexpr ))"
		if [ "$kw_want" -ne "$((m))" ]; then
			kw_differs=1
			kw_was="mode: $m
" kw_will="mode: $(printf '%04o' "$kw_want")
"
		fi
	fi
	if [ -n "$kw_owner" ] && [ "$kw_owner" != "$kw_now_user" ] && [ "$kw_owner" != "$kw_now_uid" ]; then
		kw_differs=1
		kw_was="${kw_was}owner: $kw_now_user
" kw_will="${kw_will}owner: $kw_owner
"
	fi
	if [ -n "$kw_group" ] && [ "$kw_group" != "$kw_now_group" ] && [ "$kw_group" != "$kw_now_gid" ]; then
		kw_differs=1
		kw_was="${kw_was}group: $kw_now_group
" kw_will="${kw_will}group: $kw_group
"
	fi
}

# kw_look and kw_compare, where anything is asked for at all.
kw_attributes() {
	[ -n "$kw_mexpr$kw_owner$kw_group" ] || return 0
	kw_look "$1"
	kw_isdir=0
	[ ! -d "$1" ] || kw_isdir=1
	kw_compare "$kw_isdir"
	[ -z "$kw_was" ] || {
		kw_out subject "$1"
		kw_out before "$kw_was"
		kw_out after "$kw_will"
	}
}

# Gives a path its owner, group and mode. $2: -R or nothing.
kw_set_attributes() {
	[ -z "$kw_owner" ] || chown -- "$kw_owner" "$1"
	[ -z "$kw_group" ] || chgrp -- "$kw_group" "$1"
	if [ -n "$kw_mexpr" ]; then
		kw_look "$1"
		m=0$kw_now_mode d=0
		[ ! -d "$1" ] || d=1
		eval "kw_want=\$(( $kw_mexpr ))"
		[ "$kw_want" -eq "$((m))" ] || chmod "$(printf '%04o' "$kw_want")" "$1"
	fi
}

# Runs a validation command: %s in it stands for the file.
kw_validate_file() {
	[ -n "$kw_validate" ] || return 0
	case $kw_validate in
	*%s*) kw_xv="${kw_validate%%%s*}\"\$KW_FILE\"${kw_validate#*%s}" ;;
	*)
		rm -f -- "$1"
		kw_fail "validate must contain %s: $kw_validate"
		;;
	esac
	KW_FILE=$1 sh -c "$kw_xv" >&2 </dev/null || {
		kw_rc=$?
		rm -f -- "$1"
		kw_fail "the new file is not valid: '$kw_validate' ended with exit code $kw_rc"
	}
}

# An empty temporary file beside $1: kw_tmp.
kw_tmp_beside() {
	kw_dir_of "$1"
	[ -d "$kw_dir" ] || kw_fail "destination directory $kw_dir does not exist"
	kw_tmp=$(mktemp "$kw_dir/.kw-XXXXXX")
}

# A copy of $1 under Ansible's name for backups.
kw_backup_of() {
	if [ -n "$kw_backup" ] && [ -f "$1" ]; then
		kw_bak=$(date +%Y-%m-%d@%H:%M:%S)
		kw_xn=$$
		while [ -e "$1.$kw_xn.$kw_bak~" ]; do kw_xn=$((kw_xn + 1)); done
		kw_bak=$1.$kw_xn.$kw_bak~
		cp -p -- "$1" "$kw_bak"
		kw_out out_backup_file "$kw_bak"
	fi
}

# The temporary file $1 becomes $2 in one step: attributes first, synced, renamed. Attributes that were not asked for
# are those of the file that is there.
kw_place() {
	m=0644 d=0
	if [ -f "$2" ]; then
		kw_look "$2"
		m=0$kw_now_mode
		chown "$kw_now_uid:$kw_now_gid" "$1" 2>/dev/null || :
	fi
	kw_validate_file "$1"
	eval "kw_want=\$(( ${kw_mexpr:-m} ))"
	{
		{ [ -z "$kw_owner" ] || chown -- "$kw_owner" "$1"; } &&
			{ [ -z "$kw_group" ] || chgrp -- "$kw_group" "$1"; } &&
			chmod "$(printf '%04o' "$kw_want")" "$1" && { sync "$1" 2>/dev/null || sync; } && kw_backup_of "$2" && kw_rename "$1" "$2"
	} || {
		kw_rc=$?
		rm -f -- "$1"
		exit "$kw_rc"
	}
}

# A file that is a mount point (a container's /etc/hosts) cannot be replaced, only written.
kw_rename() {
	kw_err=$(mv -f -- "$1" "$2" 2>&1) && return 0
	case $kw_err in
	*busy*) cat "$1" >"$2" && rm -f -- "$1" ;;
	*)
		printf '%s\n' "$kw_err" >&2
		return 1
		;;
	esac
}

# Text on stdin → $1, by a temporary file. Used with kw_owner= kw_group= kw_mexpr= for files of our own.
kw_write() {
	kw_tmp_beside "$1"
	cat >"$kw_tmp" || {
		rm -f -- "$kw_tmp"
		exit 1
	}
	kw_place "$kw_tmp" "$1"
}
kw_plain_file() { kw_owner='' kw_group='' kw_mexpr=${1:-} kw_validate='' kw_backup=''; }

# kw_xs: the SHA-256 of a file.
kw_sum() {
	kw_xs=$(sha256sum <"$1")
	kw_xs=${kw_xs%% *}
}

# URL $1 → file $2. $3: a file of curl options (headers, user), or nothing. Whatever the host has is used.
kw_download() {
	if kw_has curl; then
		curl -fsSL --retry 3 --connect-timeout 15 --max-time "${kw_timeout:-300}" ${kw_insecure:+-k} ${3:+-K} ${3:+"$3"} -o "$2" -- "$1"
	elif [ -n "${3:-}" ]; then
		kw_fail "curl is not installed on this host: needed for headers and passwords"
	elif kw_has wget; then
		wget -q -T "${kw_timeout:-300}" ${kw_insecure:+--no-check-certificate} -O "$2" -- "$1"
	elif [ -x /usr/lib/apt/apt-helper ]; then
		/usr/lib/apt/apt-helper download-file "$1" "$2" >/dev/null
	else
		kw_fail "neither curl nor wget is installed on this host: cannot download $1"
	fi
}
