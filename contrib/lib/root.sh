#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# check and integration inside another Debian: debootstrap into a directory of
# its own, run contrib/run-tests there, and remove it all again. Needs root. Its
# processes see a network of their own only in name: ports are this machine's.
#
# usage: root.sh SUITE WORKDIR SOURCES [GROUP...]
#
# WARREN_ROOT_MIRROR is the mirror; WARREN_ROOT_BASE a root directory that was
# made before, which is used and left as it is left by the run.
set -u
suite=$1 work=$2 sources=$3
shift 3
groups=("$@")
[ $# -gt 0 ] || groups=(check integration)
root=${WARREN_ROOT_BASE:-$work/root}
mirror=${WARREN_ROOT_MIRROR:-http://deb.debian.org/debian}
mounted=()

say() { printf 'root: %s\n' "$*"; }

# shellcheck disable=SC2317  # called by the trap
cleanup() {
  trap - EXIT INT TERM HUP
  local i
  # What still runs inside would keep the mounts busy.
  root_end_processes
  for ((i = ${#mounted[@]} - 1; i >= 0; i--)); do
    umount "${mounted[i]}" 2>/dev/null || umount -l "${mounted[i]}"
  done
  # Never into something that is still mounted.
  if [ -z "${WARREN_ROOT_BASE:-}" ] && ! grep -qF " $root/" /proc/self/mounts; then
    rm -rf "$root"
  fi
}

# shellcheck disable=SC2317  # called by cleanup
root_end_processes() {
  local pid signal
  for signal in TERM KILL; do
    for pid in /proc/[0-9]*; do
      [ "$(readlink "$pid/root" 2>/dev/null)" = "$root" ] &&
        kill -"$signal" "${pid#/proc/}" 2>/dev/null
    done
    sleep 1
  done
}

root_mount() { # TYPE/OPTIONS... TARGET
  local target=${*: -1}
  mkdir -p "$target" && mount "$@" && mounted+=("$target")
}

root_make() {
  [ -e "$root/etc/debian_version" ] && return 0
  command -v debootstrap >/dev/null ||
    apt-get install -y --no-install-recommends debootstrap || return 1
  say "debootstrap $suite"
  debootstrap --variant=minbase --include=ca-certificates,git,python3 \
    "$suite" "$root" "$mirror"
}

root_mounts() {
  root_mount -t proc proc "$root/proc" &&
    root_mount --bind /dev "$root/dev" &&
    root_mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts" &&
    root_mount -t tmpfs -o size=2g tmpfs "$root/dev/shm" &&
    root_mount --bind /sys "$root/sys"
}

# As a clone has it, and readable to git.
root_sources() {
  rm -rf "$root/src" && mkdir -p "$root/src" &&
    tar -C "$sources" --exclude=./build -cf - . | tar -C "$root/src" -xf - &&
    cp /etc/resolv.conf "$root/etc/resolv.conf"
}

[ "$(id -u)" -eq 0 ] || {
  echo "root.sh: needs root" >&2
  exit 1
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP
began=$SECONDS
root_make && root=$(cd "$root" && pwd -P) && root_mounts && root_sources || exit 1
say "Debian $(cat "$root/etc/debian_version"): ${groups[*]}"
status=0
env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=dumb \
  WARREN_COMMIT="${WARREN_COMMIT:-unknown}" \
  chroot "$root" bash /src/contrib/run-tests "${groups[@]}" 2>&1 |
  tee "$root/src/root.log"
status=${PIPESTATUS[0]}
say "status $status after $((SECONDS - began)) s"
results=${WARREN_RESULTS:-$sources/tests/results}
mkdir -p "$results"
chroot "$root" env WARREN_COMMIT="${WARREN_COMMIT:-unknown}" \
  WARREN_RESULTS=/src/root-results PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 \
  /src/tests/tiers/root.py /src/root.log "$suite" "$status" \
  "$((SECONDS - began))" && cp "$root"/src/root-results/root-*.json "$results/" &&
  say "what was run: $results/root-$suite.json"
exit "$status"
