# Stops what runs below the shell $kw_pid: TERM, then KILL to what is left after $kw_grace s. With $kw_only, only while that step runs;
# with $kw_all, the shell too. The tree is read from /proc, because ps and setsid are not everywhere; what a step put into the background
# for good (its parent is gone) is no child of ours any more, and stays.
kw_stat() {
  for kw_f in /proc/[0-9]*/stat; do
    read -r kw_l <"$kw_f" || continue
    kw_p=${kw_l%% *}
    set -- ${kw_l##*) }
    echo "$kw_p $2"
  done 2>/dev/null
}
kw_tree=" $kw_pid "
kw_table=$(kw_stat)
kw_more=1
while [ -n "$kw_more" ]; do
  kw_more=
  while read -r kw_p kw_pp; do
    case $kw_tree in *" $kw_p "*) continue ;; esac
    case $kw_tree in *" $kw_pp "*) kw_tree="$kw_tree$kw_p " kw_more=1 ;; esac
  done <<KW
$kw_table
KW
done
kw_tree=${kw_tree#" $kw_pid "}
if [ -n "$kw_only" ]; then
  read -r kw_now <"$kw_dir/s" || kw_now=
  [ "$kw_now" = "$kw_only" ] || exit 0
fi
if [ -n "$kw_all" ]; then kill -TERM "$kw_pid" 2>/dev/null; fi
if [ -n "$kw_tree" ]; then kill -TERM $kw_tree 2>/dev/null; fi
kw_left=$kw_grace
while [ "$kw_left" -gt 0 ]; do
  kill -0 $kw_tree $kw_all 2>/dev/null || exit 0
  sleep 1
  kw_left=$((kw_left - 1))
done
kill -KILL $kw_tree $kw_all 2>/dev/null
exit 0
