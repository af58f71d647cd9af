/* SPDX-License-Identifier: MIT */
/* Shared by the three files of the publisher: publisher.c (any thread, the
 * store, the end), publisher_send.c (publishing), publisher_verdict.c (outcomes
 * into policy). */
#ifndef RMQ_AMQP_PUBLISHER_PRIVATE_H
#define RMQ_AMQP_PUBLISHER_PRIVATE_H

#include "common/amqp/publisher.h"
#include "common/base/backoff.h"
#include "common/base/prng.h"

#include <pthread.h>

struct rmq_publisher {
  struct rmq_publisher_config config;
  struct rmq_publisher_handlers handlers;
  struct rmq_connection *connection;

  pthread_mutex_t lock; /* protects from here ... */
  struct rmq_fifo fifo;
  struct rmq_publisher_counters counters;
  struct rmq_latency latency;
  size_t in_flight;    /* as the snapshot shows it */
  size_t wanted_bytes; /* largest message that delayed ones left no room for */
  size_t popped; /* taken from the outbox, neither in flight nor given back */
  bool found_nothing; /* the worker could publish and the outbox was empty */
  bool is_abandoned;  /* ... to here */

  /* The worker's thread only. */
  struct rmq_confirms confirms;
  struct rmq_list delayed;     /* refused, waiting for not_before; the outbox
                                  knows their number as held */
  struct rmq_mono delayed_due; /* when to look through them */
  struct rmq_backoff nack_backoff;
  struct rmq_mono paused_until; /* after a nack */
  struct rmq_dur timeout;       /* doubles while nothing is confirmed */
  struct rmq_mono timeout_from; /* no earlier: end of a blockade */
  struct rmq_mono retry_fetch;  /* when to ask a stalled store again */
  struct rmq_prng prng;
  bool is_draining;
  /* The broker closed the channel over one of several messages: they go one by
   * one until all have passed, so that the culprit is alone next time. */
  size_t suspects;
  size_t lost_in_flight; /* by the channel that is gone */
};

static inline struct rmq_message *rmq_publisher_message(struct rmq_node *n) {
  return RMQ_ELEMENT(n, struct rmq_message, node);
}

/* Under the lock: counts each message of the list. */
void rmq_publisher_count_dropped(struct rmq_publisher *p,
                                 const struct rmq_list *messages,
                                 enum rmq_publisher_drop cause);
/* Without the lock: their rows are settled, and they are freed. */
void rmq_publisher_end_all(struct rmq_publisher *p, struct rmq_list *messages);

/* Refused messages whose time has come go to the tail. When the next one's
 * has. */
struct rmq_mono rmq_publisher_release_delayed(struct rmq_publisher *p,
                                              struct rmq_mono now);

#endif
