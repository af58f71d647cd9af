/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/known.h"

#include "tests/testing.h"

#include <math.h>

static void a_sum_of_gauges_takes_what_is_known(void **state) {
  (void)state;
  double sum = (double)NAN;
  rmq_known_add_gauge(&sum, (double)NAN);
  rmq_known_add_gauge(&sum, (double)INFINITY);
  assert_true(isnan(sum));
  rmq_known_add_gauge(&sum, 3);
  rmq_known_add_gauge(&sum, (double)NAN);
  rmq_known_add_gauge(&sum, 4);
  assert_true(sum == 7);
}

static void a_sum_of_counts_takes_what_a_counter_can_be(void **state) {
  (void)state;
  int64_t sum = RMQ_ABSENT;
  rmq_known_add_count(&sum, -1);
  rmq_known_add_count(&sum, (double)NAN);
  rmq_known_add_count(&sum, 1e19);
  rmq_known_add_count(&sum, 9223372036854775808.0);
  assert_int_equal(sum, RMQ_ABSENT);
  rmq_known_add_count(&sum, 0);
  assert_int_equal(sum, 0);
  rmq_known_add_count(&sum, 9e18);
  rmq_known_add_count(&sum, 9e18);
  assert_int_equal(sum, INT64_MAX);
}

static void a_sum_of_two_is_absent_when_both_are(void **state) {
  (void)state;
  assert_int_equal(rmq_known_sum(RMQ_ABSENT, RMQ_ABSENT), RMQ_ABSENT);
  assert_int_equal(rmq_known_sum(RMQ_ABSENT, 4), 4);
  assert_int_equal(rmq_known_sum(4, RMQ_ABSENT), 4);
  assert_int_equal(rmq_known_sum(4, 5), 9);
  assert_int_equal(rmq_known_sum(INT64_MAX, 1), INT64_MAX);
}

static void growth_is_absent_where_nodes_came_or_went(void **state) {
  (void)state;
  assert_true(rmq_known_growth(RMQ_SAME, 10, 70, 100) == -3);
  assert_true(isnan(rmq_known_growth(RMQ_SAME, 0, 70, 100)));
  assert_true(isnan(rmq_known_growth(RMQ_SAME, 10, (double)NAN, 100)));
  assert_true(isnan(rmq_known_growth(RMQ_CHANGED, 10, 70, 100)));
}

static void only_what_falls_is_drained_some_time(void **state) {
  (void)state;
  assert_true(rmq_known_drain(60, -3) == 20);
  assert_true(isnan(rmq_known_drain(60, 0)));
  assert_true(isnan(rmq_known_drain(60, 3)));
  assert_true(isnan(rmq_known_drain(60, (double)NAN)));
}

static void a_time_that_is_none_or_still_to_come_has_no_age(void **state) {
  (void)state;
  assert_true(rmq_known_age(1000, 400) == 600);
  assert_true(rmq_known_age(1000, 1000) == 0);
  assert_true(isnan(rmq_known_age(1000, 1001)));
  assert_true(isnan(rmq_known_age(1000, 0)));
  assert_true(isnan(rmq_known_age(1000, (double)NAN)));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_sum_of_gauges_takes_what_is_known),
      cmocka_unit_test(a_sum_of_counts_takes_what_a_counter_can_be),
      cmocka_unit_test(a_sum_of_two_is_absent_when_both_are),
      cmocka_unit_test(growth_is_absent_where_nodes_came_or_went),
      cmocka_unit_test(only_what_falls_is_drained_some_time),
      cmocka_unit_test(a_time_that_is_none_or_still_to_come_has_no_age),
  };
  return run_all(tests);
}
