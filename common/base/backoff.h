/* SPDX-License-Identifier: MIT */
/*
 * Delay before the next attempt: exponential with full jitter,
 *   delay = min + random * (min(max, min * 2^n) - min), n = 1 after the first
 * failure, so that even the first attempts of many senders spread out; after
 * "Exponential Backoff And Jitter" (full jitter), kept at or above min so that
 * no attempt follows at once. Reset by the first confirm or delivery after a
 * connect, never by the connect alone.
 */
#ifndef RMQ_BASE_BACKOFF_H
#define RMQ_BASE_BACKOFF_H

#include "common/base/rmqtime.h"

struct rmq_backoff {
  struct rmq_dur min, max; /* min > 0, max >= min */
  unsigned failures;       /* since the last reset */
};

void rmq_backoff_init(struct rmq_backoff *b, struct rmq_dur min,
                      struct rmq_dur max);
void rmq_backoff_reset(struct rmq_backoff *b);
/* Counts a failure and returns the delay before the next attempt. random: 64
 * uniformly distributed bits. */
struct rmq_dur rmq_backoff_next(struct rmq_backoff *b, uint64_t random);
/* The longest delay that the next call may return. */
struct rmq_dur rmq_backoff_ceiling(const struct rmq_backoff *b);

#endif
