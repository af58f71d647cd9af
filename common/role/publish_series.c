/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/publish_series.h"

#include "common/role/role_publish.h"

#include <math.h>

static const char *const drop_causes[] = {
#define RMQ_X(name, meaning) #name,
    RMQ_PUBLISHER_DROPS(RMQ_X)
#undef RMQ_X
        NULL};

#define GAUGE(ty, ti, member, un, most, text)                                  \
  {                                                                            \
    .type = ty, .type_instance = ti, .kind = RMQ_GAUGE,                        \
    .scope = RMQ_SERIES_BLOCK,                                                 \
    .offset = offsetof(struct rmq_publish_report, member), .max = most,        \
    .unit = un, .help = text                                                   \
  }
#define DERIVE(ty, ti, member, un, text)                                       \
  {                                                                            \
    .type = ty, .type_instance = ti, .kind = RMQ_DERIVE,                       \
    .scope = RMQ_SERIES_BLOCK,                                                 \
    .offset = offsetof(struct rmq_publish_report, member), .max = INFINITY,    \
    .unit = un, .help = text                                                   \
  }

const struct rmq_series rmq_publish_series_table[] = {
    GAUGE("bool", "connected", connected, "1", 1,
          "1 while the channel is open."),
    GAUGE("bool", "blocked", blocked, "1", 1,
          "1 while the broker has an alarm and takes no messages."),
    GAUGE("gauge", "state", state, "1", RMQ_SESSION_STATES_COUNT - 1,
          "Number of the session's state, see STATES."),
    GAUGE("queue_length", "open_values", open_values, "value lists", INFINITY,
          "Value lists in batches that are not full yet."),
    GAUGE("queue_length", "outbox", outbox, "messages", INFINITY,
          "Messages waiting in memory, also for another try."),
    GAUGE("queue_length", "spooled", spooled, "messages", INFINITY,
          "Messages that lie in the spool only."),
    GAUGE("queue_length", "in_flight", in_flight, "messages", INFINITY,
          "Messages published and not yet confirmed."),
    GAUGE("bytes", "spool", spool_bytes, "bytes", INFINITY,
          "Disk space of the spool's files; absent without SpoolDir."),
    DERIVE("total_operations", "accepted", accepted, "messages",
           "Messages taken over from the daemon."),
    DERIVE("total_operations", "recovered", recovered, "messages",
           "Messages found in the spool that an earlier process left."),
    DERIVE("total_operations", "published", published, "messages",
           "basic.publish sent, repetitions included."),
    DERIVE("total_operations", "republished", republished, "messages",
           "basic.publish sent again for the same message."),
    DERIVE("total_operations", "confirmed", confirmed, "messages",
           "Messages that the broker took responsibility for."),
    DERIVE("total_operations", "unconfirmed", unconfirmed, "messages",
           "Messages sent without asking for a confirm (Confirm false)."),
    DERIVE("total_operations", "returned", returned, "messages",
           "Messages given up because no queue took them."),
    DERIVE("total_operations", "rejected", rejected, "messages",
           "Messages given up because the broker refuses them: nacked, or too "
           "large for it."),
    DERIVE("total_operations", "expired", expired, "messages",
           "Messages that grew older than MessageTTL or SpoolMaxAge."),
    {.type = "total_operations",
     .type_instance = "dropped_",
     .causes = drop_causes,
     .kind = RMQ_DERIVE,
     .scope = RMQ_SERIES_BLOCK,
     .offset = offsetof(struct rmq_publish_report, dropped),
     .max = INFINITY,
     .unit = "messages",
     .help = "Messages dropped by us: queue or spool full (overflow), not "
             "encodable (encode), unreadable in the spool (damaged), left at "
             "the end (shutdown)."},
    DERIVE("total_events", "nack", nack, "events",
           "basic.nack received for a message."),
    DERIVE("total_events", "return", return_, "events",
           "basic.return received for a message."),
    DERIVE("total_events", "late", late, "events",
           "Messages that were refused and arrive behind younger ones."),
    DERIVE("total_events", "confirm_timeout", confirm_timeout, "events",
           "Connections renewed because no confirm came."),
    DERIVE("total_events", "blocked_timeout", blocked_timeouts, "events",
           "Connections left because the broker was blocked for too long."),
    DERIVE("total_events", "failback", failbacks, "events",
           "Connections left for a better host."),
    DERIVE("total_values", "accepted", values_accepted, "value lists",
           "Value lists taken over from the daemon."),
    DERIVE("total_values", "dropped", values_dropped, "value lists",
           "Value lists in dropped messages."),
    DERIVE("total_values", "omitted", values_omitted, "value lists",
           "Value lists left out because all their values are NaN, which "
           "Influx cannot say."),
    DERIVE("total_connections", "opened", connections_opened, "connections",
           "Logins that succeeded."),
    GAUGE("latency", "confirm_p50", confirm_p50, "seconds", INFINITY,
          "Publish to confirm, median since the previous report."),
    GAUGE("latency", "confirm_p95", confirm_p95, "seconds", INFINITY,
          "Publish to confirm, 95th percentile since the previous report."),
    GAUGE("latency", "confirm_p99", confirm_p99, "seconds", INFINITY,
          "Publish to confirm, 99th percentile since the previous report."),
    GAUGE("percent", "error_rate", error_rate, "percent", 100,
          "100 e / max(published, e) over 60 s, e = nacks, returns and "
          "dropped messages; absent when nothing happened."),
    RMQ_SERIES_END};

