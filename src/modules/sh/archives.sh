# unarchive, archive.

# kw_file: the archive on this host, downloaded where it is a URL.
kw_archive_here() {
	kw_made=''
	kw_file=$kw_src
	if [ -n "$kw_blob" ]; then
		kw_file=$KW_BLOBS/$kw_blob
		return 0
	fi
	case $kw_src in
	*://*)
		kw_made=$(mktemp)
		kw_file=$kw_made
		kw_download "$kw_src" "$kw_file" || {
			rm -f -- "$kw_made"
			kw_fail "download of $kw_src failed"
		}
		;;
	*) [ -f "$kw_src" ] || kw_fail "source $kw_src does not exist" ;;
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

# kw_list: names of what the archive brings, as they will be below kw_dest.
kw_unarchive_names() {
	case $kw_src in
	*.zip) kw_list=$(unzip -Z1 "$kw_file" $kw_members) ;;
	*)
		kw_tar_kind "$kw_src"
		kw_list=$(tar -t${kw_kind}f "$kw_file" --show-transformed-names $kw_opts $kw_members 2>/dev/null) || kw_list=$(tar -t${kw_kind}f "$kw_file")
		;;
	esac
}

# 10 where something is missing or another.
kw_unarchive_compare() {
	case $kw_src in
	*.zip)
		kw_has unzip || kw_fail "unzip is not installed on this host"
		kw_sizes=$(unzip -Z "$kw_file" $kw_members | awk '/^[-dl]/ {s = $4; k = substr($1, 1, 1); for (i = 1; i < 9; i++) $i = ""; sub(/^ +/, ""); print k, s, $0}')
		while read -r kw_xk kw_xs kw_xf; do
			[ -n "$kw_xf" ] || continue
			[ -e "$kw_dest/$kw_xf" ] || [ -L "$kw_dest/$kw_xf" ] || return 10
			[ "$kw_xk" != - ] || [ "$(wc -c <"$kw_dest/$kw_xf")" = "$kw_xs" ] || return 10
		done <<-EOT
			$kw_sizes
		EOT
		;;
	*)
		kw_diff=$(cd -- "$kw_dest" && tar --diff ${kw_opts:+--show-transformed-names} $kw_opts -f "$kw_file" $kw_members 2>&1) || :
		case $kw_diff in
		*'nvalid option'* | *'nrecognized option'*)
			# busybox cannot compare: names must do.
			kw_unarchive_names
			while read -r kw_xf; do
				[ -e "$kw_dest/$kw_xf" ] || return 10
			done <<-EOT
				$kw_list
			EOT
			;;
		*)
			# What is set anyway does not count; names that --strip-components leaves empty neither.
			kw_diff=$(printf '%s\n' "$kw_diff" | grep -v '^tar: : ' | grep -E ': (Mod time differs|Symlink differs|Contents differ|Size differs|File type differs)|No such file|Cannot stat|'"$([ -n "$kw_owner" ] || echo ': Uid differs|')$([ -n "$kw_group" ] || echo ': Gid differs|')$([ -n "$kw_mode" ] || echo ': Mode differs|')"': Invalid') || :
			[ -z "$kw_diff" ] || return 10
			;;
		esac
		;;
	esac
	[ -z "$kw_mexpr$kw_owner$kw_group" ] || kw_unarchive_attributes compare
}

# Owner, group and mode of everything that the archive brought. $1: compare or set.
kw_unarchive_attributes() {
	kw_unarchive_names
	while read -r kw_xf; do
		kw_xf=$kw_dest/$kw_xf
		if [ -L "$kw_xf" ]; then
			[ "$1" != set ] || [ -z "$kw_owner$kw_group" ] || chown -h -- "$kw_owner${kw_group:+:$kw_group}" "$kw_xf"
			continue
		fi
		[ -e "$kw_xf" ] || continue
		if [ "$1" = set ]; then kw_set_attributes "$kw_xf"; else kw_attributes "$kw_xf" >/dev/null; fi
		[ -z "$kw_differs" ] || return 10
	done <<-EOT
		$kw_list
	EOT
}

