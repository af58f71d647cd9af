/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/influx.h"

#include "common/codec/number.h"

#include <math.h>
#include <string.h>

/* True when the reader would take name, escaped, for the same name. */
static bool can_be_said(const char *name, bool may_have_backslash) {
  size_t len = strlen(name);
  if (len == 0 || name[len - 1] == '\\')
    return false;
  for (size_t i = 0; i < len; i++)
    if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f ||
        (name[i] == '\\' && !may_have_backslash))
      return false;
  return true;
}

static int append_escaped(struct rmq_buf *out, const char *name,
                          const char *special) {
  while (*name != '\0') {
    size_t plain = strcspn(name, special);
    if (rmq_buf_append(out, name, plain) != 0)
      return -1;
    name += plain;
    if (*name != '\0' && rmq_buf_append(out, (char[]){'\\', *name++}, 2) != 0)
      return -1;
  }
  return 0;
}

static int append_tag(struct rmq_buf *out, const struct rmq_influx_tag *tag) {
  if (tag->value[0] == '\0')
    return 0;
  if (!can_be_said(tag->key, true) || !can_be_said(tag->value, true))
    return -1;
  if (rmq_buf_append_char(out, ',') != 0 ||
      append_escaped(out, tag->key, ",= ") != 0 ||
      rmq_buf_append_char(out, '=') != 0)
    return -1;
  return append_escaped(out, tag->value, ",= ");
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

/* Counts the fields written so far, which decides on the separator. */
static int append_field(struct rmq_buf *out, const struct rmq_influx_field *f,
                        size_t *written) {
  char text[RMQ_NUMBER_MAX];
  size_t n = put_value(text, f);
  if (n == 0)
    return 0;
  if (!can_be_said(f->key, false))
    return -1;
  if (rmq_buf_append_char(out, *written == 0 ? ' ' : ',') != 0 ||
      append_escaped(out, f->key, ",= ") != 0 ||
      rmq_buf_append_char(out, '=') != 0 || rmq_buf_append(out, text, n) != 0)
    return -1;
  (*written)++;
  return 0;
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
  if (can_be_said(measurement, false) && measurement[0] != '#')
    rc = append_escaped(out, measurement, ", ");
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
