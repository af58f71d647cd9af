/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/codec.h"

#include "tests/testing.h"

#include <string.h>

static void names_and_rows_have_the_same_order(void **state) {
  (void)state;
  int count = 0;
  for (; rmq_codec_names[count] != NULL; count++) {
    const struct rmq_codec *c = rmq_codec_at(count);
    assert_non_null(c);
    assert_string_equal(c->name, rmq_codec_names[count]);
    assert_ptr_equal(rmq_codec_by_name(rmq_codec_names[count]), c);
    assert_ptr_equal(
        rmq_codec_by_content_type(c->content_type, strlen(c->content_type)),
        c->decode == NULL ? NULL : c);
    assert_non_null(c->encode_event);
  }
  assert_int_equal(count, 4);
  assert_null(rmq_codec_at(count));
  assert_null(rmq_codec_at(-1));
}

static void codecs_are_found_by_the_option_s_word(void **state) {
  (void)state;
  assert_ptr_equal(rmq_codec_by_name("command"), &rmq_codec_putval);
  assert_ptr_equal(rmq_codec_by_name("JSON"), &rmq_codec_json);
  assert_null(rmq_codec_by_name("XML"));
  assert_null(rmq_codec_by_name(""));
}

static void codecs_are_found_by_the_content_type(void **state) {
  (void)state;
  static const struct {
    const char *type;
    const struct rmq_codec *want;
  } rows[] = {
      {"text/collectd", &rmq_codec_putval},
      {"TEXT/Collectd", &rmq_codec_putval},
      {"application/json", &rmq_codec_json},
      {"application/json; charset=utf-8", &rmq_codec_json},
      {" application/json ;x", &rmq_codec_json},
      {"application/jsonx", NULL},
      {"application/jso", NULL},
      {"text/plain", NULL},
      {"; application/json", NULL},
      {"", NULL},
      {"  ", NULL},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("\"%s\"", rows[i].type);
    assert_ptr_equal(
        rmq_codec_by_content_type(rows[i].type, strlen(rows[i].type)),
        rows[i].want);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(names_and_rows_have_the_same_order),
      cmocka_unit_test(codecs_are_found_by_the_option_s_word),
      cmocka_unit_test(codecs_are_found_by_the_content_type),
  };
  return run_all(tests);
}
