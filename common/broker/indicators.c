/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/indicators.h"

#include "common/base/window.h"
#include "common/broker/known.h"
#include "common/broker/members.h"
#include "common/broker/meter.h"
#include "common/broker/queue_sums.h"
#include "common/broker/recent.h"
#include "common/broker/totals.h"
#include "common/broker/unconfirmed.h"
#include "common/broker/vhost_sums.h"

#include <math.h>
#include <stdlib.h>

struct rmq_indicators {
  struct rmq_members members;
  bool has_before, is_per_node;
  enum rmq_detail_level detail; /* of the poll before */
  struct rmq_mono taken;
  double depth; /* ready + unacked of the cluster */
  struct rmq_totals totals;
  struct rmq_unconfirmed unconfirmed;
  struct rmq_meter own_nacks, own_dropped;
  bool has_failed; /* the poll before */
  struct rmq_window errors;
  struct rmq_window refusals; /* a minute of auth_failed, channel_closed */
  struct rmq_recent recent;
  struct rmq_baseline publish_rate;
  struct rmq_week *week; /* borrowed; NULL = the baseline decides */
  bool has_learned_hour;
  int64_t scrape_failed;
  struct rmq_vhost_sums vhosts;
  struct rmq_queue_sums queues;
  struct rmq_report_node *nodes;
};

/* One poll, as the functions below see it. */
struct turn {
  enum rmq_continuity continuity;
  struct rmq_mono taken;
  double elapsed; /* seconds since the last; NaN = there was none */
  double now;     /* wall clock, seconds */
  /* Of queues; a queue's count is a sum over nodes, or one number. */
  bool are_counts_known;
  enum rmq_decrease decrease;
};

struct rmq_indicators *rmq_indicators_new(void) {
  struct rmq_indicators *x = calloc(1, sizeof(*x));
  if (x == NULL)
    return NULL;
  rmq_members_init(&x->members);
  rmq_totals_init(&x->totals);
  rmq_unconfirmed_init(&x->unconfirmed);
  rmq_vhost_sums_init(&x->vhosts);
  rmq_queue_sums_init(&x->queues);
  rmq_meter_init(&x->own_nacks);
  rmq_meter_init(&x->own_dropped);
  rmq_window_init(&x->errors, rmq_s(60));
  rmq_window_init(&x->refusals, rmq_s(60));
  rmq_recent_init(&x->recent);
  rmq_baseline_init(&x->publish_rate);
  return x;
}

void rmq_indicators_free(struct rmq_indicators *x) {
  if (x == NULL)
    return;
  rmq_members_fini(&x->members);
  rmq_totals_fini(&x->totals);
  rmq_vhost_sums_fini(&x->vhosts);
  rmq_queue_sums_fini(&x->queues);
  free(x->nodes);
  free(x);
}

struct rmq_baseline *rmq_indicators_get_baseline(struct rmq_indicators *x) {
  return &x->publish_rate;
}

void rmq_indicators_set_week(struct rmq_indicators *x, struct rmq_week *week) {
  x->week = week;
}

bool rmq_indicators_has_learned_hour(const struct rmq_indicators *x) {
  return x->has_learned_hour;
}

static double share(double part, double whole) {
  return whole > 0 ? 100 * part / whole : (double)NAN;
}

/* ---- cluster ---- */

static void report_connections(const struct rmq_snapshot *now,
                               const struct rmq_totals_growth *g,
                               struct rmq_report_cluster *c) {
  c->reachable = 1;
  c->response_time = now->response_time;
  c->metrics_time = now->metrics_time;
  c->connections_open = now->connections;
  c->connections_opened = g->sums[rmq_totals_of_tally(RMQ_TALLY_OPENED)];
  c->connections_closed = g->sums[rmq_totals_of_tally(RMQ_TALLY_CLOSED)];
}

/* Adds a number that may be NaN to a sum that starts as NaN. */
static double plus(double sum, double value) {
  if (isnan(value))
    return sum;
  return isnan(sum) ? value : sum + value;
}

static void report_members(const struct rmq_snapshot *now,
                           struct rmq_report_cluster *c) {
  if (!now->has_nodes)
    return;
  c->nodes_total = (double)now->nodes_count;
  for (size_t i = 0; i < now->nodes_count; i++) {
    c->nodes_running = plus(c->nodes_running, now->nodes[i].running);
    c->partitions = plus(c->partitions, now->nodes[i].partitions);
  }
}

