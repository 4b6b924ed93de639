#!/bin/sh
# Makes sure that a Docker engine answers on this host: one that does is used as it is. Debian and Ubuntu, as root or with
# sudo. The engine is started detached, so it outlives this shell. Runs any number of times.
set -eu
answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }
if answers; then exit 0; fi
sudo=
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || { echo "engine.sh: no Docker engine answers; starting one needs root or sudo" >&2; exit 1; }
  sudo=sudo
fi
if ! command -v dockerd >/dev/null; then
  command -v apt-get >/dev/null || { echo "engine.sh: no dockerd and no apt-get here; install Docker yourself" >&2; exit 1; }
  echo "engine.sh: installing docker.io" >&2
  $sudo apt-get -o DPkg::Lock::Timeout=120 update -qq
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 install -y -qq --no-install-recommends docker.io >/dev/null
fi
log=/var/log/dockerd.log
if [ -d /run/systemd/system ]; then
  $sudo systemctl enable -q --now docker
else
  # No systemd (a container, a bare VM): its own session, so that nobody's hang-up reaches it.
  # shellcheck disable=SC2016
  $sudo sh -c 'setsid nohup dockerd >"$1" 2>&1 </dev/null &' sh "$log"
fi
tries=0
until $sudo docker version >/dev/null 2>&1; do
  tries=$((tries + 1))
  if [ $tries -ge 150 ]; then
    echo "engine.sh: dockerd does not answer after 30 s:" >&2
    $sudo tail -n 15 "$log" >&2 || true
    exit 1
  fi
  sleep 0.2
done
answers || { echo "engine.sh: the engine runs, but $(id -un) may not use its socket: sudo usermod -aG docker $(id -un), then log in again" >&2; exit 1; }
