# Kubernetes and its companions from Go modules: binaries, packages, images, for hosts that reach no official downloads.
# Every stage is a directory named by its version and the text of its function, and appears by a rename.
#   CACHE: the lab's cache; K8S ETCD_TAG COREDNS_TAG PAUSE_TAG: what the release needs; PROBE, MIRROR: sources of our own.
ETCD=3.6.8 COREDNS=1.14.3 FLANNEL=0.28.4 CNI=1.9.1 CONTAINERD=2.3.7 RUNC=1.5.2 METRICS=0.9.0
need golang-go go gcc gcc libc6-dev /usr/include/stdlib.h libseccomp-dev /usr/include/seccomp.h pkg-config pkg-config \
  dpkg-dev dpkg-deb apt-utils apt-ftparchive gpg gpg mmdebstrap mmdebstrap
export CGO_ENABLED=0 GOFLAGS="-buildvcs=false"
ARCH=$(dpkg --print-architecture)
mkdir -p "$CACHE"/{stage,apt,mirror/apt,mirror/blobs,mirror/manifests}
rm -rf "$CACHE"/stage/.new.*

# stage NAME VERSION: runs build_NAME in a new directory unless it was done before; sets DIR.
stage() {
  local hash; hash=$({ declare -f "build_$1" wrapper; echo "${3:-}"; } | sha256sum | cut -c1-12)
  DIR=$CACHE/stage/$1-$2-$hash
  [ -d "$DIR" ] && return 0
  step "${4:-building} $1 $2"
  local new=$CACHE/stage/.new.$1.$BASHPID; mkdir -p "$new"
  # Not in a condition: there `set -e` would be off inside.
  set +e; ( set -e; cd "$new"; OUT=$new; "build_$1" "$2" ); local rc=$?; set -e
  [ $rc = 0 ] || { echo "building $1 $2 failed" >&2; rm -rf "$new"; exit 1; }
  rm -rf "$new/src"; mv -T "$new" "$DIR" 2>/dev/null || rm -rf "$new"
}
# wrapper GO MODULE@VERSION PACKAGE...: in ./src a module that requires one module and imports its commands.
wrapper() {
  mkdir -p src; cd src; local go=$1 m=$2; shift 2
  printf 'module lab\ngo %s\nrequire %s %s\n' "$go" "${m%@*}" "${m#*@}" > go.mod
  { echo '//go:build tools'; echo 'package lab'; for p in "$@"; do echo "import _ \"$p\""; done; } > tools.go
  go mod tidy -e >/dev/null 2>&1 || true
}
# The staging modules are replaced by directories in the repository: here by their published versions.
build_kubernetes() {
  mkdir src; cd src; printf 'module lab\ngo 1.24\n' > go.mod
  local dir; dir=$(go mod download -json "k8s.io/kubernetes@v$1" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
  [ -n "$dir" ] || { echo "k8s.io/kubernetes v$1 cannot be fetched from the Go module proxy" >&2; return 1; }
  { echo 'module lab'; grep -m1 '^go ' "$dir/go.mod"; echo "require k8s.io/kubernetes v$1"; echo 'replace ('
    sed -n '/^replace (/,/^)/p' "$dir/go.mod" | awk -v v="v0.${1#1.}" '/=>/{print "\t"$1" => "$1" "v}'; echo ')'; } > go.mod
  cp "$dir/go.sum" go.sum; chmod u+w go.sum
  { echo '//go:build tools'; echo 'package lab'; for c in kubeadm kubelet kube-apiserver kube-controller-manager kube-scheduler kube-proxy; do echo "import _ \"k8s.io/kubernetes/cmd/$c/app\""; done; } > tools.go
  go mod tidy -e >/dev/null 2>&1 || true
  local v=k8s.io/component-base/version minor=${1#1.}; minor=${minor%.*}
  local flags="-s -w -X $v.gitVersion=v$1 -X $v.gitMajor=1 -X $v.gitMinor=$minor -X $v.gitTreeState=clean -X $v.gitCommit=$(printf '0%.0s' {1..40}) -X $v.buildDate=2026-01-01T00:00:00Z"
  for c in kubeadm kubelet kubectl kube-apiserver kube-controller-manager kube-scheduler kube-proxy; do
    step "building $c $1"
    go build -mod=mod -trimpath -ldflags "$flags" -o "$OUT/$c" "k8s.io/kubernetes/cmd/$c"
  done
}
build_etcd() {
  mkdir src; cd src; go mod init lab >/dev/null 2>&1
  go get "go.etcd.io/etcd/server/v3@v$1" "go.etcd.io/etcd/etcdctl/v3@v$1" "go.etcd.io/etcd/etcdutl/v3@v$1" >/dev/null 2>&1
  go build -trimpath -ldflags '-s -w' -o "$OUT/etcd" go.etcd.io/etcd/server/v3
  go build -trimpath -ldflags '-s -w' -o "$OUT/" go.etcd.io/etcd/etcdctl/v3 go.etcd.io/etcd/etcdutl/v3
}
build_coredns() {
  mkdir src; cd src; go mod init lab >/dev/null 2>&1
  go get "github.com/coredns/coredns@v$1" >/dev/null 2>&1
  go build -trimpath -ldflags '-s -w' -o "$OUT/coredns" github.com/coredns/coredns
}
# Without the backend whose SDK no proxy has; cgo, because the udp backend has C.
build_flannel() {
  printf 'module lab\ngo 1.24\n' > go.mod
  local dir; dir=$(go mod download -json "github.com/flannel-io/flannel@v$1" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p'); rm go.mod
  cp -r "$dir" src; chmod -R u+w src; cd src; sed -i '/tencentvpc/d' main.go; rm -rf pkg/backend/tencentvpc
  CGO_ENABLED=1 go build -trimpath -mod=mod -ldflags "-s -w -extldflags -static -X github.com/flannel-io/flannel/pkg/version.Version=v$1" -o "$OUT/flanneld" .
  cd ..; rm -rf src
  # The last version of the plugins' module that had Flannel's.
  wrapper 1.21 github.com/containernetworking/plugins@v0.9.1 github.com/containernetworking/plugins/plugins/meta/flannel
  go build -mod=mod -trimpath -ldflags '-s -w' -o "$OUT/cni-flannel" github.com/containernetworking/plugins/plugins/meta/flannel
}
build_cni() {
  local p packages=()
  for p in main/bridge main/loopback main/ptp ipam/host-local meta/portmap meta/bandwidth meta/firewall meta/tuning; do packages+=("github.com/containernetworking/plugins/plugins/$p"); done
  wrapper 1.24 "github.com/containernetworking/plugins@v$1" "${packages[@]}"
  go build -trimpath -ldflags '-s -w' -o "$OUT/" "${packages[@]}"
}
build_containerd() {
  local packages=(github.com/containerd/containerd/v2/cmd/{containerd,containerd-shim-runc-v2,ctr})
  wrapper 1.26 "github.com/containerd/containerd/v2@v$1" "${packages[@]}"
  go build -trimpath -tags 'no_btrfs no_devmapper no_zfs' -ldflags "-s -w -X github.com/containerd/containerd/v2/version.Version=$1" -o "$OUT/" "${packages[@]}"
}
# Without seccomp every sandbox is refused.
build_runc() {
  wrapper 1.26 "github.com/opencontainers/runc@v$1" github.com/opencontainers/runc
  CGO_ENABLED=1 go build -trimpath -tags 'netgo osusergo seccomp' -ldflags '-s -w -extldflags -static' -o "$OUT/runc" github.com/opencontainers/runc
}
build_metrics() {
  wrapper 1.26 "sigs.k8s.io/metrics-server@v$1" sigs.k8s.io/metrics-server/cmd/metrics-server/app
  go build -trimpath -ldflags '-s -w' -o "$OUT/" sigs.k8s.io/metrics-server/cmd/metrics-server
}
build_pause() {
  printf '#include <signal.h>\n#include <sys/wait.h>\n#include <unistd.h>\nstatic void reap(int s){(void)s;while(waitpid(-1,0,WNOHANG)>0);}\nstatic void stop(int s){(void)s;_exit(0);}\nint main(void){signal(SIGINT,stop);signal(SIGTERM,stop);signal(SIGCHLD,reap);for(;;)pause();}\n' |
    gcc -x c -Os -static -o "$OUT/pause" -
}
build_probe() { mkdir src; cd src; printf 'module kubewright/probe\n\ngo 1.23\n' > go.mod; printf %s "$PROBE" > main.go; go build -trimpath -ldflags '-s -w' -o "$OUT/probe" .; }
build_mirror() { mkdir src; cd src; printf 'module kubewright/mirror\n\ngo 1.21\n' > go.mod; printf %s "$MIRROR" > main.go; go build -trimpath -ldflags '-s -w' -o "$OUT/mirror" .; }
# Base of the images that call nft and iptables: those, their libraries, and busybox for a shell.
build_net() {
  mmdebstrap --quiet --variant=extract --include=nftables,iptables,conntrack,ethtool,busybox-static \
    --extract-hook='mkdir -p "$1/usr/sbin" "$1/bin" "$1/tmp" && for n in iptables ip6tables iptables-save iptables-restore ip6tables-save ip6tables-restore; do ln -sf xtables-nft-multi "$1/usr/sbin/$n"; done; for n in sh cp cat ls ip; do [ -e "$1/bin/$n" ] || ln -sf /bin/busybox "$1/bin/$n"; done; rm -rf "$1"/usr/share/doc "$1"/usr/share/man "$1"/usr/share/locale' \
    "$1" "$OUT/layer.tar"
}

# package STAGED NAME VERSION DEPENDS [FIELD]: the .deb of what was put into STAGED.
package() {
  mkdir -p "$1/DEBIAN"
  { echo "Package: $2"; echo "Version: $3"; echo "Architecture: $ARCH"; echo "Maintainer: kubewright lab <lab@example.invalid>"
    [ -z "$4" ] || echo "Depends: $4"; [ -z "${5:-}" ] || echo "$5"; echo "Description: $2, built from Go modules for the lab"; } > "$1/DEBIAN/control"
  dpkg-deb -Zzstd -z1 --root-owner-group -b "$1" "$OUT/$2_$3_$ARCH.deb" >/dev/null
}
put() { install -D -m 755 "$@"; }
unit() { mkdir -p "$(dirname "$1")"; cat > "$1"; }
build_deb_kubernetes() {
  local c; for c in kubelet kubeadm kubectl; do put "$FROM/$c" "src/$c/usr/bin/$c"; done
  unit src/kubelet/usr/lib/systemd/system/kubelet.service <<'U'
[Unit]
Description=kubelet
After=network-online.target
[Service]
ExecStart=/usr/bin/kubelet
Restart=always
StartLimitInterval=0
RestartSec=2
[Install]
WantedBy=multi-user.target
U
  unit src/kubeadm/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf <<'U'
[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
EnvironmentFile=-/etc/default/kubelet
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
U
  package src/kubelet kubelet "$1-1.1" 'iptables, ebtables, kubernetes-cni, iproute2, conntrack, mount, util-linux, ethtool'
  package src/kubeadm kubeadm "$1-1.1" kubelet
  package src/kubectl kubectl "$1-1.1" ''
}
build_deb_cni() { local p; for p in "$FROM"/*; do put "$p" "src/cni/opt/cni/bin/$(basename "$p")"; done; package src/cni kubernetes-cni "$1-1.1" ''; }
# No LimitNOFILE: raising it needs CAP_SYS_RESOURCE, which a lab's host may lack.
build_deb_containerd() {
  local p; for p in containerd containerd-shim-runc-v2 ctr; do put "$FROM/$p" "src/c/usr/bin/$p"; done; put "$RUNC_DIR/runc" src/c/usr/bin/runc
  unit src/c/usr/lib/systemd/system/containerd.service <<'U'
[Unit]
Description=containerd
After=network.target
[Service]
ExecStart=/usr/bin/containerd
Type=notify
Delegate=yes
KillMode=process
Restart=always
RestartSec=2
TasksMax=infinity
[Install]
WantedBy=multi-user.target
U
  package src/c containerd.io "$1-1" '' 'Conflicts: containerd, runc'
}

# blob FILE: keeps it by its digest, which is printed.
blob() { local d; d=sha256:$(sha256sum < "$1" | cut -d' ' -f1); mv "$1" "$CACHE/mirror/blobs/$d"; echo "$d"; }
# layer FILE...: prints the digest of a layer with SOURCE:TARGET files. Uncompressed: the network is this host's own.
layer() {
  local dir f t; dir=$(mktemp -d -p "$CACHE/stage" .new.layer.XXXXXX)
  for f in "$@"; do put "${f%%:*}" "$dir/root${f##*:}"; done
  tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$dir/root" -cf "$dir/layer.tar" .
  blob "$dir/layer.tar"; rm -rf "$dir"
}
# image NAME:TAG BASE-LAYER FILE...: the first file is the entry point; BASE-LAYER: a digest or ''.
image() {
  local name=${1%:*} tag=${1##*:} layers=() entry new list='' ids='' d config manifest
  [ -z "$2" ] || layers+=("$2"); entry=${3##*:}; shift 2
  layers+=("$(layer "$@")")
  for d in "${layers[@]}"; do
    list+=",{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"$d\",\"size\":$(stat -c %s "$CACHE/mirror/blobs/$d")}"; ids+=",\"$d\""
  done
  new=$(mktemp -d -p "$CACHE/stage" .new.image.XXXXXX)
  printf '{"architecture":"%s","os":"linux","config":{"Entrypoint":["%s"],"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]},"rootfs":{"type":"layers","diff_ids":[%s]}}' "$ARCH" "$entry" "${ids#,}" > "$new/config"
  local size; size=$(stat -c %s "$new/config"); config=$(blob "$new/config")
  printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"%s","size":%s},"layers":[%s]}' "$config" "$size" "${list#,}" > "$new/manifest"
  cp "$new/manifest" "$new/tag"; manifest=$(blob "$new/manifest")
  mkdir -p "$CACHE/mirror/manifests/$name"; mv "$new/tag" "$CACHE/mirror/manifests/$name/$tag"; rm -rf "$new"
  printf '%s %s\n' "$manifest" "$name:$tag" >> "$CACHE/mirror/images.log"
}

# Ours first, and small: the mirror and the probe.
stage mirror 1 "$MIRROR"; cp "$DIR/mirror" "$CACHE/mirror/.server"; mv "$CACHE/mirror/.server" "$CACHE/mirror/server"
stage probe 1 "$PROBE"; image kubewright/probe:v2 '' "$DIR/probe:/probe"
if [ "${ONLY_PROBE:-}" = 1 ]; then exit 0; fi

( stage net bookworm; layer=$CACHE/mirror/blobs/net-$$; cp "$DIR/layer.tar" "$layer"; blob "$layer" > "$CACHE/stage/.new.net-digest" ) & NET=$!
DEBS=()
deb() { stage "deb_$1" "$2" "$FROM${RUNC_DIR:-}$(declare -f package put unit)" packing; DEBS+=("$DIR"/*.deb); }
stage kubernetes "$K8S"; KUBE=$DIR
wait $NET; NETLAYER=$(cat "$CACHE/stage/.new.net-digest")
step "packing images of Kubernetes $K8S"
for c in kube-apiserver kube-controller-manager kube-scheduler; do image "$c:v$K8S" '' "$KUBE/$c:/usr/local/bin/$c"; done
image "kube-proxy:v$K8S" "$NETLAYER" "$KUBE/kube-proxy:/usr/local/bin/kube-proxy"
FROM=$KUBE deb kubernetes "$K8S"
stage etcd $ETCD; image "etcd:$ETCD_TAG" '' "$DIR/etcd:/usr/local/bin/etcd" "$DIR/etcdctl:/usr/local/bin/etcdctl" "$DIR/etcdutl:/usr/local/bin/etcdutl"
stage coredns $COREDNS; image "coredns/coredns:$COREDNS_TAG" '' "$DIR/coredns:/coredns"
stage flannel $FLANNEL; image "flannel-io/flannel:v$FLANNEL" "$NETLAYER" "$DIR/flanneld:/opt/bin/flanneld"
image flannel-io/flannel-cni-plugin:v1.9.1-flannel1 "$NETLAYER" "$DIR/cni-flannel:/flannel"
stage cni $CNI; FROM=$DIR deb cni $CNI
stage runc $RUNC; RUNC_DIR=$DIR; stage containerd $CONTAINERD; FROM=$DIR deb containerd $CONTAINERD
stage metrics $METRICS; image "metrics-server/metrics-server:v$METRICS" '' "$DIR/metrics-server:/metrics-server"
stage pause 1; image "pause:$PAUSE_TAG" '' "$DIR/pause:/pause"

step "signing the package repository"
for d in "${DEBS[@]}"; do cp -u "$d" "$CACHE/mirror/apt/"; done
export GNUPGHOME=$CACHE/gpg; mkdir -p -m 700 "$GNUPGHOME"
cd "$CACHE/mirror/apt"
if ! [ -s key.asc ]; then
  gpg --batch --quiet --passphrase '' --quick-gen-key 'kubewright lab <lab@example.invalid>' ed25519 sign 0 2>/dev/null
  gpg --armor --export > .key.asc; mv .key.asc key.asc
fi
apt-ftparchive packages . > .Packages; mv .Packages Packages
apt-ftparchive release . > ../Release; gpg --batch --quiet --yes --clearsign -o .InRelease ../Release; mv .InRelease InRelease
rm -rf "$CACHE"/stage/.new.*
