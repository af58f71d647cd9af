/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/window.h"

#include <stddef.h>

void rmq_window_init(struct rmq_window *w, struct rmq_dur span) {
  *w = (struct rmq_window){.slot_span = {span.ns / RMQ_WINDOW_SLOTS}};
}

/* Empties what has slid out and returns the slot that is filling. */
static struct rmq_window_counts *advance(struct rmq_window *w,
                                         struct rmq_mono now) {
  int64_t newest = now.ns / w->slot_span.ns;
  if (newest - w->newest > RMQ_WINDOW_SLOTS)
    w->newest = newest - RMQ_WINDOW_SLOTS;
  while (w->newest < newest) {
    w->newest++;
    w->slots[w->newest % RMQ_WINDOW_SLOTS] = (struct rmq_window_counts){0, 0};
  }
  return &w->slots[w->newest % RMQ_WINDOW_SLOTS];
}

void rmq_window_add(struct rmq_window *w, uint64_t operations, uint64_t errors,
                    struct rmq_mono now) {
  struct rmq_window_counts *slot = advance(w, now);
  slot->operations += operations;
  slot->errors += errors;
}

struct rmq_window_counts rmq_window_sum(struct rmq_window *w,
                                        struct rmq_mono now) {
  struct rmq_window_counts sum = {0, 0};
  advance(w, now);
  for (size_t i = 0; i < RMQ_WINDOW_SLOTS; i++) {
    sum.operations += w->slots[i].operations;
    sum.errors += w->slots[i].errors;
  }
  return sum;
}

bool rmq_window_error_rate(struct rmq_window *w, struct rmq_mono now,
                           double *ret_percent) {
  struct rmq_window_counts sum = rmq_window_sum(w, now);
  uint64_t base = sum.operations > sum.errors ? sum.operations : sum.errors;
  if (base == 0)
    return false;
  *ret_percent = 100.0 * (double)sum.errors / (double)base;
  return true;
}
