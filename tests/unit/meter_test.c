/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/meter.h"

#include "tests/testing.h"

static void sums_grow_by_what_was_counted_and_by_no_more(void **state) {
  (void)state;
  /* A story per row: values of successive polls, -1 = absent; before the value
   * at change_at the source changes. */
  static const struct {
    const char *name;
    int64_t values[6];
    int change_at;
    enum rmq_continuity change;
    enum rmq_decrease decrease;
    int64_t want_sum, want_last_added;
  } rows[] = {
      {"first sight adds nothing",
       {500, 500, 500, 500, 500, 500},
       9,
       RMQ_SAME,
       RMQ_DECREASE_IS_RESET,
       0,
       0},
      {"growth adds up",
       {5, 6, 8, 8, 9, 15},
       9,
       RMQ_SAME,
       RMQ_DECREASE_IS_RESET,
       10,
       6},
      {"absent values change nothing",
       {5, -1, -1, 8, -1, 9},
       9,
       RMQ_SAME,
       RMQ_DECREASE_IS_RESET,
       4,
       1},
      {"an object declared anew counts from 0",
       {100, 110, 3, 4, 4, 4},
       9,
       RMQ_SAME,
       RMQ_DECREASE_IS_RESET,
       14,
       0},
      {"an aggregate that lost a part has a new baseline",
       {3000, 3010, 2005, 2006, 2006, 2007},
       9,
       RMQ_SAME,
       RMQ_DECREASE_IS_LOSS,
       12,
       1},
      {"a restart counts from 0",
       {1000, 1010, 7, 9, 9, 9},
       2,
       RMQ_RESTARTED,
       RMQ_DECREASE_IS_LOSS,
       19,
       0},
      {"a restart is counted even when the counter is beyond its old value",
       {10, 10, 50, 50, 50, 50},
       2,
       RMQ_RESTARTED,
       RMQ_DECREASE_IS_LOSS,
       50,
       0},
      {"a part that comes back is not counted",
       {2000, 2001, 3001, 3002, 3002, 3002},
       2,
       RMQ_CHANGED,
       RMQ_DECREASE_IS_LOSS,
       2,
       0},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s", rows[i].name);
    struct rmq_meter t;
    int64_t added = 0;
    rmq_meter_init(&t);
    for (int k = 0; k < 6; k++) {
      rmq_meter_continue(&t,
                         k == rows[i].change_at ? rows[i].change : RMQ_SAME);
      added = rmq_meter_feed(&t, rows[i].values[k], rows[i].decrease,
                             (struct rmq_mono){k * RMQ_NS_PER_S});
    }
    assert_int_equal(t.sum, rows[i].want_sum);
    assert_int_equal(added, rows[i].want_last_added);
  }
}

static void a_restart_before_first_sight_leaves_it_first_sight(void **state) {
  (void)state;
  struct rmq_meter t;
  rmq_meter_init(&t);
  rmq_meter_continue(&t, RMQ_RESTARTED);
  assert_int_equal(
      rmq_meter_feed(&t, 100, RMQ_DECREASE_IS_LOSS, (struct rmq_mono){0}),
      RMQ_ABSENT);
  assert_int_equal(t.sum, 0);
}

static void a_hostile_counter_saturates(void **state) {
  (void)state;
  struct rmq_meter t;
  rmq_meter_init(&t);
  rmq_meter_feed(&t, 0, RMQ_DECREASE_IS_RESET, (struct rmq_mono){0});
  rmq_meter_feed(&t, INT64_MAX, RMQ_DECREASE_IS_RESET, (struct rmq_mono){0});
  rmq_meter_feed(&t, 5, RMQ_DECREASE_IS_RESET, (struct rmq_mono){0});
  assert_int_equal(t.sum, INT64_MAX);
}

/* A source whose true count we know: whatever restarts and absences happen,
 * the sum never exceeds what was truly counted since first sight. */
static void the_sum_never_exceeds_the_truth(void **state) {
  (void)state;
  uint64_t seed = property_seed(20261122);
  uint64_t x = seed | 1;
  for (int story = 0; story < 2000; story++) {
    struct rmq_meter t;
    int64_t counter = 0, truth = 0;
    bool is_seen = false;
    rmq_meter_init(&t);
    for (int step = 0; step < 40; step++) {
      x ^= x << 13;
      x ^= x >> 7;
      x ^= x << 17;
      if (x % 11 == 0)
        counter = 0; /* declared anew, then more is counted */
      int64_t more = (int64_t)(x >> 8) % 100;
      counter += more;
      if (is_seen)
        truth += more;
      if (x % 7 != 0) {
        rmq_meter_feed(&t, counter, RMQ_DECREASE_IS_RESET,
                       (struct rmq_mono){0});
        is_seen = true;
      }
      assert_true(t.sum <= truth);
    }
  }
}

static void an_addition_knows_the_time_that_it_covers(void **state) {
  (void)state;
  struct rmq_meter t;
  rmq_meter_init(&t);
  static const int64_t values[] = {100, 110, -1, -1, 140};
  static const double want[] = {10, 10};
  size_t seen = 0;
  for (int k = 0; k < 5; k++) {
    int64_t added = rmq_meter_feed(&t, values[k], RMQ_DECREASE_IS_RESET,
                                   (struct rmq_mono){k * RMQ_NS_PER_S});
    if (added != RMQ_ABSENT)
      assert_true((double)added / t.elapsed == want[seen++]);
  }
  assert_int_equal(seen, 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sums_grow_by_what_was_counted_and_by_no_more),
      cmocka_unit_test(a_restart_before_first_sight_leaves_it_first_sight),
      cmocka_unit_test(a_hostile_counter_saturates),
      cmocka_unit_test(the_sum_never_exceeds_the_truth),
      cmocka_unit_test(an_addition_knows_the_time_that_it_covers),
  };
  return run_all(tests);
}
