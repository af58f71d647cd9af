/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/alert_rule.h"

#include "tests/testing.h"

#include <math.h>
#include <string.h>

static const struct rmq_alert_pace pace = {.poll = {10 * RMQ_NS_PER_S},
                                           .probe = {60 * RMQ_NS_PER_S}};

/* As the option table leaves it. */
static struct rmq_alert_config config_of(const char *kind) {
  struct rmq_alert_config c = {
      .kind = -1, .warning = (double)NAN, .failure = (double)NAN, .clear = 90};
  for (int k = 0; k < RMQ_ALERT_KINDS_COUNT; k++)
    if (strcmp(kind, rmq_alert_kind_to_str((enum rmq_alert_kind)k)) == 0)
      c.kind = k;
  assert_true(c.kind >= 0);
  rmq_alert_config_prepare(&c);
  return c;
}

static void each_kind_has_its_limits_holds_and_priority(void **state) {
  (void)state;
  static const struct {
    const char *kind, *instance;
    double want_warning, want_failure; /* 0 = none */
    int want_hold_s, want_clear_hold_s;
    const char *want_priority;
  } rows[] = {
      {"backlog", "ready", 0, 50000, 300, 300, "P1"},
      {"backlog", "stream_offset_lag", 0, 1000000, 300, 300, "P1"},
      {"delay", "head_age", 0, 300, 300, 300, "P1"},
      {"delay", "probe_delivery", 0, 300, 300, 300, "P1"},
      {"delay", "consumer_delivery", 0, 300, 300, 300, "P1"},
      {"errors", "error_rate", 0, 3, 300, 300, "P1"},
      {"rate-drop", "throughput_drop", 30, 50, 300, 300, "P1"},
      {"resource", "memory", 80, 95, 300, 300, "P2"},
      {"resource", "file_handles", 80, 90, 300, 300, "P2"},
      {"resource", "processes", 80, 90, 300, 300, "P2"},
      {"resource", "cpu", 85, 90, 300, 300, "P2"},
      {"resource", "host_memory", 85, 90, 300, 300, "P2"},
      {"resource", "disk_free", 50, 80, 300, 300, "P2"},
      {"no-consumer", "consumers", 0, 1, 300, 60, "P1"},
      {"alarm", "memory_alarm", 0, 1, 0, 60, "P0"},
      {"alarm", "disk_alarm", 0, 1, 0, 60, "P0"},
      {"partition", "partitions", 0, 1, 0, 60, "P0"},
      {"connection", "reachable", 0, 1, 30, 30, "P0"},
      {"connection", "amqp_usable", 0, 1, 30, 30, "P0"},
      {"connection", "vhosts_down", 0, 1, 30, 30, "P0"},
      {"connection", "running", 0, 1, 30, 30, "P0"},
      {"connection", "scraped", 0, 1, 30, 30, "P0"},
      {"quorum", "leaderless_queues", 0, 1, 60, 60, "P1"},
      {"quorum", "quorum_critical_queues", 1, 0, 60, 60, "P1"},
      {"certificate", "certificate_days", 30, 7, 0, 0, "P2"},
      {"auth-failed", "auth_failed_per_minute", 10, 60, 60, 60, "P1"},
      {"channel-closed", "channel_closed_per_minute", 600, 6000, 300, 300,
       "P2"},
  };
  assert_int_equal(COUNT_OF(rows), RMQ_ALERT_QUANTITIES_COUNT);
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s, %s", rows[i].kind, rows[i].instance);
    const struct rmq_alert_config c = config_of(rows[i].kind);
    struct rmq_error err = {.text = ""};
    struct rmq_alert_rule *r = rmq_alert_rule_new(&c, &pace, &err);
    assert_non_null(r);
    const struct rmq_alert_quantity *q = NULL;
    for (size_t j = 0; j < RMQ_ALERT_QUANTITIES_COUNT; j++)
      if (rmq_alert_quantities[j].kind == (enum rmq_alert_kind)c.kind &&
          strcmp(rmq_alert_quantities[j].type_instance, rows[i].instance) == 0)
        q = &rmq_alert_quantities[j];
    assert_non_null(q);
    struct rmq_alert_limits l = rmq_alert_rule_limits(r, q);
    assert_true(rows[i].want_warning == 0 ? isnan(l.warning)
                                          : l.warning == rows[i].want_warning);
    assert_true(rows[i].want_failure == 0 ? isnan(l.failure)
                                          : l.failure == rows[i].want_failure);
    assert_int_equal(l.is_lower_worse,
                     strcmp(rows[i].kind, "certificate") == 0);
    assert_true(l.clear == 0.9);
    assert_int_equal(l.hold.ns, rmq_s(rows[i].want_hold_s).ns);
    assert_int_equal(l.clear_hold.ns, rmq_s(rows[i].want_clear_hold_s).ns);
    bool is_of_probe = strcmp(rows[i].instance, "probe_delivery") == 0;
    assert_int_equal(l.stale.ns, rmq_s(is_of_probe ? 180 : 30).ns);
    assert_string_equal(rmq_alert_priority_to_str(rmq_alert_rule_priority(r)),
                        rows[i].want_priority);
    rmq_alert_rule_free(r);
  }
}

