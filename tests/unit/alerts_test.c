/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/alerts.h"

#include "common/broker/baseline.h"

#include "tests/alloc.h"
#include "tests/testing.h"

#include <math.h>
#include <string.h>

enum { QUEUES = 1000, NODES = 3, EVENTS = 2000 };

/* A cluster whose state a test sets, polled every 10 s. */
static struct {
  struct rmq_alerts *alerts;
  struct rmq_alert_config configs[RMQ_ALERT_KINDS_COUNT];
  size_t configs_count;
  struct rmq_indicators_result result;
  struct rmq_report_node nodes[NODES];
  struct rmq_report_queue queues[QUEUES];
  char names[QUEUES][16];
  bool is_down, has_some_queues_only, has_pages, lacks_node;
  struct rmq_dur probe; /* its interval; 0 = none */
  struct rmq_mono now;
  struct kept {
    int s; /* since the start */
    enum rmq_severity severity;
    enum rmq_alert_priority priority;
    enum rmq_alert_kind kind;
    char object[40];
    double value, threshold;
    char message[RMQ_ALERTS_TEXT_SIZE];
  } events[EVENTS];
  size_t events_count;
} t;

static void keep(void *ctx, const struct rmq_alert_event *e) {
  (void)ctx;
  assert_true(t.events_count < EVENTS);
  struct kept *k = &t.events[t.events_count++];
  *k = (struct kept){.s = (int)(t.now.ns / RMQ_NS_PER_S) - 1000,
                     .severity = e->severity,
                     .priority = e->priority,
                     .kind = e->quantity->kind,
                     .value = e->value,
                     .threshold = e->threshold};
  snprintf(k->object, sizeof(k->object), "%s",
           e->is_group        ? "*"
           : e->queue != NULL ? e->queue
           : e->node != NULL  ? e->node
                              : "");
  snprintf(k->message, sizeof(k->message), "%s", e->message);
}

/* A healthy cluster of three nodes with that many queues. */
static void set_up(size_t queues) {
  static const char *const names[NODES] = {"rabbit@a", "rabbit@b", "rabbit@c"};
  memset(&t, 0, sizeof(t));
  t.now.ns = 1000 * RMQ_NS_PER_S;
  rmq_report_cluster_clear(&t.result.cluster);
  t.result.cluster.reachable = 1;
  t.result.cluster.partitions = 0;
  t.result.cluster.error_rate = 0;
  t.result.cluster.throughput_drop = 0;
  t.result.cluster.publish = 1;
  t.result.nodes = t.nodes;
  t.result.nodes_count = NODES;
  for (size_t i = 0; i < NODES; i++) {
    rmq_report_node_clear(&t.nodes[i]);
    t.nodes[i].name = names[i];
    t.nodes[i].running = 1;
    t.nodes[i].memory = t.nodes[i].file_handles = t.nodes[i].processes = 1;
    t.nodes[i].memory_alarm = t.nodes[i].disk_alarm = 0;
    t.nodes[i].disk_free = 50e9;
    t.nodes[i].disk_limit = 1e9;
  }
  t.result.queues = t.queues;
  t.result.queues_count = queues;
  for (size_t i = 0; i < queues; i++) {
    rmq_report_queue_clear(&t.queues[i]);
    snprintf(t.names[i], sizeof(t.names[i]), "q%03zu", i);
    t.queues[i].vhost = "/";
    t.queues[i].name = t.names[i];
    t.queues[i].ready = t.queues[i].unacked = 0;
    t.queues[i].consumers = 1;
  }
}

static struct rmq_alert_config *add(const char *kind) {
  struct rmq_alert_config *c = &t.configs[t.configs_count++];
  *c = (struct rmq_alert_config){
      .kind = -1, .warning = (double)NAN, .failure = (double)NAN, .clear = 90};
  for (int k = 0; k < RMQ_ALERT_KINDS_COUNT; k++)
    if (strcmp(kind, rmq_alert_kind_to_str((enum rmq_alert_kind)k)) == 0)
      c->kind = k;
  assert_true(c->kind >= 0);
  rmq_alert_config_prepare(c);
  return c;
}

static struct rmq_alerts *make(struct rmq_error *err) {
  const struct rmq_alert_config *configs[RMQ_ALERT_KINDS_COUNT];
  for (size_t i = 0; i < t.configs_count; i++)
    configs[i] = &t.configs[i];
  const struct rmq_alert_pace pace = {.poll = rmq_s(10), .probe = t.probe};
  return rmq_alerts_new(configs, t.configs_count, "main", &pace, err);
}

static int patience(void) {
  if (t.is_down || t.has_some_queues_only || t.lacks_node)
    return RMQ_SNAPSHOT_PATIENCE;
  return t.has_pages ? 1 : 0;
}

static void poll_once(void) {
  struct rmq_indicators_result down = {.nodes_count = 0};
  rmq_report_cluster_clear(&down.cluster);
  down.cluster.reachable = 0;
  struct rmq_alerts_input in = {.result = t.is_down ? &down : &t.result,
                                .is_answered = !t.is_down,
                                .has_nodes = !t.is_down,
                                .queues_patience = patience(),
                                .lacks_queues = !t.is_down && t.lacks_node,
                                .now = t.now};
  rmq_alerts_step(t.alerts, &in, keep, NULL);
}

