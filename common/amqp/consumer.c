/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/amqp/consumer.h"

#include <stdlib.h>

struct rmq_consumer {
  struct rmq_consumer_config config;
  struct rmq_consumer_handlers handlers;
  struct rmq_connection *connection;
  struct rmq_unacked unacked;
  struct rmq_consumer_counters counters;
  bool is_withheld;
  struct rmq_mono lull; /* when no delivery will have come for a while */
  /* Of a stream, -1 = none: */
  int64_t last_offset;  /* delivered last; all before it was delivered, too */
  int64_t wanted_again; /* the oldest that was taken out without being done */
  bool is_cancelled, wants_reopen;
};

const char *rmq_settle_to_str(enum rmq_settle s) {
  switch (s) {
  case RMQ_SETTLE_ACK:
    return "ack";
  case RMQ_SETTLE_DROP:
    return "drop";
  case RMQ_SETTLE_REQUEUE:
    return "requeue";
  case RMQ_SETTLE_HAND_BACK:
    return "hand back";
  case RMQ_SETTLE_DEAD_LETTER:
    return "dead-letter";
  }
  return "unknown";
}

struct rmq_consumer *
rmq_consumer_new(const struct rmq_consumer_config *config,
                 const struct rmq_consumer_handlers *handlers) {
  struct rmq_consumer *c = calloc(1, sizeof(*c));
  if (c == NULL || rmq_unacked_init(&c->unacked, config->prefetch) != 0) {
    free(c);
    return NULL;
  }
  c->config = *config;
  c->handlers = *handlers;
  c->last_offset = c->wanted_again = -1;
  /* A batch larger than half of the prefetch would leave the broker waiting
   * for the interval with nothing it may send. */
  size_t most = config->prefetch < 2 ? 1 : config->prefetch / 2u;
  if (c->config.ack_batch > most)
    c->config.ack_batch = most;
  return c;
}

void rmq_consumer_free(struct rmq_consumer *c) {
  if (c == NULL)
    return;
  rmq_unacked_fini(&c->unacked);
  free(c);
}

void rmq_consumer_attach(struct rmq_consumer *c,
                         struct rmq_connection *connection) {
  c->connection = connection;
}

static struct rmq_dur lull_of(const struct rmq_consumer_config *config) {
  struct rmq_dur lull = rmq_ms(RMQ_CONSUMER_LULL_MS);
  return config->ack_interval.ns < lull.ns ? config->ack_interval : lull;
}

void rmq_consumer_delivered(struct rmq_consumer *c,
                            const struct rmq_delivery *d, struct rmq_mono now) {
  uint64_t serial = rmq_unacked_add(&c->unacked, d->tag);
  if (serial == 0) {
    rmq_connection_fail(c->connection,
                        "the server broke the protocol: a delivery beyond the "
                        "prefetch, or a delivery tag that does not grow",
                        now);
    return;
  }
  if (d->stream_offset >= 0)
    c->last_offset = d->stream_offset;
  /* Without an offset: it is behind the last that was known, at least. */
  rmq_unacked_mark(&c->unacked, serial, c->last_offset);
  c->lull = rmq_mono_add(now, lull_of(&c->config));
  c->counters.delivered++;
  if (d->is_redelivered)
    c->counters.redelivered++;
  rmq_connection_progress(c->connection);
  c->handlers.delivered(c->handlers.ctx, serial, d, now);
}

int64_t rmq_consumer_position(const struct rmq_consumer *c) {
  int64_t oldest = -1;
  int64_t position = c->last_offset < 0 ? -1 : c->last_offset + 1;
  if (rmq_unacked_oldest_mark(&c->unacked, &oldest))
    position = oldest;
  bool is_held_back = c->wanted_again >= 0 && c->wanted_again < position;
  return is_held_back ? c->wanted_again : position;
}

void rmq_consumer_forget_position(struct rmq_consumer *c) {
  c->last_offset = c->wanted_again = -1;
}

void rmq_consumer_lost(struct rmq_consumer *c) {
  c->last_offset = rmq_consumer_position(c) - 1;
  c->last_offset = c->last_offset < -1 ? -1 : c->last_offset;
  c->wanted_again = -1;
  c->is_cancelled = c->wants_reopen = false;
  rmq_unacked_lose(&c->unacked);
}

/* It stays unsettled, and with it the position; a channel that is about to be
 * closed is not opened anew. */
