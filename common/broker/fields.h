/* SPDX-License-Identifier: MIT */
/*
 * Objects of JSON read by rows: which field goes where. There is no tree and no
 * memory: of a hostile body that made a tree, each byte would cost fifty. A row
 * takes the type that carries its meaning; of another type it is absent. What
 * no row wants is read over.
 */
#ifndef RMQ_BROKER_FIELDS_H
#define RMQ_BROKER_FIELDS_H

#include "common/codec/json.h"

#include <stddef.h>

/* Reads the value that comes next into to: 0, or -1 as the reader of JSON has
 * it, which has the cause. */
typedef int (*rmq_fields_reader)(struct rmq_json *j, void *to);

struct rmq_field {
  const char *key;
  size_t len, offset; /* of key; of the member */
  rmq_fields_reader read;
};
#define RMQ_FIELD(type, member, key, read)                                     \
  { key, sizeof(key) - 1, offsetof(type, member), read }
/* What it reads goes to several members: it is given the whole. */
#define RMQ_FIELD_WITHIN(key, read)                                            \
  { key, sizeof(key) - 1, 0, read }

/* A table as two arguments. */
#define RMQ_FIELDS(table) table, sizeof(table) / sizeof((table)[0])

/* Readers, and what to points to. */
int rmq_field_gauge(struct rmq_json *j, void *to);   /* double; NaN */
int rmq_field_counter(struct rmq_json *j, void *to); /* int64_t from 0 on;
                                                        RMQ_ABSENT */
int rmq_field_boolean(struct rmq_json *j, void *to); /* double, 0 or 1; NaN */
int rmq_field_length(struct rmq_json *j, void *to);  /* double, an array's; NaN
                                                      */
/* const char *, in the body; NULL when it is no text, empty, or has a NUL
 * inside. */
int rmq_field_name(struct rmq_json *j, void *to);
/* int64_t[RMQ_STATS_COUNT]; keeps what is not there. */
int rmq_field_stats(struct rmq_json *j, void *to);

/* The value that comes next: its fields where it is an object, else nothing. Of
 * a key that comes twice the last one counts. */
int rmq_fields_read(struct rmq_json *j, const struct rmq_field *fields,
                    size_t count, void *to);

/* The elements of the array that comes next, one call for each. */
int rmq_fields_each(struct rmq_json *j, rmq_fields_reader item, void *to);

/* A whole body, which begins with opening, '[' or '{': 0, or -1 with err, which
 * begins with what. bytes are written to. */
int rmq_fields_body(char *bytes, size_t len, char opening, const char *what,
                    rmq_fields_reader read, void *to, struct rmq_error *err);

#endif