/* Polls every 10 s for that long; the last one is one interval ago then. */
static void run_for(int seconds) {
  struct rmq_error err = {.text = ""};
  if (t.alerts == NULL)
    t.alerts = make(&err);
  assert_non_null(t.alerts);
  for (int s = 0; s < seconds; s += 10) {
    poll_once();
    t.now = rmq_mono_add(t.now, rmq_s(10));
  }
}

static void tear_down(void) { rmq_alerts_free(t.alerts); }

static void is_event(size_t i, int s, enum rmq_severity severity,
                     const char *object) {
  assert_true(i < t.events_count);
  const struct kept *k = &t.events[i];
  SHOW_ROW("%d s: %s", k->s, k->message);
  assert_int_equal(k->s, s);
  assert_int_equal(k->severity, severity);
  assert_string_equal(k->object, object);
}

static void
a_queue_is_raised_after_five_minutes_and_ends_after_five(void **state) {
  (void)state;
  set_up(3);
  add("backlog");
  t.queues[1].ready = 49999;
  run_for(100);
  t.queues[1].unacked = 12; /* what is unacked is not done */
  run_for(1000);
  t.queues[1].ready = 45100; /* not clear of the limit yet */
  run_for(400);
  t.queues[1].ready = 10;
  run_for(1000);
  assert_int_equal(t.events_count, 2);
  is_event(0, 400, RMQ_FAILURE, "q001");
  assert_int_equal(t.events[0].priority, RMQ_ALERT_P1);
  assert_true(t.events[0].value == 50011 && t.events[0].threshold == 50000);
  assert_string_equal(t.events[0].message,
                      "cluster main, queue q001 in vhost /: messages ready or "
                      "unacknowledged: 50011, limit 50000");
  is_event(1, 1800, RMQ_OKAY, "q001");
  assert_string_equal(t.events[1].message,
                      "cluster main, queue q001 in vhost /: messages ready or "
                      "unacknowledged: 22, clear of the limit 50000, after "
                      "23 min");
  tear_down();
}

static void a_burst_shorter_than_the_hold_says_nothing(void **state) {
  (void)state;
  set_up(1);
  add("backlog");
  for (int i = 0; i < 5; i++) {
    t.queues[0].ready = 90000;
    run_for(300);
    t.queues[0].ready = 0;
    run_for(10);
  }
  assert_int_equal(t.events_count, 0);
  tear_down();
}

static void every_kind_is_raised_by_its_own_value(void **state) {
  (void)state;
  double *const no_value = NULL;
  struct rmq_report_cluster *c = &t.result.cluster;
  const struct {
    const char *kind;
    double *value;
    double bad, good;
    int want_s; /* until it is raised */
    enum rmq_severity want;
    const char *object;
  } rows[] = {
      {"errors", &c->error_rate, 3, 2, 300, RMQ_FAILURE, ""},
      {"rate-drop", &c->throughput_drop, 30, 20, 300, RMQ_WARNING, ""},
      {"rate-drop", &c->throughput_drop, 60, 0, 300, RMQ_FAILURE, ""},
      {"partition", &c->partitions, 2, 0, 0, RMQ_FAILURE, ""},
      {"connection", no_value, 0, 0, 30, RMQ_FAILURE, ""},
      {"connection", &c->amqp_usable, 0, 1, 30, RMQ_FAILURE, ""},
      {"connection", &c->vhosts_down, 1, 0, 30, RMQ_FAILURE, ""},
      {"connection", &t.nodes[2].running, 0, 1, 30, RMQ_FAILURE, "rabbit@c"},
      {"resource", &t.nodes[1].memory, 81, 70, 300, RMQ_WARNING, "rabbit@b"},
      {"resource", &t.nodes[1].memory, 95, 70, 300, RMQ_FAILURE, "rabbit@b"},
      {"resource", &t.nodes[0].file_handles, 90, 1, 300, RMQ_FAILURE,
       "rabbit@a"},
      {"resource", &t.nodes[0].processes, 85, 1, 300, RMQ_WARNING, "rabbit@a"},
      {"resource", &t.nodes[0].cpu, 86, 1, 300, RMQ_WARNING, "rabbit@a"},
      {"resource", &t.nodes[2].host_memory, 92, 1, 300, RMQ_FAILURE,
       "rabbit@c"},
      {"resource", &t.nodes[1].disk_free, 2e9, 3e9, 300, RMQ_WARNING,
       "rabbit@b"},
      {"resource", &t.nodes[1].disk_free, 1.25e9, 3e9, 300, RMQ_FAILURE,
       "rabbit@b"},
      {"resource", &t.nodes[1].disk_free, 0, 3e9, 300, RMQ_FAILURE, "rabbit@b"},
      {"backlog", &t.queues[1].stream_offset_lag, 1e6, 5, 300, RMQ_FAILURE,
       "q001"},
      {"alarm", &t.nodes[0].memory_alarm, 1, 0, 0, RMQ_FAILURE, "rabbit@a"},
      {"alarm", &t.nodes[0].disk_alarm, 1, 0, 0, RMQ_FAILURE, "rabbit@a"},
      {"no-consumer", &t.queues[0].consumers, 0, 1, 300, RMQ_FAILURE, "q000"},
      {"delay", &t.queues[1].head_age, 300, 20, 300, RMQ_FAILURE, "q001"},
      {"delay", &c->probe_delivery, 300, 20, 300, RMQ_FAILURE, ""},
      {"delay", &c->consumer_delivery, 300, 20, 300, RMQ_FAILURE, ""},
      {"auth-failed", &c->auth_failed_minute, 10, 8, 60, RMQ_WARNING, ""},
      {"auth-failed", &c->auth_failed_minute, 60, 0, 60, RMQ_FAILURE, ""},
      {"channel-closed", &c->channel_closed_minute, 600, 500, 300, RMQ_WARNING,
       ""},
      {"channel-closed", &c->channel_closed_minute, 6000, 1, 300, RMQ_FAILURE,
       ""},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s, row %zu", rows[i].kind, i);
    set_up(2);
    add(rows[i].kind);
    t.queues[0].ready = t.queues[1].ready = 1;
    if (rows[i].value == NULL)
      t.is_down = true;
    else
      *rows[i].value = rows[i].bad;
    run_for(900);
    if (rows[i].value == NULL)
      t.is_down = false;
    else
      *rows[i].value = rows[i].good;
    run_for(900);
    assert_int_equal(t.events_count, 2);
    is_event(0, rows[i].want_s, rows[i].want, rows[i].object);
    assert_int_equal(t.events[1].severity, RMQ_OKAY);
    assert_string_equal(t.events[1].object, rows[i].object);
    tear_down();
  }
}

