# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Root directories with another Debian in them. Needs root. Sourced; who sources
# it calls chroot_end for every root before it ends, whatever way it ends. The
# processes inside see a network of their own only in name: ports are this
# machine's.
#
#   chroot_make SUITE ROOT    debootstrap; a root that is there stays as it is
#   chroot_copy FROM TO       a second one like it, nothing mounted in either
#   chroot_mounts ROOT        proc, dev, sys; names as this machine knows them
#   chroot_run ROOT COMMAND   with a plain environment
#   chroot_apt ROOT PACKAGE...  installed, nothing of it started
#   chroot_end ROOT           ends what runs there and unmounts
#   chroot_remove ROOT        removes it; refuses while something is mounted

chroot_make() { # SUITE ROOT
  local mirror=${WARREN_ROOT_MIRROR:-http://deb.debian.org/debian}
  [ -e "$2/etc/debian_version" ] && return 0
  command -v debootstrap >/dev/null ||
    apt-get install -y --no-install-recommends debootstrap || return 1
  debootstrap --variant=minbase --include=ca-certificates "$1" "$2" "$mirror"
}

chroot_copy() { # FROM TO
  mkdir -p "$2" && cp -a --one-file-system "$1/." "$2/"
}

chroot_mount() { # TYPE/OPTIONS... TARGET
  mkdir -p "${*: -1}" && mount "$@"
}

chroot_mounts() { # ROOT
  chroot_mount -t proc proc "$1/proc" &&
    chroot_mount --bind /dev "$1/dev" &&
    mount --make-rprivate "$1/dev" &&
    chroot_mount -t devpts -o newinstance,ptmxmode=0666 devpts "$1/dev/pts" &&
    chroot_mount -t tmpfs -o size=2g tmpfs "$1/dev/shm" &&
    chroot_mount --bind /sys "$1/sys" &&
    cp /etc/resolv.conf /etc/hosts "$1/etc/"
}

chroot_run() { # ROOT COMMAND...
  local root=$1
  shift
  env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=dumb \
    DEBIAN_FRONTEND=noninteractive WARREN_COMMIT="${WARREN_COMMIT:-unknown}" \
    chroot "$root" "$@"
}

chroot_apt() { # ROOT PACKAGE...
  local root=$1
  shift
  [ -e "$root/usr/sbin/policy-rc.d" ] || {
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d" &&
      chmod 755 "$root/usr/sbin/policy-rc.d"
  }
  # Nobody keeps this root over a power failure, and without it dpkg waits for
  # the disk after each file.
  echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/unsafe-io"
  chroot_run "$root" apt-get -q update &&
    chroot_run "$root" apt-get -q -o Dpkg::Use-Pty=0 install -y \
      --no-install-recommends "$@"
}

# What still runs inside would keep the mounts busy.
chroot_end_processes() { # ROOT
  local pid signal any
  for signal in TERM KILL; do
    any=
    for pid in /proc/[0-9]*; do
      [ "$(readlink "$pid/root" 2>/dev/null)" = "$1" ] &&
        kill -"$signal" "${pid#/proc/}" 2>/dev/null && any=yes
    done
    [ -z "$any" ] || sleep 1
  done
}

chroot_end() { # ROOT
  local root=$1 target
  [ -d "$root" ] && root=$(cd "$root" && pwd -P) || return 0
  chroot_end_processes "$root"
  # The deepest first.
  while read -r target; do
    umount "$target" 2>/dev/null || umount -l "$target"
  done < <(awk -v top="$root/" 'index($2, top) == 1 { print $2 }' \
    /proc/self/mounts | sort -r)
}

chroot_remove() { # ROOT
  ! grep -qF " $1/" /proc/self/mounts && rm -rf "$1"
}
