/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/amqp/wire.h"
#include "common/amqp/wire_rabbitmq.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { FRAME_HEAD = 7, FRAME_FOOT = 1, METHOD_ID = 4 };
/* timestamp_in_ms and traceparent; 20 digits and a NUL. */
enum { OWN_HEADERS = 2, EXPIRATION_SIZE = 24 };
enum { HEADER_FIXED = 12, BASIC_CLASS = 60, SHORT_STRING_MAX = 255 };
/* Room for one method: a publish or ack, and one that carries a table. */
enum { SMALL_METHOD = 1024, TABLE_METHOD = 65536, PROPERTIES_MAX = 8192 };

/* The bytes of rabbitmq-c are not const; it does not write to them. */
static amqp_bytes_t to_bytes(struct rmq_span s) {
  union {
    const char *in;
    void *out;
  } u = {.in = s.bytes};
  return (amqp_bytes_t){s.len, u.out};
}

static amqp_bytes_t text_bytes(const char *text) {
  return to_bytes(rmq_span_of(text));
}

/* rabbitmq-c cuts the length of a short string to 8 bits without a word. */
static bool fits_short(const char *text) {
  return text == NULL || strlen(text) <= SHORT_STRING_MAX;
}

static void put_u16(char *p, unsigned value) {
  p[0] = (char)(value >> 8);
  p[1] = (char)value;
}

static void put_u32(char *p, uint32_t value) {
  put_u16(p, value >> 16);
  put_u16(p + 2, value & 0xFFFF);
}

/* Closes the frame whose payload of size bytes was written at p + FRAME_HEAD */
static void finish_frame(struct rmq_buf *out, char *p, int type,
                         unsigned channel, size_t size) {
  p[0] = (char)type;
  put_u16(p + 1, channel);
  put_u32(p + 3, (uint32_t)size);
  p[FRAME_HEAD + size] = (char)0xCE;
  rmq_buf_commit(out, FRAME_HEAD + size + FRAME_FOOT);
}

static int put_method(struct rmq_buf *out, unsigned channel, uint32_t id,
                      void *method, size_t room) {
  char *p = rmq_buf_reserve(out, FRAME_HEAD + METHOD_ID + room + FRAME_FOOT);
  if (p == NULL)
    return -1;
  amqp_bytes_t arguments = {room, p + FRAME_HEAD + METHOD_ID};
  int n = amqp_encode_method(id, method, arguments);
  if (n < 0)
    return -1;
  put_u32(p + FRAME_HEAD, id);
  finish_frame(out, p, AMQP_FRAME_METHOD, channel, (size_t)n + METHOD_ID);
  return 0;
}

static int put_small(struct rmq_buf *out, unsigned channel, uint32_t id,
                     void *method) {
  return put_method(out, channel, id, method, SMALL_METHOD);
}

int rmq_wire_put_protocol_header(struct rmq_buf *out) {
  static const char header[8] = {'A', 'M', 'Q', 'P', 0, 0, 9, 1};
  return rmq_buf_append(out, header, sizeof(header));
}

int rmq_wire_put_heartbeat(struct rmq_buf *out) {
  static const char frame[] = {8, 0, 0, 0, 0, 0, 0, (char)0xCE};
  return rmq_buf_append(out, frame, sizeof(frame));
}

static amqp_table_entry_t text_entry(const char *key, const char *value) {
  amqp_table_entry_t e = {.key = text_bytes(key)};
  e.value.kind = AMQP_FIELD_KIND_UTF8;
  e.value.value.bytes = text_bytes(value);
  return e;
}

static amqp_table_entry_t true_entry(const char *key) {
  amqp_table_entry_t e = {.key = text_bytes(key)};
  e.value.kind = AMQP_FIELD_KIND_BOOLEAN;
  e.value.value.boolean = 1;
  return e;
}

