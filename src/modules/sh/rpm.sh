# The RHEL family: dnf and yum, selinux, firewalld.

# rpm, of the root that is meant. What it does not find is said by its exit code.
kw_rpm() { rpm ${kw_rpm_root:+--root "$kw_rpm_root"} "$@" 2>/dev/null; }

# Whether $1 is installed: a name, a name with version, release and architecture, `name >= version`, what a package provides, a
# file.
kw_rpm_has() {
	case $1 in
	*[\<\>=]*) kw_rpm_meets "$1" ;;
	*) kw_rpm -q --quiet -- "$1" >/dev/null || kw_rpm -q --quiet --whatprovides -- "$1" >/dev/null ;;
	esac
}
kw_rpm_meets() {
	kw_pn=${1%%[ <>=]*}
	kw_pv=${1##*[ <>=]}
	kw_have=$(kw_rpm -q --qf '%{EPOCHNUM} %{VERSION} %{RELEASE}\n' -- "$kw_pn") || return 1
	read -r kw_xe kw_xv kw_xr <<-EOT
		$kw_have
	EOT
	kw_rpm_against
	case $1:$kw_order in
	*'<='*:-1 | *'<='*:0 | *'>='*:1 | *'>='*:0 | *=*:0) return 0 ;;
	*=*) return 1 ;;
	*'<'*:-1 | *'>'*:1) return 0 ;;
	*) return 1 ;;
	esac
}

# What is installed, a line each.
kw_rpm_list() { kw_rpm -qa --qf '%{NEVRA}\n' | grep -v '^gpg-pubkey-' || :; }

# kw_order: -1, 0 or 1 for versions $1 and $2 in rpm's order; empty where rpm cannot tell.
kw_rpm_order() {
	case $1$2 in
	*[!A-Za-z0-9.~^+_]*) kw_order='' ;;
	*) kw_order=$(rpm --eval "%{lua:print(rpm.vercmp('$1', '$2'))}" 2>/dev/null) || kw_order='' ;;
	esac
}

# kw_order for what is installed (kw_xe, kw_xv, kw_xr: epoch, version, release) and kw_pv, which may have epoch and release.
kw_rpm_against() {
	case $kw_pv in
	*:*)
		kw_rpm_order "$kw_xe" "${kw_pv%%:*}"
		[ "$kw_order" = 0 ] || return 0
		kw_pv=${kw_pv#*:}
		;;
	esac
	kw_rpm_order "$kw_xv" "${kw_pv%%-*}"
	case $kw_order:$kw_pv in
	0:*-*) kw_rpm_order "$kw_xr" "${kw_pv#*-}" ;;
	esac
}

# Whether a newer version than $1 (name-version, name-version-release, either with an architecture) is installed.
kw_rpm_newer() {
	kw_pn=$1
	kw_have=''
	for kw_xn in 1 2; do
		case $kw_pn in
		*-*) kw_pn=${kw_pn%-*} ;;
		*) return 1 ;;
		esac
		kw_have=$(kw_rpm -q --qf '%{NAME} %{ARCH} %{EPOCHNUM} %{VERSION} %{RELEASE}\n' -- "$kw_pn") && break
		kw_have=''
	done
	[ -n "$kw_have" ] || return 1
	read -r kw_pn kw_xa kw_xe kw_xv kw_xr <<-EOT
		$kw_have
	EOT
	kw_pv=${1#"$kw_pn"-}
	kw_pv=${kw_pv%".$kw_xa"}
	kw_rpm_against
	[ "$kw_order" = 1 ]
}

# dnf with our options, a verb ($1) and what is in the lines of $2; $3: options more. Its end is in kw_rc.
kw_dnf_run() {
	kw_verb=$1
	kw_more=${3:-}
	kw_nl='
'
	set -f
	IFS=$kw_nl
	set -- $2
	IFS=" 	$kw_nl"
	# Another dnf is waited for by dnf itself; give up in time.
	LC_ALL=C timeout "$kw_lock" $kw_dnf $kw_more $kw_options "$kw_verb" ${1+--} "$@" || kw_rc=$?
	set +f
}

