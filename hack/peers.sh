#!/bin/sh
# Prints the directory of a virtual environment with the tools that the engine is measured beside: ansible-core, mitogen and
# pyinfra, made once in the cache directory.
set -eu
ansible=2.19.14 mitogen=0.3.54 pyinfra=3.10.0
dir=${XDG_CACHE_HOME:-$HOME/.cache}/kubewright/peers-$ansible-$mitogen-$pyinfra
if ! [ -e "$dir/ready" ]; then
  # Virtual environments hold their own path: made in place, and only `ready` says that it is whole.
  rm -rf "$dir"
  mkdir -p "$(dirname "$dir")"
  python3 -m venv "$dir" >&2
  "$dir/bin/pip" install --quiet --disable-pip-version-check "ansible-core==$ansible" "mitogen==$mitogen" "pyinfra==$pyinfra" >&2
  touch "$dir/ready"
fi
echo "$dir"
