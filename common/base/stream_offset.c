/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/stream_offset.h"

#include "common/base/names.h"
#include "common/base/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_word(const char *text) {
  return strcmp(text, "first") == 0 || strcmp(text, "last") == 0 ||
         strcmp(text, "next") == 0;
}

static bool is_age(const char *text) {
  size_t digits = 0;
  while (is_digit(text[digits]))
    digits++;
  return digits > 0 && digits <= 9 && text[digits] != '\0' &&
         strchr("YMDhms", text[digits]) != NULL && text[digits + 1] == '\0';
}

/* "2026-01-31T12:00:00Z"; a day that does not exist is none. */
static bool parse_moment(const char *text, int64_t *ret_seconds) {
  struct tm tm = {.tm_isdst = 0};
  int end = 0;
  if (strlen(text) != sizeof("2026-01-31T12:00:00Z") - 1 ||
      sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2dZ%n", &tm.tm_year, &tm.tm_mon,
             &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &end) != 6 ||
      text[end] != '\0')
    return false;
  tm.tm_year -= 1900;
  tm.tm_mon -= 1;
  struct tm same = tm;
  time_t seconds = timegm(&same);
  if (seconds < 0 || same.tm_mon != tm.tm_mon || same.tm_mday != tm.tm_mday ||
      same.tm_hour != tm.tm_hour || same.tm_min != tm.tm_min ||
      same.tm_sec != tm.tm_sec)
    return false;
  *ret_seconds = seconds;
  return true;
}

/* The names of AMQP's argument tables are not written to. */
static char *unconst(const char *text) {
  union {
    const char *in;
    char *out;
  } u = {.in = text};
  return u.out;
}

int rmq_stream_offset_parse(const char *text, struct rmq_argument *ret_value,
                            struct rmq_error *err) {
  struct rmq_argument a = {.name = unconst("x-stream-offset")};
  if (is_word(text) || is_age(text)) {
    a.type = RMQ_ARG_STRING;
    a.string = unconst(text);
  } else if (is_digit(text[0]) &&
             rmq_units_parse_integer(text, &a.integer) == 0 && a.integer >= 0) {
    a.type = RMQ_ARG_INTEGER;
  } else if (parse_moment(text, &a.integer)) {
    a.type = RMQ_ARG_TIMESTAMP;
  } else {
    return rmq_error_set(err,
                         "\"%s\" is not valid; allowed are first, last, next, "
                         "an offset, an age as 12h or 7D, and a moment as "
                         "2026-01-31T12:00:00Z",
                         text);
  }
  *ret_value = a;
  return 0;
}

/* ------------------------------------------------------------------------
 * The file */

static int append_head(struct rmq_buf *out, const char *vhost,
                       const char *queue) {
  if (rmq_buf_append_text(out, "warren-stream-offset 1 ") != 0 ||
      rmq_names_encode(out, vhost, /* also_dash = */ false) != 0 ||
      rmq_buf_append_text(out, " ") != 0 ||
      rmq_names_encode(out, queue, /* also_dash = */ false) != 0)
    return -1;
  return rmq_buf_append_text(out, " ");
}

int rmq_stream_offset_write(struct rmq_buf *out, const char *vhost,
                            const char *queue, int64_t next) {
  size_t before = out->len;
  if (append_head(out, vhost, queue) != 0 ||
      rmq_buf_appendf(out, "%" PRId64, next) != 0)
    return -1;
  uint64_t hash = rmq_fnv1a(rmq_buf_bytes(out) + before, out->len - before);
  return rmq_buf_appendf(out, " %016" PRIx64 "\n", hash);
}

int rmq_stream_offset_read(const char *text, size_t len, const char *vhost,
                           const char *queue, int64_t *ret_next,
                           struct rmq_error *err) {
  struct rmq_buf want;
  int64_t next = -1;
  rmq_buf_init(&want, 4096);
  int rc = append_head(&want, vhost, queue);
  size_t head = want.len;
  bool is_ours =
      rc == 0 && len > head && memcmp(text, rmq_buf_bytes(&want), head) == 0;
  if (is_ours) {
    char digits[24];
    size_t count = 0;
    while (head + count < len && count < sizeof(digits) - 1 &&
           is_digit(text[head + count])) {
      digits[count] = text[head + count];
      count++;
    }
    digits[count] = '\0';
    /* What we would have written for that number is all there may be. */
    rmq_buf_clear(&want);
    if (rmq_units_parse_integer(digits, &next) != 0 ||
        rmq_stream_offset_write(&want, vhost, queue, next) != 0 ||
        want.len != len || memcmp(text, rmq_buf_bytes(&want), len) != 0)
      next = -1;
  }
  rmq_buf_fini(&want);
  if (rc != 0)
    return rmq_error_set(err, "no memory");
  if (next < 0)
    return rmq_error_set(err, is_ours
                                  ? "it is damaged"
                                  : "it is damaged, or about another queue");
  *ret_next = next;
  return 0;
}
