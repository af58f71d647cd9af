/* SPDX-License-Identifier: MIT */
/*
 * The counters of a cluster as running sums of our own, whichever way the
 * source tells them: one number for the cluster (management), or one per node
 * (Prometheus), where each node has its own beginning. The sums never decrease
 * and go on when the source changes; no growth is ever above what was counted.
 * One thread.
 */
#ifndef RMQ_BROKER_TOTALS_H
#define RMQ_BROKER_TOTALS_H

#include "common/broker/meter.h"
#include "common/broker/snapshot.h"

/* Message counters first, then tallies: rmq_totals_of_tally gives the place. */
enum { RMQ_TOTALS_COUNT = RMQ_STATS_COUNT + RMQ_TALLIES_COUNT };

static inline size_t rmq_totals_of_tally(enum rmq_tally t) {
  return RMQ_STATS_COUNT + (size_t)t;
}

struct rmq_totals_node; /* what is remembered of one node */

struct rmq_totals {
  int64_t sums[RMQ_TOTALS_COUNT];
  struct rmq_meter meters[RMQ_TOTALS_COUNT]; /* of the cluster as a whole */
  bool is_per_node;                          /* the source before */
  struct rmq_totals_node *nodes;             /* owned */
  size_t nodes_count;
  uint64_t poll;     /* number of this one, from 1 */
  uint64_t complete; /* the last one in which every node told */
};

/* Growth since the poll before. */
struct rmq_totals_growth {
  int64_t added[RMQ_TOTALS_COUNT]; /* RMQ_ABSENT = not known */
  int64_t sums[RMQ_TOTALS_COUNT];  /* RMQ_ABSENT = not known now */
  double rates[RMQ_TOTALS_COUNT];  /* per second; NaN = not known */
};

void rmq_totals_init(struct rmq_totals *t);
void rmq_totals_fini(struct rmq_totals *t);

/* What continuity says (members.h) matters for a cluster's one number only. Of
 * the nodes' counters:
 * - a node that restarted since the last poll adds what it has counted since;
 * - one that is seen for the first time, or again after polls that were
 *   reported without it, adds nothing: it would show as a rate that never was;
 * - while a node is silent nothing is known of the cluster, and what it counted
 *   meanwhile is added when it speaks again. So it is with a counter of
 * messages that one of them does not have, being of an older version. -1
 * without memory; ret_growth is untouched then. */
int rmq_totals_step(struct rmq_totals *t, const struct rmq_snapshot *now,
                    enum rmq_continuity continuity,
                    struct rmq_totals_growth *ret_growth);

#endif
