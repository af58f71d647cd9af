/* SPDX-License-Identifier: MIT */
/*
 * collectd's value cache, where every module finds what the others of the same
 * daemon have dispatched: recall and instances of struct rmq_host. Any thread.
 */
#ifndef RMQ_HOST_COLLECTD_RECALL_H
#define RMQ_HOST_COLLECTD_RECALL_H

#include "common/host/collectd_api.h"

#include "common/base/host.h"

int rmq_collectd_recall(void *ctx, const struct rmq_identity *id,
                        enum rmq_kind kind, union rmq_value *ret_value);
/* The cache is locked meanwhile: found must not call collectd. */
void rmq_collectd_instances(void *ctx, const char *plugin, const char *type,
                            const char *type_instance,
                            void (*found)(void *ctx, const char *instance),
                            void *found_ctx);

#endif
