/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/rmqtime.h"

#include "tests/testing.h"

#include <math.h>

static void seconds_round_and_saturate(void **state) {
  (void)state;
  static const struct {
    double seconds;
    int64_t want_ns;
  } rows[] = {
      {0, 0},
      {0.29, 290000000},
      {1.1, 1100000000},
      {-0.29, -290000000},
      {4e-10, 0},
      {6e-10, 1},
      {NAN, 0},
      {INFINITY, INT64_MAX},
      {-INFINITY, -INT64_MAX},
      {1e300, INT64_MAX},
      {9.3e9, INT64_MAX},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%g s", rows[i].seconds);
    assert_true(rmq_dur_from_seconds(rows[i].seconds).ns == rows[i].want_ns);
  }
  assert_true(rmq_dur_seconds(rmq_ms(1500)) == 1.5);
  /* An option's own limit is not beyond it. */
  for (int64_t s = 0; s < 100000; s++)
    assert_true(rmq_dur_seconds(rmq_s(s)) == (double)s);
  assert_true(rmq_wall_seconds((struct rmq_wall){1500000000}) == 1.5);
}

static void milliseconds_from_the_wire_saturate(void **state) {
  (void)state;
  assert_true(rmq_wall_from_ms(1700000000123).ns ==
              INT64_C(1700000000123000000));
  assert_true(rmq_wall_from_ms(INT64_MAX).ns == INT64_MAX);
  assert_true(rmq_wall_from_ms(INT64_MIN).ns == INT64_MIN);
  assert_true(rmq_wall_from_ms(INT64_MAX / 1000000).ns > 0);
  assert_true(rmq_wall_ms(rmq_wall_from_ms(-5)) == -5);
}

static void deadlines_saturate_at_never(void **state) {
  (void)state;
  const struct rmq_mono t = {1000};
  assert_true(rmq_mono_add(t, (struct rmq_dur){5}).ns == 1005);
  assert_true(rmq_mono_add(t, (struct rmq_dur){-5}).ns == 995);
  assert_true(rmq_mono_is_never(rmq_mono_add(t, (struct rmq_dur){INT64_MAX})));
  assert_true(rmq_mono_is_never(rmq_mono_add(RMQ_NEVER, rmq_s(1))));
  assert_false(rmq_mono_is_never(t));
}

static void a_deadline_is_reached_at_its_moment(void **state) {
  (void)state;
  const struct rmq_mono early = {1000}, late = {1001};
  assert_true(rmq_mono_reached(late, early));
  assert_true(rmq_mono_reached(early, early));
  assert_false(rmq_mono_reached(early, late));
  assert_true(rmq_mono_min(late, early).ns == 1000);
  assert_true(rmq_mono_min(early, RMQ_NEVER).ns == 1000);
  assert_true(rmq_mono_since(late, early).ns == 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(seconds_round_and_saturate),
      cmocka_unit_test(milliseconds_from_the_wire_saturate),
      cmocka_unit_test(deadlines_saturate_at_never),
      cmocka_unit_test(a_deadline_is_reached_at_its_moment),
  };
  return run_all(tests);
}
