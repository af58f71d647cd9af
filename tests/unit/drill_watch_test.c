/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/drill_watch.h"
#include "tests/testing.h"

#include <math.h>
#include <string.h>

/* A gauge; labels that are NULL are not there. */
static void feed(struct rmq_drill_watch *w, const char *type,
                 const char *instance, double value, const char *vhost,
                 const char *queue) {
  struct rmq_meta meta[2];
  size_t n = 0;
  if (vhost != NULL)
    meta[n++] =
        (struct rmq_meta){"vhost", RMQ_META_STRING, .value.string = vhost};
  if (queue != NULL)
    meta[n++] =
        (struct rmq_meta){"queue", RMQ_META_STRING, .value.string = queue};
  const struct rmq_datum datum = {"value", RMQ_GAUGE, .value.gauge = value};
  const struct rmq_sample s = {
      .id = {"", "rabbitmq_monitor", "drill", type, instance},
      .values = &datum,
      .values_count = 1,
      .meta = meta,
      .meta_count = n};
  rmq_drill_watch_sample(w, &s);
}

static void tell(struct rmq_drill_watch *w, const char *indicator,
                 enum rmq_severity severity) {
  const struct rmq_meta meta[] = {
      {"value", RMQ_META_DOUBLE, .value.number = 1},
      {"indicator", RMQ_META_STRING, .value.string = indicator}};
  const struct rmq_event e = {
      .severity = severity, .message = "", .meta = meta, .meta_count = 2};
  rmq_drill_watch_event(w, &e);
}

static void before_the_first_report_nothing_is_well(void **state) {
  (void)state;
  for (int k = 0; k < RMQ_DRILLS_COUNT; k++) {
    struct rmq_drill_watch w;
    SHOW_ROW("%s", rmq_drill_kind_to_str((enum rmq_drill_kind)k));
    rmq_drill_watch_init(&w, (enum rmq_drill_kind)k, "v");
    assert_false(rmq_drill_watch_is_well(&w));
    assert_false(rmq_drill_watch_has_moved(&w));
  }
}

static void each_indicator_moves_in_its_own_way(void **state) {
  static const struct {
    enum rmq_drill_kind kind;
    const char *type, *instance;
    double well, moved;
  } rows[] = {{RMQ_DRILL_CLOSED_CONNECTION, "bool", "amqp_usable", 1, 0},
              {RMQ_DRILL_UNROUTABLE, "total_events", "returned", 7, 8},
              {RMQ_DRILL_NACK, "total_events", "unconfirmed", 0, 10},
              {RMQ_DRILL_REDELIVERY, "total_events", "redelivered", 3, 4},
              {RMQ_DRILL_MEMORY_ALARM, "bool", "memory_alarm", 0, 1},
              {RMQ_DRILL_DISK_ALARM, "bool", "disk_alarm", 0, 1},
              {RMQ_DRILL_KILL, "bool", "reachable", 1, 0}};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_drill_watch w;
    SHOW_ROW("%s", rmq_drill_kind_to_str(rows[i].kind));
    rmq_drill_watch_init(&w, rows[i].kind, "v");
    feed(&w, "bool", "reachable", 1, NULL, NULL);
    feed(&w, rows[i].type, rows[i].instance, rows[i].well, NULL, NULL);
    assert_true(rmq_drill_watch_is_well(&w));
    rmq_drill_watch_begin(&w);
    assert_false(rmq_drill_watch_has_moved(&w));
    feed(&w, rows[i].type, rows[i].instance, (double)NAN, NULL, NULL);
    assert_false(rmq_drill_watch_has_moved(&w)); /* not known */
    /* The same of another virtual host is none of it. */
    feed(&w, rows[i].type, rows[i].instance, rows[i].moved, "other", NULL);
    assert_false(rmq_drill_watch_has_moved(&w));
    feed(&w, rows[i].type, rows[i].instance, rows[i].moved, NULL, NULL);
    assert_true(rmq_drill_watch_has_moved(&w));
  }
}

static void only_the_drills_own_queue_is_its_backlog(void **state) {
  static const struct {
    const char *vhost, *queue;
    double ready;
    bool want_moved;
  } rows[] = {{NULL, NULL, 100, false},
              {"v", NULL, 100, false},
              {"other", "q", 100, false},
              {"v", "q", RMQ_DRILL_WATCH_BACKLOG - 1, false},
              {"v", "q", RMQ_DRILL_WATCH_BACKLOG, true}};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_drill_watch w;
    SHOW_ROW("%zu", i);
    rmq_drill_watch_init(&w, RMQ_DRILL_BACKLOG, "v");
    feed(&w, "bool", "reachable", 1, NULL, NULL);
    assert_true(rmq_drill_watch_is_well(&w));
    feed(&w, "queue_length", "ready", rows[i].ready, rows[i].vhost,
         rows[i].queue);
    assert_int_equal(rmq_drill_watch_has_moved(&w), rows[i].want_moved);
  }
}

