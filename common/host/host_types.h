/* SPDX-License-Identifier: MIT */
/*
 * collectd's types.db for who is not collectd: which data sources a type has.
 */
#ifndef RMQ_HOST_HOST_TYPES_H
#define RMQ_HOST_HOST_TYPES_H

#include "common/base/error.h"
#include "common/base/sample.h"

enum { RMQ_HOST_TYPES_BYTES = 1024 * 1024 }; /* largest file */

struct rmq_host_types;
/* Reads the file: "TYPE SOURCE:KIND:MIN:MAX, SOURCE:KIND:MIN:MAX" per line. Of
 * a type that is there twice the later one counts, as in collectd. NULL with
 * err: it cannot be read, or has a line that is none. */
struct rmq_host_types *rmq_host_types_new(const char *path,
                                          struct rmq_error *err);
void rmq_host_types_free(struct rmq_host_types *t);
/* For a decoder; t NULL knows no type. What it tells lives as long as t. */
struct rmq_types rmq_host_types_get(struct rmq_host_types *t);

#endif
