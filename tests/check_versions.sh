#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Everything that names the version names the same one: configure.ac, NEWS, the
# packages of Debian, RPM and Alpine, and the manuals that are built.
#
# usage: check_versions.sh             as one of "make check"
#        check_versions.sh --release   what a release needs besides: dates
#
# Reads top_builddir for the manuals.
set -u
LC_ALL=C
export LC_ALL
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/lib/tap.sh
. "$here/lib/tap.sh"
build=${top_builddir:-}
[ -z "$build" ] || build=$(cd "$build" && pwd)
cd "$here/.." || exit 1

sources=(configure.ac NEWS contrib/debian/changelog contrib/rpm/warren.spec
  contrib/alpine/APKBUILD)

# FILE VERSION of each, from the tree TOP. A file that names none has "none".
versions() { # TOP
  local file version
  for file in "${sources[@]}"; do
    version=$(case $file in
      configure.ac) sed -n 's/^AC_INIT(\[warren\], \[\(.*\)\])$/\1/p' "$1/$file" ;;
      NEWS) sed -n 's/^\([0-9][0-9.]*\) (.*)$/\1/p' "$1/$file" ;;
      *changelog) sed -n 's/^warren (\(.*\)-[^-]*) .*/\1/p' "$1/$file" ;;
      *.spec)
        sed -n 's/^Version: *//p; /^%changelog/{
          n
          s/.* - \(.*\)-[^-]*$/\1/p
        }' "$1/$file" | uniq | paste -sd' '
        ;;
      *APKBUILD) sed -n 's/^pkgver=//p' "$1/$file" ;;
    esac | head -n 1)
    echo "$file ${version:-none}"
  done
}

# A build makes the manuals, a release brings them; a bare clone has none.
manuals() {
  local page seen=
  for page in "${build:-.}"/plugins/*.[157] plugins/*.[157]; do
    [ -e "$page" ] || continue
    seen=yes
    echo "$(basename "$page")" \
      "$(sed -n 's/"//g; /^\.TH /p' "$page" | awk '{ print $5; exit }')"
  done
  [ -z "$build" ] || [ -n "$seen" ] || echo "$build has no manuals"
}

differ() { # VERSION: lines of standard input that name another
  awk -v want="$1" 'NF != 2 || $2 != want { print "want " want ": " $0 }'
}

# Plants another version in each file in turn and expects to hear of it.
blind_to() {
  local dir planted file
  dir=$(mktemp -d) || return 1
  for planted in "${sources[@]}"; do
    for file in "${sources[@]}"; do # a release's files may be read-only
      install -D -m 644 "$file" "$dir/$file" || return 1
    done
    sed -i "s/${version//./\\.}/9.9.9/" "$dir/$planted"
    [ -n "$(versions "$dir" | differ "$version")" ] || echo "$planted"
  done
  rm -rf "$dir"
}

no_date() {
  head -n 3 NEWS | grep -qE "^${version//./\\.} \([0-9]{4}-[0-9]{2}-[0-9]{2}\)$" ||
    echo "NEWS: the heading of $version has no date: \"$version (YYYY-MM-DD)\""
  head -n 1 contrib/debian/changelog | grep -q ' UNRELEASED;' &&
    echo "contrib/debian/changelog: $version is UNRELEASED"
  return 0
}

version=$(versions . | sed -n 's/^configure.ac //p')
tap_silent "all files name $version" differ "$version" < <(versions .)
tap_silent "the manuals name $version" differ "$version" < <(manuals)
tap_silent "another version in any of the files is seen" blind_to
[ "${1-}" != --release ] || tap_silent "$version has its date" no_date
tap_done
