# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The tarball of a release, from a commit alone, the same bytes wherever and
# whenever it is made (with the same autotools, tar and xz). Sourced; sees
# build_root and the functions of contrib/lib/build.sh.
#
#   dist_version              the version that configure.ac says
#   dist_epoch                when the commit was made
#   dist_clean_commit         the commit that is here; "" where something was changed
#   dist_remember_tested COMMIT  contrib/run-tests has passed for it
#   dist_tested               the commit for which it has; "" where there is none
#   dist_make WORK TO         TO/warren-VERSION.tar.xz; builds in WORK

# shellcheck disable=SC2154  # build_root: of build.sh
dist_git() { git -c safe.directory='*' -C "$build_root" "$@"; }

dist_version() {
  dist_git show HEAD:configure.ac | sed -n 's/^AC_INIT(\[warren\], \[\(.*\)\])$/\1/p'
}

dist_epoch() { dist_git log -1 --format=%ct; }

# In the clone's git directory, so that the tree stays as it is. Only of a tree
# that is a commit; where there is no git, or it is not ours to write, of nothing.
dist_tested_file() {
  dist_git rev-parse --path-format=absolute --git-path warren-tested
}

dist_clean_commit() {
  [ -z "$(dist_git status --porcelain 2>&1)" ] || return 0
  dist_git rev-parse HEAD 2>/dev/null || true
}

dist_remember_tested() { # COMMIT
  [ -n "$1" ] || return 0
  (echo "$1" >"$(dist_tested_file)") 2>/dev/null || true
}

dist_tested() { cat "$(dist_tested_file)" 2>/dev/null; }

dist_make() { # WORK TO
  local work=$1 to=$2 epoch
  epoch=$(dist_epoch) || return 1
  mkdir -p "$work/src" "$to" && dist_git archive HEAD | tar -C "$work/src" -xf - &&
    (
      export SOURCE_DATE_EPOCH=$epoch TZ=UTC LC_ALL=C
      unset XZ_OPT XZ_DEFAULTS
      umask 022
      (cd "$work/src" && ./autogen.sh) &&
        build_configure "$work/src" "$work/build" &&
        build_make "$work/build" dist-xz \
          am__tar="tar --format=posix --sort=name --mtime=@$epoch \
            --owner=0 --group=0 --numeric-owner --mode=u+rw,go=rX \
            --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime \
            -chf - \"\$\$tardir\""
    ) && mv "$work"/build/warren-*.tar.xz "$to"
}
