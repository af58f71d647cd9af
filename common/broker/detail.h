/* SPDX-License-Identifier: MIT */
/*
 * How much of its queues a cluster is asked for, so that a poll stays within a
 * budget of time: from what polls have cost so far, and before the queues of
 * the next one are asked for. What is left out is series; their interval stays.
 *
 * What a level costs is taken as so much per queue. It falls when the next poll
 * would take more than 90 % of the budget, going on as it does; after one that
 * took more than all of it, to a level that is known to fit. It rises one level
 * at a time, when that would have fitted into 60 % for some polls in a row
 * (since there are fewer queues, or this level has become faster), or when what
 * is known of its cost is old. A rise that did not last makes the next one wait
 * twice as long, within bounds.
 *
 * Pure: times are arguments. One thread. One of them per source.
 */
#ifndef RMQ_BROKER_DETAIL_H
#define RMQ_BROKER_DETAIL_H

#include "common/base/error.h"

#include <stdbool.h>

/* X(enum suffix, what is told). In this order; numbers are what is reported. */
#define RMQ_DETAIL_LEVELS(X)                                                   \
  X(TOTALS, "no queue")                                                        \
  X(TOP, "the longest queues only")                                            \
  X(LENGTHS, "lengths of every queue, more of the longest")                    \
  X(ALL, "all of every queue")

enum rmq_detail_level {
#define RMQ_X(name, text) RMQ_DETAIL_##name,
  RMQ_DETAIL_LEVELS(RMQ_X)
#undef RMQ_X
};
enum { RMQ_DETAIL_LEVELS_COUNT = RMQ_DETAIL_ALL + 1 };
const char *rmq_detail_level_to_str(enum rmq_detail_level l);

enum {
  RMQ_DETAIL_PATIENCE = 3,      /* polls in a row until the first rise */
  RMQ_DETAIL_PATIENCE_MAX = 24, /* ... after rises that did not last */
  RMQ_DETAIL_QUEUES_MIN = 500   /* fewer cost as much */
};

/* What is known of a level. */
struct rmq_detail_cost {
  double mean, last, before; /* seconds per queue; NaN = not measured */
  unsigned age;              /* polls since */
};

struct rmq_detail {
  double budget; /* seconds of one poll; 0 = as long as it takes */
  double report; /* seconds that handing over a poll takes; the caller's */
  enum rmq_detail_level level, most;
  double base, base_before, total, queues; /* of the last poll; before it */
  double then; /* what this level cost per queue when it was new; NaN = ? */
  struct rmq_detail_cost costs[RMQ_DETAIL_LEVELS_COUNT];
  unsigned calm, kept, patience; /* polls */
  bool has_risen;                /* to this level */
  /* This poll alone is at a lower level than the usual one. */
  bool is_dip;
  enum rmq_detail_level usual;
  unsigned since_dip;      /* polls */
  struct rmq_error reason; /* of the last change, a sentence's end */
};

/* All that there is, nothing measured. */
void rmq_detail_init(struct rmq_detail *d, double budget);

/* For the poll that has begun: the level at which queues are asked for. most is
 * what the source offers, queues the number of all there are (NaN = as before),
 * used the seconds that the poll has taken already; here and at its end without
 * those that somebody was waited for who did not answer. left is what there is
 * for queues. A poll that is the only one for long for which either is a reason
 * to ask for less does not hold the next one back. */
enum rmq_detail_level rmq_detail_choose(struct rmq_detail *d,
                                        enum rmq_detail_level most,
                                        double queues, double used,
                                        double left);

/* Within the poll: going on at this level would take so many seconds. The level
 * at which to begin again. */
enum rmq_detail_level rmq_detail_give_up(struct rmq_detail *d, double seconds);

/* After the poll: what its queues took (NaN = none were asked for), and all the
 * rest. Where the list did not come that is the least that the level costs, and
 * no time to ask for more. */
void rmq_detail_end(struct rmq_detail *d, double queue_seconds, bool has_list,
                    double base);

#endif
