/* SPDX-License-Identifier: MIT */
/*
 * Histogram of durations for percentiles: fixed memory (about 5 kB), each power
 * of two of a nanosecond split into 16 equal buckets. Between 1 microsecond and
 * 39 hours a percentile is within 3.2 % of the duration that has that rank;
 * shorter ones count as half a microsecond (negative ones too: a wall clock was
 * set), longer ones as 39 hours, and no percentile is outside of what was
 * added. No lock: the caller has one, or one thread.
 */
#ifndef RMQ_BASE_LATENCY_H
#define RMQ_BASE_LATENCY_H

#include "common/base/rmqtime.h"

#include <stdbool.h>
#include <stdint.h>

enum {
  RMQ_LATENCY_LOWEST_BITS = 10,  /* 2^10 ns = 1.024 us */
  RMQ_LATENCY_HIGHEST_BITS = 47, /* 2^47 ns = 39 h */
  RMQ_LATENCY_SPLIT_BITS = 4,
  RMQ_LATENCY_BUCKETS =
      1 + ((RMQ_LATENCY_HIGHEST_BITS - RMQ_LATENCY_LOWEST_BITS)
           << RMQ_LATENCY_SPLIT_BITS)
};

struct rmq_latency {
  uint64_t count;
  int64_t min_ns, max_ns; /* of what was added */
  uint64_t buckets[RMQ_LATENCY_BUCKETS];
};

/* Empty; also to begin the next period. */
void rmq_latency_clear(struct rmq_latency *l);
void rmq_latency_add(struct rmq_latency *l, struct rmq_dur d);
/* Adds all that other counted (several lanes, one report). */
void rmq_latency_merge(struct rmq_latency *l, const struct rmq_latency *other);
uint64_t rmq_latency_count(const struct rmq_latency *l);
/* The nearest-rank percentile, percent 1 to 100, in seconds. False, with
 * ret_seconds untouched, when nothing was added. */
bool rmq_latency_percentile(const struct rmq_latency *l, unsigned percent,
                            double *ret_seconds);

#endif
