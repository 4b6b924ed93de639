#!/bin/bash
# Programs that tests and lab need, from Debian's or Ubuntu's own packages. Does nothing where all of them are there.
set -euo pipefail
missing=()
need() { command -v "$1" >/dev/null || missing+=("$2"); }
need dash dash
need busybox busybox
need ssh openssh-client
need sshd openssh-server
need sudo sudo
need cc gcc
# The health report's page is tested in it.
need chromium chromium
((${#missing[@]} == 0)) && exit 0
sudo=(); if [ "$(id -u)" != 0 ]; then command -v sudo >/dev/null || { echo "missing: ${missing[*]}: install them, or run this as root" >&2; exit 1; }; sudo=(sudo); fi
command -v apt-get >/dev/null || { echo "missing: ${missing[*]}: install them with your package manager" >&2; exit 1; }
echo "installing ${missing[*]}"
"${sudo[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