static double percentile(const struct rmq_latency *l, unsigned percent) {
  double seconds = NAN;
  return rmq_latency_percentile(l, percent, &seconds) ? seconds : NAN;
}

static uint64_t errors_of(const struct rmq_publisher_counters *c) {
  uint64_t errors = c->nack + c->return_;
  for (int i = 0; i < RMQ_PUBLISHER_DROPS_COUNT; i++)
    errors += c->dropped[i];
  return errors;
}

static void fill_counters(struct rmq_publish_report *r,
                          const struct rmq_publisher_counters *c) {
  r->accepted = (int64_t)c->accepted;
  r->recovered = (int64_t)c->recovered;
  r->published = (int64_t)c->published;
  r->republished = (int64_t)c->republished;
  r->confirmed = (int64_t)c->confirmed;
  r->unconfirmed = (int64_t)c->unconfirmed;
  r->expired = (int64_t)c->expired;
  r->returned = (int64_t)c->returned;
  r->rejected = (int64_t)c->rejected;
  for (int i = 0; i < RMQ_PUBLISHER_DROPS_COUNT; i++)
    r->dropped[i] = (int64_t)c->dropped[i];
  r->nack = (int64_t)c->nack;
  r->return_ = (int64_t)c->return_;
  r->late = (int64_t)c->late;
  r->confirm_timeout = (int64_t)c->confirm_timeout;
  r->values_dropped = (int64_t)c->values_dropped;
}

void rmq_publish_report_fill(struct rmq_publish_report *r,
                             const struct rmq_publisher_snapshot *s,
                             const struct rmq_intake_stats *in,
                             const struct rmq_publish_sessions *sessions,
                             double spool_bytes,
                             struct rmq_publisher_counters *before,
                             struct rmq_window *window, struct rmq_mono now) {
  const struct rmq_publisher_counters *c = &s->counters;
  fill_counters(r, c);
  r->values_accepted = (int64_t)in->values;
  r->values_omitted = (int64_t)in->omitted;
  r->open_values = (double)in->open_values;
  r->connected = sessions->is_connected;
  r->blocked = sessions->is_blocked;
  r->state = (double)sessions->state;
  r->outbox = (double)s->outbox;
  r->spooled = (double)s->spooled;
  r->in_flight = (double)s->in_flight;
  r->spool_bytes = spool_bytes;
  r->connections_opened = (int64_t)sessions->opened;
  r->blocked_timeouts = (int64_t)sessions->blocked_timeouts;
  r->failbacks = (int64_t)sessions->failbacks;
  r->confirm_p50 = percentile(&s->latency, 50);
  r->confirm_p95 = percentile(&s->latency, 95);
  r->confirm_p99 = percentile(&s->latency, 99);
  rmq_window_add(window, c->published - before->published,
                 errors_of(c) - errors_of(before), now);
  *before = *c;
  if (!rmq_window_error_rate(window, now, &r->error_rate))
    r->error_rate = NAN;
}
