# file, copy, template.

kw_file_check() {
	kw_differs=''
	[ -z "$kw_full" ] || kw_out path "$kw_path"
	kw_report "$kw_path"
	case $kw_state in
	absent)
		if [ -e "$kw_path" ] || [ -L "$kw_path" ]; then return 10; fi
		return 0
		;;
	'') # As it is; only attributes.
		[ ! -L "$kw_path" ] || kw_out link "$(readlink -- "$kw_path")"
		if [ -d "$kw_path" ]; then kw_state=directory; elif [ -e "$kw_path" ] || [ -z "$kw_recurse" ]; then kw_state=file; else kw_state=directory; fi
		kw_out out_state "$kw_state"
		;;
	esac
	case $kw_state in
	directory)
		[ -d "$kw_path" ] || {
			if [ -e "$kw_path" ]; then kw_fail "$kw_path already exists and is no directory"; fi
			return 10
		}
		if [ -n "$kw_recurse" ]; then kw_tree_attributes; else kw_attributes "$kw_path"; fi
		;;
	file)
		[ -e "$kw_path" ] || kw_fail "file ($kw_path) is absent, cannot continue"
		kw_attributes "$kw_path"
		;;
	touch)
		if [ ! -e "$kw_path" ] || [ -z "$kw_keep_times" ]; then return 10; fi
		kw_attributes "$kw_path"
		;;
	link)
		kw_link_possible
		[ -L "$kw_path" ] && [ "$(readlink -- "$kw_path")" = "$kw_src" ] || return 10
		;;
	hard)
		[ -e "$kw_src" ] || kw_fail "src $kw_src does not exist"
		[ "$kw_path" -ef "$kw_src" ] || return 10
		kw_attributes "$kw_path"
		;;
	esac
	[ -z "$kw_differs" ] || return 10
}

kw_link_possible() {
	if [ -z "$kw_force" ]; then
		kw_dir_of "$kw_path"
		case $kw_src in
		/*) kw_target=$kw_src ;;
		*) kw_target=$kw_dir/$kw_src ;;
		esac
		[ -e "$kw_target" ] || kw_fail "src file $kw_src does not exist, use force: true to create the link nevertheless"
		if [ -e "$kw_path" ] && [ ! -L "$kw_path" ]; then kw_fail "refusing to convert $kw_path to a symlink, use force: true"; fi
	fi
}

# One stat for the whole tree, compared line by line.
kw_tree_attributes() {
	[ -n "$kw_mexpr$kw_owner$kw_group" ] || return 0
	kw_list=$(find "$kw_path" ! -type l -exec stat -c '%a %u %g %U %G %F' -- {} +)
	while read -r kw_x1 kw_x2 kw_x3 kw_x4 kw_x5 kw_x6; do
		kw_now_mode=$kw_x1 kw_now_uid=$kw_x2 kw_now_gid=$kw_x3 kw_now_user=$kw_x4 kw_now_group=$kw_x5 kw_isdir=0
		[ "$kw_x6" != directory ] || kw_isdir=1
		kw_compare "$kw_isdir"
		[ -z "$kw_differs" ] || return 0
	done <<-EOT
		$kw_list
	EOT
}

# Every directory that has to be made gets the attributes, as in Ansible.
kw_make_dirs() {
	[ ! -d "$1" ] || return 0
	kw_dir_of "$1"
	[ -d "$kw_dir" ] || kw_make_dirs "$kw_dir"
	mkdir -- "$1" || [ -d "$1" ]
	kw_set_attributes "$1"
}

kw_file_apply() {
	case $kw_state in
	absent)
		case $kw_path in
		/ | /bin | /boot | /dev | /etc | /home | /lib | /proc | /root | /run | /sbin | /sys | /usr | /var) kw_fail "refusing to remove $kw_path" ;;
		esac
		rm -rf -- "$kw_path"
		;;
	directory)
		case $kw_path in
		?*/) kw_path=${kw_path%/} ;;
		esac
		kw_make_dirs "$kw_path"
		if [ -n "$kw_recurse" ]; then
			[ -z "$kw_owner" ] || chown -R -- "$kw_owner" "$kw_path"
			[ -z "$kw_group" ] || chgrp -R -- "$kw_group" "$kw_path"
			[ -z "$kw_mode" ] || find "$kw_path" ! -type l -exec chmod -- "$kw_mode" {} +
		else
			kw_set_attributes "$kw_path"
		fi
		;;
	file) kw_set_attributes "$kw_path" ;;
	touch)
		if [ -n "$kw_times" ]; then touch -t "$kw_times" -- "$kw_path"; elif [ -z "$kw_keep_times" ] || [ ! -e "$kw_path" ]; then touch -- "$kw_path"; fi
		kw_set_attributes "$kw_path"
		;;
	link)
		if [ -d "$kw_path" ] && [ ! -L "$kw_path" ]; then rmdir -- "$kw_path"; fi
		ln -sfn -- "$kw_src" "$kw_path"
		[ -z "$kw_owner" ] || chown -h -- "$kw_owner" "$kw_path"
		[ -z "$kw_group" ] || chown -h -- ":$kw_group" "$kw_path"
		;;
	hard)
		ln -f -- "$kw_src" "$kw_path"
		kw_set_attributes "$kw_path"
		;;
	esac
	kw_report "$kw_path"
}

