/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/alert_state.h"

#include "tests/testing.h"

#include <math.h>

/* Limits 50 and 100, left under 45 and 90; hold 30 s, clear hold 20 s. */
static const struct rmq_alert_limits limits = {
    .warning = 50,
    .failure = 100,
    .clear = 0.9,
    .hold = {30 * RMQ_NS_PER_S},
    .clear_hold = {20 * RMQ_NS_PER_S},
    .stale = {30 * RMQ_NS_PER_S}};

struct at {
  int s; /* of the clock */
  double value;
  enum rmq_severity want_severity;
};

static void follow(const struct rmq_alert_limits *l, const struct at *history,
                   size_t count) {
  struct rmq_alert_state s = {.is_known = false};
  for (size_t i = 0; i < count; i++) {
    SHOW_ROW("%d s: %g", history[i].s, history[i].value);
    struct rmq_mono now = {(1000 + history[i].s) * RMQ_NS_PER_S};
    assert_int_equal(rmq_alert_state_step(&s, l, history[i].value, now),
                     history[i].want_severity);
    assert_int_equal(rmq_alert_state_severity(&s), history[i].want_severity);
  }
}
#define FOLLOW(l, ...)                                                         \
  do {                                                                         \
    const struct at history[] = {__VA_ARGS__};                                 \
    follow(l, history, COUNT_OF(history));                                     \
  } while (0)

static void a_value_reaches_either_of_the_limits_that_there_are(void **state) {
  (void)state;
  const double none = (double)NAN;
  const struct {
    struct rmq_alert_limits limits;
    double value;
    bool want;
  } rows[] = {
      {{.warning = 50, .failure = 100}, 49.9, false},
      {{.warning = 50, .failure = 100}, 50, true},
      {{.warning = none, .failure = 100}, 99.9, false},
      {{.warning = none, .failure = 100}, 100, true},
      {{.warning = 50, .failure = none}, 50, true},
      {{.warning = none, .failure = none}, 1e9, false},
      {{.warning = 50, .failure = 100}, none, false},
      {{.warning = 30, .failure = 7, .is_lower_worse = true}, 30.1, false},
      {{.warning = 30, .failure = 7, .is_lower_worse = true}, 30, true},
      {{.warning = none, .failure = 7, .is_lower_worse = true}, 8, false},
      {{.warning = none, .failure = 7, .is_lower_worse = true}, 7, true},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("row %zu", i);
    assert_int_equal(
        rmq_alert_limits_are_reached(&rows[i].limits, rows[i].value),
        rows[i].want);
  }
}

static void a_level_is_entered_after_the_whole_hold(void **state) {
  (void)state;
  FOLLOW(&limits, {0, 49.9, RMQ_OKAY}, {10, 50, RMQ_OKAY}, {20, 60, RMQ_OKAY},
         {30, 99, RMQ_OKAY}, {39, 50, RMQ_OKAY}, {40, 50, RMQ_WARNING});
}

static void a_dip_begins_the_hold_anew(void **state) {
  (void)state;
  FOLLOW(&limits, {0, 60, RMQ_OKAY}, {20, 60, RMQ_OKAY}, {25, 49, RMQ_OKAY},
         {30, 60, RMQ_OKAY}, {59, 60, RMQ_OKAY}, {60, 60, RMQ_WARNING});
}

static void each_level_has_a_hold_of_its_own(void **state) {
  (void)state;
  FOLLOW(&limits, {0, 60, RMQ_OKAY}, {20, 100, RMQ_OKAY},
         {30, 100, RMQ_WARNING}, {49, 100, RMQ_WARNING}, {50, 100, RMQ_FAILURE},
         /* out of failure, still a warning */
         {60, 89, RMQ_FAILURE}, {79, 89, RMQ_FAILURE}, {80, 89, RMQ_WARNING},
         {90, 44, RMQ_WARNING}, {110, 44, RMQ_OKAY});
}

static void both_levels_at_once_are_a_failure(void **state) {
  (void)state;
  FOLLOW(&limits, {0, 500, RMQ_OKAY}, {30, 500, RMQ_FAILURE},
         {40, 0, RMQ_FAILURE}, {60, 0, RMQ_OKAY});
}

