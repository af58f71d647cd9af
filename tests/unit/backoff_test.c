/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/backoff.h"

#include "tests/prop.h"
#include "tests/testing.h"

#include <limits.h>

static struct rmq_backoff backoff(struct rmq_dur min, struct rmq_dur max) {
  struct rmq_backoff b;
  rmq_backoff_init(&b, min, max);
  return b;
}

static void the_ceiling_doubles_until_the_maximum(void **state) {
  (void)state;
  static const int64_t want_s[] = {2, 4, 8, 16, 32, 60, 60, 60};
  struct rmq_backoff b = backoff(rmq_s(1), rmq_s(60));
  for (size_t i = 0; i < COUNT_OF(want_s); i++) {
    assert_int_equal(rmq_backoff_ceiling(&b).ns, rmq_s(want_s[i]).ns);
    assert_int_equal(rmq_backoff_next(&b, UINT64_MAX).ns, rmq_s(want_s[i]).ns);
  }
}

static void the_smallest_random_gives_the_minimum(void **state) {
  (void)state;
  struct rmq_backoff b = backoff(rmq_ms(500), rmq_s(60));
  for (int i = 0; i < 100; i++)
    assert_int_equal(rmq_backoff_next(&b, 0).ns, rmq_ms(500).ns);
}

static void half_the_random_range_gives_the_middle(void **state) {
  (void)state;
  struct rmq_backoff b = backoff(rmq_s(1), rmq_s(60));
  assert_int_equal(rmq_backoff_next(&b, UINT64_C(1) << 63).ns, rmq_ms(1500).ns);
}

static void a_reset_starts_again_from_the_minimum(void **state) {
  (void)state;
  struct rmq_backoff b = backoff(rmq_s(1), rmq_s(60));
  for (int i = 0; i < 10; i++)
    rmq_backoff_next(&b, 1);
  rmq_backoff_reset(&b);
  assert_int_equal(rmq_backoff_ceiling(&b).ns, rmq_s(2).ns);
}

static void equal_minimum_and_maximum_give_a_fixed_delay(void **state) {
  (void)state;
  struct rmq_backoff b = backoff(rmq_s(5), rmq_s(5));
  assert_int_equal(rmq_backoff_next(&b, 0).ns, rmq_s(5).ns);
  assert_int_equal(rmq_backoff_next(&b, UINT64_MAX).ns, rmq_s(5).ns);
}

static void the_longest_times_do_not_overflow(void **state) {
  (void)state;
  static const uint64_t random[] = {0, 1, UINT64_MAX / 2, UINT64_MAX - 1,
                                    UINT64_MAX};
  const struct rmq_dur most = {INT64_MAX};
  struct rmq_backoff b = backoff((struct rmq_dur){1}, most);
  for (int i = 0; i < 200; i++) {
    for (size_t r = 0; r < COUNT_OF(random); r++) {
      struct rmq_dur d = rmq_backoff_next(&b, random[r]);
      assert_true(d.ns >= 1);
    }
  }
  assert_int_equal(rmq_backoff_ceiling(&b).ns, INT64_MAX);
  b = backoff(most, most);
  assert_int_equal(rmq_backoff_next(&b, UINT64_MAX).ns, INT64_MAX);
}

static void a_million_failures_stay_in_bounds(void **state) {
  (void)state;
  struct prop p = {.state = 1};
  struct rmq_backoff b = backoff(rmq_ms(500), rmq_s(60));
  struct rmq_dur before = {0};
  for (int i = 0; i < 1000000; i++) {
    struct rmq_dur ceiling = rmq_backoff_ceiling(&b);
    struct rmq_dur d = rmq_backoff_next(&b, prop_next(&p));
    assert_true(ceiling.ns >= before.ns);
    assert_true(d.ns >= rmq_ms(500).ns && d.ns <= ceiling.ns);
    before = ceiling;
  }
  assert_int_equal(before.ns, rmq_s(60).ns);
}

static void the_failure_count_does_not_wrap(void **state) {
  (void)state;
  struct rmq_backoff b = backoff(rmq_s(1), rmq_s(60));
  b.failures = UINT_MAX - 1;
  rmq_backoff_next(&b, 0);
  rmq_backoff_next(&b, 0);
  rmq_backoff_next(&b, 0);
  assert_int_equal(rmq_backoff_ceiling(&b).ns, rmq_s(60).ns);
}

/* Full jitter: every eighth of the range gets about an eighth of the delays. */
static void delays_spread_over_the_whole_range(void **state) {
  (void)state;
  struct prop p = {.state = 2};
  size_t eighths[8] = {0};
  const int64_t span = rmq_s(56).ns;
  struct rmq_backoff b = backoff(rmq_s(4), rmq_s(60));
  for (int i = 0; i < 4; i++)
    rmq_backoff_next(&b, 0);
  for (int i = 0; i < 80000; i++) {
    int64_t over = rmq_backoff_next(&b, prop_next(&p)).ns - rmq_s(4).ns;
    eighths[over == span ? 7 : over * 8 / span]++;
  }
  for (size_t i = 0; i < COUNT_OF(eighths); i++)
    assert_in_range(eighths[i], 9000, 11000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_ceiling_doubles_until_the_maximum),
      cmocka_unit_test(the_smallest_random_gives_the_minimum),
      cmocka_unit_test(half_the_random_range_gives_the_middle),
      cmocka_unit_test(a_reset_starts_again_from_the_minimum),
      cmocka_unit_test(equal_minimum_and_maximum_give_a_fixed_delay),
      cmocka_unit_test(the_longest_times_do_not_overflow),
      cmocka_unit_test(a_million_failures_stay_in_bounds),
      cmocka_unit_test(the_failure_count_does_not_wrap),
      cmocka_unit_test(delays_spread_over_the_whole_range),
  };
  return run_all(tests);
}
