#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# check_exports.sh and check_hardening.sh see what they are there to see: a good
# module and program pass, and each fault in them is reported.
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/lib/tap.sh
. "$here/lib/tap.sh"
# The compiler alone: what the tests look for must not come from its options.
cc=${CC:-cc}
cc=${cc%% *}
command -v "$cc" >/dev/null || tap_skip_all "no compiler"
tree=$(mktemp -d) || exit 1
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/.libs" "$tree/common/base/.libs"

hard='-O2 -fstack-protector-all -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -Wl,-z,relro,-z,now,-z,noexecstack'
body='#include <stdio.h>
char line[9]; int f(char *p, const char *v);
int f(char *p, const char *v) { char b[64]; sprintf(b, "%s", v); *p = b[1]; return b[0]; }'

# The variables are lists of words.
# shellcheck disable=SC2086
build() { # C-OF-MODULE C-OF-PROGRAM C-OF-GROUND FLAGS
  printf '%s\n__attribute__((visibility("default"))) void module_register(void);\n%s\n' \
    "$body" "$1" >"$tree/m.c"
  printf '%s\nint main(int c, char **v) { return f(v[0], v[c - 1]); }\n%s\n' \
    "$body" "$2" >"$tree/p.c"
  echo "$3" >"$tree/g.c"
  "$cc" -fvisibility=hidden -fPIC -shared -o "$tree/.libs/m.so" "$tree/m.c" $4 &&
    "$cc" -fPIE -pie -o "$tree/p" "$tree/p.c" $4 &&
    "$cc" -c -o "$tree/g.o" "$tree/g.c" &&
    rm -f "$tree/common/base/.libs/libbase.a" &&
    ar cr "$tree/common/base/.libs/libbase.a" "$tree/g.o"
}

# faults SCRIPT: how many of its tests fail.
faults() {
  MODULES=m.la PROGRAMS=p top_builddir=$tree RMQ_HARDENING=yes \
    bash "$here/$1" | tee "$tree/report" | grep -c '^not ok'
}

# expect SCRIPT NUMBER DESCRIPTION
expect() {
  local got
  got=$(faults "$1")
  if [ "$got" -eq "$2" ]; then
    tap_ok "$3"
  else
    tap_not_ok "$3" "$got faults instead of $2
$(cat "$tree/report")"
  fi
}

good='void module_register(void) { f(line, line); }'
plain='int g(int x) { return x; }'
build "$good" "" "$plain" "$hard" || {
  echo "Bail out! cannot build"
  exit 1
}
expect check_exports.sh 0 "a good module, program and ground export nothing wrong"
expect check_hardening.sh 0 "a hardened module and program pass"

if [ -x "${COLLECTD-}" ]; then
  build 'int format_json_initialize(char *, long *, long *);
void module_register(void) { format_json_initialize(0, 0, 0); f(line, line); }' \
    "" "$plain" "$hard"
  expect check_exports.sh 1 "a symbol that the daemon does not export is found"
  build 'int plugin_log(int, char const *, ...);
void module_register(void) { plugin_log(0, line); f(line, line); }' "" "$plain" "$hard"
  expect check_exports.sh 0 "a symbol that the daemon exports is none"
else
  tap_skip "a symbol that the daemon does not export is found" "no collectd here"
  tap_skip "a symbol that the daemon exports is none" "no collectd here"
fi
build "$good
__attribute__((visibility(\"default\"))) void helper(void) {}" "" "$plain" "$hard"
expect check_exports.sh 1 "a second exported symbol is found"
build 'void module_hidden(void); void module_hidden(void) { f(line, line); }' \
  "" "$plain" "$hard"
expect check_exports.sh 1 "a module that hides module_register is found"
# The program is linked against a daemon that is gone when it is checked.
echo 'int plugin_log(void); int plugin_log(void) { return 0; }' >"$tree/d.c"
"$cc" -fPIC -shared -o "$tree/libdaemon.so" "$tree/d.c"
build "$good" 'int plugin_log(void);
int g(void); int g(void) { return plugin_log(); }' "$plain" \
  "$hard -L$tree -Wl,--no-as-needed -ldaemon" 2>/dev/null
cp "$tree/p" "$tree/p.daemon"
build "$good" "" "$plain" "$hard"
mv "$tree/p.daemon" "$tree/p"
rm "$tree/libdaemon.so"
expect check_exports.sh 1 "a program that needs the daemon is found"
build "$good" "" '#include <time.h>
long g(void); long g(void) { return time(0); }' "$hard"
expect check_exports.sh 1 "a clock in the ground is found"

build "$good" "" "$plain" "${hard/-fstack-protector-all/-fno-stack-protector}"
expect check_hardening.sh 2 "a missing stack protector is found"
build "$good" "" "$plain" "${hard/-D_FORTIFY_SOURCE=2/}"
expect check_hardening.sh 2 "missing fortification is found"
build "$good" "" "$plain" "${hard/relro/norelro}"
expect check_hardening.sh 2 "missing RELRO is found"
build "$good" "" "$plain" "${hard/-z,now/-z,lazy}"
expect check_hardening.sh 2 "missing BIND_NOW is found"
build "$good" "" "$plain" "${hard/noexecstack/execstack}" 2>/dev/null
expect check_hardening.sh 2 "an executable stack is found"
build "$good" "" "$plain" "$hard -Wl,-rpath,/tmp"
expect check_hardening.sh 2 "a library path is found"
build "$good" "" "$plain" "$hard"
# shellcheck disable=SC2086
"$cc" $hard -fno-pie -no-pie -o "$tree/p" "$tree/p.c"
expect check_hardening.sh 1 "a program with a fixed address is found"
tap_done
