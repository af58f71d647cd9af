/* SPDX-License-Identifier: MIT */
/*
 * Sets as lines of InfluxDB's line protocol, as Telegraf's execd wants them:
 * measurement PLUGIN, the raw names as tags, a field per series. Values of the
 * same object and time share a line. An event is a line of the measurement
 * PLUGIN_event: its texts are tags, its numbers and the message fields.
 */
#ifndef RMQ_CODEC_EMIT_INFLUX_H
#define RMQ_CODEC_EMIT_INFLUX_H

#include "common/codec/emit.h"
#include "common/codec/influx.h"

enum {
  RMQ_EMIT_INFLUX_TAGS = 4,
  RMQ_EMIT_INFLUX_FIELDS = 64,
  RMQ_EMIT_INFLUX_NAME = 256
};

/* The line that is being put together; all texts are copies. All zero =
 * none. */
struct rmq_emit_influx {
  char measurement[RMQ_EMIT_INFLUX_NAME];
  char tag_keys[RMQ_EMIT_INFLUX_TAGS][RMQ_EMIT_INFLUX_NAME];
  char tag_values[RMQ_EMIT_INFLUX_TAGS][RMQ_EMIT_INFLUX_NAME];
  size_t tags_count;
  char field_keys[RMQ_EMIT_INFLUX_FIELDS][RMQ_EMIT_INFLUX_NAME];
  struct rmq_influx_field fields[RMQ_EMIT_INFLUX_FIELDS];
  size_t fields_count;
  struct rmq_wall time;
  size_t unsayable_count; /* lines that line protocol cannot express */
};

/* Borrows x. */
struct rmq_emit rmq_emit_influx_emit(struct rmq_emit_influx *x);

#endif