# Whether dnf would do anything; for --check, which otherwise only asks rpm. What fails now may do in its turn.
kw_dnf_would() {
	kw_rc=0
	case $(kw_dnf_run "$1" "$2" --assumeno 2>&1) in
	*'Nothing to do'*) return 1 ;;
	esac
}

# Adds a line to kw_want (to be installed or removed), to kw_old (to be upgraded), to kw_notes (of the result).
kw_dnf_want() {
	kw_want="$kw_want$1
"
}
kw_dnf_old() {
	kw_old="$kw_old$1
"
}
kw_dnf_note() {
	kw_notes="$kw_notes$1
"
}

# Positional parameters: names, `name-version`, `name >= version`, files, URLs, globs, `@group`. rpm is asked first: where it
# knows that all is as wanted dnf is not started.
kw_dnf_check() {
	kw_has "$kw_dnf" || kw_dnf=yum
	kw_want='' kw_old='' kw_notes='' kw_sure=''
	[ $# -gt 0 ] || [ -z "$kw_update" ] || [ -n "$kw_autoremove" ] || return 10
	if [ "$kw_state" != present ] || [ -n "$kw_only" ] || ! kw_dnf_all "$@"; then
		for kw_p; do kw_dnf_one; done
	fi
	[ -z "$kw_notes" ] || kw_out notes "$kw_notes"
	if [ -n "$kw_old" ]; then
		kw_rc=0
		kw_xl=$kw_old
		case $kw_old in
		'*'*) kw_xl='' ;;
		esac
		kw_dnf_run check-update "$kw_xl" "-q${kw_update:+ --refresh}" >/dev/null 2>&1
		if [ "$kw_rc" = 0 ]; then kw_old=''; else kw_sure=1; fi
	fi
	[ -z "$kw_sure" ] || return 10
	# Only dnf can tell what becomes of the rest.
	if [ -n "$kw_want" ]; then
		kw_verb=install
		[ "$kw_state" != absent ] || kw_verb=remove
		if [ -z "$kw_looks" ] || kw_dnf_would "$kw_verb" "$kw_want"; then return 10; fi
	fi
	if [ -n "$kw_autoremove" ]; then
		if [ -z "$kw_looks" ] || kw_dnf_would autoremove ''; then return 10; fi
	fi
}

# All of them are installed: one call of rpm tells.
kw_dnf_all() {
	[ $# -gt 0 ] || return 0
	for kw_p; do
		case $kw_p in
		@* | *://* | *.rpm | *[*?[\<\>=]*) return 1 ;;
		esac
	done
	kw_rpm -q --whatprovides --qf '' -- "$@" >/dev/null
}

# What is to be done for kw_p.
kw_dnf_one() {
	case $kw_state:$kw_p in
	*:@*)
		kw_dnf_want "$kw_p"
		return 0
		;;
	absent:*[*?[]*)
		if [ -n "$(kw_rpm -qa -- "$kw_p")" ]; then kw_sure=1 && kw_dnf_want "$kw_p"; else kw_dnf_note "No match for argument: $kw_p"; fi
		return 0
		;;
	absent:*)
		if kw_rpm_has "$kw_p"; then kw_sure=1 && kw_dnf_want "$kw_p"; else kw_dnf_note "No match for argument: $kw_p"; fi
		return 0
		;;
	'latest:*')
		kw_dnf_old '*'
		return 0
		;;
	*:*://* | *:*.rpm)
		kw_dnf_note "Installed $kw_p"
		kw_dnf_file
		return 0
		;;
	*:*[*?[]*)
		kw_dnf_want "$kw_p"
		if [ "$kw_state" = latest ] && [ -n "$(kw_rpm -qa -- "$kw_p")" ]; then kw_dnf_old "$kw_p"; fi
		return 0
		;;
	esac
	if [ -n "$kw_only" ]; then
		if kw_rpm_has "$kw_p"; then kw_dnf_old "$kw_p"; else kw_dnf_note "Packages providing $kw_p not installed due to update_only specified"; fi
	elif kw_rpm_has "$kw_p"; then
		[ "$kw_state" = present ] || kw_dnf_old "$kw_p"
	elif [ -z "$kw_downgrade" ] && kw_rpm_newer "$kw_p" && kw_dnf_knows; then
		:
	else
		kw_sure=1
		kw_dnf_want "$kw_p"
	fi
}

