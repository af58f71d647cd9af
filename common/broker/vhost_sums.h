/* SPDX-License-Identifier: MIT */
/*
 * What is reported of each virtual host, from what the broker said now and
 * before: lengths and their growth, and counters as running sums of our own.
 * Pure, one thread.
 */
#ifndef RMQ_BROKER_VHOST_SUMS_H
#define RMQ_BROKER_VHOST_SUMS_H

#include "common/broker/meter.h"
#include "common/broker/report.h"
#include "common/broker/snapshot.h"

struct rmq_vhost_track; /* what is remembered of one */

struct rmq_vhost_sums {
  struct rmq_vhost_track *tracks; /* owned, sorted by name */
  size_t tracks_count;
  struct rmq_report_vhost *reports; /* owned; of the last step */
  size_t reports_count;
};

/* One poll. */
struct rmq_vhost_turn {
  enum rmq_continuity continuity;
  struct rmq_mono taken;
  double elapsed;        /* seconds since the poll before; NaN = none was */
  bool are_counts_known; /* no node keeps its part of them to itself */
};

void rmq_vhost_sums_init(struct rmq_vhost_sums *x);
void rmq_vhost_sums_fini(struct rmq_vhost_sums *x);

/* The reports borrow from the snapshot, which is not changed. A decrease is the
 * loss of a part, like a queue that was deleted: it adds nothing. One that is
 * not told for ten polls is forgotten. -1 without memory; then there are no
 * reports. */
int rmq_vhost_sums_step(struct rmq_vhost_sums *x, const struct rmq_snapshot *s,
                        const struct rmq_vhost_turn *turn);

#endif
