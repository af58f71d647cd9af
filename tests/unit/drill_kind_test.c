/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/alert_kind.h"
#include "common/broker/report.h"
#include "common/role/drill_kind.h"
#include "tests/testing.h"

#include <math.h>
#include <string.h>

static void each_is_found_by_its_word_and_no_other(void **state) {
  enum rmq_drill_kind found = RMQ_DRILL_KILL;
  (void)state;
  for (int k = 0; k < RMQ_DRILLS_COUNT; k++) {
    const char *word = rmq_drill_kind_to_str((enum rmq_drill_kind)k);
    SHOW_ROW("%s", word);
    assert_int_equal(rmq_drill_kind_from_str(word, &found), 0);
    assert_int_equal(found, k);
    assert_true(strlen(rmq_drill_kind_help((enum rmq_drill_kind)k)) > 0);
  }
  found = RMQ_DRILL_NACK;
  assert_int_equal(rmq_drill_kind_from_str("Nack", &found), -1);
  assert_int_equal(rmq_drill_kind_from_str("", &found), -1);
  assert_int_equal(found, RMQ_DRILL_NACK);
}

/* "type-type_instance" of a row of the monitor's table. */
static bool is_series(const char *name) {
  for (const struct rmq_series *s = rmq_report_series; s->type != NULL; s++) {
    size_t len = strlen(s->type);
    if (s->type_instance != NULL && strncmp(name, s->type, len) == 0 &&
        name[len] == '-' && strcmp(name + len + 1, s->type_instance) == 0)
      return true;
  }
  return false;
}

static bool is_alert(const char *word) {
  for (int k = 0; k < RMQ_ALERT_KINDS_COUNT; k++)
    if (strcmp(rmq_alert_kind_to_str((enum rmq_alert_kind)k), word) == 0)
      return true;
  return false;
}

static void each_watches_a_series_and_an_alert_that_there_are(void **state) {
  (void)state;
  for (int k = 0; k < RMQ_DRILLS_COUNT; k++) {
    SHOW_ROW("%s", rmq_drill_kind_to_str((enum rmq_drill_kind)k));
    assert_true(is_series(rmq_drill_kind_series((enum rmq_drill_kind)k)));
    assert_true(is_alert(rmq_drill_kind_alert((enum rmq_drill_kind)k)));
  }
}

/* Alarms block a whole cluster, and a kill ends everybody's connections. */
static void what_hurts_a_broker_needs_one_of_its_own(void **state) {
  static const struct {
    const char *word;
    bool want_private, want_share;
  } rows[] = {{"closed-connection", false, false},
              {"unroutable", false, true},
              {"nack", false, true},
              {"redelivery", false, true},
              {"backlog", false, false},
              {"memory-alarm", true, false},
              {"disk-alarm", true, false},
              {"kill", true, false}};
  (void)state;
  assert_int_equal(COUNT_OF(rows), RMQ_DRILLS_COUNT);
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    enum rmq_drill_kind k = RMQ_DRILL_KILL;
    SHOW_ROW("%s", rows[i].word);
    assert_int_equal(rmq_drill_kind_from_str(rows[i].word, &k), 0);
    assert_int_equal(rmq_drill_kind_is_private(k), rows[i].want_private);
    assert_int_equal(rmq_drill_kind_is_share(k), rows[i].want_share);
  }
}

static void it_has_passed_when_all_three_were_seen(void **state) {
  const double none = (double)NAN;
  const struct {
    struct rmq_drill_result result;
    bool want;
  } rows[] = {{{0, 0, 0, true, false}, true},
              {{1, 2, 3, true, false}, true},
              {{none, 2, 3, true, false}, false},
              {{1, none, 3, true, false}, false},
              {{1, 2, none, true, false}, false}};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%zu", i);
    assert_int_equal(rmq_drill_passed(&rows[i].result), rows[i].want);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_is_found_by_its_word_and_no_other),
      cmocka_unit_test(each_watches_a_series_and_an_alert_that_there_are),
      cmocka_unit_test(what_hurts_a_broker_needs_one_of_its_own),
      cmocka_unit_test(it_has_passed_when_all_three_were_seen)};
  cmocka_set_message_output(CM_OUTPUT_TAP);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
