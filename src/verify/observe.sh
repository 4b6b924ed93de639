# What verify looks at on a host. Reads only; every section begins with a line "@@NONCE NAME".
# The time comes first, and by this command alone: tests replace it.
N=$KW_NONCE
s() { printf '\n@@%s %s\n' "$N" "$1"; }
s time; date +%s.%N
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin:/usr/local/sbin:/usr/local/bin"
exec 2>&1
look() {
s stat; head -n1 /proc/stat; nproc
s meminfo; cat /proc/meminfo
s swaps; cat /proc/swaps
s fstab; cat /etc/fstab
s swap-units; systemctl list-unit-files --type=swap --no-legend --plain --no-pager; ls /etc/systemd/zram-generator.conf /usr/lib/systemd/zram-generator.conf /etc/default/zramswap 2>/dev/null
s sysctl
( cd /proc/sys && grep -s . net/ipv4/ip_forward net/bridge/bridge-nf-call-iptables net/bridge/bridge-nf-call-ip6tables fs/inotify/max_user_instances fs/inotify/max_user_watches net/netfilter/nf_conntrack_count net/netfilter/nf_conntrack_max )
s sysctl-files; grep -hsvE '^[[:space:]]*([#;]|$)' /usr/lib/sysctl.d/*.conf /etc/sysctl.conf /etc/sysctl.d/*.conf
s modules
for m in overlay br_netfilter vxlan nf_conntrack; do
  if [ -d "/sys/module/$m" ]; then echo "$m loaded"; elif grep -qw "$m" /proc/filesystems; then echo "$m built-in"; elif [ "$m" = br_netfilter ] && [ -d /proc/sys/net/bridge ]; then echo "$m built-in"
  elif [ "$m" = nf_conntrack ] && [ -e /proc/sys/net/netfilter/nf_conntrack_max ]; then echo "$m built-in"; elif [ "$m" = vxlan ] && ip -o link show type vxlan | grep -q .; then echo "$m built-in"; else echo "$m missing"; fi
done
s modules-files; cat /etc/modules-load.d/*.conf 2>/dev/null
s clocksource; cat /sys/devices/system/clocksource/clocksource0/current_clocksource
s ntp; timedatectl show -p NTPSynchronized -p NTP 2>/dev/null; [ -f /.dockerenv ] && echo container
s df; df -PB1 / /var /var/lib/kubelet /var/lib/containerd /var/lib/etcd 2>/dev/null
s dfi; df -Pi / /var /var/lib/kubelet /var/lib/containerd /var/lib/etcd 2>/dev/null
s failed; systemctl list-units --failed --no-legend --plain --no-pager
s units; systemctl show containerd.service kubelet.service -p Id -p ActiveState -p SubState -p NRestarts -p UnitFileState -p Result -p NeedDaemonReload -p ExecMainStartTimestamp --no-pager
s holds; apt-mark showhold
s packages; dpkg-query -W -f '${Package} ${Version} ${db:Status-Want}\n' containerd containerd.io runc kubelet kubeadm kubectl kubernetes-cni 2>/dev/null
s unattended; cat /etc/apt/apt.conf.d/* 2>/dev/null | grep -vE '^[[:space:]]*(//|#)'
s reboot; ls /run/reboot-required /var/run/reboot-required 2>/dev/null; cat /run/reboot-required.pkgs 2>/dev/null
s links; ip -d -o link show
s addresses; ip -o -4 addr show
s routes; ip -4 route show
s fdb; bridge fdb show dev flannel.1
s offload; ethtool -k flannel.1 | grep tx-checksum-ip-generic
s flannel; cat /run/flannel/subnet.env
s cni; ls /etc/cni/net.d
s cgroups; for f in /proc/[0-9]*/cgroup; do grep -hoE '(/[^:]*)?kubepods.*' "$f" 2>/dev/null; done | sort -u | head -n 40
s kubelet-config; cat /var/lib/kubelet/config.yaml
s kubelet-version; kubelet --version
s containerd-version; containerd --version; runc --version | head -n1
s containerd-config; containerd config dump 2>/dev/null
s socket; [ -S /run/containerd/containerd.sock ] && echo socket
s images; timeout 4 ctr -n k8s.io images ls
s mirrors; cat /etc/containerd/certs.d/*/hosts.toml 2>/dev/null
s pod-logs; find /var/log/pods -type f -size +100M 2>/dev/null | head
s proxy-nft; nft list tables 2>/dev/null; nft list table ip kube-proxy 2>/dev/null | wc -l
s proxy-iptables; iptables-save -t nat 2>/dev/null | grep -c KUBE-SVC
s resolv; cat /etc/resolv.conf
s names; for n in $KW_NAMES; do a=$(timeout 3 getent ahostsv4 "$n" 2>/dev/null | head -n1); echo "$n ${a%% *}"; done
s manifests; for f in /etc/kubernetes/manifests/*.yaml; do [ -f "$f" ] && sha256sum "$f"; done
s apiserver; cat /etc/kubernetes/manifests/kube-apiserver.yaml 2>/dev/null
s etcd-members
# By the process, whose control group is named after its container: etcdctl is in etcd's own image.
if p=$(pgrep -ox etcd) && c=$(grep -om1 'cri-containerd-[0-9a-f]*' "/proc/$p/cgroup"); then
  timeout 5 ctr -n k8s.io tasks exec --exec-id "kubewright-$N" "${c##*-}" etcdctl --endpoints=https://127.0.0.1:2379 --cacert=/etc/kubernetes/pki/etcd/ca.crt \
    --cert=/etc/kubernetes/pki/etcd/healthcheck-client.crt --key=/etc/kubernetes/pki/etcd/healthcheck-client.key member list 2>/dev/null
fi
s leftovers; ls -d /var/lib/etcd/member /etc/kubernetes/admin.conf /etc/kubernetes/super-admin.conf 2>/dev/null
s modes; stat -c '%a %U %n' /etc/kubernetes/*.conf /etc/kubernetes/pki/*.key /etc/kubernetes/pki/etcd/*.key /var/lib/kubelet/pki/*.pem /var/lib/kubelet/pki/*.key 2>/dev/null
s certificates
for f in /etc/kubernetes/pki/*.crt /etc/kubernetes/pki/etcd/*.crt /var/lib/kubelet/pki/kubelet.crt /var/lib/kubelet/pki/kubelet-client-current.pem /var/lib/kubelet/pki/kubelet-server-current.pem; do
  [ -f "$f" ] && { echo "file $f"; sed -n '/-----BEGIN CERTIFICATE-----/,/-----END CERTIFICATE-----/p' "$f"; }
done
for f in /etc/kubernetes/*.conf; do
  [ -f "$f" ] && { echo "file $f"; sed -n 's/^ *client-certificate-data: *//p' "$f" | base64 -d 2>/dev/null; }
done
s kubelet-journal; timeout 3 journalctl -u kubelet -p err -n 15 --no-pager -o cat --since -10min 2>/dev/null
s containerd-journal; timeout 3 journalctl -u containerd -n 200 --no-pager -o cat --since -10min 2>/dev/null | grep -E 'level=(error|fatal)' | tail -n 15
s stat2; head -n1 /proc/stat
s end
}
# Parsed as a whole before any of it runs: nothing in it can read the rest of the program.
look </dev/null
