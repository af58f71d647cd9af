/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/delivery_json.h"

#include "common/codec/quote.h"

#include <inttypes.h>

void rmq_delivery_json_begin(struct rmq_delivery_json *m, const char *key) {
  if (m->has_any)
    rmq_buf_append_char(m->out, ',');
  if (m->indent != NULL) {
    rmq_buf_append_char(m->out, '\n');
    rmq_buf_append_text(m->out, m->indent);
  }
  rmq_quote_json(m->out, key);
  rmq_buf_append_text(m->out, m->indent != NULL ? ": " : ":");
  m->has_any = true;
}

void rmq_delivery_json_text(struct rmq_delivery_json *m, const char *key,
                            const char *text) {
  rmq_delivery_json_begin(m, key);
  rmq_quote_json(m->out, text);
}

void rmq_delivery_json_given(struct rmq_delivery_json *m, const char *key,
                             const char *text) {
  if (text[0] != '\0')
    rmq_delivery_json_text(m, key, text);
}

void rmq_delivery_json_number(struct rmq_delivery_json *m, const char *key,
                              int64_t number) {
  rmq_delivery_json_begin(m, key);
  rmq_buf_appendf(m->out, "%" PRIi64, number);
}

/* Of the wire: a NUL in it is shown as what is no UTF-8 either. */
static const char *text_of(struct rmq_span s,
                           char space[RMQ_KEPT_HEADERS_BYTES + 1]) {
  rmq_span_copy(s, space, RMQ_KEPT_HEADERS_BYTES + 1);
  for (size_t i = 0; i < s.len && i < RMQ_KEPT_HEADERS_BYTES; i++)
    if (space[i] == '\0')
      space[i] = (char)0xff;
  return space;
}

static void put_header(struct rmq_delivery_json *m,
                       const struct rmq_wire_header *h) {
  char name[RMQ_KEPT_HEADERS_BYTES + 1], value[RMQ_KEPT_HEADERS_BYTES + 1];
  text_of(h->name, name);
  switch (h->type) {
  case RMQ_HEADER_STRING:
    rmq_delivery_json_text(m, name, text_of(h->string, value));
    return;
  case RMQ_HEADER_INTEGER:
    rmq_delivery_json_number(m, name, h->integer);
    return;
  case RMQ_HEADER_OTHER:
    rmq_delivery_json_begin(m, name);
    rmq_buf_append_text(m->out, "null"); /* a table, a fraction */
    return;
  }
}

void rmq_delivery_json_headers(const struct rmq_kept *k, const char *indent,
                               struct rmq_buf *out) {
  struct rmq_delivery_json m = {.out = out, .indent = indent};
  rmq_buf_append_char(out, '{');
  for (size_t i = 0; i < k->headers_count; i++)
    put_header(&m, &k->headers[i]);
  rmq_buf_append_char(out, '}');
}

void rmq_delivery_json_properties(struct rmq_delivery_json *m,
                                  const struct rmq_delivery *d) {
  rmq_delivery_json_given(m, "content_type", d->content_type);
  rmq_delivery_json_given(m, "content_encoding", d->content_encoding);
  rmq_delivery_json_given(m, "message_id", d->message_id);
  rmq_delivery_json_given(m, "user_id", d->user_id);
  if (d->has_timestamp)
    rmq_delivery_json_number(m, "timestamp_ms", d->timestamp_ms);
  if (d->kept == NULL)
    return;
  rmq_delivery_json_given(m, "correlation_id", d->kept->correlation_id);
  rmq_delivery_json_given(m, "reply_to", d->kept->reply_to);
  rmq_delivery_json_given(m, "type", d->kept->type);
  rmq_delivery_json_given(m, "app_id", d->kept->app_id);
  rmq_delivery_json_given(m, "expiration", d->kept->expiration);
  if (d->kept->priority >= 0)
    rmq_delivery_json_number(m, "priority", d->kept->priority);
  if (d->kept->delivery_mode != 0)
    rmq_delivery_json_number(m, "delivery_mode", d->kept->delivery_mode);
}
