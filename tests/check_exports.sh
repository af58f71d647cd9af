#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What the built objects say to a linker: each module exports module_register
# and nothing else, every symbol it misses is one that the daemon or one of its
# libraries has (otherwise collectd does not start at all), the command knows
# no collectd, the ground calls neither clock nor thread nor file.
#
# Reads MODULES (names of .la files), PROGRAMS, top_builddir and COLLECTD.
set -u
LC_ALL=C
export LC_ALL
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/lib/tap.sh
. "$here/lib/tap.sh"
build=${top_builddir:-.}

defined() { nm -D --defined-only "$@" | sed -nE 's/^[0-9a-f]+ [A-Za-z] ([^@]+).*/\1/p'; }
undefined() { nm -D --undefined-only "$1" | sed -nE 's/^ +U ([^@]+).*/\1/p' | sort -u; }

# Everything that the NEEDED libraries of an object define.
libraries_define() {
  local lib
  ldd "$1" | sed -nE 's/.*(=> |^\t)(\/[^ ]+).*/\2/p' | while read -r lib; do
    defined "$lib"
  done
}

# The sanitizers' symbols come from a library that is loaded before the daemon.
unresolved() { # OBJECT, more symbols on standard input
  sort -u - <(libraries_define "$1") >"$scratch/have"
  undefined "$1" | grep -vE '^__(asan|lsan|tsan|ubsan|sanitizer)_' |
    comm -23 - "$scratch/have"
}

exports_one_symbol() {
  local got
  got=$(defined "$1" | sort -u | tr '\n' ' ')
  [ "$got" = "module_register " ] || echo "$1 exports: ${got:-nothing}"
}

resolves_in_the_daemon() { defined "$COLLECTD" | unresolved "$1"; }
resolves_alone() { unresolved "$1" </dev/null; }

plain_libc_only() {
  nm --undefined-only "$1" 2>/dev/null | sed -nE 's/^ +U (.+)/\1/p' | sort -u |
    sed -E 's/^__(.+)_chk$/\1/; s/^__isoc99_//' |
    grep -xE 'clock_.*|gettimeofday|time|(nano|u)?sleep|pthread_.*|mtx_.*|thrd_.*|f?open(at)?(64)?|fdopen|creat|p?read(64)?|p?write(64)?|ppoll|poll|select|epoll_.*|socket|connect|printf|v?fprintf|vprintf|f?puts|f?putc|putchar|perror|v?syslog|fread|fwrite|getenv|secure_getenv|s?rand(om)?(_r)?|[dlm]rand48|getrandom|system|popen|_?exit|signal|sigaction|fork|std(in|out|err)|environ'
  true
}

scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
command -v nm >/dev/null || tap_skip_all "nm is missing (binutils)"

for la in ${MODULES-}; do
  so=$build/.libs/${la%.la}.so
  tap_silent "${la%.la} exports module_register only" exports_one_symbol "$so"
  if [ -x "${COLLECTD-}" ]; then
    tap_silent "${la%.la} finds every symbol in the daemon" \
      resolves_in_the_daemon "$so"
  else
    tap_skip "${la%.la} finds every symbol in the daemon" "no collectd here"
  fi
done
for program in ${PROGRAMS-}; do
  tap_silent "$program finds every symbol without collectd" \
    resolves_alone "$build/$program"
done
tap_silent "the ground calls plain libc only" \
  plain_libc_only "$build/common/base/.libs/libbase.a"
tap_done
