/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/recent.h"
#include "tests/testing.h"

#include <math.h>

static double add(struct rmq_recent *r, double rate, double s) {
  return rmq_recent_add(r, rate, rmq_s(10),
                        (struct rmq_mono){(int64_t)(s * 1e9)});
}

static void statistics_that_come_in_jumps_have_a_steady_mean(void **state) {
  (void)state;
  struct rmq_recent r;
  rmq_recent_init(&r);
  for (int i = 0; i < 100; i++) { /* every 2 s, statistics of 5 s */
    double mean = add(&r, i * 2 % 5 < 2 ? 125 : 0, i * 2);
    if (i >= 5)
      assert_true(mean == 50);
  }
}

static void a_stop_is_seen_within_the_span(void **state) {
  (void)state;
  static const double want[] = {80, 60, 40, 20, 0};
  struct rmq_recent r;
  rmq_recent_init(&r);
  for (int i = 0; i < 20; i++)
    add(&r, 100, i * 2);
  for (int i = 0; i < 5; i++)
    assert_true(add(&r, 0, 40 + i * 2) == want[i]);
}

static void long_intervals_are_not_averaged(void **state) {
  (void)state;
  struct rmq_recent r;
  rmq_recent_init(&r);
  add(&r, 100, 0);
  assert_true(add(&r, 10, 9.95) == 10); /* a little early */
  assert_true(add(&r, 20, 20.1) == 20);
  assert_true(add(&r, 30, 80) == 30);
}

static void what_is_not_known_is_not_bridged(void **state) {
  (void)state;
  struct rmq_recent r;
  rmq_recent_init(&r);
  add(&r, 100, 0);
  assert_true(isnan(add(&r, (double)NAN, 2)));
  assert_true(add(&r, 10, 4) == 10);
}

static void of_many_the_oldest_are_forgotten(void **state) {
  (void)state;
  struct rmq_recent r;
  rmq_recent_init(&r);
  for (int i = 0; i < RMQ_RECENT_MAX; i++)
    add(&r, 1000, i * 0.01);
  for (int i = 0; i < RMQ_RECENT_MAX; i++)
    add(&r, 1, 1 + i * 0.01);
  assert_true(add(&r, 1, 2) == 1);
}

int main(void) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(statistics_that_come_in_jumps_have_a_steady_mean),
      cmocka_unit_test(a_stop_is_seen_within_the_span),
      cmocka_unit_test(long_intervals_are_not_averaged),
      cmocka_unit_test(what_is_not_known_is_not_bridged),
      cmocka_unit_test(of_many_the_oldest_are_forgotten)};
  cmocka_set_message_output(CM_OUTPUT_TAP);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
