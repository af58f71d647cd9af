/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/vhost_sums.h"

#include "common/broker/known.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SUMS_MISSED_MAX = 10 };

struct rmq_vhost_track {
  char *name; /* owned */
  struct rmq_meter meters[RMQ_STATS_COUNT];
  double depth; /* ready + unacked */
  int missed;   /* polls in a row */
};

void rmq_vhost_sums_init(struct rmq_vhost_sums *x) {
  *x = (struct rmq_vhost_sums){.tracks = NULL};
}

void rmq_vhost_sums_fini(struct rmq_vhost_sums *x) {
  for (size_t i = 0; i < x->tracks_count; i++)
    free(x->tracks[i].name);
  free(x->tracks);
  free(x->reports);
  rmq_vhost_sums_init(x);
}

static int new_track(const char *name, struct rmq_vhost_track *ret) {
  char *copy = strdup(name);
  if (copy == NULL)
    return -1;
  *ret = (struct rmq_vhost_track){.name = copy, .depth = (double)NAN};
  for (size_t i = 0; i < RMQ_STATS_COUNT; i++)
    rmq_meter_init(&ret->meters[i]);
  return 0;
}

/* The sums; RMQ_ABSENT = not known now. */
static void count(struct rmq_vhost_track *t, const struct rmq_snapshot_vhost *v,
                  const struct rmq_vhost_turn *turn,
                  int64_t ret_sums[RMQ_STATS_COUNT]) {
  for (size_t i = 0; i < RMQ_STATS_COUNT; i++) {
    int64_t value = turn->are_counts_known ? v->stats[i] : RMQ_ABSENT;
    rmq_meter_continue(&t->meters[i], turn->continuity);
    rmq_meter_feed(&t->meters[i], value, RMQ_DECREASE_IS_LOSS, turn->taken);
    ret_sums[i] = value < 0 ? RMQ_ABSENT : t->meters[i].sum;
  }
}

static void report(struct rmq_vhost_track *t,
                   const struct rmq_snapshot_vhost *v,
                   const struct rmq_vhost_turn *turn,
                   struct rmq_report_vhost *r) {
  int64_t sums[RMQ_STATS_COUNT];
  double depth = v->ready + v->unacked;
  count(t, v, turn, sums);
  rmq_report_vhost_clear(r);
  r->name = v->name;
  r->ready = v->ready;
  r->unacked = v->unacked;
  if (t->missed == 0)
    r->growth =
        rmq_known_growth(turn->continuity, turn->elapsed, depth, t->depth);
  r->drain = rmq_known_drain(r->ready, r->growth);
  r->returned = sums[RMQ_STAT_RETURNED];
  r->dropped_unroutable = sums[RMQ_STAT_DROPPED];
  r->redelivered = sums[RMQ_STAT_REDELIVER];
  r->publish = sums[RMQ_STAT_PUBLISH];
  r->confirm = sums[RMQ_STAT_CONFIRM];
  r->deliver = rmq_known_delivered(sums);
  r->ack = sums[RMQ_STAT_ACK];
  r->get = rmq_known_gotten(sums);
  t->depth = depth;
  t->missed = 0;
}

/* Two sorted lists being merged: the tracks so far and the vhosts of now. */
struct merge {
  struct rmq_vhost_track *tracks; /* the new list */
  size_t tracks_count;
  struct rmq_report_vhost *reports;
  size_t reports_count;
};

/* What became of the counters meanwhile holds for its ones, too. */
static void miss(struct merge *m, struct rmq_vhost_track *t,
                 const struct rmq_vhost_turn *turn) {
  for (size_t i = 0; i < RMQ_STATS_COUNT; i++)
    rmq_meter_continue(&t->meters[i], turn->continuity);
  if (++t->missed > SUMS_MISSED_MAX)
    free(t->name);
  else
    m->tracks[m->tracks_count++] = *t;
}

static void merge(struct merge *m, struct rmq_vhost_sums *x,
                  const struct rmq_snapshot *s,
                  const struct rmq_vhost_turn *turn) {
  size_t old = 0;
  for (size_t i = 0; i < s->vhosts_count; i++) {
    const struct rmq_snapshot_vhost *v = &s->vhosts[i];
    while (old < x->tracks_count && strcmp(x->tracks[old].name, v->name) < 0)
      miss(m, &x->tracks[old++], turn);
    struct rmq_vhost_track *t = &m->tracks[m->tracks_count];
    if (old < x->tracks_count && strcmp(x->tracks[old].name, v->name) == 0)
      *t = x->tracks[old++];
    else if (new_track(v->name, t) != 0)
      continue; /* without memory: it is not reported */
    m->tracks_count++;
    report(t, v, turn, &m->reports[m->reports_count++]);
  }
  while (old < x->tracks_count)
    miss(m, &x->tracks[old++], turn);
}

int rmq_vhost_sums_step(struct rmq_vhost_sums *x, const struct rmq_snapshot *s,
                        const struct rmq_vhost_turn *turn) {
  size_t most = s->vhosts_count + x->tracks_count + 1;
  struct merge m = {.tracks = malloc(most * sizeof(*m.tracks)),
                    .reports =
                        malloc((s->vhosts_count + 1) * sizeof(*m.reports))};
  x->reports_count = 0;
  if (m.tracks == NULL || m.reports == NULL) {
    free(m.tracks);
    free(m.reports);
    return -1;
  }
  merge(&m, x, s, turn);
  free(x->tracks);
  free(x->reports);
  x->tracks = m.tracks;
  x->tracks_count = m.tracks_count;
  x->reports = m.reports;
  x->reports_count = m.reports_count;
  return 0;
}
