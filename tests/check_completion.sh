#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# contrib/completion/warren, as bash calls it: every command, every option
# that a command has, and the words of its lists.
#
# Reads top_builddir for the program.
set -u
LC_ALL=C
export LC_ALL
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/lib/tap.sh
. "$here/lib/tap.sh"
# shellcheck source=contrib/completion/warren
. "$here/../contrib/completion/warren"

warren=${top_builddir:-.}/warren
[ -x "$warren" ] || tap_skip_all "the command is not built"

# complete_line WORD...: what TAB offers after the last word, sorted.
complete_line() {
  COMP_WORDS=("$warren" "$@")
  COMP_CWORD=$#
  COMPREPLY=()
  _warren
  [ ${#COMPREPLY[@]} -eq 0 ] || printf '%s\n' "${COMPREPLY[@]}" | sort
}

# offers WANT WORD...: WANT in one line
offers() {
  local want=$1 got
  shift
  got=$(complete_line "$@" | paste -sd' ')
  [ "$got" = "$want" ] || echo "$* TAB: $got, want: $want"
}

commands() { "$warren" --help | sed -n 's/^  \([a-z][a-z]*\)  .*/\1/p'; }

every_command() {
  offers "$({ commands && printf '%s\n' --help --version; } | sort | paste -sd' ')" ''
  local command
  while read -r command; do
    offers "$command" "${command%?}"
  done < <(commands)
}

every_option() {
  local command count=0 option
  for command in $(commands); do
    # The options that the program itself knows: each is taken by its parser.
    for option in $("$warren" "$command" --help | sed -n 's/^  \(--[a-z0-9-]*\).*/\1/p'); do
      count=$((count + 1))
      complete_line "$command" "$option" | grep -qxF -e "$option" ||
        echo "$command: $option is not offered"
    done
  done
  [ "$count" -gt 50 ] || echo "there are $count options only"
}

tap_silent "every command is offered" every_command
tap_silent "every option of every command is offered" every_option
tap_silent "the indicators follow check" \
  offers "connection errors lag resource throughput" check ''
tap_silent "options are offered for a dash" offers "--help" check --hel
tap_silent "a list's words follow its option" \
  offers "auto management prometheus" monitor --source ''
tap_silent "a list's words follow an equals sign" \
  offers "management" monitor --source = m
tap_silent "nothing is made up after an option that takes a number" \
  offers "" monitor --max-queues ''
tap_silent "an option is completed after a number" \
  offers "--max-queues" monitor --interval 10 --max-q
tap_silent "an unknown command has nothing" offers "" nothing ''
tap_silent "spool has its verbs" offers "export ls" spool ''
tap_silent "the drills follow drill, by name" offers "$(
  { echo list && "$warren" drill list | awk '{ print $1 }'; } | sort | paste -sd' '
)" drill ''
tap_silent "a drill's name is completed" offers "closed-connection" drill clo
tap_silent "options follow a drill's name" offers "--yes-on" drill backlog --yes
tap_done
