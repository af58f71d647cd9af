/* SPDX-License-Identifier: MIT */
/* What a publishing block reports about itself, as a struct for the series
 * table rmq_publish_series_table. */
#ifndef RMQ_ROLE_PUBLISH_SERIES_H
#define RMQ_ROLE_PUBLISH_SERIES_H

#include "common/amqp/publisher.h"
#include "common/base/session.h"
#include "common/base/window.h"
#include "common/role/intake.h"

/* The sessions of a block's lanes, as one. */
struct rmq_publish_sessions {
  enum rmq_session_state state;
  bool is_connected, is_blocked;
  uint64_t opened, blocked_timeouts, failbacks;
};

struct rmq_publish_report {
  double connected, blocked, state;
  double open_values, outbox, in_flight, spooled, spool_bytes;
  int64_t accepted, recovered, published, republished;
  int64_t confirmed, unconfirmed, returned, rejected, expired;
  int64_t dropped[RMQ_PUBLISHER_DROPS_COUNT];
  int64_t nack, return_, late, confirm_timeout;
  int64_t values_accepted, values_dropped, values_omitted;
  int64_t connections_opened, blocked_timeouts, failbacks;
  double confirm_p50, confirm_p95, confirm_p99; /* seconds, NaN = none */
  double error_rate;                            /* percent, NaN = none */
};

/* spool_bytes: NaN without a spool. window is fed with what happened since
 * before, which becomes s->counters. */
void rmq_publish_report_fill(struct rmq_publish_report *r,
                             const struct rmq_publisher_snapshot *s,
                             const struct rmq_intake_stats *in,
                             const struct rmq_publish_sessions *sessions,
                             double spool_bytes,
                             struct rmq_publisher_counters *before,
                             struct rmq_window *window, struct rmq_mono now);

#endif
