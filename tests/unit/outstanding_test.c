/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/outstanding.h"

#include "tests/alloc.h"
#include "tests/testing.h"

static struct rmq_outstanding t;
static const struct rmq_mono start = {RMQ_NS_PER_S};

static struct rmq_mono after(int64_t seconds) {
  return rmq_mono_add(start, rmq_s(seconds));
}

static int setup(void **state) {
  (void)state;
  return rmq_outstanding_init(&t, 8);
}

static int teardown(void **state) {
  (void)state;
  rmq_outstanding_fini(&t);
  return 0;
}

/* A delivery with so many values out, handing out has ended. */
static void hand_out(uint64_t serial, int values, struct rmq_mono now) {
  assert_true(rmq_outstanding_begin(&t, serial, (int64_t)serial * 10, now));
  for (int i = 0; i < values; i++)
    rmq_outstanding_out(&t, serial);
  assert_int_equal(rmq_outstanding_end(&t, serial), values == 0);
}

/* Whether a value that comes back completes its delivery. */
static bool completes(uint64_t serial, struct rmq_mono now) {
  struct rmq_outstanding_done done = {0, 0};
  bool is_complete = rmq_outstanding_back(&t, serial, now, &done);
  assert_int_equal(done.serial, is_complete ? serial : 0);
  assert_int_equal(done.note, is_complete ? serial * 10 : 0);
  return is_complete;
}

static void the_last_value_back_completes_a_delivery(void **state) {
  (void)state;
  hand_out(1, 3, start);
  assert_int_equal(t.values, 3);
  assert_false(completes(1, start));
  assert_false(completes(1, start));
  assert_int_equal(t.values, 1);
  assert_int_equal(rmq_outstanding_note(&t, 1), 10);
  assert_true(completes(1, start));
  assert_int_equal(t.values, 0);
  assert_int_equal(t.count, 0);
  assert_int_equal(rmq_outstanding_note(&t, 1), 0);
}

static void a_value_back_before_the_last_has_left_completes_nothing(void **s) {
  (void)s;
  assert_true(rmq_outstanding_begin(&t, 1, 10, start));
  rmq_outstanding_out(&t, 1);
  assert_false(completes(1, start));
  rmq_outstanding_out(&t, 1);
  assert_false(completes(1, start));
  assert_int_equal(t.count, 1);
  assert_true(rmq_outstanding_end(&t, 1));
  assert_int_equal(t.count, 0);
}

static void a_delivery_without_values_is_complete_at_once(void **state) {
  (void)state;
  hand_out(1, 0, start);
  assert_int_equal(t.count, 0);
}

static void a_value_that_did_not_leave_is_not_waited_for(void **state) {
  (void)state;
  assert_true(rmq_outstanding_begin(&t, 1, 10, start));
  rmq_outstanding_out(&t, 1);
  rmq_outstanding_undo(&t, 1);
  assert_int_equal(t.values, 0);
  rmq_outstanding_out(&t, 1);
  rmq_outstanding_out(&t, 1);
  rmq_outstanding_undo(&t, 1);
  assert_int_equal(t.values, 1);
  assert_false(rmq_outstanding_end(&t, 1));
  assert_true(completes(1, start));
}

static void values_of_a_forgotten_delivery_are_strays(void **state) {
  (void)state;
  hand_out(1, 2, start);
  hand_out(2, 1, start);
  rmq_outstanding_forget(&t, 1);
  rmq_outstanding_forget(&t, 1);
  assert_int_equal(t.values, 1);
  assert_int_equal(t.count, 1);
  assert_false(completes(1, start));
  assert_int_equal(t.strays, 1);
  assert_true(completes(2, start));
}

static void after_a_clear_everything_is_a_stray(void **state) {
  (void)state;
  hand_out(1, 2, start);
  hand_out(2, 1, start);
  rmq_outstanding_clear(&t);
  assert_int_equal(t.values, 0);
  assert_int_equal(t.count, 0);
  assert_false(completes(1, start));
  assert_false(completes(2, start));
  assert_int_equal(t.strays, 2);
  hand_out(3, 1, start);
  assert_true(completes(3, start));
}

static void as_many_deliveries_fit_as_were_asked_for(void **state) {
  (void)state;
  static const size_t sizes[] = {1, 2, 3, 4, 5, 255, 256, 65535};
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    SHOW_ROW("%zu", sizes[i]);
    rmq_outstanding_fini(&t);
    assert_int_equal(rmq_outstanding_init(&t, sizes[i]), 0);
    for (size_t n = 1; n <= sizes[i]; n++)
      hand_out(n, 1, start);
    uint64_t more = sizes[i] + 1;
    while (rmq_outstanding_begin(&t, more, 0, start))
      more++;
    assert_true(more <= 4 * sizes[i] + 4);
    for (size_t n = 1; n <= sizes[i]; n++)
      assert_true(completes(n, start));
  }
}

static void nothing_is_overdue_before_its_time(void **state) {
  (void)state;
  hand_out(1, 1, start);
  hand_out(2, 1, start);
  assert_true(completes(2, after(1)));
  assert_int_equal(rmq_outstanding_overdue(&t, rmq_s(60), after(59)), 0);
  assert_int_equal(rmq_outstanding_overdue(&t, rmq_s(60), after(60)), 1);
}

static void slow_writers_make_nothing_overdue(void **state) {
  (void)state;
  hand_out(1, 1, start);
  hand_out(2, 2, start);
  assert_int_equal(rmq_outstanding_overdue(&t, rmq_s(60), after(599)), 0);
  assert_false(completes(2, after(599))); /* now 1 was overtaken */
  assert_int_equal(rmq_outstanding_overdue(&t, rmq_s(60), after(599)), 1);
  rmq_outstanding_forget(&t, 1);
  assert_int_equal(rmq_outstanding_overdue(&t, rmq_s(60), after(1198)), 0);
}

static void writers_that_stand_still_make_everything_overdue(void **state) {
  (void)state;
  hand_out(1, 1, start);
  assert_int_equal(rmq_outstanding_overdue(&t, rmq_s(60), after(599)), 0);
  assert_int_equal(rmq_outstanding_overdue(&t, rmq_s(60), after(600)), 1);
}

static void a_stray_is_a_sign_of_life_and_overtakes_nobody(void **state) {
  (void)state;
  hand_out(1, 1, start);
  assert_false(completes(9, after(500)));
  assert_int_equal(rmq_outstanding_overdue(&t, rmq_s(60), after(1099)), 0);
  assert_int_equal(rmq_outstanding_overdue(&t, rmq_s(60), after(1100)), 1);
}

static void without_memory_there_is_none(void **state) {
  (void)state;
  struct rmq_outstanding other;
  alloc_fail_at(1);
  int rc = rmq_outstanding_init(&other, 8);
  assert_true(alloc_works_again());
  assert_int_equal(rc, -1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(the_last_value_back_completes_a_delivery),
      TEST(a_value_back_before_the_last_has_left_completes_nothing),
      TEST(a_delivery_without_values_is_complete_at_once),
      TEST(a_value_that_did_not_leave_is_not_waited_for),
      TEST(values_of_a_forgotten_delivery_are_strays),
      TEST(after_a_clear_everything_is_a_stray),
      TEST(as_many_deliveries_fit_as_were_asked_for),
      TEST(nothing_is_overdue_before_its_time),
      TEST(slow_writers_make_nothing_overdue),
      TEST(writers_that_stand_still_make_everything_overdue),
      TEST(a_stray_is_a_sign_of_life_and_overtakes_nobody),
      TEST(without_memory_there_is_none),
  };
  return run_all(tests);
}
