/* SPDX-License-Identifier: MIT */
/* What a consuming block counts and reports about itself, as structs for the
 * series table rmq_consume_series_table. */
#ifndef RMQ_ROLE_CONSUME_SERIES_H
#define RMQ_ROLE_CONSUME_SERIES_H

#include "common/amqp/consumer.h"
#include "common/base/latency.h"
#include "common/base/window.h"
#include "common/role/consume_flow.h"
#include "common/role/role_consume.h"
#include "common/role/session_log.h"

/* Why a delivery was not acknowledged as done: X(suffix, meaning). */
#define RMQ_REJECTIONS(X)                                                      \
  X(oversized, "it is larger than MaxMessageBytes")                            \
  X(malformed, "its properties cannot be decoded")                             \
  X(empty, "its body is empty")                                                \
  X(encoding, "its content encoding is not supported")                         \
  X(content_type, "its content type is not one that this block reads")         \
  X(parse, "its body cannot be read")                                          \
  X(user_id, "its user is not one of RequireUserId")                           \
  X(mixed, "some of its values cannot be taken, and OnMixedMessage is reject") \
  X(refused, "none of its values is taken here")                               \
  X(memory, "memory was too short to read it")                                 \
  X(dispatch, "the daemon did not take its values")                            \
  X(timeout, "its values did not come back from the writers in time")
enum rmq_rejection {
#define RMQ_X(name, meaning) RMQ_REJECTION_##name,
  RMQ_REJECTIONS(RMQ_X)
#undef RMQ_X
};
enum { RMQ_REJECTIONS_COUNT = 12 };
const char *rmq_rejection_to_str(enum rmq_rejection r);
const char *rmq_rejection_meaning(enum rmq_rejection r);

/* Rejected messages and QuarantineDir. */
struct rmq_filing_counters {
  uint64_t filed, full, failed;
};

/* A copy for the reporting thread. */
struct rmq_consume_counters {
  struct rmq_consumer_counters consumer;
  uint64_t rejected[RMQ_REJECTIONS_COUNT]; /* dead-lettered or dropped */
  uint64_t dispatched;                     /* samples that the host took */
  uint64_t refused[RMQ_REFUSALS_COUNT];    /* samples, by rmq_refusal - 1 */
  uint64_t idle_restarts;
  uint64_t notifications; /* on their way to the host */
  uint64_t unreturned;    /* samples given up, of messages settled before */
  struct rmq_filing_counters filing;
  size_t unacked;
  int64_t outstanding; /* samples out; see base/outstanding.h */
  struct rmq_flow_counters flow;
  bool is_withheld; /* acks wait for the writers */
};

struct rmq_consume_report {
  double connected, state;
  double unacked, outstanding, backpressure;
  int64_t delivered, redelivered, acked, requeued, deduplicated, postponed;
  int64_t rejected[RMQ_REJECTIONS_COUNT];
  int64_t dispatched, notifications, unreturned;
  int64_t refused[RMQ_REFUSALS_COUNT];
  int64_t quarantined, quarantine_full, quarantine_failed;
  int64_t connections_opened, failbacks, idle_restarts;
  double delivery_p50, delivery_p95, delivery_p99; /* seconds, NaN = none */
  double error_rate;                               /* percent, NaN = none */
};

/* window is fed with what happened since before, which becomes *c. */
void rmq_consume_report_fill(struct rmq_consume_report *r,
                             const struct rmq_consume_counters *c,
                             const struct rmq_latency *latency,
                             const struct rmq_session_log *session,
                             struct rmq_consume_counters *before,
                             struct rmq_window *window, struct rmq_mono now);

#endif
