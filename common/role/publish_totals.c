/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/role_publish_private.h"

#include <math.h>

_Static_assert((int)RMQ_PUBLISH_TOTALS_REFUSED ==
                   (int)RMQ_PUBLISH_REFUSALS_COUNT,
               "one for each kind");

void rmq_role_publish_snapshot(struct rmq_role_publish *r, bool take_latency,
                               struct rmq_publisher_snapshot *sum) {
  *sum = (struct rmq_publisher_snapshot){0};
  rmq_latency_clear(&sum->latency);
  for (unsigned i = 0; i < r->lanes_count; i++) {
    struct rmq_publisher_snapshot s;
    rmq_publisher_snapshot(rmq_publish_lane_publisher(r->lanes[i]),
                           take_latency, &s);
    rmq_publisher_counters_add(&sum->counters, &s.counters);
    sum->outbox += s.outbox;
    sum->in_flight += s.in_flight;
    sum->spooled += s.spooled;
    rmq_latency_merge(&sum->latency, &s.latency);
  }
}

/* What a block says of its sessions: connected when all lanes are. The state is
 * that of the lane that is furthest from publishing. */
static struct rmq_publish_sessions sessions(const struct rmq_role_publish *r) {
  struct rmq_publish_sessions s = {.state = RMQ_SESSION_READY,
                                   .is_connected = true};
  for (unsigned i = 0; i < r->lanes_count; i++) {
    const struct rmq_session_log *log = rmq_publish_lane_session(r->lanes[i]);
    enum rmq_session_state state = rmq_session_log_state(log);
    s.opened += rmq_session_log_opened(log);
    s.blocked_timeouts += rmq_session_log_blocked_timeouts(log);
    s.failbacks += rmq_session_log_failbacks(log);
    if (!rmq_session_is_up(state) && s.is_connected)
      s.state = state;
    if (state == RMQ_SESSION_BLOCKED) {
      s.is_blocked = true;
      if (s.state == RMQ_SESSION_READY)
        s.state = state;
    }
    s.is_connected = s.is_connected && rmq_session_is_up(state);
  }
  return s;
}

void rmq_role_publish_totals(struct rmq_role_publish *r,
                             struct rmq_publish_totals *ret) {
  struct rmq_publisher_snapshot s;
  rmq_role_publish_snapshot(r, /* take_latency = */ false, &s);
  const struct rmq_publisher_counters *c = &s.counters;
  *ret = (struct rmq_publish_totals){.accepted = c->accepted,
                                     .recovered = c->recovered,
                                     .confirmed = c->confirmed,
                                     .sent = c->unconfirmed,
                                     .returned = c->returned,
                                     .rejected = c->rejected,
                                     .expired = c->expired,
                                     .waiting = s.outbox + s.in_flight,
                                     .spooled = s.spooled,
                                     .is_connected = sessions(r).is_connected};
  for (int i = 0; i < RMQ_PUBLISHER_DROPS_COUNT; i++)
    ret->dropped += c->dropped[i];
  for (int i = 0; i < RMQ_PUBLISH_REFUSALS_COUNT; i++) {
    ret->refused[i].messages = c->refused_last[i];
    ret->refused[i].why = rmq_publish_lane_remedy((enum rmq_publish_refusal)i);
  }
}

static struct rmq_store_stats spool_stats(const struct rmq_role_publish *r) {
  const struct rmq_store *store = rmq_spool_store(r->spool);
  struct rmq_store_stats stats;
  store->stats(store->ctx, &stats);
  return stats;
}

static double spool_bytes(const struct rmq_role_publish *r) {
  return r->spool == NULL ? NAN : (double)spool_stats(r).bytes;
}

bool rmq_role_publish_can_spool(const struct rmq_role_publish *r) {
  return r->spool != NULL && spool_stats(r).is_usable;
}

void rmq_role_publish_report(struct rmq_role_publish *r,
                             struct rmq_dur interval) {
  if (!r->options->connection.report_stats)
    return;
  struct rmq_publisher_snapshot s;
  struct rmq_publish_report report;
  rmq_role_publish_snapshot(r, /* take_latency = */ true, &s);
  struct rmq_publish_sessions all = sessions(r);
  struct rmq_intake_stats in;
  rmq_intake_stats(r->intake, &in);
  rmq_publish_report_fill(&report, &s, &in, &all, spool_bytes(r), &r->reported,
                          &r->errors, r->host->mono(r->host->ctx));
  struct rmq_series_report to = {.host = r->host,
                                 .object = &r->object,
                                 .time = r->host->wall(r->host->ctx),
                                 .interval = interval};
  rmq_series_emit_all(&to, rmq_publish_series_table, RMQ_SERIES_BLOCK, &report);
}
