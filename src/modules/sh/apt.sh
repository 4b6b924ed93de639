# apt, dpkg_selections and the repositories. KW_ROOT is empty outside of tests.

# Runs a program of apt or dpkg; waits for whoever holds a lock until kw_lock seconds are over, and says who. Its end is in kw_rc,
# its errors in kw_err, its text goes to the step's output.
kw_unlocked() {
	kw_left=$kw_lock
	while :; do
		kw_rc=0
		kw_err=$(DEBIAN_FRONTEND=noninteractive APT_LISTCHANGES_FRONTEND=none NEEDRESTART_MODE=l UCF_FORCE_CONFFOLD=1 "$@" 2>&1 >&3) || kw_rc=$?
		[ "$kw_rc" != 0 ] || return 0
		case $kw_err in
		*'Could not get lock'* | *'is another process using it'* | *'was locked by another process'*) ;;
		*) return 0 ;;
		esac
		[ "$kw_left" -gt 0 ] || kw_fail "apt's lock was not free within $kw_lock s: $(printf '%s\n' "$kw_err" | grep -m1 'lock')"
		kw_left=$((kw_left - 1))
		sleep 1
	done
} 3>&1

# Runs apt-get. dpkg's own lock is waited for by apt too (DPkg::Lock::Timeout), the list's lock only by us.
kw_apt() {
	while :; do
		kw_unlocked apt-get -q -y -o "DPkg::Lock::Timeout=$kw_lock" "$@"
		[ "$kw_rc" != 0 ] || return 0
		case ${kw_repaired-}$kw_err in
		repaired*) break ;;
		*'dpkg was interrupted'*)
			kw_repaired=repaired
			kw_configure
			;;
		*) break ;;
		esac
	done
	kw_broken "apt-get $kw_verb"
}

# Finishes what an interrupted dpkg left behind. That it left something may also mean that it is still at work.
kw_configure() {
	kw_unlocked dpkg --configure -a --force-confdef --force-confold
	[ "$kw_rc" = 0 ] || kw_broken 'dpkg --configure -a'
}

# What did not end well, and its own first words of why.
kw_broken() {
	printf '%s\n' "$kw_err" >&2
	kw_why=$(printf '%s\n' "$kw_err" | grep -E '^(E:|W: GPG error|dpkg: error)' | head -n 5) || :
	printf 'cause: %s\n' "$1 failed: ${kw_why:-exit code $kw_rc}" >&2
	exit "$kw_rc"
}

