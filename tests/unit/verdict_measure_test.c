/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/alert_kind.h"
#include "common/role/verdict_measure.h"
#include "tests/testing.h"

#include <stdio.h>
#include <string.h>

/* An alert is raised at its limit, a range beyond it: with a limit of 1, of
 * what is counted, that is above 0. */
static void put_range(const struct rmq_alert_quantity *q, double limit,
                      char text[32]) {
  snprintf(text, 32, q->is_lower_worse ? "%.0f:" : "%.0f",
           limit == 1 ? 0 : limit);
  if (limit == 0)
    text[0] = '\0';
}

static bool is_about(const struct rmq_verdict_measure *m,
                     const struct rmq_alert_quantity *q) {
  if (m->scope != q->scope || strcmp(m->type, q->type) != 0 ||
      strcmp(m->type_instance, q->type_instance) != 0)
    return false;
  /* the backlog is a sum, here and there */
  return q->kind != RMQ_ALERT_BACKLOG || strcmp(q->type, "gauge") == 0 ||
         m->plus != NULL;
}

/* The same limits as the alerts', so that two ways of asking do not differ. */
static void limits_are_those_of_the_alerts(void **state) {
  (void)state;
  size_t compared = 0;
  for (size_t i = 0; i < rmq_verdict_measures_count; i++)
    for (size_t k = 0; k < RMQ_ALERT_QUANTITIES_COUNT; k++) {
      const struct rmq_verdict_measure *m = &rmq_verdict_measures_table[i];
      const struct rmq_alert_quantity *q = &rmq_alert_quantities[k];
      char text[32];
      if (m->is_fact || !is_about(m, q))
        continue;
      put_range(q, q->failure, text);
      assert_string_equal(m->critical != NULL ? m->critical : "", text);
      put_range(q, q->warning, text);
      assert_string_equal(m->warning != NULL ? m->warning : "", text);
      compared++;
    }
  assert_true(compared >= 15);
}

/* What an alert is about and no verdict has as a measure, and why. */
static const struct {
  const char *type_instance, *why;
} left_to_the_monitor[] = {
    {"throughput_drop", "it needs the past"},
    {"consumer_delivery", "it is of consumers in the monitor's process"},
    {"reachable", "no answer is CRITICAL whatever was asked"},
    {"auth_failed_per_minute", "it needs a minute"},
    {"channel_closed_per_minute", "it needs a minute"},
    {"scraped", "metrics_missing says it, of nodes without a name, too"},
    {"consumers", "it is news after a while only"}};

static void what_an_alert_is_about_a_verdict_judges(void **state) {
  (void)state;
  size_t left = 0;
  for (size_t k = 0; k < RMQ_ALERT_QUANTITIES_COUNT; k++) {
    const struct rmq_alert_quantity *q = &rmq_alert_quantities[k];
    bool is_measure = false, is_left = false;
    for (size_t i = 0; i < rmq_verdict_measures_count; i++)
      is_measure |= is_about(&rmq_verdict_measures_table[i], q);
    for (size_t i = 0; i < COUNT_OF(left_to_the_monitor); i++)
      is_left |=
          strcmp(q->type_instance, left_to_the_monitor[i].type_instance) == 0;
    if (is_measure == is_left)
      fail_msg("%s-%s: %s", q->type, q->type_instance,
               is_left ? "a measure, and left out" : "no measure has it");
    left += is_left;
  }
  assert_int_equal(left, COUNT_OF(left_to_the_monitor));
}

/* So that its array of tallies has room, and its rows stand together. */
static void rows_of_an_indicator_stand_together(void **state) {
  (void)state;
  size_t count = 1;
  for (size_t i = 1; i < rmq_verdict_measures_count; i++) {
    const struct rmq_verdict_measure *m = &rmq_verdict_measures_table[i];
    assert_true(m->indicator >= m[-1].indicator);
    count = m->indicator == m[-1].indicator ? count + 1 : 1;
    assert_true(count <= RMQ_VERDICT_MEASURES_MAX);
  }
}

int main(void) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(limits_are_those_of_the_alerts),
      cmocka_unit_test(what_an_alert_is_about_a_verdict_judges),
      cmocka_unit_test(rows_of_an_indicator_stand_together)};
  cmocka_set_message_output(CM_OUTPUT_TAP);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
