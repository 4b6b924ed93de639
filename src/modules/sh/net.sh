# get_url, uri, wait_for, git.

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
	kw_differs='' kw_fetch='' kw_since=''
	if [ "${kw_dest%/}" != "$kw_dest" ] || [ -d "$kw_dest" ]; then kw_dest=${kw_dest%/}/$kw_base && kw_out out_dest "$kw_dest"; fi
	[ -z "$kw_checksum" ] || kw_wanted_sum
	if [ -f "$kw_dest" ]; then
		if [ -z "$kw_checksum" ]; then
			# As Ansible: asked for again, with the date of what is here, and compared.
			kw_fetch=1
			[ -n "$kw_force" ] || kw_since=$kw_dest
		elif ! kw_has_sum "$kw_dest"; then
			kw_fetch=1
		fi
	else
		kw_fetch=1
	fi
	kw_report "$kw_dest"
	[ ! -f "$kw_dest" ] || kw_attributes "$kw_dest"
	if [ -n "$kw_looks" ] && [ -n "$kw_fetch" ] && kw_has curl; then
		# A check asks for the headers only.
		kw_rc=0
		kw_code=$(kw_curl -I -o /dev/null) || kw_rc=$?
		kw_get_url_judge
		[ "$kw_code" != 304 ] || kw_fetch=''
	fi
	[ -z "$kw_fetch$kw_differs" ] || return 10
}

# curl for kw_url with the date of kw_since; prints the status.
kw_curl() {
	kw_date=''
	[ -z "$kw_since" ] || kw_date="If-Modified-Since: $(date -u -r "$kw_since" '+%a, %d %b %Y %H:%M:%S GMT')"
	curl -sSL --retry 3 --connect-timeout 15 --max-time "$kw_timeout" ${kw_insecure:+-k} ${kw_curl:+-K} ${kw_curl:+"$KW_BLOBS/$kw_curl"} ${kw_date:+-H} ${kw_date:+"$kw_date"} -w '%{http_code}' "$@" -- "$kw_url"
}

# Fails unless kw_rc and kw_code say that the server gave something.
kw_get_url_judge() {
	case $kw_rc:$kw_code in
	0:2?? | 0:304 | 0:000) ;;
	0:*) kw_fail "Request failed: $kw_url: HTTP status $kw_code" ;;
	*) kw_fail "Request failed: $kw_url: exit code $kw_rc" ;;
	esac
}

kw_get_url_apply() {
	if [ -z "$kw_fetch" ]; then
		kw_set_attributes "$kw_dest"
		kw_report "$kw_dest"
		return 0
	fi
	if [ -n "$kw_full" ] && [ -f "$kw_dest" ]; then
		kw_xs=$(sha1sum <"$kw_dest")
		kw_out sha1_before "${kw_xs%% *}"
	fi
	kw_tmp_beside "$kw_dest"
	kw_rc=0 kw_code=200
	if kw_has curl; then
		kw_code=$(kw_curl -o "$kw_tmp") || kw_rc=$?
	else
		kw_download "$kw_url" "$kw_tmp" ${kw_curl:+"$KW_BLOBS/$kw_curl"} || kw_rc=$?
	fi
	[ "$kw_rc" != 0 ] || kw_out code "$kw_code"
	case $kw_rc:$kw_code in
	0:2?? | 0:304 | 0:000) ;;
	*) rm -f -- "$kw_tmp" ;;
	esac
	kw_get_url_judge
	if [ "$kw_code" = 304 ]; then
		rm -f -- "$kw_tmp"
		kw_out same 1
		kw_get_url_attributes
		return 0
	fi
	if [ -n "$kw_checksum" ] && ! kw_has_sum "$kw_tmp"; then
		rm -f -- "$kw_tmp"
		kw_fail "the checksum of $kw_url is ${kw_s%% *}, not $kw_hex"
	fi
	if [ -n "$kw_full" ]; then
		kw_xs=$(sha1sum <"$kw_tmp")
		kw_out sha1 "${kw_xs%% *}"
		kw_xs=$(md5sum <"$kw_tmp")
		kw_out md5 "${kw_xs%% *}"
	fi
	kw_out bytes "$(wc -c <"$kw_tmp")"
	if [ -f "$kw_dest" ] && cmp -s "$kw_tmp" "$kw_dest"; then
		rm -f -- "$kw_tmp"
		kw_out same 1
		kw_get_url_attributes
		return 0
	fi
	kw_place "$kw_tmp" "$kw_dest"
	kw_report "$kw_dest"
}

kw_get_url_attributes() {
	if [ -n "$kw_differs" ]; then
		kw_set_attributes "$kw_dest"
		kw_out attributes 1
	fi
	kw_report "$kw_dest"
}

