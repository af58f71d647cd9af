#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Debian packages in another Debian: the source package of the commit is built in
# one clean root directory; in a second one the packages are installed, used,
# upgraded, removed, purged (tests/tiers/lifecycle.sh); in a third one autopkgtest
# runs debian/tests. What came of it: tests/results/packages-SUITE.json. Needs root.
#
# usage: package_root.sh SUITE WORKDIR SOURCES
#
# WARREN_ROOT_MIRROR is the mirror; WARREN_PACKAGES_BASE a root directory as
# debootstrap makes it, which is copied (and made where it is missing);
# WARREN_PACKAGES_CHECK=yes runs "make check" in the build.
set -u
suite=$1 work=$2 sources=$3
base=${WARREN_PACKAGES_BASE:-$work/base}
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=contrib/lib/chroot.sh
. "$here/chroot.sh"
status=0

say() { printf 'packages: %s\n' "$*"; }

# What the summary counts and the results keep.
verdict() { # STATUS WHAT
  [ "$1" -eq 0 ] && printf 'ok      %s\n' "$2" || printf 'FAILED  %s\n' "$2"
  [ "$1" -eq 0 ] || status=1
}

# shellcheck disable=SC2317  # called by the trap
cleanup() {
  trap - EXIT INT TERM HUP
  local root
  for root in "$work"/build "$work"/run "$work"/autopkgtest; do
    chroot_end "$root"
    chroot_remove "$root"
  done
  [ -n "${WARREN_PACKAGES_BASE:-}" ] || chroot_remove "$base"
}

root_from_base() { # NAME
  chroot_copy "$base" "$work/$1" && chroot_mounts "$work/$1" &&
    mkdir -p "$work/$1/debs" "$work/$1/src"
}

build() {
  local root=$work/build options=
  [ -n "${WARREN_PACKAGES_CHECK:-}" ] || options=nocheck
  "${sources}/contrib/build-deb" --source "$work/source" &&
    root_from_base build && cp "$work"/source/* "$root/debs" &&
    chroot_apt "$root" build-essential debhelper dpkg-dev lintian &&
    chroot_run "$root" bash -c "cd /debs && dpkg-source -x ./*.dsc tree &&
      apt-get -q -o Dpkg::Use-Pty=0 build-dep -y --no-install-recommends ./tree &&
      cd tree && DEB_BUILD_OPTIONS='parallel=$(nproc) $options' \
        dpkg-buildpackage -b -us -uc" &&
    mkdir -p "$work/debs" && cp "$root"/debs/*.deb "$root"/debs/*.changes \
    "$work/debs"
}

lint() {
  chroot_run "$work/build" bash -c 'lintian --no-cfg --fail-on error \
    --tag-display-limit 0 \
    --suppress-tags initial-upload-closes-no-bugs /debs/*.changes'
}

lifecycle() {
  root_from_base run && cp "$work"/debs/*.deb "$work/run/debs" &&
    cp -r "$work/build/debs/tree/." "$work/run/src" &&
    chroot_apt "$work/run" ca-certificates &&
    chroot_run "$work/run" bash /src/tests/tiers/lifecycle.sh /debs
}

# A TMPDIR of this machine is no directory of the root.
autopkgtest_runs() {
  chroot_copy "$base" "$work/autopkgtest" && chroot_mounts "$work/autopkgtest" &&
    chroot_apt "$work/autopkgtest" ca-certificates &&
    env -u TMPDIR autopkgtest -B "$work"/debs/*.deb "$work"/source/*.dsc -- \
      chroot "$work/autopkgtest"
}

results() { # what was printed, with the versions of the system it ran on
  local to=${WARREN_RESULTS:-$sources/tests/results}
  rm -rf "$work/run/results" && cp "$work/log" "$work/run/log" || return 1
  chroot_run "$work/run" env WARREN_RESULTS=/results PYTHONDONTWRITEBYTECODE=1 \
    /usr/bin/python3 /src/tests/tiers/packages.py /log "$suite" /debs \
    "$SECONDS" && mkdir -p "$to" && cp "$work"/run/results/*.json "$to/" &&
    say "what was run: $to/packages-$suite.json"
}

[ "$(id -u)" -eq 0 ] || {
  echo "package_root.sh: needs root" >&2
  exit 1
}
mkdir -p "$work" && work=$(cd "$work" && pwd -P) || exit 1
trap cleanup EXIT
trap 'exit 130' INT TERM HUP
say "debootstrap $suite"
chroot_make "$suite" "$base" || exit 1

all() {
  build
  verdict $? "the packages are built in a clean $suite"
  [ $status -eq 0 ] || return 1
  lint
  verdict $? "lintian of $suite finds no error"
  lifecycle || status=1
  autopkgtest_runs
  verdict $? "autopkgtest in a clean $suite"
  return $status
}
all 2>&1 | tee "$work/log"
status=${PIPESTATUS[0]}
[ ! -d "$work/run/src" ] || results || status=1
exit "$status"
