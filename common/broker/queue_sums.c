/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/queue_sums.h"

#include "common/broker/known.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What is remembered of one queue. */
struct rmq_queue_track {
  char *vhost; /* owned, with the name behind it */
  const char *name;
  struct rmq_meter *meters; /* owned; NULL until the queue has a counter */
  double depth;
  int missed;
  bool is_held;               /* it went missing while a node was away */
  bool is_stream;             /* as was said when it was said last */
  enum rmq_counting counting; /* of its counters, when it was there last */
};

static void fini_track(struct rmq_queue_track *t) {
  free(t->vhost);
  free(t->meters);
}

void rmq_queue_sums_init(struct rmq_queue_sums *x) {
  *x = (struct rmq_queue_sums){.tracks = NULL};
}

void rmq_queue_sums_fini(struct rmq_queue_sums *x) {
  for (size_t i = 0; i < x->tracks_count; i++)
    fini_track(&x->tracks[i]);
  free(x->tracks);
  free(x->reports);
  rmq_queue_sums_init(x);
}

/* ---- counters ---- */

static bool has_counter(const int64_t stats[RMQ_STATS_COUNT]) {
  for (size_t i = 0; i < RMQ_STATS_COUNT; i++)
    if (stats[i] >= 0)
      return true;
  return false;
}

/* NULL without memory, or while there is nothing to count. */
static struct rmq_meter *need_meters(struct rmq_queue_track *t,
                                     const int64_t stats[RMQ_STATS_COUNT]) {
  if (t->meters != NULL || !has_counter(stats))
    return t->meters;
  t->meters = calloc(RMQ_STATS_COUNT, sizeof(*t->meters));
  for (size_t i = 0; t->meters != NULL && i < RMQ_STATS_COUNT; i++)
    rmq_meter_init(&t->meters[i]);
  return t->meters;
}

/* Counters that were not asked for meanwhile, or that another one tells, begin
 * anew. */
static enum rmq_continuity continuity_of(const struct rmq_queue_track *t,
                                         const struct rmq_snapshot_queue *q,
                                         const struct rmq_queue_turn *turn) {
  bool is_same = t->counting == q->counting;
  return is_same || turn->continuity == RMQ_UNSURE ? turn->continuity
                                                   : RMQ_CHANGED;
}

/* The sums of a queue's counters; RMQ_ABSENT = not known now. */
static void count_queue(struct rmq_queue_track *t,
                        const struct rmq_snapshot_queue *q,
                        const struct rmq_queue_turn *turn,
                        int64_t ret_sums[RMQ_STATS_COUNT]) {
  const int64_t *stats = q->stats;
  struct rmq_meter *meters = need_meters(t, stats);
  enum rmq_continuity continuity = continuity_of(t, q, turn);
  for (size_t i = 0; i < RMQ_STATS_COUNT; i++) {
    int64_t value =
        meters == NULL || !turn->are_counts_known ? RMQ_ABSENT : stats[i];
    ret_sums[i] = RMQ_ABSENT;
    if (meters == NULL)
      continue;
    rmq_meter_continue(&meters[i], continuity);
    rmq_meter_feed(&meters[i], value, turn->decrease, turn->taken);
    if (value >= 0)
      ret_sums[i] = meters[i].sum;
  }
}

/* ---- one queue ---- */

/* Two sorted lists being merged: the tracks so far and the queues of now. */
struct merge {
  struct rmq_queue_track *tracks; /* the new list */
  size_t tracks_count;
  struct rmq_report_queue *reports;
  size_t reports_count;
  /* Of the poll. */
  bool lacks_node, is_brief;
  int patience;
  /* At lower levels not all brokers say which queues are streams. */
  bool are_kinds_known;
  bool are_stream_consumers_known;
  size_t held_count;
};

static void report(const struct merge *m, const struct rmq_snapshot_queue *q,
                   struct rmq_queue_track *t, const struct rmq_queue_turn *turn,
                   struct rmq_report_queue *r) {
  int64_t sums[RMQ_STATS_COUNT];
  count_queue(t, q, turn, sums);
  t->is_stream = q->is_stream || (t->is_stream && !m->are_kinds_known);
  double ready = t->is_stream ? (double)NAN : q->ready;
  double depth = ready + q->unacked;
  rmq_report_queue_clear(r);
  r->vhost = q->vhost;
  r->name = q->name;
  r->ready = ready;
  r->unacked = t->is_stream ? (double)NAN : q->unacked;
  r->consumers = q->consumers;
  if (t->missed == 0)
    r->growth =
        rmq_known_growth(turn->continuity, turn->elapsed, depth, t->depth);
  r->drain = rmq_known_drain(ready, r->growth);
  r->head_age = rmq_known_age(turn->now, q->head_timestamp);
  r->stream_offset_lag = q->stream_lag;
  r->has_no_stream_consumer =
      m->are_stream_consumers_known && !q->has_stream_consumer;
  r->publish = sums[RMQ_STAT_PUBLISH];
  r->deliver = rmq_known_sum(rmq_known_delivered(sums), rmq_known_gotten(sums));
  r->ack = sums[RMQ_STAT_ACK];
  r->redeliver = sums[RMQ_STAT_REDELIVER];
  if (q->consumers > 0)
    r->consumer_capacity = 100 * q->consumer_capacity;
  r->memory = q->memory;
  t->depth = depth;
  t->missed = 0;
  t->is_held = false;
  if (turn->continuity != RMQ_UNSURE)
    t->counting = q->counting;
}

