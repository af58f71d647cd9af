/* SPDX-License-Identifier: MIT */
/*
 * All that is known of the longest queues, where of the others only lengths
 * were asked for: the management API is asked for each of them alone. That is
 * cheaper than any list that has it (3 ms of the broker's time each, of however
 * many queues), and needs no order that the broker would have to make.
 */
#ifndef RMQ_BROKER_LONGEST_H
#define RMQ_BROKER_LONGEST_H

#include "common/base/buf.h"
#include "common/broker/snapshot.h"

enum { RMQ_LONGEST_MAX = 500 };

/* What became of a question about a queue. */
enum rmq_longest_answer {
  RMQ_LONGEST_ANSWERED, /* the body is there */
  RMQ_LONGEST_GONE,     /* no such queue any more, or an error of this one: go
                           on with the next one */
  RMQ_LONGEST_STOP      /* no time, or no answer: ask no more */
};
const char *rmq_longest_answer_to_str(enum rmq_longest_answer a);

struct rmq_longest {
  size_t count; /* at most RMQ_LONGEST_MAX */
  /* Asks the management API for path. */
  enum rmq_longest_answer (*ask)(void *ctx, const char *path);
  void *ctx;
  const struct rmq_buf *body; /* of the answer */
};

/* After the list of queues was read: asks, and fills in. Counters of the others
 * are RMQ_COUNTED_NOT. */
void rmq_longest_complete(const struct rmq_longest *l, struct rmq_snapshot *s);
/* Drops all queues but these, of which there are at most queues_max. */
void rmq_longest_keep(size_t count, struct rmq_snapshot *s);

#endif
