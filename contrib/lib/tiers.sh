# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The tiers of contrib/run-tests that take longer, measure, or need root. Each is
# a group like the others and leaves tests/results/NAME.json behind. Sourced by
# contrib/run-tests, whose variables and functions they use.
#
#   --bench         bench                     25 to 35 minutes
#   --long          long, fuzz, quiet         two hours and a half
#   --root trixie   root                      30 minutes
#   --packages bookworm|trixie  packages      15 minutes
#   --telegraf      telegraf                  3 minutes, 10 to build a Telegraf
#   --release       release                   10 minutes

# shellcheck disable=SC2154  # work, pytest_args: of run-tests
tiers_python() {
  PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$@"
}

# --- bench ------------------------------------------------------------------

group_bench() {
  # Not the sanitizers' builds, not -Werror: what a user would run. Progress goes
  # past the log to whoever watches.
  build_at fast CFLAGS="-O2 -g" && build_make "$work/fast" all bench &&
    tiers_python "$work/src/tests/bench/bench.py" --build "$work/fast" \
      "${bench_args[@]}" 2>&3
}

# --- long -------------------------------------------------------------------

# What a part of --long did, for long.json.
tiers_note() { # PART JSON
  mkdir -p "$work/long"
  printf '%s\n' "$2" >"$work/long/$1.json"
}

group_long() {
  local status=0 began=$SECONDS kills=${WARREN_LONG_KILLS:-100}
  local figures=$work/long-figures.json
  echo '[]' >"$figures"
  WARREN_LONG=1 WARREN_LONG_KILLS=$kills WARREN_FIGURES=$figures \
    WARREN_TEST_LIMIT=${WARREN_TEST_LIMIT:-7200} group_integration || status=$?
  tiers_note integration "{\"kills_a_mode\": $kills, \"status\": $status,
    \"pytest\": \"${pytest_args[*]}\",
    \"seconds\": $((SECONDS - began)),
    \"passed\": $(last_pytest passed "$work/long.log"),
    \"failed\": $(last_pytest failed "$work/long.log"),
    \"measured\": $(cat "$figures")}"
  return $status
}

# The drills alone, with whatever else --pytest says.
group_drills() {
  local status=0 began=$SECONDS figures=$work/drills-figures.json
  echo '[]' >"$figures"
  build_plain bench_at || return 1
  WARREN_LONG=1 WARREN_FIGURES=$figures \
    run_pytest -k test_drills "${pytest_args[@]}" || status=$?
  tiers_note drills "{\"status\": $status, \"pytest\": \"${pytest_args[*]}\",
    \"seconds\": $((SECONDS - began)),
    \"passed\": $(last_pytest passed "$work/drills.log"),
    \"failed\": $(last_pytest failed "$work/drills.log"),
    \"measured\": $(cat "$figures")}"
  return $status
}