/* ---- all of them ---- */

static int compare(const struct rmq_queue_track *t,
                   const struct rmq_snapshot_queue *q) {
  int order = strcmp(t->vhost, q->vhost);
  return order != 0 ? order : strcmp(t->name, q->name);
}

static int new_track(const struct rmq_snapshot_queue *q,
                     struct rmq_queue_track *ret) {
  size_t vhost_size = strlen(q->vhost) + 1, name_size = strlen(q->name) + 1;
  char *names = malloc(vhost_size + name_size);
  if (names == NULL)
    return -1;
  memcpy(names, q->vhost, vhost_size);
  memcpy(names + vhost_size, q->name, name_size);
  *ret = (struct rmq_queue_track){
      .vhost = names, .name = names + vhost_size, .depth = (double)NAN};
  return 0;
}

/* As long as its node is away, and a moment more until that has its queues; or
 * as long as not all queues are asked for. */
static bool hold(struct merge *m, struct rmq_queue_track *t) {
  if (m->is_brief)
    t->counting = RMQ_COUNTED_NOT;
  if (!(m->lacks_node || m->is_brief) || m->held_count >= RMQ_SNAPSHOT_HELD_MAX)
    return false;
  m->held_count++;
  t->is_held = true;
  t->missed = 1;
  return true;
}

/* A track whose queue was not listed: kept for a while when that may be the
 * list's fault. What became of the counters meanwhile holds for its ones, too.
 */
static void miss(struct merge *m, struct rmq_queue_track *t,
                 const struct rmq_queue_turn *turn) {
  for (size_t i = 0; t->meters != NULL && i < RMQ_STATS_COUNT; i++)
    rmq_meter_continue(&t->meters[i], turn->continuity);
  int patience = t->is_held ? RMQ_SNAPSHOT_PATIENCE : m->patience;
  if (!hold(m, t) && ++t->missed > patience)
    fini_track(t);
  else
    m->tracks[m->tracks_count++] = *t;
}

static void merge(struct merge *m, struct rmq_queue_sums *x,
                  const struct rmq_snapshot *now,
                  const struct rmq_queue_turn *turn) {
  size_t old = 0;
  for (size_t i = 0; i < now->queues_count; i++) {
    const struct rmq_snapshot_queue *q = &now->queues[i];
    while (old < x->tracks_count && compare(&x->tracks[old], q) < 0)
      miss(m, &x->tracks[old++], turn);
    struct rmq_queue_track *t = &m->tracks[m->tracks_count];
    if (old < x->tracks_count && compare(&x->tracks[old], q) == 0)
      *t = x->tracks[old++];
    else if (new_track(q, t) != 0)
      continue; /* without memory: the queue is not reported */
    m->tracks_count++;
    report(m, q, t, turn, &m->reports[m->reports_count++]);
  }
  while (old < x->tracks_count)
    miss(m, &x->tracks[old++], turn);
}

int rmq_queue_sums_step(struct rmq_queue_sums *x,
                        const struct rmq_snapshot *now,
                        const struct rmq_queue_turn *turn) {
  size_t most = now->queues_count + x->tracks_count + 1;
  struct merge m = {
      .tracks = malloc(most * sizeof(*m.tracks)),
      .reports = malloc((now->queues_count + 1) * sizeof(*m.reports)),
      .lacks_node = rmq_snapshot_lacks_node(now),
      .is_brief = rmq_snapshot_is_brief(now),
      .patience = rmq_snapshot_patience(now),
      .are_kinds_known = now->detail == RMQ_DETAIL_ALL,
      .are_stream_consumers_known = now->are_stream_consumers_known};
  x->reports_count = 0;
  if (m.tracks == NULL || m.reports == NULL) {
    free(m.tracks);
    free(m.reports);
    return -1;
  }
  merge(&m, x, now, turn);
  free(x->tracks);
  free(x->reports);
  x->tracks = m.tracks;
  x->tracks_count = m.tracks_count;
  x->reports = m.reports;
  x->reports_count = m.reports_count;
  return 0;
}