/* Which source is asked, told by what the monitor reports of it. */
static void begin_counter(struct rmq_drill_watch *w, enum rmq_drill_kind kind,
                          bool has_management, bool has_nodes) {
  rmq_drill_watch_init(w, kind, "v");
  feed(w, "bool", "reachable", 1, NULL, NULL);
  if (has_management)
    feed(w, "response_time", "management", 0.01, NULL, NULL);
  if (has_nodes)
    feed(w, "response_time", "prometheus", 0.01, NULL, NULL);
  feed(w, "total_events", "returned", 7, NULL, NULL);
  feed(w, "queue_length", "ready", 0, "v", NULL);
  rmq_drill_watch_begin(w);
}

static void what_others_do_is_no_move_of_the_drills_own_counter(void **state) {
  (void)state;
  struct rmq_drill_watch w;
  begin_counter(&w, RMQ_DRILL_UNROUTABLE, true, false);
  feed(&w, "total_events", "returned", 8, NULL, NULL);
  feed(&w, "total_events", "returned", 9, "other", NULL);
  feed(&w, "total_events", "returned", 9, "v", "q");
  assert_false(rmq_drill_watch_has_moved(&w));
  feed(&w, "total_events", "returned", 0, "v", NULL); /* seen first */
  assert_false(rmq_drill_watch_has_moved(&w));
  feed(&w, "total_events", "returned", 1, "v", NULL);
  assert_true(rmq_drill_watch_has_moved(&w));
  assert_false(rmq_drill_watch_is_shared(&w));
}

/* The nodes may not tell virtual hosts apart, and never nacks. */
static void of_a_counter_that_is_shared_it_is_said(void **state) {
  (void)state;
  struct rmq_drill_watch w;
  begin_counter(&w, RMQ_DRILL_UNROUTABLE, true, true);
  assert_false(rmq_drill_watch_has_moved(&w));
  feed(&w, "total_events", "returned", 8, NULL, NULL);
  assert_true(rmq_drill_watch_has_moved(&w));
  assert_true(rmq_drill_watch_is_shared(&w));
  feed(&w, "total_events", "returned", 0, "v", NULL); /* they do */
  assert_false(rmq_drill_watch_has_moved(&w));
  assert_false(rmq_drill_watch_is_shared(&w));
  begin_counter(&w, RMQ_DRILL_NACK, false, true);
  feed(&w, "total_events", "unconfirmed", 1, NULL, NULL);
  assert_true(rmq_drill_watch_has_moved(&w));
  assert_true(rmq_drill_watch_is_shared(&w));
  begin_counter(&w, RMQ_DRILL_BACKLOG, true, false);
  assert_false(rmq_drill_watch_is_shared(&w));
}

static void a_fault_that_is_there_already_is_not_well(void **state) {
  struct rmq_drill_watch w;
  (void)state;
  rmq_drill_watch_init(&w, RMQ_DRILL_MEMORY_ALARM, "v");
  feed(&w, "bool", "reachable", 1, NULL, NULL);
  assert_false(rmq_drill_watch_is_well(&w)); /* not told yet */
  feed(&w, "bool", "memory_alarm", 1, NULL, NULL);
  assert_false(rmq_drill_watch_is_well(&w));
  feed(&w, "bool", "memory_alarm", 0, NULL, NULL);
  assert_true(rmq_drill_watch_is_well(&w));
  feed(&w, "bool", "reachable", 0, NULL, NULL);
  assert_false(rmq_drill_watch_is_well(&w));
}

static void only_its_own_alert_counts_and_only_since_the_fault(void **state) {
  struct rmq_drill_watch w;
  (void)state;
  rmq_drill_watch_init(&w, RMQ_DRILL_NACK, "v");
  tell(&w, "backlog", RMQ_FAILURE);
  assert_false(w.is_raised || w.was_raised);
  tell(&w, "errors", RMQ_FAILURE);
  tell(&w, "errors", RMQ_OKAY);
  assert_true(!w.is_raised && w.was_raised);
  rmq_drill_watch_begin(&w);
  assert_false(w.was_raised);
  tell(&w, "errors", RMQ_WARNING);
  assert_false(w.is_raised || w.was_raised);
  tell(&w, "errors", RMQ_FAILURE);
  assert_true(w.is_raised && w.was_raised);
  tell(&w, "errors", RMQ_OKAY);
  assert_true(!w.is_raised && w.was_raised);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(before_the_first_report_nothing_is_well),
      cmocka_unit_test(each_indicator_moves_in_its_own_way),
      cmocka_unit_test(only_the_drills_own_queue_is_its_backlog),
      cmocka_unit_test(what_others_do_is_no_move_of_the_drills_own_counter),
      cmocka_unit_test(of_a_counter_that_is_shared_it_is_said),
      cmocka_unit_test(a_fault_that_is_there_already_is_not_well),
      cmocka_unit_test(only_its_own_alert_counts_and_only_since_the_fault)};
  cmocka_set_message_output(CM_OUTPUT_TAP);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
