# Stops what runs below the shell $kw_pid: TERM, then KILL to what is left after $kw_grace tenths of a second. With $kw_only, only while
# that step runs; with $kw_all, the shell too. The step's own subshell is frozen meanwhile, so that it can neither go on with its next
# command nor report before its children are gone. The tree is read from /proc, because ps and setsid are not everywhere; what a step
# put into the background for good (its parent is gone) is no child of ours any more, and stays.
kw_scan() { # adds all descendants of what is in kw_tree; kw_alive: those that run
  kw_table=$(
    for kw_f in /proc/[0-9]*/stat; do
      read -r kw_l <"$kw_f" || continue
      set -- ${kw_l##*) }
      echo "${kw_l%% *} $1 $2"
    done 2>/dev/null
  )
  kw_more=1
  while [ -n "$kw_more" ]; do
    kw_more= kw_alive=
    while read -r kw_p kw_state kw_pp; do
      case $kw_tree in
        *" $kw_p "*) ;;
        *" $kw_pp "*) kw_tree="$kw_tree$kw_p " kw_more=1 ;;
        *) continue ;;
      esac
      case $kw_state in [ZX]) continue ;; esac
      case " $kw_pid $kw_frozen " in *" $kw_p "*) ;; *) kw_alive="$kw_alive $kw_p" ;; esac
    done <<KW
$kw_table
KW
  done
}
if [ -n "$kw_only" ]; then
  read -r kw_now <"$kw_dir/s" || kw_now=
  [ "$kw_now" = "$kw_only" ] || exit 0
fi
# The shell acts on this when its step has ended: it removes its directory and goes.
if [ -n "$kw_all" ]; then kill -TERM "$kw_pid" 2>/dev/null; fi
kw_frozen=
kw_tree=" $kw_pid "
kw_scan
while read -r kw_p kw_state kw_pp; do
  if [ "$kw_pp" = "$kw_pid" ]; then kw_frozen="$kw_frozen $kw_p"; fi
done <<KW
$kw_table
KW
if [ -n "$kw_frozen" ]; then kill -STOP $kw_frozen 2>/dev/null; fi
kw_scan
if [ -n "$kw_alive" ]; then kill -TERM $kw_alive 2>/dev/null; fi
while [ "$kw_grace" -gt 0 ]; do
  kw_scan
  [ -n "$kw_alive" ] || break
  sleep 0.1 2>/dev/null || sleep 1
  kw_grace=$((kw_grace - 1))
done
kw_scan
kill -KILL $kw_alive $kw_frozen 2>/dev/null
exit 0
