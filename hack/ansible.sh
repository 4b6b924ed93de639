#!/bin/sh
# Prints the directory of a virtual environment with ansible-core, the oracle of the conformance suite, made once in the
# cache directory: ansible-core, and of the `ansible` package only the collections whose modules and filters are compared.
set -eu
core=2.19.14
bundle=12.3.0
dir=${XDG_CACHE_HOME:-$HOME/.cache}/kubewright/ansible-$core
if ! [ -e "$dir/ready" ]; then
  # Made under another name and moved: a kill leaves none or a whole one. Virtual environments hold their own path, so the
  # scripts are started through its python.
  tmp=$dir.$$
  trap 'rm -rf "$tmp"' EXIT
  mkdir -p "$(dirname "$dir")"
  python3 -m venv "$tmp" >&2
  "$tmp/bin/pip" install --quiet --disable-pip-version-check "ansible-core==$core" netaddr passlib jmespath >&2
  "$tmp/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-binary :none: -d "$tmp/download" "ansible==$bundle" >&2
  "$tmp/bin/python" - "$tmp" >&2 <<'PYTHON'
import glob, sys, zipfile
root = sys.argv[1]
wanted = ("ansible_collections/ansible/posix/", "ansible_collections/ansible/utils/", "ansible_collections/community/general/")
with zipfile.ZipFile(glob.glob(root + "/download/*.whl")[0]) as bundle:
    for name in bundle.namelist():
        if name.startswith(wanted):
            bundle.extract(name, root + "/collections")
PYTHON
  rm -rf "$tmp/download"
  touch "$tmp/ready"
  rm -rf "$dir"
  mv "$tmp" "$dir"
  trap - EXIT
fi
echo "$dir"
