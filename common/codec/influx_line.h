/* SPDX-License-Identifier: MIT */
/*
 * One line of InfluxDB's line protocol taken apart in place, as Telegraf's
 * parser does it: a backslash before ',', ' ' or '=' takes that character into
 * a name, any other stands for itself; inside of a quoted text it does so
 * before '"' and '\'.
 */
#ifndef RMQ_CODEC_INFLUX_LINE_H
#define RMQ_CODEC_INFLUX_LINE_H

#include "common/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RMQ_INFLUX_TAGS_MAX = 32, RMQ_INFLUX_FIELDS_MAX = 1024 };

enum rmq_influx_type {
  RMQ_INFLUX_FLOAT,
  RMQ_INFLUX_SIGNED,   /* 5i */
  RMQ_INFLUX_UNSIGNED, /* 5u */
  RMQ_INFLUX_BOOLEAN,
  RMQ_INFLUX_TEXT
};
const char *rmq_influx_type_to_str(enum rmq_influx_type t);

struct rmq_influx_value {
  const char *key;
  enum rmq_influx_type type;
  union {
    double number;
    int64_t signed_int;
    uint64_t unsigned_int;
    bool boolean;
  } value;
};

/* Everything points into the text. */
struct rmq_influx_line {
  const char *measurement;
  size_t tags_count, fields_count;
  struct {
    const char *key, *value;
  } tags[RMQ_INFLUX_TAGS_MAX];
  struct rmq_influx_value fields[RMQ_INFLUX_FIELDS_MAX];
  int64_t time_ns;
};

struct rmq_influx_text {
  char *at, *end; /* *end may be written to */
  bool is_line_over;
};

/* 1: a line; 0: it is empty or a comment; -1: it cannot be read. In any case
 * text is then at the next line. */
int rmq_influx_line_read(struct rmq_influx_text *text,
                         struct rmq_influx_line *ret_line,
                         struct rmq_error *err);

#endif