static void what_is_not_known_neither_raises_nor_clears(void **state) {
  (void)state;
  set_up(1);
  add("delay");
  t.queues[0].ready = 1;
  t.queues[0].head_age = 1000;
  run_for(310);
  assert_int_equal(t.events_count, 1);
  t.queues[0].head_age = (double)NAN;
  run_for(3000);
  assert_int_equal(t.events_count, 1);
  t.queues[0].ready = 0; /* but nothing is late in an empty queue */
  run_for(310);
  assert_int_equal(t.events_count, 2);
  is_event(1, 3610, RMQ_OKAY, "q000");
  tear_down();
}

/* For so long, a probe's message every minute that took that long. */
static void probe_for(int minutes, double seconds) {
  for (int i = 0; i < minutes; i++) {
    t.result.cluster.probe_delivery = seconds;
    run_for(10);
    t.result.cluster.probe_delivery = (double)NAN;
    run_for(50);
  }
}

static void the_delay_of_a_rare_probe_is_raised_and_ends(void **state) {
  (void)state;
  set_up(0);
  t.probe = rmq_s(60);
  add("delay")->failure = 2;
  probe_for(10, 3);
  assert_int_equal(t.events_count, 1);
  is_event(0, 300, RMQ_FAILURE, "");
  probe_for(10, 0.1);
  assert_int_equal(t.events_count, 2);
  is_event(1, 900, RMQ_OKAY, "");
  probe_for(2, 3);
  run_for(600); /* no message came back: what was before says nothing now */
  probe_for(5, 3);
  assert_int_equal(t.events_count, 2);
  probe_for(1, 3);
  assert_int_equal(t.events_count, 3);
  tear_down();
}

static void a_stream_that_nobody_reads_any_more_ends_its_lag(void **state) {
  (void)state;
  set_up(1);
  add("backlog");
  t.queues[0].ready = t.queues[0].unacked = (double)NAN;
  t.queues[0].stream_offset_lag = 2e6;
  run_for(310);
  assert_int_equal(t.events_count, 1);
  assert_string_equal(t.events[0].message,
                      "cluster main, queue q000 in vhost /: messages of the "
                      "stream that a consumer is behind: 2000000, limit "
                      "1000000");
  t.queues[0].stream_offset_lag = (double)NAN; /* that is no answer yet */
  run_for(3000);
  assert_int_equal(t.events_count, 1);
  t.queues[0].consumers = 0;
  run_for(310);
  assert_int_equal(t.events_count, 2);
  is_event(1, 3610, RMQ_OKAY, "q000");
  tear_down();
}

/* Of the others, by AMQP, nobody knows how far they are behind. */
static void a_stream_that_is_read_by_amqp_alone_ends_its_lag(void **state) {
  (void)state;
  set_up(1);
  add("backlog");
  t.queues[0].ready = t.queues[0].unacked = (double)NAN;
  t.queues[0].consumers = 2;
  t.queues[0].stream_offset_lag = 2e6;
  run_for(310);
  assert_int_equal(t.events_count, 1);
  t.queues[0].stream_offset_lag = (double)NAN; /* the list was not read */
  t.queues[0].consumers = 1;
  run_for(3000);
  assert_int_equal(t.events_count, 1);
  t.queues[0].has_no_stream_consumer = true;
  run_for(310);
  assert_int_equal(t.events_count, 2);
  is_event(1, 3610, RMQ_OKAY, "q000");
  tear_down();
}