static void around_the_limit_nothing_changes(void **state) {
  (void)state;
  struct rmq_alert_state s = {.is_known = false};
  int changes = 0;
  enum rmq_severity last = RMQ_OKAY;
  for (int i = 0; i < 200; i++) {
    struct rmq_mono now = {(1000 + 10 * i) * RMQ_NS_PER_S};
    enum rmq_severity severity =
        rmq_alert_state_step(&s, &limits, i < 10 || i % 2 == 0 ? 51 : 46, now);
    changes += severity != last;
    last = severity;
  }
  assert_int_equal(changes, 1);
  assert_int_equal(last, RMQ_WARNING);
}

static void a_rise_begins_the_clear_hold_anew(void **state) {
  (void)state;
  FOLLOW(&limits, {0, 60, RMQ_OKAY}, {30, 60, RMQ_WARNING},
         {40, 44, RMQ_WARNING}, {50, 45, RMQ_WARNING}, {60, 44, RMQ_WARNING},
         {79, 44, RMQ_WARNING}, {80, 44, RMQ_OKAY});
}

static void what_is_not_known_changes_nothing(void **state) {
  (void)state;
  FOLLOW(&limits, {0, 60, RMQ_OKAY}, {30, NAN, RMQ_OKAY},
         {60, NAN, RMQ_OKAY}, /* and 60 s is too long ago to count */
         {70, 60, RMQ_OKAY}, {99, 60, RMQ_OKAY}, {100, 60, RMQ_WARNING},
         {110, NAN, RMQ_WARNING}, {9999, NAN, RMQ_WARNING});
}

static void a_short_gap_does_not_begin_a_hold_anew(void **state) {
  (void)state;
  FOLLOW(&limits, {0, 60, RMQ_OKAY}, {10, NAN, RMQ_OKAY}, {20, NAN, RMQ_OKAY},
         {30, 60, RMQ_WARNING});
}

static void suspended_holds_begin_anew_and_what_is_raised_stays(void **state) {
  (void)state;
  struct rmq_alert_state s = {.is_known = false};
  for (int i = 0; i <= 20; i += 10)
    rmq_alert_state_step(&s, &limits, 60, (struct rmq_mono){i * RMQ_NS_PER_S});
  rmq_alert_state_suspend(&s);
  for (int i = 30; i <= 60; i += 10)
    assert_int_equal(rmq_alert_state_step(&s, &limits, 60,
                                          (struct rmq_mono){i * RMQ_NS_PER_S}),
                     i < 60 ? RMQ_OKAY : RMQ_WARNING);
  rmq_alert_state_suspend(&s);
  assert_int_equal(rmq_alert_state_severity(&s), RMQ_WARNING);
}

static void a_level_may_be_missing_and_a_hold_be_none(void **state) {
  (void)state;
  struct rmq_alert_limits l = limits;
  l.warning = (double)NAN;
  l.failure = 1;
  l.hold.ns = 0;
  FOLLOW(&l, {0, 0, RMQ_OKAY}, {10, 1, RMQ_FAILURE}, {20, 0, RMQ_FAILURE},
         {40, 0, RMQ_OKAY}, {50, 1, RMQ_FAILURE});
  l.failure = (double)NAN;
  FOLLOW(&l, {0, 1e9, RMQ_OKAY}, {99, 1e9, RMQ_OKAY});
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_value_reaches_either_of_the_limits_that_there_are),
      cmocka_unit_test(a_level_is_entered_after_the_whole_hold),
      cmocka_unit_test(a_dip_begins_the_hold_anew),
      cmocka_unit_test(each_level_has_a_hold_of_its_own),
      cmocka_unit_test(both_levels_at_once_are_a_failure),
      cmocka_unit_test(around_the_limit_nothing_changes),
      cmocka_unit_test(a_rise_begins_the_clear_hold_anew),
      cmocka_unit_test(what_is_not_known_changes_nothing),
      cmocka_unit_test(a_short_gap_does_not_begin_a_hold_anew),
      cmocka_unit_test(suspended_holds_begin_anew_and_what_is_raised_stays),
      cmocka_unit_test(a_level_may_be_missing_and_a_hold_be_none),
  };
  return run_all(tests);
}
