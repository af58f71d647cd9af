#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# contrib/systemd: the program takes the arguments of each unit, systemd knows
# every word of it, and the manual's example of a server is the unit's.
#
# Reads top_builddir for the program.
set -u
LC_ALL=C
export LC_ALL
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/lib/tap.sh
. "$here/lib/tap.sh"

warren=$(realpath "${top_builddir:-.}/warren")
[ -x "$warren" ] || tap_skip_all "the command is not built"
cd "$here/.." || exit 1
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
# Which the program would expand, too.
export CREDENTIALS_DIRECTORY=/run/credentials/warren.service

joined() { sed -e :a -e '/\\$/{N;s/\\\n */ /;ba}' -e 's/  */ /g' "$@"; }
started() { joined "$1" | sed -n 's/^ExecStart=//p'; }

# Every option is known and every value allowed: --help reads them first.
arguments() { # UNIT
  local words
  read -ra words <<<"$(started "$1")"
  [ "${words[0]}" = /usr/bin/warren ] || echo "${words[0]} is started"
  "$warren" "${words[@]:1}" --help >"$scratch/help" || echo "exit status $?"
}

# It wants a program that is there.
verified() { # UNIT
  sed "s|^ExecStart=/usr/bin/warren|ExecStart=$BASH|" "$1" >"$scratch/${1##*/}"
  systemd-analyze verify --man=no "$scratch/${1##*/}"
}

# It is there, and does its work here: some chroots give it too little.
can_verify() {
  printf '[Service]\nExecStart=%s\n' "$BASH" >"$scratch/least.service"
  [ -z "$(systemd-analyze verify --man=no "$scratch/least.service" 2>&1)" ]
}

# With the file where the manual has it.
as_in_the_manual() {
  local manual unit
  manual=$(sed -n '/^  warren publish --listen/,/^$/p' plugins/warren.pod | joined)
  unit=$(started contrib/systemd/warren-publish.service)
  unit=${unit#/usr/bin/}
  # shellcheck disable=SC2016  # systemd's own variable
  unit=${unit/'${CREDENTIALS_DIRECTORY}'/\/etc\/warren}
  [ "$unit" = "${manual# }" ] || printf '%s\n' "$unit" "$manual"
}

# Plants a wrong option, and one that is of no systemd.
blind() {
  local unit=contrib/systemd/warren-publish.service
  sed 's/--spool-dir/--spool-directory/' $unit >"$scratch/option.service"
  [ -n "$(arguments "$scratch/option.service" 2>&1)" ] ||
    echo "a wrong option is not seen"
  [ "$verifies" = yes ] || return 0
  mkdir "$scratch/planted"
  sed 's/^ProtectHome=/ProtectHouse=/' $unit >"$scratch/planted/key.service"
  [ -n "$(verified "$scratch/planted/key.service" 2>&1)" ] ||
    echo "a wrong word is not seen"
}

verifies=no
can_verify && verifies=yes
for unit in contrib/systemd/*.service; do
  tap_silent "${unit##*/}: the program takes its arguments" arguments "$unit"
  if [ "$verifies" = yes ]; then
    tap_silent "${unit##*/}: systemd knows every word" verified "$unit"
  else
    tap_skip "${unit##*/}: systemd knows every word" "systemd-analyze does not work here"
  fi
done
tap_silent "the manual's server is the unit's" as_in_the_manual
tap_silent "this script is not blind" blind
tap_done
