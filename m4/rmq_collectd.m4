# SPDX-License-Identifier: MIT

# RMQ_COLLECTD
# Find collectd's plugin headers: the ones that collectd-dev installs, or with
# --with-collectd-src an unpacked source tree, which need not be configured.
# Sets COLLECTD_CPPFLAGS, COLLECTD_WHERE and plugindir.
AC_DEFUN([RMQ_COLLECTD], [
  AC_ARG_WITH([collectd-includedir],
    [AS_HELP_STRING([--with-collectd-includedir=DIR],
      [directory that holds collectd/core/daemon/plugin.h
       @<:@/usr/include@:>@])],
    [], [with_collectd_includedir=/usr/include])
  AC_ARG_WITH([collectd-src],
    [AS_HELP_STRING([--with-collectd-src=DIR],
      [an unpacked collectd source tree, for systems without collectd-dev])],
    [], [with_collectd_src=no])
  AC_ARG_WITH([collectd-plugindir],
    [AS_HELP_STRING([--with-collectd-plugindir=DIR],
      [where collectd looks for modules @<:@what "collectd -h" says, else
       LIBDIR/collectd@:>@])],
    [], [with_collectd_plugindir=auto])

  dnl Not absolute paths would break VPATH builds.
  AS_CASE([$with_collectd_src],
    [no | /*], [],
    [with_collectd_src=$(cd "$with_collectd_src" 2>/dev/null && pwd)
     AS_IF([test -z "$with_collectd_src"],
       [AC_MSG_ERROR([--with-collectd-src: no such directory])])])

  dnl System directories, so that our warnings do not judge their headers.
  AS_IF([test "x$with_collectd_src" != xno], [
    COLLECTD_WHERE="source tree $with_collectd_src"
    rmq_collectd_dirs="-isystem $with_collectd_src/src -isystem $with_collectd_src/src/daemon"
    COLLECTD_CPPFLAGS="$rmq_collectd_dirs -isystem \$(top_srcdir)/common/host/collectd_src"
    rmq_probe_flags="-DHAVE_CONFIG_H $rmq_collectd_dirs -isystem $srcdir/common/host/collectd_src"
  ], [
    COLLECTD_WHERE="headers in $with_collectd_includedir"
    rmq_inc=$with_collectd_includedir/collectd
    rmq_collectd_dirs="-isystem $rmq_inc/core -isystem $rmq_inc/core/daemon -isystem $rmq_inc"
    AS_IF([test "x$with_collectd_includedir" != x/usr/include],
      [rmq_collectd_dirs="$rmq_collectd_dirs -isystem $with_collectd_includedir"])
    COLLECTD_CPPFLAGS=$rmq_collectd_dirs
    rmq_probe_flags="-DHAVE_CONFIG_H $rmq_collectd_dirs"
  ])
  AC_SUBST([COLLECTD_CPPFLAGS])

  rmq_save_CPPFLAGS=$CPPFLAGS
  CPPFLAGS="$CPPFLAGS $rmq_probe_flags"
  AC_CACHE_CHECK([for collectd's plugin headers], [rmq_cv_collectd_headers], [
    AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[
#include <stdbool.h>
#include "collectd.h"
#include "plugin.h"
]], [[value_list_t vl = VALUE_LIST_INIT; return plugin_dispatch_values(&vl);]])],
      [rmq_cv_collectd_headers=yes], [rmq_cv_collectd_headers=no])
  ])
  AS_IF([test "$rmq_cv_collectd_headers" = no], [
    AS_IF([test "x$with_collectd_src" != xno],
      [AC_MSG_ERROR([$with_collectd_src is no collectd 5 source tree that compiles (see config.log)])],
      [RMQ_NEED([collectd's plugin headers (or --with-collectd-src=DIR)],
        [collectd-dev])])
  ], [
    AC_CHECK_HEADERS([utils/common/common.h], [], [], [[
#include <stdbool.h>
#include "collectd.h"
#include "plugin.h"
]])
    AC_CHECK_DECLS([plugin_register_cache_event], [], [], [[
#include <stdbool.h>
#include "collectd.h"
#include "plugin.h"
]])
    AC_CACHE_CHECK([how many arguments plugin_thread_create takes],
      [rmq_cv_collectd_thread_args], [
      AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[
#include <stdbool.h>
#include "collectd.h"
#include "plugin.h"
static void *run(void *p) { return p; }
]], [[pthread_t t; return plugin_thread_create(&t, run, 0, "x");]])],
        [rmq_cv_collectd_thread_args=4], [rmq_cv_collectd_thread_args=5])
    ])
    AC_DEFINE_UNQUOTED([RMQ_COLLECTD_THREAD_ARGS],
      [$rmq_cv_collectd_thread_args],
      [Arguments of plugin_thread_create: 4 since collectd 5.11, 5 before.])
  ])
  CPPFLAGS=$rmq_save_CPPFLAGS

  AC_PATH_PROG([COLLECTD], [collectd], [], [$PATH:/usr/sbin:/usr/local/sbin])
  AC_MSG_CHECKING([for collectd's plugin directory])
  plugindir=$with_collectd_plugindir
  AS_IF([test "x$plugindir" = xauto && test -n "$COLLECTD"], [
    plugindir=$("$COLLECTD" -h 2>/dev/null |
      sed -n 's/^ *Plugin directory  *\(@<:@^ @:>@.*\)$/\1/p')
  ])
  AS_IF([test "x$plugindir" = xauto || test -z "$plugindir"],
    [plugindir='${libdir}/collectd'])
  AC_MSG_RESULT([$plugindir])
  AC_SUBST([plugindir])
])
