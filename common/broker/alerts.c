/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/alerts_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct rmq_alerts_range of_cluster = {0, RMQ_ALERT_OF_CLUSTER};
static const struct rmq_alerts_range of_node = {RMQ_ALERT_OF_CLUSTER,
                                                RMQ_ALERT_OF_NODE};
static const struct rmq_alerts_range of_queue = {
    RMQ_ALERT_OF_CLUSTER + RMQ_ALERT_OF_NODE, RMQ_ALERT_OF_QUEUE};

/* ---- judging ---- */

/* Whether something else that is reported explains the quantity. */
static bool is_silenced(const struct rmq_alerts_turn *t,
                        const struct rmq_alert_quantity *q) {
  if (!t->in->is_answered)
    return !q->needs_no_answer;
  /* Clients of a node that went or came need time to settle. */
  if (t->has_nodes_changed &&
      (q->scope == RMQ_SERIES_QUEUE || q->kind == RMQ_ALERT_ERRORS))
    return true;
  /* The probe is a publisher, too: an alarm blocks it. */
  if (q->kind == RMQ_ALERT_QUORUM)
    return t->has_node_down && q->follows_from_nodes;
  if (q->kind == RMQ_ALERT_CONNECTION)
    return t->has_alarm && q->follows_from_alarm;
  return q->kind == RMQ_ALERT_RATE_DROP &&
         (t->has_node_down || t->has_alarm || t->has_partition);
}

/* A node that is away is said once: that it does not run, or that it is silent,
 * whichever is known first. */
static bool is_said_otherwise(const struct rmq_alerts_watch *w,
                              struct rmq_alerts_range range, size_t i) {
  const struct rmq_alert_quantity *q = &rmq_alert_quantities[range.first];
  if (q[i].kind != RMQ_ALERT_CONNECTION || q[i].scope != RMQ_SERIES_NODE ||
      w->alerts[i].announced != RMQ_OKAY)
    return false;
  for (size_t k = 0; k < range.count; k++)
    if (q[k].kind == q[i].kind && w->alerts[k].announced != RMQ_OKAY)
      return true;
  return false;
}

/* report NULL = nothing is known of the object. */
static void judge(const struct rmq_alerts_turn *t, struct rmq_alerts_watch *w,
                  struct rmq_alerts_range range, const void *report) {
  for (size_t i = 0; i < range.count; i++) {
    struct rmq_alerts_concern *alert = &w->alerts[i];
    const struct rmq_alert_quantity *q = &rmq_alert_quantities[range.first + i];
    if (alert->rule == 0)
      continue;
    if (is_silenced(t, q) || is_said_otherwise(w, range, i)) {
      rmq_alert_state_suspend(&alert->state);
    } else if (report != NULL) {
      const struct rmq_alert_limits limits =
          rmq_alert_rule_limits(rmq_alerts_rule_of(t, alert), q);
      double value = q->get(report);
      rmq_alert_state_step(&alert->state, &limits, value, t->in->now);
      rmq_alerts_say(t, w, alert, range.first + i, value);
    }
    if (alert->is_grouped)
      rmq_alerts_count_grouped(t, alert, range.first + i);
  }
}

/* The object is gone: ends what was raised. False when an end has to wait for
 * the next poll. */
static bool end_watch(const struct rmq_alerts_turn *t,
                      struct rmq_alerts_watch *w,
                      struct rmq_alerts_range range) {
  bool is_over = true;
  for (size_t i = 0; i < range.count; i++) {
    struct rmq_alerts_concern *alert = &w->alerts[i];
    size_t quantity = range.first + i;
    alert->state = (struct rmq_alert_state){.is_known = false};
    if (alert->announced == RMQ_OKAY || alert->is_grouped)
      continue;
    if (t->a->tallies[quantity].said_count < RMQ_ALERTS_EACH)
      rmq_alerts_announce(t, w, alert, quantity, (double)NAN, RMQ_OKAY, true);
    else
      is_over = false;
  }
  return is_over;
}

/* ---- cluster and nodes ---- */

static const struct rmq_report_node *
find_report(const struct rmq_indicators_result *r, const char *name) {
  for (size_t i = 0; i < r->nodes_count; i++)
    if (strcmp(r->nodes[i].name, name) == 0)
      return &r->nodes[i];
  return NULL;
}

static bool is_watched(const struct rmq_alerts *a, const char *node) {
  for (size_t i = 0; i < a->nodes_count; i++)
    if (strcmp(a->nodes[i]->node, node) == 0)
      return true;
  return false;
}

