/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/sample.h"

#include "tests/testing.h"

static void every_enum_value_has_its_own_text(void **state) {
  (void)state;
  assert_string_equal(rmq_kind_to_str(RMQ_GAUGE), "gauge");
  assert_string_equal(rmq_kind_to_str(RMQ_DERIVE), "derive");
  assert_string_equal(rmq_kind_to_str(RMQ_COUNTER), "counter");
  assert_string_equal(rmq_kind_to_str(RMQ_ABSOLUTE), "absolute");
  assert_string_equal(rmq_meta_type_to_str(RMQ_META_STRING), "string");
  assert_string_equal(rmq_meta_type_to_str(RMQ_META_SIGNED), "signed");
  assert_string_equal(rmq_meta_type_to_str(RMQ_META_UNSIGNED), "unsigned");
  assert_string_equal(rmq_meta_type_to_str(RMQ_META_DOUBLE), "double");
  assert_string_equal(rmq_meta_type_to_str(RMQ_META_BOOLEAN), "boolean");
  assert_string_equal(rmq_severity_to_str(RMQ_OKAY), "okay");
  assert_string_equal(rmq_severity_to_str(RMQ_WARNING), "warning");
  assert_string_equal(rmq_severity_to_str(RMQ_FAILURE), "failure");
}

static void a_value_outside_an_enum_still_has_a_text(void **state) {
  (void)state;
  assert_string_equal(rmq_kind_to_str((enum rmq_kind)77), "unknown");
  assert_string_equal(rmq_meta_type_to_str((enum rmq_meta_type)77), "unknown");
  assert_string_equal(rmq_severity_to_str((enum rmq_severity)77), "unknown");
}

static void kinds_are_read_whole_and_in_any_case(void **state) {
  (void)state;
  static const struct {
    const char *text;
    size_t len;
    int want_rc;
    enum rmq_kind want_kind;
  } rows[] = {
      {"gauge", 5, 0, RMQ_GAUGE},     {"DERIVE", 6, 0, RMQ_DERIVE},
      {"Counter", 7, 0, RMQ_COUNTER}, {"absoluteXX", 8, 0, RMQ_ABSOLUTE},
      {"gaug", 4, -1, RMQ_ABSOLUTE},  {"gauges", 6, -1, RMQ_ABSOLUTE},
      {"", 0, -1, RMQ_ABSOLUTE},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    enum rmq_kind kind = RMQ_ABSOLUTE;
    SHOW_ROW("%s", rows[i].text);
    assert_int_equal(rmq_kind_from_str(rows[i].text, rows[i].len, &kind),
                     rows[i].want_rc);
    assert_int_equal(kind, rows[i].want_kind);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_enum_value_has_its_own_text),
      cmocka_unit_test(a_value_outside_an_enum_still_has_a_text),
      cmocka_unit_test(kinds_are_read_whole_and_in_any_case),
  };
  return run_all(tests);
}
