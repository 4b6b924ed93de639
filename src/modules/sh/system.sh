# modprobe, sysctl, mount, swap, hostname, users.

# Loaded, or built into the kernel: then there is nothing to load and modprobe may know nothing of it.
kw_module_there() {
	[ ! -d "${KW_ROOT-}/sys/module/$kw_mod" ] || return 0
	case $kw_mod in
	br_netfilter) [ ! -d "${KW_ROOT-}/proc/sys/net/bridge" ] || return 0 ;;
	esac
	while read -r kw_xa kw_xb; do
		[ "${kw_xb:-$kw_xa}" != "$kw_mod" ] || return 0
	done <"${KW_ROOT-}/proc/filesystems"
	read -r kw_rel <"${KW_ROOT-}/proc/sys/kernel/osrelease"
	if [ -r "${KW_ROOT-}/lib/modules/$kw_rel/modules.builtin" ]; then
		while read -r kw_xa; do
			kw_xa=${kw_xa##*/}
			kw_xa=${kw_xa%.ko*}
			case $kw_xa in
			"$kw_mod" | "$kw_name") return 0 ;;
			esac
		done <"${KW_ROOT-}/lib/modules/$kw_rel/modules.builtin"
	fi
	return 1
}

kw_modprobe_check() {
	kw_todo=''
	kw_load_file=${KW_ROOT-}/etc/modules-load.d/$kw_name.conf kw_opts_file=${KW_ROOT-}/etc/modprobe.d/$kw_name.conf
	case $kw_state in
	present) kw_module_there || kw_todo=load ;;
	absent) [ ! -d "${KW_ROOT-}/sys/module/$kw_mod" ] || [ ! -e "${KW_ROOT-}/sys/module/$kw_mod/initstate" ] || kw_todo=unload ;;
	esac
	case $kw_persistent in
	present) [ -f "$kw_load_file" ] || kw_todo="$kw_todo keep" ;;
	absent) [ ! -f "$kw_load_file" ] || kw_todo="$kw_todo forget" ;;
	esac
	[ -z "$kw_todo" ] || return 10
}

kw_modprobe_apply() {
	for kw_do in $kw_todo; do
		case $kw_do in
		load) kw_load_module ;;
		unload) modprobe -r "$kw_name" ;;
		keep)
			kw_plain_file
			printf '%s\n' "$kw_name" | kw_write "$kw_load_file"
			if [ -n "$kw_params" ]; then printf 'options %s %s\n' "$kw_name" "$kw_params" | kw_write "$kw_opts_file"; fi
			;;
		forget) rm -f -- "$kw_load_file" "$kw_opts_file" ;;
		esac
	done
}

kw_load_module() {
	kw_has modprobe || kw_fail "modprobe is not installed on this host (package kmod): cannot load $kw_name"
	kw_rc=0
	kw_err=$(modprobe "$kw_name" $kw_params 2>&1) || kw_rc=$?
	if [ "$kw_rc" != 0 ]; then
		# Built in without a trace in /sys/module: the kernel's symbols show it.
		if [ ! -d "${KW_ROOT-}/lib/modules/$kw_rel" ] && grep -q "[ _]${kw_mod}_" "${KW_ROOT-}/proc/kallsyms" 2>/dev/null; then return 0; fi
		kw_fail "kernel module $kw_name cannot be loaded: ${kw_err:-exit code $kw_rc} (kernel $kw_rel)"
	fi
}

# Words of a sysctl's value, one blank between them.
kw_words() {
	set -f
	set -- $1
	set +f
	kw_xw=$*
}

kw_sysctl_check() {
	kw_differs=''
	kw_file=${KW_ROOT-}$kw_file kw_proc=${KW_ROOT-}/proc/sys/$kw_key_path
	kw_words "$kw_value"
	kw_value=$kw_xw kw_live='' kw_filed=''
	if [ -f "$kw_file" ]; then
		while IFS='=' read -r kw_xk kw_xv || [ -n "$kw_xk" ]; do
			kw_words "$kw_xk"
			if [ "$kw_xw" = "$kw_key" ]; then
				kw_words "$kw_xv"
				kw_filed=$kw_xw
			fi
		done <"$kw_file"
	fi
	if [ "$kw_state" = absent ]; then
		[ -z "$kw_filed" ] || return 10
		return 0
	fi
	if [ -r "$kw_proc" ]; then
		kw_live=$(cat "$kw_proc")
		kw_words "$kw_live"
		kw_live=$kw_xw
	fi
	if [ -n "$kw_set" ] && [ "$kw_live" != "$kw_value" ]; then kw_differs=1; fi
	[ "$kw_filed" = "$kw_value" ] || kw_differs=1
	if [ -n "$kw_differs" ]; then
		kw_out subject "$kw_key"
		kw_out before "$kw_key = $kw_live (in $kw_file: ${kw_filed:-none})
"
		kw_out after "$kw_key = $kw_value (in $kw_file: $kw_value)
"
		return 10
	fi
}