# Whether a repository has kw_p: one that is in none is an error, also where something newer is installed.
kw_dnf_knows() {
	kw_rc=0
	[ -n "$(kw_dnf_run repoquery "$kw_p" -q 2>/dev/null)" ]
}

# kw_p is a file or a URL. A URL is not fetched only to look: its name says what is in it.
kw_dnf_file() {
	case $kw_p in
	*://*)
		kw_q=${kw_p##*/}
		kw_q=${kw_q%.rpm}
		;;
	*) kw_q=$(kw_rpm -qp --qf '%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}' -- "$kw_p") || kw_q='' ;;
	esac
	if [ -n "$kw_q" ]; then
		! kw_rpm -q --quiet -- "$kw_q" >/dev/null || return 0
		[ -n "$kw_downgrade" ] || ! kw_rpm_newer "$kw_q" || return 0
	fi
	kw_sure=1
	kw_dnf_want "$kw_p"
}

kw_dnf_apply() {
	kw_rc=0
	kw_before=$(kw_rpm_list)
	[ -z "$kw_update" ] || kw_dnf_run makecache '' '-q -y' >&2
	case $kw_rc:$kw_state in
	0:absent) [ -z "$kw_want" ] || kw_dnf_run remove "$kw_want" '-q -y' >&2 ;;
	0:*) [ -z "$kw_want" ] || kw_dnf_run install "$kw_want" '-q -y' >&2 ;;
	esac
	if [ "$kw_rc" = 0 ] && [ -n "$kw_old" ]; then
		case $kw_old in
		'*'*) kw_old='' ;;
		esac
		kw_dnf_run upgrade "$kw_old" '-q -y' >&2
	fi
	if [ "$kw_rc" = 0 ] && [ -n "$kw_autoremove" ]; then kw_dnf_run autoremove '' '-q -y' >&2; fi
	case $kw_rc in
	0) ;;
	124) kw_fail "$kw_dnf was not done within $kw_lock s (another $kw_dnf may hold its lock)" ;;
	*) exit "$kw_rc" ;;
	esac
	kw_out done "$(printf '%s\n--\n%s\n' "$kw_before" "$(kw_rpm_list)" | awk '
		$0 == "--" { now = 1; next }
		!now { was[$0] = 1; next }
		$0 in was { delete was[$0]; next }
		$0 != "" { print "Installed: " $0 }
		END { for (p in was) if (p != "") print "Removed: " p }' | sort)"
}

