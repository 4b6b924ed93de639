# Where RPMs come from: yum_repository and rpm_key.

# The sections of file $1 as they are written back: only kw_section, its keys in order ($2 is 1), or all others. Comments go.
kw_yumrepo_parts() {
	kw_name=$kw_section kw_one=$2 awk '
		function end(  i, j, n, t, v) {
			if (section != "" && (section == ENVIRON["kw_name"]) == (ENVIRON["kw_one"] == 1)) {
				n = count
				if (ENVIRON["kw_one"]) for (i = 2; i <= n; i++) {
					t = keys[i]
					for (j = i - 1; j > 0 && keys[j] > t; j--) keys[j + 1] = keys[j]
					keys[j + 1] = t
				}
				print "[" section "]"
				for (i = 1; i <= n; i++) {
					v = values[keys[i]]
					gsub(/\n/, "\n\t", v)
					print keys[i] " = " v
				}
				print ""
			}
			split("", values)
			count = 0
			key = ""
		}
		function strip(text) {
			sub(/^[ \t]+/, "", text)
			sub(/[ \t\r]+$/, "", text)
			return text
		}
		/^[ \t]*[#;]/ { next }
		/^[ \t\r]*$/ { blank = blank "\n"; next }
		/^[ \t]/ && key != "" { values[key] = values[key] blank "\n" strip($0); blank = ""; next }
		{ blank = "" }
		/^\[.+\]/ { end(); section = $0; sub(/\][^]]*$/, "", section); section = substr(section, 2); next }
		match($0, /[=:]/) && section != "" {
			key = tolower(strip(substr($0, 1, RSTART - 1)))
			if (!(key in values)) keys[++count] = key
			values[key] = strip(substr($0, RSTART + 1))
			next
		}
		{ bad = 1; exit 3 }
		END { if (bad) exit 3; end() }
	' <"$1"
}

kw_yumrepo_check() {
	[ -d "${KW_ROOT-}$kw_repos" ] || kw_fail "the directory of repositories $kw_repos does not exist"
	kw_dest=${KW_ROOT-}$kw_repos/$kw_file
	kw_differs='' kw_content='' kw_now='' kw_rest=''
	if [ -f "$kw_dest" ]; then
		kw_now=$(kw_yumrepo_parts "$kw_dest" 1) && kw_rest=$(kw_yumrepo_parts "$kw_dest" '') || kw_fail "$kw_dest is no file of repositories"
	fi
	case $kw_state in
	absent) [ -z "$kw_now" ] || kw_content=1 ;;
	*) [ "$kw_now" = "$(cat "$KW_BLOBS/$kw_sha")" ] || kw_content=1 ;;
	esac
	if [ -n "$kw_content" ]; then
		if [ -n "$kw_diff" ]; then
			kw_out subject "$kw_dest"
			if [ -f "$kw_dest" ]; then kw_out_stdin before <"$kw_dest"; else kw_out before ''; fi
			kw_yumrepo_text | kw_out_stdin after
		fi
		return 10
	fi
	[ ! -f "$kw_dest" ] || kw_attributes "$kw_dest"
	[ -z "$kw_differs" ] || return 10
}

# The file as it shall be.
kw_yumrepo_text() {
	[ -z "$kw_rest" ] || printf '%s\n\n' "$kw_rest"
	[ "$kw_state" = absent ] || {
		cat "$KW_BLOBS/$kw_sha"
		echo
	}
}

kw_yumrepo_apply() {
	kw_validate='' kw_backup=''
	if [ -z "$kw_content" ]; then
		kw_set_attributes "$kw_dest"
	elif [ "$kw_state" = absent ] && [ -z "$kw_rest" ]; then
		rm -f -- "$kw_dest"
	else
		kw_yumrepo_text | kw_write "$kw_dest"
	fi
}

# The fingerprints of all keys and subkeys in file $1, armoured or not, a line each; the first is that of the key itself. With a
# second argument no subkeys. A fingerprint is the SHA-1 of a key's packet (RFC 4880, 12.2).
kw_key_prints() {
	if grep -q 'BEGIN PGP PUBLIC KEY' "$1" 2>/dev/null; then kw_dearmor <"$1"; else cat "$1"; fi | od -An -v -tx1 | awk -v "main=${2:-}" '
		BEGIN {
			for (i = 0; i < 256; i++) {
				h = sprintf("%02x", i)
				number[h] = i
				octal[h] = sprintf("\\%03o", i)
			}
		}
		{ for (i = 1; i <= NF; i++) byte[++count] = $i }
		function big(n,  v) {
			for (v = 0; n > 0; n--) v = v * 256 + number[byte[at++]]
			return v
		}
		END {
			at = 1
			while (at <= count) {
				t = big(1)
				if (t < 128) exit
				if (t >= 192) {
					tag = t - 192
					size = big(1)
					if (size == 255) size = big(4)
					else if (size >= 224) exit
					else if (size >= 192) size = (size - 192) * 256 + big(1) + 192
				} else {
					tag = int((t - 128) / 4)
					if (t % 4 == 3) exit
					size = big(t % 4 == 2 ? 4 : t % 4 + 1)
				}
				if ((tag == 6 || tag == 14 && main == "") && byte[at] == "04" && at + size - 1 <= count) {
					printf "\\231%s%s", octal[sprintf("%02x", int(size / 256))], octal[sprintf("%02x", size % 256)]
					for (i = at; i < at + size; i++) printf "%s", octal[byte[i]]
					print ""
				}
				at += size
			}
		}' | while read -r kw_xk; do
		kw_xs=$(printf "$kw_xk" | sha1sum)
		printf '%s\n' "${kw_xs%% *}"
	done
}

# kw_version: the installed key that is meant, as rpm names it: by the end of its fingerprint.
kw_rpmkey_check() {
	kw_from='' kw_version='' kw_found=''
	if [ -z "$kw_id" ]; then
		kw_from=$kw_key
		case $kw_key in
		*://*)
			kw_from=$KW_BLOBS/kw-rpm-key
			kw_download "$kw_key" "$kw_from" || kw_fail "cannot download the key $kw_key"
			;;
		*) [ -f "$kw_key" ] || kw_fail "there is no key $kw_key" ;;
		esac
		kw_found=$(kw_key_prints "$kw_from")
		[ -n "$kw_found" ] || kw_fail "$kw_key is no public key"
		read -r kw_id <<-EOT
			$kw_found
		EOT
	fi
	for kw_xv in $(rpm -q gpg-pubkey --qf '%{VERSION}\n' 2>/dev/null | grep -ix '[0-9a-f]*'); do
		case $kw_id:$kw_xv in
		*"$kw_xv:"* | *":"*"$kw_id") kw_version=$kw_xv ;;
		esac
	done
	if [ "$kw_state" = absent ]; then
		[ -z "$kw_version" ] || return 10
		return 0
	fi
	[ -z "$kw_version" ] || return 0
	[ -n "$kw_from" ] || kw_fail "key $kw_id is not installed, and an id says nothing of where it comes from: give a file or a URL"
	for kw_xp in $kw_prints; do
		case " $(printf '%s ' $kw_found)" in
		*" $kw_xp "*) ;;
		*) kw_fail "$kw_key has no key with the fingerprint $kw_xp, but $(printf '%s ' $kw_found)" ;;
		esac
	done
	return 10
}
kw_rpmkey_apply() {
	if [ "$kw_state" = absent ]; then
		rpm -e --allmatches "gpg-pubkey-$kw_version"
	else
		rpm --import "$kw_from"
	fi
}
