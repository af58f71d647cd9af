/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/meter.h"

const char *rmq_continuity_to_str(enum rmq_continuity c) {
  switch (c) {
  case RMQ_SAME:
    return "same";
  case RMQ_RESTARTED:
    return "restarted";
  case RMQ_CHANGED:
    return "changed";
  case RMQ_UNSURE:
    return "unsure";
  }
  return "unknown";
}

const char *rmq_decrease_to_str(enum rmq_decrease d) {
  switch (d) {
  case RMQ_DECREASE_IS_RESET:
    return "reset";
  case RMQ_DECREASE_IS_LOSS:
    return "loss";
  }
  return "unknown";
}

void rmq_meter_init(struct rmq_meter *t) {
  *t = (struct rmq_meter){.last = RMQ_ABSENT};
}

void rmq_meter_continue(struct rmq_meter *t, enum rmq_continuity c) {
  switch (c) {
  case RMQ_SAME:
  case RMQ_UNSURE:
    return;
  case RMQ_RESTARTED:
    /* Only where there was a baseline: what is new to us stays new. */
    if (t->last != RMQ_ABSENT)
      t->last = 0;
    return;
  case RMQ_CHANGED:
    t->last = RMQ_ABSENT;
    return;
  }
}

int64_t rmq_meter_feed(struct rmq_meter *t, int64_t value,
                       enum rmq_decrease decrease, struct rmq_mono now) {
  if (value < 0)
    return RMQ_ABSENT;
  int64_t last = t->last;
  t->elapsed = rmq_dur_seconds(rmq_mono_since(now, t->at));
  t->last = value;
  t->at = now;
  if (last == RMQ_ABSENT || (value < last && decrease == RMQ_DECREASE_IS_LOSS))
    return RMQ_ABSENT;
  int64_t added = value < last ? value : value - last;
  t->sum = added > INT64_MAX - t->sum ? INT64_MAX : t->sum + added;
  return added;
}