kw_unarchive_check() {
	kw_differs=''
	if [ -n "$kw_creates" ] && kw_any "$kw_creates"; then
		kw_out skipped "skipped, since $kw_creates exists"
		return 0
	fi
	[ -d "$kw_dest" ] || kw_fail "dest '$kw_dest' must be an existing dir"
	kw_archive_here
	kw_report "$kw_dest"
	if [ -n "$kw_names" ]; then
		kw_unarchive_names
		kw_out names "$kw_list"
	fi
	kw_rc=0
	(kw_unarchive_compare) || kw_rc=$?
	# What was downloaded stays for the apply, if there is one.
	if [ -n "$kw_made" ] && { [ "$kw_rc" != 10 ] || [ -n "$kw_looks" ]; }; then rm -f -- "$kw_made"; fi
	return "$kw_rc"
}

kw_unarchive_apply() {
	kw_rc=0
	case $kw_src in
	*.zip) unzip -q -o $kw_opts "$kw_file" $kw_members -d "$kw_dest" >&2 || kw_rc=$? ;;
	*)
		kw_tar_kind "$kw_src"
		tar -x${kw_kind}f "$kw_file" -C "$kw_dest" $kw_opts $kw_members >&2 || kw_rc=$?
		;;
	esac
	[ "$kw_rc" != 0 ] || [ -z "$kw_mexpr$kw_owner$kw_group" ] || kw_unarchive_attributes set || kw_rc=$?
	[ -z "$kw_made" ] || rm -f -- "$kw_made"
	[ "$kw_rc" = 0 ] || kw_fail "cannot unpack $kw_src into $kw_dest (exit code $kw_rc)"
	kw_report "$kw_dest"
}