int rmq_wire_put_start_ok(struct rmq_buf *out,
                          const struct rmq_wire_start_ok *s) {
  amqp_table_entry_t capabilities[] = {
      true_entry("publisher_confirms"), true_entry("basic.nack"),
      true_entry("consumer_cancel_notify"), true_entry("connection.blocked"),
      true_entry("authentication_failure_close")};
  amqp_table_entry_t properties[] = {
      text_entry("product", s->product),
      text_entry("version", s->version),
      text_entry("platform", "C"),
      text_entry("connection_name", s->connection_name),
      {.key = text_bytes("capabilities")}};
  properties[4].value.kind = AMQP_FIELD_KIND_TABLE;
  properties[4].value.value.table = (amqp_table_t){5, capabilities};
  amqp_connection_start_ok_t m = {.client_properties = {5, properties},
                                  .mechanism = text_bytes(s->mechanism),
                                  .response = to_bytes(s->response),
                                  .locale = text_bytes("en_US")};
  return put_method(out, 0, AMQP_CONNECTION_START_OK_METHOD, &m, TABLE_METHOD);
}

int rmq_wire_put_tune_ok(struct rmq_buf *out, uint16_t channel_max,
                         uint32_t frame_max, uint16_t heartbeat) {
  amqp_connection_tune_ok_t m = {channel_max, frame_max, heartbeat};
  return put_small(out, 0, AMQP_CONNECTION_TUNE_OK_METHOD, &m);
}

int rmq_wire_put_open(struct rmq_buf *out, const char *vhost) {
  if (!fits_short(vhost))
    return -1;
  amqp_connection_open_t m = {.virtual_host = text_bytes(vhost)};
  return put_small(out, 0, AMQP_CONNECTION_OPEN_METHOD, &m);
}

int rmq_wire_put_close(struct rmq_buf *out, uint16_t code, const char *text) {
  amqp_connection_close_t m = {.reply_code = code,
                               .reply_text = text_bytes(text)};
  return put_small(out, 0, AMQP_CONNECTION_CLOSE_METHOD, &m);
}

int rmq_wire_put_close_ok(struct rmq_buf *out) {
  amqp_connection_close_ok_t m = {0};
  return put_small(out, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &m);
}

int rmq_wire_put_channel_open(struct rmq_buf *out) {
  amqp_channel_open_t m = {.out_of_band = amqp_empty_bytes};
  return put_small(out, RMQ_WIRE_CHANNEL, AMQP_CHANNEL_OPEN_METHOD, &m);
}

int rmq_wire_put_channel_close(struct rmq_buf *out, uint16_t code,
                               const char *text) {
  amqp_channel_close_t m = {.reply_code = code, .reply_text = text_bytes(text)};
  return put_small(out, RMQ_WIRE_CHANNEL, AMQP_CHANNEL_CLOSE_METHOD, &m);
}

int rmq_wire_put_channel_close_ok(struct rmq_buf *out) {
  amqp_channel_close_ok_t m = {0};
  return put_small(out, RMQ_WIRE_CHANNEL, AMQP_CHANNEL_CLOSE_OK_METHOD, &m);
}

int rmq_wire_put_flow_ok(struct rmq_buf *out, bool active) {
  amqp_channel_flow_ok_t m = {.active = active};
  return put_small(out, RMQ_WIRE_CHANNEL, AMQP_CHANNEL_FLOW_OK_METHOD, &m);
}

int rmq_wire_put_confirm_select(struct rmq_buf *out) {
  amqp_confirm_select_t m = {.nowait = 0};
  return put_small(out, RMQ_WIRE_CHANNEL, AMQP_CONFIRM_SELECT_METHOD, &m);
}

int rmq_wire_put_qos(struct rmq_buf *out, uint16_t prefetch) {
  amqp_basic_qos_t m = {.prefetch_count = prefetch};
  return put_small(out, RMQ_WIRE_CHANNEL, AMQP_BASIC_QOS_METHOD, &m);
}

static amqp_table_entry_t argument_entry(const struct rmq_argument *a) {
  amqp_table_entry_t e = {.key = text_bytes(a->name)};
  switch (a->type) {
  case RMQ_ARG_STRING:
    e.value.kind = AMQP_FIELD_KIND_UTF8;
    e.value.value.bytes = text_bytes(a->string);
    return e;
  case RMQ_ARG_INTEGER:
    e.value.kind = AMQP_FIELD_KIND_I64;
    e.value.value.i64 = a->integer;
    return e;
  case RMQ_ARG_BOOLEAN:
    e.value.kind = AMQP_FIELD_KIND_BOOLEAN;
    e.value.value.boolean = a->boolean;
    return e;
  case RMQ_ARG_TIMESTAMP:
    e.value.kind = AMQP_FIELD_KIND_TIMESTAMP;
    e.value.value.u64 = (uint64_t)a->integer;
    return e;
  }
  return e;
}

