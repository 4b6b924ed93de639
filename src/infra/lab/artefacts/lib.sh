# Shared by the scripts of the lab; put before each of them. bash.
set -euo pipefail
# A line that the lab shows as progress.
step() { printf '== %s\n' "$*"; }
# need PACKAGE COMMAND-OR-FILE ...: Debian packages on this host that must be there; installed when root or sudo allows it.
need() {
  local missing=() sudo=()
  while [ $# -ge 2 ]; do
    command -v "$2" >/dev/null 2>&1 || [ -e "$2" ] || missing+=("$1")
    shift 2
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ]; then sudo=(sudo -n); fi
  if ! command -v apt-get >/dev/null || { [ ${#sudo[@]} -gt 0 ] && ! sudo -n true 2>/dev/null; }; then
    printf 'missing on this host: %s; install them: sudo apt-get install %s\n' "${missing[*]}" "${missing[*]}" >&2
    exit 3
  fi
  step "installing ${missing[*]} on this host"
  "${sudo[@]}" apt-get -o DPkg::Lock::Timeout=60 update -qq || true
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=60 install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}
