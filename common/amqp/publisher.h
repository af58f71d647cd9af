/* SPDX-License-Identifier: MIT */
/*
 * Messages out, each to its end: one FIFO (RAM, and a store as its continuation
 * on disk), a window of unconfirmed publishes, and one place that turns
 * outcomes into policy. Unknown is neither lost nor confirmed: what was in
 * flight when a channel died is published again first, in order, with the same
 * message-id. A block with several connections has one publisher per
 * connection, its lanes.
 *
 * rmq_publisher_accept, _snapshot and the store's handlers may be called by any
 * thread; a lock is held for a few pointers, never over I/O, encoding or a
 * handler of ours. All else belongs to the worker's thread.
 *
 * At every moment (contract: architecture decision 5):
 *   accepted + recovered = confirmed + returned + rejected + expired
 *                          + unconfirmed + dropped
 *                          + outbox + spooled + in_flight
 */
#ifndef RMQ_AMQP_PUBLISHER_H
#define RMQ_AMQP_PUBLISHER_H

#include "common/amqp/connection.h"
#include "common/base/confirms.h"
#include "common/base/fate.h"
#include "common/base/fifo.h"
#include "common/base/latency.h"

enum rmq_refusal_policy {
  RMQ_REFUSAL_RETRY,
  RMQ_REFUSAL_DROP,
  RMQ_REFUSAL_ALTERNATE /* of a return only: to the alternate exchange */
};
const char *rmq_refusal_policy_to_str(enum rmq_refusal_policy p);

/* How a broker says no to one message. */
enum rmq_publish_refusal {
  RMQ_REFUSED_NACK,   /* basic.nack: it could not take it */
  RMQ_REFUSED_RETURN, /* basic.return: no queue takes it */
  RMQ_REFUSED_CLOSE   /* it closes the channel over it, 406: too large */
};
enum { RMQ_PUBLISH_REFUSALS_COUNT = 3 };
const char *rmq_publish_refusal_to_str(enum rmq_publish_refusal r);

/* Borrowed. */
struct rmq_publisher_config {
  const char *exchange;
  const char *alternate_exchange; /* of RMQ_REFUSAL_ALTERNATE */
  bool is_mandatory, is_persistent;
  bool wants_confirms; /* false: a message ends when it was sent */
  const char *app_id;
  uint8_t priority;                    /* 0 = none */
  const struct rmq_arguments *headers; /* NULL = none */
  size_t window;                       /* most unconfirmed messages */
  struct rmq_dur confirm_timeout;
  struct rmq_dur ttl;    /* of a message, from its acceptance; 0 = for ever */
  unsigned max_attempts; /* refusals before giving up */
  enum rmq_refusal_policy on_return, on_nack;
  struct rmq_dur retry_min, retry_max; /* back-off after a refusal */
  struct rmq_fifo_config fifo;
};

/* Why a message or value was dropped: X(suffix, meaning). */
#define RMQ_PUBLISHER_DROPS(X)                                                 \
  X(overflow, "the outbox, or the spool, was full")                            \
  X(encode, "it could not be encoded, or memory was short")                    \
  X(damaged, "it could not be read back from the spool")                       \
  X(shutdown, "it was still waiting when the daemon ended")

enum rmq_publisher_drop {
#define RMQ_X(name, meaning) RMQ_PUBLISHER_DROP_##name,
  RMQ_PUBLISHER_DROPS(RMQ_X)
#undef RMQ_X
};
enum { RMQ_PUBLISHER_DROPS_COUNT = 4 };
const char *rmq_publisher_drop_to_str(enum rmq_publisher_drop d);

/* Since the start. X(name): messages unless said otherwise. */
#define RMQ_PUBLISHER_COUNTERS(X)                                              \
  X(accepted)                                                                  \
  X(recovered) /* rows that an earlier process left */                         \
  /* How they ended: each in exactly one of these, or dropped. */              \
  X(confirmed)                                                                 \
  X(unconfirmed) /* sent, where no confirm was asked for */                    \
  X(returned)    /* given up as unroutable */                                  \
  X(rejected)    /* given up because the broker refuses them */                \
  X(expired)                                                                   \
  /* Events that end nothing. */                                               \
  X(published)                                                                 \
  X(republished)                                                               \
  X(nack)                                                                      \
  X(return_)                                                                   \
  X(late)                                                                      \
  X(confirm_timeout)                                                           \
  X(stray)                                                                     \
  X(values_accepted) /* value lists */                                         \
  X(values_dropped)

