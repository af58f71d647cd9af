/* SPDX-License-Identifier: MIT */
/*
 * Messages out, each to its end: one FIFO, a window of unconfirmed publishes,
 * and one place that turns outcomes into policy. Unknown is neither lost nor
 * confirmed: what was in flight when a channel died is published again first,
 * in order, with the same message-id.
 *
 * rmq_publisher_accept and _snapshot may be called by any thread; a lock is
 * held for a few pointers, never over I/O, encoding or a handler. All else
 * belongs to the worker's thread.
 *
 * At every moment (contract: architecture decision 5):
 *   accepted + recovered = confirmed + returned + rejected + expired
 *                          + dropped + outbox + spooled + in_flight
 * of which recovered, expired and spooled are 0 as long as there is no spool.
 */
#ifndef RMQ_AMQP_PUBLISHER_H
#define RMQ_AMQP_PUBLISHER_H

#include "common/amqp/connection.h"
#include "common/base/confirms.h"
#include "common/base/latency.h"
#include "common/base/outbox.h"
#include "common/base/uuid.h"

enum rmq_refusal_policy { RMQ_REFUSAL_RETRY, RMQ_REFUSAL_DROP };
const char *rmq_refusal_policy_to_str(enum rmq_refusal_policy p);

/* Borrowed. */
struct rmq_publisher_config {
  const char *exchange;
  bool is_mandatory, is_persistent;
  const char *app_id;
  size_t window; /* most unconfirmed messages */
  struct rmq_dur confirm_timeout;
  unsigned max_attempts; /* refusals (nacks, returns) before giving up */
  enum rmq_refusal_policy on_return, on_nack;
  struct rmq_dur retry_min, retry_max; /* back-off after a refusal */
  size_t queue_messages, queue_bytes;
  enum rmq_overflow overflow;
};

/* Why a message or value was dropped: X(suffix, meaning). */
#define RMQ_PUBLISHER_DROPS(X)                                                 \
  X(overflow, "the outbox was full")                                           \
  X(encode, "it could not be encoded, or memory was short")                    \
  X(shutdown, "it was still waiting when the daemon ended")

enum rmq_publisher_drop {
#define RMQ_X(name, meaning) RMQ_PUBLISHER_DROP_##name,
  RMQ_PUBLISHER_DROPS(RMQ_X)
#undef RMQ_X
};
enum { RMQ_PUBLISHER_DROPS_COUNT = 3 };
const char *rmq_publisher_drop_to_str(enum rmq_publisher_drop d);

/* Since the start; messages unless said otherwise. */
struct rmq_publisher_counters {
  uint64_t accepted;
  /* How they ended: each in exactly one of these. */
  uint64_t confirmed, returned, rejected;
  uint64_t dropped[RMQ_PUBLISHER_DROPS_COUNT];
  /* Events that end nothing. */
  uint64_t published, republished;
  uint64_t nack, return_, late, confirm_timeout, stray;
  uint64_t values_accepted, values_dropped; /* value lists */
};

struct rmq_publisher_snapshot {
  struct rmq_publisher_counters counters;
  size_t outbox;              /* waiting, also for another try */
  size_t in_flight;           /* published, not yet confirmed */
  struct rmq_latency latency; /* publish to confirm, since the last snapshot */
};

/* A message that was given up; m is valid for the call. */
struct rmq_publisher_given_up {
  const struct rmq_message *m;
  enum rmq_outcome outcome; /* NACKED or RETURNED */
  const char *exchange;
};

struct rmq_publisher_handlers {
  void *ctx;
  void (*given_up)(void *ctx, const struct rmq_publisher_given_up *g);
  /* A first refusal is worth a line, once in a while. */
  void (*refused)(void *ctx, const struct rmq_message *m,
                  enum rmq_outcome outcome);
};

struct rmq_publisher;
/* instance makes message-ids unique. NULL without memory. */
struct rmq_publisher *
rmq_publisher_new(const struct rmq_publisher_config *config,
                  const struct rmq_publisher_handlers *handlers,
                  struct rmq_uuid instance, uint64_t seed);
/* After the worker has ended. What is left is abandoned. */
void rmq_publisher_free(struct rmq_publisher *p);
/* Before the worker starts. */
void rmq_publisher_attach(struct rmq_publisher *p, struct rmq_connection *c);

/* Any thread. Takes m (also when it is dropped). True when the worker has to be
 * woken: it could publish and found nothing. A worker that cannot publish, or
 * is busy, will look by itself; waking it for each message would cost the
 * daemon's write threads more than the message. dropped, when not NULL, gets
 * the number of messages that the bound cost, m or older ones. */
bool rmq_publisher_accept(struct rmq_publisher *p, struct rmq_message *m,
                          size_t *ret_dropped);
/* Any thread: what never became a message. */
void rmq_publisher_count_unencodable(struct rmq_publisher *p, uint32_t values);
/* Any thread. Clears the latency when take_latency. */
void rmq_publisher_snapshot(struct rmq_publisher *p, bool take_latency,
                            struct rmq_publisher_snapshot *ret);

/* The worker's thread from here on. Publishes what can be published; returns
 * when to be called again without an event. */
struct rmq_mono rmq_publisher_step(struct rmq_publisher *p,
                                   struct rmq_mono now);
/* Everything accepted has ended. */
bool rmq_publisher_is_drained(struct rmq_publisher *p);
/* What is left ends as dropped_shutdown, now and whenever more is accepted.
 * Returns how many. After the worker has ended. */
size_t rmq_publisher_abandon(struct rmq_publisher *p);

/* For the connection's handlers. */
void rmq_publisher_ready(struct rmq_publisher *p, uint64_t epoch,
                         struct rmq_mono now);
void rmq_publisher_lost(struct rmq_publisher *p, struct rmq_mono now);
void rmq_publisher_confirmed(struct rmq_publisher *p, uint64_t epoch,
                             uint64_t seqno, bool multiple, bool is_nack,
                             struct rmq_mono now);
void rmq_publisher_returned(struct rmq_publisher *p, uint64_t epoch,
                            const struct rmq_returned *r);
void rmq_publisher_changed(struct rmq_publisher *p,
                           const struct rmq_connection_change *change,
                           struct rmq_mono now);

#endif
