# get_url, uri, wait_for, unarchive, archive, git.

# A checksum `algorithm:hex`; the hex may be a URL of a list in sha256sum's format.
kw_wanted_sum() {
	kw_algorithm=${kw_checksum%%:*}
	kw_hex=${kw_checksum#*:}
	case $kw_hex in
	*://*)
		kw_list=$(kw_download "$kw_hex" /dev/stdout) || kw_fail "cannot download the checksums from $kw_hex"
		kw_hex=$(printf '%s\n' "$kw_list" | awk -v "n=$kw_base" 'NF == 1 {print $1; exit} {f = $2; sub(/^[*]/, "", f); sub(/^.*\//, "", f)} f == n {print $1; exit}')
		[ -n "$kw_hex" ] || kw_fail "there is no checksum of $kw_base in ${kw_checksum#*:}"
		;;
	esac
	case $kw_algorithm in
	md5 | sha1 | sha224 | sha256 | sha384 | sha512) ;;
	*) kw_fail "unknown checksum algorithm $kw_algorithm" ;;
	esac
}

# Whether file $1 has it.
kw_has_sum() {
	kw_s=$("${kw_algorithm}sum" <"$1")
	[ "${kw_s%% *}" = "$kw_hex" ]
}

kw_get_url_check() {
	kw_differs='' kw_content=''
	if [ "${kw_dest%/}" != "$kw_dest" ] || [ -d "$kw_dest" ]; then kw_dest=${kw_dest%/}/$kw_base && kw_out out_dest "$kw_dest"; fi
	[ -z "$kw_checksum" ] || kw_wanted_sum
	if [ ! -f "$kw_dest" ]; then
		kw_content=1
	elif [ -n "$kw_checksum" ]; then
		kw_has_sum "$kw_dest" || kw_content=1
	elif [ -n "$kw_force" ]; then
		kw_content=1
	fi
	[ -n "$kw_content" ] || kw_attributes "$kw_dest"
	[ -z "$kw_content$kw_differs" ] || return 10
}

kw_get_url_apply() {
	if [ -z "$kw_content" ]; then
		kw_set_attributes "$kw_dest"
		return 0
	fi
	kw_tmp_beside "$kw_dest"
	kw_download "$kw_url" "$kw_tmp" ${kw_curl:+"$KW_BLOBS/$kw_curl"} || {
		kw_rc=$?
		rm -f -- "$kw_tmp"
		kw_fail "download of $kw_url failed (exit code $kw_rc)"
	}
	if [ -n "$kw_checksum" ] && ! kw_has_sum "$kw_tmp"; then
		rm -f -- "$kw_tmp"
		kw_fail "the checksum of $kw_url is ${kw_s%% *}, not $kw_hex"
	fi
	kw_same=''
	if [ -f "$kw_dest" ] && cmp -s "$kw_tmp" "$kw_dest"; then kw_same=1; fi
	kw_place "$kw_tmp" "$kw_dest"
	[ -z "$kw_same" ] || kw_out same 1
}

# The answer as it is: headers and body, then its status. Options (headers, body's file) come from a blob of curl options.
kw_uri_run() {
	kw_has curl || kw_fail "curl is not installed on this host: uri needs it"
	printf '\036answer\037'
	kw_rc=0
	curl -sS -i -K "$KW_BLOBS/$kw_curl" ${kw_body:+--data-binary "@$KW_BLOBS/$kw_body"} -w '\036status\037%{http_code}\036url\037%{url_effective}' || kw_rc=$?
	printf '\036'
	kw_out curl "$kw_rc"
}

kw_uri_check() {
	if [ -n "$kw_creates" ] && kw_any "$kw_creates"; then
		kw_out skipped "skipped, since $kw_creates exists"
		return 0
	fi
	if [ -n "$kw_removes" ] && ! kw_any "$kw_removes"; then
		kw_out skipped "skipped, since $kw_removes does not exist"
		return 0
	fi
	[ -n "$kw_reads" ] || return 10
	kw_uri_run
}

# Whether something accepts connections at host $1, port $2.
kw_port_open() {
	if kw_has bash; then
		timeout "$kw_connect" bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$1" "$2" 2>/dev/null
	elif kw_has nc; then
		timeout "$kw_connect" nc -z "$1" "$2" >/dev/null 2>&1
	else
		kw_fail "neither bash nor nc is installed on this host: cannot try port $2"
	fi
}

kw_wait_now() {
	if [ -n "$kw_port" ]; then
		case $kw_state in
		started | present) kw_port_open "$kw_host" "$kw_port" ;;
		drained) ! kw_connections ;;
		*) ! kw_port_open "$kw_host" "$kw_port" ;;
		esac
	elif [ -n "$kw_path" ]; then
		case $kw_state in
		absent | stopped) [ ! -e "$kw_path" ] ;;
		*) [ -e "$kw_path" ] && { [ -z "$kw_regex" ] || grep -qE -- "$kw_regex" "$kw_path"; } ;;
		esac
	else
		return 1
	fi
}

