/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/baseline.h"

#include "tests/testing.h"

#include <math.h>

/* Feeds rate every 10 s for a while; returns the time after it. */
static int64_t feed(struct rmq_baseline *b, int64_t s, int64_t seconds,
                    double rate) {
  for (int64_t end = s + seconds; s < end; s += 10)
    rmq_baseline_feed(b, rate, (struct rmq_mono){s * RMQ_NS_PER_S});
  return s;
}

static void nothing_is_said_while_learning(void **state) {
  (void)state;
  struct rmq_baseline b;
  rmq_baseline_init(&b);
  int64_t s = feed(&b, 1000, 120, 50);
  assert_true(isnan(rmq_baseline_drop(&b, 0)));
  feed(&b, s, 10, 50); /* closes the twelfth slot */
  assert_true(rmq_baseline_get(&b) == 50);
}

static void a_drop_is_measured_against_the_usual_rate(void **state) {
  (void)state;
  static const struct {
    double rate, want_drop;
  } rows[] = {{100, 0}, {130, 0}, {70, 30}, {50, 50}, {0, 100}};
  struct rmq_baseline b;
  rmq_baseline_init(&b);
  feed(&b, 0, 600, 100);
  for (size_t i = 0; i < COUNT_OF(rows); i++)
    assert_true(rmq_baseline_drop(&b, rows[i].rate) == rows[i].want_drop);
  assert_true(isnan(rmq_baseline_drop(&b, (double)NAN)));
}

static void the_median_is_the_middle_or_the_mean_of_the_two(void **state) {
  (void)state;
  struct rmq_baseline b;
  rmq_baseline_init(&b);
  int64_t s = 0;
  for (int i = 0; i < 12; i++) /* 1 ... 11 are closed */
    s = feed(&b, s, 10, i + 1);
  assert_true(isnan(rmq_baseline_get(&b)));
  s = feed(&b, s, 10, 13); /* 1 ... 12 */
  assert_true(rmq_baseline_get(&b) == 6.5);
  feed(&b, s, 10, 14); /* 1 ... 13 */
  assert_true(rmq_baseline_get(&b) == 7);
}

static void a_burst_does_not_move_it(void **state) {
  (void)state;
  struct rmq_baseline b;
  rmq_baseline_init(&b);
  int64_t s = feed(&b, 0, 600, 100);
  feed(&b, s, 60, 100000);
  assert_true(rmq_baseline_get(&b) == 100);
}

static void an_outage_shows_for_an_hour_and_then_is_normal(void **state) {
  (void)state;
  struct rmq_baseline b;
  rmq_baseline_init(&b);
  int64_t s = feed(&b, 0, 600, 100);
  s = feed(&b, s, 3600 + 280, 0);
  assert_true(rmq_baseline_drop(&b, 0) == 100);
  feed(&b, s, 60, 0);
  assert_true(rmq_baseline_drop(&b, 0) == 0);
}

static void an_outage_soon_after_the_start_shows_as_long(void **state) {
  (void)state;
  struct rmq_baseline b;
  rmq_baseline_init(&b);
  int64_t s = feed(&b, 0, 130, 100);
  feed(&b, s, 3500, 40);
  assert_true(rmq_baseline_drop(&b, 40) == 60);
}

static void polls_that_see_nothing_new_do_not_raise_it(void **state) {
  (void)state;
  struct rmq_baseline b;
  rmq_baseline_init(&b);
  for (int64_t s = 0; s < 2000; s++) /* statistics come every 5 s */
    rmq_baseline_feed(&b, s % 5 == 0 ? 500 : 0,
                      (struct rmq_mono){s * RMQ_NS_PER_S});
  assert_true(rmq_baseline_get(&b) == 100);
}

static void what_falls_slowly_is_followed(void **state) {
  (void)state;
  struct rmq_baseline b;
  rmq_baseline_init(&b);
  int64_t s = feed(&b, 0, 600, 1000);
  for (double rate = 1000; rate > 100; rate *= 0.99) {
    s = feed(&b, s, 30, rate);
    assert_true(rmq_baseline_drop(&b, rate) < 30);
  }
}