static bool read_again(struct rmq_consumer *c, uint64_t serial) {
  int64_t offset = rmq_unacked_mark_of(&c->unacked, serial);
  uint64_t tag = 0;
  if (!rmq_unacked_take(&c->unacked, serial, &tag)) {
    c->counters.stale++;
    return false;
  }
  if (c->wanted_again < 0 || offset < c->wanted_again)
    c->wanted_again = offset;
  c->counters.requeued++;
  c->wants_reopen = !c->is_cancelled; /* not now: our caller is in mid-work */
  return true;
}

/* reject, not nack, for what failed: from RabbitMQ 4.3 only a reject counts
 * towards the delivery limit. */
static void send(struct rmq_consumer *c, uint64_t tag, enum rmq_settle how) {
  switch (how) {
  case RMQ_SETTLE_ACK: /* waits for others, see flush */
    return;
  case RMQ_SETTLE_DROP:
    rmq_connection_ack(c->connection, tag, /* multiple = */ false);
    c->counters.dropped++;
    return;
  case RMQ_SETTLE_REQUEUE:
    rmq_connection_reject(c->connection, tag, /* requeue = */ true);
    c->counters.requeued++;
    return;
  case RMQ_SETTLE_HAND_BACK:
    rmq_connection_nack(c->connection, tag);
    c->counters.requeued++;
    return;
  case RMQ_SETTLE_DEAD_LETTER:
    rmq_connection_reject(c->connection, tag, /* requeue = */ false);
    c->counters.dead_lettered++;
    return;
  }
}

bool rmq_consumer_settle(struct rmq_consumer *c, uint64_t serial,
                         enum rmq_settle how, struct rmq_mono now) {
  uint64_t tag = 0;
  bool comes_again = how == RMQ_SETTLE_REQUEUE || how == RMQ_SETTLE_HAND_BACK;
  if (c->config.is_stream && comes_again)
    return read_again(c, serial);
  if (c->config.is_stream && how == RMQ_SETTLE_DEAD_LETTER)
    how = RMQ_SETTLE_DROP;
  bool is_current = how == RMQ_SETTLE_ACK
                        ? rmq_unacked_finish(&c->unacked, serial, now)
                        : rmq_unacked_take(&c->unacked, serial, &tag);
  if (is_current)
    send(c, tag, how);
  else
    c->counters.stale++;
  return is_current;
}

void rmq_consumer_flush(struct rmq_consumer *c) {
  if (!rmq_session_is_up(rmq_connection_state(c->connection)))
    return;
  uint64_t tag = 0;
  bool multiple = false;
  size_t before = rmq_consumer_unacked(c);
  while (rmq_unacked_collect(&c->unacked, &tag, &multiple))
    rmq_connection_ack(c->connection, tag, multiple);
  c->counters.acked += before - rmq_consumer_unacked(c);
}

size_t rmq_consumer_until_batch(const struct rmq_consumer *c) {
  size_t done = rmq_unacked_count(&c->unacked) - rmq_unacked_open(&c->unacked);
  return done < c->config.ack_batch ? c->config.ack_batch - done : 1;
}

struct rmq_mono rmq_consumer_lull(const struct rmq_consumer *c) {
  return c->lull;
}

void rmq_consumer_withhold(struct rmq_consumer *c, bool is_withheld) {
  c->is_withheld = is_withheld;
}

struct rmq_mono rmq_consumer_step(struct rmq_consumer *c, struct rmq_mono now) {
  if (c->wants_reopen)
    rmq_connection_reopen(c->connection,
                          "a message of the stream is to come again", now);
  if (c->is_withheld)
    return RMQ_NEVER;
  struct rmq_mono due = rmq_unacked_deadline(
      &c->unacked, c->config.ack_batch, c->config.ack_interval, c->lull, now);
  if (!rmq_mono_reached(now, due))
    return due;
  rmq_consumer_flush(c);
  return RMQ_NEVER;
}

bool rmq_consumer_cancel(struct rmq_consumer *c) {
  c->is_cancelled = true;
  return rmq_connection_cancel(c->connection);
}

size_t rmq_consumer_place_of(const struct rmq_consumer *c, uint64_t serial) {
  return rmq_unacked_place_of(&c->unacked, serial);
}

size_t rmq_consumer_unacked(const struct rmq_consumer *c) {
  return rmq_unacked_count(&c->unacked);
}

size_t rmq_consumer_open(const struct rmq_consumer *c) {
  return rmq_unacked_open(&c->unacked);
}

struct rmq_consumer_counters
rmq_consumer_counters(const struct rmq_consumer *c) {
  return c->counters;
}
