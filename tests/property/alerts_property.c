/* SPDX-License-Identifier: MIT */
/*
 * Alerts against their promises, over random histories: of one object no two
 * equal severities in a row, nothing ends that had not begun, never more in one
 * poll than the bound, nothing about an object whose value never crossed a
 * limit, and when all causes are over, all that was raised has ended.
 */
#include "rmq_config.h"

#include "common/broker/alerts.h"

#include "tests/prop.h"
#include "tests/testing.h"

#include <math.h>
#include <string.h>

enum { SEQUENCES = 150, STEPS = 300, QUEUES = 80, NODES = 3, OBJECTS = 128 };

static struct {
  struct rmq_alerts *alerts;
  struct rmq_alert_config configs[2 * RMQ_ALERT_KINDS_COUNT];
  size_t configs_count;
  struct rmq_indicators_result result;
  struct rmq_report_node nodes[NODES];
  struct rmq_report_queue all[QUEUES], queues[QUEUES];
  char names[QUEUES][8];
  bool is_there[QUEUES];
  struct rmq_mono now;
  bool is_quiet;                           /* all is well from now on */
  size_t said[RMQ_ALERT_QUANTITIES_COUNT]; /* in this poll */
  /* the last word on each object; the group is the last one */
  enum rmq_severity last[RMQ_ALERT_QUANTITIES_COUNT][OBJECTS];
} t;

static size_t object_of(const struct rmq_alert_event *e) {
  if (e->is_group)
    return OBJECTS - 1;
  if (e->queue != NULL)
    return (size_t)atoi(e->queue + 1);
  return e->node == NULL ? OBJECTS - 2 : (size_t)(e->node[0] - 'a');
}

static void listen(void *ctx, const struct rmq_alert_event *e) {
  const struct prop *p = ctx;
  size_t quantity = (size_t)(e->quantity - rmq_alert_quantities);
  size_t object = object_of(e);
  PROP_TRACE(p, "%.0f s: %s %s", (double)t.now.ns * 1e-9,
             rmq_severity_to_str(e->severity), e->message);
  assert_true(quantity < RMQ_ALERT_QUANTITIES_COUNT && object < OBJECTS);
  assert_int_not_equal(e->severity, t.last[quantity][object]);
  t.last[quantity][object] = e->severity;
  t.said[quantity]++;
  assert_true(t.said[quantity] <= RMQ_ALERTS_EACH + 1);
  assert_true(strlen(e->message) > 0);
  assert_true(e->threshold > 0);
  /* q00 never has anything; who speaks of it invents. */
  assert_false(e->queue != NULL && strcmp(e->queue, "q00") == 0);
}

/* Usually one of a few values around the limit, now and then not known. */
static double around(struct prop *p, double limit) {
  static const double shares[] = {0, 0.5, 0.89, 0.95, 1, 1.5, 1.5, 1.5};
  if (t.is_quiet)
    return 0;
  return prop_chance(p, 10) ? (double)NAN
                            : limit * shares[prop_below(p, COUNT_OF(shares))];
}

static void change_cluster(struct prop *p) {
  struct rmq_report_cluster *c = &t.result.cluster;
  rmq_report_cluster_clear(c);
  c->reachable = 1;
  c->partitions = around(p, 1) >= 1 ? 1 : 0;
  c->error_rate = around(p, 3);
  c->throughput_drop = around(p, 50);
}

static void change_node(struct prop *p, struct rmq_report_node *n) {
  const char *name = n->name;
  rmq_report_node_clear(n);
  n->name = name;
  n->running = t.is_quiet || !prop_chance(p, 20) ? 1 : 0;
  n->memory_alarm = around(p, 1) >= 1 ? 1 : 0;
  n->disk_alarm = 0;
  n->memory = around(p, 80);
  n->file_handles = around(p, 90);
  n->processes = around(p, 80);
}

static void change_queue(struct prop *p, size_t i) {
  struct rmq_report_queue *q = &t.all[i];
  rmq_report_queue_clear(q);
  q->vhost = "/";
  q->name = t.names[i];
  q->ready = around(p, 50000);
  q->unacked = 0;
  q->consumers = t.is_quiet || prop_chance(p, 50) ? 1 : 0;
  q->head_age = around(p, 300);
  t.is_there[i] = !prop_chance(p, 5);
  if (i == 0) {
    q->ready = q->head_age = 0;
    t.is_there[0] = true;
  }
}

/* Much at once, or one thing, or nothing. */
static void change(struct prop *p) {
  unsigned percent = prop_chance(p, 10) ? 100 : 3;
  if (prop_chance(p, 20))
    change_cluster(p);
  for (size_t i = 0; i < NODES; i++)
    if (prop_chance(p, percent / 3))
      change_node(p, &t.nodes[i]);
  if (!prop_chance(p, 20))
    return;
  for (size_t i = 0; i < QUEUES; i++)
    if (prop_chance(p, percent))
      change_queue(p, i);
}