/* entries has room for RMQ_OPTION_ITEMS_MAX. False for too many or too long. */
static bool to_table(const struct rmq_arguments *arguments,
                     amqp_table_entry_t *entries, amqp_table_t *ret_table) {
  size_t n = arguments == NULL ? 0 : arguments->count;
  if (n > RMQ_OPTION_ITEMS_MAX)
    return false;
  for (size_t i = 0; i < n; i++) {
    if (!fits_short(arguments->items[i].name))
      return false;
    entries[i] = argument_entry(&arguments->items[i]);
  }
  *ret_table = (amqp_table_t){(int)n, entries};
  return true;
}

int rmq_wire_put_exchange_declare(struct rmq_buf *out,
                                  const struct rmq_wire_exchange *e) {
  amqp_table_entry_t entries[RMQ_OPTION_ITEMS_MAX + 1];
  amqp_exchange_declare_t m = {.exchange = text_bytes(e->name),
                               .type = text_bytes(e->type),
                               .passive = e->is_passive,
                               .durable = e->is_durable,
                               .auto_delete = e->is_auto_delete};
  if (!fits_short(e->name) || !fits_short(e->type) ||
      !to_table(e->arguments, entries, &m.arguments))
    return -1;
  if (e->alternate != NULL) {
    m.arguments.entries = entries;
    entries[m.arguments.num_entries++] =
        text_entry("alternate-exchange", e->alternate);
  }
  return put_method(out, RMQ_WIRE_CHANNEL, AMQP_EXCHANGE_DECLARE_METHOD, &m,
                    TABLE_METHOD);
}

int rmq_wire_put_queue_declare(struct rmq_buf *out,
                               const struct rmq_wire_queue *q) {
  amqp_table_entry_t entries[RMQ_OPTION_ITEMS_MAX];
  amqp_queue_declare_t m = {.queue = text_bytes(q->name),
                            .passive = q->is_passive,
                            .durable = q->is_durable,
                            .exclusive = q->is_exclusive,
                            .auto_delete = q->is_auto_delete};
  if (!fits_short(q->name) || !to_table(q->arguments, entries, &m.arguments))
    return -1;
  return put_method(out, RMQ_WIRE_CHANNEL, AMQP_QUEUE_DECLARE_METHOD, &m,
                    TABLE_METHOD);
}

int rmq_wire_put_queue_bind(struct rmq_buf *out, const char *queue,
                            const char *exchange, const char *routing_key,
                            bool no_wait) {
  amqp_queue_bind_t m = {.queue = text_bytes(queue),
                         .exchange = text_bytes(exchange),
                         .routing_key = text_bytes(routing_key),
                         .nowait = no_wait};
  if (!fits_short(queue) || !fits_short(exchange) || !fits_short(routing_key))
    return -1;
  return put_method(out, RMQ_WIRE_CHANNEL, AMQP_QUEUE_BIND_METHOD, &m,
                    TABLE_METHOD);
}

int rmq_wire_put_consume(struct rmq_buf *out, const char *queue,
                         const char *consumer_tag, bool is_exclusive,
                         const struct rmq_arguments *arguments) {
  amqp_table_entry_t entries[RMQ_OPTION_ITEMS_MAX];
  amqp_basic_consume_t m = {.queue = text_bytes(queue),
                            .consumer_tag = text_bytes(consumer_tag),
                            .exclusive = is_exclusive};
  if (!fits_short(queue) || !fits_short(consumer_tag) ||
      !to_table(arguments, entries, &m.arguments))
    return -1;
  return put_method(out, RMQ_WIRE_CHANNEL, AMQP_BASIC_CONSUME_METHOD, &m,
                    TABLE_METHOD);
}