# kw_found: what the paths (the parameters, patterns) name. kw_root: the directory that all of it is below.
kw_archive_find() {
	kw_found='' kw_missing='' kw_root=''
	for kw_p; do
		kw_any "$kw_p" || kw_missing="$kw_missing$kw_p
"
		for kw_xf in $kw_p; do
			[ -e "$kw_xf" ] || continue
			case "
$kw_excluded
" in
			*"
$kw_xf
"*) continue ;;
			esac
			kw_found="$kw_found$kw_xf
"
			kw_dir_of "${kw_xf%/}"
			kw_dir=${kw_dir%/}/
			[ -n "$kw_root" ] || kw_root=$kw_dir
			until case $kw_dir in "$kw_root"*) true ;; *) false ;; esac do
				kw_root=${kw_root%/}
				kw_root=${kw_root%/*}/
			done
		done
	done
	[ -n "$kw_found" ] || kw_fail "Error, no source paths were found"
	kw_out paths "$kw_found"
	kw_out missing "$kw_missing"
	kw_out excluded "$kw_excluded"
	kw_out arcroot "$kw_root"
	# One file by itself is compressed, not packed.
	kw_single=''
	if [ -z "$kw_always" ] && [ "$#" = 1 ] && [ -f "$1" ] && [ "$kw_format" != zip ] && [ "$kw_format" != tar ]; then kw_single=1; fi
	kw_out dest_state "$([ -z "$kw_single" ] && echo archive || echo compress)"
}

# Names below kw_root, one a line.
kw_archive_names() {
	kw_ifs=$IFS
	IFS='
'
	for kw_xf in $kw_found; do
		(
			cd -- "$kw_root"
			kw_xf=${kw_xf#"$kw_root"}
			if [ -d "$kw_xf" ]; then find "./${kw_xf%/}" -mindepth 1; else find "./$kw_xf"; fi | sed 's,^\./,,; s,/$,,'
		)
	done | if [ -n "$kw_patterns" ]; then
		while read -r kw_xf; do
			kw_skip=''
			for kw_p in $kw_patterns; do
				# shellcheck disable=SC2254
				case $kw_xf in $kw_p) kw_skip=1 ;; esac
			done
			[ -n "$kw_skip" ] || printf '%s\n' "$kw_xf"
		done
	else
		cat
	fi
	IFS=$kw_ifs
}

kw_archive_check() {
	kw_differs=''
	kw_archive_find "$@"
	kw_report "$kw_dest"
	kw_names=$(kw_archive_names)
	[ -z "$kw_full" ] || kw_out members "$(printf '%s\n' "$kw_names" | sed "s,^,$kw_root,")"
	[ -f "$kw_dest" ] || return 10
	if [ -n "$kw_single" ]; then
		case $kw_format in
		gz) gzip -dc "$kw_dest" | cmp -s - "$1" || return 10 ;;
		bz2) bzip2 -dc "$kw_dest" | cmp -s - "$1" || return 10 ;;
		xz) xz -dc "$kw_dest" | cmp -s - "$1" || return 10 ;;
		esac
	elif [ "$kw_format" = zip ]; then
		[ "$(unzip -Z1 "$kw_dest" | sed 's,/$,,' | sort)" = "$(printf '%s\n' "$kw_names" | sort)" ] || return 10
		[ -z "$(printf '%s\n' "$kw_names" | (cd -- "$kw_root" && xargs -d '\n' -I{} find {} -maxdepth 0 -type f -newer "$kw_dest"))" ] || return 10
	else
		[ "$(tar -tf "$kw_dest" | sed 's,/$,,; s,^\./,,' | sort)" = "$(printf '%s\n' "$kw_names" | sort)" ] || return 10
		kw_list=$(cd -- "$kw_root" && tar -df "$kw_dest" 2>&1) || :
		case $kw_list in
		*'Contents differ'* | *'Size differs'* | *'No such file'* | *'File type differs'* | *'Symlink differs'*) return 10 ;;
		esac
	fi
	kw_attributes "$kw_dest"
	[ -z "$kw_differs" ] || return 10
}

kw_archive_apply() {
	if [ -n "$kw_differs" ]; then
		kw_set_attributes "$kw_dest"
		kw_report "$kw_dest"
		return 0
	fi
	kw_tmp_beside "$kw_dest"
	kw_rc=0
	if [ -n "$kw_single" ]; then
		case $kw_format in
		gz) gzip -c "$1" >"$kw_tmp" || kw_rc=$? ;;
		bz2) bzip2 -c "$1" >"$kw_tmp" || kw_rc=$? ;;
		xz) xz -c "$1" >"$kw_tmp" || kw_rc=$? ;;
		esac
	else
		printf '%s\n' "$kw_names" >"$KW_BLOBS/kw-names"
		case $kw_format in
		zip) (cd -- "$kw_root" && rm -f "$kw_tmp" && zip -q -y "$kw_tmp.zip" -@ <"$KW_BLOBS/kw-names" && mv "$kw_tmp.zip" "$kw_tmp") >&2 || kw_rc=$? ;;
		*)
			kw_tar_kind ".$kw_format"
			tar -c${kw_kind}f "$kw_tmp" -C "$kw_root" --no-recursion -T "$KW_BLOBS/kw-names" >&2 || kw_rc=$?
			;;
		esac
		rm -f -- "$KW_BLOBS/kw-names"
	fi
	[ "$kw_rc" = 0 ] || {
		rm -f -- "$kw_tmp"
		kw_fail "cannot make $kw_dest (exit code $kw_rc)"
	}
	kw_place "$kw_tmp" "$kw_dest"
	kw_report "$kw_dest"
	if [ -n "$kw_remove" ]; then
		kw_ifs=$IFS
		IFS='
'
		for kw_xf in $kw_found; do rm -rf -- "$kw_xf"; done
		IFS=$kw_ifs
	fi
}
