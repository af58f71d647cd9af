/* SPDX-License-Identifier: MIT */
/* What a consuming block declares and subscribes to, from its options. */
#ifndef RMQ_ROLE_CONSUME_TOPOLOGY_H
#define RMQ_ROLE_CONSUME_TOPOLOGY_H

#include "common/role/role_consume.h"
#include "common/role/session_log.h"

enum { RMQ_CONSUME_ARGUMENTS = 16 }; /* that options stand for, of a table */

struct rmq_consume_topology {
  struct rmq_wire_exchange exchange;
  struct rmq_wire_queue queue;
  /* items are ours, their texts borrowed */
  struct rmq_arguments arguments, consumer_arguments;
  struct rmq_argument *stream_offset; /* of the consumer's; NULL = no stream */
  struct rmq_binding *bindings;
};

/* Fills t and config's topology; borrows options. -1 without memory. */
int rmq_consume_topology_init(struct rmq_consume_topology *t,
                              const struct rmq_consume_options *options,
                              struct rmq_connection_config *config,
                              struct rmq_error *err);
/* Says what works with this broker and will not with the next; at the start. */
void rmq_consume_topology_warn(const struct rmq_consume_options *options,
                               struct rmq_session_log *log);
void rmq_consume_topology_fini(struct rmq_consume_topology *t);

#endif
