# Makes a new host key beside the one in use, once. Says on its only line `new` or, when an interrupted run installed the
# pending key already, `installed`, and the public key. Needs: dir, pending (a public key, or nothing).
set -eu
key=$dir/ssh_host_ed25519_key
new=$key.kubewright
public() { ssh-keygen -y -f "$1" </dev/null | cut -d' ' -f1,2; }
if [ -n "$pending" ] && [ -e "$key" ] && [ "$(public "$key")" = "$pending" ]; then
  echo "installed $pending"
  exit 0
fi
if ! made=$(public "$new" 2>/dev/null) || [ -z "$made" ]; then
  rm -f "$new" "$new.pub"
  ssh-keygen -q -t ed25519 -N '' -C '' -f "$new" </dev/null
  sync "$new"
  made=$(public "$new")
fi
echo "new $made"