static void report_lag(struct rmq_indicators *x, const struct rmq_snapshot *now,
                       const struct turn *turn, struct rmq_report_cluster *c) {
  double depth = now->ready + now->unacked;
  c->ready = now->ready;
  c->unacked = now->unacked;
  c->growth =
      rmq_known_growth(turn->continuity, turn->elapsed, depth, x->depth);
  c->drain = rmq_known_drain(now->ready, c->growth);
  c->stream_offset_lag = now->stream_lag;
  c->consumer_delivery = now->own.consumer_delivery;
  x->depth = depth;
  if (now->detail < RMQ_DETAIL_ALL)
    return; /* the oldest one of some queues is not that of all */
  for (size_t i = 0; i < now->queues_count; i++)
    c->head_age = fmax(c->head_age,
                       rmq_known_age(turn->now, now->queues[i].head_timestamp));
}

/* In the order of the report. */
static const size_t dead_lettered[RMQ_REPORT_DEAD_COUNT] = {
    RMQ_STATS_COUNT + RMQ_TALLY_DEAD_REJECTED,
    RMQ_STATS_COUNT + RMQ_TALLY_DEAD_EXPIRED,
    RMQ_STATS_COUNT + RMQ_TALLY_DEAD_MAXLEN,
    RMQ_STATS_COUNT + RMQ_TALLY_DEAD_DELIVERY_LIMIT};

static int64_t failed(const int64_t values[RMQ_TOTALS_COUNT]) {
  int64_t sum = rmq_known_sum(
      rmq_known_sum(values[RMQ_STAT_RETURNED], values[RMQ_STAT_DROPPED]),
      values[RMQ_STAT_REDELIVER]);
  for (size_t i = 0; i < RMQ_REPORT_DEAD_COUNT; i++)
    sum = rmq_known_sum(sum, values[dead_lettered[i]]);
  return sum;
}

static int64_t operated(const int64_t values[RMQ_STATS_COUNT]) {
  return rmq_known_sum(
      values[RMQ_STAT_PUBLISH],
      rmq_known_sum(rmq_known_delivered(values), rmq_known_gotten(values)));
}

/* What was added, or RMQ_ABSENT. */
static int64_t report_unconfirmed(struct rmq_indicators *x,
                                  const struct rmq_snapshot *now,
                                  const struct rmq_totals_growth *g,
                                  struct rmq_report_cluster *c) {
  const size_t received = rmq_totals_of_tally(RMQ_TALLY_RECEIVED_CONFIRM);
  int64_t added = rmq_unconfirmed_step(&x->unconfirmed, g->added[received],
                                       g->added[RMQ_STAT_CONFIRM],
                                       now->unconfirmed, now->taken);
  if (g->sums[received] >= 0 && !isnan(now->unconfirmed))
    c->unconfirmed = x->unconfirmed.sum;
  return added < 0 ? RMQ_ABSENT : added;
}

/* What was added, or RMQ_ABSENT. */
static int64_t report_own(struct rmq_meter *m, int64_t value,
                          struct rmq_mono now, int64_t *ret_sum) {
  int64_t added = rmq_meter_feed(m, value, RMQ_DECREASE_IS_RESET, now);
  if (value >= 0)
    *ret_sum = m->sum;
  return added;
}

/* What of it belongs into the last minute: all, unless it took longer. */
static uint64_t of_last_minute(const struct rmq_totals_growth *g, size_t i) {
  if (g->added[i] <= 0)
    return 0;
  double minute = g->rates[i] * 60;
  return minute < (double)g->added[i] ? (uint64_t)llround(minute)
                                      : (uint64_t)g->added[i];
}

/* What a whole window and more took is in all of it; else it is of now. */
static void add_refusals(struct rmq_window *w, uint64_t channels, uint64_t auth,
                         const struct turn *turn) {
  uint64_t parts = turn->elapsed > 60 ? RMQ_WINDOW_SLOTS : 1;
  for (uint64_t i = 0; i < parts; i++) {
    struct rmq_mono at = turn->taken;
    at.ns -= (int64_t)(parts - 1 - i) * w->slot_span.ns;
    rmq_window_add(w, channels / parts + (i < channels % parts ? 1 : 0),
                   auth / parts + (i < auth % parts ? 1 : 0), at);
  }
}

