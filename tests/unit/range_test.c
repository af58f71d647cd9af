/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/range.h"
#include "tests/testing.h"

#include <math.h>
#include <string.h>

/* The table of the Development Guidelines. */
static void ranges_alert_as_the_guidelines_say(void **state) {
  (void)state;
  static const struct {
    const char *range;
    double value;
    bool want_alert;
  } cases[] = {
      {"10", -0.1, true},     {"10", 0, false},       {"10", 10, false},
      {"10", 10.1, true},     {"10:", 9.9, true},     {"10:", 10, false},
      {"10:", 1e12, false},   {"~:10", -1e12, false}, {"~:10", 10, false},
      {"~:10", 10.5, true},   {"10:20", 9, true},     {"10:20", 15, false},
      {"10:20", 21, true},    {"@10:20", 10, true},   {"@10:20", 20, true},
      {"@10:20", 9.9, false}, {"@10:20", 21, false},  {"0", 0, false},
      {"0", 1, true},         {"1:", 0, true},        {":5", -1, true},
      {"-5:5", -5, false},    {"~:", 7, false},       {"@~:5", 4, true}};
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    struct rmq_error err = {.text = ""};
    struct rmq_range r;
    assert_int_equal(rmq_range_parse(cases[i].range, &err, &r), 0);
    if (rmq_range_alerts(&r, cases[i].value) != cases[i].want_alert)
      fail_msg("%s of %g", cases[i].range, cases[i].value);
    assert_false(rmq_range_alerts(&r, (double)NAN));
  }
}

static void what_is_no_range_is_refused_with_what_is_allowed(void **state) {
  (void)state;
  static const char *const bad[] = {
      "",     "@",   "x",    "20:10", "10:20:30", "1 0",   "~",  "10:~",
      "0x10", "nan", "10:y", "@@1:2", "nan:",     "~:nan", "1,5"};
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    struct rmq_error err = {.text = ""};
    struct rmq_range r = {.start = 7};
    if (rmq_range_parse(bad[i], &err, &r) != -1)
      fail_msg("\"%s\" was taken", bad[i]);
    assert_non_null(strstr(err.text, "allowed: [@][START:]END"));
    assert_true(r.start == 7);
  }
}

int main(void) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(ranges_alert_as_the_guidelines_say),
      cmocka_unit_test(what_is_no_range_is_refused_with_what_is_allowed)};
  cmocka_set_message_output(CM_OUTPUT_TAP);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
