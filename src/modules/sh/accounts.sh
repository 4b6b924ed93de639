# user, group, authorized_key, known_hosts, cron.

kw_group_check() {
	kw_line=$(getent group "$kw_name") || kw_line=''
	[ -z "$kw_full" ] || kw_out group "$kw_line"
	if [ "$kw_state" = absent ]; then
		[ -z "$kw_line" ] || return 10
		return 0
	fi
	[ -n "$kw_line" ] || return 10
	kw_rest=${kw_line#*:*:}
	[ -z "$kw_gid" ] || [ "${kw_rest%%:*}" = "$kw_gid" ] || return 10
}
kw_group_apply() {
	if [ "$kw_state" = absent ]; then
		groupdel "$kw_name"
	elif [ -z "$kw_line" ]; then
		groupadd ${kw_system:+-r} ${kw_gid:+-g "$kw_gid"} ${kw_non_unique:+-o} -- "$kw_name"
	else
		groupmod -g "$kw_gid" ${kw_non_unique:+-o} -- "$kw_name"
	fi
	[ -z "$kw_full" ] || kw_out group "$(getent group "$kw_name" || :)"
}

# Options of usermod that are needed, as words in kw_todo (no blanks in them but in comment, which has a flag of its own).
kw_user_check() {
	kw_todo='' kw_new_comment='' kw_new_password=''
	kw_line=$(getent passwd "$kw_name") || kw_line=''
	if [ "$kw_state" = absent ]; then
		[ -z "$kw_line" ] || return 10
		return 0
	fi
	[ -n "$kw_line" ] || return 10
	[ -z "$kw_full" ] || kw_out passwd "$kw_line"
	kw_ifs=$IFS
	IFS=:
	set -f
	set -- $kw_line
	set +f
	IFS=$kw_ifs
	kw_now_gecos=${5-} kw_now_home=${6-} kw_now_shell=${7-}
	[ -z "$kw_uid" ] || [ "$3" = "$kw_uid" ] || kw_todo="$kw_todo -u $kw_uid"
	[ -z "$kw_shell" ] || [ "$kw_now_shell" = "$kw_shell" ] || kw_todo="$kw_todo -s $kw_shell"
	[ -z "$kw_home" ] || [ "$kw_now_home" = "$kw_home" ] || kw_todo="$kw_todo -d $kw_home${kw_move:+ -m}"
	[ -z "$kw_has_comment" ] || [ "$kw_now_gecos" = "$kw_comment" ] || kw_new_comment=1
	if [ -n "$kw_group" ]; then
		kw_line2=$(getent group "$kw_group") || kw_fail "group $kw_group does not exist"
		kw_rest=${kw_line2#*:*:}
		[ "${kw_rest%%:*}" = "$4" ] || kw_todo="$kw_todo -g $kw_group"
	fi
	if [ -n "$kw_has_groups" ]; then kw_user_groups "$4"; fi
	if [ -n "$kw_password" ] && [ "$kw_update_password" = always ]; then
		read -r kw_hash <"$KW_BLOBS/$kw_password" || :
		kw_shadow=$(getent shadow "$kw_name") || kw_shadow=''
		kw_shadow=${kw_shadow#*:}
		[ "${kw_shadow%%:*}" = "$kw_hash" ] || kw_new_password=1
	fi
	if [ -n "$kw_lock" ]; then
		kw_shadow=$(getent shadow "$kw_name") || kw_shadow=''
		kw_shadow=${kw_shadow#*:}
		case $kw_lock:$kw_shadow in
		yes:!* | no:[!!]*) ;;
		yes:*) kw_todo="$kw_todo -L" ;;
		no:*) kw_todo="$kw_todo -U" ;;
		esac
	fi
	if [ -n "$kw_expires" ]; then
		kw_shadow=$(getent shadow "$kw_name" | cut -d: -f8) || :
		[ "${kw_shadow:--1}" = "$kw_expires" ] || kw_todo="$kw_todo -e $kw_expires"
	fi
	[ -z "$kw_todo$kw_new_comment$kw_new_password" ] || return 10
}

# Supplementary groups; $1 is the primary group's number.
kw_user_groups() {
	kw_have=" $(id -nG "$kw_name") "
	kw_missing='' kw_wanted=" $(printf '%s' "$kw_groups" | tr ',' ' ') "
	for kw_xg in $kw_wanted; do
		case $kw_have in
		*" $kw_xg "*) ;;
		*) kw_missing=1 ;;
		esac
	done
	if [ -n "$kw_append" ]; then
		[ -z "$kw_missing" ] || kw_todo="$kw_todo -a -G $kw_groups"
		return 0
	fi
	kw_primary=$(id -ng "$kw_name")
	for kw_xg in $kw_have; do
		case $kw_wanted in
		*" $kw_xg "*) ;;
		*) [ "$kw_xg" = "$kw_primary" ] || kw_missing=1 ;;
		esac
	done
	[ -z "$kw_missing" ] || kw_todo="$kw_todo -G ${kw_groups:-}"
	[ -z "$kw_missing" ] || [ -n "$kw_groups" ] || kw_todo="$kw_todo,"
}

