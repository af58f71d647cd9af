/* SPDX-License-Identifier: MIT */
#ifndef RMQ_COLLECTD_SRC_CONFIG_H
#define RMQ_COLLECTD_SRC_CONFIG_H

/*
 * What collectd's headers want to know of its config.h, for a build with
 * --with-collectd-src against a source tree that was never configured. A
 * configured tree has its own file, which is found first.
 *
 * DATA_MAX_NAME_LEN is part of collectd's ABI: 128 is what every distribution
 * ships; a daemon configured otherwise needs its own headers.
 */
#define DATA_MAX_NAME_LEN 128
#define COLLECT_DEBUG 0
#define FP_LAYOUT_NEED_NOTHING 1
#define NAN_STATIC_DEFAULT 1
#define TIME_WITH_SYS_TIME 1
#define HAVE_DIRENT_H 1
#define HAVE_ENDIAN_H 1
#define HAVE_FCNTL_H 1
#define HAVE_GETPWNAM_R 1
#define HAVE_PWD_H 1
#define HAVE_STRINGS_H 1
#define HAVE_SYS_PARAM_H 1
#define HAVE_SYS_SOCKET_H 1
#define HAVE_SYS_STAT_H 1
#define HAVE_SYS_TIME_H 1
#define HAVE_SYS_TYPES_H 1
#define HAVE_SYS_WAIT_H 1
#define HAVE_UNISTD_H 1

#endif
