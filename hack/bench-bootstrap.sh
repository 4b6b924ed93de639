#!/bin/bash
# The same cluster twice, side by side: by kubewright, and by plain docker, sh and kubeadm (the scripts in BY_HAND, whose
# artefacts must have been built before). Prints the time until four nodes are Ready, run by run, and the medians.
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-3}
by_hand=${BY_HAND:-../shared/by-hand}
bin=target/debug/kubewright
median() { sort -n | awk '{v[NR]=$1} END {print (NR % 2) ? v[(NR+1)/2] : (v[NR/2]+v[NR/2+1])/2}'; }
ours=(); theirs=()
for run in $(seq "$runs"); do
  $bin destroy -i inventories/lab --yes >/dev/null 2>&1 || true
  begun=$(date +%s%N)
  $bin bootstrap -i inventories/lab --yes --no-verify --format plain >/tmp/kubewright-bench.log 2>&1
  ours+=($(( ($(date +%s%N) - begun) / 1000000 )))
  $bin destroy -i inventories/lab --yes >/dev/null 2>&1
  if [ -x "$by_hand/3-cluster.sh" ]; then
    theirs+=("$(bash "$by_hand/3-cluster.sh" | awk '/CoreDNS ready/ {print $1}')")
    bash "$by_hand/3-cluster.sh" down >/dev/null 2>&1 || true
  fi
  printf 'run %s: kubewright %s ms, by hand %s ms\n' "$run" "${ours[-1]}" "${theirs[-1]:-not measured}"
done
printf 'median: kubewright %s ms, by hand %s ms\n' "$(printf '%s\n' "${ours[@]}" | median)" "$(printf '%s\n' "${theirs[@]:-0}" | median)"
