/* SPDX-License-Identifier: MIT */
/*
 * One connection of a publishing block: publisher, connection, worker, and what
 * the log hears of them. A block has one lane, or several that share its
 * messages by routing key (Connections).
 */
#ifndef RMQ_ROLE_PUBLISH_LANE_H
#define RMQ_ROLE_PUBLISH_LANE_H

#include "common/amqp/publisher.h"
#include "common/base/host.h"
#include "common/role/role_publish.h"
#include "common/role/session_log.h"

/* Borrowed, for the lane's life. */
struct rmq_publish_lane_config {
  const struct rmq_publish_options *options;
  const char *block;
  const struct rmq_host *host;
  const struct rmq_connection_setup *setup;
  const struct rmq_connection_config *connection;
  const struct rmq_store *store; /* NULL = none */
  unsigned index, count;         /* of the block's lanes */
  void *ctx;
  /* The lane's thread: see struct rmq_publisher_handlers. */
  void (*prepare)(void *ctx, struct rmq_message *m);
  /* Any thread: see struct rmq_publisher_handlers. */
  void (*fate)(void *ctx, const struct rmq_fate_report *report);
  /* The thread of lane 0 only; NULL, or what else is to be done and when
   * next. */
  struct rmq_mono (*tick)(void *ctx, struct rmq_mono now);
};

struct rmq_publish_lane;
/* Starts nothing. NULL with err. */
struct rmq_publish_lane *
rmq_publish_lane_new(const struct rmq_publish_lane_config *config,
                     struct rmq_error *err);
/* Only when never started, or joined with true. */
void rmq_publish_lane_free(struct rmq_publish_lane *l);
int rmq_publish_lane_start(struct rmq_publish_lane *l, struct rmq_error *err);

/* Any thread. See rmq_publisher_accept; wakes the worker when that is needed.
 * Returns how many messages the bounds cost. */
size_t rmq_publish_lane_accept(struct rmq_publish_lane *l,
                               struct rmq_message *m);
/* Any thread. See rmq_publisher_offer; the worker is woken. */
enum rmq_publisher_offer rmq_publish_lane_offer(struct rmq_publish_lane *l,
                                                struct rmq_message *m);
/* Any thread. */
void rmq_publish_lane_wake(struct rmq_publish_lane *l);

/* What a refusal is about, and what may be done. */
const char *rmq_publish_lane_remedy(enum rmq_publish_refusal why);

struct rmq_publisher *
rmq_publish_lane_publisher(const struct rmq_publish_lane *l);
struct rmq_session_log *rmq_publish_lane_session(struct rmq_publish_lane *l);

void rmq_publish_lane_stop(struct rmq_publish_lane *l,
                           struct rmq_mono deadline);
/* False: the worker did not end in time; never free l. What was not confirmed
 * is given to the store, or counted. */
bool rmq_publish_lane_join(struct rmq_publish_lane *l,
                           struct rmq_mono deadline);

#endif
