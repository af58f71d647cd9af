#!/bin/sh
# SPDX-License-Identifier: MIT
# valgrind.sh PROGRAM ARG...: a unit test under valgrind, for make's
# LOG_COMPILER. What it finds goes into the test's log and fails it.
exec valgrind -q --error-exitcode=99 --leak-check=full \
  --errors-for-leak-kinds=definite,indirect --show-leak-kinds=definite,indirect \
  "$@"
