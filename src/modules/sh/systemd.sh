# systemd units: one `systemctl show` answers everything.

kw_ctl() { systemctl ${kw_scope:+"--$kw_scope"} ${kw_no_block:+--no-block} "$@"; }

# kw_active, kw_file_state, kw_load, kw_stale of unit $1.
kw_unit_look() {
	kw_active='' kw_file_state='' kw_load='' kw_stale=''
	kw_list=$(systemctl ${kw_scope:+"--$kw_scope"} show -p ActiveState,UnitFileState,LoadState,NeedDaemonReload -- "$1")
	while IFS='=' read -r kw_xk kw_xv; do
		case $kw_xk in
		ActiveState) kw_active=$kw_xv ;;
		UnitFileState) kw_file_state=$kw_xv ;;
		LoadState) kw_load=$kw_xv ;;
		NeedDaemonReload) kw_stale=$kw_xv ;;
		esac
	done <<-EOT
		$kw_list
	EOT
	# Printing costs the session forks: only where somebody will look.
	[ -z "$kw_full" ] || kw_out show "$(systemctl ${kw_scope:+"--$kw_scope"} show -- "$1")"
}

# What is to be done, as words in kw_todo.
kw_unit_check() {
	kw_todo='' kw_active=''
	if [ -z "$kw_unit" ]; then
		[ -z "$kw_reexec" ] || return 10
		case $(systemctl ${kw_scope:+"--$kw_scope"} show -p NeedDaemonReload '*') in
		*=yes*) return 10 ;;
		esac
		return 0
	fi
	kw_unit_look "$kw_unit"
	# Not there yet: it would have to come first (a plan before the package is installed), and apply says so if it does not.
	[ "$kw_load" != not-found ] || return 10
	[ -z "$kw_reload" ] || [ "$kw_stale" != yes ] || kw_todo=reload
	[ -z "$kw_reexec" ] || kw_todo=reload
	case $kw_masked:$kw_load in
	yes:masked | no:[!m]* | :*) ;;
	yes:*) kw_todo="$kw_todo mask" ;;
	no:*) kw_todo="$kw_todo unmask" ;;
	esac
	case $kw_enabled:$kw_file_state in
	yes:enabled | yes:enabled-runtime | yes:static | yes:alias | yes:indirect | yes:generated | yes:linked) ;;
	no:enabled | no:enabled-runtime | no:linked) kw_todo="$kw_todo disable" ;;
	yes:*) kw_todo="$kw_todo enable" ;;
	esac
	case $kw_state:$kw_active in
	started:active | started:activating | started:reloading | stopped:inactive | stopped:failed) ;;
	started:*) kw_todo="$kw_todo start" ;;
	stopped:*) kw_todo="$kw_todo stop" ;;
	restarted:*) kw_todo="$kw_todo restart" ;;
	reloaded:active | reloaded:activating) kw_todo="$kw_todo reload-unit" ;;
	reloaded:*) kw_todo="$kw_todo start" ;;
	esac
	[ -z "$kw_todo" ] || return 10
}

kw_unit_apply() {
	[ -z "$kw_reexec" ] || kw_ctl daemon-reexec
	if [ -z "$kw_unit" ]; then
		kw_ctl daemon-reload
		return 0
	fi
	if [ "$kw_load" = not-found ]; then
		kw_ctl daemon-reload
		kw_rc=0
		kw_unit_check >/dev/null || kw_rc=$?
		if [ "$kw_load" = not-found ]; then
			case $kw_state:$kw_enabled:$kw_masked in
			:*:yes) kw_todo=mask ;;
			*) kw_fail "could not find the requested service $kw_unit: there is no such unit on this host" ;;
			esac
		fi
		[ "$kw_rc" != 0 ] || return 0
	fi
	[ "$kw_todo" != reload ] || kw_out reloaded 1
	for kw_do in $kw_todo; do
		case $kw_do in
		reload) kw_ctl daemon-reload >&2 ;;
		reload-unit) kw_unit_do reload ;;
		start | stop | restart) kw_unit_do "$kw_do" ;;
		*) kw_ctl ${kw_force:+--force} "$kw_do" -- "$kw_unit" >&2 ;;
		esac
	done
}

# A start that fails says why: the last lines of the unit's journal.
kw_unit_do() {
	kw_rc=0
	kw_ctl "$1" -- "$kw_unit" >&2 || kw_rc=$?
	[ "$kw_rc" = 0 ] || {
		printf 'cause: unable to %s %s\n' "$1" "$kw_unit" >&2
		systemctl ${kw_scope:+"--$kw_scope"} show -p ActiveState,SubState,Result,ExecMainStatus -- "$kw_unit" >&2 || :
		journalctl ${kw_scope:+"--$kw_scope"} -u "$kw_unit" -n 5 -o cat --no-pager >&2 2>/dev/null || :
		exit 1
	}
}

# Hosts without systemd: the `service` command, init scripts.
kw_service_check() {
	if [ -d "${KW_ROOT-}/run/systemd/system" ]; then kw_unit_check; else kw_init_script_check; fi
}
kw_init_script_check() {
	case $kw_state in
	restarted | reloaded) return 10 ;;
	started) service "$kw_unit" status >/dev/null 2>&1 || return 10 ;;
	stopped) ! service "$kw_unit" status >/dev/null 2>&1 || return 10 ;;
	esac
}

kw_service_apply() {
	if [ -d "${KW_ROOT-}/run/systemd/system" ]; then kw_unit_apply; else kw_init_script_apply; fi
}
kw_init_script_apply() {
	case $kw_state in
	started) service "$kw_unit" start >&2 ;;
	stopped) service "$kw_unit" stop >&2 ;;
	restarted) service "$kw_unit" restart >&2 ;;
	reloaded) service "$kw_unit" reload >&2 ;;
	esac
}

kw_units_check() {
	systemctl list-units --no-pager --no-legend --plain --type service --all
	printf '\036files\037\036\n'
	systemctl list-unit-files --no-pager --no-legend --type service
}
