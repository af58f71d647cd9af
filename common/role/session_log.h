/* SPDX-License-Identifier: MIT */
/*
 * What a session goes through, for people: each change of state that matters is
 * one line with its reason and remedy; the same trouble is repeated with
 * backing-off frequency, also when it comes and goes, and its end is told once.
 * Also what metrics show of the session: readable by any thread.
 */
#ifndef RMQ_ROLE_SESSION_LOG_H
#define RMQ_ROLE_SESSION_LOG_H

#include "common/amqp/connection.h"
#include "common/base/complain.h"
#include "common/base/host.h"

#include <stdatomic.h>

enum { RMQ_SESSION_LOG_TROUBLES = 32 }; /* the oldest makes room */

struct rmq_session_log {
  const struct rmq_host *host;
  const char *plugin, *block; /* borrowed */
  /* Kinds of trouble that were reported, the worker's thread only. */
  struct {
    uint64_t kind; /* hash of endpoint and reason; 0 = free */
    struct rmq_complain complain;
  } troubles[RMQ_SESSION_LOG_TROUBLES];
  size_t next_trouble;
  bool was_up;
  /* Any thread. */
  atomic_int state; /* enum rmq_session_state */
  _Atomic uint64_t opened, failbacks, blocked_timeouts;
};

void rmq_session_log_init(struct rmq_session_log *l,
                          const struct rmq_host *host, const char *plugin,
                          const char *block);
/* The handler of the connection's changes. */
void rmq_session_log_changed(struct rmq_session_log *l,
                             const struct rmq_connection_change *change,
                             struct rmq_mono now);
enum rmq_session_state rmq_session_log_state(const struct rmq_session_log *l);
uint64_t rmq_session_log_opened(const struct rmq_session_log *l);
/* Connections left for a better host; left because the broker was blocked. */
uint64_t rmq_session_log_failbacks(const struct rmq_session_log *l);
uint64_t rmq_session_log_blocked_timeouts(const struct rmq_session_log *l);

/* One line of this block; fields that r leaves empty are filled in. */
void rmq_session_log_write(struct rmq_session_log *l,
                           const struct rmq_log_record *r);

#endif
