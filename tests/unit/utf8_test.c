/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/utf8.h"

#include "tests/testing.h"

#include <string.h>

static void only_shortest_forms_of_real_characters_are_valid(void **state) {
  (void)state;
  static const struct {
    const char *name, *bytes;
    size_t want_len;
    uint32_t want_char;
  } rows[] = {
      {"ascii", "A", 1, 'A'},
      {"two bytes", "\xc3\xa9", 2, 0xe9},
      {"three bytes", "\xe2\x82\xac", 3, 0x20ac},
      {"four bytes", "\xf0\x9f\x90\x87", 4, 0x1f407},
      {"last character", "\xf4\x8f\xbf\xbf", 4, 0x10ffff},
      {"behind the last character", "\xf4\x90\x80\x80", 0, 0},
      {"overlong slash", "\xc0\xaf", 0, 0},
      {"overlong three bytes", "\xe0\x9f\xbf", 0, 0},
      {"overlong four bytes", "\xf0\x8f\xbf\xbf", 0, 0},
      {"surrogate", "\xed\xa0\x80", 0, 0},
      {"continuation alone", "\x80", 0, 0},
      {"missing continuation", "\xe2\x82", 0, 0},
      {"wrong continuation", "\xe2\x28\xa1", 0, 0},
      {"five bytes", "\xf8\x88\x80\x80\x80", 0, 0},
      {"0xff", "\xff", 0, 0},
      {"nothing", "", 0, 0},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    uint32_t c = 0;
    SHOW_ROW("%s", rows[i].name);
    size_t len = strlen(rows[i].bytes);
    assert_int_equal(rmq_utf8_decode(rows[i].bytes, len, &c), rows[i].want_len);
    assert_int_equal(c, rows[i].want_char);
    if (len > 0)
      assert_int_equal(rmq_utf8_is_valid(rows[i].bytes, len),
                       rows[i].want_len == len);
  }
}

static void nothing_is_read_behind_the_end(void **state) {
  (void)state;
  static const char text[] = "\xf0\x9f\x90\x87";
  for (size_t len = 0; len < 4; len++) {
    assert_int_equal(rmq_utf8_decode(text, len, NULL), 0);
    assert_int_equal(rmq_utf8_is_valid(text, len), len == 0);
  }
}

static void a_cut_never_splits_a_character(void **state) {
  (void)state;
  static const char text[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x87z";
  static const size_t want[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11};
  for (size_t max = 0; max < COUNT_OF(want); max++) {
    SHOW_ROW("max %zu", max);
    assert_int_equal(rmq_utf8_cut(text, strlen(text), max), want[max]);
  }
}

static void a_cut_through_rubbish_is_where_it_was_asked_for(void **state) {
  (void)state;
  static const char text[] = "\x80\x80\x80\x80\x80\xff\xff\xff";
  for (size_t max = 0; max <= strlen(text); max++)
    assert_int_equal(rmq_utf8_cut(text, strlen(text), max), max);
}

static void control_characters_are_c0_c1_and_del(void **state) {
  (void)state;
  for (uint32_t c = 0; c < 0x200; c++)
    assert_int_equal(rmq_utf8_is_control(c),
                     c <= 0x1f || c == 0x7f || (c >= 0x80 && c <= 0x9f));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(only_shortest_forms_of_real_characters_are_valid),
      cmocka_unit_test(nothing_is_read_behind_the_end),
      cmocka_unit_test(a_cut_never_splits_a_character),
      cmocka_unit_test(a_cut_through_rubbish_is_where_it_was_asked_for),
      cmocka_unit_test(control_characters_are_c0_c1_and_del),
  };
  return run_all(tests);
}
