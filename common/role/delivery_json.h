/* SPDX-License-Identifier: MIT */
/*
 * A delivery's properties and headers as members of a JSON object. Always valid
 * JSON, whatever the wire brought. Pure.
 */
#ifndef RMQ_ROLE_DELIVERY_JSON_H
#define RMQ_ROLE_DELIVERY_JSON_H

#include "common/amqp/connection.h"
#include "common/base/buf.h"

/* Of the object that is being written; the caller has the braces. The first has
 * no comma before it. */
struct rmq_delivery_json {
  struct rmq_buf *out;
  const char *indent; /* each on its own line; NULL = all on one */
  bool has_any;
};

/* The member's value follows. */
void rmq_delivery_json_begin(struct rmq_delivery_json *m, const char *key);
void rmq_delivery_json_text(struct rmq_delivery_json *m, const char *key,
                            const char *text);
/* Absent where text is "". */
void rmq_delivery_json_given(struct rmq_delivery_json *m, const char *key,
                             const char *text);
void rmq_delivery_json_number(struct rmq_delivery_json *m, const char *key,
                              int64_t number);

/* Those that are set, but the headers. */
void rmq_delivery_json_properties(struct rmq_delivery_json *m,
                                  const struct rmq_delivery *d);
/* An object. What is neither text nor integer is null. indent: of its members,
 * NULL as above. */
void rmq_delivery_json_headers(const struct rmq_kept *k, const char *indent,
                               struct rmq_buf *out);

#endif