# Package lists: old (older than kw_valid seconds), older than a source that was added since, or of an update that never ended?
kw_lists_stale() {
	[ ! -e "$kw_updating" ] || return 0
	kw_stamp=${KW_ROOT-}/var/lib/apt/periodic/update-success-stamp
	[ -e "$kw_stamp" ] || kw_stamp=${KW_ROOT-}/var/lib/apt/lists
	[ -e "${KW_ROOT-}/var/lib/apt/lists/lock" ] || return 0
	# Since apt writes into it, the directory's own time is the newest.
	[ ! "${KW_ROOT-}/var/lib/apt/lists" -nt "$kw_stamp" ] || kw_stamp=${KW_ROOT-}/var/lib/apt/lists
	for kw_xf in "${KW_ROOT-}"/etc/apt/sources.list "${KW_ROOT-}"/etc/apt/sources.list.d "${KW_ROOT-}"/etc/apt/sources.list.d/* "${KW_ROOT-}"/etc/apt/keyrings/*; do
		[ ! "$kw_xf" -nt "$kw_stamp" ] || return 0
	done
	[ "$kw_valid" != 0 ] || return 0
	[ "$(($(date +%s) - $(stat -c %Y "$kw_stamp")))" -ge "$kw_valid" ]
}

# Stands while an update is under way: after a kill at any moment the lists look new, but not all of them are there.
kw_updating=${KW_ROOT-}/var/lib/apt/kubewright-update.started

kw_update() {
	kw_verb=update
	: >"$KW_BLOBS/kw-before"
	: >"$kw_updating"
	kw_apt update
	[ ! "${KW_ROOT-}/var/lib/apt/lists" -nt "$KW_BLOBS/kw-before" ] || kw_out lists_changed 1
	touch "${KW_ROOT-}/var/lib/apt/lists"
	rm -f -- "$kw_updating"
	kw_out cache_updated 1
}

# Positional parameters: names, `name=version`, both may be globs. One fork for all of them.
kw_apt_check() {
	kw_missing=''
	if [ $# -gt 0 ]; then
		# dpkg-query understands the globs; names are told apart again below.
		kw_have=$(kw_query) || :
		for kw_xp; do
			kw_version=''
			case $kw_xp in
			*=*)
				kw_version=${kw_xp#*=}
				kw_xp=${kw_xp%%=*}
				;;
			esac
			kw_one_package || kw_missing=1
		done
		case $kw_state in
		latest) [ -n "$kw_missing" ] || kw_newer "$@" || kw_missing=1 ;;
		build-dep) kw_missing=1 ;;
		esac
		[ -z "$kw_missing" ] || return 10
	elif [ -n "$kw_update" ] && kw_lists_stale; then
		return 10
	fi
	if [ -n "$kw_upgrade" ]; then
		kw_sim=$(apt-get -q -s "$kw_upgrade" 2>/dev/null) || return 10
		case $kw_sim in
		*'0 upgraded, 0 newly installed, 0 to remove'*) ;;
		*) return 10 ;;
		esac
	fi
	if [ -n "$kw_autoremove" ]; then
		case $(apt-get -q -s autoremove 2>/dev/null) in
		*'0 to remove'*) ;;
		*) return 10 ;;
		esac
	fi
	[ -z "$kw_clean" ] || return 10
	[ "$kw_state" != fixed ] || return 10
	if [ -n "$kw_deb" ]; then
		case $kw_deb in
		*://*) return 10 ;;
		esac
		kw_xp=$(dpkg-deb -f "$kw_deb" Package)
		kw_version=$(dpkg-deb -f "$kw_deb" Version)
		kw_names=$kw_xp
		kw_have=$(kw_query) || :
		kw_one_package || return 10
	fi
}

# Asks for all of kw_names; the shell must not expand the globs.
kw_query() (
	set -f
	dpkg-query -W -f='${Package} ${Version} ${db:Status-Status}\n' -- $kw_names 2>/dev/null
)

# Whether package kw_xp (a glob or a name) is as wanted in kw_have.
kw_one_package() {
	kw_bare=${kw_xp%%:*}
	kw_seen=''
	while read -r kw_xn kw_xv kw_st; do
		case $kw_xn in
		'') continue ;;
		$kw_bare) ;;
		*) continue ;;
		esac
		case $kw_state:$kw_st in
		absent:installed | absent:half-* | absent:unpacked | absent:triggers-*) return 1 ;;
		absent:config-files) [ -z "$kw_purge" ] || return 1 ;;
		absent:*) ;;
		*:installed)
			[ -n "$kw_version" ] || kw_seen=1
			case $kw_xv in
			$kw_version) kw_seen=1 ;;
			esac
			;;
		esac
	done <<-EOT
		$kw_have
	EOT
	[ "$kw_state" = absent ] || [ -n "$kw_seen" ]
}

# state latest: nothing stale, and the candidate is what is installed.
kw_newer() {
	if [ -n "$kw_update" ] && kw_lists_stale; then return 1; fi
	kw_list=$(apt-cache policy -- "$@")
	kw_inst=''
	while read -r kw_xk kw_xv; do
		case $kw_xk in
		Installed:) kw_inst=$kw_xv ;;
		Candidate:) [ "$kw_inst" = "$kw_xv" ] || return 1 ;;
		esac
	done <<-EOT
		$kw_list
	EOT
}

kw_apt_apply() {
	if [ -n "$kw_policy" ]; then
		kw_policy_on
		kw_rc=0
		(kw_apt_work "$@") || kw_rc=$?
		kw_policy_off
		return "$kw_rc"
	fi
	kw_apt_work "$@"
}

kw_apt_work() {
	case $(echo "${KW_ROOT-}"/var/lib/dpkg/updates/*) in
	*/updates/[0-9]*) kw_configure ;;
	esac
	if [ "$kw_state" != absent ] && { [ -n "$kw_update" ] || [ $# -gt 0 ]; }; then
		# Without update_cache only sources that are newer than the lists make an update needed.
		[ -n "$kw_update" ] || kw_valid=999999999
		if kw_lists_stale; then kw_update; fi
	fi
	set -f
	kw_options="$kw_options ${kw_purge:+--purge}"
	if [ $# -gt 0 ]; then
		kw_verb=install
		case $kw_state in
		absent) kw_verb=remove ;;
		build-dep) kw_verb=build-dep ;;
		esac
		kw_apt $kw_options $kw_dpkg $kw_only "$kw_verb" -- "$@"
	fi
	if [ "$kw_state" = fixed ]; then
		kw_verb='install -f'
		kw_apt $kw_options $kw_dpkg -f install
	fi
	if [ -n "$kw_deb" ]; then
		kw_verb="install $kw_deb"
		kw_file=$kw_deb
		case $kw_deb in
		*://*)
			kw_file=$(mktemp -d)/package.deb
			kw_download "$kw_deb" "$kw_file"
			;;
		esac
		kw_apt $kw_options $kw_dpkg install -- "$kw_file"
		[ "$kw_file" = "$kw_deb" ] || rm -rf -- "${kw_file%/*}"
	fi
	if [ -n "$kw_upgrade" ]; then
		kw_verb=$kw_upgrade
		kw_apt $kw_options $kw_dpkg "$kw_upgrade"
	fi
	if [ -n "$kw_autoremove" ]; then
		kw_verb=autoremove
		kw_apt $kw_options autoremove
	fi
	for kw_verb in $kw_clean; do kw_apt "$kw_verb"; done
	case $kw_clean in *autoclean*) kw_out cleaned 1 ;; esac
	set +f
}

