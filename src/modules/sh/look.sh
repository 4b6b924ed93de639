# stat, find, slurp, ping: only look.

kw_stat_check() {
	if [ ! -e "$kw_path" ] && [ ! -L "$kw_path" ]; then return 0; fi
	if [ -n "$kw_follow" ]; then
		kw_st=$(stat -L -c '%f %u %g %U %G %s %i %d %h %X %Y %Z' -- "$kw_path")
	else
		kw_st=$(stat -c '%f %u %g %U %G %s %i %d %h %X %Y %Z' -- "$kw_path")
	fi
	kw_out file "$kw_st"
	[ ! -r "$kw_path" ] || kw_out readable 1
	[ ! -w "$kw_path" ] || kw_out writeable 1
	[ ! -x "$kw_path" ] || kw_out executable 1
	if [ -n "$kw_full" ] && [ -n "$kw_mime" ]; then
		kw_xs='unknown; charset=unknown'
		if kw_has file; then kw_xs=$(file -b --mime-type --mime-encoding -- "$kw_path" 2>/dev/null) || :; fi
		kw_out mime "$kw_xs"
	fi
	if [ -L "$kw_path" ] && [ -z "$kw_follow" ]; then
		kw_out link "$(readlink -- "$kw_path")"
		kw_out source "$(readlink -f -- "$kw_path" || :)"
	elif [ -n "$kw_algorithm" ] && [ -f "$kw_path" ] && [ -r "$kw_path" ]; then
		kw_xs=$("${kw_algorithm}sum" <"$kw_path")
		kw_out checksum "${kw_xs%% *}"
	fi
}

kw_slurp_check() {
	[ -e "$kw_path" ] || kw_fail "file not found: $kw_path"
	[ ! -d "$kw_path" ] || kw_fail "source is a directory and must be a file: $kw_path"
	cat -- "$kw_path"
}

# Paths are the positional parameters; depth is find's own, the rest is filtered by us.
kw_find_check() {
	kw_skipped=''
	for kw_xp; do
		case $kw_xp in
		'~' | '~/'*) kw_xp=$HOME${kw_xp#'~'} ;;
		esac
		if [ ! -d "$kw_xp" ]; then
			kw_skipped="$kw_skipped$kw_xp
"
			continue
		fi
		[ "$kw_xp" = / ] || kw_xp=${kw_xp%/}
		printf 'root %s\n' "$kw_xp"
		find ${kw_follow:+-L} "$kw_xp" -mindepth 1 ${kw_depth:+-maxdepth "$kw_depth"} -exec stat -c '%f %u %g %U %G %s %i %d %h %X %Y %Z %n' -- {} +
		if [ -n "$kw_contains" ]; then
			find ${kw_follow:+-L} "$kw_xp" -mindepth 1 ${kw_depth:+-maxdepth "$kw_depth"} -type f -exec grep -lE -- "$kw_contains" {} + | sed 's/^/holds /'
		fi
		if [ -n "$kw_sums" ]; then
			find ${kw_follow:+-L} "$kw_xp" -mindepth 1 ${kw_depth:+-maxdepth "$kw_depth"} -type f -exec "$kw_sums" {} + | sed 's/^/sum /'
		fi
	done
	kw_out skipped "$kw_skipped"
	[ -z "$kw_aged" ] || kw_out now "$(date +%s)"
}

kw_tempfile_apply() {
	kw_xt=$(mktemp ${kw_isdir:+-d} "${kw_path:-${TMPDIR:-/tmp}}/${kw_prefix}XXXXXXXX")
	if [ -n "$kw_suffix" ]; then
		mv -- "$kw_xt" "$kw_xt$kw_suffix"
		kw_xt=$kw_xt$kw_suffix
	fi
	kw_out out_path "$kw_xt"
	kw_report "$kw_xt"
}

kw_getent_check() {
	kw_rc=0
	kw_list=$(getent "$kw_database" ${kw_key:+"$kw_key"}) || kw_rc=$?
	case $kw_rc in
	0) ;;
	2)
		[ -z "$kw_fail_key" ] || kw_fail "One or more supplied key could not be found in the database."
		kw_out msg 'One or more supplied key could not be found in the database.'
		kw_out unknown "$kw_key"
		;;
	*) kw_fail "getent $kw_database: exit code $kw_rc (unknown database, or no enumeration)" ;;
	esac
	kw_out list "$kw_list"
}
