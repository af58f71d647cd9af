/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/number.h"

#include "common/base/prng.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *double_text(double v) {
  static char text[RMQ_NUMBER_MAX + 1];
  text[rmq_number_put_double(text, v)] = '\0';
  return text;
}

static void doubles_are_written_short_and_exact(void **state) {
  (void)state;
  static const struct {
    double value;
    const char *want;
  } cases[] = {
      {0.0, "0"},
      {-0.0, "-0.0"},
      {1.0, "1"},
      {-42.0, "-42"},
      {0.1, "0.1"},
      {-0.25, "-0.25"},
      {12.34, "12.34"},
      {99.99, "99.99"},
      {1e-5, "0.00001"},
      {0.30000000000000004, "0.30000000000000004"},
      {100.0 / 3, "33.333333333333336"},
      {9007199254740991.0, "9007199254740991"},
      {9007199254740992.0, "9007199254740992"},
      {1e300, "1e+300"},
      {5e-324, "4.94065645841247e-324"},
      {DBL_MAX, "1.7976931348623157e+308"},
      {-DBL_MAX, "-1.7976931348623157e+308"},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    const char *text = double_text(cases[i].value);
    assert_string_equal(text, cases[i].want);
    assert_true(strtod(text, NULL) == cases[i].value);
  }
}

static void integers_are_written_to_their_limits(void **state) {
  (void)state;
  char text[RMQ_NUMBER_MAX + 1];
  static const int64_t values[] = {0,  1,         -1,        9,  10,
                                   99, INT64_MAX, INT64_MIN, -10};
  for (size_t i = 0; i < COUNT(values); i++) {
    char want[RMQ_NUMBER_MAX];
    snprintf(want, sizeof(want), "%" PRId64, values[i]);
    text[rmq_number_put_i64(text, values[i])] = '\0';
    assert_string_equal(text, want);
  }
  text[rmq_number_put_u64(text, UINT64_MAX)] = '\0';
  assert_string_equal(text, "18446744073709551615");
}

static void seconds_are_rounded_to_the_nearest_millisecond(void **state) {
  (void)state;
  static const struct {
    int64_t ns;
    const char *want;
  } cases[] = {
      {0, "0.000"},
      {499999, "0.000"},
      {500000, "0.001"},
      {INT64_C(1700000000123000000), "1700000000.123"},
      {INT64_C(1700000000999500000), "1700000001.000"},
      {10 * RMQ_NS_PER_S, "10.000"},
      {INT64_MAX, "9223372036.855"},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    char text[RMQ_NUMBER_MAX + 1];
    text[rmq_number_put_seconds(text, cases[i].ns)] = '\0';
    assert_string_equal(text, cases[i].want);
  }
}

static void integers_are_read_exactly_or_not_at_all(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int want_rc_signed, want_rc_unsigned;
    int64_t want_signed;
    uint64_t want_unsigned;
  } cases[] = {
      {"0", 0, 0, 0, 0},
      {"-0", 0, -1, 0, 0},
      {"-1", 0, -1, -1, 0},
      {"42", 0, 0, 42, 42},
      {"9223372036854775807", 0, 0, INT64_MAX, INT64_MAX},
      {"-9223372036854775808", 0, -1, INT64_MIN, 0},
      {"9223372036854775808", -1, 0, 0, UINT64_C(9223372036854775808)},
      {"-9223372036854775809", -1, -1, 0, 0},
      {"18446744073709551615", -1, 0, 0, UINT64_MAX},
      {"18446744073709551616", -1, -1, 0, 0},
      {"99999999999999999999", -1, -1, 0, 0},
      {"", -1, -1, 0, 0},
      {"-", -1, -1, 0, 0},
      {"+1", -1, -1, 0, 0},
      {"010", -1, -1, 0, 0},
      {"0x10", -1, -1, 0, 0},
      {"1.0", -1, -1, 0, 0},
      {"1 ", -1, -1, 0, 0},
      {" 1", -1, -1, 0, 0},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    int64_t s = 77;
    uint64_t u = 77;
    size_t len = strlen(cases[i].text);
    assert_int_equal(rmq_number_get_i64(cases[i].text, len, &s),
                     cases[i].want_rc_signed);
    assert_true(s ==
                (cases[i].want_rc_signed == 0 ? cases[i].want_signed : 77));
    assert_int_equal(rmq_number_get_u64(cases[i].text, len, &u),
                     cases[i].want_rc_unsigned);
    assert_true(u ==
                (cases[i].want_rc_unsigned == 0 ? cases[i].want_unsigned : 77));
  }
}

