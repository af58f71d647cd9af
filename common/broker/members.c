/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/members.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* How old the numbers of a node may be: twice RabbitMQ's default interval. */
static const double MEMBERS_STALE_S = 10;

void rmq_members_init(struct rmq_members *m) {
  *m = (struct rmq_members){.items = NULL};
}

void rmq_members_fini(struct rmq_members *m) {
  for (size_t i = 0; i < m->count; i++)
    free(m->items[i].name);
  free(m->items);
  rmq_members_init(m);
}

static const struct rmq_member *find(const struct rmq_members *m,
                                     const char *name) {
  for (size_t i = 0; i < m->count; i++)
    if (strcmp(m->items[i].name, name) == 0)
      return &m->items[i];
  return NULL;
}

/* Whether its counters are in the cluster's sums. One that answers and that the
 * list has as down (cut off from the others, or back before they know) tells
 * its own ones, and they are summed. */
static bool is_member(const struct rmq_snapshot_node *n) {
  return n->running > 0 || n->has_counters; /* running may be NaN */
}

/* A node that runs on says an uptime that is larger by the time that has
 * passed, but up to a statistics interval old, and never a smaller one. A
 * restart soon after a start shows in that the node is younger than the last
 * poll. Taking a restart for none costs some counts, taking none for a restart
 * counts twice. */
bool rmq_members_has_restarted(double before, double now, double elapsed) {
  return now < before ||
         (now <= elapsed && before + elapsed - now > MEMBERS_STALE_S);
}

/* What the list says; restarted nodes count as lost and as fresh. */
struct difference {
  size_t stayed, fresh, returned;
  size_t silent; /* running, and their uptime is not known yet */
};

static struct difference compare(const struct rmq_members *m,
                                 const struct rmq_snapshot *now) {
  struct difference d = {0, 0, 0, 0};
  double elapsed = rmq_dur_seconds(rmq_mono_since(now->taken, m->taken));
  for (size_t i = 0; i < now->nodes_count; i++) {
    const struct rmq_snapshot_node *n = &now->nodes[i];
    const struct rmq_member *before = find(m, n->name);
    if (!is_member(n))
      continue;
    if (isnan(n->uptime) && (before == NULL || !isnan(before->uptime)))
      d.silent++;
    else if (before != NULL &&
             !rmq_members_has_restarted(before->uptime, n->uptime, elapsed))
      d.stayed++;
    else if (before != NULL || n->uptime <= elapsed)
      d.fresh++; /* its counters began at 0 since the last poll */
    else
      d.returned++; /* with counters from before */
  }
  return d;
}

static bool is_unsure_for_long(const struct rmq_members *m,
                               const struct rmq_snapshot *now) {
  return m->is_unsure && rmq_mono_since(now->taken, m->unsure_at).ns >=
                             RMQ_MEMBERS_UNSURE_S * RMQ_NS_PER_S;
}

static enum rmq_continuity judge(const struct rmq_members *m,
                                 const struct rmq_snapshot *now) {
  if (!m->has_before || (!m->is_known && !now->has_nodes))
    return RMQ_SAME;
  if (!m->is_known)
    return RMQ_CHANGED;
  struct difference d = compare(m, now);
  if (!now->has_nodes || d.silent > 0)
    return is_unsure_for_long(m, now) ? RMQ_CHANGED : RMQ_UNSURE;
  if (d.fresh > 0 && d.stayed == 0 && d.returned == 0)
    return RMQ_RESTARTED;
  bool is_lost = d.stayed < m->count;
  return is_lost || d.returned > 0 ? RMQ_CHANGED : RMQ_SAME;
}

static int add(struct rmq_members *m, const struct rmq_snapshot_node *n) {
  char *name = strdup(n->name);
  if (name == NULL)
    return -1;
  m->items[m->count++] = (struct rmq_member){.name = name, .uptime = n->uptime};
  return 0;
}

static void remember(struct rmq_members *m, const struct rmq_snapshot *now) {
  bool was_changed = m->was_changed;
  rmq_members_fini(m);
  m->was_changed = was_changed;
  m->has_before = true;
  m->taken = now->taken;
  m->items = calloc(now->nodes_count + 1, sizeof(*m->items));
  if (m->items == NULL || !now->has_nodes)
    return;
  for (size_t i = 0; i < now->nodes_count; i++)
    if (is_member(&now->nodes[i]) && add(m, &now->nodes[i]) != 0)
      return;
  m->is_known = true;
}

enum rmq_continuity rmq_members_step(struct rmq_members *m,
                                     const struct rmq_snapshot *now) {
  enum rmq_continuity c = judge(m, now);
  if (c == RMQ_UNSURE) { /* the next poll is compared with the one before */
    if (!m->is_unsure)
      m->unsure_at = now->taken;
    m->is_unsure = true;
    return c;
  }
  bool is_changed = c == RMQ_CHANGED;
  if (c == RMQ_SAME && m->was_changed)
    c = RMQ_CHANGED;
  m->was_changed = is_changed;
  remember(m, now);
  return c;
}
