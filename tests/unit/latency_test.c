/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/latency.h"

#include "tests/testing.h"

#include "common/base/prng.h"

#include <math.h>

static void assert_close(double got, double want, double relative) {
  if (fabs(got - want) > relative * want)
    fail_msg("got %.9g, want %.9g within %g %%", got, want, relative * 100);
}

static void without_a_duration_there_is_no_percentile(void **state) {
  (void)state;
  struct rmq_latency l;
  double seconds = 77;
  rmq_latency_clear(&l);
  assert_false(rmq_latency_percentile(&l, 50, &seconds));
  assert_true(seconds == 77);
  assert_int_equal(rmq_latency_count(&l), 0);
}

static void a_single_duration_is_every_percentile(void **state) {
  (void)state;
  static const double rows[] = {0,    1e-9, 1e-6,  3e-6,   0.00123, 0.5,
                                30.0, 900,  86400, 141000, 1e6};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_latency l;
    double p1 = 77, p100 = 77;
    rmq_latency_clear(&l);
    rmq_latency_add(&l, rmq_dur_from_seconds(rows[i]));
    SHOW_ROW("%g s", rows[i]);
    assert_true(rmq_latency_percentile(&l, 1, &p1));
    assert_true(rmq_latency_percentile(&l, 100, &p100));
    assert_close(p1, rows[i], 1e-9);
    assert_close(p100, rows[i], 1e-9);
  }
}

static void the_rank_is_the_nearest(void **state) {
  (void)state;
  struct rmq_latency l;
  rmq_latency_clear(&l);
  for (int ms = 1; ms <= 100; ms++)
    rmq_latency_add(&l, rmq_ms(ms));
  static const unsigned percents[] = {1, 2, 50, 90, 95, 99, 100};
  for (size_t i = 0; i < COUNT_OF(percents); i++) {
    double seconds = 77;
    assert_true(rmq_latency_percentile(&l, percents[i], &seconds));
    assert_close(seconds, percents[i] * 1e-3, 0.032);
  }
  /* One slow one in a hundred is not in the 99th percentile, two are. */
  rmq_latency_clear(&l);
  double seconds = 77;
  for (int i = 0; i < 99; i++)
    rmq_latency_add(&l, rmq_ms(1));
  rmq_latency_add(&l, rmq_s(9));
  rmq_latency_percentile(&l, 99, &seconds);
  assert_close(seconds, 0.001, 0.032);
  rmq_latency_add(&l, rmq_s(9));
  rmq_latency_percentile(&l, 99, &seconds);
  assert_close(seconds, 9, 0.032);
}

static int by_ns(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return x < y ? -1 : x > y;
}

static void percentiles_are_within_the_promised_error(void **state) {
  (void)state;
  enum { MAX = 300 };
  struct rmq_prng r = {property_seed(6)};
  for (int turn = 0; turn < 500; turn++) {
    struct rmq_latency l, part[2];
    int64_t all[MAX];
    size_t count = 1 + (size_t)rmq_prng_below(&r, MAX);
    rmq_latency_clear(&part[0]);
    rmq_latency_clear(&part[1]);
    for (size_t i = 0; i < count; i++) {
      /* Evenly over all magnitudes from 1 us to 39 hours. */
      uint64_t bits = 10 + rmq_prng_below(&r, 37);
      all[i] = (INT64_C(1) << bits) +
               (int64_t)rmq_prng_below(&r, UINT64_C(1) << bits);
      rmq_latency_add(&part[i % 2], (struct rmq_dur){all[i]});
    }
    rmq_latency_clear(&l);
    rmq_latency_merge(&l, &part[0]);
    rmq_latency_merge(&l, &part[1]);
    assert_int_equal(rmq_latency_count(&l), count);
    qsort(all, count, sizeof(all[0]), by_ns);
    for (unsigned percent = 1; percent <= 100; percent++) {
      size_t rank = (count * percent + 99) / 100;
      double seconds = 77;
      assert_true(rmq_latency_percentile(&l, percent, &seconds));
      assert_close(seconds, (double)all[rank - 1] * 1e-9, 0.032);
    }
  }
}

static void durations_outside_the_range_are_counted(void **state) {
  (void)state;
  struct rmq_latency l;
  double seconds = 77;
  rmq_latency_clear(&l);
  rmq_latency_add(&l, (struct rmq_dur){-5});
  rmq_latency_add(&l, (struct rmq_dur){INT64_MIN});
  rmq_latency_add(&l, (struct rmq_dur){INT64_MAX});
  assert_int_equal(rmq_latency_count(&l), 3);
  assert_true(rmq_latency_percentile(&l, 50, &seconds));
  assert_true(seconds >= 0 && seconds < 1e-6);
  assert_true(rmq_latency_percentile(&l, 100, &seconds));
  assert_true(seconds > 130000 && seconds < 141000);
}

static void a_clear_begins_anew(void **state) {
  (void)state;
  struct rmq_latency l;
  double seconds = 77;
  rmq_latency_clear(&l);
  rmq_latency_add(&l, rmq_s(100));
  rmq_latency_clear(&l);
  rmq_latency_add(&l, rmq_s(1));
  assert_true(rmq_latency_percentile(&l, 99, &seconds));
  assert_close(seconds, 1, 1e-9);
}

static void a_part_brings_its_limits_along(void **state) {
  (void)state;
  /* The lowest and the highest of a bucket: its middle is neither. */
  static const int64_t rows[] = {1 << 20, (1 << 20) + (1 << 16) - 1};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_latency l, part;
    double seconds = 77;
    rmq_latency_clear(&l);
    rmq_latency_clear(&part);
    rmq_latency_add(&part, (struct rmq_dur){rows[i]});
    rmq_latency_merge(&l, &part);
    assert_true(rmq_latency_percentile(&l, 50, &seconds));
    assert_close(seconds, (double)rows[i] * 1e-9, 1e-9);
  }
}

static void an_empty_part_changes_nothing(void **state) {
  (void)state;
  struct rmq_latency l, none;
  double seconds = 77;
  rmq_latency_clear(&l);
  rmq_latency_clear(&none);
  rmq_latency_add(&l, rmq_s(1));
  rmq_latency_merge(&l, &none);
  assert_int_equal(rmq_latency_count(&l), 1);
  assert_true(rmq_latency_percentile(&l, 1, &seconds));
  assert_close(seconds, 1, 1e-9);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(without_a_duration_there_is_no_percentile),
      cmocka_unit_test(a_single_duration_is_every_percentile),
      cmocka_unit_test(the_rank_is_the_nearest),
      cmocka_unit_test(percentiles_are_within_the_promised_error),
      cmocka_unit_test(durations_outside_the_range_are_counted),
      cmocka_unit_test(a_clear_begins_anew),
      cmocka_unit_test(a_part_brings_its_limits_along),
      cmocka_unit_test(an_empty_part_changes_nothing),
  };
  return run_all(tests);
}
