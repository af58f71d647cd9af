/* SPDX-License-Identifier: MIT */
/*
 * The five indicators, from what the broker said now and before: connection
 * status, lag, error rate, resource use, throughput. Pure: the snapshot brings
 * its own time. One thread.
 *
 * Counters are running sums of our own (meter.h). A node that restarts, leaves
 * or comes back is recognised by its uptime, so that none of these makes a
 * rate above what was published.
 */
#ifndef RMQ_BROKER_INDICATORS_H
#define RMQ_BROKER_INDICATORS_H

#include "common/base/error.h"
#include "common/broker/baseline.h"
#include "common/broker/report.h"
#include "common/broker/snapshot.h"
#include "common/broker/week.h"

struct rmq_indicators; /* opaque: one track per object */

/* All borrowed: valid until the next step or fail, and as long as the snapshot
 * that was given. */
struct rmq_indicators_result {
  struct rmq_report_cluster cluster;
  const struct rmq_report_node *nodes;
  size_t nodes_count;
  const struct rmq_report_vhost *vhosts;
  size_t vhosts_count;
  const struct rmq_report_queue *queues;
  size_t queues_count;
};

/* NULL without memory. */
struct rmq_indicators *rmq_indicators_new(void);
void rmq_indicators_free(struct rmq_indicators *x);

/* Before the first step: the times of the publish rate's baseline. */
struct rmq_baseline *rmq_indicators_get_baseline(struct rmq_indicators *x);
/* Before the first step: the rate is compared with the hours of the week
 * instead; borrowed, it learns with each step. */
void rmq_indicators_set_week(struct rmq_indicators *x, struct rmq_week *week);
/* Whether the last step was the end of an hour that the week learned from. */
bool rmq_indicators_has_learned_hour(const struct rmq_indicators *x);

/* What is known after a poll that succeeded. Sorts the snapshot. -1 without
 * memory: then as little as after a failure is known. */
int rmq_indicators_step(struct rmq_indicators *x, struct rmq_snapshot *now,
                        struct rmq_indicators_result *ret_result);
/* After a poll that failed: that the broker was not reachable. */
void rmq_indicators_fail(struct rmq_indicators *x,
                         struct rmq_indicators_result *ret_result);

#endif
