# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A little TAP for test scripts: source it, call the checks, end with tap_done.

tap_count=0
tap_failed=0

# tap_ok DESCRIPTION
tap_ok() {
  tap_count=$((tap_count + 1))
  echo "ok $tap_count - $1"
}

# tap_not_ok DESCRIPTION [EXPLANATION]
tap_not_ok() {
  tap_count=$((tap_count + 1))
  tap_failed=$((tap_failed + 1))
  echo "not ok $tap_count - $1"
  if [ -n "${2-}" ]; then
    echo "# ${2//$'\n'/$'\n'# }"
  fi
}

# tap_skip DESCRIPTION REASON
tap_skip() {
  tap_count=$((tap_count + 1))
  echo "ok $tap_count - $1 # SKIP $2"
}

# tap_skip_all REASON: nothing of this script can run here.
tap_skip_all() {
  echo "1..0 # SKIP $1"
  exit 0
}

# tap_silent DESCRIPTION COMMAND...: passes when COMMAND succeeds and prints
# nothing; what it prints are the violations.
tap_silent() {
  local what=$1 said status=0
  shift
  said=$("$@" 2>&1) || status=$?
  if [ -z "$said" ] && [ "$status" -eq 0 ]; then
    tap_ok "$what"
  else
    tap_not_ok "$what" "${said:-exit status $status, no output}"
  fi
}

tap_done() {
  echo "1..$tap_count"
  [ "$tap_failed" -eq 0 ]
}
