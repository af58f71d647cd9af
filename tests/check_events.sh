#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every kind of event that a publishing or a consuming block writes to the log
# stands in the section LOG LINES of its manual: somebody looks it up there, or
# filters by it. Found are the literals that stand where an event stands; the
# self-test at the end sees that they are found.
set -u
LC_ALL=C
export LC_ALL
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/lib/tap.sh
. "$here/lib/tap.sh"
cd "$here/.." || exit 1

# events_of FILE...
events_of() {
  cat "$@" | tr '\n' ' ' |
    grep -oE '\.event = "[a-z_]+"|RMQ_LOG_[A-Z]+, +"[a-z_]+"|event_word\([^}]*\}' |
    grep -oE '"[a-z_]+"' | tr -d '"' | sort -u
}

# missing MANUAL FILE...: the words that it lacks.
missing() {
  local manual=$1 word lines
  shift
  lines=$(sed -n '/^=head1 LOG LINES/,/^=head1 [^L]/s/^=item //p' "$manual")
  for word in $(events_of "$@"); do
    [[ $lines == *"B<$word>"* ]] ||
      echo "$word, which is written by $(grep -l "\"$word\"" "$@" | tr '\n' ' ')"
  done
}

publish=(common/role/{role_publish,intake,prepare,publish_*,session_log}.c
  common/spool/*.c)
consume=(common/role/{role_consume,consume_*,session_log}.c)
for file in common/role/{quarantine,offsets}.c; do
  [ -e "$file" ] && consume+=("$file")
done
tap_silent "rabbitmq_publish.pod has every event" \
  missing plugins/rabbitmq_publish.pod "${publish[@]}"
tap_silent "rabbitmq_consume.pod has every event" \
  missing plugins/rabbitmq_consume.pod "${consume[@]}"

found=$(events_of "${publish[@]}" "${consume[@]}" | tr '\n' ' ')
for word in blocked_timeout ended given_up spool_full written_timeout; do
  if [[ " $found" == *" $word "* ]]; then
    tap_ok "$word is found"
  else
    tap_not_ok "$word is found" "found are: $found"
  fi
done
tap_done
