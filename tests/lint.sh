#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The linters, with every tool required and every warning an error: gcc and
# clang builds, cppcheck, clang's analyzer, headers that stand alone, shellcheck,
# the format, the contents of the tarball, exports and hardening of the objects.
#
# usage: lint.sh [WORKDIR]   sources and builds go to WORKDIR/lint, which is
#                            emptied first; without WORKDIR to a directory that
#                            is removed at the end
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=contrib/lib/build.sh
. "$here/../contrib/lib/build.sh"

if [ $# -gt 0 ]; then
  work=$1/lint
  rm -rf "$work" && mkdir -p "$work" || exit 1
  work=$(cd "$work" && pwd)
else
  work=$(mktemp -d) || exit 1
  trap 'rm -rf "$work"' EXIT
fi
src=$work/src
jobs=$(nproc)
steps=0
failed=0

# step DESCRIPTION COMMAND...
step() {
  local what=$1 log=$work/$steps.log start=$SECONDS status=0
  shift
  steps=$((steps + 1))
  "$@" >"$log" 2>&1 || status=$?
  if [ $status -eq 0 ]; then
    printf 'ok      %-52s %3d s\n' "$what" $((SECONDS - start))
  else
    printf 'FAILED  %-52s %3d s\n' "$what" $((SECONDS - start))
    grep -E 'warning:|error:|^not ok|^# ' "$log" | head -n 60 | grep . ||
      tail -n 60 "$log"
    failed=$((failed + 1))
  fi
  return $status
}

tools_are_there() {
  local tool missing=()
  for tool in gcc clang cppcheck shellcheck clang-format readelf nm git; do
    command -v "$tool" || missing+=("$tool")
  done
  [ ${#missing[@]} -eq 0 ] || {
    echo "error: missing: ${missing[*]}"
    return 1
  }
}

compile_with() { # COMPILER
  build_configure "$src" "$work/$1" --enable-werror CC="$1" &&
    build_make "$work/$1" all &&
    build_make "$work/$1" check TESTS=
}

# files SUFFIX DIRECTORY...
files() {
  local suffix=$1
  shift
  (cd "$src" && find "$@" -name "*$suffix" 2>/dev/null | sort)
}

# What every compilation needs, collectd's headers included.
flags() {
  local collectd
  collectd=$(sed -n 's/^COLLECTD_CPPFLAGS = //p' "$work/gcc/Makefile")
  echo "-DHAVE_CONFIG_H -I$work/gcc -I$src ${collectd//\$(top_srcdir)/$src}"
}

# each COMMAND...: run it once per line of standard input, in parallel; a FILE
# fails when the command fails or warns.
each() {
  (cd "$src" && xargs -r -n 1 -P "$jobs" "$@") 2>&1 | tee "$work/each.log"
  [ "${PIPESTATUS[0]}" -eq 0 ] && ! grep -qE 'warning:|error:' "$work/each.log"
}

analyze() {
  # shellcheck disable=SC2046  # words
  # Not the tests: it does not know that cmocka's assertions end a test.
  files .c common plugins | each clang --analyze --analyzer-output text -Xclang \
    -analyzer-disable-checker=deadcode.DeadStores $(flags)
}

headers_stand_alone() {
  # shellcheck disable=SC2046  # words
  files .h common plugins tests | each gcc -fsyntax-only -Wall -Wextra -Werror \
    -include rmq_config.h -x c $(flags)
}

check_cpp() {
  # The system's headers are not read: cppcheck knows libc by itself, and
  # unknown macros of other libraries are taken as what they look like.
  files .c common plugins tests | sed "s|^|$src/|" >"$work/cppcheck.list"
  cppcheck --quiet --error-exitcode=1 -j "$jobs" --std=c11 --language=c \
    --enable=warning,performance,portability --inline-suppr \
    --suppressions-list="$src/tests/cppcheck.suppressions" \
    -DHAVE_CONFIG_H=1 -I "$src" -I "$work/gcc" \
    --template='{file}:{line}: warning: {message} [{id}]' \
    --file-list="$work/cppcheck.list"
}

# A guard of "make check", which may skip there and must not here.
guard() { # NAME
  local out
  out=$(env top_builddir="$work/gcc" CC=gcc \
    MODULES="$(make -s -C "$work/gcc" print-modules)" \
    PROGRAMS="$(make -s -C "$work/gcc" print-programs)" \
    COLLECTD="$(PATH=$PATH:/usr/sbin command -v collectd)" \
    bash "$1/tests/$2" 2>&1)
  local status=$?
  echo "$out"
  [ $status -eq 0 ] && ! grep -q '# SKIP' <<<"$out"
}

step "tools are there" tools_are_there || exit 1
step "autogen.sh" build_sources "$src" || exit 1
step "gcc, warnings are errors" compile_with gcc || exit 1
step "clang, warnings are errors" compile_with clang
step "headers stand alone" headers_stand_alone
step "clang's analyzer" analyze
step "cppcheck" check_cpp
step "shellcheck" guard "$src" check_shell.sh
step "clang-format" guard "$src" check_format.sh
step "layers" guard "$src" check_layers.sh
step "exports of the built objects" guard "$src" check_exports.sh
if [ -n "$(make -s -C "$work/gcc" print-modules print-programs)" ]; then
  step "hardening of the built objects" guard "$src" check_hardening.sh
fi
step "the tarball is complete" guard "$src" check_dist.sh

echo "lint: $((steps - failed)) passed, $failed failed"
[ $failed -eq 0 ]
