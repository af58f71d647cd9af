/* SPDX-License-Identifier: MIT */
#ifndef RMQ_COLLECTD_API_H
#define RMQ_COLLECTD_API_H

/*
 * The one door to collectd's headers. Included after "rmq_config.h" by
 * host_collectd* and the three modules, and by nothing else.
 *
 * The headers come either from collectd-dev or from an unconfigured source
 * tree (see collectd_src/config.h); both answer to these short names. Their
 * PACKAGE_*, VERSION, PLUGINDIR and CONFIGFILE are collectd's or wrong: use
 * RMQ_VERSION.
 */
#include <stdbool.h> /* collectd 5.8 uses bool without including it */

#include "collectd.h"

#include "plugin.h"

#ifdef HAVE_UTILS_COMMON_COMMON_H
#include "utils/common/common.h"
#include "utils/metadata/meta_data.h"
#else
#include "common.h"
#include "meta_data.h"
#endif
#include "configfile.h"
#include "utils_cache.h"
#include "utils_time.h"

/* The one symbol of a module. All code is compiled with -fvisibility=hidden,
 * and plugin.h declares this one without saying otherwise. */
__attribute__((visibility("default"))) void module_register(void);

#endif