# The answer as it is: headers and body, then its status. Options (headers, body's file) come from a blob of curl options.
# With kw_dest the body goes there.
kw_uri_run() {
	kw_has curl || kw_fail "curl is not installed on this host: uri needs it"
	kw_rc=0 kw_inc=-i
	if [ -n "$kw_dest" ]; then
		kw_inc=''
		if [ -d "$kw_dest" ]; then kw_dest=${kw_dest%/}/$kw_base; fi
		kw_tmp_beside "$kw_dest"
	fi
	printf '\036answer\037'
	curl -sS ${kw_dest:+-D} ${kw_dest:+-} ${kw_dest:+-o} ${kw_dest:+"$kw_tmp"} $kw_inc -K "$KW_BLOBS/$kw_curl" ${kw_body:+--data-binary "@$KW_BLOBS/$kw_body"} ${kw_send:+--data-binary "@$kw_send"} -w "$(printf '\036status\037%%{http_code}\036\036url\037%%{url_effective}')" || kw_rc=$?
	printf '\036'
	kw_out curl "$kw_rc"
	[ -n "$kw_dest" ] || return 0
	if [ "$kw_rc" = 0 ]; then
		kw_differs=''
		[ ! -f "$kw_dest" ] || kw_attributes "$kw_dest"
		if [ -n "$kw_differs" ] || ! cmp -s "$kw_tmp" "$kw_dest"; then
			kw_out written 1
			kw_place "$kw_tmp" "$kw_dest"
		fi
		kw_out out_path "$kw_dest"
		kw_report "$kw_dest"
	fi
	rm -f -- "$kw_tmp"
}

kw_uri_check() {
	if [ -n "$kw_creates" ] && kw_any "$kw_creates"; then
		kw_out skipped "skipped, since '$kw_creates' exists"
		return 0
	fi
	if [ -n "$kw_removes" ] && ! kw_any "$kw_removes"; then
		kw_out skipped "skipped, since '$kw_removes' does not exist"
		return 0
	fi
	return 10
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

# What the other side says first must match.
kw_port_says() {
	if kw_has bash; then
		# shellcheck disable=SC2016
		kw_hit=$(timeout "$kw_connect" bash -c 'exec 3<>"/dev/tcp/$0/$1" || exit 1
			while IFS= read -r l <&3; do if printf "%s\n" "$l" | grep -qE -- "$2"; then printf "%s\n" "$l"; exit 0; fi; done
			exit 1' "$kw_host" "$kw_port" "$kw_regex" 2>/dev/null)
	else
		kw_hit=$(timeout "$kw_connect" nc "$kw_host" "$kw_port" </dev/null 2>/dev/null | grep -m 1 -aE -- "$kw_regex")
	fi
}

kw_wait_now() {
	if [ -n "$kw_port" ]; then
		case $kw_state in
		started | present) if [ -n "$kw_regex" ]; then kw_port_says; else kw_port_open "$kw_host" "$kw_port"; fi ;;
		drained) ! kw_connections ;;
		*) ! kw_port_open "$kw_host" "$kw_port" ;;
		esac
	elif [ -n "$kw_path" ]; then
		case $kw_state in
		absent | stopped) [ ! -e "$kw_path" ] ;;
		*) [ -e "$kw_path" ] && { [ -z "$kw_regex" ] || kw_hit=$(grep -m 1 -E -- "$kw_regex" "$kw_path"); } ;;
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
			if [ -z "$kw_port$kw_path" ]; then
				kw_out elapsed "$kw_spent"
				return 0
			fi
			kw_fail "${kw_msg:-Timeout when waiting for ${kw_path:-$kw_host:$kw_port} ($kw_state, $kw_timeout s)}"
		fi
		sleep "$kw_sleep"
	done
	kw_out elapsed "$(($(date +%s) - kw_begun))"
	[ -z "$kw_regex" ] || kw_out found "${kw_hit:-}"
	[ -z "$kw_path" ] || kw_report "$kw_path"
}

kw_git() { GIT_TERMINAL_PROMPT=0 GIT_SSH_COMMAND="${kw_ssh:-ssh}" git "$@"; }

kw_git_check() {
	kw_has git || kw_fail "git is not installed on this host"
	kw_before='' kw_dirty=''
	[ ! -d "$kw_dest/.git" ] || kw_before=$(git -C "$kw_dest" rev-parse HEAD 2>/dev/null) || :
	kw_out before_commit "$kw_before"
	if [ -n "$kw_before" ]; then
		if [ -z "$kw_update" ]; then
			kw_out out_after "$kw_before"
			return 0
		fi
		if [ -z "$kw_force" ] && [ -n "$(git -C "$kw_dest" status --porcelain --untracked-files=no)" ]; then kw_fail "local modifications exist in $kw_dest (force: true discards them)"; fi
		if [ -n "$kw_force" ] && [ -n "$(git -C "$kw_dest" status --porcelain --untracked-files=no)" ]; then
			kw_out msg "Local modifications exist in the destination: $kw_dest"
			kw_dirty=1
		fi
		kw_url_now=$(git -C "$kw_dest" remote get-url "$kw_remote" 2>/dev/null) || kw_url_now=''
		if [ "$kw_url_now" = "$kw_repo" ] || [ "$kw_url_now" = "file://$kw_repo" ]; then kw_out url_same 1; else kw_out url_other 1; fi
		case $kw_version in
		"$kw_before") kw_after=$kw_before ;;
		*)
			kw_list=$(kw_git ls-remote "$kw_repo") || kw_fail "cannot read $kw_repo"
			kw_after=$(printf '%s\n' "$kw_list" | awk -v "v=$kw_version" '$2 == v || $2 == "refs/heads/" v {print $1; exit} $2 == "refs/tags/" v "^{}" {t = $1} $2 == "refs/tags/" v && !t {t = $1} END {if (t) print t}' | head -n 1)
			[ -n "$kw_after" ] || kw_after=$kw_version
			;;
		esac
		if [ "$kw_after" = "$kw_before" ] && [ -z "$kw_dirty" ]; then
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
