/* SPDX-License-Identifier: MIT */
/*
 * The mean of a rate over the last while. Polls that follow each other faster
 * than the broker renews its statistics see nothing in one and twice as much in
 * the next; their mean is steady.
 */
#ifndef RMQ_BROKER_RECENT_H
#define RMQ_BROKER_RECENT_H

#include "common/base/rmqtime.h"

#include <stddef.h>

enum { RMQ_RECENT_MAX = 64 }; /* rates; of more, the oldest are forgotten */

struct rmq_recent {
  struct {
    double rate;
    struct rmq_mono at;
  } rates[RMQ_RECENT_MAX]; /* a ring */
  size_t next, count;
};

void rmq_recent_init(struct rmq_recent *r);
/* Adds a rate as measured up to now and returns the mean of what was added
 * since now - span, this one included. NaN forgets all and is returned: what is
 * not known for once is not bridged. */
double rmq_recent_add(struct rmq_recent *r, double rate, struct rmq_dur span,
                      struct rmq_mono now);

#endif
