/* SPDX-License-Identifier: MIT */
/*
 * A running sum of what a counter of the broker grew by. The broker's counters
 * start again at 0 with a node, a queue or the management plugin, and those of
 * a cluster lose and regain a node's part; the sum never decreases, and never
 * grows by more than was counted.
 */
#ifndef RMQ_BROKER_METER_H
#define RMQ_BROKER_METER_H

#include "common/broker/snapshot.h"

/* What happened to the counter's source since the last value. */
enum rmq_continuity {
  RMQ_SAME,      /* nothing, as far as we know */
  RMQ_RESTARTED, /* all of it began again at 0 */
  RMQ_CHANGED,   /* a part left or came back: the next value is a baseline */
  RMQ_UNSURE     /* a node does not say yet: this poll's value tells nothing */
};
const char *rmq_continuity_to_str(enum rmq_continuity c);

/* What an unexplained decrease means. */
enum rmq_decrease {
  RMQ_DECREASE_IS_RESET, /* one object, declared anew: the new value counts */
  RMQ_DECREASE_IS_LOSS   /* an aggregate lost a part: a new baseline */
};
const char *rmq_decrease_to_str(enum rmq_decrease d);

struct rmq_meter {
  int64_t last;       /* RMQ_ABSENT = no baseline yet */
  struct rmq_mono at; /* when last was read */
  int64_t sum;        /* saturates at INT64_MAX */
  double elapsed;     /* seconds that the last addition covers */
};

void rmq_meter_init(struct rmq_meter *t);
/* Before the value of the same poll is fed; after UNSURE it is not fed. */
void rmq_meter_continue(struct rmq_meter *t, enum rmq_continuity c);
/* What was added, or RMQ_ABSENT when the value is absent or became the
 * baseline. */
int64_t rmq_meter_feed(struct rmq_meter *t, int64_t value,
                       enum rmq_decrease decrease, struct rmq_mono now);

#endif
