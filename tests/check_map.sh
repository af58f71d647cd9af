#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The map in CONTRIBUTING.md has every file of every room, and nothing else.
set -u
LC_ALL=C
export LC_ALL
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/lib/tap.sh
. "$here/lib/tap.sh"
cd "$here/.." || exit 1

# ROOM/STEM of every source and header.
there() {
  find common plugins -name '*.[ch]' ! -path '*/collectd_src/*' 2>/dev/null |
    sed 's/\.[ch]$//' | sort -u
}

# ROOM/STEM of every line "STEM  what it is" below a heading "### ROOM".
mapped() {
  awk '
    /^## /  { in_map = ($0 == "## The map") }
    /^### / { room = $2 }
    /^```/  { in_list = !in_list; next }
    in_map && in_list && NF > 1 { print room "/" $1 }
  ' CONTRIBUTING.md | sort
}

missing() { comm -23 <(there) <(mapped); }
gone() { comm -13 <(there) <(mapped | uniq); }
twice() { mapped | uniq -d; }

tap_silent "every file is on the map" missing
tap_silent "the map has no file that is gone" gone
tap_silent "the map has no file twice" twice
tap_done
