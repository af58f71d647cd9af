/* SPDX-License-Identifier: MIT */
/*
 * Families of metrics as rows: of which field of a struct a family's value is a
 * part. The tables are in metrics.c (a node) and metrics_queues.c.
 */
#ifndef RMQ_BROKER_METRICS_FAMILY_H
#define RMQ_BROKER_METRICS_FAMILY_H

#include "common/codec/exposition.h"

/* Where a family's value belongs. Samples of several label sets (protocol,
 * queue type, strategy; objects, where the node aggregates nothing) add up. */
struct rmq_metrics_family {
  const char *name; /* without what all of the table begin with */
  bool is_counter;  /* an int64_t; else a double */
  size_t offset;
};

/* The index of prefix + row's name in a table, or -1. */
int rmq_metrics_family_find(const struct rmq_metrics_family *table,
                            size_t count, const char *prefix,
                            struct rmq_exposition_text name);

bool rmq_metrics_text_is(const char *a, struct rmq_exposition_text b);
/* False, and to untouched, when it does not fit or has a NUL inside. */
bool rmq_metrics_text_copy(struct rmq_exposition_text text, char *to,
                           size_t size);

#endif
