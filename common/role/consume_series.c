/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/consume_series.h"

#include <math.h>

static const char *const rejection_causes[] = {
#define RMQ_X(name, meaning) #name,
    RMQ_REJECTIONS(RMQ_X)
#undef RMQ_X
        NULL};
static const char *const refusal_causes[] = {
#define RMQ_X(name, meaning) #name,
    RMQ_REFUSALS(RMQ_X)
#undef RMQ_X
        NULL};

const char *rmq_rejection_to_str(enum rmq_rejection r) {
  switch (r) {
#define RMQ_X(name, meaning)                                                   \
  case RMQ_REJECTION_##name:                                                   \
    return #name;
    RMQ_REJECTIONS(RMQ_X)
#undef RMQ_X
  }
  return "unknown";
}

const char *rmq_rejection_meaning(enum rmq_rejection r) {
  switch (r) {
#define RMQ_X(name, meaning)                                                   \
  case RMQ_REJECTION_##name:                                                   \
    return meaning;
    RMQ_REJECTIONS(RMQ_X)
#undef RMQ_X
  }
  return "unknown";
}

const char *rmq_refusal_to_str(enum rmq_refusal r) {
  switch (r) {
  case RMQ_REFUSAL_none:
    return "none";
#define RMQ_X(name, meaning)                                                   \
  case RMQ_REFUSAL_##name:                                                     \
    return #name;
    RMQ_REFUSALS(RMQ_X)
#undef RMQ_X
  }
  return "unknown";
}

#define GAUGE(ty, ti, member, un, most, text)                                  \
  {                                                                            \
    .type = ty, .type_instance = ti, .kind = RMQ_GAUGE,                        \
    .scope = RMQ_SERIES_BLOCK,                                                 \
    .offset = offsetof(struct rmq_consume_report, member), .max = most,        \
    .unit = un, .help = text                                                   \
  }
#define DERIVE(ty, ti, family, member, un, text)                               \
  {                                                                            \
    .type = ty, .type_instance = ti, .causes = family, .kind = RMQ_DERIVE,     \
    .scope = RMQ_SERIES_BLOCK,                                                 \
    .offset = offsetof(struct rmq_consume_report, member), .max = INFINITY,    \
    .unit = un, .help = text                                                   \
  }

const struct rmq_series rmq_consume_series_table[] = {
    GAUGE("bool", "connected", connected, "1", 1,
          "1 while the block is subscribed."),
    GAUGE("bool", "backpressure", backpressure, "1", 1,
          "1 while acknowledgements wait for slow writers."),
    GAUGE("gauge", "state", state, "1", RMQ_SESSION_STATES_COUNT - 1,
          "Number of the session's state, see STATES."),
    GAUGE("queue_length", "unacked", unacked, "messages", INFINITY,
          "Messages delivered and not yet acknowledged."),
    GAUGE("queue_length", "outstanding_values", outstanding, "value lists",
          INFINITY, "Value lists dispatched and not yet written by everybody."),
    DERIVE("total_operations", "delivered", NULL, delivered, "messages",
           "Messages delivered to this block."),
    DERIVE("total_operations", "redelivered", NULL, redelivered, "messages",
           "Of them, delivered before, to us or somebody else."),
    DERIVE("total_operations", "acked", NULL, acked, "messages",
           "Messages done, and acknowledged."),
    DERIVE("total_operations", "requeued", NULL, requeued, "messages",
           "Messages given back to the queue."),
    DERIVE("total_operations", "deduplicated", NULL, deduplicated, "messages",
           "Copies of messages that were done: not dispatched, and among the "
           "acked ones as soon as their acknowledgement is sent."),
    DERIVE("total_operations", "rejected_", rejection_causes, rejected,
           "messages",
           "Messages dead-lettered, dropped or filed, by cause; the log says "
           "why."),
    DERIVE("total_values", "dispatched", NULL, dispatched, "value lists",
           "Value lists that the daemon took."),
    DERIVE("total_values", "unreturned", NULL, unreturned, "value lists",
           "Value lists that did not come back from the writers within "
           "WrittenTimeout, of messages that had been settled before."),
    DERIVE("total_values", "refused_", refusal_causes, refused, "value lists",
           "Value lists and notifications that were not taken, by cause."),
    DERIVE("total_events", "postponed", NULL, postponed, "events",
           "Messages given back because too many were on their way."),
    DERIVE("total_events", "notification", NULL, notifications, "events",
           "Notifications taken from messages."),
    DERIVE("total_events", "quarantined", NULL, quarantined, "messages",
           "Rejected messages filed in QuarantineDir."),
    DERIVE("total_events", "quarantine_full", NULL, quarantine_full, "messages",
           "Rejected messages not filed because QuarantineDir was full."),
    DERIVE("total_events", "quarantine_failed", NULL, quarantine_failed,
           "messages", "Rejected messages that could not be filed."),
    DERIVE("total_events", "failback", NULL, failbacks, "events",
           "Connections left for a better host."),
    DERIVE("total_events", "idle_restart", NULL, idle_restarts, "events",
           "Subscriptions made anew because an idle check found them dead."),
    DERIVE("total_connections", "opened", NULL, connections_opened,
           "connections", "Logins that succeeded."),
    GAUGE("latency", "delivery_p50", delivery_p50, "seconds", INFINITY,
          "Publish to settled, median since the previous report, from "
          "timestamp_in_ms."),
    GAUGE("latency", "delivery_p95", delivery_p95, "seconds", INFINITY,
          "Publish to settled, 95th percentile since the previous report."),
    GAUGE("latency", "delivery_p99", delivery_p99, "seconds", INFINITY,
          "Publish to settled, 99th percentile since the previous report."),
    GAUGE("percent", "error_rate", error_rate, "percent", 100,
          "100 e / max(delivered, e) over 60 s, e = rejected and requeued "
          "messages; absent when nothing happened."),
    RMQ_SERIES_END};

