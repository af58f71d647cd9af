/* SPDX-License-Identifier: MIT */
/*
 * The publisher's FIFO in RAM: messages that wait to be published, bounded in
 * messages and bytes. Bytes of messages that were popped stay charged until
 * they are released, because an unconfirmed message still costs memory.
 * Not locked: the publisher holds its own lock.
 */
#ifndef RMQ_BASE_OUTBOX_H
#define RMQ_BASE_OUTBOX_H

#include "common/base/list.h"
#include "common/base/message.h"

#include <stdbool.h>

enum rmq_overflow { RMQ_DROP_OLDEST, RMQ_DROP_NEWEST };
const char *rmq_overflow_to_str(enum rmq_overflow o);

struct rmq_outbox {
  struct rmq_list waiting; /* of struct rmq_message, oldest first */
  size_t max_messages;     /* waiting messages */
  size_t max_bytes;        /* waiting and popped-but-unreleased */
  size_t bytes;            /* charged */
  size_t waiting_bytes;    /* of them, by what waits */
  size_t held; /* popped messages that the owner keeps for another try: they
                  count for max_messages; set by the owner */
  enum rmq_overflow policy;
};

void rmq_outbox_init(struct rmq_outbox *o, size_t max_messages,
                     size_t max_bytes, enum rmq_overflow policy);
/* Frees what waits. Everything popped must have been released or given back
 * before. Lists point into it: do not copy. */
void rmq_outbox_fini(struct rmq_outbox *o);

/* Whether rmq_outbox_push would keep m and drop nothing. */
bool rmq_outbox_has_room(const struct rmq_outbox *o,
                         const struct rmq_message *m);
/* Takes m, whatever the bounds: the caller asked has_room, or has bounded it
 * itself. It goes to the back, but before younger ones that are there. */
void rmq_outbox_append(struct rmq_outbox *o, struct rmq_message *m);
/* Takes m. What does not fit by policy is uncharged and appended to dropped,
 * whose owner counts and frees it: the oldest waiting messages, or m itself,
 * which is the only one when dropping all that waits would not make room. For
 * the count at most one is dropped, so that messages which came back from a
 * lost connection and exceed max_messages are not thrown away at once. Returns
 * whether m was kept. */
bool rmq_outbox_push(struct rmq_outbox *o, struct rmq_message *m,
                     struct rmq_list *dropped);
/* The oldest, or NULL; it stays charged until rmq_outbox_release. */
struct rmq_message *rmq_outbox_pop(struct rmq_outbox *o);
const struct rmq_message *rmq_outbox_peek(const struct rmq_outbox *o);
/* Gives popped messages back: to their place by seq among the first, so that
 * they are published again in order, or to the back after a return. Never
 * refused, so max_messages may be exceeded, by what was popped at most. */
void rmq_outbox_unpop(struct rmq_outbox *o, struct rmq_message *m);
void rmq_outbox_requeue_back(struct rmq_outbox *o, struct rmq_message *m);
/* Puts a list of popped messages, oldest first, before everything waiting; the
 * list is empty afterwards. */
void rmq_outbox_unpop_all(struct rmq_outbox *o, struct rmq_list *messages);
/* The bodies of popped messages were replaced: their costs were before in all,
 * and are after now. */
void rmq_outbox_recharge(struct rmq_outbox *o, size_t before, size_t after);
/* A popped message has ended; the caller frees it. */
void rmq_outbox_release(struct rmq_outbox *o, const struct rmq_message *m);
size_t rmq_outbox_count(const struct rmq_outbox *o);

#endif
