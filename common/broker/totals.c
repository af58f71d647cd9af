/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/totals.h"

#include "common/broker/members.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct rmq_totals_node {
  char *name;    /* owned */
  double uptime; /* when it was read last */
  struct rmq_mono at;
  uint64_t poll; /* in which it was read last */
  struct rmq_meter meters[RMQ_TOTALS_COUNT];
};

static void init_meters(struct rmq_meter meters[RMQ_TOTALS_COUNT]) {
  for (size_t i = 0; i < RMQ_TOTALS_COUNT; i++)
    rmq_meter_init(&meters[i]);
}

void rmq_totals_init(struct rmq_totals *t) {
  *t = (struct rmq_totals){.nodes = NULL};
  init_meters(t->meters);
}

static void free_nodes(struct rmq_totals *t) {
  for (size_t i = 0; i < t->nodes_count; i++)
    free(t->nodes[i].name);
  free(t->nodes);
  t->nodes = NULL;
  t->nodes_count = 0;
}

void rmq_totals_fini(struct rmq_totals *t) {
  free_nodes(t);
  rmq_totals_init(t);
}

static void init_growth(struct rmq_totals_growth *g) {
  for (size_t i = 0; i < RMQ_TOTALS_COUNT; i++) {
    g->added[i] = RMQ_ABSENT;
    g->sums[i] = RMQ_ABSENT;
    g->rates[i] = (double)NAN;
  }
}

static int64_t get(const int64_t stats[RMQ_STATS_COUNT],
                   const int64_t tallies[RMQ_TALLIES_COUNT], size_t i) {
  return i < RMQ_STATS_COUNT ? stats[i] : tallies[i - RMQ_STATS_COUNT];
}

static int64_t plus(int64_t a, int64_t b) {
  return a > INT64_MAX - b ? INT64_MAX : a + b;
}

/* ---- one number for the cluster ---- */

/* The management API tells a counter of messages from the first one on. What
 * began anew at 0 and is not told is 0 until then. */
static int64_t get_of_cluster(const struct rmq_snapshot *now, size_t i,
                              const struct rmq_meter *m) {
  int64_t value = get(now->stats, now->tallies, i);
  bool is_none_yet = value < 0 && i < RMQ_STATS_COUNT && m->last == 0 &&
                     !now->is_without_statistics;
  return is_none_yet ? 0 : value;
}

static void step_cluster(struct rmq_totals *t, const struct rmq_snapshot *now,
                         enum rmq_continuity c, struct rmq_totals_growth *g) {
  for (size_t i = 0; i < RMQ_TOTALS_COUNT; i++) {
    struct rmq_meter *m = &t->meters[i];
    rmq_meter_continue(m, c);
    int64_t value = c == RMQ_UNSURE ? RMQ_ABSENT : get_of_cluster(now, i, m);
    g->added[i] = rmq_meter_feed(m, value, RMQ_DECREASE_IS_LOSS, now->taken);
    if (g->added[i] >= 0) {
      t->sums[i] = plus(t->sums[i], g->added[i]);
      if (m->elapsed > 0)
        g->rates[i] = (double)g->added[i] / m->elapsed;
    }
    g->sums[i] = value < 0 ? RMQ_ABSENT : t->sums[i];
  }
}

/* ---- one number per node ---- */

static struct rmq_totals_node *find(struct rmq_totals *t, const char *name) {
  for (size_t i = 0; i < t->nodes_count; i++)
    if (strcmp(t->nodes[i].name, name) == 0)
      return &t->nodes[i];
  return NULL;
}

/* Nodes that are there no more must not pile up: the first of those that the
 * last poll was without makes room. NULL: none has to go, or none can. */
static struct rmq_totals_node *find_gone(struct rmq_totals *t) {
  if (t->nodes_count < RMQ_SNAPSHOT_NODES_MAX)
    return NULL;
  for (size_t i = 0; i < t->nodes_count; i++)
    if (t->nodes[i].poll + 1 < t->poll)
      return &t->nodes[i];
  return NULL;
}

static struct rmq_totals_node *add(struct rmq_totals *t, const char *name) {
  struct rmq_totals_node *n = find_gone(t);
  char *copy = strdup(name);
  if (copy == NULL)
    return NULL;
  if (n != NULL) {
    free(n->name);
  } else {
    struct rmq_totals_node *nodes =
        realloc(t->nodes, (t->nodes_count + 1) * sizeof(*nodes));
    if (nodes == NULL) {
      free(copy);
      return NULL;
    }
    t->nodes = nodes;
    n = &nodes[t->nodes_count++];
  }
  *n = (struct rmq_totals_node){.name = copy, .uptime = (double)NAN};
  init_meters(n->meters);
  return n;
}

