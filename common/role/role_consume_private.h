/* SPDX-License-Identifier: MIT */
/*
 * Shared by the files of the consuming job: role_consume (lifecycle and
 * report), consume_delivery (a delivery in), consume_turn (the worker's turn),
 * consume_message (whole messages that a sink is done with).
 * Everything is the worker's thread unless it says otherwise.
 */
#ifndef RMQ_ROLE_ROLE_CONSUME_PRIVATE_H
#define RMQ_ROLE_ROLE_CONSUME_PRIVATE_H

#include "common/amqp/worker.h"
#include "common/role/consume_events.h"
#include "common/role/consume_flow.h"
#include "common/role/consume_format.h"
#include "common/role/consume_gate.h"
#include "common/role/consume_message.h"
#include "common/role/consume_rejection.h"
#include "common/role/consume_series.h"
#include "common/role/consume_topology.h"
#include "common/role/offsets.h"
#include "common/role/role_consume.h"

#include <pthread.h>

struct rmq_role_consume {
  const struct rmq_consume_options *options;
  const char *block;
  const struct rmq_host *host;
  struct rmq_consume_sink sink;
  struct rmq_session_log session;
  struct rmq_connection_setup setup;
  struct rmq_consume_topology topology;
  struct rmq_offsets offsets; /* the worker's thread, and start and join */
  struct rmq_consume_format format;
  struct rmq_consumer *consumer;
  struct rmq_connection *connection;
  struct rmq_worker *worker;
  struct rmq_consume_events *events; /* NULL without Notifications */
  bool is_started;

  pthread_mutex_t lock; /* protects from here ... */
  struct rmq_outstanding outstanding;
  struct rmq_consume_counters shared; /* as of the worker's last turn */
  struct rmq_message_ends ends;       /* of messages, not yet settled */
  struct rmq_latency latency;         /* ... to here */

  struct rmq_gate gate; /* the worker's and the writers' */

  /* The worker's thread. */
  struct rmq_consume_counters counters;
  struct rmq_flow flow;
  struct rmq_rejections rejections;
  struct rmq_consume_filter *filter;
  struct rmq_mono overdue_check;
  struct rmq_mono backpressure_line; /* the next one not before */
  struct rmq_mono withheld_since;
  bool has_said_withheld;
  bool is_draining, is_cancelled, is_withheld;
  bool has_asked_cancel; /* on this channel */
  bool begins_nothing;   /* draining, on a channel that came up since */
  size_t left; /* deliveries that came while draining: not begun, not settled */

  /* The reporting thread. */
  struct rmq_series_object object;
  struct rmq_consume_counters reported;
  struct rmq_window errors;
};

static inline struct rmq_mono
rmq_consume_now(const struct rmq_role_consume *r) {
  return r->host->mono(r->host->ctx);
}
static inline void rmq_consume_lock(struct rmq_role_consume *r) {
  pthread_mutex_lock(&r->lock);
}
static inline void rmq_consume_unlock(struct rmq_role_consume *r) {
  pthread_mutex_unlock(&r->lock);
}

/* consume_delivery ------------------------------------------------------- */

/* A delivery; ctx is the role. For the consumer's handlers. */
void rmq_consume_delivered(void *ctx, uint64_t serial,
                           const struct rmq_delivery *d, struct rmq_mono now);
/* The message was done: acknowledged, with its latency. Without effect when it
 * has had its end. */
void rmq_consume_done(struct rmq_role_consume *r, uint64_t ticket,
                      struct rmq_mono now);
/* Values of that ticket do not count any more. */
void rmq_consume_forget(struct rmq_role_consume *r, uint64_t ticket);
/* The policy's answer to a failure, within MaxRedeliveries: no message goes
 * round for ever. may_pass: another attempt could end differently. */
enum rmq_settle rmq_consume_settlement(const struct rmq_role_consume *r,
                                       uint64_t ticket,
                                       enum rmq_on_failure policy,
                                       bool may_pass);
/* The stream is not the one that was read: from its beginning, then. */
void rmq_consume_begin_anew(struct rmq_role_consume *r, struct rmq_mono now);

/* consume_message -------------------------------------------------------- */

/* Settles the messages of which the sink has told that they were not done. */
void rmq_consume_settle_ends(struct rmq_role_consume *r, struct rmq_mono now);
/* Whether the sink wants nothing more for now. */
bool rmq_consume_is_full(const struct rmq_role_consume *r);

/* consume_turn; ctx is the role. For the worker's job -------------------- */

struct rmq_mono rmq_consume_step(void *ctx, struct rmq_mono now);
void rmq_consume_drain(void *ctx, struct rmq_mono now);
/* All that was handed out is back, also what was acknowledged before that. */
bool rmq_consume_is_drained(void *ctx);

#endif
