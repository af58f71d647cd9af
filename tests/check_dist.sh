#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Everything in the repository goes into the released tarball: each file, or a
# directory above it, is named in Makefile.am.
set -u
LC_ALL=C
export LC_ALL
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/lib/tap.sh
. "$here/lib/tap.sh"
cd "$here/.." || exit 1

# With git: what is tracked, or lies beside it and is not ignored. Without (a
# copy of a clone, or a tarball, where this is true by itself): what is there.
rooms=(common plugins tests contrib conf.d)
list() {
  if [ -e .git ]; then
    git -c safe.directory='*' ls-files
    git -c safe.directory='*' ls-files --others --exclude-standard "${rooms[@]}"
  else
    find "${rooms[@]}" -name __pycache__ -prune -o \
      -type f ! -name '*~' ! -name '*.[157]' -print 2>/dev/null
  fi
}
if [ ! -e .git ] && [ -e Makefile ]; then
  tap_skip_all "built inside the source tree"
fi

named=$(sed 's/#.*//' Makefile.am | tr -s ' \t\\=' '\n' | sort -u)
# Programs have their source as a default, manuals are named as pages.
named=$named$'\n'$(sed -nE 's/^(tests\/[^.]*)$/\1.c/p' <<<"$named")

not_named() {
  local file above
  while read -r file; do
    case $file in
      .gitignore | .ci/* | Makefile.am | configure.ac | m4/*) continue ;;
    esac
    [ -e "$file" ] || continue
    above=$file
    # A whole room is never named; the word may be there for other reasons.
    until grep -qxF -e "$above" <<<"$named"; do
      above=${above%/*}
      case $above in
        */*) ;;
        *)
          echo "$file"
          break
          ;;
      esac
    done
  done < <(list)
}
tap_silent "every file of the repository is in the tarball" not_named
tap_done
