/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/sample.h"

#include <math.h>
#include <string.h>
#include <strings.h>

const char *rmq_kind_to_str(enum rmq_kind k) {
  switch (k) {
  case RMQ_GAUGE:
    return "gauge";
  case RMQ_DERIVE:
    return "derive";
  case RMQ_COUNTER:
    return "counter";
  case RMQ_ABSOLUTE:
    return "absolute";
  }
  return "unknown";
}

int rmq_kind_from_str(const char *text, size_t len, enum rmq_kind *ret_kind) {
  static const enum rmq_kind kinds[] = {RMQ_GAUGE, RMQ_DERIVE, RMQ_COUNTER,
                                        RMQ_ABSOLUTE};
  for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
    const char *word = rmq_kind_to_str(kinds[i]);
    if (strlen(word) == len && strncasecmp(word, text, len) == 0) {
      *ret_kind = kinds[i];
      return 0;
    }
  }
  return -1;
}

const char *rmq_meta_type_to_str(enum rmq_meta_type t) {
  switch (t) {
  case RMQ_META_STRING:
    return "string";
  case RMQ_META_SIGNED:
    return "signed";
  case RMQ_META_UNSIGNED:
    return "unsigned";
  case RMQ_META_DOUBLE:
    return "double";
  case RMQ_META_BOOLEAN:
    return "boolean";
  }
  return "unknown";
}

const char *rmq_severity_to_str(enum rmq_severity s) {
  switch (s) {
  case RMQ_OKAY:
    return "okay";
  case RMQ_WARNING:
    return "warning";
  case RMQ_FAILURE:
    return "failure";
  }
  return "unknown";
}

const char *rmq_sample_label(const struct rmq_sample *s, const char *key) {
  for (size_t i = 0; i < s->meta_count; i++)
    if (s->meta[i].type == RMQ_META_STRING && strcmp(s->meta[i].key, key) == 0)
      return s->meta[i].value.string;
  return NULL;
}

double rmq_datum_number(const struct rmq_datum *d) {
  switch (d->kind) {
  case RMQ_GAUGE:
    return d->value.gauge;
  case RMQ_DERIVE:
    return (double)d->value.derive;
  case RMQ_COUNTER:
  case RMQ_ABSOLUTE:
    return (double)d->value.counter;
  }
  return (double)NAN;
}
