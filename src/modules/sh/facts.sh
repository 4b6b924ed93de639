# Facts: each function prints the raw text of one source; what it means is read on our side (facts/*.rs).

kw_facts() {
	for kw_group; do "kw_facts_$kw_group"; done
}

# A small file as a field, if it is there: no fork, one line.
kw_out_line() {
	kw_line=''
	if [ -r "$2" ]; then read -r kw_line <"$2" || :; fi
	kw_out "$1" "$kw_line"
}

kw_facts_os() {
	for kw_xf in "${KW_ROOT-}/etc/os-release" "${KW_ROOT-}/usr/lib/os-release"; do
		if [ -r "$kw_xf" ]; then
			kw_out_stdin os_release <"$kw_xf"
			break
		fi
	done
	kw_out_line debian_version "${KW_ROOT-}/etc/debian_version"
	kw_out_line redhat_release "${KW_ROOT-}/etc/redhat-release"
}

kw_facts_uname() {
	kw_out uname "$(uname -s -n -r -m)"
	kw_out kernel_version "$(uname -v)"
	kw_out fqdn "$(hostname -f 2>/dev/null || :)"
	kw_out bits "$(getconf LONG_BIT 2>/dev/null || :)"
}

kw_facts_network() {
	kw_has ip || return 0
	kw_out link "$(ip -o link show 2>/dev/null || :)"
	kw_out addr "$(ip -o addr show 2>/dev/null || :)"
	kw_out route4 "$(ip -4 route get 8.8.8.8 2>/dev/null || :)"
	kw_out route6 "$(ip -6 route get 2404:6800:400a:800::1012 2>/dev/null || :)"
	if [ -r "${KW_ROOT-}/etc/resolv.conf" ]; then kw_out_stdin resolv <"${KW_ROOT-}/etc/resolv.conf"; fi
}

kw_facts_memory() { kw_out_stdin meminfo <"${KW_ROOT-}/proc/meminfo"; }

kw_facts_cpu() {
	kw_out_stdin cpuinfo <"${KW_ROOT-}/proc/cpuinfo"
	kw_out nproc "$(nproc 2>/dev/null || :)"
}

kw_facts_service() {
	kw_out_line init "${KW_ROOT-}/proc/1/comm"
	if [ -d "${KW_ROOT-}/run/systemd/system" ]; then kw_out systemd 1; elif [ -d "${KW_ROOT-}/run/openrc" ]; then kw_out openrc 1; fi
}

kw_facts_date() { kw_out date "$(date '+%Y %m %d %H %M %S %s %Z %z %A %w %W') $(date -u '+%Y-%m-%dT%H:%M:%SZ')"; }

kw_facts_env() { kw_out_stdin environ </proc/self/environ; }

kw_facts_user() {
	kw_out id "$(id)"
	kw_uid=$(id -u)
	if kw_has getent; then kw_out passwd "$(getent passwd "$kw_uid" || :)"; else kw_out passwd "$(grep "^[^:]*:[^:]*:$kw_uid:" "${KW_ROOT-}/etc/passwd" || :)"; fi
}

kw_facts_mounts() {
	kw_out_stdin mounts <"${KW_ROOT-}/proc/self/mounts"
	kw_out df "$(df -kP 2>/dev/null || :)"
}

kw_facts_virtual() {
	kw_out virt "$(systemd-detect-virt 2>/dev/null || :)"
	[ ! -e "${KW_ROOT-}/.dockerenv" ] || kw_out docker 1
	kw_out_line product_name "${KW_ROOT-}/sys/class/dmi/id/product_name"
	kw_out_line system_vendor "${KW_ROOT-}/sys/class/dmi/id/sys_vendor"
	kw_out_line bios_version "${KW_ROOT-}/sys/class/dmi/id/bios_version"
	kw_out_line product_uuid "${KW_ROOT-}/sys/class/dmi/id/product_uuid"
	kw_out_line product_serial "${KW_ROOT-}/sys/class/dmi/id/product_serial"
}

kw_facts_machine() {
	kw_out_line machine_id "${KW_ROOT-}/etc/machine-id"
	kw_out_line cmdline "${KW_ROOT-}/proc/cmdline"
	kw_out_line uptime "${KW_ROOT-}/proc/uptime"
	kw_out_line loadavg "${KW_ROOT-}/proc/loadavg"
}

kw_facts_selinux() {
	kw_mode=''
	if [ -r "${KW_ROOT-}/sys/fs/selinux/enforce" ]; then read -r kw_mode <"${KW_ROOT-}/sys/fs/selinux/enforce" || :; fi
	kw_out selinux "$kw_mode"
	kw_config='' kw_type=''
	if [ -r "${KW_ROOT-}/etc/selinux/config" ]; then
		while IFS='=' read -r kw_k kw_v; do
			case $kw_k in
			SELINUX) kw_config=$kw_v ;;
			SELINUXTYPE) kw_type=$kw_v ;;
			esac
		done <"${KW_ROOT-}/etc/selinux/config"
	fi
	kw_out selinux_config "$kw_config"
	kw_out selinux_type "$kw_type"
	kw_armor=disabled
	[ ! -d "${KW_ROOT-}/sys/kernel/security/apparmor" ] || kw_armor=enabled
	kw_out apparmor "$kw_armor"
}

kw_facts_keys() {
	for kw_xf in "${KW_ROOT-}"/etc/ssh/ssh_host_*_key.pub; do
		[ ! -r "$kw_xf" ] || {
			kw_line=${kw_xf##*/ssh_host_}
			kw_out_line "hostkey_${kw_line%_key.pub}" "$kw_xf"
		}
	done
}
