#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs inside a clean Debian, as root: the packages are installed, used, upgraded,
# removed, purged and installed again; nothing may be left of them, and nothing
# is switched on by them. contrib/lib/package_root.sh starts it.
#
# usage: lifecycle.sh DIRECTORY-OF-PACKAGES
#
# One line for each thing looked at, "ok" or "FAILED".
set -u
debs=$1
here=$(cd "$(dirname "$0")" && pwd)
names=(collectd-mod-rabbitmq warren warren-doc)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0

# look WHAT COMMAND...: passes when COMMAND succeeds; what it prints is shown when
# it fails.
look() {
  local what=$1
  shift
  if "$@" >"$work/said" 2>&1; then
    printf 'ok      %s\n' "$what"
  else
    printf 'FAILED  %s\n' "$what"
    tail -n 40 "$work/said" | sed 's/^/        /'
    failed=1
  fi
}

# The same for a script that prints such lines itself.
look_at() {
  "$@" || failed=1
}

apt() { apt-get -q -o Dpkg::Use-Pty=0 -y --no-install-recommends "$@"; }

packages() { # VERSION-OF-FILE-NAME: the three files
  local name
  for name in "${names[@]}"; do
    ls "$debs/${name}_$1"_*.deb
  done
}

# Every file that is no business of apt and dpkg themselves.
files() {
  find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run \
    -o -path /tmp -o -path /src -o -path /debs -o -path /root \
    -o -path /var/cache/apt -o -path /var/cache/debconf -o -path /var/lib/apt \
    -o -path /var/lib/dpkg -o -path /var/log \) -prune -o \
    \( -type d -printf '%y %m %u:%g %p\n' \) -o \
    -printf '%y %m %u:%g %s %p %l\n' | sort
}

same_files() { diff "$work/before" <(files); }

# A version before this one: the same files and one that it had more.
make_previous() {
  local deb dir
  for deb in $(packages "$version"); do
    dir=$work/previous/$(basename "$deb" .deb)
    mkdir -p "$work/previous" && dpkg-deb -R "$deb" "$dir" || return 1
    sed -i "s/^Version: .*/&~previous/" "$dir/DEBIAN/control"
    touch "$dir/usr/share/doc/$(basename "$deb" | cut -d_ -f1)/only-previous"
    dpkg-deb --root-owner-group -b "$dir" "$debs" || return 1
  done
}

installed_is() { # VERSION
  local name
  for name in "${names[@]}"; do
    [ "$(dpkg-query -W -f '${db:Status-Status} ${Version}' "$name")" = \
      "installed $1" ] || return 1
  done
}

nothing_is_switched_on() {
  # What came is ours by dpkg's list, and nothing of it is in /etc.
  comm -13 "$work/before" <(files) | awk '$1 != "d" { print $5 }' >"$work/new"
  dpkg-query -L "${names[@]}" | sort -u >"$work/listed"
  [ -s "$work/new" ] && ! grep '^/etc\|^/var\|^/lib/systemd' "$work/new" &&
    ! sort "$work/new" | comm -23 - "$work/listed" | grep .
}

files_are_intact() { # against the package's own sums
  ! dpkg --verify "${names[@]}" | grep .
}

manuals_are_there() {
  local page
  for page in man5/rabbitmq_consume.5 man5/rabbitmq_monitor.5 \
    man5/rabbitmq_publish.5 man1/warren.1 man7/warren.7; do
    gzip -t "/usr/share/man/$page.gz" || return 1
  done
}

loads() { # collectd with each module and no block
  local name
  for name in rabbitmq_publish rabbitmq_consume rabbitmq_monitor; do
    printf 'BaseDir "%s"\nLoadPlugin %s\nLoadPlugin the_end\n' "$work" "$name" \
      >"$work/loads.conf"
    collectd -f -C "$work/loads.conf" >"$work/loads" 2>&1
    cat "$work/loads"
    grep -q "\"$name\" successfully loaded" "$work/loads" || return 1
  done
}

# What README.md and README.Debian say of a LoadPlugin that is left over.
does_not_start() {
  local status=0
  printf 'BaseDir "%s"\nLoadPlugin rabbitmq_publish\n' "$work" >"$work/gone.conf"
  timeout 20 collectd -f -C "$work/gone.conf" || status=$?
  echo "status $status"
  [ $status -ne 0 ] && [ $status -ne 124 ]
}

no_trace_in_dpkg() {
  ! dpkg -l "${names[@]}" 2>/dev/null | grep '^[a-z][a-z] ' &&
    ! ls /var/lib/dpkg/info/collectd-mod-rabbitmq* \
      /var/lib/dpkg/info/warren* 2>/dev/null
}

state_is_purged() { # the default place of offsets is ours, a spool never
  [ ! -e /var/lib/collectd/rabbitmq_consume-x-y.offset ] &&
    [ ! -e /var/lib/collectd/rabbitmq_monitor-x.week ] &&
    [ ! -e /var/lib/collectd/rabbitmq_monitor-x.week.new ] &&
    [ -e /var/lib/collectd/rabbitmq/messages ]
}

version=$(basename "$debs"/warren_*_*.deb | sed -n 's/^warren_\(.*\)_.*/\1/p')
export DEBIAN_FRONTEND=noninteractive PYTHONDONTWRITEBYTECODE=1 LC_ALL=C.UTF-8
mapfile -t new < <(packages "$version")
run=(/usr/bin/python3 "$here/installed.py")

look "apt brings everything that the packages need" apt install "${new[@]}"
look "warren runs on the clean system" warren --version
look "collectd loads the modules" loads
look "purge right after install" apt purge "${names[@]}"
look "no trace of them is left" no_trace_in_dpkg

look "broker and python for the tests" apt install rabbitmq-server python3 \
  libyajl2 procps
files >"$work/before"
look "install" apt install "${new[@]}"
look "nothing is switched on" nothing_is_switched_on
look "the files are those of the packages" files_are_intact
look "the manuals are there, compressed" manuals_are_there
look_at "${run[@]}"

look "make a previous version" make_previous
mapfile -t old < <(packages "$version~previous")
look "go back to the previous version" apt install --allow-downgrades "${old[@]}"
look "the previous version is installed" installed_is "$version~previous"
look_at "${run[@]}" --during "apt-get -q -y install ${new[*]}"
look "the new version is installed" installed_is "$version"
look "nothing of the previous version is left" \
  bash -c '! ls /usr/share/doc/*/only-previous'
look "the files are those of the packages after the upgrade" files_are_intact

mkdir -p /var/lib/collectd/rabbitmq
touch /var/lib/collectd/rabbitmq_consume-x-y.offset \
  /var/lib/collectd/rabbitmq_monitor-x.week{,.new} \
  /var/lib/collectd/rabbitmq/messages
look "remove" apt remove "${names[@]}"
look "collectd does not start with a module that is gone" does_not_start
look "install after remove" apt install "${new[@]}"
look "reinstall" apt install --reinstall "${new[@]}"
look_at "${run[@]}"
look "purge" apt purge "${names[@]}"
look "what streams have read is purged, a spool is kept" state_is_purged
rm -rf /var/lib/collectd/rabbitmq
look "no trace of them is left in dpkg" no_trace_in_dpkg
look "every file is as before the installation" same_files
[ "$failed" -eq 0 ]
