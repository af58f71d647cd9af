#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The real collectd reads each sample of conf.d with the module just built: as it
# is shipped, and with every option that is commented out put into force. A
# sample with a wrong line is refused. Samples for a purpose, MODULE-PURPOSE.conf,
# are read as they are.
#
# Reads MODULES (names of .la files), top_builddir, COLLECTD, RMQ_SANITIZERS.
set -u
LC_ALL=C
export LC_ALL
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/lib/tap.sh
. "$here/lib/tap.sh"

[ -x "${COLLECTD-}" ] || tap_skip_all "no collectd here"
[ "${RMQ_SANITIZERS:-no}" = no ] ||
  tap_skip_all "the daemon does not load a module with sanitizers"
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
for la in ${MODULES-}; do
  cp "${top_builddir:-.}/.libs/${la%.la}.so" "$dir/" || exit 1
done

# reads SAMPLE-FILE: what collectd has against it. "collectd -t" would not load
# the module, so the last line of the configuration is a module that does not
# exist: collectd ends there, before it starts anything.
reads() {
  printf 'BaseDir "%s"\nPluginDir "%s"\nFQDNLookup false\nInclude "%s"\n' \
    "$dir" "$dir" "$1" >"$dir/collectd.conf"
  echo 'LoadPlugin the_end' >>"$dir/collectd.conf"
  # A variable that a sample may ask for.
  TLS_KEY_PASSWORD=secret "$COLLECTD" -f -C "$dir/collectd.conf" >"$dir/said" 2>&1 &&
    echo "collectd has started"
  grep -q 'plugin "the_end"' "$dir/said" || echo "collectd did not come to the end"
  grep -vE 'successfully loaded|the_end|Parsing the config file failed|^$' "$dir/said"
  true
}

for la in ${MODULES-}; do
  module=${la%.la}
  sample=$here/../conf.d/$module.conf
  tap_silent "$module: the sample as it is" reads "$sample"
  # Files of TLS need TLS, and a password comes from one place only.
  sed -E 's/^( +)#([A-Z])/\1\2/; s/TLSEnabled false/TLSEnabled true/; /^ +Password /d' \
    "$sample" >"$dir/all.conf"
  tap_silent "$module: the sample with every option" reads "$dir/all.conf"
  sed -E 's/^( +)#(LogFormat).*/&\n\1Hots "typo"/' "$sample" >"$dir/typo.conf"
  if [[ $(reads "$dir/typo.conf") == *'block "main": option "Hots"'* ]]; then
    tap_ok "$module: a wrong option is refused by name"
  else
    tap_not_ok "$module: a wrong option is refused by name" \
      "$(reads "$dir/typo.conf")"
  fi
  for sample in "$here/../conf.d/$module"-*.conf; do
    [ -e "$sample" ] || continue
    tap_silent "$(basename "$sample")" reads "$sample"
  done
done
tap_done