static void a_disk_says_how_near_its_limit_is(void **state) {
  (void)state;
  set_up(0);
  add("resource");
  t.nodes[0].disk_free = (double)NAN; /* neither is anything to go by */
  t.nodes[1].disk_limit = (double)NAN;
  t.nodes[2].disk_free = 1.6e9;
  run_for(600);
  assert_int_equal(t.events_count, 1);
  is_event(0, 300, RMQ_WARNING, "rabbit@c");
  assert_string_equal(t.events[0].message,
                      "cluster main, node rabbit@c: the limit of free disk "
                      "space is 62.5 % of what is free, limit 50");
  tear_down();
}

static void an_idle_broker_makes_no_errors(void **state) {
  (void)state;
  set_up(0);
  add("errors");
  t.result.cluster.error_rate = 50;
  run_for(310);
  t.result.cluster.error_rate = (double)NAN;
  t.result.cluster.publish = -1; /* the counters are not known */
  run_for(1000);
  assert_int_equal(t.events_count, 1);
  t.result.cluster.publish = 17;
  run_for(310);
  assert_int_equal(t.events_count, 2);
  tear_down();
}

static void a_broker_that_does_not_answer_raises_nothing_else(void **state) {
  (void)state;
  set_up(500);
  add("backlog");
  add("errors");
  add("rate-drop");
  add("connection");
  for (size_t i = 0; i < 500; i++)
    t.queues[i].ready = 90000;
  t.result.cluster.error_rate = 50;
  run_for(290); /* all of it was just about to be raised */
  t.is_down = true;
  run_for(600);
  assert_int_equal(t.events_count, 1);
  is_event(0, 320, RMQ_FAILURE, "");
  assert_int_equal(t.events[0].kind, RMQ_ALERT_CONNECTION);
  assert_int_equal(t.events[0].priority, RMQ_ALERT_P0);
  assert_string_equal(t.events[0].message,
                      "cluster main: the broker is not reachable");
  t.is_down = false;
  run_for(300); /* a fresh hold */
  assert_int_equal(t.events_count, 2);
  is_event(1, 920, RMQ_OKAY, "");
  assert_string_equal(t.events[1].message,
                      "cluster main: the broker is reachable again, after "
                      "10 min");
  run_for(10);
  assert_true(t.events_count > 3);
  tear_down();
}

static void what_was_raised_stays_raised_through_an_outage(void **state) {
  (void)state;
  set_up(1);
  add("backlog");
  t.queues[0].ready = 90000;
  run_for(400);
  t.is_down = true;
  run_for(3600);
  t.is_down = false;
  run_for(400);
  assert_int_equal(t.events_count, 1);
  t.queues[0].ready = 0;
  run_for(400);
  assert_int_equal(t.events_count, 2);
  tear_down();
}

static void a_node_that_is_down_raises_none_of_its_queues(void **state) {
  (void)state;
  set_up(500);
  add("connection");
  add("no-consumer")->hold.ns = 0;
  add("backlog");
  add("rate-drop");
  run_for(100);
  t.nodes[1].running = 0;
  t.result.cluster.throughput_drop = 80;
  for (size_t i = 0; i < 500; i++) { /* its queues are not known any more */
    t.queues[i].consumers = (double)NAN;
    t.queues[i].ready = t.queues[i].unacked = (double)NAN;
  }
  run_for(1000);
  assert_int_equal(t.events_count, 1);
  is_event(0, 130, RMQ_FAILURE, "rabbit@b");
  t.nodes[1].running = 1;
  for (size_t i = 0; i < 500; i++) { /* and have no consumer for a moment */
    t.queues[i].consumers = 0;
    t.queues[i].ready = 5;
    t.queues[i].unacked = 0;
  }
  run_for(10);
  for (size_t i = 0; i < 500; i++)
    t.queues[i].consumers = 1;
  run_for(290);
  assert_int_equal(t.events_count, 2);
  is_event(1, 1130, RMQ_OKAY, "rabbit@b");
  run_for(110); /* the rate is still low: that is an alert of its own now */
  assert_int_equal(t.events_count, 3);
  assert_int_equal(t.events[2].kind, RMQ_ALERT_RATE_DROP);
  is_event(2, 1400, RMQ_FAILURE, "");
  tear_down();
}

static void a_cause_that_nobody_reports_silences_nothing(void **state) {
  (void)state;
  for (int has_alarm_rule = 0; has_alarm_rule < 2; has_alarm_rule++) {
    set_up(0);
    add("rate-drop");
    if (has_alarm_rule)
      add("alarm");
    t.nodes[0].memory_alarm = 1;
    t.result.cluster.throughput_drop = 80;
    run_for(600);
    assert_int_equal(t.events_count, 1);
    assert_int_equal(t.events[0].kind,
                     has_alarm_rule ? RMQ_ALERT_ALARM : RMQ_ALERT_RATE_DROP);
    tear_down();
  }
}