static enum rmq_continuity judge(const struct rmq_totals *t,
                                 const struct rmq_totals_node *n,
                                 const struct rmq_snapshot_node *now,
                                 struct rmq_mono taken) {
  if (n->poll < t->complete)
    return RMQ_CHANGED; /* the cluster was reported without it */
  double elapsed = rmq_dur_seconds(rmq_mono_since(taken, n->at));
  return rmq_members_has_restarted(n->uptime, now->uptime, elapsed)
             ? RMQ_RESTARTED
             : RMQ_SAME;
}

/* Whether a node tells it from its start on, unless its version has none; the
 * others are told from the first one on that was counted. */
static bool is_always_told(size_t i) {
  return i < RMQ_STATS_COUNT ||
         i >= rmq_totals_of_tally(RMQ_TALLY_RECEIVED_CONFIRM);
}

/* What is not known of one node is not known of the cluster; what the others
 * add is in the sums when it is. */
static void forget_lacking(const bool is_lacking[],
                           struct rmq_totals_growth *g) {
  for (size_t i = 0; i < RMQ_TOTALS_COUNT; i++) {
    if (!is_lacking[i])
      continue;
    g->added[i] = g->sums[i] = RMQ_ABSENT;
    g->rates[i] = (double)NAN;
  }
}

/* A node's part of one counter of the cluster's growth. */
static void grow(struct rmq_totals *t, struct rmq_meter *m, int64_t value,
                 struct rmq_mono taken, size_t i, bool is_first[],
                 struct rmq_totals_growth *g) {
  if (value < 0)
    return;
  int64_t added = rmq_meter_feed(m, value, RMQ_DECREASE_IS_RESET, taken);
  if (added >= 0)
    t->sums[i] = plus(t->sums[i], added);
  g->sums[i] = t->sums[i];
  if (added < 0 || (g->added[i] < 0 && !is_first[i])) {
    g->added[i] = RMQ_ABSENT;
    g->rates[i] = (double)NAN;
  } else {
    double rate = m->elapsed > 0 ? (double)added / m->elapsed : (double)NAN;
    g->added[i] = is_first[i] ? added : plus(g->added[i], added);
    g->rates[i] = is_first[i] ? rate : g->rates[i] + rate;
  }
  is_first[i] = false;
}

static int step_node(struct rmq_totals *t, const struct rmq_snapshot *now,
                     const struct rmq_snapshot_node *node, bool is_first[],
                     bool is_lacking[], struct rmq_totals_growth *g) {
  struct rmq_totals_node *n = find(t, node->name);
  if (n == NULL && (n = add(t, node->name)) == NULL)
    return -1;
  enum rmq_continuity c = judge(t, n, node, now->taken);
  for (size_t i = 0; i < RMQ_TOTALS_COUNT; i++) {
    int64_t value = get(node->stats, node->tallies, i);
    rmq_meter_continue(&n->meters[i], c);
    is_lacking[i] |= value < 0 && is_always_told(i);
    grow(t, &n->meters[i], value, now->taken, i, is_first, g);
  }
  n->uptime = node->uptime;
  n->at = now->taken;
  n->poll = t->poll;
  return 0;
}

/* A node whose uptime is not there yet has only just started. */
static bool tells(const struct rmq_snapshot_node *n) {
  return n->has_counters && !isnan(n->uptime);
}

static int step_nodes(struct rmq_totals *t, const struct rmq_snapshot *now,
                      struct rmq_totals_growth *g) {
  bool is_first[RMQ_TOTALS_COUNT], is_lacking[RMQ_TOTALS_COUNT] = {false};
  size_t silent = now->silent;
  for (size_t i = 0; i < RMQ_TOTALS_COUNT; i++)
    is_first[i] = true;
  for (size_t i = 0; i < now->nodes_count; i++) {
    const struct rmq_snapshot_node *n = &now->nodes[i];
    if (tells(n) && step_node(t, now, n, is_first, is_lacking, g) != 0)
      return -1;
    if (n->has_counters && !tells(n))
      silent++;
  }
  forget_lacking(is_lacking, g);
  if (silent > 0)
    init_growth(g);
  else
    t->complete = t->poll;
  return 0;
}

int rmq_totals_step(struct rmq_totals *t, const struct rmq_snapshot *now,
                    enum rmq_continuity continuity,
                    struct rmq_totals_growth *ret_growth) {
  struct rmq_totals_growth g;
  init_growth(&g);
  t->poll++;
  if (t->is_per_node != now->is_per_node) { /* other counters */
    free_nodes(t);
    init_meters(t->meters);
    t->is_per_node = now->is_per_node;
  }
  if (!now->is_per_node)
    step_cluster(t, now, continuity, &g);
  else if (step_nodes(t, now, &g) != 0)
    return -1;
  *ret_growth = g;
  return 0;
}
