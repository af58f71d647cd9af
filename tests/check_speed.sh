#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# How many instructions it takes to encode or decode a value, held against what
# tests/bench/codec.instructions says: a slow-down is seen on any machine,
# however busy it is. Counts depend on compiler and C library, so that file has
# lines for each; where it has none, this is skipped.
#
# UPDATE_SPEED=1 writes the lines of this compiler and C library anew.
# Reads CC, CFLAGS, RMQ_SANITIZERS, top_srcdir, top_builddir.
set -u
LC_ALL=C
export LC_ALL
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/lib/tap.sh
. "$here/lib/tap.sh"
bench=${top_builddir:-.}/tests/bench/codec_bench
baseline=$here/bench/codec.instructions
rounds=10
samples=200
tolerance=5 # percent

command -v valgrind >/dev/null || tap_skip_all "valgrind is missing"
case ${RMQ_SANITIZERS:-no} in
  no | none | '') ;;
  *) tap_skip_all "the sanitizers' instructions are not ours" ;;
esac
[[ " ${CFLAGS-} " == *" -O2 "* ]] || tap_skip_all "not compiled with -O2"

# One word: compiler, machine, C library.
platform() {
  local first name=gcc
  first=$(${CC:-cc} --version | head -1)
  [[ $first == *clang* ]] && name=clang
  echo "$name-$(grep -oE '[0-9]+\.[0-9.]+' <<<"$first" | head -1)-$(uname -m)-$(
    getconf GNU_LIBC_VERSION | tr ' ' '-'
  )"
}

# Instructions for one sample. The C library chooses its functions by the
# processor: here always the same ones.
count() { # encode|decode FORMAT
  local all
  all=$(GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX2,-ERMS valgrind \
    --tool=callgrind --callgrind-out-file=/dev/null \
    --toggle-collect="$1_rounds" "$bench" "$rounds" "$2" 2>&1 |
    sed -nE 's/^==[0-9]+== Collected : ([0-9]+).*/\1/p')
  echo $((${all:-0} / rounds / samples))
}

platform=$(platform)
readonly work=(
  "encode Command" "encode JSON" "encode Graphite" "encode Influx"
  "decode Command" "decode JSON" "decode Graphite" "decode Influx"
)

if [ -n "${UPDATE_SPEED-}" ]; then
  {
    grep -vE "^$platform " "$baseline"
    for w in "${work[@]}"; do echo "$platform $w $(count "${w% *}" "${w#* }")"; done
  } >"$baseline.tmp" && mv "$baseline.tmp" "$baseline"
fi

grep -qE "^$platform " "$baseline" ||
  tap_skip_all "no counts stored for $platform; UPDATE_SPEED=1 does it"
for w in "${work[@]}"; do
  stored=$(sed -nE "s/^$platform $w ([0-9]+)$/\1/p" "$baseline")
  now=$(count "${w% *}" "${w#* }")
  what="to $w takes no more instructions a value than ever: $now, stored $stored"
  if [ "$now" -gt 0 ] && [ "$now" -le $((stored * (100 + tolerance) / 100)) ]; then
    tap_ok "$what"
  else
    tap_not_ok "$what" "if that is what it takes, UPDATE_SPEED=1 stores it"
  fi
done
tap_done
