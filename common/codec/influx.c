/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/influx.h"

#include "common/codec/number.h"

#include <math.h>
#include <string.h>

/* What gets a backslash; a measurement may have '='. */
static const char in_measurement[3] = {',', ' ', ' '};
static const char in_key[3] = {',', ' ', '='};

/* Appends name with a backslash before the characters of special. -1 when the
 * reader would not take it for the same name, or without room. */
static int append_name(struct rmq_buf *out, const char *name,
                       const char special[3], bool may_have_backslash) {
  size_t len = strlen(name);
  char *to = rmq_buf_reserve(out, 2 * len);
  if (to == NULL || len == 0 || name[len - 1] == '\\')
    return -1;
  size_t n = 0;
  for (size_t i = 0; i < len; i++) {
    char c = name[i];
    if ((unsigned)((c | 0x20) - 'a') < 26) { /* nearly every one */
      to[n++] = c;
      continue;
    }
    if ((unsigned char)c < 0x20 || c == 0x7f ||
        (c == '\\' && !may_have_backslash))
      return -1;
    if (c == special[0] || c == special[1] || c == special[2])
      to[n++] = '\\';
    to[n++] = c;
  }
  rmq_buf_commit(out, n);
  return 0;
}

static int append_tag(struct rmq_buf *out, const struct rmq_influx_tag *tag) {
  if (tag->value[0] == '\0')
    return 0;
  if (rmq_buf_append_char(out, ',') != 0 ||
      append_name(out, tag->key, in_key, true) != 0 ||
      rmq_buf_append_char(out, '=') != 0)
    return -1;
  return append_name(out, tag->value, in_key, true);
}

static size_t put_unsigned(char *to, uint64_t v) {
  size_t n = rmq_number_put_u64(to, v);
  to[n] = v > INT64_MAX ? 'u' : 'i';
  return n + 1;
}

/* 0 bytes for a value that the format has no word for. */
static size_t put_value(char *to, const struct rmq_influx_field *f) {
  size_t n = 0;
  switch (f->kind) {
  case RMQ_GAUGE:
    return isfinite(f->value.gauge) ? rmq_number_put_double(to, f->value.gauge)
                                    : 0;
  case RMQ_DERIVE:
    n = rmq_number_put_i64(to, f->value.derive);
    to[n] = 'i';
    return n + 1;
  case RMQ_COUNTER:
    return put_unsigned(to, f->value.counter);
  case RMQ_ABSOLUTE:
    return put_unsigned(to, f->value.absolute);
  }
  return 0;
}

static int append_quoted(struct rmq_buf *out, const char *text) {
  int rc = rmq_buf_append_char(out, '"');
  for (; rc == 0 && *text != '\0'; text++) {
    bool is_control = (unsigned char)*text < 0x20 || *text == 0x7f;
    if (*text == '"' || *text == '\\')
      rc = rmq_buf_append_char(out, '\\');
    if (rc == 0)
      rc = rmq_buf_append_char(out, is_control ? ' ' : *text);
  }
  return rc == 0 ? rmq_buf_append_char(out, '"') : -1;
}

/* Counts the fields written so far, which decides on the separator. */
static int append_field(struct rmq_buf *out, const struct rmq_influx_field *f,
                        size_t *written) {
  char text[RMQ_NUMBER_MAX];
  size_t n = f->text == NULL ? put_value(text, f) : 0;
  if (n == 0 && f->text == NULL)
    return 0;
  if (rmq_buf_append_char(out, *written == 0 ? ' ' : ',') != 0 ||
      append_name(out, f->key, in_key, false) != 0 ||
      (f->suffix != NULL && rmq_buf_append_text(out, f->suffix) != 0) ||
      rmq_buf_append_char(out, '=') != 0 || rmq_buf_append(out, text, n) != 0)
    return -1;
  (*written)++;
  return f->text == NULL ? 0 : append_quoted(out, f->text);
}

static int append_time(struct rmq_buf *out, struct rmq_wall time) {
  char text[RMQ_NUMBER_MAX] = " ";
  size_t n = 1 + rmq_number_put_i64(text + 1, time.ns);
  text[n++] = '\n';
  return rmq_buf_append(out, text, n);
}

int rmq_influx_encode(struct rmq_buf *out, const char *measurement,
                      const struct rmq_influx_tag *tags, size_t tags_count,
                      const struct rmq_influx_field *fields,
                      size_t fields_count, struct rmq_wall time) {
  size_t before = out->len;
  size_t written = 0;
  int rc = -1;
  if (measurement[0] != '#')
    rc = append_name(out, measurement, in_measurement, false);
  for (size_t i = 0; rc == 0 && i < tags_count; i++)
    rc = append_tag(out, &tags[i]);
  for (size_t i = 0; rc == 0 && i < fields_count; i++)
    rc = append_field(out, &fields[i], &written);
  if (rc == 0 && written > 0)
    rc = append_time(out, time);
  if (rc != 0 || written == 0)
    rmq_buf_truncate(out, before);
  return rc;
}
