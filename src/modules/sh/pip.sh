# pip: a program of the host; nothing else of ours needs Python there.

kw_pip_check() {
	kw_created='' kw_unsure=''
	[ -z "$kw_break" ] || export PIP_BREAK_SYSTEM_PACKAGES=1
	if [ -n "$kw_venv" ]; then
		case $kw_venv in
		/*) ;;
		*) kw_venv=${kw_chdir:+$kw_chdir/}$kw_venv ;;
		esac
		kw_out venv "$kw_venv"
		kw_pip=$kw_venv/bin/pip
		if [ ! -e "$kw_venv/bin/activate" ]; then
			kw_created=1
			return 10
		fi
	fi
	kw_has "$kw_pip" || kw_fail "$kw_pip is not installed on this host"
	[ -z "$kw_requirements$kw_editable" ] || return 10
	case $kw_state in
	latest | forcereinstall) return 10 ;;
	esac
	# Names are written in many ways: `A_b.c` is `a-b-c`.
	kw_list="
$("$kw_pip" list --format=freeze --disable-pip-version-check 2>/dev/null | awk -F== '{ n = tolower($1); gsub(/[-_.]+/, "-", n); print n "==" $2 }')
"
	for kw_p; do
		kw_n=$(printf '%s\n' "${kw_p%%[=<>\[!~ ;@]*}" | tr A-Z a-z | sed 's/[-_.][-_.]*/-/g')
		kw_v=''
		case $kw_p in
		*==*)
			kw_v=${kw_p#*==}
			kw_v=${kw_v# }
			;;
		*[\<\>~!]*) kw_v=? ;;
		esac
		case $kw_list in
		*"
$kw_n==$kw_v
"*) [ "$kw_state" != absent ] || return 10 ;;
		*"
$kw_n=="*)
			[ "$kw_state" != absent ] || return 10
			# Another version than this, or one that only pip can compare.
			if [ "$kw_v" = '?' ]; then kw_unsure=1; elif [ -n "$kw_v" ]; then return 10; fi
			;;
		*) [ "$kw_state" = absent ] || return 10 ;;
		esac
	done
	[ -n "$kw_unsure" ] || return 0
	[ -n "$kw_looks" ] || return 10
	case $("$kw_pip" install --disable-pip-version-check --dry-run "$@" 2>&1) in
	*'Would install'* | *rror*) return 10 ;;
	esac
}

kw_pip_apply() {
	[ -z "$kw_umask" ] || umask "$kw_umask"
	kw_nl='
'
	if [ -n "$kw_created" ]; then
		kw_has "${kw_venv_command%% *}" || kw_fail "${kw_venv_command%% *} is not installed on this host"
		$kw_venv_command ${kw_venv_site:+--system-site-packages} ${kw_venv_python:+"-p$kw_venv_python"} "$kw_venv" >&2
		[ -x "$kw_pip" ] || kw_fail "$kw_venv_command made no $kw_pip"
	fi
	cd -- "${kw_chdir:-/tmp}"
	[ -z "$kw_venv" ] || PATH=$kw_venv/bin:$PATH
	set -f
	IFS=$kw_nl
	case $kw_state in
	absent) set -- uninstall -y $kw_extra "$@" ;;
	*)
		kw_flag=''
		[ "$kw_state" != latest ] || kw_flag=--upgrade
		[ "$kw_state" != forcereinstall ] || kw_flag="--upgrade$kw_nl--force-reinstall"
		set -- install --disable-pip-version-check $kw_flag $kw_extra ${kw_editable:+-e} ${kw_requirements:+-r} ${kw_requirements:+"$kw_requirements"} "$@"
		;;
	esac
	IFS=" 	$kw_nl"
	set +f
	kw_before=''
	[ -z "$kw_freeze" ] || kw_before=$("$kw_pip" freeze 2>/dev/null)
	kw_rc=0
	kw_text=$("$kw_pip" "$@") || kw_rc=$?
	[ "$kw_rc" = 0 ] || {
		printf '%s\n' "$kw_text"
		exit "$kw_rc"
	}
	kw_out text "$kw_text"
	[ -z "$kw_created" ] || return 0
	if [ -n "$kw_freeze" ]; then
		[ "$kw_before" != "$("$kw_pip" freeze 2>/dev/null)" ] || kw_out same 1
	else
		case $kw_text in
		*'Successfully installed'* | *'Successfully uninstalled'*) ;;
		*) kw_out same 1 ;;
		esac
	fi
}
