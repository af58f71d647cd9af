/* SPDX-License-Identifier: MIT */
/*
 * InfluxDB's line protocol, written as Telegraf's parser reads it:
 *   measurement,tag=value field=1,other=2i 1700000000000000000\n
 *
 * A comma, a space and an equals sign in names get a backslash. A backslash
 * itself has no escape in Telegraf's reader: it stands for itself, except at
 * the end of a name, where it would escape what follows.
 */
#ifndef RMQ_CODEC_INFLUX_H
#define RMQ_CODEC_INFLUX_H

#include "common/base/buf.h"
#include "common/base/sample.h"

struct rmq_influx_tag {
  const char *key;
  const char *value; /* raw; a tag with an empty value is left out */
};

/* Gauges are written as floats and left out when they are not finite, since
 * the format has no words for those; derive, counter and absolute are written
 * as integers with suffix i (those above INT64_MAX with suffix u). */
struct rmq_influx_field {
  const char *key;
  enum rmq_kind kind;
  union rmq_value value;
  const char *suffix; /* of the key, as it is written; or NULL */
  /* In place of the value: a text, in which control characters become spaces;
   * or NULL. */
  const char *text;
};

/* Appends one line with its newline, or nothing when no field is left to
 * write. 0, or -1 with the content of out as it was: out->failed says that it
 * is full or without memory, otherwise a name cannot be said in this format: it
 * is empty, has a control character, ends in a backslash, or is a measurement
 * or field key with a backslash or a '#' in front. */
int rmq_influx_encode(struct rmq_buf *out, const char *measurement,
                      const struct rmq_influx_tag *tags, size_t tags_count,
                      const struct rmq_influx_field *fields,
                      size_t fields_count, struct rmq_wall time);

#endif
