#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# check and integration inside another Debian: debootstrap into a directory of
# its own, run contrib/run-tests there, and remove it all again. Needs root.
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
# shellcheck source=contrib/lib/chroot.sh
. "$(dirname "$0")/chroot.sh"

say() { printf 'root: %s\n' "$*"; }

# shellcheck disable=SC2317  # called by the trap
cleanup() {
  trap - EXIT INT TERM HUP
  chroot_end "$root"
  [ -n "${WARREN_ROOT_BASE:-}" ] || chroot_remove "$root"
}

# As a clone has it, and readable to git.
root_sources() {
  rm -rf "$root/src" && mkdir -p "$root/src" &&
    tar -C "$sources" --exclude=./build -cf - . | tar -C "$root/src" -xf -
}

[ "$(id -u)" -eq 0 ] || {
  echo "root.sh: needs root" >&2
  exit 1
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP
began=$SECONDS
say "debootstrap $suite"
chroot_make "$suite" "$root" && root=$(cd "$root" && pwd -P) &&
  chroot_mounts "$root" && chroot_apt "$root" git python3 &&
  root_sources || exit 1
say "Debian $(cat "$root/etc/debian_version"): ${groups[*]}"
status=0
chroot_run "$root" bash /src/contrib/run-tests "${groups[@]}" 2>&1 |
  tee "$root/src/root.log"
status=${PIPESTATUS[0]}
say "status $status after $((SECONDS - began)) s"
results=${WARREN_RESULTS:-$sources/tests/results}
mkdir -p "$results"
chroot_run "$root" env \
  WARREN_RESULTS=/src/root-results PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 \
  /src/tests/tiers/root.py /src/root.log "$suite" "$status" \
  "$((SECONDS - began))" && cp "$root"/src/root-results/root-*.json "$results/" &&
  say "what was run: $results/root-$suite.json"
exit "$status"