# copy, template: content is the blob kw_sha. kw_dest may be a directory.
kw_copy_check() {
	kw_differs='' kw_content=''
	if [ "${kw_dest%/}" != "$kw_dest" ] || [ -d "$kw_dest" ]; then
		[ -n "$kw_base" ] || kw_fail "dest $kw_dest is a directory: content needs a file name"
		kw_dest=${kw_dest%/}/$kw_base
		kw_out out_dest "$kw_dest"
	fi
	if [ -n "$kw_follow" ] && [ -L "$kw_dest" ]; then
		kw_dest=$(readlink -f -- "$kw_dest")
		kw_out out_dest "$kw_dest"
	fi
	[ -z "$kw_force" ] || kw_report "$kw_dest"
	kw_one_file_check
}

kw_one_file_check() {
	if [ -f "$kw_dest" ] && [ ! -L "$kw_dest" ]; then
		if [ -n "$kw_force" ]; then
			kw_sum "$kw_dest"
			[ "$kw_xs" = "$kw_sha" ] || kw_content=1
		fi
		if [ -z "$kw_content" ]; then kw_attributes "$kw_dest"; fi
	elif [ -L "$kw_dest" ] && [ -z "$kw_force" ]; then
		return 0
	else
		[ ! -d "$kw_dest" ] || kw_fail "$kw_dest is a directory"
		kw_content=1
	fi
	if [ -n "$kw_content" ]; then
		kw_out content 1
		if [ -n "$kw_diff" ]; then
			kw_out subject "$kw_dest"
			if [ -f "$kw_dest" ]; then kw_out_stdin before <"$kw_dest"; else kw_out before ''; fi
		fi
		return 10
	fi
	[ -z "$kw_differs" ] || return 10
}

kw_copy_apply() {
	if [ -z "$kw_content" ]; then
		kw_set_attributes "$kw_dest"
		kw_report "$kw_dest"
		return 0
	fi
	kw_dir_of "$kw_dest"
	if [ -n "$kw_mkdir" ]; then mkdir -p -- "$kw_dir"; fi
	kw_tmp_beside "$kw_dest"
	cat "$KW_BLOBS/$kw_sha" >"$kw_tmp" || {
		rm -f -- "$kw_tmp"
		kw_fail "cannot write $kw_tmp: is the file system full?"
	}
	kw_place "$kw_tmp" "$kw_dest"
	kw_report "$kw_dest"
}

# A tree: kw_sums has sha256sum's lines for ./paths below kw_dest, kw_tree "mode sha ./path" (sha "-": a directory).
kw_tree_check() {
	kw_differs=''
	[ -d "$kw_dest" ] || return 10
	cd -- "$kw_dest"
	if [ -n "$kw_force" ] && [ -n "$kw_sums" ]; then
		printf %s "$kw_sums" | sha256sum -c - >/dev/null 2>&1 || return 10
	fi
	while read -r kw_fmode kw_sha kw_xf; do
		[ "$kw_sha" != - ] || {
			[ -d "$kw_xf" ] || return 10
			continue
		}
		[ -f "$kw_xf" ] || return 10
		[ -z "$kw_mexpr$kw_owner$kw_group" ] || kw_attributes "$kw_xf"
	done <<-EOT
		$kw_tree
	EOT
	[ -z "$kw_differs" ] || return 10
}

kw_tree_apply() {
	kw_top=$kw_dest kw_fexpr=$kw_mexpr
	kw_mexpr=$kw_dexpr
	kw_make_dirs "${kw_dest%/}"
	cd -- "$kw_top"
	while read -r kw_fmode kw_sha kw_xf; do
		if [ "$kw_sha" = - ]; then
			kw_mexpr=$kw_dexpr
			kw_make_dirs "$kw_xf"
			continue
		fi
		kw_mexpr=$kw_fexpr
		[ "$kw_preserve" != 1 ] || kw_mexpr=0$kw_fmode
		kw_dest=$kw_xf kw_content='' kw_differs='' kw_rc=0
		kw_one_file_check >/dev/null || kw_rc=$?
		[ "$kw_rc" != 10 ] || kw_copy_apply >/dev/null
	done <<-EOT
		$kw_tree
	EOT
}

