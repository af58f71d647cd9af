/* SPDX-License-Identifier: MIT */
/*
 * What the broker has sent while its deliveries are held, read on and kept as
 * it came. A broker whose socket takes nothing for 30 s (RabbitMQ's default)
 * closes the connection, and reading a little does not help: its clock is
 * stopped only when all that it has handed to the socket is gone, a whole
 * message and a part of its kernel's buffer. So after a while of not reading,
 * everything is read; that is the rest of the prefetch, within a maximum. Owned
 * by the thread that reads the link.
 */
#ifndef RMQ_AMQP_AHEAD_H
#define RMQ_AMQP_AHEAD_H

#include "common/base/rmqtime.h"

#include <stddef.h>

enum {
  RMQ_AHEAD_PATIENCE_S = 10, /* without an empty link, until it is read on */
  RMQ_AHEAD_QUIET_S = 1,     /* without a byte: the broker has no more */
  RMQ_AHEAD_CHUNK = 64 << 10,
  RMQ_AHEAD_CHUNKS_MAX = 1024
};

struct rmq_ahead {
  struct rmq_ahead_chunk *first, *last; /* oldest, newest */
  size_t count;
  struct rmq_mono empty_at, came_at;
  bool is_on;
};

/* The link is empty at now. It does not move afterwards. */
void rmq_ahead_init(struct rmq_ahead *a, struct rmq_mono now);
/* The link is gone: what was kept is of no use. */
void rmq_ahead_clear(struct rmq_ahead *a, struct rmq_mono now);

/* Whether to read on. waits: what comes from the link cannot be taken in. */
bool rmq_ahead_step(struct rmq_ahead *a, bool waits, struct rmq_mono now);
/* When that may change by itself. */
struct rmq_mono rmq_ahead_deadline(const struct rmq_ahead *a, bool waits);
/* The link has had nothing until now; or it is not read on for another while.
 */
void rmq_ahead_pause(struct rmq_ahead *a, struct rmq_mono now);

/* Where to read to, at least a byte; NULL at the maximum or without memory.
 * Then the first n bytes there have come. */
char *rmq_ahead_reserve(struct rmq_ahead *a, size_t *ret_room);
void rmq_ahead_commit(struct rmq_ahead *a, size_t n, struct rmq_mono now);

/* Moves the oldest bytes, at most RMQ_AHEAD_CHUNK, to out; 0 = there are none.
 */
size_t rmq_ahead_take(struct rmq_ahead *a, char *out);
bool rmq_ahead_is_empty(const struct rmq_ahead *a);

#endif
