#!/bin/bash
# The same playbook on the same hosts, in turn: ansible-core (pipelining, ControlPersist), and kubewright. One container with Python and
# an sshd on a port for each host. What is measured is wall time from start to exit, first run (everything to do) and runs in which
# nothing is left to do.
#   hack/bench-engine.sh [RUNS] [TABLE.md]      environment: TASKS (100), HOSTS ("1 10"), BIN (target/debug/kubewright)
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-3} table=${2:-} tasks=${TASKS:-100} bin=$(realpath "${BIN:-target/debug/kubewright}")
venv=$(sh hack/ansible.sh)
image=$(docker images --format '{{.Repository}}:{{.Tag}}' kubewright-conformance/python | head -n 1)
[ -n "$image" ] || { echo "no image kubewright-conformance/python: the conformance suite makes it (make conformance)" >&2; exit 1; }
work=$(mktemp -d) name=kubewright-bench-engine-$$
trap 'docker rm -f -v "$name" >/dev/null 2>&1; rm -rf "$work"' EXIT
ssh-keygen -q -t ed25519 -N '' -f "$work/key"
most=$(printf '%s\n' ${HOSTS:-1 10} | sort -n | tail -n 1)
docker run -d --name "$name" --tmpfs /run:exec,mode=755 --entrypoint sh "$image" -c "mkdir -p /run/sshd; ssh-keygen -A >/dev/null; for i in \$(seq $most); do /usr/sbin/sshd -p \$((2200 + i)); done; exec sleep infinity" >/dev/null
docker exec -i "$name" sh -c 'mkdir -p -m 700 /root/.ssh; cat >/root/.ssh/authorized_keys; chmod 600 /root/.ssh/authorized_keys' <"$work/key.pub"
address=$(docker inspect -f '{{.NetworkSettings.IPAddress}}' "$name")
mkdir -p "$work/home/.ssh"
until docker exec "$name" cat /etc/ssh/ssh_host_ed25519_key.pub >"$work/host" 2>/dev/null && (exec 3<>"/dev/tcp/$address/$((2200 + most))") 2>/dev/null; do sleep 0.2; done
for i in $(seq "$most"); do echo "[$address]:$((2200 + i)) $(cut -d' ' -f1,2 "$work/host")"; done >"$work/home/.ssh/known_hosts"
cat >"$work/ansible.cfg" <<C
[defaults]
forks = 50
retry_files_enabled = False
[ssh_connection]
pipelining = True
ssh_args = -o ControlMaster=auto -o ControlPersist=60s -o UserKnownHostsFile=$work/home/.ssh/known_hosts
control_path_dir = $work/cp
C
python3 - "$tasks" >"$work/play.yml" <<'P'
import sys
print("- hosts: all\n  gather_facts: true\n  vars: {base: '/srv/bench/{{ inventory_hostname }}'}\n  tasks:")
kinds = [
    "file: {path: '{{ base }}/d%d', state: directory, mode: '0755'}",
    "copy: {content: 'number %d\\n', dest: '{{ base }}/d0/c%d', mode: '0644'}",
    "lineinfile: {path: '{{ base }}/lines', line: 'line %d', create: true}",
    "command: 'true'\n      changed_when: false",
    "shell: 'test -d {{ base }} && echo %d'\n      changed_when: false\n      register: r%d",
    "stat: {path: '{{ base }}/d0'}\n      register: s%d",
    "debug: {msg: 'never'}\n      when: base == 'x%d'",
    "blockinfile: {path: '{{ base }}/blocks', create: true, marker: '# {mark} %d', block: 'a %d'}",
]
for n in range(int(sys.argv[1])):
    kind = kinds[n % len(kinds)]
    print("    - name: task %d\n      %s" % (n, kind.replace("%d", str(n) if n % len(kinds) else str(n // len(kinds)))))
P
now() { date +%s.%N; }
ansible() { HOME=$work/home ANSIBLE_CONFIG=$work/ansible.cfg ANSIBLE_HOME=$work/a PATH=$venv/bin:$PATH "$venv/bin/python" "$venv/bin/ansible-playbook" -i "$work/hosts.ini" "$work/play.yml"; }
ours() { HOME=$work/home ANSIBLE_CONFIG=$work/ansible.cfg "$bin" playbook --format ansible -i "$work/hosts.ini" "$work/play.yml"; }
for hosts in ${HOSTS:-1 10}; do
  for i in $(seq "$hosts"); do echo "h$i ansible_host=$address ansible_port=$((2200 + i)) ansible_user=root ansible_ssh_private_key_file=$work/key ansible_python_interpreter=/usr/bin/python3"; done >"$work/hosts.ini"
  for run in first $(seq "$runs"); do
    for tool in ansible ours; do
      [ "$run" != first ] || docker exec "$name" rm -rf /srv/bench
      begun=$(now)
      $tool >"$work/said" 2>&1 </dev/null || { cat "$work/said" >&2; exit 1; }
      ended=$(now)
      recap=$(grep -E '^h1 ' "$work/said" | grep -oE '(ok|changed|failed|skipped)=[0-9]+' | tr '\n' ' ')
      echo "$hosts $run $tool $(echo "$ended - $begun" | bc) $recap" | tee -a "$work/times" >&2
    done
  done
done
python3 - "$work/times" "$tasks" "$bin" <<'P' | tee ${table:+"$table"}
import os, statistics, subprocess, sys
rows = [l.split(None, 4) for l in open(sys.argv[1])]
version = lambda *c: subprocess.run(c, capture_output=True, text=True).stdout.splitlines()[0]
print(f"{sys.argv[2]} tasks (files, edits, commands, conditions) with facts, {os.cpu_count()} cores, load {os.getloadavg()[0]:.0f}; {version(sys.argv[3], '--version')} ({'debug' if b'.debug_info' in open(sys.argv[3], 'rb').read() else 'release'} build)\n")
print("| Hosts | Run | ansible-core: min / median / max s | kubewright: min / median / max s | Ratio of medians |\n| --- | --- | --- | --- | --- |")
show = lambda t: " / ".join(f"{f(t):.2f}" for f in (min, statistics.median, max))
for hosts in dict.fromkeys(r[0] for r in rows):
    for first in (True, False):
        times = {tool: [float(r[3]) for r in rows if r[0] == hosts and r[2] == tool and (r[1] == "first") == first] for tool in ("ansible", "ours")}
        recaps = {tool: {r[4].strip() for r in rows if r[0] == hosts and r[2] == tool and (r[1] == "first") == first} for tool in times}
        assert recaps["ansible"] == recaps["ours"], recaps
        ratio = statistics.median(times["ansible"]) / statistics.median(times["ours"])
        print(f"| {hosts} | {'first' if first else 'nothing to do'} | {show(times['ansible'])} | {show(times['ours'])} | {ratio:.0f} |")
P
