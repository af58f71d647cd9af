#!/bin/sh
# SPDX-License-Identifier: MIT
# valgrind.sh PROGRAM ARG...: a unit test under valgrind, for make's
# LOG_COMPILER. What it finds goes into the test's log and fails it. One in nine
# random sequences is run, since each takes 20 to 70 times as long (nine, so that
# a test of every bit meets each place in a byte).
PROP_ONE_IN=${PROP_ONE_IN:-9}
export PROP_ONE_IN
exec valgrind -q --error-exitcode=99 --leak-check=full \
  --errors-for-leak-kinds=definite,indirect --show-leak-kinds=definite,indirect \
  "$@"
