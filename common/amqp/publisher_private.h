/* SPDX-License-Identifier: MIT */
/* Shared by the files of the publisher: publisher.c (any thread, the end),
 * publisher_store.c (the store's answers), publisher_send.c (publishing),
 * publisher_verdict.c (outcomes into policy), publisher_fate.c (who is told).
 */
#ifndef RMQ_AMQP_PUBLISHER_PRIVATE_H
#define RMQ_AMQP_PUBLISHER_PRIVATE_H

#include "common/amqp/publisher.h"
#include "common/base/backoff.h"
#include "common/base/prng.h"
#include "common/base/tags.h"

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
  bool found_nothing;   /* the worker could publish and the outbox was empty */
  struct rmq_tags rows; /* tags of messages that are rows and nothing else */
  size_t tagged;        /* tags whose final fate is still to be told */
  bool is_abandoned;    /* ... to here */

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
  size_t lost_choosers;  /* of them, those that chose an exchange themselves */
  /* What the broker said last about a message, for its fate. */
  uint16_t reply_code;
  char reply_text[160];
};

static inline struct rmq_message *rmq_publisher_message(struct rmq_node *n) {
  return RMQ_ELEMENT(n, struct rmq_message, node);
}

/* Under the lock: counts each message of the list. */
void rmq_publisher_count_dropped(struct rmq_publisher *p,
                                 const struct rmq_list *messages,
                                 enum rmq_publisher_drop cause);
/* Without the lock: their rows are settled, their fates are told, and they are
 * freed. */
void rmq_publisher_end_all(struct rmq_publisher *p, struct rmq_list *messages);
/* Without telling anybody. */
void rmq_publisher_free_all(struct rmq_list *messages);

/* publisher_fate.c. */

/* Without the lock, before m is freed, or (STORED) before others have it. */
void rmq_publisher_tell(struct rmq_publisher *p, const struct rmq_message *m,
                        enum rmq_fate fate);
/* Under the lock: they are rows from here on, and will be freed. */
void rmq_publisher_file_tags(struct rmq_publisher *p,
                             const struct rmq_list *messages);
/* Under the lock: rows that have come back carry their tags again. */
void rmq_publisher_find_tags(struct rmq_publisher *p,
                             const struct rmq_list *messages);
/* Without the lock: rows of these numbers have ended. */
void rmq_publisher_tell_rows(struct rmq_publisher *p, uint64_t first,
                             uint64_t last, enum rmq_fate fate,
                             const char *cause);
/* Without the lock: what the broker says about a message. */
void rmq_publisher_remember_reply(struct rmq_publisher *p,
                                  struct rmq_message *m, int code,
                                  const char *text);

/* Refused messages whose time has come go to the tail. When the next one's
 * has. */
struct rmq_mono rmq_publisher_release_delayed(struct rmq_publisher *p,
                                              struct rmq_mono now);

#endif
