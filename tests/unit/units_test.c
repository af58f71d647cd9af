/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/units.h"

#include "tests/testing.h"

#include <math.h>

#define SENTINEL INT64_C(-4711)
#define KIB INT64_C(1024)

static void whole_numbers(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int want_rc;
    int64_t want;
  } rows[] = {
      {"0", 0, 0},
      {"-0", 0, 0},
      {"00012", 0, 12},
      {"9223372036854775807", 0, INT64_MAX},
      {"9223372036854775808", -1, SENTINEL},
      {"-9223372036854775808", 0, INT64_MIN},
      {"-9223372036854775809", -1, SENTINEL},
      {"99999999999999999999999", -1, SENTINEL},
      {"", -1, SENTINEL},
      {"-", -1, SENTINEL},
      {"+1", -1, SENTINEL},
      {" 1", -1, SENTINEL},
      {"1 ", -1, SENTINEL},
      {"1.0", -1, SENTINEL},
      {"1e3", -1, SENTINEL},
      {"0x10", -1, SENTINEL},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    int64_t value = SENTINEL;
    SHOW_ROW("\"%s\"", rows[i].text);
    assert_int_equal(rmq_units_parse_integer(rows[i].text, &value),
                     rows[i].want_rc);
    assert_true(value == rows[i].want);
  }
}

static void sizes(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int want_rc;
    int64_t want;
  } rows[] = {
      {"512", 0, 512},
      {"512B", 0, 512},
      {"64KiB", 0, 64 * KIB},
      {"64kib", 0, 64 * KIB},
      {"10MiB", 0, 10 * KIB * KIB},
      {"10 MiB", 0, 10 * KIB * KIB},
      {"1.5GiB", 0, 3 * 512 * KIB * KIB},
      {"1TiB", 0, KIB * KIB * KIB * KIB},
      {"10kB", 0, 10000},
      {"10MB", 0, 10000000},
      {"1GB", 0, 1000000000},
      {"0.0019kB", 0, 1},
      {"64K", -1, SENTINEL},
      {"1M", -1, SENTINEL},
      {"MiB", -1, SENTINEL},
      {".", -1, SENTINEL},
      {"", -1, SENTINEL},
      {"-1", -1, SENTINEL},
      {"1  MiB", -1, SENTINEL},
      {"1 ", -1, SENTINEL},
      {"1..5KiB", -1, SENTINEL},
      {"9999999999TiB", -1, SENTINEL},
      {"1234567890123456", -1, SENTINEL},
      {"nan", -1, SENTINEL},
      {"inf", -1, SENTINEL},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    int64_t value = SENTINEL;
    SHOW_ROW("\"%s\"", rows[i].text);
    assert_int_equal(rmq_units_parse_bytes(rows[i].text, &value),
                     rows[i].want_rc);
    assert_true(value == rows[i].want);
  }
}

static void durations(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int want_rc;
    int64_t want_ns;
  } rows[] = {
      {"30", 0, 30 * RMQ_NS_PER_S},
      {"0.29", 0, 290000000},
      {".5", 0, 500000000},
      {"500ms", 0, 500000000},
      {"0.001ms", 0, 1000},
      {"30s", 0, 30 * RMQ_NS_PER_S},
      {"5m", 0, 300 * RMQ_NS_PER_S},
      {"2h", 0, 7200 * RMQ_NS_PER_S},
      {"1d", 0, 86400 * RMQ_NS_PER_S},
      {"1.5 h", 0, 5400 * RMQ_NS_PER_S},
      {"0", 0, 0},
      {"5M", -1, SENTINEL},
      {"5min", -1, SENTINEL},
      {"-5s", -1, SENTINEL},
      {"s", -1, SENTINEL},
      {"", -1, SENTINEL},
      {"1s1", -1, SENTINEL},
      {"999999999999d", -1, SENTINEL},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_dur value = {SENTINEL};
    SHOW_ROW("\"%s\"", rows[i].text);
    assert_int_equal(rmq_units_parse_duration(rows[i].text, &value),
                     rows[i].want_rc);
    assert_true(value.ns == rows[i].want_ns);
  }
}

static void numbers_that_do_not_fit_are_refused(void **state) {
  (void)state;
  static const double refused[] = {
      NAN, INFINITY, -INFINITY, 0.5, 1e19, -1e19, 9223372036854775808.0};
  for (size_t i = 0; i < COUNT_OF(refused); i++) {
    int64_t value = SENTINEL;
    SHOW_ROW("%g", refused[i]);
    assert_int_equal(rmq_units_integer_from_double(refused[i], &value), -1);
    assert_true(value == SENTINEL);
  }
  int64_t value = 0;
  assert_int_equal(
      rmq_units_integer_from_double(-9223372036854775808.0, &value), 0);
  assert_true(value == INT64_MIN);

  static const double no_times[] = {NAN, INFINITY, -1, 1e10};
  for (size_t i = 0; i < COUNT_OF(no_times); i++) {
    struct rmq_dur d = {SENTINEL};
    SHOW_ROW("%g s", no_times[i]);
    assert_int_equal(rmq_units_duration_from_double(no_times[i], &d), -1);
    assert_true(d.ns == SENTINEL);
  }
  struct rmq_dur d = {0};
  assert_int_equal(rmq_units_duration_from_double(0.29, &d), 0);
  assert_true(d.ns == 290000000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(whole_numbers),
      cmocka_unit_test(sizes),
      cmocka_unit_test(durations),
      cmocka_unit_test(numbers_that_do_not_fit_are_refused),
  };
  return run_all(tests);
}
