/* SPDX-License-Identifier: MIT */
/*
 * A metric and a notification without any host's types. All pointers are
 * borrowed: a sample points into whatever the caller has (a value list, a
 * decoded message) and is valid for the duration of one call.
 */
#ifndef RMQ_BASE_SAMPLE_H
#define RMQ_BASE_SAMPLE_H

#include "common/base/rmqtime.h"

#include <stddef.h>
#include <stdint.h>

/* collectd's four kinds; derive is signed, counter and absolute are not. */
enum rmq_kind { RMQ_GAUGE, RMQ_DERIVE, RMQ_COUNTER, RMQ_ABSOLUTE };
/* "gauge", "derive", "counter", "absolute"; as in types.db. */
const char *rmq_kind_to_str(enum rmq_kind k);
/* 0, or -1 for an unknown word (case is ignored). */
int rmq_kind_from_str(const char *text, size_t len, enum rmq_kind *ret_kind);

union rmq_value {
  double gauge; /* NaN = unknown */
  int64_t derive;
  uint64_t counter;
  uint64_t absolute;
};

struct rmq_datum {
  const char *name; /* of the data source: "value", "rx" */
  enum rmq_kind kind;
  union rmq_value value;
};

enum rmq_meta_type {
  RMQ_META_STRING,
  RMQ_META_SIGNED,
  RMQ_META_UNSIGNED,
  RMQ_META_DOUBLE,
  RMQ_META_BOOLEAN
};
const char *rmq_meta_type_to_str(enum rmq_meta_type t);

struct rmq_meta {
  const char *key;
  enum rmq_meta_type type;
  union {
    const char *string;
    int64_t signed_int;
    uint64_t unsigned_int;
    double number;
    bool boolean;
  } value;
};

/* Names in collectd's sense; "" where there is none, never NULL. */
struct rmq_identity {
  const char *host;
  const char *plugin;
  const char *plugin_instance;
  const char *type;
  const char *type_instance;
};

struct rmq_sample {
  struct rmq_identity id;
  struct rmq_wall time;
  struct rmq_dur interval; /* 0 = unknown */
  const struct rmq_datum *values;
  size_t values_count;
  /* Of each value, per second, NaN = unknown; NULL: counters are to be written
   * as they are. Those of gauges are not looked at. */
  const double *rates;
  const struct rmq_meta *meta;
  size_t meta_count;
};

/* The text of the meta data under key (a label such as "queue"), borrowed; NULL
 * when there is none. */
const char *rmq_sample_label(const struct rmq_sample *s, const char *key);
/* The value as a number, whatever its kind. */
double rmq_datum_number(const struct rmq_datum *d);

enum rmq_severity { RMQ_OKAY, RMQ_WARNING, RMQ_FAILURE };
/* "okay", "warning", "failure", as PUTNOTIF spells them. */
const char *rmq_severity_to_str(enum rmq_severity s);

/* A notification; id.host etc. may be "". */
struct rmq_event {
  enum rmq_severity severity;
  struct rmq_wall time;
  struct rmq_identity id;
  const char *message;
  const struct rmq_meta *meta;
  size_t meta_count;
};

/* Largest number of values in one sample that is decoded from the wire. */
enum { RMQ_SAMPLE_VALUES_MAX = 64, RMQ_SAMPLE_META_MAX = 32 };
/* collectd's DATA_MAX_NAME_LEN - 1. */
enum { RMQ_NAME_MAX = 127 };

/* What a decoder must know of a type: names and kinds of its data sources.
 * get returns their number (at most max) or -1 when the type is unknown. */
struct rmq_types {
  void *ctx;
  int (*get)(void *ctx, const char *type, struct rmq_datum *ret_sources,
             size_t max);
};

#endif