static void clear_hold_follows_a_hold_that_is_given(void **state) {
  (void)state;
  static const struct {
    const char *kind;
    int hold_s, clear_hold_s; /* -1 = not given */
    int want_hold_s, want_clear_hold_s;
  } rows[] = {
      {"backlog", -1, -1, 300, 300},
      {"backlog", 60, -1, 60, 60},
      {"backlog", -1, 10, 300, 10},
      {"backlog", 60, 0, 60, 0},
      {"backlog", 0, -1, 0, 0},
      {"no-consumer", -1, -1, 300, 60},
      {"no-consumer", 600, -1, 600, 600},
      {"alarm", -1, -1, 0, 60},
      {"alarm", 5, -1, 5, 5},
      {"alarm", 0, 60, 0, 60},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("row %zu, %s", i, rows[i].kind);
    struct rmq_alert_config c = config_of(rows[i].kind);
    if (rows[i].hold_s >= 0)
      c.hold = rmq_s(rows[i].hold_s);
    if (rows[i].clear_hold_s >= 0)
      c.clear_hold = rmq_s(rows[i].clear_hold_s);
    struct rmq_error err = {.text = ""};
    struct rmq_alert_rule *r = rmq_alert_rule_new(&c, &pace, &err);
    assert_non_null(r);
    struct rmq_alert_limits l =
        rmq_alert_rule_limits(r, &rmq_alert_quantities[0]);
    assert_int_equal(l.hold.ns, rmq_s(rows[i].want_hold_s).ns);
    assert_int_equal(l.clear_hold.ns, rmq_s(rows[i].want_clear_hold_s).ns);
    rmq_alert_rule_free(r);
  }
}

static void
quantities_stand_by_scope_and_count_as_the_header_says(void **state) {
  (void)state;
  for (size_t i = 0; i < RMQ_ALERT_QUANTITIES_COUNT; i++) {
    const struct rmq_alert_quantity *q = &rmq_alert_quantities[i];
    enum rmq_series_scope want = i < RMQ_ALERT_OF_CLUSTER ? RMQ_SERIES_CLUSTER
                                 : i < RMQ_ALERT_OF_CLUSTER + RMQ_ALERT_OF_NODE
                                     ? RMQ_SERIES_NODE
                                     : RMQ_SERIES_QUEUE;
    assert_int_equal(q->scope, want);
    assert_true((q->counts == NULL) == (q->is_bad != NULL));
    assert_true((q->is_bad == NULL) == (q->is_good == NULL));
    assert_true(q->counts == NULL || q->unit != NULL);
    assert_true((q->kind == RMQ_ALERT_RESOURCE) == (q->resource != NULL));
  }
  assert_int_equal(RMQ_ALERT_OF_CLUSTER + RMQ_ALERT_OF_NODE +
                       RMQ_ALERT_OF_QUEUE,
                   RMQ_ALERT_QUANTITIES_COUNT);
}

/* One pattern list of one text. */
static struct rmq_strings one(char **text) {
  return (struct rmq_strings){.items = text, .count = 1};
}

