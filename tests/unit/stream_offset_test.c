/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/stream_offset.h"
#include "tests/testing.h"

#include <inttypes.h>
#include <string.h>

static void what_a_person_writes_becomes_the_argument(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int want_type; /* -1 = an error */
    int64_t want_integer;
  } rows[] = {
      {"first", RMQ_ARG_STRING, 0},
      {"last", RMQ_ARG_STRING, 0},
      {"next", RMQ_ARG_STRING, 0},
      {"0", RMQ_ARG_INTEGER, 0},
      {"1234567890123", RMQ_ARG_INTEGER, INT64_C(1234567890123)},
      {"12h", RMQ_ARG_STRING, 0},
      {"7D", RMQ_ARG_STRING, 0},
      {"1970-01-01T00:00:01Z", RMQ_ARG_TIMESTAMP, 1},
      {"2026-01-31T12:00:00Z", RMQ_ARG_TIMESTAMP, 1769860800},
      {"2024-02-29T23:59:59Z", RMQ_ARG_TIMESTAMP, 1709251199},
      {"2026-02-29T00:00:00Z", -1, 0},
      {"2026-01-31T24:00:00Z", -1, 0},
      {"2026-01-31T12:00:00", -1, 0},
      {"2026-01-31 12:00:00Z", -1, 0},
      {"2026-1-31T012:00:00Z", -1, 0},
      {"", -1, 0},
      {"-1", -1, 0},
      {"+1", -1, 0},
      {"First", -1, 0},
      {"99999999999999999999", -1, 0},
      {"7d", -1, 0},
      {"h", -1, 0},
      {"12hh", -1, 0},
      {"1234567890h", -1, 0},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_argument a = {.name = NULL};
    struct rmq_error err = {""};
    SHOW_ROW("%zu: %s", i, rows[i].text);
    int rc = rmq_stream_offset_parse(rows[i].text, &a, &err);
    assert_int_equal(rc, rows[i].want_type < 0 ? -1 : 0);
    if (rc != 0) {
      assert_null(a.name);
      assert_non_null(strstr(err.text, "allowed are first"));
      continue;
    }
    assert_string_equal(a.name, "x-stream-offset");
    assert_int_equal(a.type, rows[i].want_type);
    assert_int_equal(a.integer, rows[i].want_integer);
    if (a.type == RMQ_ARG_STRING)
      assert_string_equal(a.string, rows[i].text);
  }
}

static void what_was_written_is_read_and_nothing_else(void **state) {
  (void)state;
  static const int64_t numbers[] = {0, 1, 4711, INT64_MAX};
  struct rmq_buf line;
  rmq_buf_init(&line, 4096);
  for (size_t i = 0; i < COUNT_OF(numbers); i++) {
    int64_t next = -7;
    struct rmq_error err = {""};
    rmq_buf_clear(&line);
    assert_int_equal(
        rmq_stream_offset_write(&line, "/", "my stream", numbers[i]), 0);
    const char *bytes = rmq_buf_bytes(&line);
    assert_int_equal(
        rmq_stream_offset_read(bytes, line.len, "/", "my stream", &next, &err),
        0);
    assert_int_equal(next, numbers[i]);
    next = -7;
    assert_int_equal(
        rmq_stream_offset_read(bytes, line.len, "/", "my strea", &next, &err),
        -1);
    assert_int_equal(
        rmq_stream_offset_read(bytes, line.len, "v", "my stream", &next, &err),
        -1);
    assert_int_equal(next, -7);
  }
  rmq_buf_fini(&line);
}

static void every_flipped_bit_and_every_cut_is_damage(void **state) {
  (void)state;
  struct rmq_buf line;
  rmq_buf_init(&line, 4096);
  assert_int_equal(rmq_stream_offset_write(&line, "/", "q", 123456), 0);
  char *bytes = rmq_buf_bytes(&line);
  int64_t next = -7;
  for (size_t bit = 0; bit < line.len * 8; bit++) {
    struct rmq_error err = {""};
    bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
    assert_int_equal(
        rmq_stream_offset_read(bytes, line.len, "/", "q", &next, &err), -1);
    assert_non_null(strstr(err.text, "damaged"));
    bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
  }
  for (size_t len = 0; len < line.len; len++) {
    struct rmq_error err = {""};
    assert_int_equal(rmq_stream_offset_read(bytes, len, "/", "q", &next, &err),
                     -1);
  }
  assert_int_equal(next, -7);
  rmq_buf_fini(&line);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_a_person_writes_becomes_the_argument),
      cmocka_unit_test(what_was_written_is_read_and_nothing_else),
      cmocka_unit_test(every_flipped_bit_and_every_cut_is_damage),
  };
  return run_all(tests);
}
