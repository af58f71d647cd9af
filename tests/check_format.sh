#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# C is formatted as .clang-format says. To mend: clang-format -i FILE.
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/lib/tap.sh
. "$here/lib/tap.sh"
cd "$here/.." || exit 1
command -v clang-format >/dev/null || tap_skip_all "clang-format is missing"
# Each release formats a little differently; Debian 12 has this one.
[[ $(clang-format --version) == *" version 14."* ]] ||
  tap_skip_all "clang-format is not the 14 that the sources are formatted with"

mapfile -t files < <(find common plugins tests -name '*.[ch]' 2>/dev/null | sort)
[ "${#files[@]}" -gt 0 ] || {
  echo "Bail out! no sources under $PWD"
  exit 1
}
unformatted() {
  local file
  for file in "${files[@]}"; do
    clang-format --style=file "$file" | cmp -s - "$file" || echo "$file"
  done
}
tap_silent "C is formatted" unformatted
tap_done
