# A Debian root file system with systemd and sshd for the nodes, for hosts that reach no image registry.
#   OUT: tar file to write; SUITE: Debian's release.
need mmdebstrap mmdebstrap debian-archive-keyring /usr/share/keyrings/debian-archive-keyring.gpg
step "root file system: Debian $SUITE"
mmdebstrap --quiet --variant=minbase --include="$PACKAGES" \
  --customize-hook='rm -f "$1/etc/resolv.conf" && : > "$1/etc/resolv.conf"' "$SUITE" "$OUT"