# Established connections to the local port (hex in /proc/net/tcp; state 01).
kw_connections() {
	kw_hexport=$(printf ':%04X' "$kw_port")
	cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v "p=$kw_hexport" '$4 == "01" && substr($2, length($2) - 4) == p {found = 1} END {exit !found}'
}

kw_wait_apply() {
	[ "$kw_delay" = 0 ] || sleep "$kw_delay"
	kw_begun=$(date +%s)
	while ! kw_wait_now; do
		kw_spent=$(($(date +%s) - kw_begun))
		if [ "$kw_spent" -ge "$kw_timeout" ]; then
			[ -n "$kw_port$kw_path" ] || return 0
			kw_fail "${kw_msg:-Timeout when waiting for ${kw_path:-$kw_host:$kw_port} ($kw_state, $kw_timeout s)}"
		fi
		sleep "$kw_sleep"
	done
	kw_out elapsed "$(($(date +%s) - kw_begun))"
}

# unarchive: the archive's list says whether everything is there; sizes are compared where the list has them.
kw_unarchive_check() {
	if [ -n "$kw_creates" ] && kw_any "$kw_creates"; then return 0; fi
	[ -d "$kw_dest" ] || kw_fail "dest $kw_dest must be an existing directory"
	case $kw_src in
	*://*) return 10 ;;
	esac
	if [ -n "$kw_blob" ]; then return 10; fi
	[ -f "$kw_src" ] || kw_fail "source $kw_src does not exist"
	case $kw_src in
	*.zip)
		kw_has unzip || return 10
		kw_list=$(unzip -Z1 "$kw_src")
		while read -r kw_xf; do
			[ -e "$kw_dest/$kw_xf" ] || return 10
		done <<-EOT
			$kw_list
		EOT
		;;
	*)
		# tar compares content, and owners too: only what differs in content counts.
		kw_list=$(tar -df "$kw_src" -C "$kw_dest" $kw_opts 2>&1) || :
		case $kw_list in
		*'nvalid option'* | *'nrecognized option'*)
			# busybox cannot compare: names must do.
			kw_tar_kind "$kw_src"
			kw_list=$(tar -t${kw_kind}f "$kw_src")
			while read -r kw_xf; do
				[ -e "$kw_dest/$kw_xf" ] || return 10
			done <<-EOT
				$kw_list
			EOT
			;;
		*'No such file'* | *'Contents differ'* | *'Size differs'* | *'not found'* | *'Cannot stat'* | *'File type differs'*) return 10 ;;
		esac
		;;
	esac
}

# kw_kind: tar's letter for the compression; GNU's tar would find out itself, busybox's does not.
kw_tar_kind() {
	case $1 in
	*.gz | *.tgz) kw_kind=z ;;
	*.bz2 | *.tbz | *.tbz2) kw_kind=j ;;
	*.xz | *.txz) kw_kind=J ;;
	*) kw_kind='' ;;
	esac
}

kw_unarchive_apply() {
	kw_file=$kw_src kw_made=''
	if [ -n "$kw_blob" ]; then
		kw_file=$KW_BLOBS/$kw_blob
	else
		case $kw_src in
		*://*)
			kw_made=$(mktemp)
			kw_file=$kw_made
			kw_download "$kw_src" "$kw_file" || {
				rm -f -- "$kw_made"
				kw_fail "download of $kw_src failed"
			}
			;;
		esac
	fi
	kw_rc=0
	case $kw_src in
	*.zip) unzip -q -o "$kw_file" -d "$kw_dest" $kw_opts >&2 || kw_rc=$? ;;
	*)
		kw_tar_kind "$kw_src"
		tar -x${kw_kind}f "$kw_file" -C "$kw_dest" $kw_opts >&2 || kw_rc=$?
		;;
	esac
	[ -z "$kw_made" ] || rm -f -- "$kw_made"
	[ "$kw_rc" = 0 ] || kw_fail "cannot unpack $kw_src into $kw_dest (exit code $kw_rc)"
	[ -z "$kw_owner" ] || chown -R -- "$kw_owner" "$kw_dest"
	[ -z "$kw_group" ] || chgrp -R -- "$kw_group" "$kw_dest"
	[ -z "$kw_mode" ] || chmod -R -- "$kw_mode" "$kw_dest"
}