# fuzz_one STEM SECONDS: one target; what it found is kept and named.
fuzz_one() {
  local stem=$1 seconds=$2 log=$work/fuzz-$1.log status=0 inputs
  "$work/src/tests/fuzz/run" "$stem" "$seconds" "$work/fuzz-$stem" \
    >"$log" 2>&1 || status=$?
  inputs=$(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' "$log")
  printf '%s {"target": "%s", "seconds": %d, "inputs": %d, "status": %d}\n' \
    "$fuzz_comma" "$stem" "$seconds" "${inputs:-0}" "$status" \
    >>"$work/fuzz.list"
  fuzz_comma=,
  if [ $status -eq 0 ] && [ "${inputs:-0}" -gt 0 ]; then
    printf 'ok      fuzz %-20s %4d s, %s inputs\n' "$stem" "$seconds" "$inputs"
    return 0
  fi
  printf 'FAILED  fuzz %s\n' "$stem"
  tail -n 40 "$log"
  for log in "$work/fuzz-$stem"/crash-* "$work/fuzz-$stem"/timeout-* \
    "$work/fuzz-$stem"/oom-*; do
    [ -e "$log" ] && echo "input: $(base64 -w 0 <"$log" | head -c 4000)"
  done
  return 1
}

group_fuzz() {
  local target stem status=0 fuzz_comma=
  : >"$work/fuzz.list"
  for target in "$work"/src/tests/fuzz/fuzz_*.c; do
    stem=${target##*/fuzz_}
    fuzz_one "${stem%.c}" "${WARREN_LONG_FUZZ_S:-600}" || status=1
  done
  tiers_note fuzz "[$(cat "$work/fuzz.list")]"
  return $status
}

group_quiet() {
  local status=0
  build_plain bench_at || return 1
  tiers_python "$work/src/tests/tiers/quiet.py" --build "$work/plain" \
    --seconds "${WARREN_LONG_QUIET_S:-600}" --figures "$work/quiet.json" ||
    status=$?
  [ -e "$work/quiet.json" ] && tiers_note quiet "$(cat "$work/quiet.json")"
  return $status
}

tiers_finish() { # after all groups
  [ -d "$work/long" ] || return 0
  tiers_python "$here/../tests/tiers/long.py" "$work/long"
}

# --- root -------------------------------------------------------------------

group_root() {
  # shellcheck disable=SC2086  # words
  bash "$here/lib/root.sh" "$root_suite" "$work" "${here%/contrib}" \
    ${WARREN_ROOT_GROUPS:-}
}

# --- packages ---------------------------------------------------------------

group_packages() {
  # shellcheck disable=SC2154  # packages_suite: of run-tests
  PACKAGES_LOG=$work/packages-tools.log packages_install autopkgtest debootstrap \
    dpkg-dev &&
    bash "$here/lib/package_root.sh" "$packages_suite" "$work/packages" \
      "${here%/contrib}"
}

# --- release ----------------------------------------------------------------

TIERS_SPDX_TOOLS=spdx-tools==0.8.3 # in no package of Debian

# tiers_collectd_src DIRECTORY: prints the path of Debian's tarball of collectd's
# source. apt judges its signature; its own lists stay as they are.
tiers_collectd_src() {
  local apt mirror=${WARREN_ROOT_MIRROR:-http://deb.debian.org/debian} suite
  suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
  mkdir -p "$1/lists/partial"
  echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]" \
    "$mirror $suite main" >"$1/sources.list"
  apt=(apt-get -q -o "Dir::Etc::SourceList=$1/sources.list"
    -o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$1/lists"
    -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=)
  (cd "$1" && "${apt[@]}" update &&
    "${apt[@]}" source --download-only --tar-only collectd) >&2 &&
    echo "$1"/collectd_*.orig.tar.*
}

group_release() {
  local collectd=${WARREN_COLLECTD_SRC:-}
  [ -e "${here%/contrib}/.git" ] || {
    echo "A release is made from a clone; this is none." >&2
    return 1
  }
  PACKAGES_LOG=$work/release-tools.log packages_install binutils cpio gnupg \
    python3-venv rpm rpm2cpio || return 1
  mkdir -p "$work/release" &&
    /usr/bin/python3 -m venv "$work/spdx" &&
    "$work/spdx/bin/pip" -q install "$TIERS_SPDX_TOOLS" || return 1
  [ -n "$collectd" ] || collectd=$(tiers_collectd_src "$work/collectd") || return 1
  tiers_python "$work/src/tests/tiers/release.py" --sources "${here%/contrib}" \
    --work "$work/release" --collectd-src "$collectd" \
    --spdx-python "$work/spdx/bin/python3"
}

# --- telegraf ---------------------------------------------------------------

TELEGRAF_VERSION=1.37.2
# What the tier configures, and no other plugin: a twentieth of the whole.
TELEGRAF_TAGS=custom,inputs.execd,inputs.amqp_consumer,outputs.amqp,outputs.execd
TELEGRAF_TAGS+=,outputs.file,outputs.prometheus_client,parsers.influx
TELEGRAF_TAGS+=,serializers.influx

# Sets telegraf. It is in no package of Debian.
tiers_find_telegraf() {
  telegraf=${WARREN_TELEGRAF:-$(command -v telegraf)}
  [ -x "$telegraf" ] || command -v go >/dev/null
}

tiers_build_telegraf() { # DIRECTORY
  # -modcacherw: what cannot be written cannot be removed at the end.
  GOPATH=$1/go GOCACHE=$1/cache GOBIN=$1 GOFLAGS='-mod=mod -modcacherw' \
    GOTOOLCHAIN=local CGO_ENABLED=0 nice -n 10 go install -trimpath \
    -ldflags "-s -w -X github.com/influxdata/telegraf/internal.Version=$TELEGRAF_VERSION" \
    -tags "$TELEGRAF_TAGS" \
    "github.com/influxdata/telegraf/cmd/telegraf@v$TELEGRAF_VERSION"
}

group_telegraf() {
  build_plain bench_at || return 1
  if [ ! -x "$telegraf" ]; then
    telegraf=$work/telegraf/telegraf
    tiers_build_telegraf "$work/telegraf" || return 1
  fi
  tiers_python "$work/src/tests/tiers/telegraf.py" --build "$work/plain" \
    --telegraf "$telegraf"
}