kw_sysctl_apply() {
	if [ "$kw_filed" != "$kw_value" ] || [ "$kw_state" = absent ]; then
		kw_plain_file
		{
			if [ -f "$kw_file" ]; then cat "$kw_file"; fi
		} | kw_xv=$kw_value awk -F= -v "k=$kw_key" -v "state=$kw_state" '
			{ n = $1; gsub(/[ \t]/, "", n); if (n != k) { print; next } }
			state == "present" && !done { print k "=" ENVIRON["kw_xv"]; done = 1 }
			END { if (state == "present" && !done) print k "=" ENVIRON["kw_xv"] }' | kw_write "$kw_file"
	fi
	if [ "$kw_state" = present ] && [ -n "$kw_set" ] && [ "$kw_live" != "$kw_value" ]; then
		if [ ! -e "$kw_proc" ]; then
			[ -n "$kw_ignore" ] || kw_fail "there is no sysctl $kw_key on this host: a kernel module may have to be loaded first"
		else
			{ printf '%s\n' "$kw_value" >"$kw_proc"; } 2>/dev/null || [ -n "$kw_ignore" ] || kw_fail "sysctl $kw_key cannot be set to '$kw_value' (it is '$kw_live')"
		fi
	fi
}

kw_hostname_check() {
	read -r kw_now <"${KW_ROOT-}/proc/sys/kernel/hostname" || :
	kw_kept=''
	[ ! -f "${KW_ROOT-}/etc/hostname" ] || read -r kw_kept <"${KW_ROOT-}/etc/hostname" || :
	if [ "$kw_now" != "$kw_name" ] || [ "$kw_kept" != "$kw_name" ]; then
		kw_out subject hostname
		kw_out before "$kw_now
"
		kw_out after "$kw_name
"
		return 10
	fi
}
kw_hostname_apply() {
	if kw_has hostnamectl && hostnamectl set-hostname "$kw_name" 2>/dev/null; then
		return 0
	fi
	kw_plain_file 0644
	printf '%s\n' "$kw_name" | kw_write "${KW_ROOT-}/etc/hostname"
	hostname "$kw_name"
}

# Whether kw_path is mounted, and its line in fstab.
kw_mount_look() {
	kw_fstab=${KW_ROOT-}$kw_fstab kw_mounted='' kw_line=''
	while read -r kw_xa kw_xb kw_rest; do
		[ "$kw_xb" != "$kw_path" ] || kw_mounted=$kw_xa
	done <"${KW_ROOT-}/proc/self/mounts"
	if [ -f "$kw_fstab" ]; then
		while read -r kw_xa kw_xb kw_xc kw_xd kw_xe kw_xf kw_rest; do
			case $kw_xa in
			'#'*) ;;
			*) [ "$kw_xb" != "$kw_path" ] || kw_line="$kw_xa $kw_xb $kw_xc $kw_xd ${kw_xe:-0} ${kw_xf:-0}" ;;
			esac
		done <"$kw_fstab"
	fi
}

kw_mount_check() {
	kw_mount_look
	kw_todo=''
	kw_wanted="$kw_src $kw_path $kw_fstype $kw_opts $kw_dump $kw_passno"
	case $kw_state in
	present | mounted) [ "$kw_line" = "$kw_wanted" ] || kw_todo=write ;;
	absent | absent_from_fstab) [ -z "$kw_line" ] || kw_todo=erase ;;
	esac
	case $kw_state in
	mounted)
		if [ -z "$kw_mounted" ]; then kw_todo="$kw_todo mount"; elif [ -n "$kw_todo" ]; then kw_todo="$kw_todo remount"; fi
		;;
	ephemeral) [ -n "$kw_mounted" ] || kw_todo=ephemeral ;;
	unmounted | absent) [ -z "$kw_mounted" ] || kw_todo="$kw_todo umount" ;;
	remounted) kw_todo=remount ;;
	esac
	[ "$kw_state" != absent ] || [ ! -d "$kw_path" ] || [ -n "$kw_todo" ] || kw_todo=''
	[ -z "$kw_todo" ] || return 10
}

