/* SPDX-License-Identifier: MIT */
/*
 * One object of collectd's JSON as it stands in the text: what belongs to each
 * key, in whatever order the keys came. Nothing is judged here but that it is
 * JSON.
 */
#ifndef RMQ_CODEC_JSON_RECORD_H
#define RMQ_CODEC_JSON_RECORD_H

#include "common/base/sample.h"
#include "common/codec/json.h"

#include <stdbool.h>

/* Keys that mean something, in the order that collectd writes them. */
enum rmq_json_slot {
  RMQ_JSON_VALUES,
  RMQ_JSON_DSTYPES,
  RMQ_JSON_DSNAMES,
  RMQ_JSON_TIME,
  RMQ_JSON_INTERVAL,
  RMQ_JSON_HOST,
  RMQ_JSON_PLUGIN,
  RMQ_JSON_PLUGIN_INSTANCE,
  RMQ_JSON_TYPE,
  RMQ_JSON_TYPE_INSTANCE,
  RMQ_JSON_META,
  RMQ_JSON_LABELS,
  RMQ_JSON_ANNOTATIONS,
  RMQ_JSON_STARTS_AT
};
enum { RMQ_JSON_SLOTS = RMQ_JSON_STARTS_AT + 1 };
/* The key as it stands in the text: "values", "startsAt". */
const char *rmq_json_slot_to_str(enum rmq_json_slot s);

/* count is how many there are, of which the first RMQ_SAMPLE_VALUES_MAX (or
 * RMQ_SAMPLE_META_MAX pairs) are kept. */
struct rmq_json_list {
  size_t count;
  struct rmq_json_value items[RMQ_SAMPLE_VALUES_MAX];
};
struct rmq_json_pairs {
  size_t count;
  struct rmq_json_value keys[RMQ_SAMPLE_META_MAX];
  struct rmq_json_value items[RMQ_SAMPLE_META_MAX];
};

struct rmq_json_record {
  bool is_given[RMQ_JSON_SLOTS];
  size_t twice; /* slot of a key that was given twice, or RMQ_JSON_SLOTS */
  struct rmq_json_value values[RMQ_JSON_SLOTS]; /* where is_given */
  /* Filled where the value is an array (lists) or object (pairs). */
  struct rmq_json_list lists[RMQ_JSON_DSNAMES + 1];
  struct rmq_json_pairs meta, labels, annotations;
};

/* Reads the object that starts here; -1: not JSON, see json.h. */
int rmq_json_record_read(struct rmq_json *j, struct rmq_json_record *ret_r);

#endif
