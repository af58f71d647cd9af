/* SPDX-License-Identifier: MIT */
/*
 * From collectd's configuration to a struct, by an option table. Only in the
 * config callback, where nothing may be started: collectd forks afterwards.
 *
 * Every error of every block is logged, each naming block, option, value and
 * what is allowed; after any error the module's config callback returns -1 and
 * collectd does not start.
 */
#ifndef RMQ_HOST_COLLECTD_CONFIG_H
#define RMQ_HOST_COLLECTD_CONFIG_H

#include "common/host/collectd_api.h"

#include "common/base/buf.h"
#include "common/base/options.h"

/* What a <Plugin "plugin"> may contain: any number of <BLOCK "NAME">. */
struct rmq_collectd_blocks {
  const char *plugin; /* "rabbitmq_monitor" */
  const char *block;  /* "Cluster" */
  const struct rmq_option *table;
  size_t config_size; /* of the struct that the table fills */
  /* What no single option can say, or NULL. Appends one line per error and
   * returns -1; returns 0 when there is none. */
  int (*check)(const void *config, struct rmq_buf *errors);
  /* A block of that name was added before, in this <Plugin> or another. */
  bool (*is_taken)(const char *name);
  /* Takes the heap-allocated name and config, also when it fails (no memory):
   * config is freed by rmq_collectd_config_free. */
  int (*add)(char *name, void *config);
};

/* 0, or -1 after logging why. Blocks without an error are added even then. */
int rmq_collectd_config(const struct rmq_collectd_blocks *kind,
                        const oconfig_item_t *ci);
void rmq_collectd_config_free(const struct rmq_collectd_blocks *kind,
                              void *config);

#endif
