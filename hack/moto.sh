#!/bin/sh
# Prints the path of a moto server (an EC2 by others, for tests), made once in a virtual environment in the cache directory.
set -eu
version=5.2.5
dir=${XDG_CACHE_HOME:-$HOME/.cache}/kubewright/moto-$version
if ! [ -e "$dir/ready" ]; then
  # Made under another name and moved: a kill leaves none or a whole one. Virtual environments hold their own path, so the
  # scripts are started through its python.
  tmp=$dir.$$
  mkdir -p "$(dirname "$dir")"
  python3 -m venv "$tmp" >&2
  "$tmp/bin/pip" install --quiet --disable-pip-version-check "moto[server]==$version" >&2
  touch "$tmp/ready"
  rm -rf "$dir"
  mv "$tmp" "$dir"
fi
echo "$dir/bin/python"
