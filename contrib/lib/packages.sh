# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Debian packages: installs what is missing, and nothing it installs gets
# started or enabled. Sourced by contrib/demo and contrib/run-tests.
#
#   packages_install PACKAGE...   as root or through sudo
#   packages_report               the line that removes what was installed

# Names that changed between Debian 12 and 13.
case $(sed -n 's/^VERSION_ID="\{0,1\}\([0-9]*\).*/\1/p' /etc/os-release 2>/dev/null) in
  12) packages_rrd=librrd8 packages_clang_rt=libclang-rt-14-dev ;;
  *) packages_rrd=librrd8t64 packages_clang_rt=libclang-rt-dev ;;
esac

# shellcheck disable=SC2034  # for those who source this
PACKAGES_BUILD=(
  gcc libc6-dev make pkgconf autoconf automake libtool xz-utils perl
  collectd-dev librabbitmq-dev libssl-dev libcurl4-openssl-dev libjansson-dev
  libsqlite3-dev zlib1g-dev libcmocka-dev
  libmicrohttpd-dev
)
# shellcheck disable=SC2034
# librrd8 (or its heir) and libyajl2 are what collectd's rrdtool and amqp plugins need;
# collectd-core only suggests them. rrdtool and a font draw the demo's pictures.
PACKAGES_RUN=(
  collectd-core "$packages_rrd" libyajl2 rabbitmq-server python3
  rrdtool fonts-dejavu-core
)
# shellcheck disable=SC2034
# graphite-carbon and influxdb read what we publish for them; collectd's plugins
# processes and write_prometheus, which tests read, need libmnl0, libprotobuf-c1
# and a libmicrohttpd. One of the long drills cuts a network that iproute2 makes.
# wrk and curl ask warren publish --listen.
PACKAGES_TEST=(
  python3-pytest python3-pika openssl git graphite-carbon influxdb iproute2 jq libmnl0
  prometheus prometheus-alertmanager prometheus-node-exporter
  libmicrohttpd-dev libprotobuf-c1 wrk curl
  clang clang-tools clang-format "$packages_clang_rt" cppcheck shellcheck valgrind
  zsh
)

PACKAGES_NEW=()

packages_as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    echo "Installing packages needs root: run this as root or install sudo." >&2
    return 1
  fi
}

packages_installed() {
  # shellcheck disable=SC2016  # dpkg's own variables
  dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2>/dev/null |
    sed -n 's/^installed //p' | sort -u
}

packages_missing() {
  comm -13 <(packages_installed) <(printf '%s\n' "$@" | sort -u)
}

packages_apt() {
  packages_as_root env DEBIAN_FRONTEND=noninteractive apt-get -q \
    -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 "$@"
}

# The links that make a service start at boot.
packages_enabled() {
  find /etc/systemd/system -path '*.wants/*' -type l 2>/dev/null
  find /etc/rc[2-5].d -name 'S*' -type l 2>/dev/null
}

# A package enables its service while it is configured. Those that were not
# there before go off again; none of them has been started.
packages_disable_new() { # LINKS-BEFORE
  local link name
  comm -13 <(sort <<<"$1") <(packages_enabled | sort) | while read -r link; do
    name=${link##*/}
    case $link in
      /etc/rc*) packages_as_root update-rc.d "${name#S[0-9][0-9]}" disable ;;
      *) packages_as_root rm -f "$link" ;;
    esac >/dev/null 2>&1 </dev/null ||
      echo "note: $name starts at boot; could not disable it" >&2
  done
}

# While this file is there no package script starts or stops a service. One that
# the machine has already is its owner's decision and stays as it is.
packages_policy=/usr/sbin/policy-rc.d
packages_policy_ours=

packages_hold_services() {
  [ -e $packages_policy ] && return 0
  packages_policy_ours=yes
  printf '#!/bin/sh\n# temporary, by Warren\nexit 101\n' |
    packages_as_root tee $packages_policy >/dev/null &&
    packages_as_root chmod 755 $packages_policy
}

packages_release_services() {
  [ -z "$packages_policy_ours" ] || packages_as_root rm -f $packages_policy
  packages_policy_ours=
}

packages_install() {
  local missing before enabled status=0
  mapfile -t missing < <(packages_missing "$@")
  if [ ${#missing[@]} -eq 0 ]; then
    echo "Packages: all ${#} are there, nothing to install."
    return 0
  fi
  if ! command -v apt-get >/dev/null; then
    echo "This needs Debian 12. Missing: ${missing[*]}" >&2
    return 1
  fi
  echo "Packages: installing ${missing[*]}"
  echo "(nothing of it is started or enabled as a service)"
  before=$(packages_installed)
  enabled=$(packages_enabled)
  (
    # In a subshell, so that our trap and the caller's never meet.
    trap packages_release_services EXIT
    trap 'exit 130' INT TERM HUP
    packages_hold_services || exit 1
    apt-get -qq -s install --no-install-recommends "${missing[@]}" \
      >/dev/null 2>&1 || packages_apt update || exit 1
    packages_apt install -y --no-install-recommends "${missing[@]}" ||
      { packages_apt update &&
        packages_apt install -y --no-install-recommends "${missing[@]}"; }
  ) >"${PACKAGES_LOG:-/dev/null}" 2>&1 || status=$?
  packages_disable_new "$enabled"
  mapfile -t PACKAGES_NEW < <(
    comm -13 <(echo "$before") <(packages_installed))
  if [ $status -ne 0 ]; then
    echo "Packages: installation failed (status $status)." >&2
    [ -z "${PACKAGES_LOG:-}" ] || tail -n 20 "$PACKAGES_LOG" >&2
  fi
  return $status
}

packages_report() {
  [ ${#PACKAGES_NEW[@]} -gt 0 ] || return 0
  echo "To remove the packages that were installed:"
  echo "  $([ "$(id -u)" -eq 0 ] || echo "sudo ")apt-get purge ${PACKAGES_NEW[*]}"
}