static bool has_said(const char *kind, const char *object) {
  for (size_t i = 0; i < t.events_count; i++)
    if (strcmp(rmq_alert_kind_to_str(t.events[i].kind), kind) == 0 &&
        strcmp(t.events[i].object, object) == 0)
      return true;
  return false;
}

/* Blocks of the cause's kind that are not for the node, or never say it. */
static void a_block_that_does_not_say_the_cause_silences_nothing(void **state) {
  (void)state;
  static char name[] = "rabbit@a";
  static char *names[] = {name};
  enum cause { ALARM, DOWN, SILENT, PARTITION };
  static const struct {
    const char *what;
    enum cause cause;
    const char *kind, *follows;
    bool is_for_a;
    double failure; /* NaN = the default */
    bool is_said;
  } rows[] = {
      {"alarm", ALARM, "alarm", "rate-drop", false, (double)NAN, true},
      {"alarm of another node", ALARM, "alarm", "rate-drop", true, (double)NAN,
       false},
      {"alarm without limits", ALARM, "alarm", "rate-drop", false, 0, false},
      {"alarm and the probe", ALARM, "alarm", "connection", false, (double)NAN,
       true},
      {"alarm of another node and the probe", ALARM, "alarm", "connection",
       true, (double)NAN, false},
      {"down", DOWN, "connection", "rate-drop", false, (double)NAN, true},
      {"another node", DOWN, "connection", "rate-drop", true, (double)NAN,
       false},
      {"never down", DOWN, "connection", "rate-drop", false, 0, false},
      {"another node and quorum", DOWN, "connection", "quorum", true,
       (double)NAN, false},
      {"silent", SILENT, "connection", "rate-drop", false, (double)NAN, true},
      {"another one is silent", SILENT, "connection", "rate-drop", true,
       (double)NAN, false},
      {"partition", PARTITION, "partition", "rate-drop", false, (double)NAN,
       true},
      {"not that many", PARTITION, "partition", "rate-drop", false, 5, false},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s", rows[i].what);
    set_up(0);
    struct rmq_alert_config *c = add(rows[i].kind);
    c->failure = rows[i].failure;
    if (rows[i].is_for_a)
      c->nodes = (struct rmq_strings){.items = names, .count = 1};
    add(rows[i].follows);
    t.result.cluster.throughput_drop = 80;
    t.result.cluster.quorum_critical = 5;
    if (rows[i].cause == ALARM)
      t.nodes[1].memory_alarm = 1, t.result.cluster.amqp_usable = 0;
    else if (rows[i].cause == DOWN)
      t.nodes[1].running = 0;
    else if (rows[i].cause == PARTITION)
      t.result.cluster.partitions = 1;
    else
      t.nodes[1].running = (double)NAN, t.nodes[1].scraped = 0;
    run_for(600);
    const char *object = rows[i].cause == PARTITION ? "" : "rabbit@b";
    assert_int_equal(has_said(rows[i].kind, object), rows[i].is_said);
    assert_int_equal(has_said(rows[i].follows, ""), !rows[i].is_said);
    tear_down();
  }
}

static void
many_queues_at_once_are_twenty_names_and_one_for_the_rest(void **state) {
  (void)state;
  set_up(500);
  add("backlog");
  for (size_t i = 0; i < 500; i++)
    t.queues[i].ready = 90000;
  run_for(1000);
  assert_int_equal(t.events_count, 21);
  is_event(0, 300, RMQ_FAILURE, "q000");
  is_event(19, 300, RMQ_FAILURE, "q019");
  is_event(20, 300, RMQ_FAILURE, "*");
  assert_true(t.events[20].value == 480);
  assert_string_equal(t.events[20].message,
                      "cluster main: backlog: and 480 more queues, which are "
                      "not named one by one");
  for (size_t i = 0; i < 500; i++)
    t.queues[i].ready = i == 499 ? 90000 : 0; /* one of the many stays */
  run_for(1000);
  assert_int_equal(t.events_count, 41);
  t.queues[499].ready = 0;
  run_for(1000);
  assert_int_equal(t.events_count, 42);
  is_event(41, 2300, RMQ_OKAY, "*");
  tear_down();
}

static void ten_minutes_later_a_new_one_is_named_again(void **state) {
  (void)state;
  set_up(30);
  add("backlog");
  for (size_t i = 0; i < 25; i++)
    t.queues[i].ready = 90000;
  run_for(400);
  assert_int_equal(t.events_count, 21);
  t.queues[28].ready = 90000; /* joins the many */
  run_for(400);
  assert_int_equal(t.events_count, 21);
  run_for(200);
  t.queues[29].ready = 90000;
  run_for(400);
  assert_int_equal(t.events_count, 22);
  is_event(21, 1300, RMQ_FAILURE, "q029");
  tear_down();
}