int rmq_wire_put_cancel(struct rmq_buf *out, const char *consumer_tag) {
  if (!fits_short(consumer_tag))
    return -1;
  amqp_basic_cancel_t m = {.consumer_tag = text_bytes(consumer_tag)};
  return put_small(out, RMQ_WIRE_CHANNEL, AMQP_BASIC_CANCEL_METHOD, &m);
}

int rmq_wire_put_ack(struct rmq_buf *out, uint64_t tag, bool multiple) {
  amqp_basic_ack_t m = {.delivery_tag = tag, .multiple = multiple};
  return put_small(out, RMQ_WIRE_CHANNEL, AMQP_BASIC_ACK_METHOD, &m);
}

int rmq_wire_put_reject(struct rmq_buf *out, uint64_t tag, bool requeue) {
  amqp_basic_reject_t m = {.delivery_tag = tag, .requeue = requeue};
  return put_small(out, RMQ_WIRE_CHANNEL, AMQP_BASIC_REJECT_METHOD, &m);
}

int rmq_wire_put_nack(struct rmq_buf *out, uint64_t tag) {
  amqp_basic_nack_t m = {.delivery_tag = tag, .requeue = true};
  return put_small(out, RMQ_WIRE_CHANNEL, AMQP_BASIC_NACK_METHOD, &m);
}

static void set_text(amqp_basic_properties_t *p, amqp_flags_t flag,
                     amqp_bytes_t *field, const char *text) {
  if (text == NULL)
    return;
  p->_flags |= flag;
  *field = text_bytes(text);
}

static bool is_replaced(const struct rmq_wire_publish *in, const char *name) {
  for (size_t i = 0; i < in->own_headers_count; i++)
    if (strcmp(in->own_headers[i].name, name) == 0)
      return true;
  return false;
}

/* Those of the block, then the message's own. False for too many or too long.
 */
static bool add_headers(amqp_table_entry_t *headers, int *n,
                        const struct rmq_wire_publish *in) {
  size_t count = in->headers == NULL ? 0 : in->headers->count;
  if (count > RMQ_WIRE_PUBLISH_HEADERS_MAX ||
      in->own_headers_count > RMQ_WIRE_PUBLISH_HEADERS_MAX)
    return false;
  for (size_t i = 0; i < count + in->own_headers_count; i++) {
    const struct rmq_argument *a =
        i < count ? &in->headers->items[i] : &in->own_headers[i - count];
    if (!fits_short(a->name))
      return false;
    if (i >= count || !is_replaced(in, a->name))
      headers[(*n)++] = argument_entry(a);
  }
  return true;
}

/* Ours first. headers has room for OWN_HEADERS and twice
 * RMQ_WIRE_PUBLISH_HEADERS_MAX. */
static bool fill_headers(amqp_table_t *t, amqp_table_entry_t *headers,
                         const struct rmq_wire_publish *in) {
  headers[0] = (amqp_table_entry_t){.key = text_bytes("timestamp_in_ms")};
  headers[0].value.kind = AMQP_FIELD_KIND_I64;
  headers[0].value.value.i64 = in->timestamp_ms;
  int n = 1;
  if (in->traceparent != NULL)
    headers[n++] = text_entry("traceparent", in->traceparent);
  if (!add_headers(headers, &n, in))
    return false;
  *t = (amqp_table_t){n, headers};
  return true;
}

static void fill_properties(amqp_basic_properties_t *p,
                            const struct rmq_wire_publish *in,
                            char expiration[EXPIRATION_SIZE]) {
  p->_flags = AMQP_BASIC_HEADERS_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG |
              AMQP_BASIC_TIMESTAMP_FLAG;
  p->delivery_mode = in->is_persistent ? AMQP_DELIVERY_PERSISTENT
                                       : AMQP_DELIVERY_NONPERSISTENT;
  p->timestamp = (uint64_t)(in->timestamp_ms / 1000);
  set_text(p, AMQP_BASIC_CONTENT_TYPE_FLAG, &p->content_type, in->content_type);
  set_text(p, AMQP_BASIC_CONTENT_ENCODING_FLAG, &p->content_encoding,
           in->content_encoding);
  set_text(p, AMQP_BASIC_MESSAGE_ID_FLAG, &p->message_id, in->message_id);
  set_text(p, AMQP_BASIC_APP_ID_FLAG, &p->app_id, in->app_id);
  set_text(p, AMQP_BASIC_TYPE_FLAG, &p->type, in->type);
  set_text(p, AMQP_BASIC_CORRELATION_ID_FLAG, &p->correlation_id,
           in->correlation_id);
  set_text(p, AMQP_BASIC_REPLY_TO_FLAG, &p->reply_to, in->reply_to);
  if (in->priority > 0) {
    p->_flags |= AMQP_BASIC_PRIORITY_FLAG;
    p->priority = in->priority;
  }
  if (in->expiration_ms > 0) {
    snprintf(expiration, EXPIRATION_SIZE, "%" PRId64, in->expiration_ms);
    set_text(p, AMQP_BASIC_EXPIRATION_FLAG, &p->expiration, expiration);
  }
}