/* How many there were in the last minute, of what the source counts. */
static void report_refusals(struct rmq_indicators *x,
                            const struct rmq_totals_growth *g,
                            const struct turn *turn,
                            struct rmq_report_cluster *c) {
  const size_t auth = rmq_totals_of_tally(RMQ_TALLY_AUTH_FAILED);
  const size_t channels = rmq_totals_of_tally(RMQ_TALLY_CHANNEL_CLOSED);
  c->auth_failed = g->sums[auth];
  c->channel_closed = g->sums[channels];
  add_refusals(&x->refusals, of_last_minute(g, channels),
               of_last_minute(g, auth), turn);
  struct rmq_window_counts counts = rmq_window_sum(&x->refusals, turn->taken);
  if (c->auth_failed >= 0)
    c->auth_failed_minute = (double)counts.errors;
  if (c->channel_closed >= 0)
    c->channel_closed_minute = (double)counts.operations;
}

static void report_errors(struct rmq_indicators *x,
                          const struct rmq_snapshot *now,
                          const struct rmq_totals_growth *g,
                          const struct turn *turn,
                          struct rmq_report_cluster *c) {
  c->returned = g->sums[RMQ_STAT_RETURNED];
  c->dropped_unroutable = g->sums[RMQ_STAT_DROPPED];
  c->redelivered = g->sums[RMQ_STAT_REDELIVER];
  for (size_t i = 0; i < RMQ_REPORT_DEAD_COUNT; i++)
    c->dead_lettered[i] = g->sums[dead_lettered[i]];
  report_refusals(x, g, turn, c);
  int64_t unconfirmed = report_unconfirmed(x, now, g, c);
  int64_t nacks =
      report_own(&x->own_nacks, now->own.nacks, now->taken, &c->own_nacks);
  int64_t dropped = report_own(&x->own_dropped, now->own.dropped, now->taken,
                               &c->own_dropped);
  /* Of an outage, they are in the sums, and no part of the minute after it. */
  if (x->has_failed)
    nacks = dropped = RMQ_ABSENT;
  /* The broker's trace of nacks has ours in it. */
  int64_t errors =
      rmq_known_sum(failed(g->added), unconfirmed >= 0 ? unconfirmed : nacks);
  errors = rmq_known_sum(errors, dropped);
  int64_t operations = operated(g->added);
  if (errors >= 0 && operations >= 0)
    rmq_window_add(&x->errors, (uint64_t)operations, (uint64_t)errors,
                   now->taken);
  rmq_window_error_rate(&x->errors, now->taken, &c->error_rate);
}

/* How far the publish rate is below what is usual: means over a slot of the
 * baseline, the latest against those before. */
static double drop(struct rmq_indicators *x, double rate,
                   const struct rmq_snapshot *now) {
  double percent = (double)NAN;
  double recent = rmq_recent_add(
      &x->recent, rate, (struct rmq_dur){x->publish_rate.slot_ns}, now->taken);
  if (x->week != NULL) {
    percent = rmq_week_drop(x->week, recent, now->time);
    x->has_learned_hour = rmq_week_feed(x->week, rate, now->time);
    return percent;
  }
  percent = rmq_baseline_drop(&x->publish_rate, recent);
  rmq_baseline_feed(&x->publish_rate, rate, now->taken);
  return percent;
}

static void report_throughput(struct rmq_indicators *x,
                              const struct rmq_totals_growth *g,
                              const struct rmq_snapshot *now,
                              struct rmq_report_cluster *c) {
  c->publish = g->sums[RMQ_STAT_PUBLISH];
  c->confirm = g->sums[RMQ_STAT_CONFIRM];
  c->deliver = rmq_known_delivered(g->sums);
  c->ack = g->sums[RMQ_STAT_ACK];
  c->get = rmq_known_gotten(g->sums);
  c->publish_rate = g->rates[RMQ_STAT_PUBLISH];
  c->deliver_rate =
      plus(plus(g->rates[RMQ_STAT_DELIVER], g->rates[RMQ_STAT_DELIVER_NO_ACK]),
           plus(g->rates[RMQ_STAT_GET], g->rates[RMQ_STAT_GET_NO_ACK]));
  c->ack_rate = g->rates[RMQ_STAT_ACK];
  c->throughput_drop = drop(x, c->publish_rate, now);
}

static int report_cluster(struct rmq_indicators *x,
                          const struct rmq_snapshot *now,
                          const struct turn *turn,
                          struct rmq_report_cluster *c) {
  struct rmq_totals_growth g;
  rmq_report_cluster_clear(c);
  if (rmq_totals_step(&x->totals, now, turn->continuity, &g) != 0)
    return -1;
  report_connections(now, &g, c);
  report_members(now, c);
  report_lag(x, now, turn, c);
  report_throughput(x, &g, now, c);
  report_errors(x, now, &g, turn, c);
  c->scrape_failed = x->scrape_failed;
  return 0;
}

/* ---- nodes ---- */