static void wrong_configs_are_refused_with_the_option(void **state) {
  (void)state;
  char bad_text[] = "/(/", name_text[] = "x", memory_text[] = "memory";
  char *bad[] = {bad_text}, *name[] = {name_text}, *memory[] = {memory_text};
  static const struct {
    const char *kind;
    double warning, failure;
    int queues, nodes, resources; /* 1 = a good text, 2 = a bad one */
    const char *want;             /* NULL = right */
  } rows[] = {
      {"backlog", NAN, NAN, 0, 0, 0, NULL},
      {"backlog", 10, 20, 1, 0, 0, NULL},
      {"backlog", 60000, NAN, 0, 0, 0, "option Warning: is over Failure"},
      {"backlog", 60000, 0, 0, 0, 0, NULL},
      {"rate-drop", NAN, 20, 0, 0, 0, "option Warning: is over Failure"},
      {"rate-drop", 0, 20, 0, 0, 0, NULL},
      {"certificate", 5, NAN, 0, 0, 0, "option Warning: is under Failure"},
      {"certificate", NAN, 40, 0, 0, 0, "option Warning: is under Failure"},
      {"certificate", 60, 14, 0, 0, 0, NULL},
      {"backlog", NAN, NAN, 2, 0, 0, "Queue"},
      {"backlog", NAN, NAN, 0, 1, 0, "option Node: this kind"},
      {"errors", NAN, NAN, 1, 0, 0, "option Queue: this kind"},
      {"connection", NAN, NAN, 0, 1, 0, NULL},
      {"alarm", NAN, NAN, 0, 2, 0, "Node"},
      {"resource", 60, 70, 0, 0, 1, NULL},
      {"resource", NAN, NAN, 0, 0, 2, "allowed: memory, file-handles"},
      {"alarm", NAN, NAN, 0, 0, 1, "Alert \"resource\"> only"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("row %zu, %s", i, rows[i].kind);
    struct rmq_alert_config c = config_of(rows[i].kind);
    struct rmq_buf errors;
    rmq_buf_init(&errors, 4096);
    c.warning = rows[i].warning;
    c.failure = rows[i].failure;
    if (rows[i].queues != 0)
      c.queues = one(rows[i].queues == 1 ? name : bad);
    if (rows[i].nodes != 0)
      c.nodes = one(rows[i].nodes == 1 ? name : bad);
    if (rows[i].resources != 0)
      c.resources = one(rows[i].resources == 1 ? memory : bad);
    int rc = rmq_alert_config_check(&c, &errors);
    assert_int_equal(rc, rows[i].want == NULL ? 0 : -1);
    const char *said = rmq_buf_text(&errors);
    if (rows[i].want == NULL)
      assert_string_equal(said, "");
    else if (strstr(said, rows[i].want) == NULL)
      fail_msg("said is \"%s\"", said);
    rmq_buf_fini(&errors);
  }
}

static bool matches(const struct rmq_alert_config *c, enum rmq_series_scope s,
                    const char *node, const char *vhost, const char *queue) {
  struct rmq_error err = {.text = ""};
  struct rmq_alert_rule *r = rmq_alert_rule_new(c, &pace, &err);
  bool does = false;
  assert_non_null(r);
  for (size_t i = 0; i < RMQ_ALERT_QUANTITIES_COUNT; i++)
    if (rmq_alert_quantities[i].scope == s)
      does |= rmq_alert_rule_matches(r, &rmq_alert_quantities[i], node, vhost,
                                     queue);
  rmq_alert_rule_free(r);
  return does;
}

static void patterns_choose_the_objects(void **state) {
  (void)state;
  char orders_text[] = "/^orders\\./", slash_text[] = "/";
  char node_text[] = "rabbit@a";
  char *orders[] = {orders_text}, *slash[] = {slash_text};
  char *node[] = {node_text};
  struct rmq_alert_config c = config_of("backlog");
  assert_true(matches(&c, RMQ_SERIES_QUEUE, NULL, "v", "q"));
  assert_false(matches(&c, RMQ_SERIES_CLUSTER, NULL, NULL, NULL));
  c.queues = one(orders);
  c.vhosts = one(slash);
  assert_true(matches(&c, RMQ_SERIES_QUEUE, NULL, "/", "orders.eu"));
  assert_false(matches(&c, RMQ_SERIES_QUEUE, NULL, "v", "orders.eu"));
  assert_false(matches(&c, RMQ_SERIES_QUEUE, NULL, "/", "borders.eu"));
  c = config_of("delay");
  assert_true(matches(&c, RMQ_SERIES_CLUSTER, NULL, NULL, NULL));
  assert_false(rmq_alert_config_needs_queues(&c));
  c.vhosts = one(slash); /* then it is about queues only */
  assert_false(matches(&c, RMQ_SERIES_CLUSTER, NULL, NULL, NULL));
  assert_true(matches(&c, RMQ_SERIES_QUEUE, NULL, "/", "q"));
  assert_true(rmq_alert_config_needs_queues(&c));
  c = config_of("connection");
  assert_true(matches(&c, RMQ_SERIES_CLUSTER, NULL, NULL, NULL));
  assert_true(matches(&c, RMQ_SERIES_NODE, "rabbit@b", NULL, NULL));
  c.nodes = one(node); /* then it is about nodes only */
  assert_false(matches(&c, RMQ_SERIES_CLUSTER, NULL, NULL, NULL));
  assert_true(matches(&c, RMQ_SERIES_NODE, "rabbit@a", NULL, NULL));
  assert_false(matches(&c, RMQ_SERIES_NODE, "rabbit@b", NULL, NULL));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_kind_has_its_limits_holds_and_priority),
      cmocka_unit_test(clear_hold_follows_a_hold_that_is_given),
      cmocka_unit_test(quantities_stand_by_scope_and_count_as_the_header_says),
      cmocka_unit_test(wrong_configs_are_refused_with_the_option),
      cmocka_unit_test(patterns_choose_the_objects),
  };
  return run_all(tests);
}