# policy-rc.d: what package scripts may do with services meanwhile.
kw_policy_on() {
	kw_rcd=${KW_ROOT-}/usr/sbin/policy-rc.d
	if [ -e "$kw_rcd" ] && [ ! -e "$kw_rcd.kubewright" ]; then mv -- "$kw_rcd" "$kw_rcd.kubewright"; fi
	printf '#!/bin/sh\nexit %s\n' "$kw_policy" >"$kw_rcd"
	chmod 755 "$kw_rcd"
}
kw_policy_off() {
	if [ -e "$kw_rcd.kubewright" ]; then mv -f -- "$kw_rcd.kubewright" "$kw_rcd"; else rm -f -- "$kw_rcd"; fi
}

kw_selection_check() {
	kw_now=$(dpkg-query -W -f='${db:Status-Want}' -- "$kw_name" 2>/dev/null) || kw_now=unknown
	kw_out selected "$kw_now"
	case $kw_selection:$kw_now in
	"$kw_now:$kw_now" | install:unknown | deinstall:unknown | purge:unknown) ;;
	*)
		kw_out subject "$kw_name"
		kw_out before "$kw_now
"
		kw_out after "$kw_selection
"
		return 10
		;;
	esac
}
kw_selection_apply() { printf '%s %s\n' "$kw_name" "$kw_selection" | dpkg --set-selections; }

# A key, armoured or not, on stdin → binary on stdout. No gpg needed: armour is base64 between an empty line and "=CRC".
kw_dearmor() {
	awk '/^-----BEGIN PGP/ {a=1; b=0; next} /^-----END PGP/ {a=0; next} a && !b && /^[ \t\r]*$/ {b=1; next} a && b && !/^=/ {sub(/\r$/, ""); print}' | base64 -d
}

# The key at kw_key_url (or blob kw_key_sha) → file $1, binary. Kept when it is there already: the name depends on the URL.
kw_keyring() {
	mkdir -p -- "${1%/*}"
	kw_tmp_beside "$1"
	if [ -n "$kw_key_url" ]; then
		kw_download "$kw_key_url" "$kw_tmp" || {
			rm -f -- "$kw_tmp"
			kw_fail "cannot download the repository's key from $kw_key_url"
		}
	else
		cat "$KW_BLOBS/$kw_key_sha" >"$kw_tmp"
	fi
	if grep -q 'BEGIN PGP' "$kw_tmp" 2>/dev/null; then
		kw_dearmor <"$kw_tmp" >"$kw_tmp.bin" && mv -f -- "$kw_tmp.bin" "$kw_tmp"
	fi
	[ -s "$kw_tmp" ] || {
		rm -f -- "$kw_tmp"
		kw_fail "there is no key at ${kw_key_url:-signed_by}"
	}
	kw_plain_file 0644
	kw_place "$kw_tmp" "$1"
}

