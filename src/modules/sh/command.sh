# command, shell, script: creates and removes.

# Whether a glob names anything; a plain path is a glob too.
kw_any() {
	kw_ifs=$IFS
	IFS=''
	for kw_xf in $1; do
		if [ -e "$kw_xf" ] || [ -L "$kw_xf" ]; then
			IFS=$kw_ifs
			return 0
		fi
	done
	IFS=$kw_ifs
	return 1
}

kw_command_check() {
	if [ -n "$kw_chdir" ]; then
		[ -d "$kw_chdir" ] || kw_fail "unable to change directory before execution: $kw_chdir is no directory"
		cd -- "$kw_chdir"
	fi
	if [ -n "$kw_creates" ] && kw_any "$kw_creates"; then
		printf 'skipped, since %s exists' "$kw_creates"
		return 0
	fi
	if [ -n "$kw_removes" ] && ! kw_any "$kw_removes"; then
		printf 'skipped, since %s does not exist' "$kw_removes"
		return 0
	fi
	return 10
}
