/* SPDX-License-Identifier: MIT */
/*
 * What a rate usually is: the median of its means over the last 60 slots that
 * had a measurement, the running one left out. A median does not move for a
 * burst. A slot that is 30 % or more below what is usual is not learned from
 * until that has been so for a while (adapt): a drop that lasts is told for
 * that long, and is normal from then on. Silent while learning.
 */
#ifndef RMQ_BROKER_BASELINE_H
#define RMQ_BROKER_BASELINE_H

#include "common/base/rmqtime.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  RMQ_BASELINE_SLOTS = 60,
  RMQ_BASELINE_LEARN_MIN = 5, /* slots: the median of fewer is no median */
  RMQ_BASELINE_LOW_PERCENT = 30,
  /* Where no option says otherwise, seconds. */
  RMQ_BASELINE_WINDOW_S = 600,
  RMQ_BASELINE_LEARN_S = 120,
  RMQ_BASELINE_ADAPT_S = 3600
};

struct rmq_baseline {
  int64_t slot_ns;
  size_t learn_slots; /* that have to be full before anything is said */
  int64_t adapt_slots;
  double slots[RMQ_BASELINE_SLOTS]; /* a ring of means */
  size_t slots_count, slots_next;
  int64_t open_slot; /* number of the running slot; -1 = none */
  double open_sum;
  size_t open_count;
  bool is_low;       /* the last slot was ... */
  int64_t low_since; /* ... since that slot */
};

/* With the times above. */
void rmq_baseline_init(struct rmq_baseline *b);
/* Before the first rate. A slot is a 60th of the window, or the interval of the
 * measurements where that is longer. learn: measured time before anything is
 * said. */
void rmq_baseline_set_times(struct rmq_baseline *b, struct rmq_dur window,
                            struct rmq_dur interval, struct rmq_dur learn,
                            struct rmq_dur adapt);
/* A rate as measured up to now; NaN is ignored. */
void rmq_baseline_feed(struct rmq_baseline *b, double rate,
                       struct rmq_mono now);
/* The usual rate, or NaN while it is not known. */
double rmq_baseline_get(const struct rmq_baseline *b);
/* 100 (usual - rate) / usual; 0 when not below, NaN while not known. */
double rmq_baseline_drop(const struct rmq_baseline *b, double rate);

#endif