struct rmq_publisher_counters {
#define RMQ_X(name) uint64_t name;
  RMQ_PUBLISHER_COUNTERS(RMQ_X)
#undef RMQ_X
  uint64_t dropped[RMQ_PUBLISHER_DROPS_COUNT];
  /* Messages that were given up, or were left over when the worker ended, of
   * whatever became of them then: by the broker's last refusal. */
  uint64_t refused_last[RMQ_PUBLISH_REFUSALS_COUNT];
};
/* Sums, for a block of several lanes. */
void rmq_publisher_counters_add(struct rmq_publisher_counters *to,
                                const struct rmq_publisher_counters *add);

struct rmq_publisher_snapshot {
  struct rmq_publisher_counters counters;
  size_t outbox;              /* in RAM, waiting, also for another try */
  size_t in_flight;           /* published, not yet confirmed */
  uint64_t spooled;           /* the store has them and we have not */
  struct rmq_latency latency; /* publish to confirm, since the last snapshot */
};

/* A message that was given up; m is valid for the call. */
struct rmq_publisher_given_up {
  const struct rmq_message *m;
  enum rmq_publish_refusal why;
  const char *exchange;
};

/* All but fate are set; ctx is passed back. */
struct rmq_publisher_handlers {
  void *ctx;
  void (*given_up)(void *ctx, const struct rmq_publisher_given_up *g);
  /* A first refusal is worth a line, once in a while. */
  void (*refused)(void *ctx, const struct rmq_message *m,
                  enum rmq_publish_refusal why);
  /* Worker's thread: gives m its message-id and its body as it goes out, once
   * (is_prepared). */
  void (*prepare)(void *ctx, struct rmq_message *m);
  /* The store's thread: the worker has something to do. */
  void (*wake)(void *ctx);
  /* Any thread: see fate.h. NULL = nobody asks. */
  void (*fate)(void *ctx, const struct rmq_fate_report *report);
};

struct rmq_publisher;
/* NULL without memory. */
struct rmq_publisher *
rmq_publisher_new(const struct rmq_publisher_config *config,
                  const struct rmq_publisher_handlers *handlers, uint64_t seed);
/* After the worker and the store have ended. What is left is abandoned. */
void rmq_publisher_free(struct rmq_publisher *p);
/* Before the worker starts. */
void rmq_publisher_attach(struct rmq_publisher *p, struct rmq_connection *c);
/* What the store of the config answers to. */
struct rmq_store_handlers rmq_publisher_store_handlers(struct rmq_publisher *p);

/* Any thread, one at a time in order of m->seq. Takes m (also when it is
 * dropped). True when the worker has to be woken: it could publish and found
 * nothing. A worker that cannot publish, or is busy, will look by itself;
 * waking it for each message would cost the daemon's write threads more than
 * the message. dropped, when not NULL, gets the number of messages that the
 * bound cost, m or older ones. */
bool rmq_publisher_accept(struct rmq_publisher *p, struct rmq_message *m,
                          size_t *ret_dropped);
/* As accept, but m goes only where there is room and nothing has to be dropped
 * for it: otherwise it stays the caller's. */
enum rmq_publisher_offer {
  RMQ_OFFER_TAKEN,
  RMQ_OFFER_WAKE,     /* taken, and the worker has to be woken */
  RMQ_OFFER_FULL,     /* try again later */
  RMQ_OFFER_TOO_LARGE /* no bound will ever let it in */
};
const char *rmq_publisher_offer_to_str(enum rmq_publisher_offer o);
enum rmq_publisher_offer rmq_publisher_offer(struct rmq_publisher *p,
                                             struct rmq_message *m);
/* Any thread: what never became a message. */
void rmq_publisher_count_unencodable(struct rmq_publisher *p, uint32_t values);
/* Any thread. Clears the latency when take_latency. */
void rmq_publisher_snapshot(struct rmq_publisher *p, bool take_latency,
                            struct rmq_publisher_snapshot *ret);

/* The worker's thread from here on. Publishes what can be published; returns
 * when to be called again without an event. */
struct rmq_mono rmq_publisher_step(struct rmq_publisher *p,
                                   struct rmq_mono now);
/* The end begins: refused messages get a last try at once, and what the store
 * has stays there. */
void rmq_publisher_drain(struct rmq_publisher *p);
/* Nothing that this connection could still do: everything accepted has ended,
 * or lies in a store that works. */
bool rmq_publisher_is_drained(struct rmq_publisher *p);
/* After the worker has ended. What is left goes to the store, or ends as
 * dropped_shutdown, now and whenever more is accepted. Returns how many ended
 * so. */
size_t rmq_publisher_abandon(struct rmq_publisher *p);

/* After the store has ended, too: the tags whose messages are rows for the next
 * start hear so. */
void rmq_publisher_tell_kept(struct rmq_publisher *p);

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
