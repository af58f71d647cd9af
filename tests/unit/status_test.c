/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/status.h"
#include "tests/testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct object {
  const char *node, *vhost, *queue;
};
static const struct object cluster = {NULL, NULL, NULL};
static const struct object node1 = {"rabbit@a", NULL, NULL};

static void see(struct rmq_status *s, const char *type, const char *instance,
                double value, struct object o) {
  struct rmq_meta meta[3];
  size_t count = 0;
  const char *names[][2] = {
      {"node", o.node}, {"vhost", o.vhost}, {"queue", o.queue}};
  for (size_t i = 0; i < COUNT_OF(names); i++)
    if (names[i][1] != NULL)
      meta[count++] = (struct rmq_meta){.key = names[i][0],
                                        .type = RMQ_META_STRING,
                                        .value.string = names[i][1]};
  struct rmq_datum datum = {"value", RMQ_GAUGE, {.gauge = value}};
  struct rmq_sample sample = {
      .id = {"", "rabbitmq_monitor", "main", type, instance},
      .values = &datum,
      .values_count = 1,
      .meta = meta,
      .meta_count = count};
  rmq_status_see(s, &sample);
}

static void see_queue(struct rmq_status *s, const char *name, double ready,
                      double unacked, double consumers) {
  const struct object o = {NULL, "/", name};
  see(s, "queue_length", "ready", ready, o);
  see(s, "queue_length", "unacked", unacked, o);
  if (!isnan(consumers))
    see(s, "gauge", "consumers", consumers, o);
}

static void hear(struct rmq_status *s, enum rmq_level level, const char *event,
                 const char *message) {
  rmq_status_hear(s, &(struct rmq_log_record){
                         .level = level, .event = event, .message = message});
}

/* A cluster of which all is known and well. */
static void begin_well(struct rmq_status *s) {
  rmq_status_begin(s);
  see(s, "bool", "reachable", 1, cluster);
  see(s, "response_time", "management", 0.01, cluster);
  see(s, "queue_length", "ready", 5, cluster);
  see(s, "queue_length", "unacked", 2, cluster);
  see(s, "percent", "error_rate", 0, cluster);
  see(s, "total_operations", "publish", 100, cluster);
  see(s, "gauge", "publish_rate", 10, cluster);
  see(s, "bool", "running", 1, node1);
  see(s, "percent", "memory", 40, node1);
}

static void end(struct rmq_status *s, int64_t seconds) {
  rmq_status_end(s, (struct rmq_wall){seconds * RMQ_NS_PER_S});
}

static const struct rmq_status_indicator *
indicator(const struct rmq_status *s, enum rmq_verdict_indicator i) {
  return &rmq_status_get(s)->indicators[i];
}

static void the_worst_queues_come_first(void **state) {
  struct rmq_status *s = rmq_status_new("main", 4);
  (void)state;
  begin_well(s);
  see_queue(s, "b", 10, 0, 1);
  see_queue(s, "empty", 0, 0, 0);
  see_queue(s, "a", 10, 0, 1);
  see_queue(s, "abandoned", 1, 0, 0);
  see_queue(s, "small", 2, 0, 1);
  see_queue(s, "full", 50001, 0, 3);
  see_queue(s, "old", 3, 0, 1);
  see(s, "duration", "head_age", 301, (struct object){NULL, "/", "old"});
  see_queue(s, "untold", NAN, NAN, NAN);
  end(s, 100);
  const struct rmq_status_report *r = rmq_status_get(s);
  static const char *const want[] = {"full", "old", "abandoned", "a"};
  assert_int_equal(r->queues_count, 4);
  for (size_t i = 0; i < 4; i++)
    assert_string_equal(r->queues[i].name, want[i]);
  assert_int_equal(r->queues_seen, 8);
  assert_int_equal(r->queues_filled, 6);
  assert_int_equal(r->queues_abandoned, 1);
  assert_int_equal(r->queues[0].state, RMQ_VERDICT_CRITICAL);
  assert_int_equal(r->queues[2].state, RMQ_VERDICT_OK);
  assert_true(isnan(r->queues[0].drain));
  assert_int_equal(r->state, RMQ_VERDICT_CRITICAL);
  rmq_status_free(s);
}