static void watch_new_nodes(struct rmq_alerts *a,
                            const struct rmq_indicators_result *r) {
  struct rmq_alerts_watch **nodes =
      realloc(a->nodes, (a->nodes_count + r->nodes_count + 1) *
                            sizeof(struct rmq_alerts_watch *));
  if (nodes == NULL)
    return;
  a->nodes = nodes;
  for (size_t i = 0; i < r->nodes_count; i++) {
    if (is_watched(a, r->nodes[i].name))
      continue;
    struct rmq_alerts_watch *w =
        rmq_alerts_watch_new(a, of_node, r->nodes[i].name, NULL, NULL);
    if (w != NULL)
      a->nodes[a->nodes_count++] = w;
  }
}

/* Of an object of this poll. */
static void find_causes_of(struct rmq_alerts_turn *t,
                           const struct rmq_alerts_watch *w,
                           struct rmq_alerts_range range, const void *report) {
  for (size_t i = 0; i < range.count; i++) {
    const struct rmq_alert_quantity *q = &rmq_alert_quantities[range.first + i];
    if (w->alerts[i].rule == 0)
      continue;
    const struct rmq_alert_limits limits =
        rmq_alert_rule_limits(rmq_alerts_rule_of(t, &w->alerts[i]), q);
    if (!rmq_alert_limits_are_reached(&limits, q->get(report)))
      continue;
    t->has_alarm |= q->kind == RMQ_ALERT_ALARM;
    t->has_partition |= q->kind == RMQ_ALERT_PARTITION;
    t->has_node_down |=
        q->kind == RMQ_ALERT_CONNECTION && q->scope == RMQ_SERIES_NODE;
  }
}

static void find_causes(struct rmq_alerts_turn *t) {
  const struct rmq_alerts *a = t->a;
  const struct rmq_indicators_result *r = t->in->result;
  find_causes_of(t, a->cluster, of_cluster, &r->cluster);
  for (size_t i = 0; i < a->nodes_count; i++) {
    const struct rmq_report_node *report = find_report(r, a->nodes[i]->node);
    if (report != NULL)
      find_causes_of(t, a->nodes[i], of_node, report);
  }
}

/* Whether more or fewer nodes are down than before. One that is silent does not
 * count: it may be slow for the load that queues are to be raised for, and with
 * an answer now and then it would put them off for ever. */
static void compare_nodes(struct rmq_alerts_turn *t) {
  const struct rmq_indicators_result *r = t->in->result;
  double down = 0;
  if (!t->in->has_nodes)
    return;
  for (size_t i = 0; i < r->nodes_count; i++)
    down += r->nodes[i].running == 0 ? 1 : 0;
  t->has_nodes_changed = !isnan(t->a->nodes_down) && t->a->nodes_down != down;
  t->a->nodes_down = down;
}

static void step_nodes(const struct rmq_alerts_turn *t) {
  struct rmq_alerts *a = t->a;
  bool is_answered = t->in->is_answered;
  size_t kept = 0;
  for (size_t i = 0; i < a->nodes_count; i++) {
    struct rmq_alerts_watch *w = a->nodes[i];
    const struct rmq_report_node *report =
        is_answered ? find_report(t->in->result, w->node) : NULL;
    if (is_answered && t->in->has_nodes && report == NULL &&
        end_watch(t, w, of_node)) {
      free(w);
      continue;
    }
    judge(t, w, of_node, report);
    a->nodes[kept++] = w;
  }
  a->nodes_count = kept;
}

/* ---- queues ---- */

static int compare(const struct rmq_alerts_watch *w,
                   const struct rmq_report_queue *q) {
  int order = strcmp(w->vhost, q->vhost);
  return order != 0 ? order : strcmp(w->queue, q->name);
}

/* Two sorted lists being merged: the watches so far and the queues of now. */
struct merge {
  const struct rmq_alerts_turn *turn;
  struct rmq_alerts_watch **watches; /* the new list */
  size_t count, held_count;
};

static bool is_raised(const struct rmq_alerts_watch *w) {
  for (size_t i = 0; i < of_queue.count; i++)
    if (w->alerts[i].announced != RMQ_OKAY)
      return true;
  return false;
}

/* A queue whose node is away is not gone, and when the node is back it takes a
 * moment until its queues are; neither is one that was not asked for. */
static bool is_over(struct merge *m, struct rmq_alerts_watch *w) {
  if (m->turn->in->lacks_queues && is_raised(w) &&
      m->held_count < RMQ_SNAPSHOT_HELD_MAX) {
    m->held_count++;
    w->is_held = true;
    w->missed = 0;
    return false;
  }
  int patience =
      w->is_held ? RMQ_SNAPSHOT_PATIENCE : m->turn->in->queues_patience;
  return w->missed >= patience;
}

/* A watch whose queue was not listed. */
static void miss(struct merge *m, struct rmq_alerts_watch *w) {
  bool is_gone = is_over(m, w);
  if (is_gone && end_watch(m->turn, w, of_queue)) {
    free(w);
    return;
  }
  w->missed += is_gone ? 0 : 1;
  judge(m->turn, w, of_queue, NULL);
  m->watches[m->count++] = w;
}

