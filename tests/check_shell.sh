#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every shell script of the project passes the linter "shellcheck".
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/lib/tap.sh
. "$here/lib/tap.sh"
cd "$here/.." || exit 1
command -v shellcheck >/dev/null || tap_skip_all "shellcheck is missing"

# Everything that ends in .sh or starts with a shell's name.
scripts() {
  {
    find .ci contrib tests -name '*.sh' 2>/dev/null
    find autogen.sh .ci contrib tests -type f \
      ! -name '*.sh' -size -64k -exec awk '
        FNR == 1 { if (/^#!.*[\/ ](ba|da)?sh( |$)/) print FILENAME; nextfile }' {} +
    echo autogen.sh
    echo contrib/alpine/APKBUILD
  } 2>/dev/null | sort -u
}
while read -r script; do
  tap_silent "$script" shellcheck -x "$script"
done < <(scripts)
tap_done
