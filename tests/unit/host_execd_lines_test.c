/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/host/host_execd_lines.h"

#include "tests/testing.h"

#include <string.h>

/* Feeds bytes in pieces of the given size; records are joined by '|'. */
static void feed(enum rmq_execd_split split, size_t max, const char *bytes,
                 size_t len, size_t piece, struct rmq_buf *out,
                 uint64_t *ret_too_long) {
  struct rmq_execd_lines l;
  rmq_execd_lines_init(&l, split, max);
  rmq_buf_clear(out);
  for (size_t at = 0;;) {
    size_t size = 0, n = len - at < piece ? len - at : piece;
    char *room = rmq_execd_lines_room(&l, &size);
    assert_non_null(room);
    assert_true(size >= n);
    memcpy(room, bytes + at, n);
    rmq_execd_lines_fill(&l, n);
    at += n;
    const char *record;
    size_t record_len;
    while (rmq_execd_lines_next(&l, n == 0, &record, &record_len)) {
      rmq_buf_append(out, record, record_len);
      rmq_buf_append_char(out, '|');
    }
    if (n == 0)
      break;
  }
  *ret_too_long = l.too_long;
  rmq_execd_lines_fini(&l);
}

static void input_is_split_however_it_comes(void **state) {
  static const struct {
    enum rmq_execd_split split;
    const char *input;
    size_t len;
    const char *want;
    uint64_t want_too_long;
  } rows[] = {
      {RMQ_EXECD_BY_LINE, "", 0, "", 0},
      {RMQ_EXECD_BY_LINE, "one\ntwo\n", 8, "one|two|", 0},
      {RMQ_EXECD_BY_LINE, "one\n\ntwo", 8, "one||two|", 0},
      {RMQ_EXECD_BY_LINE, "\n", 1, "|", 0},
      {RMQ_EXECD_BY_LINE, "12345678\n", 9, "12345678|", 0},
      {RMQ_EXECD_BY_LINE, "a\n123456789\nb\n", 14, "a|b|", 1},
      {RMQ_EXECD_BY_LINE, "1234567890123456789\nb", 21, "b|", 1},
      {RMQ_EXECD_BY_LINE, "b\n1234567890123456789", 21, "b|", 1},
      {RMQ_EXECD_BY_NUL, "a\nb\0c", 5, "a\nb|c|", 0},
      {RMQ_EXECD_WHOLE, "a\nb\n", 4, "a\nb\n|", 0},
      {RMQ_EXECD_WHOLE, "", 0, "|", 0},
      {RMQ_EXECD_WHOLE, "123456789", 9, "", 1},
  };
  (void)state;
  struct rmq_buf out;
  rmq_buf_init(&out, 1000);
  for (size_t i = 0; i < COUNT_OF(rows); i++)
    for (size_t piece = 1; piece <= 25; piece++) {
      SHOW_ROW("%zu in pieces of %zu", i, piece);
      uint64_t too_long = 0;
      feed(rows[i].split, 8, rows[i].input, rows[i].len, piece, &out,
           &too_long);
      assert_string_equal(rmq_buf_text(&out), rows[i].want);
      assert_int_equal(too_long, rows[i].want_too_long);
    }
  rmq_buf_fini(&out);
}

static void the_key_of_a_line_is_made_of_measurement_and_host(void **state) {
  static const struct {
    const char *line, *template, *want;
  } rows[] = {
      {"cpu,host=a.b,cpu=1 usage=1 17", NULL, "cpu"},
      {"cpu,host=a.b,cpu=1 usage=1", "t.%{host}.%{plugin}", "t.a/b.cpu"},
      {"cpu,x=1,host=b usage=1", "%{host}", "b"},
      {"cpu usage=1", "%{plugin}.%{host}", "cpu."},
      {"disk\\ io\\,x,host=a\\ b v=1", "%{plugin}|%{host}", "disk io,x|a b"},
      {"cpu,ghost=b v=1", "%{host}", ""},
      {"cpu,host", "%{host}", ""},
      {"", "%{plugin}", ""},
      {"cpu", "fixed", "fixed"},
  };
  (void)state;
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    char key[RMQ_RKEY_MAX + 1];
    rmq_execd_lines_key(rows[i].line, strlen(rows[i].line), rows[i].template,
                        key);
    assert_string_equal(key, rows[i].want);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(input_is_split_however_it_comes),
      cmocka_unit_test(the_key_of_a_line_is_made_of_measurement_and_host),
  };
  return run_all(tests);
}
