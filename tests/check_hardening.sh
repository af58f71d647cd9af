#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The hardening that configure asked for is in the built modules and programs.
#
# Reads MODULES (names of .la files), PROGRAMS, top_builddir, RMQ_HARDENING.
set -u
LC_ALL=C
export LC_ALL
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/lib/tap.sh
. "$here/lib/tap.sh"
build=${top_builddir:-.}

[ "${RMQ_HARDENING:-yes}" = yes ] ||
  tap_skip_all "configured with sanitizers or without hardening"
command -v readelf >/dev/null || tap_skip_all "readelf is missing (binutils)"

# Prints what OBJECT lacks.
lacks() {
  local segments dynamic symbols
  segments=$(readelf -lW "$1") || return
  dynamic=$(readelf -dW "$1")
  symbols=$(readelf -W --dyn-syms "$1")
  grep -q 'GNU_RELRO' <<<"$segments" || echo "no RELRO"
  grep -qE '\((FLAGS|FLAGS_1)\).*NOW' <<<"$dynamic" || echo "no BIND_NOW"
  grep -E 'GNU_STACK' <<<"$segments" | grep -q 'RW ' || echo "executable stack"
  grep -E '^ *LOAD' <<<"$segments" | grep -q 'RWE' && echo "writable code"
  grep -q 'TEXTREL' <<<"$dynamic" && echo "text relocations"
  grep -qE '\((RPATH|RUNPATH)\)' <<<"$dynamic" && echo "a library path"
  grep -q '__stack_chk_fail' <<<"$symbols" || echo "no stack protector"
  grep -qE ' __[a-z0-9_]+_chk[@ ]' <<<"$symbols" || echo "nothing fortified"
  true
}

lacks_as_program() {
  lacks "$1"
  readelf -hW "$1" | grep -qE 'Type: +DYN' || echo "not position independent"
}

[ -n "${MODULES-}${PROGRAMS-}" ] || tap_skip_all "nothing to load is built yet"
for la in ${MODULES-}; do
  tap_silent "${la%.la} is hardened" lacks "$build/.libs/${la%.la}.so"
done
for program in ${PROGRAMS-}; do
  tap_silent "$program is hardened" lacks_as_program "$build/$program"
done
tap_done