static void no_queue_is_kept_where_none_is_wanted(void **state) {
  struct rmq_status *s = rmq_status_new("main", 0);
  (void)state;
  begin_well(s);
  see_queue(s, "q", 10, 0, 1);
  end(s, 100);
  assert_int_equal(rmq_status_get(s)->queues_count, 0);
  assert_int_equal(rmq_status_get(s)->queues_filled, 1);
  rmq_status_free(s);
}

static void a_state_lasts_since_the_look_that_found_it(void **state) {
  struct rmq_status *s = rmq_status_new("main", 4);
  const struct rmq_status_indicator *lag = indicator(s, RMQ_VERDICT_LAG);
  const struct rmq_status_indicator *errors = indicator(s, RMQ_VERDICT_ERRORS);
  (void)state;
  for (int look = 0; look < 4; look++) {
    begin_well(s);
    see_queue(s, "q", look < 2 ? 5 : 60000, 0, 1);
    end(s, 100 + look);
    if (look == 0) {
      assert_int_equal(errors->state, RMQ_VERDICT_UNKNOWN);
      assert_string_equal(errors->text, "not known before the second look");
    }
  }
  assert_int_equal(lag->state, RMQ_VERDICT_CRITICAL);
  assert_int_equal(lag->since.ns / RMQ_NS_PER_S, 102);
  assert_false(lag->is_older);
  assert_int_equal(errors->state, RMQ_VERDICT_OK);
  assert_int_equal(errors->since.ns / RMQ_NS_PER_S, 101);
  assert_true(errors->is_older); /* it was not known before */
  assert_true(indicator(s, RMQ_VERDICT_CONNECTION)->is_older);
  rmq_status_free(s);
}

static void of_a_cluster_that_is_silent_only_that_is_known(void **state) {
  struct rmq_status *s = rmq_status_new("main", 4);
  (void)state;
  rmq_status_begin(s);
  hear(s, RMQ_LOG_ERROR, "refused", "every poll asks it again");
  see(s, "bool", "reachable", 0, cluster);
  rmq_status_fall_silent(s, "refused: HTTP 401");
  end(s, 100);
  const struct rmq_status_report *r = rmq_status_get(s);
  assert_false(r->is_answered);
  assert_int_equal(r->state, RMQ_VERDICT_CRITICAL);
  assert_int_equal(r->indicators[RMQ_VERDICT_CONNECTION].state,
                   RMQ_VERDICT_CRITICAL);
  assert_string_equal(r->indicators[RMQ_VERDICT_CONNECTION].text,
                      "refused: HTTP 401");
  for (int i = RMQ_VERDICT_LAG; i < RMQ_STATUS_INDICATORS; i++)
    assert_string_equal(r->indicators[i].text, "not known: see connection");
  assert_int_equal(r->notes_count, 0); /* each cause once */
  /* Of each look its own. */
  rmq_status_begin(s);
  see(s, "bool", "reachable", 0, cluster);
  rmq_status_fall_silent(s, "no answer: refused");
  end(s, 101);
  assert_string_equal(r->indicators[RMQ_VERDICT_CONNECTION].text,
                      "no answer: refused");
  rmq_status_begin(s);
  see(s, "bool", "reachable", 0, cluster);
  end(s, 102);
  assert_string_equal(r->indicators[RMQ_VERDICT_CONNECTION].text, "no answer");
  begin_well(s);
  end(s, 103);
  assert_int_equal(r->indicators[RMQ_VERDICT_CONNECTION].state, RMQ_VERDICT_OK);
  rmq_status_free(s);
}

