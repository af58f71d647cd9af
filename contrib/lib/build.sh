# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Building out of the tree: the clone is read, never written.
#
#   build_sources DIR                copies the sources to DIR, runs autogen.sh
#   build_configure SRC BUILD ARG... configures SRC in BUILD
#   build_make BUILD ARG...          make with as many jobs as processors

build_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# What a clone holds plus what its owner is about to add; without git (a
# release) everything.
build_list() {
  local git=(git -c safe.directory='*' -C "$build_root")
  if command -v git >/dev/null && "${git[@]}" rev-parse >/dev/null 2>&1; then
    "${git[@]}" ls-files -z --cached --others --exclude-standard
  else
    find "$build_root" -name .git -prune -o -type f -printf '%P\0'
  fi
}

build_sources() {
  local to=$1
  mkdir -p "$to"
  build_list | tar -C "$build_root" --null --ignore-failed-read --no-recursion \
    -T - -cf - 2>/dev/null | tar -C "$to" -xf -
  [ -x "$to/autogen.sh" ] || {
    echo "No autogen.sh in $build_root: not a source tree of Warren." >&2
    return 1
  }
  (cd "$to" && ./autogen.sh)
}

build_configure() {
  local from=$1 to=$2
  shift 2
  mkdir -p "$to"
  (cd "$to" && "$from/configure" "$@")
}

build_make() {
  local in=$1
  shift
  make -C "$in" -j"$(nproc)" "$@"
}