static void an_outage_that_comes_again_has_its_own_hour(void **state) {
  (void)state;
  struct rmq_baseline b;
  rmq_baseline_init(&b);
  int64_t s = feed(&b, 0, 600, 100);
  for (int i = 0; i < 5; i++) {
    s = feed(&b, s, 3000, 0);
    s = feed(&b, s, 10, 100);
    assert_true(rmq_baseline_get(&b) == 100);
  }
}

static void nothing_usual_is_no_drop(void **state) {
  (void)state;
  struct rmq_baseline b;
  rmq_baseline_init(&b);
  feed(&b, 0, 600, 0);
  assert_true(rmq_baseline_drop(&b, 0) == 0);
}

static void many_measurements_of_a_slot_are_one_mean(void **state) {
  (void)state;
  struct rmq_baseline b;
  rmq_baseline_init(&b);
  for (int64_t s = 0; s < 200; s++)
    rmq_baseline_feed(&b, s % 2 == 0 ? 10 : 30,
                      (struct rmq_mono){s * RMQ_NS_PER_S});
  assert_int_equal(b.slots_count, 19);
  assert_true(rmq_baseline_get(&b) == 20);
}

static void its_times_are_options(void **state) {
  (void)state;
  static const struct {
    const char *name;
    int64_t window, interval, learn, adapt;
    int64_t want_silent, want_adapted; /* seconds */
  } rows[] = {
      {"as without options", 600, 10, 120, 3600, 120, 3600},
      {"short, for a drill", 60, 2, 10, 120, 10, 120},
      {"long", 21600, 10, 3600, 86400, 3600, 86400},
      {"a slot is no shorter than the interval", 600, 60, 120, 3600, 300, 3600},
      {"five slots at least", 600, 10, 0, 3600, 50, 3600},
      {"what is low is learned at once", 600, 10, 120, 0, 120, 0},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_baseline b;
    int64_t s = 0, step = rows[i].interval;
    SHOW_ROW("%s", rows[i].name);
    rmq_baseline_init(&b);
    rmq_baseline_set_times(&b, rmq_s(rows[i].window), rmq_s(step),
                           rmq_s(rows[i].learn), rmq_s(rows[i].adapt));
    while (isnan(rmq_baseline_get(&b))) {
      rmq_baseline_feed(&b, 100, (struct rmq_mono){s * RMQ_NS_PER_S});
      s += step;
    }
    assert_int_equal(s - step, rows[i].want_silent);
    int64_t window = b.slot_ns / RMQ_NS_PER_S * RMQ_BASELINE_SLOTS;
    for (int64_t end = s + window; s < end; s += step)
      rmq_baseline_feed(&b, 100, (struct rmq_mono){s * RMQ_NS_PER_S});
    int64_t low = s;
    while (rmq_baseline_get(&b) == 100) { /* half of the window, then */
      rmq_baseline_feed(&b, 0, (struct rmq_mono){s * RMQ_NS_PER_S});
      s += step;
    }
    assert_in_range(s - low, rows[i].want_adapted + window / 2,
                    rows[i].want_adapted + window / 2 + 60 + 3 * step);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nothing_is_said_while_learning),
      cmocka_unit_test(a_drop_is_measured_against_the_usual_rate),
      cmocka_unit_test(the_median_is_the_middle_or_the_mean_of_the_two),
      cmocka_unit_test(a_burst_does_not_move_it),
      cmocka_unit_test(an_outage_shows_for_an_hour_and_then_is_normal),
      cmocka_unit_test(an_outage_soon_after_the_start_shows_as_long),
      cmocka_unit_test(polls_that_see_nothing_new_do_not_raise_it),
      cmocka_unit_test(what_falls_slowly_is_followed),
      cmocka_unit_test(an_outage_that_comes_again_has_its_own_hour),
      cmocka_unit_test(nothing_usual_is_no_drop),
      cmocka_unit_test(many_measurements_of_a_slot_are_one_mean),
      cmocka_unit_test(its_times_are_options),
  };
  return run_all(tests);
}
