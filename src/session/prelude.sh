# What a session's shell knows before its first program. Names that begin with kw are ours; steps run in subshells, so nothing they do changes them.
umask 022
unset ENV BASH_ENV CDPATH LANGUAGE GREP_OPTIONS
LC_ALL=C
if [ -d /usr/lib/locale/C.utf8 ] || [ -d /usr/lib/locale/C.UTF-8 ]; then LC_ALL=C.UTF-8; fi
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin${PATH:+:$PATH}
DEBIAN_FRONTEND=noninteractive
export LC_ALL PATH DEBIAN_FRONTEND
# What shells that were killed left behind.
if [ -d "/proc/$$" ]; then
  for kw_x in /dev/shm/kw.* /run/kw.* /tmp/kw.* /var/tmp/kw.*; do
    kw_d=${kw_x#*/kw.}
    case $kw_x in *[0-9].??????????) if ! [ -d "/proc/${kw_d%%.*}" ]; then rm -rf "$kw_x" 2>/dev/null; fi ;; esac
  done
fi
kw_d=
for kw_x in /dev/shm /run /tmp /var/tmp; do
  if [ -z "$kw_d" ] && [ -d "$kw_x" ] && [ -w "$kw_x" ]; then kw_d=$(mktemp -d "$kw_x/kw.$$.XXXXXXXXXX" 2>/dev/null); fi
done
trap 'if [ -n "$kw_d" ]; then rm -rf "$kw_d" /var/tmp/kw.$$.*; fi' EXIT
trap 'exit 129' HUP
trap 'exit 141' PIPE
trap 'exit 143' TERM
KW_BLOBS=$kw_d
export KW_BLOBS
kw_n=0

# kw ID FLAGS CHECK APPLY: one step. FLAGS: a = has an apply, k = go on when it fails, i = stdin is in $ID.i, t = may be stopped.
# The subshell is never part of a condition, which would switch its `set -e` off. Nothing is forked for a step that prints nothing.
kw() {
  [ -z "$kw_stop" ] || return 0
  kw_n=$((kw_n + 1))
  kw_i=/dev/null
  case $2 in *i*) kw_i=$kw_d/$1.i ;; esac
  case $2 in *t*) echo "$1" >"$kw_d/s" ;; esac
  printf 'start %s\n' "$1" || exit 1
  (
    kw_c=$3 kw_a=$4
    case $2 in *a*)
      # The check ends, by exit or by set -e, here: 10 goes on with the apply, in the same shell.
      trap 'kw_r=$?; trap - EXIT; case $kw_r in 10) ;; *) exit "$kw_r" ;; esac; echo >"$kw_d/a"; set -eu; eval "$kw_a"; exit "$?"' EXIT
    esac
    set --
    set -eu
    eval "$kw_c"
  ) <"$kw_i" >"$kw_d/$kw_n.o" 2>"$kw_d/$kw_n.e"
  kw_r=$?
  case $2 in *t*) : >"$kw_d/s" ;; esac
  kw_p=c
  if [ -s "$kw_d/a" ]; then kw_p=a; : >"$kw_d/a"; fi
  case $kw_r$kw_p$2 in 0* | 10c[!a]* | 10c | *k*) ;; *) kw_stop=1 ;; esac
  kw_o=- kw_e=-
  [ ! -s "$kw_d/$kw_n.o" ] || kw_o=+
  [ ! -s "$kw_d/$kw_n.e" ] || kw_e=+
  printf 'done %s %s %s %s %s\n' "$1" "$kw_r" "$kw_p" "$kw_o" "$kw_e" || exit 1
  [ "$kw_o" = - ] || kw_show "$kw_d/$kw_n.o" || exit 1
  [ "$kw_e" = - ] || kw_show "$kw_d/$kw_n.e" || exit 1
}

# What a step printed, as far as it is sent (one byte more than that says that there was more), and the mark that ends it:
# counting it would be one more process.
kw_show() {
  head -c 1048577 "$1" </dev/null
  : >"$1"
  printf '\n%s\n' "$kw_mark"
}

# The end of a program: the secrets and inputs it was sent (the arguments) go. Its output files are empty, and cost a process to
# remove: now and then. None is used again before that, because what a step left in the background may go on writing to it.
kw_end() {
  for kw_x; do
    if [ -L "$kw_x" ]; then rm -f "$(readlink "$kw_x")"; fi
  done
  if [ "$#" != 0 ]; then rm -f "$@"; fi
  printf 'end\n' || exit 1
  if [ "$kw_n" -ge 100 ]; then
    rm -f "$kw_d"/*.[oe]
    kw_n=0
  fi
}
