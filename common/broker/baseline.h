/* SPDX-License-Identifier: MIT */
/*
 * What a rate usually is: the median of its means over the last 60 slots of
 * 10 s that had a measurement, the running one left out. A median does not move
 * for a burst. A slot that is 30 % or more below what is usual is not learned
 * from until that has been so for an hour: a drop that lasts is told for that
 * long, and is normal from then on. Silent until 12 slots are full.
 */
#ifndef RMQ_BROKER_BASELINE_H
#define RMQ_BROKER_BASELINE_H

#include "common/base/rmqtime.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  RMQ_BASELINE_SLOTS = 60,
  RMQ_BASELINE_SLOT_S = 10,
  RMQ_BASELINE_LEARN_SLOTS = 12,
  RMQ_BASELINE_LOW_PERCENT = 30,
  RMQ_BASELINE_LOW_SLOTS = 360
};

struct rmq_baseline {
  double slots[RMQ_BASELINE_SLOTS]; /* a ring of means */
  size_t slots_count, slots_next;
  int64_t open_slot; /* number of the running slot; -1 = none */
  double open_sum;
  size_t open_count;
  bool is_low;       /* the last slot was ... */
  int64_t low_since; /* ... since that slot */
};

void rmq_baseline_init(struct rmq_baseline *b);
/* A rate as measured up to now; NaN is ignored. */
void rmq_baseline_feed(struct rmq_baseline *b, double rate,
                       struct rmq_mono now);
/* The usual rate, or NaN while it is not known. */
double rmq_baseline_get(const struct rmq_baseline *b);
/* 100 (usual - rate) / usual; 0 when not below, NaN while not known. */
double rmq_baseline_drop(const struct rmq_baseline *b, double rate);

#endif
