#!/bin/bash
# The same cluster (1 + 3 nodes from no containers, artefacts cached) twice, side by side and in turn: by kubewright, and by
# plain docker, sh and kubeadm. BY_HAND names the directory of those scripts (1-build.sh and 2-mirror.sh must have been run;
# its 3-cluster.sh prints a time per step). Without it only kubewright is measured, and the table says so.
#   hack/bench-bootstrap.sh [RUNS] [TABLE.md]
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-3} table=${2:-}
by_hand=${BY_HAND:-../shared/by-hand}
bin=target/debug/kubewright
work=$(mktemp -d); trap '$bin destroy -i "$work" --yes >/dev/null 2>&1; rm -rf "$work"' EXIT
export XDG_STATE_HOME=$work/state
printf 'cluster: bench\nprovider: lab\nnetwork: {vpc: 172.28.0.0/16}\n' > "$work/cluster.yaml"
for run in $(seq "$runs"); do
  $bin bootstrap -i "$work" --yes --format json > "$work/ours.$run" 2>/dev/null
  $bin destroy -i "$work" --yes >/dev/null 2>&1
  if [ -x "$by_hand/3-cluster.sh" ]; then
    bash "$by_hand/3-cluster.sh" > "$work/theirs.$run"
    # Its nodes, so that they do not run beside ours; its `down` takes the mirror away too, which the next run needs.
    docker ps -aq --filter ancestor=byhand-node | xargs -r docker rm -fv >/dev/null
  fi
  echo "run $run of $runs: load $(cut -d' ' -f1 /proc/loadavg)" >&2
done
python3 - "$work" "$runs" <<'P' | tee ${table:+"$table"}
import datetime, json, pathlib, re, statistics, sys
work, runs = pathlib.Path(sys.argv[1]), int(sys.argv[2])
at = lambda e: datetime.datetime.fromisoformat(e["at"].replace("Z", "+00:00"))
ours, paths = {"four nodes Ready": [], "CoreDNS ready": [], "health report": []}, []
for run in range(1, runs + 1):
    events = [json.loads(line) for line in open(work / f"ours.{run}") if line.startswith("{")]
    events, report = [e for e in events if "at" in e], [e for e in events if e["event"] == "health_report"]
    begun = at(events[0])
    ended = lambda name: [(at(e) - begun).total_seconds() for e in events if e["event"] == "task_finished" and e["name"].startswith(name)]
    ours["four nodes Ready"].append(max(ended("Labels, taints and readiness")))
    ours["CoreDNS ready"].append(max(ended("CoreDNS")))
    ours["health report"].append(next(e["elapsed"] for e in events if e["event"] == "step_finished" and e["id"] == "verify"))
    healthy = report and all(c["status"] != "failed" for c in report[0]["report"]["checks"])
    assert healthy, "a bench of a cluster that is not healthy is worth nothing"
theirs = {}
for run in range(1, runs + 1):
    file = work / f"theirs.{run}"
    for line in file.read_text().splitlines() if file.exists() else []:
        if m := re.match(r" *(\d+) ms  (.*)", line):
            theirs.setdefault(m[2], []).append(int(m[1]) / 1000)
def cell(values): return f"{statistics.median(values):.1f} s ({min(values):.1f}-{max(values):.1f})" if values else "not measured"
print(f"| from no containers to | kubewright | plain docker, sh and kubeadm |\n|---|---|---|")
for name in ours: print(f"| {name} | {cell(ours[name])} | {cell(theirs.get(name))} |" if name != "health report" else f"| {name}, after it | {cell(ours[name])} | none |")
print(f"\nMedian (smallest-largest) of {runs} runs in turn.")
P
echo >&2; echo "Critical path of the last run:" >&2
$bin bootstrap -i "$work" --yes --no-verify --format plain 2>&1 | sed -n '/^Critical path/,/^[a-z]/p' | sed '$d' >&2
