#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# warren(7) says what is promised and names a test for each promise: the test is
# there under that name, no promise is without one, and no command without a
# promise. README.md and warren(1) name every command, conf.d/README.conf every
# sample.
set -u
LC_ALL=C
export LC_ALL
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/lib/tap.sh
. "$here/lib/tap.sh"
cd "$here/.." || exit 1

promises() { sed -n '/^=head1 PROMISES/,/^=head1 NOT PROMISED/p' "${1:-plugins/warren.7.pod}"; }

# "FILE NAME" of each test that is named, "  test_kill" above "    its_name".
named() {
  promises "$@" | awk '/^  [a-z]/ { stem = $1 } /^    [a-z0-9]/ { print stem, $1 }'
}

not_there() { # [POD]
  local stem name
  while read -r stem name; do
    case $stem in
      test_*) grep -q "^def test_$name(" "tests/integration/$stem.py" ;;
      *_test) grep -q "^static void $name(" "tests/unit/$stem.c" ;;
      *) false ;;
    esac 2>/dev/null || echo "$stem has no test $name"
  done < <(named "$@")
}

without_test() { # [POD]
  promises "$@" | awk '
    /^=item / { if (item != "") print item; item = $0 }
    /^    [a-z0-9]/ || /^=over/ { item = "" }
    /^=back/ { if (item != "") print item; item = "" }'
}

# Plants a wrong name and a promise without a test.
blind() {
  local pod
  pod=$(mktemp) || return 1
  sed 's/^    no_password_is_in_a_log/    no_word_is_in_a_log/
    s/^    what_is_not_known_neither_raises_nor_clears/&\n\n=item Nothing./
    s/B<warren drill> does/It does/' \
    plugins/warren.7.pod >"$pod"
  [ "$(not_there "$pod" | wc -l)" -eq 1 ] || echo "a wrong name is not seen"
  [ "$(without_test "$pod" | wc -l)" -eq 1 ] ||
    echo "a promise without a test is not seen"
  [ "$(command_unpromised "$pod" | wc -l)" -eq 1 ] ||
    echo "a command without a promise is not seen"
  rm -f "$pod"
}

few() { [ "$(named | wc -l)" -ge 40 ] || echo "only $(named | wc -l) tests named"; }

# What a user looks for first is in all three: the commands and the samples.
commands() { sed -n 's/^    {"\([a-z]*\)", warren_.*/\1/p' plugins/warren.c; }

command_unnamed() {
  local command
  for command in $(commands); do
    grep -q "warren $command" README.md || echo "README.md: warren $command"
    grep -qE "^=head1 ${command^^}|^B<warren $command>" plugins/warren.pod ||
      echo "plugins/warren.pod: warren $command"
  done
  [ "$(commands | wc -l)" -ge 3 ] || echo "plugins/warren.c: no table is found"
}

command_unpromised() { # [POD]
  local command
  for command in $(commands); do
    promises "$@" | grep -q "^=item.*B<warren ${command}[ >]" ||
      echo "warren $command"
  done
}

sample_unlisted() {
  local sample
  for sample in conf.d/*.conf; do
    sample=${sample#conf.d/}
    [ "$sample" = README.conf ] || grep -qE "^#   $sample( |$)" conf.d/README.conf ||
      echo "$sample"
  done
}

tap_silent "every test that warren(7) names is there" not_there
tap_silent "every promise of warren(7) names a test" without_test
tap_silent "warren(7) promises something of every command" command_unpromised
tap_silent "warren(7) names tests" few
tap_silent "README.md and warren(1) name every command" command_unnamed
tap_silent "conf.d/README.conf lists every sample" sample_unlisted
tap_silent "faults that are planted are seen" blind
tap_done
