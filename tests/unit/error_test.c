/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/error.h"

#include "tests/testing.h"

#include <string.h>

static void the_first_error_wins(void **state) {
  (void)state;
  struct rmq_error e = {.text = ""};
  assert_false(rmq_error_is_set(&e));
  assert_int_equal(rmq_error_set(&e, "port %d is closed", 5672), -1);
  assert_int_equal(rmq_error_set(&e, "could not connect"), -1);
  assert_string_equal(e.text, "port 5672 is closed");
  assert_true(rmq_error_is_set(&e));
}

static void after_clear_the_next_error_is_recorded(void **state) {
  (void)state;
  struct rmq_error e = {.text = ""};
  rmq_error_set(&e, "one");
  rmq_error_clear(&e);
  assert_false(rmq_error_is_set(&e));
  rmq_error_set(&e, "two");
  assert_string_equal(e.text, "two");
}

static void nobody_has_to_want_the_text(void **state) {
  (void)state;
  assert_int_equal(rmq_error_set(NULL, "%s", "lost"), -1);
}

static void a_long_text_is_cut(void **state) {
  (void)state;
  struct rmq_error e = {.text = ""};
  assert_int_equal(rmq_error_set(&e, "%0700d", 1), -1);
  assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_first_error_wins),
      cmocka_unit_test(after_clear_the_next_error_is_recorded),
      cmocka_unit_test(nobody_has_to_want_the_text),
      cmocka_unit_test(a_long_text_is_cut),
  };
  return run_all(tests);
}