static void report_node(const struct rmq_snapshot_node *n,
                        struct rmq_report_node *r) {
  rmq_report_node_clear(r);
  r->name = n->name;
  r->running = n->running;
  r->scraped = n->scraped;
  r->memory_alarm = n->memory_alarm;
  r->disk_alarm = n->disk_alarm;
  r->memory_used = n->memory_used;
  r->memory_limit = n->memory_limit;
  r->disk_free = n->disk_free;
  r->disk_limit = n->disk_limit;
  r->memory = share(n->memory_used, n->memory_limit);
  r->file_handles = share(n->fds_used, n->fds_total);
  r->processes = share(n->processes_used, n->processes_total);
  r->run_queue = n->run_queue;
  r->uptime = n->uptime;
  r->cpu = n->cpu;
  r->host_memory = n->host_memory;
  r->memory_rss = n->memory_rss;
}

static int report_nodes(struct rmq_indicators *x,
                        const struct rmq_snapshot *now) {
  struct rmq_report_node *nodes =
      realloc(x->nodes, (now->nodes_count + 1) * sizeof(*nodes));
  if (nodes == NULL)
    return -1;
  x->nodes = nodes;
  for (size_t i = 0; i < now->nodes_count; i++)
    report_node(&now->nodes[i], &nodes[i]);
  return 0;
}

/* ---- queues and virtual hosts ---- */

static int report_queues(struct rmq_indicators *x,
                         const struct rmq_snapshot *now,
                         const struct turn *turn) {
  const struct rmq_queue_turn of_queues = {.continuity = turn->continuity,
                                           .taken = turn->taken,
                                           .elapsed = turn->elapsed,
                                           .now = turn->now,
                                           .are_counts_known =
                                               turn->are_counts_known,
                                           .decrease = turn->decrease};
  return rmq_queue_sums_step(&x->queues, now, &of_queues);
}

static int report_vhosts(struct rmq_indicators *x,
                         const struct rmq_snapshot *now,
                         const struct turn *turn) {
  /* Of another level other counters are known, as sums of what nodes tell. */
  bool is_same = !now->is_per_node || now->detail == x->detail ||
                 turn->continuity == RMQ_UNSURE;
  const struct rmq_vhost_turn of_vhosts = {
      .continuity = is_same ? turn->continuity : RMQ_CHANGED,
      .taken = turn->taken,
      .elapsed = turn->elapsed,
      .are_counts_known = turn->are_counts_known};
  return rmq_vhost_sums_step(&x->vhosts, now, &of_vhosts);
}

/* ---- turns ---- */

int rmq_indicators_step(struct rmq_indicators *x, struct rmq_snapshot *now,
                        struct rmq_indicators_result *ret_result) {
  struct rmq_indicators_result result = {.nodes_count = now->nodes_count};
  struct turn turn = {.taken = now->taken,
                      .elapsed = (double)NAN,
                      .now = rmq_wall_seconds(now->time)};
  if (x->has_before)
    turn.elapsed = rmq_dur_seconds(rmq_mono_since(now->taken, x->taken));
  rmq_snapshot_sort(now);
  turn.continuity = rmq_members_step(&x->members, now);
  if (x->has_before && x->is_per_node != now->is_per_node)
    turn.continuity = RMQ_CHANGED; /* another source, other counters */
  turn.are_counts_known = turn.continuity != RMQ_UNSURE && now->silent == 0 &&
                          now->silent_of_queues == 0;
  turn.decrease = now->is_per_node && now->nodes_count > 1
                      ? RMQ_DECREASE_IS_LOSS
                      : RMQ_DECREASE_IS_RESET;
  if (report_nodes(x, now) != 0 || report_vhosts(x, now, &turn) != 0 ||
      report_queues(x, now, &turn) != 0 ||
      report_cluster(x, now, &turn, &result.cluster) != 0)
    return -1;
  result.nodes = x->nodes;
  result.vhosts = x->vhosts.reports;
  result.vhosts_count = x->vhosts.reports_count;
  result.queues = x->queues.reports;
  result.queues_count = x->queues.reports_count;
  x->has_before = true;
  x->has_failed = false;
  x->is_per_node = now->is_per_node;
  x->detail = now->detail;
  x->taken = now->taken;
  *ret_result = result;
  return 0;
}

void rmq_indicators_fail(struct rmq_indicators *x,
                         struct rmq_indicators_result *ret_result) {
  struct rmq_indicators_result result = {.nodes_count = 0};
  rmq_report_cluster_clear(&result.cluster);
  result.cluster.reachable = 0;
  x->has_failed = true;
  result.cluster.scrape_failed = ++x->scrape_failed;
  *ret_result = result;
}
