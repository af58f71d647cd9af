/* SPDX-License-Identifier: MIT */
/*
 * How often each message has failed here: not all queues count, and what says
 * so may be the publisher's. Bounded: the message that failed longest ago gives
 * way among those that share its place, and the newcomer inherits its count:
 * with more failing messages than there is room for, some are given up early,
 * none is tried for ever.
 */
#ifndef RMQ_BASE_REDELIVERIES_H
#define RMQ_BASE_REDELIVERIES_H

#include <stddef.h>
#include <stdint.h>

enum { RMQ_REDELIVERIES_WAYS = 8 };

struct rmq_redeliveries_row {
  uint64_t key, touched;
  uint32_t count; /* 0 = free */
};

struct rmq_redeliveries {
  struct rmq_redeliveries_row *rows; /* WAYS for each place */
  size_t mask;                       /* of places */
  uint64_t touches;
};

/* Room for at least so many messages, over 0. -1 without memory. */
int rmq_redeliveries_init(struct rmq_redeliveries *r, size_t messages);
void rmq_redeliveries_fini(struct rmq_redeliveries *r);

/* key: a hash that tells messages apart. */
uint32_t rmq_redeliveries_count(const struct rmq_redeliveries *r, uint64_t key);
/* It failed once more. */
void rmq_redeliveries_add(struct rmq_redeliveries *r, uint64_t key);
/* It has ended. */
void rmq_redeliveries_forget(struct rmq_redeliveries *r, uint64_t key);

#endif
