/* SPDX-License-Identifier: MIT */
/*
 * The ends of whole messages that a sink took and did not do: told by any
 * thread, settled by the worker.
 */
#ifndef RMQ_ROLE_CONSUME_MESSAGE_H
#define RMQ_ROLE_CONSUME_MESSAGE_H

#include "common/role/role_consume.h"

struct rmq_message_end {
  struct rmq_message_failure failure;
  bool is_left; /* not begun; of the failure the ticket only */
};

/* Under the role's lock. */
struct rmq_message_ends {
  struct rmq_message_end *items;
  size_t count, max;
};

/* max: the tickets, each of which ends once. -1 without memory. */
int rmq_message_ends_init(struct rmq_message_ends *e, size_t max);
void rmq_message_ends_fini(struct rmq_message_ends *e);

#endif
