#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The real collectd reads each sample of conf.d with the module just built: as it
# is shipped, and with every option that is commented out put into force. A
# sample with a wrong line is refused. Samples for a purpose, MODULE-PURPOSE.conf,
# are read as they are, and so is every block that the manuals and README.md show.
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

# examples_of FILE MODULE DIR: every block <Plugin MODULE> that a manual (indented)
# or README.md (between fences) shows becomes a file of DIR; prints how many. A
# block of amqp is one that a manual says works as it is under the new name.
examples_of() {
  awk -v begin="<Plugin $2>" -v dir="$3" '
    { text = $0; sub(/^ +/, "", text); sub(/^<Plugin amqp>$/, begin, text) }
    text == begin { n++; out = dir "/example-" n ".conf"; is_in = 1
                    print "LoadPlugin " substr(begin, 9, length(begin) - 9) >out }
    is_in { print text >out }
    is_in && text == "</Plugin>" { is_in = 0; close(out) }
    END { print n + 0 }' "$1"
}

# fragments_of FILE DIR: blocks that a manual shows without the <Cluster> around
# them (Alert, Probe, Baseline), each run of lines as a file of DIR; prints how many.
fragments_of() {
  awk -v dir="$2" '
    function finish() {
      if (!is_in) return
      print "  </Cluster>\n</Plugin>" >out
      close(out)
      is_in = 0
    }
    /^( |  )?<(Alert|Probe|Baseline)/ && !is_in {
      n++
      is_in = 1
      out = dir "/example-" n ".conf"
      print "LoadPlugin rabbitmq_monitor\n<Plugin rabbitmq_monitor>" >out
      print "  <Cluster \"main\">\n    URL \"http://127.0.0.1:1\"" >out
    }
    is_in && !/^[ <]/ { finish() }
    is_in { print "  " $0 >out }
    END { print n + 0 }' "$1"
}

read_fragments() { # FILE LEAST
  local i count
  rm -f "$dir"/example-*.conf
  count=$(fragments_of "$1" "$dir")
  [ "$count" -ge "$2" ] || echo "$(basename "$1") shows $count such blocks only"
  for ((i = 1; i <= count; i++)); do
    reads "$dir/example-$i.conf" | sed "s/^/block $i: /"
  done
}

# read_examples FILE MODULE LEAST
read_examples() {
  local i count
  rm -f "$dir"/example-*.conf
  count=$(examples_of "$1" "$2" "$dir")
  [ "$count" -ge "$3" ] || echo "$(basename "$1") shows $count blocks of $2 only"
  for ((i = 1; i <= count; i++)); do
    reads "$dir/example-$i.conf" | sed "s/^/block $i: /"
  done
}

for la in ${MODULES-}; do
  module=${la%.la}
  sample=$here/../conf.d/$module.conf
  tap_silent "$module: the sample as it is" reads "$sample"
  # Files of TLS need TLS, and a password comes from one place only.
  sed -E 's/^( +)#([A-Z<]|  [A-Z])/\1\2/; s/TLSEnabled false/TLSEnabled true/; /^ +(Password|BearerTokenFile) /d' \
    "$sample" >"$dir/all.conf"
  tap_silent "$module: the sample with every option" reads "$dir/all.conf"
  if grep -q BearerTokenFile "$sample"; then # instead of a password
    sed -E 's/^( +)#(BearerTokenFile)/\1\2/; /^ +(User|Password) /d' \
      "$sample" >"$dir/token.conf"
    tap_silent "$module: the sample with a token" reads "$dir/token.conf"
  fi
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
  tap_silent "$module: the examples of its manual" \
    read_examples "$here/../plugins/$module.pod" "$module" 1
  tap_silent "$module: the example of README.md" \
    read_examples "$here/../README.md" "$module" 1
done
case " ${MODULES-} " in
  *" rabbitmq_monitor.la "*)
    tap_silent "blocks within a <Cluster> that its manual shows" \
      read_fragments "$here/../plugins/rabbitmq_monitor.pod" 4
    tap_silent "blocks within a <Cluster> that README.md shows" \
      read_fragments "$here/../README.md" 1
    ;;
esac
tap_done