kw_mount_apply() {
	kw_plain_file
	for kw_do in $kw_todo; do
		case $kw_do in
		write | erase)
			{
				if [ -f "$kw_fstab" ]; then awk -v "p=$kw_path" '/^[ \t]*#/ || $2 != p' "$kw_fstab"; fi
				[ "$kw_do" = erase ] || printf '%s\n' "$kw_wanted"
			} | kw_write "$kw_fstab"
			;;
		mount)
			[ -e "$kw_path" ] || mkdir -p -- "$kw_path"
			mount -- "$kw_path"
			;;
		ephemeral)
			[ -e "$kw_path" ] || mkdir -p -- "$kw_path"
			mount -t "$kw_fstype" -o "$kw_opts" -- "$kw_src" "$kw_path"
			;;
		remount) mount -o remount -- "$kw_path" ;;
		umount) umount -- "$kw_path" ;;
		esac
	done
	if [ "$kw_state" = absent ] && [ -d "$kw_path" ]; then rmdir -- "$kw_path" 2>/dev/null || :; fi
}

# swap: nothing active, nothing in fstab, no unit and no zram generator that brings it back.
kw_swap_check() {
	kw_todo=''
	{
		read -r kw_xa || :
		while read -r kw_xa kw_rest; do
			# Swap of a container's host is not ours to switch off.
			[ -z "$kw_xa" ] || [ -n "$kw_shared" ] || kw_todo=off
		done
	} <"${KW_ROOT-}/proc/swaps"
	if [ -f "${KW_ROOT-}/etc/fstab" ]; then
		while read -r kw_xa kw_xb kw_xc kw_rest; do
			case $kw_xa:$kw_xc in
			'#'*) ;;
			*:swap)
				kw_todo="$kw_todo fstab"
				break
				;;
			esac
		done <"${KW_ROOT-}/etc/fstab"
	fi
	for kw_xf in "${KW_ROOT-}"/etc/systemd/system/*.swap; do
		if [ -f "$kw_xf" ] && [ ! -L "$kw_xf" ]; then kw_todo="$kw_todo units"; fi
	done
	# An empty /etc/systemd/zram-generator.conf switches the generator off (zram-generator.conf(5)).
	if [ -s "${KW_ROOT-}/etc/systemd/zram-generator.conf" ] || { [ -e "${KW_ROOT-}/usr/lib/systemd/zram-generator.conf" ] && [ ! -e "${KW_ROOT-}/etc/systemd/zram-generator.conf" ]; }; then
		kw_todo="$kw_todo zram"
	fi
	if [ -e "${KW_ROOT-}/etc/systemd/system/multi-user.target.wants/zramswap.service" ]; then kw_todo="$kw_todo zramswap"; fi
	[ -z "$kw_todo" ] || return 10
}

kw_swap_apply() {
	for kw_do in $kw_todo; do
		case $kw_do in
		off)
			# Units of swap that systemd made itself (GPT partitions) are masked, or they are back after a reboot.
			if kw_has systemctl; then
				kw_list=$(systemctl list-units --plain --no-legend --no-pager --type swap 2>/dev/null) || :
				printf '%s\n' "$kw_list" | while read -r kw_xa kw_rest; do
					[ -z "$kw_xa" ] || systemctl mask --now -- "$kw_xa" >&2 || :
				done
			fi
			swapoff -a || kw_fail "swap cannot be switched off: is there enough free memory?"
			;;
		fstab)
			kw_plain_file
			awk '!/^[ \t]*#/ && $3 == "swap" {print "# kubewright: " $0; next} {print}' "${KW_ROOT-}/etc/fstab" | kw_write "${KW_ROOT-}/etc/fstab"
			;;
		units)
			for kw_xf in "${KW_ROOT-}"/etc/systemd/system/*.swap; do
				if [ -f "$kw_xf" ] && [ ! -L "$kw_xf" ]; then
					mv -- "$kw_xf" "$kw_xf.kubewright"
					systemctl mask -- "${kw_xf##*/}" >&2 || :
				fi
			done
			;;
		zram)
			kw_plain_file
			: | kw_write "${KW_ROOT-}/etc/systemd/zram-generator.conf"
			;;
		zramswap) systemctl disable --now zramswap.service >&2 ;;
		esac
	done
}