kw_user_apply() {
	if [ "$kw_state" = absent ]; then
		userdel ${kw_remove:+-r} ${kw_force:+-f} -- "$kw_name" >&2
		return 0
	fi
	if [ -z "$kw_line" ]; then
		kw_home_flag=-m
		[ -n "$kw_create_home" ] || kw_home_flag=-M
		useradd $kw_home_flag ${kw_system:+-r} ${kw_uid:+-u "$kw_uid"} ${kw_non_unique:+-o} ${kw_group:+-g "$kw_group"} ${kw_groups:+-G "$kw_groups"} \
			${kw_shell:+-s "$kw_shell"} ${kw_home:+-d "$kw_home"} ${kw_has_comment:+-c "$kw_comment"} ${kw_skeleton:+-k "$kw_skeleton"} -- "$kw_name" >&2
		[ -z "$kw_password" ] || kw_new_password=1
		[ "$kw_lock" != yes ] || usermod -L -- "$kw_name"
		[ -z "$kw_expires" ] || usermod -e "$kw_expires" -- "$kw_name"
	else
		[ -z "$kw_todo" ] || usermod $kw_todo -- "$kw_name" >&2
		[ -z "$kw_new_comment" ] || usermod -c "$kw_comment" -- "$kw_name" >&2
	fi
	if [ -n "$kw_new_password" ]; then
		# By stdin: a hash has no place in a process list.
		read -r kw_hash <"$KW_BLOBS/$kw_password" || :
		printf '%s:%s\n' "$kw_name" "$kw_hash" | chpasswd -e
	fi
	if [ -n "$kw_ssh_key" ]; then kw_user_key; fi
	[ -z "$kw_full" ] || kw_out passwd "$(getent passwd "$kw_name" || :)"
}
kw_user_key() {
	kw_home_now=$(getent passwd "$kw_name" | cut -d: -f6)
	kw_key_file=$kw_home_now/${kw_ssh_file:-.ssh/id_$kw_ssh_type}
	[ ! -e "$kw_key_file" ] || return 0
	kw_dir_of "$kw_key_file"
	mkdir -p -m 700 -- "$kw_dir"
	ssh-keygen -q -t "$kw_ssh_type" ${kw_ssh_bits:+-b "$kw_ssh_bits"} -N '' -C "${kw_ssh_comment:-$kw_name}" -f "$kw_key_file" </dev/null
	chown -R -- "$kw_name:" "$kw_dir"
}