# selinux. What the kernel does now, what the file says for the next start, and with kw_grub the kernel's command line.
kw_selinux_check() {
	kw_todo=''
	kw_config=${KW_ROOT-}$kw_configfile
	if [ ! -f "$kw_config" ]; then
		[ "$kw_state" = disabled ] || kw_fail "SELinux is not installed on this host ($kw_config is missing)"
		return 0
	fi
	kw_now='' kw_type=''
	while IFS='=' read -r kw_k kw_v; do
		case $kw_k in
		SELINUX) kw_now=${kw_v%"${kw_v##*[! 	]}"} ;;
		SELINUXTYPE) kw_type=${kw_v%"${kw_v##*[! 	]}"} ;;
		esac
	done <"$kw_config"
	[ "$kw_now" = "$kw_state" ] || kw_todo=file
	[ -z "$kw_policy" ] || [ "$kw_type" = "$kw_policy" ] || kw_todo=file
	kw_out policy "${kw_policy:-$kw_type}"
	if [ -r "${KW_ROOT-}/sys/fs/selinux/enforce" ]; then
		read -r kw_live <"${KW_ROOT-}/sys/fs/selinux/enforce" || :
		case $kw_state:$kw_live in
		enforcing:0 | permissive:1 | disabled:1) kw_todo="$kw_todo live" ;;
		esac
		[ "$kw_state" != disabled ] || kw_out reboot 1
	else
		[ "$kw_state" = disabled ] || kw_out reboot 1
	fi
	if [ -n "$kw_grub" ]; then
		kw_has grubby || kw_fail "grubby is not installed on this host: update_kernel_param needs it"
		# Every kernel's arguments: `selinux=0` is wanted in all of them, or in none.
		kw_off=$(grubby --info=ALL | awk '/^args=/ { n++; if ((" " $0 " ") ~ /[ "]selinux=0[ "]/) off++ } END { print off + 0 "/" n + 0 }')
		case $kw_state:$kw_off in
		disabled:*) [ "${kw_off%/*}" = "${kw_off#*/}" ] || kw_todo="$kw_todo grub" ;;
		*:0/*) ;;
		*) kw_todo="$kw_todo grub" ;;
		esac
	fi
	[ -z "$kw_todo" ] || return 10
}
kw_selinux_apply() {
	for kw_do in $kw_todo; do
		case $kw_do in
		file)
			# An earlier task may have brought the policy: a check does not ask for it.
			[ -z "$kw_policy" ] || [ "$kw_type" = "$kw_policy" ] || [ -e "${KW_ROOT-}/etc/selinux/$kw_policy/policy" ] || kw_fail "there is no SELinux policy $kw_policy on this host (in /etc/selinux)"
			kw_plain_file
			awk -v "s=$kw_state" -v "p=$kw_policy" '
				/^SELINUX=/ { print "SELINUX=" s; state = 1; next }
				/^SELINUXTYPE=/ && p != "" { print "SELINUXTYPE=" p; type = 1; next }
				{ print }
				END { if (!state) print "SELINUX=" s; if (!type && p != "") print "SELINUXTYPE=" p }' "$kw_config" | kw_write "$kw_config"
			;;
		live) if [ "$kw_state" = enforcing ]; then setenforce 1; else setenforce 0; fi ;;
		grub) if [ "$kw_state" = disabled ]; then grubby --update-kernel=ALL --args selinux=0; else grubby --update-kernel=ALL --remove-args selinux=0; fi ;;
		esac
	done
}

# firewalld: kw_what is a rule as firewall-cmd takes it (`service=http`); kw_zone may be empty.
kw_firewalld_check() {
	kw_todo=''
	kw_has firewall-cmd || kw_fail "firewalld is not installed on this host"
	for kw_side in $kw_sides; do
		kw_flag=''
		[ "$kw_side" = now ] || kw_flag=--permanent
		kw_rc=0
		firewall-cmd $kw_flag ${kw_zone:+--zone="$kw_zone"} "--query-$kw_what" >/dev/null 2>&1 || kw_rc=$?
		case $kw_state:$kw_rc in
		enabled:0 | disabled:1) ;;
		enabled:1 | disabled:0) kw_todo="$kw_todo $kw_side" ;;
		*) kw_fail "firewall-cmd --query-$kw_what: exit code $kw_rc (is firewalld running?)" ;;
		esac
	done
	[ -z "$kw_todo" ] || return 10
}
kw_firewalld_apply() {
	kw_verb=add
	[ "$kw_state" = enabled ] || kw_verb=remove
	for kw_side in $kw_todo; do
		kw_flag=''
		[ "$kw_side" = now ] || kw_flag=--permanent
		firewall-cmd -q $kw_flag ${kw_zone:+--zone="$kw_zone"} "--$kw_verb-$kw_what"
	done
}