static void many_ends_at_once_are_spread_over_polls(void **state) {
  (void)state;
  set_up(60);
  add("backlog");
  for (size_t i = 0; i < 60; i++) {
    t.queues[i].ready = 90000;
    if (i % 20 == 19)
      run_for(700); /* twenty names each */
  }
  assert_int_equal(t.events_count, 60);
  for (size_t i = 0; i < 60; i++)
    t.queues[i].ready = 0;
  run_for(310);
  assert_int_equal(t.events_count, 80);
  run_for(10);
  assert_int_equal(t.events_count, 100);
  run_for(100);
  assert_int_equal(t.events_count, 120);
  tear_down();
}

/* The last queue's alert is raised, and its node goes for half an hour. */
static void lose_node_of_a_raised_queue(void) {
  set_up(2);
  add("backlog")->hold = rmq_s(60);
  t.queues[1].ready = 60000;
  run_for(100);
  assert_int_equal(t.events_count, 1);
  t.lacks_node = true;
  t.result.queues_count = 1;
  run_for(1800);
  assert_int_equal(t.events_count, 1);
  t.lacks_node = false; /* its queues take a moment longer */
  run_for(50);
  assert_int_equal(t.events_count, 1);
}

static void an_alert_stays_while_its_queues_node_is_away(void **state) {
  (void)state;
  lose_node_of_a_raised_queue();
  t.result.queues_count = 2;
  run_for(400);
  assert_int_equal(t.events_count, 1);
  t.queues[1].ready = 0;
  run_for(400);
  assert_int_equal(t.events_count, 2);
  is_event(1, 2410, RMQ_OKAY, "q001"); /* ClearHold is Hold */
  tear_down();
}

static void
a_queue_that_does_not_come_back_with_its_node_is_gone(void **state) {
  (void)state;
  lose_node_of_a_raised_queue();
  run_for(100);
  assert_int_equal(t.events_count, 2);
  is_event(1, 1990, RMQ_OKAY, "q001");
  tear_down();
}

static void a_queue_that_is_gone_ends_its_alert_at_once(void **state) {
  (void)state;
  set_up(3);
  add("backlog");
  t.queues[2].ready = 90000;
  run_for(310);
  t.result.queues_count = 2;
  t.has_some_queues_only = true; /* may be the list's fault */
  run_for(50);
  assert_int_equal(t.events_count, 1);
  t.has_some_queues_only = false;
  run_for(10);
  assert_int_equal(t.events_count, 2);
  is_event(1, 360, RMQ_OKAY, "q002");
  assert_true(isnan(t.events[1].value));
  assert_string_equal(t.events[1].message,
                      "cluster main, queue q002 in vhost /: backlog: it is "
                      "gone, or no longer reported, after 60 s");
  t.result.queues_count = 3; /* another one of that name */
  run_for(310);
  assert_int_equal(t.events_count, 3);
  is_event(2, 670, RMQ_FAILURE, "q002");
  tear_down();
}

/* One that is deleted on a page that was read moves the first queue of the next
 * page to it. */
static void a_queue_that_slipped_between_two_pages_is_not_gone(void **state) {
  (void)state;
  set_up(3);
  add("backlog");
  t.has_pages = true;
  t.queues[2].ready = 90000;
  run_for(310);
  for (int i = 0; i < 5; i++) {
    t.result.queues_count = 2;
    run_for(10);
    t.result.queues_count = 3;
    run_for(10);
  }
  assert_int_equal(t.events_count, 1);
  t.result.queues_count = 2; /* now it is gone */
  run_for(20);
  assert_int_equal(t.events_count, 2);
  is_event(1, 420, RMQ_OKAY, "q002");
  tear_down();
}

static void a_node_that_leaves_the_cluster_ends_its_alert(void **state) {
  (void)state;
  set_up(0);
  add("connection");
  t.nodes[2].running = 0;
  run_for(100);
  t.result.nodes_count = 2;
  run_for(100);
  assert_int_equal(t.events_count, 2);
  is_event(0, 30, RMQ_FAILURE, "rabbit@c");
  is_event(1, 100, RMQ_OKAY, "rabbit@c");
  tear_down();
}

/* Polls for so long at that publish rate, judged by its baseline. */
static void publish_for(struct rmq_baseline *b, int seconds, double rate) {
  for (int s = 0; s < seconds; s += 10) {
    t.result.cluster.throughput_drop = rmq_baseline_drop(b, rate);
    rmq_baseline_feed(b, rate, t.now);
    run_for(10);
  }
}

static void
a_drop_is_said_once_the_rate_is_learned_and_until_it_is_over(void **state) {
  (void)state;
  struct rmq_baseline b;
  rmq_baseline_init(&b);
  set_up(0);
  add("rate-drop");
  publish_for(&b, 110, 100);
  publish_for(&b, 20, 0); /* not learned yet: nobody knows what is usual */
  publish_for(&b, 1070, 100);
  assert_int_equal(t.events_count, 0);
  publish_for(&b, 2000, 60); /* 40 % less */
  assert_int_equal(t.events_count, 1);
  is_event(0, 1500, RMQ_WARNING, "");
  publish_for(&b, 1000, 40);
  is_event(1, 3500, RMQ_FAILURE, "");
  assert_string_equal(t.events[1].message,
                      "cluster main: the publish rate is below its baseline by "
                      "60 %, limit 50");
  publish_for(&b, 600, 100);
  assert_int_equal(t.events_count, 3);
  is_event(2, 4500, RMQ_OKAY, "");
  tear_down();
}