kw_deb822_check() {
	kw_dest=${KW_ROOT-}$kw_dest
	kw_keyfile=${kw_keyfile:+${KW_ROOT-}$kw_keyfile}
	kw_differs='' kw_content='' kw_need_key=''
	if [ "$kw_state" = absent ]; then
		if [ -e "$kw_dest" ] || { [ -n "$kw_keyfile" ] && [ -e "$kw_keyfile" ]; }; then return 10; fi
		return 0
	fi
	if [ -n "$kw_keyfile" ] && [ ! -s "$kw_keyfile" ]; then kw_need_key=1; fi
	kw_rc=0
	kw_one_file_check || kw_rc=$?
	[ -z "$kw_need_key" ] || kw_rc=10
	return "$kw_rc"
}

kw_deb822_apply() {
	if [ "$kw_state" = absent ]; then
		rm -f -- "$kw_dest" ${kw_keyfile:+"$kw_keyfile"}
		return 0
	fi
	if [ -n "$kw_need_key" ] || { [ -n "$kw_content" ] && [ -n "$kw_keyfile" ]; }; then (kw_keyring "$kw_keyfile"); fi
	kw_mkdir=1
	kw_copy_apply
}

# apt_key. The key that is meant, from its URL, file or text, binary: file kw_from; its fingerprints: kw_found.
kw_aptkey_source() {
	kw_from=$KW_BLOBS/kw-apt-key
	case $kw_key_url in
	'') cat "$KW_BLOBS/$kw_key_sha" >"$kw_from.in" ;;
	file://*) cat "${kw_key_url#file://}" >"$kw_from.in" || kw_fail "there is no key ${kw_key_url#file://}" ;;
	*) kw_download "$kw_key_url" "$kw_from.in" || kw_fail "cannot download the key $kw_key_url" ;;
	esac
	if grep -q 'BEGIN PGP' "$kw_from.in"; then kw_dearmor <"$kw_from.in" >"$kw_from"; else mv -f -- "$kw_from.in" "$kw_from"; fi
	kw_found=$(kw_key_prints "$kw_from")
	[ -n "$kw_found" ] || kw_fail "there is no key at ${kw_key_url:-data}"
}