static void make_well(struct prop *p) {
  t.is_quiet = true;
  change_cluster(p);
  for (size_t i = 0; i < NODES; i++)
    change_node(p, &t.nodes[i]);
  for (size_t i = 0; i < QUEUES; i++)
    change_queue(p, i);
}

static int patience_of(struct prop *p, bool has_all) {
  if (has_all && t.is_quiet)
    return 0;
  if (!has_all || prop_chance(p, 10))
    return RMQ_SNAPSHOT_PATIENCE;
  return prop_chance(p, 50) ? 1 : 0;
}

static void poll_once(struct prop *p) {
  struct rmq_indicators_result down = {.nodes_count = 0};
  bool is_answered = t.is_quiet || !prop_chance(p, 5);
  rmq_report_cluster_clear(&down.cluster);
  down.cluster.reachable = 0;
  t.result.queues_count = 0;
  for (size_t i = 0; i < QUEUES; i++)
    if (t.is_there[i])
      t.queues[t.result.queues_count++] = t.all[i];
  bool lacks_node = is_answered && !t.is_quiet && prop_chance(p, 10);
  const struct rmq_alerts_input in = {
      .result = is_answered ? &t.result : &down,
      .is_answered = is_answered,
      .has_nodes = is_answered && (t.is_quiet || !prop_chance(p, 5)),
      .queues_patience = patience_of(p, is_answered && !lacks_node),
      .lacks_queues = lacks_node,
      .now = t.now};
  memset(t.said, 0, sizeof(t.said));
  rmq_alerts_step(t.alerts, &in, listen, p);
  t.now = rmq_mono_add(t.now, rmq_s(10));
}

static void add(struct prop *p, enum rmq_alert_kind kind) {
  struct rmq_alert_config *c = &t.configs[t.configs_count++];
  *c = (struct rmq_alert_config){.kind = (int)kind,
                                 .warning = (double)NAN,
                                 .failure = (double)NAN,
                                 .clear = prop_chance(p, 50) ? 90 : 100};
  rmq_alert_config_prepare(c);
  if (prop_chance(p, 50))
    c->hold = rmq_s((int64_t)prop_below(p, 5) * 10);
  if (prop_chance(p, 50))
    c->clear_hold = rmq_s((int64_t)prop_below(p, 5) * 10);
  if (kind == RMQ_ALERT_BACKLOG && prop_chance(p, 50))
    c->warning = 25000;
}

static void set_up(struct prop *p) {
  static const char *const nodes[NODES] = {"a", "b", "c"};
  const struct rmq_alert_config *configs[2 * RMQ_ALERT_KINDS_COUNT];
  struct rmq_error err = {.text = ""};
  memset(&t, 0, sizeof(t));
  t.now.ns = 1000 * RMQ_NS_PER_S;
  t.result.nodes = t.nodes;
  t.result.nodes_count = NODES;
  t.result.queues = t.queues;
  for (size_t i = 0; i < NODES; i++)
    t.nodes[i].name = nodes[i];
  for (int kind = 0; kind < RMQ_ALERT_KINDS_COUNT; kind++)
    if (prop_chance(p, 80))
      add(p, (enum rmq_alert_kind)kind);
  for (size_t i = 0; i < t.configs_count; i++)
    configs[i] = &t.configs[i];
  const struct rmq_alert_pace pace = {.poll = rmq_s(10)};
  t.alerts = rmq_alerts_new(configs, t.configs_count, "main", &pace, &err);
  assert_non_null(t.alerts);
  for (size_t i = 0; i < QUEUES; i++)
    snprintf(t.names[i], sizeof(t.names[i]), "q%02zu", i);
  make_well(p);
  t.is_quiet = false;
}

static void sequence(struct prop *p) {
  set_up(p);
  for (int i = 0; i < STEPS; i++) {
    change(p);
    poll_once(p);
  }
  make_well(p);
  for (int i = 0; i < 120; i++) /* longer than any clear hold */
    poll_once(p);
  for (size_t i = 0; i < RMQ_ALERT_QUANTITIES_COUNT; i++)
    for (size_t j = 0; j < OBJECTS; j++)
      assert_int_equal(t.last[i][j], RMQ_OKAY);
  rmq_alerts_free(t.alerts);
}

static void alerts_are_said_once_and_in_bounds_and_end(void **state) {
  (void)state;
  prop_run(SEQUENCES, sequence);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(alerts_are_said_once_and_in_bounds_and_end),
  };
  return run_all(tests);
}
