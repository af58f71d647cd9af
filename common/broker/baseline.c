/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/baseline.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void rmq_baseline_init(struct rmq_baseline *b) {
  *b = (struct rmq_baseline){.open_slot = -1};
  rmq_baseline_set_times(b, rmq_s(RMQ_BASELINE_WINDOW_S), rmq_s(0),
                         rmq_s(RMQ_BASELINE_LEARN_S),
                         rmq_s(RMQ_BASELINE_ADAPT_S));
}

/* How many slots make that time, rounded up. */
static int64_t slots_of(const struct rmq_baseline *b, struct rmq_dur time) {
  return time.ns / b->slot_ns + (time.ns % b->slot_ns > 0 ? 1 : 0);
}

void rmq_baseline_set_times(struct rmq_baseline *b, struct rmq_dur window,
                            struct rmq_dur interval, struct rmq_dur learn,
                            struct rmq_dur adapt) {
  int64_t slot = window.ns / RMQ_BASELINE_SLOTS;
  b->slot_ns = slot > interval.ns ? slot : interval.ns;
  int64_t learn_slots = slots_of(b, learn);
  if (learn_slots < RMQ_BASELINE_LEARN_MIN)
    learn_slots = RMQ_BASELINE_LEARN_MIN;
  if (learn_slots > RMQ_BASELINE_SLOTS)
    learn_slots = RMQ_BASELINE_SLOTS;
  b->learn_slots = (size_t)learn_slots;
  b->adapt_slots = slots_of(b, adapt);
}

/* Whether the open slot's mean is a drop that is not old enough to be learned
 * from. Not its rates: where polls are quicker than the broker's statistics
 * every other one is 0. */
static bool is_dropped(struct rmq_baseline *b, double mean) {
  bool was_low = b->is_low;
  b->is_low = rmq_baseline_drop(b, mean) >= RMQ_BASELINE_LOW_PERCENT;
  if (b->is_low && !was_low)
    b->low_since = b->open_slot;
  return b->is_low && b->open_slot - b->low_since < b->adapt_slots;
}

static void close_slot(struct rmq_baseline *b) {
  double mean = b->open_sum / (double)b->open_count;
  if (b->open_count > 0 && !is_dropped(b, mean)) {
    b->slots[b->slots_next] = mean;
    b->slots_next = (b->slots_next + 1) % RMQ_BASELINE_SLOTS;
    if (b->slots_count < RMQ_BASELINE_SLOTS)
      b->slots_count++;
  }
  b->open_sum = 0;
  b->open_count = 0;
}

void rmq_baseline_feed(struct rmq_baseline *b, double rate,
                       struct rmq_mono now) {
  int64_t slot = now.ns / b->slot_ns;
  if (!isfinite(rate))
    return;
  if (slot != b->open_slot) {
    close_slot(b);
    b->open_slot = slot;
  }
  b->open_sum += rate;
  b->open_count++;
}

static int compare_doubles(const void *a, const void *b) {
  double x, y;
  memcpy(&x, a, sizeof(x));
  memcpy(&y, b, sizeof(y));
  return (x > y) - (x < y);
}

double rmq_baseline_get(const struct rmq_baseline *b) {
  double sorted[RMQ_BASELINE_SLOTS];
  size_t n = b->slots_count;
  if (n < b->learn_slots)
    return (double)NAN;
  memcpy(sorted, b->slots, n * sizeof(sorted[0]));
  qsort(sorted, n, sizeof(sorted[0]), compare_doubles);
  return (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
}

double rmq_baseline_drop(const struct rmq_baseline *b, double rate) {
  double usual = rmq_baseline_get(b);
  if (isnan(usual) || isnan(rate))
    return (double)NAN;
  if (rate >= usual) /* also when nothing is usual */
    return 0;
  return 100 * (usual - rate) / usual;
}
