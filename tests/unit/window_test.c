/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/window.h"

#include "tests/testing.h"

#include "common/base/prng.h"

static struct rmq_mono at_ms(int64_t ms) {
  return (struct rmq_mono){ms * RMQ_NS_PER_MS};
}

static void the_rate_is_errors_of_what_happened(void **state) {
  (void)state;
  static const struct {
    uint64_t operations, errors;
    double want; /* -1 = there is none */
  } rows[] = {
      {0, 0, -1},        {100, 0, 0},
      {100, 1, 1},       {100, 100, 100},
      {0, 5, 100},       {3, 5, 100},
      {3, 1, 100.0 / 3}, {UINT64_C(1) << 60, UINT64_C(1) << 59, 50},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_window w;
    double percent = -1;
    rmq_window_init(&w, rmq_s(60));
    rmq_window_add(&w, rows[i].operations, rows[i].errors, at_ms(1000));
    SHOW_ROW("row %zu", i);
    assert_int_equal(rmq_window_error_rate(&w, at_ms(1000), &percent),
                     rows[i].want >= 0);
    assert_true(percent == rows[i].want);
  }
}

static void counts_slide_out_after_the_span(void **state) {
  (void)state;
  struct rmq_window w;
  rmq_window_init(&w, rmq_s(60));
  rmq_window_add(&w, 7, 3, at_ms(100000)); /* on the edge of a slot */
  assert_int_equal(rmq_window_sum(&w, at_ms(159999)).operations, 7);
  assert_int_equal(rmq_window_sum(&w, at_ms(159999)).errors, 3);
  assert_int_equal(rmq_window_sum(&w, at_ms(160000)).operations, 0);
  rmq_window_add(&w, 7, 3, at_ms(204999)); /* the end of a slot */
  assert_int_equal(rmq_window_sum(&w, at_ms(259999)).operations, 7);
  assert_int_equal(rmq_window_sum(&w, at_ms(260000)).operations, 0);
}

static void a_long_silence_empties_it(void **state) {
  (void)state;
  static const int64_t silences_ms[] = {60000, 65000, 3600000, 8640000000};
  for (size_t i = 0; i < COUNT_OF(silences_ms); i++) {
    struct rmq_window w;
    double percent = 77;
    rmq_window_init(&w, rmq_s(60));
    for (int64_t ms = 0; ms < 120000; ms += 500)
      rmq_window_add(&w, 1, 1, at_ms(ms));
    assert_int_equal(rmq_window_sum(&w, at_ms(119999)).operations, 120);
    assert_false(
        rmq_window_error_rate(&w, at_ms(120000 + silences_ms[i]), &percent));
    assert_true(percent == 77);
  }
}

static void a_clock_that_stands_back_loses_nothing(void **state) {
  (void)state;
  struct rmq_window w;
  rmq_window_init(&w, rmq_s(60));
  rmq_window_add(&w, 1, 0, at_ms(100000));
  rmq_window_add(&w, 1, 0, at_ms(50000));
  assert_int_equal(rmq_window_sum(&w, at_ms(50000)).operations, 2);
  assert_int_equal(rmq_window_sum(&w, at_ms(159999)).operations, 2);
}

static void the_sum_is_that_of_the_last_slots(void **state) {
  (void)state;
  enum { EVENTS = 3000 };
  struct rmq_prng r = {property_seed(7)};
  static struct {
    int64_t ms;
    uint64_t operations, errors;
  } events[EVENTS];
  struct rmq_window w;
  rmq_window_init(&w, rmq_s(60));
  int64_t now = 0;
  for (size_t i = 0; i < EVENTS; i++) {
    now += (int64_t)rmq_prng_below(&r, i % 50 == 0 ? 100000 : 700);
    events[i].ms = now;
    events[i].operations = rmq_prng_below(&r, 10);
    events[i].errors = rmq_prng_below(&r, 3);
    rmq_window_add(&w, events[i].operations, events[i].errors, at_ms(now));
    struct rmq_window_counts want = {0, 0};
    for (size_t j = i + 1; j-- > 0 && events[j].ms / 5000 > now / 5000 - 12;) {
      want.operations += events[j].operations;
      want.errors += events[j].errors;
    }
    struct rmq_window_counts sum = rmq_window_sum(&w, at_ms(now));
    assert_int_equal(sum.operations, want.operations);
    assert_int_equal(sum.errors, want.errors);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_rate_is_errors_of_what_happened),
      cmocka_unit_test(counts_slide_out_after_the_span),
      cmocka_unit_test(a_long_silence_empties_it),
      cmocka_unit_test(a_clock_that_stands_back_loses_nothing),
      cmocka_unit_test(the_sum_is_that_of_the_last_slots),
  };
  return run_all(tests);
}