static void
a_part_that_is_missing_makes_lag_unknown_while_it_lasts(void **state) {
  struct rmq_status *s = rmq_status_new("main", 4);
  const struct rmq_status_indicator *lag = indicator(s, RMQ_VERDICT_LAG);
  (void)state;
  for (int look = 0; look < 3; look++) {
    begin_well(s);
    if (look == 0)
      hear(s, RMQ_LOG_WARNING, "queues_missing", "queues: status 500");
    if (look == 2)
      hear(s, RMQ_LOG_NOTICE, "queues_missing", "queues: complete again");
    see_queue(s, "q", 5, 0, 1);
    end(s, 100 + look);
    assert_int_equal(lag->state,
                     look < 2 ? RMQ_VERDICT_UNKNOWN : RMQ_VERDICT_OK);
    assert_int_equal(rmq_status_get(s)->notes_count, look < 2 ? 1 : 0);
  }
  rmq_status_free(s);
}

/* Each indicator has its own parts, and its own reason. */
static void what_one_indicator_lacks_leaves_the_others_alone(void **state) {
  struct rmq_status *s = rmq_status_new("main", 4);
  const struct rmq_status_indicator *c = indicator(s, RMQ_VERDICT_CONNECTION);
  (void)state;
  begin_well(s);
  see_queue(s, "q", 5, 0, 1);
  hear(s, RMQ_LOG_WARNING, "queues_missing", "queues: status 500");
  hear(s, RMQ_LOG_WARNING, "quorum_missing", "quorum: timed out");
  end(s, 100);
  assert_int_equal(c->state, RMQ_VERDICT_UNKNOWN);
  assert_string_equal(c->text,
                      "the broker does not tell all of it: quorum: timed out");
  assert_string_equal(indicator(s, RMQ_VERDICT_LAG)->text,
                      "the broker does not tell all of it: queues: status 500");
  assert_int_equal(indicator(s, RMQ_VERDICT_RESOURCE)->state, RMQ_VERDICT_OK);
  rmq_status_free(s);
}

static void a_cause_that_several_lack_for_is_told_by_the_first(void **state) {
  struct rmq_status *s = rmq_status_new("main", 4);
  (void)state;
  for (int look = 0; look < 2; look++) {
    begin_well(s);
    see_queue(s, "q", 5, 0, 1);
    if (look == 0)
      hear(s, RMQ_LOG_WARNING, "nodes_missing", "nodes: status 401");
    end(s, 100 + look);
  }
  assert_string_equal(indicator(s, RMQ_VERDICT_CONNECTION)->text,
                      "the broker does not tell all of it: nodes: status 401");
  assert_string_equal(indicator(s, RMQ_VERDICT_ERRORS)->text,
                      "the broker does not tell all of it: see connection");
  assert_string_equal(indicator(s, RMQ_VERDICT_THROUGHPUT)->text,
                      "the broker does not tell all of it: see connection");
  assert_int_equal(indicator(s, RMQ_VERDICT_LAG)->state, RMQ_VERDICT_OK);
  rmq_status_free(s);
}

static void
the_probe_is_awaited_and_its_troubles_are_noted_until_over(void **state) {
  struct rmq_status *s = rmq_status_new("main", 4);
  const struct rmq_status_indicator *c = indicator(s, RMQ_VERDICT_CONNECTION);
  (void)state;
  rmq_status_expect_probe(s);
  static const enum rmq_verdict_state want[] = {
      RMQ_VERDICT_UNKNOWN, RMQ_VERDICT_CRITICAL, RMQ_VERDICT_OK};
  static const size_t want_notes[] = {0, 3, 0};
  for (int look = 0; look < 3; look++) {
    begin_well(s);
    see_queue(s, "q", 5, 0, 1);
    if (look == 1) {
      hear(s, RMQ_LOG_WARNING, "blocked", "rabbit1:5672: low on memory");
      hear(s, RMQ_LOG_WARNING, "connect_failed", "rabbit1:5672: refused");
      hear(s, RMQ_LOG_ERROR, "probe", "not usable");
    } else if (look == 2) {
      hear(s, RMQ_LOG_NOTICE, "connected", "the trouble is over");
      hear(s, RMQ_LOG_NOTICE, "probe", "the probe's messages come back again");
    }
    if (look > 0)
      see(s, "bool", "amqp_usable", look - 1, cluster);
    end(s, 100 + look);
    assert_int_equal(c->state, want[look]);
    assert_int_equal(rmq_status_get(s)->notes_count, want_notes[look]);
  }
  rmq_status_free(s);
}