# kw_rings: the keyrings with key kw_id (the end of a fingerprint), of kw_ring alone or of all that apt trusts.
kw_aptkey_rings() {
	kw_rings=''
	if [ -n "$kw_ring" ]; then
		set -- "$kw_ring"
	else
		set -- "${KW_ROOT-}"/etc/apt/trusted.gpg "${KW_ROOT-}"/etc/apt/trusted.gpg.d/*.gpg "${KW_ROOT-}"/etc/apt/trusted.gpg.d/*.asc
	fi
	for kw_xf; do
		[ -s "$kw_xf" ] || continue
		case "$(kw_key_prints "$kw_xf" | tr '\n' ' ')" in
		*"$kw_id "*) kw_rings="$kw_rings$kw_xf
" ;;
		esac
	done
}

kw_aptkey_check() {
	kw_from='' kw_ring=${kw_ring:+${KW_ROOT-}$kw_ring}
	kw_keyfile=${KW_ROOT-}$kw_keyfile
	# A file of ours is named by the key's URL: the key is not fetched again.
	if [ "$kw_state" = present ] && [ -z "$kw_ring$kw_id" ] && [ -s "$kw_keyfile" ]; then return 0; fi
	if [ -z "$kw_id" ]; then
		kw_aptkey_source
		read -r kw_id <<-EOT
			$kw_found
		EOT
	fi
	kw_aptkey_rings
	if [ "$kw_state" = absent ]; then
		[ -z "$kw_rings" ] || return 10
		return 0
	fi
	[ -z "$kw_rings" ] || return 0
	[ -z "$kw_keyserver" ] || return 10
	[ -n "$kw_from" ] || kw_aptkey_source
	case "$(printf '%s ' $kw_found)" in
	*"$kw_id "*) return 10 ;;
	esac
	kw_fail "${kw_key_url:-data} is not key $kw_id, but $kw_found"
}

kw_aptkey_apply() {
	if [ "$kw_state" = absent ]; then
		while read -r kw_xf; do
			[ -n "$kw_xf" ] || continue
			if [ "$(kw_key_prints "$kw_xf" main | grep -c .)" = 1 ]; then
				rm -f -- "$kw_xf"
			else
				# One key of several: only gpg can take it out.
				kw_has apt-key && kw_has gpg || kw_fail "$kw_xf has other keys than $kw_id too, and neither apt-key nor gpg is on this host to take it out"
				apt-key --keyring "$kw_xf" del "$kw_id" >&2 </dev/null
			fi
		done <<-EOT
			$kw_rings
		EOT
		return 0
	fi
	kw_keyfile=${kw_ring:-$kw_keyfile}
	if [ -n "$kw_keyserver" ]; then
		kw_has gpg || kw_fail "gpg is not installed on this host: a key server needs it"
		kw_home=$(mktemp -d)
		kw_from=$kw_home/key
		kw_rc=0
		gpg --homedir "$kw_home" --batch -q --keyserver "$kw_keyserver" --recv-keys "$kw_id" >&2 && gpg --homedir "$kw_home" --batch --export "$kw_id" >"$kw_from" || kw_rc=$?
		[ "$kw_rc" = 0 ] && [ -s "$kw_from" ] || {
			rm -rf -- "$kw_home"
			kw_fail "cannot get key $kw_id from $kw_keyserver"
		}
	fi
	kw_dir_of "$kw_keyfile"
	mkdir -p -- "$kw_dir"
	# A keyring is its keys, one after the other.
	if [ -s "$kw_keyfile" ]; then
		[ -n "$(kw_key_prints "$kw_keyfile")" ] && ! grep -q 'BEGIN PGP' "$kw_keyfile" || kw_fail "$kw_keyfile is no keyring that a key can be added to"
	fi
	kw_plain_file 0644
	{
		[ ! -s "$kw_keyfile" ] || cat "$kw_keyfile"
		cat "$kw_from"
	} | kw_write "$kw_keyfile"
	[ -z "${kw_home-}" ] || rm -rf -- "$kw_home"
}

# apt_repository: one line in a .list file.
kw_repo_check() {
	kw_file=${KW_ROOT-}$kw_file
	kw_found=$(grep -lxF -- "$kw_repo" "${KW_ROOT-}"/etc/apt/sources.list "${KW_ROOT-}"/etc/apt/sources.list.d/*.list 2>/dev/null) || :
	case $kw_state:$kw_found in
	present:?* | absent:) return 0 ;;
	present:*) [ -e "$kw_file" ] || kw_out added 1 ;;
	*) [ "$(cat "$kw_file" 2>/dev/null || :)" != "$kw_repo" ] || kw_out removed 1 ;;
	esac
	return 10
}
kw_repo_apply() {
	kw_plain_file "$kw_mexpr"
	if [ "$kw_state" = absent ]; then
		for kw_xf in $kw_found; do
			kw_rest=$(grep -vxF -- "$kw_repo" "$kw_xf") || :
			if [ -n "$kw_rest" ] || [ "$kw_xf" = "${KW_ROOT-}/etc/apt/sources.list" ]; then printf '%s\n' "$kw_rest" | kw_write "$kw_xf"; else rm -f -- "$kw_xf"; fi
		done
	else
		mkdir -p -- "${kw_file%/*}"
		{
			[ ! -f "$kw_file" ] || cat "$kw_file"
			printf '%s\n' "$kw_repo"
		} | kw_write "$kw_file"
	fi
	if [ -n "$kw_update" ]; then kw_update; fi
}

kw_packages_check() {
	if kw_has dpkg-query; then
		dpkg-query -W -f='apt ${Package} ${Version} ${Architecture} ${db:Status-Status} ${Section}\n'
	else
		rpm -qa --qf 'rpm %{NAME} %{VERSION} %{ARCH} %{RELEASE} %{EPOCH}\n'
	fi
}
