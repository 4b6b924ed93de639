#!/bin/sh
# A snapshot of this control plane's etcd: taken, verified, bundled with what a new control plane needs. Managed by kubewright.
#   take    encrypted into /var/backups/kubewright, the newest $KEEP are kept, copies go to the places of backup.targets
#   stream  a tar of meta.json, snapshot.db and pki.tar on standard output, for an operator who encrypts it
# etcdctl and etcdutl are those of etcd's own image. Nothing secret stands on a command line.
set -eu
umask 077
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mode=${1:-take}
etc=/etc/kubewright
work=/var/lib/kubewright/etcd-snapshot
image=/run/kubewright-etcd-image
pki=/etc/kubernetes/pki

fail() {
	printf 'etcd snapshot: %s\n' "$*" >&2
	exit 1
}
quiet() {
	if ! "$@" >"$work/log" 2>&1 </dev/null; then
		tail -n 3 "$work/log" >&2
		return 1
	fi
}
clean() {
	if grep -q " $image " /proc/mounts; then ctr -n k8s.io images unmount --rm "$image" >/dev/null 2>&1 || umount "$image" || :; fi
	rm -rf -- "$work"
}

if [ "$mode" = take ]; then . $etc/backup.env; fi
[ -s /etc/kubernetes/manifests/etcd.yaml ] || fail "this machine is no control plane"
exec 9>/run/kubewright-etcd-snapshot.lock
flock -w 120 9 || fail "another one is under way"
trap clean EXIT
trap 'exit 1' HUP INT TERM PIPE
clean
mkdir -p -- "$work" "$image"

name=$(sed -n 's/^ *image: *//p' /etc/kubernetes/manifests/etcd.yaml | head -n 1)
quiet ctr -n k8s.io images mount "$name" "$image" || fail "etcd's image $name cannot be mounted"
etcdctl=$image/usr/local/bin/etcdctl etcdutl=$image/usr/local/bin/etcdutl

# Everything that was acknowledged before this moment is in it.
taken=$(date -u +%Y-%m-%dT%H:%M:%SZ)
quiet "$etcdctl" --endpoints=https://127.0.0.1:2379 --cacert="$pki/etcd/ca.crt" --cert="$pki/apiserver-etcd-client.crt" \
	--key="$pki/apiserver-etcd-client.key" --command-timeout=10m snapshot save "$work/snapshot.db" || fail "etcdctl snapshot save"

# Verified twice: the hash that the server appended, and the database opened and walked through.
size=$(wc -c <"$work/snapshot.db")
[ $((size % 512)) = 32 ] || fail "the snapshot has no hash at its end ($size bytes)"
said=$(tail -c 32 "$work/snapshot.db" | od -An -v -tx1 | tr -d ' \n')
is=$(head -c $((size - 32)) "$work/snapshot.db" | sha256sum | cut -d' ' -f1)
[ "$said" = "$is" ] || fail "the snapshot does not match its hash"
status=$("$etcdutl" snapshot status "$work/snapshot.db" -w json 2>"$work/log" </dev/null) || {
	tail -n 3 "$work/log" >&2
	fail "etcdutl snapshot status"
}
printf '{"schema":1,"cluster":"%s","node":"%s","taken_at":"%s","kubernetes":"%s","etcd_image":"%s","sha256":"%s","status":%s}\n' \
	"$CLUSTER" "$NODE" "$taken" "$(sed -n 's/^ *image: .*kube-apiserver:v*//p' /etc/kubernetes/manifests/kube-apiserver.yaml)" "$name" "$is" "$status" >"$work/meta.json"
tar -C "$pki" -cf "$work/pki.tar" ca.crt ca.key etcd/ca.crt etcd/ca.key front-proxy-ca.crt front-proxy-ca.key sa.key sa.pub
tar -C "$work" -rf "$work/pki.tar" meta.json

if [ "$mode" = stream ]; then
	tar -C "$work" -cf - meta.json snapshot.db pki.tar
	exit 0
fi

out=/var/backups/kubewright
stamp=$(printf '%s' "$taken" | tr -d ':-')
base=etcd-$CLUSTER-$NODE-$stamp
mkdir -p -- "$out"
rm -f -- "$out"/.new.*
age -R $etc/backup.recipients -o "$out/.new.pki" "$work/pki.tar"
age -R $etc/backup.recipients -o "$out/.new.db" "$work/snapshot.db"
sync "$out/.new.pki" "$out/.new.db" 2>/dev/null || sync
# The bundle first: a snapshot that is there has its bundle beside it.
mv -- "$out/.new.pki" "$out/$base.pki.age"
mv -- "$out/.new.db" "$out/$base.db.age"

# send REGION URL FILE
send() {
	: >"$work/curl"
	if [ -s $etc/backup.credentials ]; then
		cat $etc/backup.credentials >>"$work/curl"
	else
		metadata=http://169.254.169.254/latest
		token=$(curl -sf -m 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' $metadata/api/token) || fail "this machine has no role (instance metadata), and backup.credentials is not set"
		printf 'header = "X-aws-ec2-metadata-token: %s"\n' "$token" >"$work/imds"
		role=$(curl -sf -m 5 -K "$work/imds" $metadata/meta-data/iam/security-credentials/) || fail "this machine has no role"
		curl -sf -m 5 -K "$work/imds" -o "$work/role" "$metadata/meta-data/iam/security-credentials/$role" || fail "the credentials of role $role cannot be read"
		field() { sed -n "s/.*\"$1\" *: *\"\\([^\"]*\\)\".*/\\1/p" "$work/role"; }
		printf 'user = "%s:%s"\nheader = "x-amz-security-token: %s"\n' "$(field AccessKeyId)" "$(field SecretAccessKey)" "$(field Token)" >>"$work/curl"
	fi
	curl -sS -K "$work/curl" --aws-sigv4 "aws:amz:$1:s3" --fail --retry 3 --retry-delay 2 --max-time 600 -o /dev/null -T "$3" "$2${3##*/}" ||
		fail "${3##*/} could not be sent to $2"
}
if [ -s $etc/backup.targets ]; then
	while read -r region url; do
		[ -n "$url" ] || continue
		send "$region" "$url" "$out/$base.pki.age"
		send "$region" "$url" "$out/$base.db.age"
	done <$etc/backup.targets
fi

# The oldest go, names sort by time; bundles with their snapshots.
count=$(ls -1 "$out" | grep -c "^etcd-$CLUSTER-$NODE-.*\.db\.age$") || count=0
if [ "$count" -gt "$KEEP" ]; then
	ls -1 "$out" | grep "^etcd-$CLUSTER-$NODE-.*\.db\.age$" | sort | head -n $((count - KEEP)) | while read -r old; do
		rm -f -- "$out/$old" "$out/${old%.db.age}.pki.age"
	done
fi
printf 'etcd snapshot %s: %s bytes, revision %s, in %s\n' "$base" "$size" "$(printf '%s' "$status" | sed 's/.*"revision":\([0-9]*\).*/\1/')" "$out"
