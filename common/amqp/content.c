/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/amqp/connection_private.h"

#include <stdlib.h>
#include <string.h>

enum { BODY_KEEP = 64 << 10 }; /* memory kept between large bodies */

void rmq_content_reset(struct rmq_content *content) {
  content->want = RMQ_CONTENT_NONE;
  rmq_buf_clear(&content->body);
  rmq_buf_shrink(&content->body, BODY_KEEP);
}

int rmq_content_init(struct rmq_content *content,
                     const struct rmq_connection_config *config) {
  rmq_buf_init(&content->body, config->max_message_bytes);
  rmq_buf_init(&content->kept_texts, RMQ_KEPT_HEADERS_BYTES);
  if (!config->keeps_properties)
    return 0;
  content->kept = calloc(1, sizeof(*content->kept));
  return content->kept != NULL &&
                 rmq_buf_reserve(&content->kept_texts,
                                 RMQ_KEPT_HEADERS_BYTES) != NULL
             ? 0
             : -1;
}

void rmq_content_fini(struct rmq_content *content) {
  rmq_buf_fini(&content->body);
  rmq_buf_fini(&content->kept_texts);
  free(content->kept);
}

void rmq_content_begin(struct rmq_connection *c,
                       const struct rmq_wire_frame *f) {
  struct rmq_content *content = &c->content;
  content->want = RMQ_CONTENT_HEADER;
  content->is_return = f->method == RMQ_METHOD_BASIC_RETURN;
  if (content->is_return) {
    struct rmq_returned *r = &content->returned;
    r->code = f->u.returned.code;
    rmq_span_copy(f->u.returned.text, r->text, sizeof(r->text));
    rmq_span_copy(f->u.returned.exchange, r->exchange, sizeof(r->exchange));
    rmq_span_copy(f->u.returned.routing_key, r->routing_key,
                  sizeof(r->routing_key));
  } else {
    struct rmq_delivery *d = &content->delivery;
    d->tag = f->u.deliver.tag;
    d->is_redelivered = f->u.deliver.redelivered;
    rmq_span_copy(f->u.deliver.exchange, d->exchange, sizeof(d->exchange));
    rmq_span_copy(f->u.deliver.routing_key, d->routing_key,
                  sizeof(d->routing_key));
  }
}

/* Saturates: a timestamp is the sender's word. */
static int64_t to_ms(uint64_t seconds) {
  return seconds > INT64_MAX / 1000 ? INT64_MAX : (int64_t)seconds * 1000;
}

/* A copy of span among the kept texts, or false when they are full. Their
 * buffer has all of its memory already, so that what points into it stays. */
static bool keep_text(struct rmq_buf *texts, struct rmq_span *span) {
  size_t at = texts->len;
  if (rmq_buf_append(texts, span->bytes, span->len) != 0)
    return false;
  span->bytes = rmq_buf_bytes(texts) + at;
  return true;
}

/* The frame that holds the header is gone when the body comes. */
static void keep_properties(struct rmq_content *content,
                            const struct rmq_wire_properties *p) {
  struct rmq_kept *k = content->kept;
  rmq_span_copy(p->app_id, k->app_id, sizeof(k->app_id));
  rmq_span_copy(p->correlation_id, k->correlation_id,
                sizeof(k->correlation_id));
  rmq_span_copy(p->type, k->type, sizeof(k->type));
  rmq_span_copy(p->reply_to, k->reply_to, sizeof(k->reply_to));
  rmq_span_copy(p->expiration, k->expiration, sizeof(k->expiration));
  k->priority = p->has_priority ? p->priority : -1;
  k->delivery_mode = p->has_delivery_mode ? p->delivery_mode : 0;
  k->headers_count = 0;
  k->is_cut = p->has_more_headers;
  rmq_buf_clear(&content->kept_texts);
  for (size_t i = 0; i < p->headers_count; i++) {
    struct rmq_wire_header h = p->headers[i];
    if (keep_text(&content->kept_texts, &h.name) &&
        keep_text(&content->kept_texts, &h.string))
      k->headers[k->headers_count++] = h;
    else
      k->is_cut = true;
  }
}