static void merge_queues(struct merge *m) {
  struct rmq_alerts *a = m->turn->a;
  const struct rmq_indicators_result *r = m->turn->in->result;
  size_t old = 0;
  for (size_t i = 0; i < r->queues_count; i++) {
    const struct rmq_report_queue *q = &r->queues[i];
    while (old < a->queues_count && compare(a->queues[old], q) < 0)
      miss(m, a->queues[old++]);
    struct rmq_alerts_watch *w = NULL;
    if (old < a->queues_count && compare(a->queues[old], q) == 0)
      w = a->queues[old++];
    else
      w = rmq_alerts_watch_new(a, of_queue, NULL, q->vhost, q->name);
    if (w == NULL)
      continue;
    w->missed = 0;
    w->is_held = false;
    judge(m->turn, w, of_queue, q);
    m->watches[m->count++] = w;
  }
  while (old < a->queues_count)
    miss(m, a->queues[old++]);
}

static void step_queues(const struct rmq_alerts_turn *t) {
  struct rmq_alerts *a = t->a;
  size_t most = a->queues_count + t->in->result->queues_count + 1;
  struct merge m = {.turn = t};
  if (t->in->is_answered)
    m.watches = malloc(most * sizeof(struct rmq_alerts_watch *));
  if (m.watches == NULL) {
    for (size_t i = 0; i < a->queues_count; i++)
      judge(t, a->queues[i], of_queue, NULL);
    return;
  }
  merge_queues(&m);
  free(a->queues);
  a->queues = m.watches;
  a->queues_count = m.count;
}

/* ---- turns ---- */

static bool has_rule_of(const struct rmq_alerts *a,
                        struct rmq_alerts_range range) {
  for (size_t i = range.first; i < range.first + range.count; i++)
    if (a->has_kind[rmq_alert_quantities[i].kind])
      return true;
  return false;
}

void rmq_alerts_step(struct rmq_alerts *a, const struct rmq_alerts_input *in,
                     void (*emit_event)(void *ctx,
                                        const struct rmq_alert_event *event),
                     void *ctx) {
  struct rmq_alerts_turn t = {.a = a, .in = in, .emit = emit_event, .ctx = ctx};
  rmq_alerts_begin_tallies(a);
  if (in->is_answered) {
    if (has_rule_of(a, of_node))
      watch_new_nodes(a, in->result);
    find_causes(&t);
    compare_nodes(&t);
  }
  judge(&t, a->cluster, of_cluster, &in->result->cluster);
  if (has_rule_of(a, of_node))
    step_nodes(&t);
  if (has_rule_of(a, of_queue))
    step_queues(&t);
  for (size_t i = 0; i < RMQ_ALERT_QUANTITIES_COUNT; i++)
    rmq_alerts_say_group(&t, i);
}

/* ---- life ---- */

static int make_rules(struct rmq_alerts *a,
                      const struct rmq_alert_config *const *configs,
                      size_t count, const struct rmq_alert_pace *pace,
                      struct rmq_error *err) {
  if (count > RMQ_ALERT_RULES_MAX)
    return rmq_error_set(err, "more than %d alerts", RMQ_ALERT_RULES_MAX);
  a->rules = calloc(count + 1, sizeof(struct rmq_alert_rule *));
  if (a->rules == NULL)
    return rmq_error_set(err, "out of memory");
  for (size_t i = 0; i < count; i++) {
    struct rmq_alert_rule *rule = rmq_alert_rule_new(configs[i], pace, err);
    if (rule == NULL)
      return -1;
    a->rules[a->rules_count++] = rule;
    a->has_kind[rmq_alert_rule_kind(rule)] = true;
  }
  return 0;
}

struct rmq_alerts *rmq_alerts_new(const struct rmq_alert_config *const *configs,
                                  size_t count, const char *name,
                                  const struct rmq_alert_pace *pace,
                                  struct rmq_error *err) {
  struct rmq_alerts *a = calloc(1, sizeof(*a));
  if (a == NULL) {
    rmq_error_set(err, "out of memory");
    return NULL;
  }
  a->name = name;
  a->nodes_down = (double)NAN;
  if (make_rules(a, configs, count, pace, err) == 0) {
    a->cluster = rmq_alerts_watch_new(a, of_cluster, NULL, NULL, NULL);
    if (a->cluster != NULL)
      return a;
    rmq_error_set(err, "out of memory");
  }
  rmq_alerts_free(a);
  return NULL;
}

void rmq_alerts_free(struct rmq_alerts *a) {
  if (a == NULL)
    return;
  for (size_t i = 0; i < a->rules_count; i++)
    rmq_alert_rule_free(a->rules[i]);
  free(a->rules);
  rmq_alerts_watches_free(a->nodes, a->nodes_count);
  rmq_alerts_watches_free(a->queues, a->queues_count);
  free(a->cluster);
  free(a);
}