/* Whatever way is taken, the bytes are printf's. */
static void general_doubles_are_printf_s(void **state) {
  (void)state;
  static const double cases[] = {0.0,
                                 -0.0,
                                 1,
                                 -42,
                                 0.1,
                                 0.30000000000000004,
                                 100.0 / 3,
                                 1e-4,
                                 9.9999e-5,
                                 1e15,
                                 1e15 - 1,
                                 999999999999999.9,
                                 123456789012345.6,
                                 1e300,
                                 5e-324,
                                 DBL_MAX,
                                 -DBL_MAX,
                                 INFINITY,
                                 -INFINITY,
                                 NAN,
                                 0.5,
                                 1e14 + 0.5,
                                 -0.001234,
                                 2.5e-5,
                                 1e22,
                                 9007199254740993.0};
  struct rmq_prng r = {7};
  for (size_t i = 0; i < COUNT(cases) + 200000; i++) {
    double v = 0;
    uint64_t bits = rmq_prng_next(&r);
    if (i < COUNT(cases))
      v = cases[i];
    else if (i % 4 == 0)
      memcpy(&v, &bits, sizeof(v)); /* any double at all */
    else if (i % 4 == 1)
      v = (double)(int64_t)bits / 1e6; /* of many digits */
    else if (i % 4 == 2)               /* of few */
      v = (double)(bits % 1000000) / (double)(1 + bits % 7 * 1000);
    else
      v = (double)(bits % 100000000) / 10000;
    char want[64], got[RMQ_NUMBER_MAX + 1];
    snprintf(want, sizeof(want), "%.15g", v);
    got[rmq_number_put_general(got, v)] = '\0';
    assert_string_equal(got, want);
  }
}
static void doubles_are_read_as_the_c_library_reads_them(void **state) {
  (void)state;
  static const char *const good[] = {
      "0",
      "-0",
      "1",
      "+1",
      "1.",
      ".5",
      "-.5",
      "1e3",
      "1E+3",
      "1e-3",
      "123456.789",
      "1e22",
      "1e23",
      "1e-22",
      "1e-23",
      "5e-324",
      "1e-999",
      "1e308",
      "00012",
      "9007199254740993",
      "18446744073709551616",
      "0.30000000000000004",
      "179769313486231570000000000000000000000000000000000e250",
      "0.000000000000000000000000000000000000000000000000000000000000001",
  };
  static const char *const bad[] = {
      "",     "-",   ".",  "e1", "1e",    "1e+", "1e999", "nan", "inf",
      "0x10", "1,5", "1 ", " 1", "1.2.3", "--1", "1e1.5", "N",   "U",
  };
  for (size_t i = 0; i < COUNT(good); i++) {
    double v = 77;
    assert_int_equal(rmq_number_get_double(good[i], strlen(good[i]), &v), 0);
    double want = strtod(good[i], NULL);
    assert_memory_equal(&v, &want, sizeof(v));
  }
  for (size_t i = 0; i < COUNT(bad); i++) {
    double v = 77;
    assert_int_equal(rmq_number_get_double(bad[i], strlen(bad[i]), &v), -1);
    assert_true(v == 77);
  }
}

static void seconds_are_read_to_the_nanosecond(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int want_rc;
    int64_t want;
  } cases[] = {
      {"0", 0, 0},
      {"1700000000", 0, INT64_C(1700000000000000000)},
      {"1700000000.5", 0, INT64_C(1700000000500000000)},
      {"1700000000.123", 0, INT64_C(1700000000123000000)},
      {"1700000000.123456789", 0, INT64_C(1700000000123456789)},
      {"1700000000.1234567899", 0, INT64_C(1700000000123456789)},
      {"9223372034.999999999", 0, INT64_C(9223372034999999999)},
      {"9223372035", 0, INT64_C(9223372035000000000)},
      {"9223372035.000000001", -1, 77},
      {"9223372036", -1, 77},
      {"99999999999999999999", -1, 77},
      {"", -1, 77},
      {".5", -1, 77},
      {"1.", -1, 77},
      {"-1", -1, 77},
      {"1e9", -1, 77},
      {"1.2.3", -1, 77},
      {"N", -1, 77},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    int64_t ns = 77;
    assert_int_equal(
        rmq_number_get_seconds(cases[i].text, strlen(cases[i].text), &ns),
        cases[i].want_rc);
    assert_true(ns == cases[i].want);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(doubles_are_written_short_and_exact),
      cmocka_unit_test(general_doubles_are_printf_s),
      cmocka_unit_test(integers_are_written_to_their_limits),
      cmocka_unit_test(seconds_are_rounded_to_the_nearest_millisecond),
      cmocka_unit_test(integers_are_read_exactly_or_not_at_all),
      cmocka_unit_test(doubles_are_read_as_the_c_library_reads_them),
      cmocka_unit_test(seconds_are_read_to_the_nanosecond),
  };
  cmocka_set_message_output(CM_OUTPUT_TAP);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
