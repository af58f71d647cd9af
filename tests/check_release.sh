#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# contrib/release lets a commit through that everything speaks for, and refuses it
# as soon as one thing does not. In a small clone of its own.
set -u
LC_ALL=C
export LC_ALL
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/lib/tap.sh
. "$here/lib/tap.sh"
command -v git >/dev/null || tap_skip_all "git is missing"
unset GIT_DIR GIT_WORK_TREE top_builddir
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
export HOME=$dir GIT_CONFIG_NOSYSTEM=1

in_clone() { git -C "$dir/clone" -c user.name=test -c user.email=t@localhost "$@"; }

commit() { in_clone add -A && in_clone commit -q -m "$1"; }

tested() { in_clone rev-parse HEAD >"$dir/clone/.git/warren-tested"; }

# A commit that may be released, whatever state ours is in.
make_clone() {
  rm -rf "$dir/clone" && mkdir "$dir/clone" &&
    tar -C "$here/.." -cf - configure.ac NEWS contrib/debian contrib/rpm \
      contrib/alpine contrib/lib contrib/release tests/check_versions.sh \
      tests/lib/tap.sh | tar -C "$dir/clone" -xf - --delay-directory-restore &&
    chmod -R u+w "$dir/clone" && cd "$dir/clone" || return 1
  sed -i '3s/ (.*)$/ (2026-01-01)/' NEWS
  sed -i '1s/) [A-Za-z]*;/) unstable;/' contrib/debian/changelog
  in_clone init -q && commit "to be released" && tested
}

release() { bash "$dir/clone/contrib/release" --check 2>&1; }

# refuses WHAT WORDS: exit status 1 and these words among the reasons.
refuses() {
  local said status=0
  said=$(release) || status=$?
  if [ $status -eq 1 ] && [[ $said == *"refused: "*"$2"* ]]; then
    tap_ok "refuses $1"
  else
    tap_not_ok "refuses $1" "status $status: $said"
  fi
}

make_clone >/dev/null || exit 1
if said=$(release); then
  tap_ok "lets through what everything speaks for"
else
  tap_not_ok "lets through what everything speaks for" "$said"
fi

echo "more" >"$dir/clone/more"
refuses "a tree that is not clean" "the tree is not clean"
commit "not tested"
refuses "a commit that was not tested" "contrib/run-tests has not passed for commit"
tested
in_clone tag "v$(sed -n 's/^AC_INIT(\[warren\], \[\(.*\)\])$/\1/p' configure.ac)"
refuses "a version that was released" "there is a tag"

make_clone >/dev/null || exit 1
sed -i 's/^Version: .*/Version: 9.9.9/' contrib/rpm/warren.spec
commit "another version" && tested
refuses "versions that disagree" "contrib/rpm/warren.spec 9.9.9"

make_clone >/dev/null || exit 1
sed -i '3s/ (.*)$/ (not released)/' NEWS
commit "no date" && tested
refuses "NEWS without a date" "NEWS: the heading"

make_clone >/dev/null || exit 1
sed -i '1s/unstable/UNRELEASED/' contrib/debian/changelog
commit "unreleased" && tested
refuses "a package that is not released" "UNRELEASED"
cd / && tap_done