static void the_first_block_that_matches_decides(void **state) {
  (void)state;
  char name[] = "q000";
  char *names[] = {name};
  set_up(2);
  struct rmq_alert_config *own = add("backlog");
  own->queues = (struct rmq_strings){.items = names, .count = 1};
  own->failure = 10;
  own->priority = RMQ_ALERT_P0;
  add("backlog");
  t.queues[0].ready = t.queues[1].ready = 60000;
  run_for(310);
  assert_int_equal(t.events_count, 2);
  is_event(0, 300, RMQ_FAILURE, "q000");
  assert_int_equal(t.events[0].priority, RMQ_ALERT_P0);
  assert_true(t.events[0].threshold == 10);
  is_event(1, 300, RMQ_FAILURE, "q001");
  assert_true(t.events[1].threshold == 50000);
  tear_down();
}

static void names_from_the_broker_are_made_printable_and_short(void **state) {
  (void)state;
  char long_name[256];
  memset(long_name, 'x', 255);
  memcpy(long_name, "a\nb\x1b\xff\xc3\xa9", 7);
  long_name[255] = '\0';
  set_up(1);
  add("backlog");
  t.queues[0].name = long_name;
  t.queues[0].ready = 60000;
  run_for(310);
  assert_int_equal(t.events_count, 1);
  assert_memory_equal(t.events[0].message,
                      "cluster main, queue a?b??\xc3\xa9xxx", 30);
  assert_non_null(strstr(t.events[0].message, "x... in vhost /: "));
  assert_non_null(strstr(t.events[0].message, "60000, limit 50000"));
  tear_down();
}

static void a_certificate_is_raised_at_its_limit_or_under_it(void **state) {
  (void)state;
  set_up(0);
  add("certificate");
  t.result.cluster.certificate_days = 30.1;
  run_for(10);
  t.result.cluster.certificate_days = 29.9;
  run_for(10);
  t.result.cluster.certificate_days = 7;
  run_for(10);
  t.result.cluster.certificate_days = 7.5; /* not clear of the limit yet */
  run_for(10);
  t.result.cluster.certificate_days = (double)NAN;
  run_for(100);
  t.result.cluster.certificate_days = 365;
  run_for(10);
  assert_int_equal(t.events_count, 3);
  is_event(0, 10, RMQ_WARNING, "");
  is_event(1, 20, RMQ_FAILURE, "");
  assert_int_equal(t.events[0].priority, RMQ_ALERT_P2);
  assert_string_equal(t.events[1].message,
                      "cluster main: a TLS certificate expires within 7 days, "
                      "limit 7");
  is_event(2, 140, RMQ_OKAY, "");
  tear_down();
}

static void
what_one_more_node_would_stop_is_no_news_while_one_is_down(void **state) {
  (void)state;
  set_up(0);
  add("quorum");
  add("connection");
  t.result.cluster.leaderless = 0;
  t.result.cluster.quorum_critical = 5;
  t.nodes[1].running = 0;
  run_for(100);
  assert_int_equal(t.events_count, 1); /* the node */
  is_event(0, 30, RMQ_FAILURE, "rabbit@b");
  t.result.cluster.leaderless = 2; /* but this is */
  run_for(100);
  assert_int_equal(t.events_count, 2);
  is_event(1, 160, RMQ_FAILURE, "");
  t.nodes[1].running = 1;
  t.result.cluster.leaderless = 0;
  run_for(100);
  assert_int_equal(t.events_count, 5);
  is_event(2, 230, RMQ_OKAY, "rabbit@b");
  is_event(3, 260, RMQ_OKAY, "");
  is_event(4, 260, RMQ_WARNING, "");
  tear_down();
}

static void a_silent_node_is_raised_where_no_list_tells(void **state) {
  (void)state;
  set_up(0);
  add("connection");
  t.nodes[0].scraped = t.nodes[2].scraped = 1;
  t.nodes[1].scraped = 0; /* the list says that it runs */
  run_for(100);
  assert_int_equal(t.events_count, 0);
  t.nodes[1].running = (double)NAN;
  run_for(100);
  assert_int_equal(t.events_count, 1);
  is_event(0, 130, RMQ_FAILURE, "rabbit@b");
  t.nodes[1].scraped = t.nodes[1].running = 1;
  run_for(100);
  assert_int_equal(t.events_count, 2);
  is_event(1, 230, RMQ_OKAY, "rabbit@b");
  tear_down();
}

/* As it may be under the very load that the queue is raised for. */
static void a_node_that_is_silent_now_and_then_puts_no_queue_off(void **state) {
  (void)state;
  set_up(1);
  add("backlog");
  t.queues[0].ready = 90000;
  for (size_t i = 0; i < NODES; i++) {
    t.nodes[i].running = (double)NAN; /* no list of nodes */
    t.nodes[i].scraped = 1;
  }
  for (int i = 0; i < 20; i++) {
    t.nodes[1].scraped = i % 2;
    run_for(20);
  }
  assert_int_equal(t.events_count, 1);
  is_event(0, 300, RMQ_FAILURE, "q000");
  tear_down();
}

