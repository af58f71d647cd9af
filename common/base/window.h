/* SPDX-License-Identifier: MIT */
/*
 * How many operations and errors there were lately: a window that slides in
 * RMQ_WINDOW_SLOTS steps. The newest slot is still filling, so the window
 * covers between (SLOTS - 1) / SLOTS of its span and the whole. No lock: the
 * caller has one, or one thread.
 */
#ifndef RMQ_BASE_WINDOW_H
#define RMQ_BASE_WINDOW_H

#include "common/base/rmqtime.h"

#include <stdbool.h>
#include <stdint.h>

enum { RMQ_WINDOW_SLOTS = 12 };

struct rmq_window_counts {
  uint64_t operations;
  uint64_t errors;
};

struct rmq_window {
  struct rmq_dur slot_span;
  int64_t newest; /* time / slot_span of the slot that is filling */
  struct rmq_window_counts slots[RMQ_WINDOW_SLOTS]; /* by number modulo SLOTS */
};

/* span: the contract's error rates use 60 s. */
void rmq_window_init(struct rmq_window *w, struct rmq_dur span);
/* A now before the newest counts as the newest. */
void rmq_window_add(struct rmq_window *w, uint64_t operations, uint64_t errors,
                    struct rmq_mono now);
struct rmq_window_counts rmq_window_sum(struct rmq_window *w,
                                        struct rmq_mono now);
/* 100 * errors / max(operations, errors), 0 to 100. False, with ret_percent
 * untouched, when both are 0: then there is no rate. */
bool rmq_window_error_rate(struct rmq_window *w, struct rmq_mono now,
                           double *ret_percent);

#endif
