/* SPDX-License-Identifier: MIT */
/*
 * Which nodes the management API's list named last. Without a list the nodes'
 * own answers look like the whole cluster; this says whether they are.
 */
#ifndef RMQ_BROKER_LISTED_H
#define RMQ_BROKER_LISTED_H

#include "common/base/error.h"
#include "common/broker/snapshot.h"

struct rmq_listed {
  struct rmq_snapshot last; /* its nodes: their names, and whether they ran */
};

void rmq_listed_init(struct rmq_listed *l);
void rmq_listed_fini(struct rmq_listed *l);

/* After a poll whose list could be read. */
void rmq_listed_keep(struct rmq_listed *l, const struct rmq_snapshot *s);

/* After a poll without a list: whether the snapshot has every node of the last
 * one. Those that ran and are not in it count as silent, and ret_lacks names
 * the first. */
bool rmq_listed_compare(const struct rmq_listed *l, struct rmq_snapshot *s,
                        struct rmq_error *ret_lacks);

#endif
