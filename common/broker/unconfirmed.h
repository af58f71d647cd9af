/* SPDX-License-Identifier: MIT */
/*
 * Messages that were published with confirms and will not get one: the only
 * trace that a broker's nacks leave in its counters. received - confirmed grows
 * with them for good, and for a while with messages in flight, whose number is
 * up to a statistics interval old. So a growth counts when two polls in a row
 * have it. Pure, one thread.
 */
#ifndef RMQ_BROKER_UNCONFIRMED_H
#define RMQ_BROKER_UNCONFIRMED_H

#include <stdbool.h>
#include <stdint.h>

struct rmq_unconfirmed {
  bool has_before;
  double in_flight;
  double excess, excess_before; /* received - confirmed - in flight, grown */
  double counted;               /* the highest excess that is in the sum */
  int64_t sum;
};

void rmq_unconfirmed_init(struct rmq_unconfirmed *u);
/* Growth of the two counters since the last step, negative = not known, and the
 * number in flight, NaN = not known. What was added to the sum, or -1 while
 * nothing is known; after that everything begins anew, but for the sum. */
int64_t rmq_unconfirmed_step(struct rmq_unconfirmed *u, int64_t received,
                             int64_t confirmed, double in_flight);

#endif
