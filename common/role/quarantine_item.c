/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/quarantine_item.h"

#include "common/codec/quote.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void rmq_quarantine_item_stamp(struct rmq_wall t,
                               char ret_text[RMQ_QUARANTINE_STAMP]) {
  struct tm tm;
  time_t seconds = (time_t)(t.ns / RMQ_NS_PER_S);
  char text[RMQ_QUARANTINE_STAMP - 8];
  if (gmtime_r(&seconds, &tm) == NULL ||
      strftime(text, sizeof(text), "%Y%m%dT%H%M%S", &tm) == 0)
    text[0] = '\0';
  snprintf(ret_text, RMQ_QUARANTINE_STAMP, "%s.%03dZ", text,
           (int)(t.ns / RMQ_NS_PER_MS % 1000));
}

/* One per line; the first has no comma before it. */
struct members {
  struct rmq_buf *out;
  const char *indent;
  bool has_any;
};

static void begin_member(struct members *m, const char *key) {
  rmq_buf_append_text(m->out, m->has_any ? ",\n" : "\n");
  rmq_buf_append_text(m->out, m->indent);
  rmq_quote_json(m->out, key);
  rmq_buf_append_text(m->out, ": ");
  m->has_any = true;
}

static void put_text(struct members *m, const char *key, const char *text) {
  begin_member(m, key);
  rmq_quote_json(m->out, text);
}

static void put_given(struct members *m, const char *key, const char *text) {
  if (text[0] != '\0')
    put_text(m, key, text);
}

static void put_number(struct members *m, const char *key, int64_t number) {
  begin_member(m, key);
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

static void put_header(struct members *m, const struct rmq_wire_header *h) {
  char name[RMQ_KEPT_HEADERS_BYTES + 1], value[RMQ_KEPT_HEADERS_BYTES + 1];
  text_of(h->name, name);
  switch (h->type) {
  case RMQ_HEADER_STRING:
    put_text(m, name, text_of(h->string, value));
    return;
  case RMQ_HEADER_INTEGER:
    put_number(m, name, h->integer);
    return;
  case RMQ_HEADER_OTHER:
    begin_member(m, name);
    rmq_buf_append_text(m->out, "null"); /* a table, a fraction */
    return;
  }
}

static void put_headers(struct members *m, const struct rmq_kept *k) {
  begin_member(m, "headers");
  struct members inner = {.out = m->out, .indent = "      "};
  rmq_buf_append_char(m->out, '{');
  for (size_t i = 0; i < k->headers_count; i++)
    put_header(&inner, &k->headers[i]);
  rmq_buf_append_text(m->out, "}");
  if (k->is_cut)
    put_text(m, "headers_note", "there were more, which are not kept");
}

static void put_properties(struct members *m, const struct rmq_delivery *d) {
  begin_member(m, "properties");
  struct members inner = {.out = m->out, .indent = "    "};
  rmq_buf_append_char(m->out, '{');
  put_given(&inner, "content_type", d->content_type);
  put_given(&inner, "content_encoding", d->content_encoding);
  put_given(&inner, "message_id", d->message_id);
  put_given(&inner, "user_id", d->user_id);
  if (d->has_timestamp)
    put_number(&inner, "timestamp_ms", d->timestamp_ms);
  if (d->kept != NULL) {
    put_given(&inner, "correlation_id", d->kept->correlation_id);
    put_given(&inner, "type", d->kept->type);
    put_given(&inner, "app_id", d->kept->app_id);
    if (d->kept->delivery_mode != 0)
      put_number(&inner, "delivery_mode", d->kept->delivery_mode);
    put_headers(&inner, d->kept);
  }
  rmq_buf_append_char(m->out, '}');
}

static void put_body(struct members *m, const struct rmq_delivery *d,
                     const char *name) {
  if (d->body.len > 0) {
    char file[256];
    snprintf(file, sizeof(file), "%.200s.body", name);
    put_text(m, "body", file);
    return;
  }
  begin_member(m, "body");
  rmq_buf_append_text(m->out, "null");
  if (d->is_oversized)
    put_text(m, "body_note", "larger than MaxMessageBytes, so it is not kept");
}

int rmq_quarantine_item_json(const struct rmq_quarantine_item *item,
                             const char *block, const char *name,
                             struct rmq_buf *out) {
  const struct rmq_delivery *d = item->delivery;
  char when[RMQ_QUARANTINE_STAMP];
  rmq_quarantine_item_stamp(item->now, when);
  struct members m = {.out = out, .indent = "  "};
  rmq_buf_append_char(out, '{');
  put_text(&m, "time", when);
  put_text(&m, "block", block);
  put_text(&m, "cause", item->cause);
  put_text(&m, "reason", item->reason);
  put_text(&m, "exchange", d->exchange);
  put_text(&m, "routing_key", d->routing_key);
  begin_member(&m, "redelivered");
  rmq_buf_append_text(out, d->is_redelivered ? "true" : "false");
  if (d->delivery_count >= 0)
    put_number(&m, "delivery_count", d->delivery_count);
  begin_member(&m, "size");
  rmq_buf_appendf(out, "%" PRIu64, d->body_size);
  put_body(&m, d, name);
  put_properties(&m, d);
  rmq_buf_append_text(out, "\n}\n");
  return out->failed ? -1 : 0;
}
