/* SPDX-License-Identifier: MIT */
/*
 * What is reported of each queue, from what the broker said now and before:
 * lengths and their growth, ages, and counters as running sums of our own.
 * Pure, one thread.
 */
#ifndef RMQ_BROKER_QUEUE_SUMS_H
#define RMQ_BROKER_QUEUE_SUMS_H

#include "common/broker/meter.h"
#include "common/broker/report.h"
#include "common/broker/snapshot.h"

struct rmq_queue_track; /* what is remembered of one */

struct rmq_queue_sums {
  struct rmq_queue_track *tracks; /* owned, sorted by vhost and name */
  size_t tracks_count;
  struct rmq_report_queue *reports; /* owned; of the last step */
  size_t reports_count;
};

/* One poll. */
struct rmq_queue_turn {
  enum rmq_continuity continuity;
  struct rmq_mono taken;
  double elapsed; /* seconds since the poll before; NaN = none was */
  double now;     /* wall clock, seconds */
  /* A queue's count is a sum over nodes, or one number. */
  bool are_counts_known;
  enum rmq_decrease decrease;
};

void rmq_queue_sums_init(struct rmq_queue_sums *x);
void rmq_queue_sums_fini(struct rmq_queue_sums *x);

/* The reports borrow from the snapshot, which is sorted and not changed. A
 * queue that is not told is forgotten when rmq_snapshot_patience is at its end,
 * but not as long as its node is away. -1 without memory; then there are no
 * reports. */
int rmq_queue_sums_step(struct rmq_queue_sums *x, const struct rmq_snapshot *s,
                        const struct rmq_queue_turn *turn);

#endif
