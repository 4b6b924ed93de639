# Puts the new host key in the place of the old one, unless that is done, and lets sshd read it. Open connections stay.
# Needs: dir, pending (the new key's public half, which the caller knows by now), reload.
set -eu
key=$dir/ssh_host_ed25519_key
new=$key.kubewright
public() { ssh-keygen -y -f "$1" </dev/null | cut -d' ' -f1,2; }
if [ -e "$new" ] && [ "$(public "$new")" = "$pending" ]; then
  chmod 600 "$new"
  mv -f "$new" "$key"
  rm -f "$new.pub"
fi
[ "$(public "$key")" = "$pending" ]
printf '%s\n' "$pending" >"$key.pub.kubewright"
chmod 644 "$key.pub.kubewright"
mv -f "$key.pub.kubewright" "$key.pub"
sync "$dir"
reload
