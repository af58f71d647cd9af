/* SPDX-License-Identifier: MIT */
/*
 * Deliveries in, settled with the broker when their work is done. Acks are
 * coalesced, and cover finished deliveries only. Everything belongs to the
 * worker's thread.
 */
#ifndef RMQ_AMQP_CONSUMER_H
#define RMQ_AMQP_CONSUMER_H

#include "common/amqp/connection.h"
#include "common/base/unacked.h"

/* After a delivery, acks wait so long for others to go with them. */
enum { RMQ_CONSUMER_LULL_MS = 10 };

struct rmq_consumer_config {
  uint16_t prefetch;
  size_t ack_batch;
  struct rmq_dur ack_interval;
  /* A stream knows acks only, which are the reader's credit and forget nothing.
   * What is dead-lettered is dropped; what is to come again is not acked, and
   * the channel is opened anew to read from there. */
  bool is_stream;
};

/* How a delivery is settled; it is counted as one of these. */
enum rmq_settle {
  RMQ_SETTLE_ACK,        /* done: the broker may forget it */
  RMQ_SETTLE_DROP,       /* not done, and the broker may forget it */
  RMQ_SETTLE_REQUEUE,    /* not done: the broker delivers it again, maybe to
                            somebody else */
  RMQ_SETTLE_HAND_BACK,  /* not begun: likewise, and no failure of the message
                            where the broker tells the two apart */
  RMQ_SETTLE_DEAD_LETTER /* never again: the broker dead-letters or drops it */
};
const char *rmq_settle_to_str(enum rmq_settle s);

struct rmq_consumer_handlers {
  void *ctx;
  /* serial is ours, unique for life; d is borrowed for the call, in which the
   * delivery may already be settled. */
  void (*delivered)(void *ctx, uint64_t serial, const struct rmq_delivery *d,
                    struct rmq_mono now);
};

struct rmq_consumer_counters {
  uint64_t delivered, redelivered;
  uint64_t acked, dropped, requeued, dead_lettered; /* handed back: requeued */
  uint64_t stale; /* settled too late: their channel was gone */
};

struct rmq_consumer;
struct rmq_consumer *
rmq_consumer_new(const struct rmq_consumer_config *config,
                 const struct rmq_consumer_handlers *handlers);
void rmq_consumer_free(struct rmq_consumer *c);
void rmq_consumer_attach(struct rmq_consumer *c,
                         struct rmq_connection *connection);

/* False when serial belongs to a channel that is gone: the broker delivers it
 * again. */
bool rmq_consumer_settle(struct rmq_consumer *c, uint64_t serial,
                         enum rmq_settle how, struct rmq_mono now);
/* Sends the acks that are due; returns when to be called again. */
struct rmq_mono rmq_consumer_step(struct rmq_consumer *c, struct rmq_mono now);
/* How many more finished deliveries it takes until acks are sent, at least 1;
 * fewer are waited for until the lull, when no delivery has come for
 * RMQ_CONSUMER_LULL_MS, or for ack_interval where that is less. */
size_t rmq_consumer_until_batch(const struct rmq_consumer *c);
struct rmq_mono rmq_consumer_lull(const struct rmq_consumer *c);
/* Whether acks of finished deliveries wait, which stops the broker when the
 * prefetch is full; step then sends none. Flush and all that is not an ack of
 * something done do not wait. */
void rmq_consumer_withhold(struct rmq_consumer *c, bool is_withheld);
/* Sends all acks of finished deliveries now. */
void rmq_consumer_flush(struct rmq_consumer *c);
/* Asks the broker to deliver nothing more; answered by the connection's handler
 * cancelled. False when nothing is subscribed. */
bool rmq_consumer_cancel(struct rmq_consumer *c);
/* Deliveries without an answer yet, and those of them still being worked on. */
size_t rmq_consumer_unacked(const struct rmq_consumer *c);
size_t rmq_consumer_open(const struct rmq_consumer *c);
/* Of an unsettled delivery: a place below the prefetch that is its own. */
size_t rmq_consumer_place_of(const struct rmq_consumer *c, uint64_t serial);
/* Of a stream: the offset of the first message that is not settled; -1 = not
 * known. It outlives the channel. */
int64_t rmq_consumer_position(const struct rmq_consumer *c);
/* The stream is another one: nothing is known any more. */
void rmq_consumer_forget_position(struct rmq_consumer *c);
struct rmq_consumer_counters
rmq_consumer_counters(const struct rmq_consumer *c);

/* For the connection's handlers. */
void rmq_consumer_delivered(struct rmq_consumer *c,
                            const struct rmq_delivery *d, struct rmq_mono now);
void rmq_consumer_lost(struct rmq_consumer *c);

#endif
