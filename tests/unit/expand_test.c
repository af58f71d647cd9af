/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/expand.h"

#include "tests/testing.h"

#include <string.h>

static const char *fake_env(const char *name) {
  if (strcmp(name, "HOST") == 0)
    return "broker.example";
  if (strcmp(name, "EMPTY") == 0)
    return "";
  if (strcmp(name, "_X9") == 0)
    return "$HOST ${HOST}";
  return NULL;
}

static void variables_are_replaced(void **state) {
  (void)state;
  static const struct {
    const char *text, *want;
  } rows[] = {
      {"", ""},
      {"plain", "plain"},
      {"${HOST}", "broker.example"},
      {"amqp://${HOST}:5672/${HOST}",
       "amqp://broker.example:5672/broker.example"},
      {"${HOST:other}", "broker.example"},
      {"${NONE:other}", "other"},
      {"${NONE:}", ""},
      {"${NONE:a:b$$c}", "a:b$$c"},
      {"${EMPTY}", ""},
      {"${EMPTY:other}", ""},
      {"[${_X9}]", "[$HOST ${HOST}]"},
      {"$$", "$"},
      {"$${HOST}", "${HOST}"},
      {"$HOST", "$HOST"},
      {"a$", "a$"},
      {"$}", "$}"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_error err = {.text = ""};
    struct rmq_buf out;
    rmq_buf_init(&out, 200);
    rmq_buf_append_text(&out, ">");
    SHOW_ROW("\"%s\"", rows[i].text);
    assert_int_equal(rmq_expand(rows[i].text, fake_env, &out, &err), 0);
    assert_string_equal(rmq_buf_text(&out) + 1, rows[i].want);
    assert_false(rmq_error_is_set(&err));
    rmq_buf_fini(&out);
  }
}

static void what_is_wrong_is_said_and_nothing_appended(void **state) {
  (void)state;
  static const struct {
    const char *text, *want_in_error;
  } rows[] = {
      {"a${NONE}", "NONE is not set"}, {"a${", "\"${\" is not a variable"},
      {"a${HOST", "not a variable"},   {"a${}", "not a variable"},
      {"a${:x}", "not a variable"},    {"a${9A}", "not a variable"},
      {"a${HO-ST}", "not a variable"}, {"a${HOST x}", "not a variable"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_error err = {.text = ""};
    struct rmq_buf out;
    rmq_buf_init(&out, 200);
    rmq_buf_append_text(&out, "before");
    SHOW_ROW("\"%s\"", rows[i].text);
    assert_int_equal(rmq_expand(rows[i].text, fake_env, &out, &err), -1);
    assert_non_null(strstr(err.text, rows[i].want_in_error));
    assert_string_equal(rmq_buf_text(&out), "before");
    assert_int_equal(rmq_expand(rows[i].text, fake_env, &out, NULL), -1);
    rmq_buf_fini(&out);
  }
}

static void a_result_that_does_not_fit_fails_whole(void **state) {
  (void)state;
  struct rmq_error err = {.text = ""};
  struct rmq_buf out;
  rmq_buf_init(&out, strlen("broker.example"));
  assert_int_equal(rmq_expand("x${HOST}", fake_env, &out, &err), -1);
  assert_int_equal(out.len, 0);
  assert_true(rmq_error_is_set(&err));
  assert_int_equal(rmq_expand("${HOST}", fake_env, &out, NULL), 0);
  rmq_buf_fini(&out);
}

static void without_an_environment_no_variable_is_set(void **state) {
  (void)state;
  struct rmq_buf out;
  rmq_buf_init(&out, 100);
  assert_int_equal(rmq_expand("${HOST}", NULL, &out, NULL), -1);
  assert_int_equal(rmq_expand("${HOST:x}$$", NULL, &out, NULL), 0);
  assert_string_equal(rmq_buf_text(&out), "x$");
  rmq_buf_fini(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(variables_are_replaced),
      cmocka_unit_test(what_is_wrong_is_said_and_nothing_appended),
      cmocka_unit_test(a_result_that_does_not_fit_fails_whole),
      cmocka_unit_test(without_an_environment_no_variable_is_set),
  };
  return run_all(tests);
}
