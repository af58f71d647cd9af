/* SPDX-License-Identifier: MIT */
/*
 * What Warren reports, as tables: one row per series, and no second list. The
 * collectd identity, the Influx field, the Prometheus name, the manual's
 * appendix and the emission itself read the same row (contract.md, Series).
 *
 * A row says where its value lies in the struct of its scope, so reporting an
 * object is one loop over a table: double for GAUGE, NaN = not known; int64_t
 * for DERIVE, negative = not known. What is not known is not sent.
 *
 *   static const struct rmq_series table[] = {
 *     {.type = "queue_length", .type_instance = "ready", .kind = RMQ_GAUGE,
 *      .scope = RMQ_SERIES_QUEUE, .max = INFINITY, .unit = "messages",
 *      .offset = offsetof(struct queue_report, ready), .help = "..."},
 *     RMQ_SERIES_END};
 */
#ifndef RMQ_BASE_SERIES_H
#define RMQ_BASE_SERIES_H

#include "common/base/buf.h"
#include "common/base/host.h"
#include "common/base/sample.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a series is about; decides plugin instance and labels. */
enum rmq_series_scope {
  RMQ_SERIES_BLOCK,   /* NAME; label block */
  RMQ_SERIES_CLUSTER, /* NAME; label cluster */
  RMQ_SERIES_NODE,    /* NAME-node-NODE; labels cluster, node */
  RMQ_SERIES_VHOST,   /* NAME-vhost-VHOST; labels cluster, vhost */
  RMQ_SERIES_QUEUE    /* NAME-queue-VHOST-QUEUE; labels cluster, vhost, queue */
};
/* "block", "cluster", "node", "vhost", "queue". */
const char *rmq_series_scope_to_str(enum rmq_series_scope s);

struct rmq_series {
  const char *type;          /* a stock type of collectd's types.db */
  const char *type_instance; /* NULL = none; of a family the part before the
                                cause, as in "dropped_" */
  const char *const *causes; /* of a family: NULL-terminated; else NULL */
  enum rmq_kind kind;        /* RMQ_GAUGE or RMQ_DERIVE */
  enum rmq_series_scope scope;
  size_t offset;    /* of the value; of a family: of an array, one per cause */
  double min, max;  /* inclusive; INFINITY = none. Outside = not known, except
                       that a percent is capped to 0..100 */
  const char *unit; /* "messages", "seconds", "1" ... */
  /* Of the cluster: "connection", "lag", "errors", "resource", "throughput";
   * NULL = none of them. */
  const char *indicator;
  /* The end of its name in Prometheus where that of the others would break a
   * rule of theirs; else NULL. */
  const char *prometheus;
  const char *help; /* one sentence: formula and source */
};

/* A table ends with a row without a type. */
#define RMQ_SERIES_END                                                         \
  { .type = NULL }

/* One object that series are about, named once and reported often. */
struct rmq_series_object {
  const char *plugin; /* borrowed: "rabbitmq_monitor" */
  char plugin_instance[RMQ_NAME_MAX + 1];
  struct rmq_meta labels[3]; /* raw names, borrowed */
  size_t labels_count;
};

/* Names of which the scope has no use are ignored (NULL is fine). All names
 * are borrowed for as long as the object is used. -1 when a node's name cannot
 * be part of an identity, or without memory; ret_object is untouched then. */
int rmq_series_object_init(enum rmq_series_scope scope, const char *plugin,
                           const char *name, const char *node,
                           const char *vhost, const char *queue,
                           struct rmq_series_object *ret_object);

/* Where reported values go and what they have in common. */
struct rmq_series_report {
  const struct rmq_host *host;
  const struct rmq_series_object *object;
  struct rmq_wall time;
  struct rmq_dur interval;
};

/* One value through host->sample, with the object's raw names as meta data.
 * cause is NULL unless the row is a family. True when it was sent: false for a
 * value that is not known or outside the row's range. */
bool rmq_series_emit_gauge(const struct rmq_series_report *r,
                           const struct rmq_series *row, const char *cause,
                           double value);
bool rmq_series_emit_derive(const struct rmq_series_report *r,
                            const struct rmq_series *row, const char *cause,
                            int64_t value);
/* Every row of the scope, with the values of the struct at values. Returns how
 * many were sent. */
size_t rmq_series_emit_all(const struct rmq_series_report *r,
                           const struct rmq_series *table,
                           enum rmq_series_scope scope, const void *values);

/* The number of names that a row stands for: 1, or its causes. */
size_t rmq_series_names_count(const struct rmq_series *row);
/* Names of the same series elsewhere, appended; cause as above.
 * "ready", "dropped_overflow", "". */
int rmq_series_type_instance(const struct rmq_series *row, const char *cause,
                             struct rmq_buf *out);
/* Influx field from a collectd identity: "queue_length_ready", "uptime". */
int rmq_series_field(const char *type, const char *type_instance,
                     struct rmq_buf *out);
/* "warren_monitor_queue_length_ready", "warren_monitor_publish_rate" (of
 * gauge-publish_rate: Prometheus has the type elsewhere),
 * "warren_monitor_operations_publish_total" for plugin "rabbitmq_monitor". */
int rmq_series_prometheus(const char *plugin, const struct rmq_series *row,
                          const char *cause, struct rmq_buf *out);

#endif
