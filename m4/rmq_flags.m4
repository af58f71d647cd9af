# SPDX-License-Identifier: MIT

# RMQ_TRY_FLAG(VARIABLE, FLAG, [link])
# Append FLAG to VARIABLE when the compiler (with "link": and the linker)
# takes it without a warning.
AC_DEFUN([RMQ_TRY_FLAG], [
  AS_VAR_PUSHDEF([rmq_cache], [rmq_cv_flag_$1_$2])
  AC_CACHE_CHECK([whether $CC takes $2], [rmq_cache], [
    rmq_save_CFLAGS=$CFLAGS
    CFLAGS="$CFLAGS $RMQ_SANITIZE_FLAGS -Werror $2"
    m4_if([$3], [link],
      [AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <string.h>]], [[]])],
        [AS_VAR_SET([rmq_cache], [yes])], [AS_VAR_SET([rmq_cache], [no])])],
      [AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[#include <string.h>]], [[]])],
        [AS_VAR_SET([rmq_cache], [yes])], [AS_VAR_SET([rmq_cache], [no])])])
    CFLAGS=$rmq_save_CFLAGS
  ])
  AS_VAR_IF([rmq_cache], [yes], [$1="$$1 $2"])
  AS_VAR_POPDEF([rmq_cache])
])

# RMQ_NEED(WHAT, DEBIAN-PACKAGE)
# Note a missing build dependency. All of them are reported together by
# RMQ_REPORT_MISSING, so that nobody installs one package per configure run.
AC_DEFUN([RMQ_NEED], [
  AC_MSG_WARN([$1 is missing])
  rmq_missing_packages="$rmq_missing_packages $2"
])

AC_DEFUN([RMQ_REPORT_MISSING], [
  AS_IF([test -n "$rmq_missing_packages"], [
    AC_MSG_ERROR([build dependencies are missing (see the warnings above).
  On Debian or Ubuntu: apt-get install$rmq_missing_packages])
  ])
])

# RMQ_NEED_MODULE(PREFIX, PKG-CONFIG-SPEC, DEBIAN-PACKAGE)
AC_DEFUN([RMQ_NEED_MODULE], [
  PKG_CHECK_MODULES([$1], [$2], [], [RMQ_NEED([$2], [$3])])
])
