#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# warren(7) says what is promised and names a test for each promise: the test is
# there under that name, and no promise is without one.
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
    s/^    what_is_not_known_neither_raises_nor_clears/&\n\n=item Nothing./' \
    plugins/warren.7.pod >"$pod"
  [ "$(not_there "$pod" | wc -l)" -eq 1 ] || echo "a wrong name is not seen"
  [ "$(without_test "$pod" | wc -l)" -eq 1 ] ||
    echo "a promise without a test is not seen"
  rm -f "$pod"
}

few() { [ "$(named | wc -l)" -ge 40 ] || echo "only $(named | wc -l) tests named"; }

tap_silent "every test that warren(7) names is there" not_there
tap_silent "every promise of warren(7) names a test" without_test
tap_silent "warren(7) names tests" few
tap_silent "faults that are planted are seen" blind
tap_done