/* The others take a node that hangs for running for a while, and the list of
 * nodes does not come meanwhile. */
static void a_node_that_is_away_is_said_once(void **state) {
  (void)state;
  static const struct {
    const char *name;
    double running[2]; /* before and after its alert */
    const char *want;  /* in what is said */
  } rows[] = {
      {"silent, then not running", {(double)NAN, 0}, "MetricsURL"},
      {"not running, then nobody says", {0, (double)NAN}, "running"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s", rows[i].name);
    set_up(0);
    add("connection");
    t.nodes[1].scraped = 0;
    for (size_t k = 0; k < 2; k++) {
      t.nodes[1].running = rows[i].running[k];
      run_for(100);
      assert_int_equal(t.events_count, 1);
    }
    is_event(0, 30, RMQ_FAILURE, "rabbit@b");
    assert_non_null(strstr(t.events[0].message, rows[i].want));
    t.nodes[1].scraped = t.nodes[1].running = 1;
    run_for(100);
    assert_int_equal(t.events_count, 2);
    is_event(1, 230, RMQ_OKAY, "rabbit@b");
    assert_non_null(strstr(t.events[1].message, rows[i].want));
    t.nodes[1].running = 0; /* and the next time it is news again */
    run_for(100);
    assert_int_equal(t.events_count, 3);
    is_event(2, 330, RMQ_FAILURE, "rabbit@b");
    tear_down();
  }
}

static void without_memory_objects_are_watched_later(void **state) {
  (void)state;
  struct rmq_error err = {.text = ""};
  set_up(30);
  add("backlog");
  add("connection");
  for (size_t n = 1;; n++) { /* of the rules */
    alloc_fail_at(n);
    struct rmq_alerts *a = make(&err);
    bool has_failed = alloc_works_again();
    assert_true(has_failed == (a == NULL));
    rmq_alerts_free(a);
    if (!has_failed)
      break;
  }
  t.alerts = make(&err);
  for (size_t n = 1;; n++) { /* of a poll */
    alloc_fail_at(n);
    poll_once();
    if (!alloc_works_again())
      break;
  }
  for (size_t i = 0; i < 10; i++)
    t.queues[i].ready = 90000;
  run_for(310);
  assert_int_equal(t.events_count, 10);
  tear_down();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(
          a_queue_is_raised_after_five_minutes_and_ends_after_five),
      cmocka_unit_test(a_burst_shorter_than_the_hold_says_nothing),
      cmocka_unit_test(every_kind_is_raised_by_its_own_value),
      cmocka_unit_test(what_is_not_known_neither_raises_nor_clears),
      cmocka_unit_test(the_delay_of_a_rare_probe_is_raised_and_ends),
      cmocka_unit_test(a_stream_that_nobody_reads_any_more_ends_its_lag),
      cmocka_unit_test(a_stream_that_is_read_by_amqp_alone_ends_its_lag),
      cmocka_unit_test(a_disk_says_how_near_its_limit_is),
      cmocka_unit_test(an_idle_broker_makes_no_errors),
      cmocka_unit_test(a_broker_that_does_not_answer_raises_nothing_else),
      cmocka_unit_test(what_was_raised_stays_raised_through_an_outage),
      cmocka_unit_test(a_node_that_is_down_raises_none_of_its_queues),
      cmocka_unit_test(a_cause_that_nobody_reports_silences_nothing),
      cmocka_unit_test(a_block_that_does_not_say_the_cause_silences_nothing),
      cmocka_unit_test(
          many_queues_at_once_are_twenty_names_and_one_for_the_rest),
      cmocka_unit_test(ten_minutes_later_a_new_one_is_named_again),
      cmocka_unit_test(many_ends_at_once_are_spread_over_polls),
      cmocka_unit_test(an_alert_stays_while_its_queues_node_is_away),
      cmocka_unit_test(a_queue_that_does_not_come_back_with_its_node_is_gone),
      cmocka_unit_test(a_queue_that_is_gone_ends_its_alert_at_once),
      cmocka_unit_test(a_queue_that_slipped_between_two_pages_is_not_gone),
      cmocka_unit_test(a_node_that_leaves_the_cluster_ends_its_alert),
      cmocka_unit_test(
          a_drop_is_said_once_the_rate_is_learned_and_until_it_is_over),
      cmocka_unit_test(the_first_block_that_matches_decides),
      cmocka_unit_test(names_from_the_broker_are_made_printable_and_short),
      cmocka_unit_test(a_certificate_is_raised_at_its_limit_or_under_it),
      cmocka_unit_test(
          what_one_more_node_would_stop_is_no_news_while_one_is_down),
      cmocka_unit_test(a_silent_node_is_raised_where_no_list_tells),
      cmocka_unit_test(a_node_that_is_silent_now_and_then_puts_no_queue_off),
      cmocka_unit_test(a_node_that_is_away_is_said_once),
      cmocka_unit_test(without_memory_objects_are_watched_later),
  };
  return run_all(tests);
}