static double percentile(const struct rmq_latency *l, unsigned percent) {
  double seconds = NAN;
  return rmq_latency_percentile(l, percent, &seconds) ? seconds : NAN;
}

static uint64_t errors_of(const struct rmq_consume_counters *c) {
  uint64_t errors = c->consumer.requeued;
  for (int i = 0; i < RMQ_REJECTIONS_COUNT; i++)
    errors += c->rejected[i];
  return errors;
}

void rmq_consume_report_fill(struct rmq_consume_report *r,
                             const struct rmq_consume_counters *c,
                             const struct rmq_latency *latency,
                             const struct rmq_session_log *session,
                             struct rmq_consume_counters *before,
                             struct rmq_window *window, struct rmq_mono now) {
  enum rmq_session_state state = rmq_session_log_state(session);
  *r = (struct rmq_consume_report){
      .connected = rmq_session_is_up(state),
      .state = (double)state,
      .unacked = (double)c->unacked,
      .outstanding = c->outstanding > 0 ? (double)c->outstanding : 0,
      .backpressure = c->is_withheld,
      .deduplicated = (int64_t)c->flow.deduplicated,
      .postponed = (int64_t)c->flow.postponed,
      .delivered = (int64_t)c->consumer.delivered,
      .redelivered = (int64_t)c->consumer.redelivered,
      .acked = (int64_t)c->consumer.acked,
      .requeued = (int64_t)c->consumer.requeued,
      .dispatched = (int64_t)c->dispatched,
      .notifications = (int64_t)c->notifications,
      .unreturned = (int64_t)c->unreturned,
      .quarantined = (int64_t)c->filing.filed,
      .quarantine_full = (int64_t)c->filing.full,
      .quarantine_failed = (int64_t)c->filing.failed,
      .connections_opened = (int64_t)rmq_session_log_opened(session),
      .failbacks = (int64_t)rmq_session_log_failbacks(session),
      .idle_restarts = (int64_t)c->idle_restarts,
      .delivery_p50 = percentile(latency, 50),
      .delivery_p95 = percentile(latency, 95),
      .delivery_p99 = percentile(latency, 99)};
  for (int i = 0; i < RMQ_REJECTIONS_COUNT; i++)
    r->rejected[i] = (int64_t)c->rejected[i];
  for (int i = 0; i < RMQ_REFUSALS_COUNT; i++)
    r->refused[i] = (int64_t)c->refused[i];
  rmq_window_add(window, c->consumer.delivered - before->consumer.delivered,
                 errors_of(c) - errors_of(before), now);
  *before = *c;
  if (!rmq_window_error_rate(window, now, &r->error_rate))
    r->error_rate = NAN;
}
