#!/bin/sh
# SPDX-License-Identifier: MIT
# Make ./configure from configure.ac. Needed once in a clone; a released
# tarball already has it.
set -e
cd "$(dirname "$0")"

missing=
need() { # COMMAND DEBIAN-PACKAGE
  command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need autoconf autoconf
need automake automake
need libtoolize libtool
need pkg-config pkg-config
need make make
if [ -n "$missing" ]; then
  echo "autogen.sh: missing tools; on Debian: apt-get install$missing" >&2
  exit 1
fi

mkdir -p build-aux m4
autoreconf --install --force
echo "Now run ./configure, or configure from a build directory of your own."