kw_archive_check() {
	[ ! -f "$kw_dest" ] || [ -n "$kw_force" ] || {
		for kw_p; do
			for kw_xf in $kw_p; do
				[ -e "$kw_xf" ] || continue
				[ -z "$(find "$kw_xf" -newer "$kw_dest" | head -n 1)" ] || return 10
			done
		done
		return 0
	}
	return 10
}
kw_archive_apply() {
	kw_tmp_beside "$kw_dest"
	kw_rc=0
	kw_top=/
	set -- $(for kw_p; do for kw_xf in $kw_p; do
		[ ! -e "$kw_xf" ] || printf '%s ' "$kw_xf"
	done; done)
	[ $# -gt 0 ] || kw_fail "nothing to archive: no path exists"
	if [ $# = 1 ]; then
		kw_dir_of "$1"
		kw_top=$kw_dir
		set -- "${1##*/}"
	fi
	case $kw_format in
	zip) (cd "$kw_top" && rm -f "$kw_tmp" && zip -q -r "$kw_tmp.zip" "$@" && mv "$kw_tmp.zip" "$kw_tmp") >&2 || kw_rc=$? ;;
	tar) tar -cf "$kw_tmp" -C "$kw_top" -- "$@" >&2 || kw_rc=$? ;;
	gz) tar -czf "$kw_tmp" -C "$kw_top" -- "$@" >&2 || kw_rc=$? ;;
	bz2) tar -cjf "$kw_tmp" -C "$kw_top" -- "$@" >&2 || kw_rc=$? ;;
	xz) tar -cJf "$kw_tmp" -C "$kw_top" -- "$@" >&2 || kw_rc=$? ;;
	esac
	[ "$kw_rc" = 0 ] || {
		rm -f -- "$kw_tmp"
		kw_fail "cannot make $kw_dest (exit code $kw_rc)"
	}
	kw_place "$kw_tmp" "$kw_dest"
	if [ -n "$kw_remove" ]; then (cd "$kw_top" && rm -rf -- "$@"); fi
}

kw_git() { GIT_TERMINAL_PROMPT=0 GIT_SSH_COMMAND="${kw_ssh:-ssh}" git "$@"; }

kw_git_check() {
	kw_has git || kw_fail "git is not installed on this host"
	kw_before=''
	[ ! -d "$kw_dest/.git" ] || kw_before=$(git -C "$kw_dest" rev-parse HEAD 2>/dev/null) || :
	kw_out out_before "$kw_before"
	if [ -n "$kw_before" ]; then
		if [ -z "$kw_update" ]; then
			kw_out out_after "$kw_before"
			return 0
		fi
		if [ -z "$kw_force" ] && [ -n "$(git -C "$kw_dest" status --porcelain --untracked-files=no)" ]; then kw_fail "local modifications exist in $kw_dest (force: true discards them)"; fi
		case $kw_version in
		"$kw_before") kw_after=$kw_before ;;
		*)
			kw_list=$(kw_git ls-remote "$kw_repo") || kw_fail "cannot read $kw_repo"
			kw_after=$(printf '%s\n' "$kw_list" | awk -v "v=$kw_version" '$2 == v || $2 == "refs/heads/" v {print $1; exit} $2 == "refs/tags/" v "^{}" {t = $1} $2 == "refs/tags/" v && !t {t = $1} END {if (t) print t}' | head -n 1)
			[ -n "$kw_after" ] || kw_after=$kw_version
			;;
		esac
		if [ "$kw_after" = "$kw_before" ]; then
			kw_out out_after "$kw_before"
			return 0
		fi
	elif [ -z "$kw_clone" ]; then
		return 0
	fi
	return 10
}

kw_git_apply() {
	if [ -z "$kw_before" ]; then
		kw_dir_of "$kw_dest"
		mkdir -p -- "$kw_dir"
		kw_git clone -q ${kw_bare:+--bare} ${kw_depth:+--depth "$kw_depth"} -- "$kw_repo" "$kw_dest" >&2
	else
		git -C "$kw_dest" remote set-url "$kw_remote" "$kw_repo"
	fi
	if [ -z "$kw_bare" ]; then
		if [ "$kw_version" = HEAD ]; then
			[ -z "$kw_before" ] || kw_git -C "$kw_dest" fetch -q ${kw_depth:+--depth "$kw_depth"} "$kw_remote" HEAD >&2
			[ -z "$kw_before" ] || git -C "$kw_dest" reset -q --hard FETCH_HEAD
		else
			kw_git -C "$kw_dest" fetch -q --tags ${kw_depth:+--depth "$kw_depth"} "$kw_remote" "$kw_version" >&2 || kw_git -C "$kw_dest" fetch -q --tags "$kw_remote" >&2
			if git -C "$kw_dest" show-ref -q --verify "refs/remotes/$kw_remote/$kw_version"; then
				git -C "$kw_dest" checkout -q ${kw_force:+-f} -B "$kw_version" "$kw_remote/$kw_version" >&2
			elif git -C "$kw_dest" rev-parse -q --verify "$kw_version^{commit}" >/dev/null; then
				git -C "$kw_dest" checkout -q ${kw_force:+-f} "$kw_version" >&2
			else
				git -C "$kw_dest" checkout -q ${kw_force:+-f} FETCH_HEAD >&2
			fi
		fi
		if [ -n "$kw_recursive" ] && [ -f "$kw_dest/.gitmodules" ]; then kw_git -C "$kw_dest" submodule update -q --init --recursive >&2; fi
	fi
	kw_out out_after "$(git -C "$kw_dest" rev-parse HEAD)"
}
