# What a support bundle takes from a host. Reads only; every section begins with "@@NONCE NAME", and NAME is a file in the bundle.
# No private key, kubeconfig, token or environment of a process is read: what is not there need not be redacted.
N=$KW_NONCE
s() { printf '\n@@%s %s\n' "$N" "$1"; }
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin:/usr/local/sbin:/usr/local/bin"
exec 2>&1
look() {
s system/os; cat /etc/os-release; uname -a; uptime; systemctl is-system-running
s system/time; date -u; timedatectl 2>/dev/null
s system/memory; cat /proc/meminfo /proc/swaps /proc/loadavg
s system/disks; df -P; df -Pi; cat /proc/mounts | head -n 200
s system/processes; ps -eo pid,ppid,user,stat,pcpu,pmem,etime,comm --sort=-pmem | head -n 200
s system/units; systemctl list-units --all --type=service,timer,mount,swap --no-legend --plain --no-pager | head -n 300
s system/sysctl; sysctl -a 2>/dev/null | grep -E '^(net\.(ipv4\.(ip_forward|conf)|bridge|netfilter)|fs\.inotify|kernel\.panic|vm\.(overcommit|swappiness))' | head -n 300
s system/kernel.log; dmesg -T 2>/dev/null | tail -n 300
s system/packages; dpkg-query -W -f '${Package} ${Version} ${db:Status-Want}\n' 'kube*' 'containerd*' runc 2>/dev/null; apt-mark showhold 2>/dev/null; tail -n 60 /var/log/apt/history.log 2>/dev/null
s network/links; ip -d -s link show
s network/addresses; ip addr show; ip rule show; ip route show table all | head -n 300; ip neigh show | head -n 200
s network/vxlan; bridge fdb show dev flannel.1 2>/dev/null; ethtool -k flannel.1 2>/dev/null; cat /run/flannel/subnet.env 2>/dev/null
s network/sockets; ss -Hlntup | head -n 200
s network/rules; timeout 5 nft list ruleset 2>/dev/null | head -n 3000; timeout 5 iptables-save 2>/dev/null | head -n 1000
s network/names; cat /etc/resolv.conf /etc/hosts /etc/nsswitch.conf
s network/cni; for f in /etc/cni/net.d/*; do [ -f "$f" ] && { echo "# $f"; head -c 20000 "$f"; echo; }; done
for f in /etc/containerd/config.toml /var/lib/kubelet/config.yaml /var/lib/kubelet/kubeadm-flags.env /etc/default/kubelet /etc/modules-load.d/*.conf /etc/sysctl.d/*.conf /etc/fstab /etc/kubernetes/manifests/*.yaml /etc/systemd/system/kubelet.service.d/*.conf /usr/lib/systemd/system/kubelet.service.d/*.conf; do
  [ -f "$f" ] && { s "files$f"; head -c 100000 "$f"; echo; }
done
s files/list; ls -laR /etc/kubernetes /etc/containerd /etc/cni/net.d /var/lib/kubelet/pki 2>/dev/null | head -n 400
s runtime/containers; timeout 5 ctr -n k8s.io containers ls 2>/dev/null | head -n 200; timeout 5 ctr -n k8s.io tasks ls 2>/dev/null | head -n 200
s runtime/images; timeout 5 ctr -n k8s.io images ls -q 2>/dev/null | head -n 200
for u in kubelet containerd; do s "logs/$u.log"; timeout 10 journalctl -u "$u" --since "-${KW_SECONDS}s" -n 3000 --no-pager -o short-iso 2>/dev/null; done
s logs/warnings.log; timeout 10 journalctl -p warning --since "-${KW_SECONDS}s" -n 1000 --no-pager -o short-iso 2>/dev/null
# Logs of the system's pods; a container's logs are numbered by its restarts.
for d in /var/log/pods/kube-system_*/* /var/log/pods/kube-flannel_*/*; do
  [ -d "$d" ] || continue
  p=${d#/var/log/pods/}
  f=$(find "$d/" -name '*.log' | sort -V | tail -n 2)
  for l in $f; do s "logs/pods/$p/${l##*/}"; tail -n 1000 "$l" | head -c 1000000; done
done
s end
}
look </dev/null
