# What explain looks at on a host where kubeadm or kubelet failed. Reads only; every section begins with "@@NONCE NAME".
N=$KW_NONCE
s() { printf '\n@@%s %s\n' "$N" "$1"; }
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin:/usr/local/sbin:/usr/local/bin"
exec 2>&1
look() {
# Only what happened in this run: an earlier one may have failed for another reason.
s kubelet; timeout 5 journalctl -u kubelet --since "-${KW_SECONDS}s" -n 400 --no-pager -o cat 2>/dev/null
s containerd; timeout 5 journalctl -u containerd --since "-${KW_SECONDS}s" -n 200 --no-pager -o cat 2>/dev/null | grep -E 'level=(warning|error|fatal)|[Ff]ailed'
# The newest log of each container of the control plane and of the pod network; a container's logs are numbered by its restarts.
for d in /var/log/pods/kube-system_etcd-*/* /var/log/pods/kube-system_kube-*/* /var/log/pods/kube-flannel_*/* /var/log/pods/kube-system_coredns-*/*; do
  [ -d "$d" ] || continue
  f=$(find "$d/" -name '*.log' -newermt "-$KW_SECONDS seconds" | sort -V | tail -n1)
  [ -n "$f" ] && { s "pod/${d##*/}"; tail -n 40 "$f" | cut -d' ' -f4-; }
done
s disk; df -P / /var 2>/dev/null | awk 'NR > 1 && $4 < 1024 { print $6 ": no space left on device" }'
s end
}
look </dev/null