# copy with remote_src.
kw_remote_sums() {
	[ -n "$kw_full" ] || return 0
	if [ -f "$kw_dest" ]; then
		kw_xs=$(md5sum <"$kw_dest")
		kw_out md5 "${kw_xs%% *}"
		kw_xs=$(sha1sum <"$kw_dest")
		kw_out sha1 "${kw_xs%% *}"
	else
		kw_out md5 ''
		kw_out sha1 ''
	fi
	kw_report "$kw_dest"
}

kw_remote_check() {
	kw_differs='' kw_content=''
	[ -e "$kw_src" ] || kw_fail "source $kw_src not found"
	if [ -d "$kw_src" ]; then
		[ "${kw_src%/}" != "$kw_src" ] || kw_dest=${kw_dest%/}/${kw_src##*/}
		kw_out out_dest "$kw_dest"
		kw_remote_sums
		[ -d "$kw_dest" ] || return 10
		kw_list=$(cd -- "$kw_src" && find . -type f)
		while read -r kw_xf; do
			[ -z "$kw_xf" ] || cmp -s "$kw_src/$kw_xf" "$kw_dest/$kw_xf" || return 10
		done <<-EOT
			$kw_list
		EOT
		return 0
	fi
	if [ "${kw_dest%/}" != "$kw_dest" ] || [ -d "$kw_dest" ]; then kw_dest=${kw_dest%/}/${kw_src##*/} && kw_out out_dest "$kw_dest"; fi
	if [ "$kw_preserve" = 1 ]; then
		kw_look "$kw_src"
		kw_mexpr=0$kw_now_mode
	fi
	kw_remote_sums
	if [ -f "$kw_dest" ]; then
		if [ -n "$kw_force" ] && ! cmp -s "$kw_src" "$kw_dest"; then kw_content=1; else kw_attributes "$kw_dest"; fi
	else
		kw_content=1
	fi
	[ -z "$kw_content$kw_differs" ] || return 10
}

kw_remote_apply() {
	if [ -d "$kw_src" ]; then
		mkdir -p -- "$kw_dest"
		cp -Rp -- "$kw_src/." "$kw_dest/"
		[ -z "$kw_owner" ] || chown -R -- "$kw_owner" "$kw_dest"
		[ -z "$kw_group" ] || chgrp -R -- "$kw_group" "$kw_dest"
	elif [ -z "$kw_content" ]; then
		kw_set_attributes "$kw_dest"
	else
		kw_tmp_beside "$kw_dest"
		cat "$kw_src" >"$kw_tmp" || {
			rm -f -- "$kw_tmp"
			kw_fail "cannot write $kw_tmp: is the file system full?"
		}
		kw_place "$kw_tmp" "$kw_dest"
	fi
	kw_remote_sums
}

# The engine's write of an edited file: only if it still is what was read (kw_old, empty: there was none).
kw_edit_read() {
	kw_differs=''
	if [ -L "$kw_path" ]; then kw_path=$(readlink -f -- "$kw_path"); fi
	[ ! -d "$kw_path" ] || kw_fail "path $kw_path is a directory"
	if [ -f "$kw_path" ]; then
		kw_out_stdin text <"$kw_path"
		kw_attributes "$kw_path"
	elif [ -n "$kw_mexpr$kw_owner$kw_group" ]; then
		# A file that is made has the user's own, and what the umask leaves.
		kw_now_mode=644 kw_now_uid=$(id -u) kw_now_gid=$(id -g) kw_now_user=$(id -un) kw_now_group=$(id -gn)
		kw_compare 0
	fi
	[ -z "$kw_differs" ] || kw_out attributes 1
	kw_report "$kw_path"
}

kw_edit_check() {
	if [ -L "$kw_path" ]; then kw_path=$(readlink -f -- "$kw_path"); fi
	if [ -f "$kw_path" ]; then
		kw_sum "$kw_path"
		[ "$kw_xs" = "$kw_old" ] || kw_fail "$kw_path was changed by somebody else just now"
	else
		[ -z "$kw_old" ] || kw_fail "$kw_path was removed by somebody else just now"
	fi
	return 10
}

kw_edit_apply() {
	if [ -n "$kw_sha" ]; then
		kw_content=1 kw_dest=$kw_path
		kw_copy_apply
	else
		kw_set_attributes "$kw_path"
	fi
	kw_report "$kw_path"
}