static void take_properties(struct rmq_delivery *d,
                            const struct rmq_wire_properties *p) {
  rmq_span_copy(p->content_type, d->content_type, sizeof(d->content_type));
  rmq_span_copy(p->content_encoding, d->content_encoding,
                sizeof(d->content_encoding));
  rmq_span_copy(p->message_id, d->message_id, sizeof(d->message_id));
  rmq_span_copy(p->user_id, d->user_id, sizeof(d->user_id));
  d->is_amqp1 = rmq_span_equals(p->type, "amqp-1.0");
  d->has_timestamp = p->has_timestamp;
  d->timestamp_ms = p->has_timestamp ? to_ms(p->timestamp) : 0;
  d->delivery_count = -1;
  d->traceparent[0] = '\0';
  const struct rmq_wire_header *h = rmq_wire_find_header(p, "timestamp_in_ms");
  if (h != NULL && h->type == RMQ_HEADER_INTEGER) {
    d->has_timestamp = true;
    d->timestamp_ms = h->integer;
  }
  h = rmq_wire_find_header(p, "x-delivery-count");
  if (h != NULL && h->type == RMQ_HEADER_INTEGER)
    d->delivery_count = h->integer;
  d->stream_offset = -1;
  h = rmq_wire_find_header(p, "x-stream-offset");
  if (h != NULL && h->type == RMQ_HEADER_INTEGER && h->integer < INT64_MAX)
    d->stream_offset = h->integer;
  h = rmq_wire_find_header(p, "traceparent");
  if (h != NULL && h->type == RMQ_HEADER_STRING)
    rmq_span_copy(h->string, d->traceparent, sizeof(d->traceparent));
}

/* Returns are read with the confirms that they precede, also while closing;
 * what belongs to a channel that was given up is not read. */
static bool is_wanted(const struct rmq_connection *c) {
  return rmq_session_is_up(c->state) ||
         (c->content.is_return && c->state == RMQ_SESSION_CLOSING &&
          !c->awaits_close_ok);
}

static void finish(struct rmq_connection *c, struct rmq_span body,
                   struct rmq_mono now) {
  struct rmq_content *content = &c->content;
  content->want = RMQ_CONTENT_NONE;
  if (!is_wanted(c)) {
    /* dropped */
  } else if (content->is_return) {
    c->handlers.returned(c->handlers.ctx, c->epoch, &content->returned, now);
  } else {
    content->delivery.body = body;
    rmq_idle_delivered(c, now);
    c->handlers.delivered(c->handlers.ctx, c->epoch, &content->delivery, now);
  }
  rmq_content_reset(content);
}

void rmq_content_header(struct rmq_connection *c,
                        const struct rmq_wire_frame *f, struct rmq_mono now) {
  struct rmq_content *content = &c->content;
  if (content->want != RMQ_CONTENT_HEADER || f->channel != RMQ_WIRE_CHANNEL) {
    rmq_connection_protocol_error(c, "a content header out of place", now);
    return;
  }
  const struct rmq_wire_properties *p = f->u.header.properties;
  struct rmq_delivery *d = &content->delivery;
  if (content->is_return) {
    rmq_span_copy(p->message_id, content->returned.message_id,
                  sizeof(content->returned.message_id));
  } else {
    take_properties(d, p);
    if (content->kept != NULL)
      keep_properties(content, p);
    d->kept = content->kept;
    d->body_size = f->u.header.body_size;
    d->is_malformed = f->u.header.is_malformed;
    d->is_oversized = d->body_size > c->config.max_message_bytes;
  }
  content->left = f->u.header.body_size;
  content->want = RMQ_CONTENT_BODY;
  if (content->left == 0)
    finish(c, rmq_span_of(NULL), now);
}

/* Bodies that nobody will read are counted down, not stored. */
static bool is_skipped(const struct rmq_content *content) {
  return content->is_return || content->delivery.is_oversized;
}

void rmq_content_body(struct rmq_connection *c, const struct rmq_wire_frame *f,
                      struct rmq_mono now) {
  struct rmq_content *content = &c->content;
  struct rmq_span part = f->u.body;
  if (content->want != RMQ_CONTENT_BODY || f->channel != RMQ_WIRE_CHANNEL ||
      part.len > content->left) {
    rmq_connection_protocol_error(c, "a body frame out of place", now);
    return;
  }
  bool is_whole = content->left == part.len && content->body.len == 0;
  content->left -= part.len;
  if (is_skipped(content)) {
    part = rmq_span_of(NULL);
  } else if (!is_whole) {
    if (rmq_buf_append(&content->body, part.bytes, part.len) != 0) {
      rmq_connection_fail(c, "no memory for a message body", now);
      return;
    }
    part = (struct rmq_span){rmq_buf_bytes(&content->body), content->body.len};
  }
  if (content->left == 0)
    finish(c, part, now);
}
