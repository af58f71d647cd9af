/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/complain.h"

#include "tests/testing.h"

static struct rmq_mono at(int64_t seconds) {
  return (struct rmq_mono){seconds * RMQ_NS_PER_S};
}

static bool report(struct rmq_complain *c, int64_t seconds) {
  return rmq_complain_report(c, at(seconds), NULL);
}

static void repeats_back_off_by_doubling_up_to_a_day(void **state) {
  (void)state;
  struct rmq_complain c;
  rmq_complain_init(&c, rmq_s(10));
  int64_t now = 1000, interval = 10;
  assert_true(report(&c, now));
  for (int line = 0; line < 20; line++) {
    assert_false(report(&c, now + interval - 1));
    now += interval;
    SHOW_ROW("line at %" PRId64 " s", now);
    assert_true(report(&c, now));
    interval = interval * 2 < 86400 ? interval * 2 : 86400;
  }
  assert_int_equal(interval, 86400);
}

static void a_line_says_how_many_reports_had_none(void **state) {
  (void)state;
  struct rmq_complain c;
  rmq_complain_init(&c, rmq_s(10));
  uint64_t missed = 77;
  assert_true(rmq_complain_report(&c, at(5), &missed));
  assert_int_equal(missed, 0);
  missed = 77;
  for (int i = 0; i < 3; i++)
    assert_false(rmq_complain_report(&c, at(6 + i), &missed));
  assert_int_equal(missed, 77);
  assert_true(rmq_complain_report(&c, at(15), &missed));
  assert_int_equal(missed, 3);
  assert_false(rmq_complain_report(&c, at(16), NULL));
  assert_true(rmq_complain_report(&c, at(35), &missed));
  assert_int_equal(missed, 1);
}

static void recovery_is_told_once(void **state) {
  (void)state;
  struct rmq_complain c;
  rmq_complain_init(&c, rmq_s(10));
  assert_false(rmq_complain_recover(&c));
  assert_true(report(&c, 0));
  assert_true(rmq_complain_recover(&c));
  assert_false(rmq_complain_recover(&c));
}

static void a_new_fault_after_a_long_one_is_told_at_once(void **state) {
  (void)state;
  struct rmq_complain c;
  rmq_complain_init(&c, rmq_s(10));
  int64_t now = 0;
  for (; now < 2 * 86400; now += 5)
    report(&c, now);
  assert_true(rmq_complain_recover(&c));
  now += 3600;
  assert_true(report(&c, now));
  assert_false(report(&c, now + 9));
  assert_true(report(&c, now + 10)); /* backing off begins anew */
}

static void a_fault_that_comes_and_goes_does_not_flood(void **state) {
  (void)state;
  struct rmq_complain c;
  rmq_complain_init(&c, rmq_s(10));
  int lines = 0, recoveries = 0;
  for (int64_t now = 0; now < 600; now++) {
    lines += report(&c, now) ? 1 : 0;
    recoveries += rmq_complain_recover(&c) ? 1 : 0;
  }
  assert_int_equal(lines, 60);
  assert_int_equal(recoveries, 60);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(repeats_back_off_by_doubling_up_to_a_day),
      cmocka_unit_test(a_line_says_how_many_reports_had_none),
      cmocka_unit_test(recovery_is_told_once),
      cmocka_unit_test(a_new_fault_after_a_long_one_is_told_at_once),
      cmocka_unit_test(a_fault_that_comes_and_goes_does_not_flood),
  };
  return run_all(tests);
}