static bool texts_fit(const struct rmq_wire_publish *in) {
  return fits_short(in->content_type) && fits_short(in->content_encoding) &&
         fits_short(in->message_id) && fits_short(in->app_id) &&
         fits_short(in->type) && fits_short(in->correlation_id) &&
         fits_short(in->reply_to);
}

static int put_content_header(struct rmq_buf *out, uint32_t frame_max,
                              const struct rmq_wire_publish *in) {
  if (!texts_fit(in))
    return -1;
  amqp_table_entry_t headers[OWN_HEADERS + 2 * RMQ_WIRE_PUBLISH_HEADERS_MAX];
  char expiration[EXPIRATION_SIZE];
  amqp_basic_properties_t properties = {0};
  fill_properties(&properties, in, expiration);
  if (!fill_headers(&properties.headers, headers, in))
    return -1;
  char *p = rmq_buf_reserve(out, FRAME_HEAD + HEADER_FIXED + PROPERTIES_MAX +
                                     FRAME_FOOT);
  if (p == NULL)
    return -1;
  amqp_bytes_t encoded = {PROPERTIES_MAX, p + FRAME_HEAD + HEADER_FIXED};
  int n = amqp_encode_properties(BASIC_CLASS, &properties, encoded);
  if (n < 0 || FRAME_HEAD + HEADER_FIXED + (uint32_t)n + FRAME_FOOT > frame_max)
    return -1;
  char *fixed = p + FRAME_HEAD;
  put_u16(fixed, BASIC_CLASS);
  put_u16(fixed + 2, 0);
  put_u32(fixed + 4, (uint32_t)(in->body.len >> 32));
  put_u32(fixed + 8, (uint32_t)in->body.len);
  finish_frame(out, p, AMQP_FRAME_HEADER, RMQ_WIRE_CHANNEL,
               (size_t)n + HEADER_FIXED);
  return 0;
}

static int put_body(struct rmq_buf *out, uint32_t frame_max,
                    struct rmq_span body) {
  while (body.len > 0) {
    size_t n = frame_max - FRAME_HEAD - FRAME_FOOT;
    if (n > body.len)
      n = body.len;
    char *p = rmq_buf_reserve(out, FRAME_HEAD + n + FRAME_FOOT);
    if (p == NULL)
      return -1;
    memcpy(p + FRAME_HEAD, body.bytes, n);
    finish_frame(out, p, AMQP_FRAME_BODY, RMQ_WIRE_CHANNEL, n);
    body.bytes += n;
    body.len -= n;
  }
  return 0;
}

int rmq_wire_put_publish(struct rmq_buf *out, uint32_t frame_max,
                         const struct rmq_wire_publish *in) {
  amqp_basic_publish_t m = {.exchange = text_bytes(in->exchange),
                            .routing_key = text_bytes(in->routing_key),
                            .mandatory = in->is_mandatory};
  if (!fits_short(in->exchange) || !fits_short(in->routing_key))
    return -1;
  size_t before = out->len;
  if (put_small(out, RMQ_WIRE_CHANNEL, AMQP_BASIC_PUBLISH_METHOD, &m) == 0 &&
      put_content_header(out, frame_max, in) == 0 &&
      put_body(out, frame_max, in->body) == 0)
    return 0;
  rmq_buf_truncate(out, before);
  return -1;
}
