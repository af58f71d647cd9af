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

# Without git (a copy of a clone, or a tarball, where this is true by itself):
# what is there, less what autogen.sh makes.
list() {
  if [ -e .git ]; then
    git -c safe.directory='*' ls-files --cached --others --exclude-standard
  else
    find . \( -name autom4te.cache -o -name build-aux -o -name __pycache__ \
      -o -path ./m4 \) -prune -o -type f ! -name '*~' -printf '%P\n' |
      grep -vxE 'aclocal\.m4|configure|Makefile\.in|rmq_config\.h\.in|plugins/.*\.[15]|ChangeLog|INSTALL'
  fi
}
if [ ! -e .git ] && [ -e Makefile ]; then
  tap_skip_all "built inside the source tree"
fi

named=$(sed 's/#.*//' Makefile.am | tr -s ' \t\\=' '\n' | sort -u)
# Programs have their source as a default, manuals are named as pages.
named=$named$'\n'$(sed -nE 's/^(tests\/.*_(test|prop))$/\1.c/p' <<<"$named")

not_named() {
  local file above
  while read -r file; do
    case $file in
      .gitignore | .ci/* | Makefile.am | configure.ac | m4/*) continue ;;
    esac
    [ -e "$file" ] || continue
    above=$file
    until grep -qxF -e "$above" <<<"$named"; do
      case $above in
        */*) above=${above%/*} ;;
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