# authorized_key: keys are lines of the blob kw_keys; a key is its type and its data, whatever stands around them.
kw_keys_look() {
	if [ -z "$kw_file" ]; then
		kw_home_now=$(getent passwd "$kw_user" | cut -d: -f6) || :
		[ -n "$kw_home_now" ] || kw_fail "user $kw_user does not exist"
		kw_file=$kw_home_now/.ssh/authorized_keys
	fi
	kw_now=''
	[ ! -r "$kw_file" ] || kw_now=$(cat "$kw_file")
	kw_new=$(printf '%s\n' "$kw_now" | kw_keys=$kw_list awk -v "state=$kw_state" -v "exclusive=$kw_exclusive" '
		function id(line,  n, i, w) {
			n = split(line, w, /[ \t]+/)
			for (i = 1; i < n; i++) if (w[i] ~ /^(ssh-|ecdsa-|sk-)/) return w[i] " " w[i + 1]
			return line
		}
		BEGIN { count = split(ENVIRON["kw_keys"], list, "\n"); for (i = 1; i <= count; i++) { k = id(list[i]); if (!(k in want)) { want[k] = list[i]; order[++m] = k } } }
		/^[ \t]*(#|$)/ { if (!exclusive && NF) print; next }
		{ k = id($0)
		  if (k in want) { if (state == "present" && !(k in seen)) { print want[k]; seen[k] = 1 } }
		  else if (!exclusive) print }
		END { if (state == "present") for (i = 1; i <= m; i++) if (!(order[i] in seen)) print want[order[i]] }')
}
kw_keys_check() {
	kw_keys_look
	kw_out keyfile "$kw_file"
	[ -z "$kw_tells" ] || kw_report "$kw_file"
	[ "$kw_now" = "$kw_new" ] || return 10
}
kw_keys_apply() {
	kw_dir_of "$kw_file"
	kw_plain_file
	if [ -n "$kw_manage" ] && [ ! -d "$kw_dir" ]; then
		mkdir -p -m 700 -- "$kw_dir"
		[ -z "$kw_home_now" ] || chown -- "$kw_user:" "$kw_dir"
	fi
	[ -e "$kw_file" ] || {
		kw_mexpr=0600
		[ "$(id -u)" != 0 ] || kw_owner=$kw_user
	}
	printf '%s\n' "$kw_new" | kw_write "$kw_file"
	if [ "$(id -u)" = 0 ] && [ -n "$kw_owner" ]; then chown -- "$kw_user:" "$kw_file"; fi
	[ -z "$kw_tells" ] || kw_report "$kw_file"
}

# known_hosts: lines of plain host names; hashed lines are found by ssh-keygen where it is there.
kw_known_check() {
	kw_now=''
	kw_out path "$kw_file"
	kw_report "$kw_file"
	[ ! -r "$kw_file" ] || kw_now=$(cat "$kw_file")
	kw_new=$(printf '%s\n' "$kw_now" | kw_known=$kw_line awk -v "h=$kw_host" -v "state=$kw_state" '
		BEGIN { line = ENVIRON["kw_known"]; split(line, w, /[ \t]+/) }
		{ n = split($1, names, ","); hit = 0; for (i = 1; i <= n; i++) if (names[i] == h) hit = 1
		  if (hit && (state == "absent" && line == "" || $2 == w[2])) { if (state == "present" && !done) { print line; done = 1 } ; next }
		  if (NF) print }
		END { if (state == "present" && !done) print line }')
	[ "$kw_now" = "$kw_new" ] || return 10
}
kw_known_apply() {
	kw_plain_file
	kw_dir_of "$kw_file"
	[ -d "$kw_dir" ] || mkdir -p -m 700 -- "$kw_dir"
	if [ -n "$kw_new" ]; then printf '%s\n' "$kw_new" | kw_write "$kw_file"; else kw_write "$kw_file" </dev/null; fi
	kw_report "$kw_file"
}

# cron: a job is the line after "#Ansible: NAME", as in Ansible, in a user's table or a file of /etc/cron.d.
kw_cron_look() {
	if [ -n "$kw_file" ]; then
		case $kw_file in
		/*) ;;
		*) kw_file=${KW_ROOT-}/etc/cron.d/$kw_file ;;
		esac
		kw_now=''
		[ ! -r "$kw_file" ] || kw_now=$(cat "$kw_file")
	else
		kw_has crontab || kw_fail "crontab is not installed on this host (package cron)"
		kw_now=$(crontab ${kw_user:+-u "$kw_user"} -l 2>/dev/null) || :
	fi
	kw_new=$(printf '%s\n' "$kw_now" | kw_cmark=$kw_mark kw_cjob=$kw_job awk -v "state=$kw_state" -v "env=$kw_env_name" '
		BEGIN { mark = ENVIRON["kw_cmark"]; job = ENVIRON["kw_cjob"] }
		NR == 1 && $0 == "" { next }
		env != "" { if (index($0, env "=") == 1) { if (state == "present" && !done) { print job; done = 1 } next } print; next }
		skip { skip = 0; if (state == "present") { print job; done = 1 } next }
		$0 == mark { skip = 1; if (state == "present") print; next }
		{ print }
		END { if (state == "present" && !done) { if (env == "") print mark; print job } }')
}
kw_cron_check() {
	kw_cron_look
	if [ -n "$kw_full" ]; then
		kw_out jobs "$(printf '%s\n' "$kw_new" | sed -n 's/^#Ansible: //p')"
		kw_out envs "$(printf '%s\n' "$kw_new" | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p')"
	fi
	[ "$kw_now" = "$kw_new" ] || return 10
}
kw_cron_apply() {
	if [ -n "$kw_file" ]; then
		kw_plain_file
		[ -e "$kw_file" ] || kw_mexpr=0644
		if [ -n "$kw_new" ]; then printf '%s\n' "$kw_new" | kw_write "$kw_file"; else rm -f -- "$kw_file"; fi
	elif [ -n "$kw_new" ]; then
		printf '%s\n' "$kw_new" | crontab ${kw_user:+-u "$kw_user"} -
	else
		crontab ${kw_user:+-u "$kw_user"} -r 2>/dev/null || :
	fi
}
