/* SPDX-License-Identifier: MIT */
/* The spool of a publishing block, from its options. */
#ifndef RMQ_ROLE_PUBLISH_SPOOL_H
#define RMQ_ROLE_PUBLISH_SPOOL_H

#include "common/base/fifo.h"
#include "common/base/host.h"
#include "common/role/prepare.h"
#include "common/role/role_publish.h"
#include "common/spool/spool.h"

/* none without SpoolDir. */
enum rmq_spool_mode
rmq_publish_spool_mode(const struct rmq_publish_options *options);

/* 0 with *ret_spool, NULL in mode none; -1 with err. Borrows everything. */
int rmq_publish_spool_new(const struct rmq_publish_options *options,
                          const char *block, const struct rmq_host *host,
                          struct rmq_prepare *prepare,
                          struct rmq_spool **ret_spool, struct rmq_error *err);

#endif
