/* SPDX-License-Identifier: MIT */
/*
 * Messages that were published with confirms and will not get one: the only
 * trace that a broker's nacks leave in its counters. received - confirmed grows
 * with them for good, and for a while with messages in flight, whose number is
 * up to a statistics interval (5 s, see rabbitmq.conf) old. So a growth counts
 * when two polls in a row have it and all of the last 6 seconds. Pure, one
 * thread.
 */
#ifndef RMQ_BROKER_UNCONFIRMED_H
#define RMQ_BROKER_UNCONFIRMED_H

#include "common/base/rmqtime.h"

#include <stddef.h>
#include <stdint.h>

enum {
  RMQ_UNCONFIRMED_HOLD_S = 6,
  RMQ_UNCONFIRMED_SEEN_MAX = 8 /* polls; what comes faster is joined */
};

/* Of one poll, or of several from that time on. */
struct rmq_unconfirmed_seen {
  struct rmq_mono at;
  double excess; /* the lowest */
};

struct rmq_unconfirmed {
  double in_flight;
  double excess;  /* received - confirmed - in flight, grown since the first */
  double counted; /* the highest excess that is in the sum */
  struct rmq_unconfirmed_seen seen[RMQ_UNCONFIRMED_SEEN_MAX]; /* oldest first */
  size_t seen_count; /* 0 = nothing is known */
  int64_t sum;
};

void rmq_unconfirmed_init(struct rmq_unconfirmed *u);
/* Growth of the two counters since the last step, negative = not known, and the
 * number in flight, NaN = not known. What was added to the sum, or -1 while
 * nothing is known; after that everything begins anew, but for the sum. */
int64_t rmq_unconfirmed_step(struct rmq_unconfirmed *u, int64_t received,
                             int64_t confirmed, double in_flight,
                             struct rmq_mono now);

#endif
