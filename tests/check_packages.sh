#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The packages of Debian, RPM and Alpine hold what "make install" installs, each
# file once, and the same manuals, samples and contributions beside it.
#
# Reads top_builddir for what is installed.
set -u
LC_ALL=C
export LC_ALL
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/lib/tap.sh
. "$here/lib/tap.sh"
build=$(cd "${top_builddir:-.}" && pwd)
cd "$here/.." || exit 1
[ -e "$build/Makefile" ] || tap_skip_all "nothing is configured"
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT

# What the packages' builds would install, below $dir/root.
unset MAKEFLAGS MFLAGS MAKELEVEL
make -s -C "$build" install-exec-am install-data-am DESTDIR="$dir/root" \
  prefix=/usr exec_prefix=/usr plugindir=/usr/lib/collectd \
  >"$dir/log" 2>&1 || {
  cat "$dir/log"
  tap_skip_all "the build cannot be installed: it was not finished"
}

# "PACKAGE PATTERN" of each file that is installed.
of_debian() {
  local file
  for file in contrib/debian/*.install; do
    sed "s|^|$(basename "$file" .install) |" "$file"
  done
}

# Sections "%files", "%files -n NAME", "%files NAME"; the last one is of NAME's
# own prefix.
of_spec() { # PATTERN-OF-LINES
  awk -v lines="$1" '
    /^%[a-z]+( |$)/ && !/^%(doc|license)/ {
      package = ""
      if ($1 == "%files")
        package = NF == 1 ? "warren" : $2 == "-n" ? $3 : "warren-" $2
    }
    package != "" && $0 ~ lines { print package, $0 }' contrib/rpm/warren.spec
}

paths_of_spec() {
  of_spec '^%[{]' | sed -e 's|%{_bindir}|usr/bin|; s|%{_mandir}|usr/share/man|
    s|%{_datadir}|usr/share|; s|%{_libdir}|usr/lib|; s|\*$||'
}

# "PACKAGE FILE" of what is installed; complains of the rest. Reads patterns.
matched() {
  local package pattern file
  : >"$dir/matched"
  while read -r package pattern; do
    # shellcheck disable=SC2086  # a pattern
    for file in $(cd "$dir/root" && printf '%s\n' $pattern); do
      [ -f "$dir/root/$file" ] && echo "$package $file" ||
        echo "$package names $pattern, which is not installed"
    done
  done >"$dir/matched"
  grep ' names ' "$dir/matched"
  (cd "$dir/root" && find . -type f ! -name '*.la' -printf '%P\n') | sort |
    comm -3 - <(grep -v ' names ' "$dir/matched" | cut -d' ' -f2 | sort) |
    sed 's/^\t*\(.*\)/\1 is in no package, or in two/'
}

# What lies beside it: "PACKAGE THING" with samples as conf.d and HTML as html.
# Debian has NEWS as changelog and COPYING as copyright.
beside() { sed 's|conf\.d/\*$|conf.d|; s|[^ ]*\*\.html$|html|' | sort -u; }
beside_debian() {
  local file
  for file in contrib/debian/*.docs contrib/debian/*.examples; do
    sed "s|^|$(basename "${file%.*}") |" "$file"
  done | beside
}
beside_spec() {
  of_spec '^%doc' | awk '{ for (i = 3; i <= NF; i++) print $1, $i }' |
    grep -v ' NEWS$' | beside
}
# All in its one package for documents.
beside_apk() {
  sed -n '/^package()/,/^}/s/[ \\]\{1,\}/\n/gp' contrib/alpine/APKBUILD |
    sed -n 's|^conf\.d/.*|conf.d|; /^contrib\/\|^conf\.d$\|\.md$/p' | sort -u
}

# One after the other: both may write to the file of matched.
same() { # COMMAND COMMAND
  "$1" >"$dir/first"
  "$2" >"$dir/second"
  diff "$dir/first" "$dir/second"
}
things() { beside_debian | cut -d' ' -f2 | grep -v '^html$' | sort -u; }

debian_has_all() { of_debian | matched; }
spec_has_all() { paths_of_spec | matched; }
packages_of() { # COMMAND: "PACKAGE FILE"
  "$1" | matched >/dev/null
  sort "$dir/matched"
}
files_of_debian() { packages_of of_debian; }
files_of_spec() { packages_of paths_of_spec; }

# A file more that is installed, and one that is not there, are seen.
blind() {
  touch "$dir/root/usr/bin/more"
  of_debian | matched | grep -q 'usr/bin/more is in no' || echo "a file more"
  rm "$dir/root/usr/bin/more"
  { of_debian && echo "warren usr/bin/less"; } | matched |
    grep -q 'which is not installed' || echo "a file less"
  { of_debian && echo "warren-doc usr/bin/warren"; } | matched |
    grep -q 'usr/bin/warren is in no package, or in two' || echo "one twice"
}

few() { # COMMAND...: those whose list is too short to be one
  local list
  for list; do
    [ "$("$list" | wc -l)" -gt 8 ] || echo "$list"
  done
}

tap_silent "the lists can be read" few files_of_debian files_of_spec things \
  beside_spec beside_apk
tap_silent "Debian's packages hold what is installed" debian_has_all
tap_silent "RPM's packages hold what is installed" spec_has_all
tap_silent "they hold the same files" same files_of_debian files_of_spec
tap_silent "they hold the same documents and samples" same beside_debian beside_spec
tap_silent "Alpine's hold these documents and samples" same things beside_apk
tap_silent "a file more, one less, and one twice are seen" blind
tap_done