static void history_keeps_the_last_looks_and_their_figures(void **state) {
  struct rmq_status *s = rmq_status_new("main", 4);
  (void)state;
  for (int look = 0; look < RMQ_STATUS_HISTORY_MAX + 3; look++) {
    begin_well(s);
    see(s, "response_time", "management", look, cluster);
    end(s, 100 + look);
  }
  const struct rmq_status_indicator *c = indicator(s, RMQ_VERDICT_CONNECTION);
  assert_int_equal(c->history_count, RMQ_STATUS_HISTORY_MAX);
  assert_true(c->history[0] == 3);
  assert_true(indicator(s, RMQ_VERDICT_LAG)->history[0] == 7);
  assert_true(indicator(s, RMQ_VERDICT_RESOURCE)->history[0] == 40);
  rmq_status_begin(s);
  see(s, "bool", "reachable", 0, cluster);
  end(s, 900);
  assert_true(isnan(c->history[RMQ_STATUS_HISTORY_MAX - 1]));
  rmq_status_free(s);
}

static void as_many_nodes_are_kept_as_a_snapshot_has(void **state) {
  struct rmq_status *s = rmq_status_new("main", 4);
  (void)state;
  rmq_status_begin(s);
  see(s, "bool", "reachable", 1, cluster);
  for (int i = 0; i < RMQ_SNAPSHOT_NODES_MAX + 2; i++) {
    char name[32];
    snprintf(name, sizeof(name), "rabbit@n%d", i);
    see(s, "bool", "running", 1, (struct object){name, NULL, NULL});
  }
  end(s, 100);
  assert_int_equal(rmq_status_get(s)->nodes_count, RMQ_SNAPSHOT_NODES_MAX);
  rmq_status_free(s);
}

static void the_worse_of_two_states_counts(void **state) {
  (void)state;
  assert_int_equal(rmq_status_worse(RMQ_VERDICT_UNKNOWN, RMQ_VERDICT_WARNING),
                   RMQ_VERDICT_WARNING);
  assert_int_equal(rmq_status_worse(RMQ_VERDICT_CRITICAL, RMQ_VERDICT_UNKNOWN),
                   RMQ_VERDICT_CRITICAL);
  assert_int_equal(rmq_status_worse(RMQ_VERDICT_OK, RMQ_VERDICT_UNKNOWN),
                   RMQ_VERDICT_UNKNOWN);
}

int main(void) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_worst_queues_come_first),
      cmocka_unit_test(no_queue_is_kept_where_none_is_wanted),
      cmocka_unit_test(a_state_lasts_since_the_look_that_found_it),
      cmocka_unit_test(of_a_cluster_that_is_silent_only_that_is_known),
      cmocka_unit_test(a_part_that_is_missing_makes_lag_unknown_while_it_lasts),
      cmocka_unit_test(what_one_indicator_lacks_leaves_the_others_alone),
      cmocka_unit_test(a_cause_that_several_lack_for_is_told_by_the_first),
      cmocka_unit_test(
          the_probe_is_awaited_and_its_troubles_are_noted_until_over),
      cmocka_unit_test(history_keeps_the_last_looks_and_their_figures),
      cmocka_unit_test(as_many_nodes_are_kept_as_a_snapshot_has),
      cmocka_unit_test(the_worse_of_two_states_counts)};
  cmocka_set_message_output(CM_OUTPUT_TAP);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
