/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/amqp/wire.h"

#include "common/amqp/wire_rabbitmq.h"
#include "common/amqp/wire_table.h"

#include <stdlib.h>
#include <string.h>

enum { FRAME_HEAD = 7, FRAME_FOOT = 1, FRAME_END = 0xCE };
enum { BASIC_CLASS = 60, HEADER_FIXED = 12, METHOD_ID_SIZE = 4 };

struct rmq_span rmq_span_of(const char *text) {
  return (struct rmq_span){text, text == NULL ? 0 : strlen(text)};
}

bool rmq_span_equals(struct rmq_span s, const char *text) {
  return s.len == strlen(text) && memcmp(s.bytes, text, s.len) == 0;
}

void rmq_span_copy(struct rmq_span s, char *ret_text, size_t size) {
  size_t n = s.len < size - 1 ? s.len : size - 1;
  if (n > 0)
    memcpy(ret_text, s.bytes, n);
  ret_text[n] = '\0';
}

const char *rmq_method_to_str(enum rmq_method m) {
  switch (m) {
#define RMQ_X(name, class_id, method_id, text)                                 \
  case RMQ_METHOD_##name:                                                      \
    return text;
    RMQ_WIRE_METHODS(RMQ_X)
#undef RMQ_X
  }
  return "unknown method";
}

const struct rmq_wire_header *
rmq_wire_find_header(const struct rmq_wire_properties *p, const char *name) {
  for (size_t i = 0; i < p->headers_count; i++)
    if (rmq_span_equals(p->headers[i].name, name))
      return &p->headers[i];
  return NULL;
}

struct rmq_wire_decoder {
  struct rmq_buf partial; /* a frame of which a part has arrived */
  bool partial_is_used;   /* the frame handed out lies in partial */
  uint32_t frame_max;
  amqp_pool_t pool; /* what rabbitmq-c allocates for one frame */
  struct rmq_wire_properties properties;
};

struct rmq_wire_decoder *rmq_wire_decoder_new(void) {
  struct rmq_wire_decoder *d = calloc(1, sizeof(*d));
  if (d == NULL)
    return NULL;
  rmq_buf_init(&d->partial, RMQ_WIRE_FRAME_MAX);
  init_amqp_pool(&d->pool, 4096);
  rmq_wire_decoder_reset(d);
  return d;
}

void rmq_wire_decoder_free(struct rmq_wire_decoder *d) {
  if (d == NULL)
    return;
  rmq_buf_fini(&d->partial);
  empty_amqp_pool(&d->pool);
  free(d);
}

void rmq_wire_decoder_reset(struct rmq_wire_decoder *d) {
  rmq_buf_clear(&d->partial);
  d->partial_is_used = false;
  d->frame_max = RMQ_WIRE_FRAME_MAX;
}

void rmq_wire_decoder_set_frame_max(struct rmq_wire_decoder *d, uint32_t max) {
  d->frame_max = max;
}

static uint16_t get_u16(const char *p) {
  const unsigned char *u = (const unsigned char *)p;
  return (uint16_t)(u[0] << 8 | u[1]);
}

static uint32_t get_u32(const char *p) {
  return (uint32_t)get_u16(p) << 16 | get_u16(p + 2);
}

static uint64_t get_u64(const char *p) {
  return (uint64_t)get_u32(p) << 32 | get_u32(p + 4);
}

/* The bytes of rabbitmq-c are not const; it does not write to them. */
static amqp_bytes_t to_bytes(const char *bytes, size_t len) {
  union {
    const char *in;
    void *out;
  } u = {.in = bytes};
  return (amqp_bytes_t){len, u.out};
}

static struct rmq_span from_bytes(amqp_bytes_t b) {
  return (struct rmq_span){b.bytes, b.len};
}

/* What a frame announces about itself in its first bytes; -1 when the peer
 * does not speak AMQP 0-9-1. */
static int check_head(const char *head, size_t len, uint32_t frame_max,
                      struct rmq_error *err) {
  int type = (unsigned char)head[0];
  if (type == 'A')
    return rmq_error_set(err, "the server refused the protocol version AMQP "
                              "0-9-1; is this RabbitMQ's AMQP port?");
  if (type == 0x15 || type == 'H')
    return rmq_error_set(err,
                         "the server does not speak AMQP on this port "
                         "(it answered as a %s server would)",
                         type == 'H' ? "HTTP" : "TLS");
  if (type != AMQP_FRAME_METHOD && type != AMQP_FRAME_HEADER &&
      type != AMQP_FRAME_BODY && type != AMQP_FRAME_HEARTBEAT)
    return rmq_error_set(err, "frame of unknown type %d", type);
  if (len < FRAME_HEAD)
    return 0;
  uint16_t channel = get_u16(head + 1);
  if (channel > RMQ_WIRE_CHANNEL)
    return rmq_error_set(err, "frame on channel %u, which is not open",
                         channel);
  uint32_t size = get_u32(head + 3);
  if (size > frame_max - FRAME_HEAD - FRAME_FOOT)
    return rmq_error_set(err, "frame of %u bytes exceeds frame-max %u", size,
                         frame_max);
  return 0;
}

static bool is_known_method(uint32_t id) {
  return strcmp(rmq_method_to_str((enum rmq_method)id), "unknown method") != 0;
}

static struct rmq_span start_property(const amqp_connection_start_t *m,
                                      const char *name) {
  for (int i = 0; i < m->server_properties.num_entries; i++) {
    const amqp_table_entry_t *e = &m->server_properties.entries[i];
    if (rmq_span_equals(from_bytes(e->key), name) &&
        e->value.kind == AMQP_FIELD_KIND_UTF8)
      return from_bytes(e->value.value.bytes);
  }
  return rmq_span_of(NULL);
}

static void fill_start(struct rmq_wire_frame *f,
                       const amqp_connection_start_t *m) {
  f->u.start.major = m->version_major;
  f->u.start.minor = m->version_minor;
  f->u.start.mechanisms = from_bytes(m->mechanisms);
  f->u.start.product = start_property(m, "product");
  f->u.start.version = start_property(m, "version");
}

static void fill_deliver(struct rmq_wire_frame *f,
                         const amqp_basic_deliver_t *m) {
  f->u.deliver.consumer_tag = from_bytes(m->consumer_tag);
  f->u.deliver.tag = m->delivery_tag;
  f->u.deliver.redelivered = m->redelivered;
  f->u.deliver.exchange = from_bytes(m->exchange);
  f->u.deliver.routing_key = from_bytes(m->routing_key);
}

static void fill_return(struct rmq_wire_frame *f,
                        const amqp_basic_return_t *m) {
  f->u.returned.code = m->reply_code;
  f->u.returned.text = from_bytes(m->reply_text);
  f->u.returned.exchange = from_bytes(m->exchange);
  f->u.returned.routing_key = from_bytes(m->routing_key);
}

/* amqp_connection_close_t and amqp_channel_close_t have the same fields. */
static void fill_close(struct rmq_wire_frame *f,
                       const amqp_channel_close_t *m) {
  f->u.close.code = m->reply_code;
  f->u.close.text = from_bytes(m->reply_text);
  f->u.close.class_id = m->class_id;
  f->u.close.method_id = m->method_id;
}

static void fill_connection_close(struct rmq_wire_frame *f,
                                  const amqp_connection_close_t *m) {
  amqp_channel_close_t same = {.reply_code = m->reply_code,
                               .reply_text = m->reply_text,
                               .class_id = m->class_id,
                               .method_id = m->method_id};
  fill_close(f, &same);
}

static void fill_tune(struct rmq_wire_frame *f,
                      const amqp_connection_tune_t *m) {
  f->u.tune.channel_max = m->channel_max;
  f->u.tune.frame_max = m->frame_max;
  f->u.tune.heartbeat = m->heartbeat;
}

static void fill_declare_ok(struct rmq_wire_frame *f,
                            const amqp_queue_declare_ok_t *m) {
  f->u.declare_ok.queue = from_bytes(m->queue);
  f->u.declare_ok.messages = m->message_count;
  f->u.declare_ok.consumers = m->consumer_count;
}

static void fill_method(struct rmq_wire_frame *f, const void *m) {
  switch (f->method) {
  case RMQ_METHOD_CONNECTION_START:
    fill_start(f, m);
    return;
  case RMQ_METHOD_CONNECTION_TUNE:
    fill_tune(f, m);
    return;
  case RMQ_METHOD_CONNECTION_CLOSE:
    fill_connection_close(f, m);
    return;
  case RMQ_METHOD_CHANNEL_CLOSE:
    fill_close(f, m);
    return;
  case RMQ_METHOD_CONNECTION_BLOCKED:
    f->u.reason = from_bytes(((const amqp_connection_blocked_t *)m)->reason);
    return;
  case RMQ_METHOD_CHANNEL_FLOW:
    f->u.active = ((const amqp_channel_flow_t *)m)->active;
    return;
  case RMQ_METHOD_QUEUE_DECLARE_OK:
    fill_declare_ok(f, m);
    return;
  case RMQ_METHOD_BASIC_CONSUME_OK:
    f->u.consumer_tag =
        from_bytes(((const amqp_basic_consume_ok_t *)m)->consumer_tag);
    return;
  case RMQ_METHOD_BASIC_CANCEL:
    f->u.consumer_tag =
        from_bytes(((const amqp_basic_cancel_t *)m)->consumer_tag);
    return;
  case RMQ_METHOD_BASIC_CANCEL_OK:
    f->u.consumer_tag =
        from_bytes(((const amqp_basic_cancel_ok_t *)m)->consumer_tag);
    return;
  case RMQ_METHOD_BASIC_RETURN:
    fill_return(f, m);
    return;
  case RMQ_METHOD_BASIC_DELIVER:
    fill_deliver(f, m);
    return;
  case RMQ_METHOD_BASIC_ACK:
    f->u.ack.tag = ((const amqp_basic_ack_t *)m)->delivery_tag;
    f->u.ack.multiple = ((const amqp_basic_ack_t *)m)->multiple;
    return;
  case RMQ_METHOD_BASIC_NACK:
    f->u.ack.tag = ((const amqp_basic_nack_t *)m)->delivery_tag;
    f->u.ack.multiple = ((const amqp_basic_nack_t *)m)->multiple;
    return;
  case RMQ_METHOD_CONNECTION_SECURE:
  case RMQ_METHOD_CONNECTION_OPEN_OK:
  case RMQ_METHOD_CONNECTION_CLOSE_OK:
  case RMQ_METHOD_CONNECTION_UNBLOCKED:
  case RMQ_METHOD_CHANNEL_OPEN_OK:
  case RMQ_METHOD_CHANNEL_CLOSE_OK:
  case RMQ_METHOD_EXCHANGE_DECLARE_OK:
  case RMQ_METHOD_QUEUE_BIND_OK:
  case RMQ_METHOD_BASIC_QOS_OK:
  case RMQ_METHOD_CONFIRM_SELECT_OK:
    return;
  }
}

static int decode_method(struct rmq_wire_decoder *d, const char *payload,
                         size_t size, struct rmq_wire_frame *f,
                         struct rmq_error *err) {
  if (size < METHOD_ID_SIZE)
    return rmq_error_set(err, "method frame of %zu bytes", size);
  uint32_t id = get_u32(payload);
  if (!is_known_method(id))
    return rmq_error_set(err, "unexpected method %u.%u", id >> 16, id & 0xFFFF);
  f->method = (enum rmq_method)id;
  const char *arguments = payload + METHOD_ID_SIZE;
  size_t len = size - METHOD_ID_SIZE;
  /* The one method from a broker that carries a table, after two bytes. */
  if (f->method == RMQ_METHOD_CONNECTION_START &&
      (len < 2 || !rmq_wire_table_is_sane(arguments + 2, len - 2)))
    return rmq_error_set(err, "connection.start with a malformed table");
  void *decoded = NULL;
  int rc = amqp_decode_method(id, &d->pool, to_bytes(arguments, len), &decoded);
  if (rc < 0)
    return rmq_error_set(err, "malformed %s: %s", rmq_method_to_str(f->method),
                         amqp_error_string2(rc));
  fill_method(f, decoded);
  return 0;
}

static void fill_header(struct rmq_wire_header *h,
                        const amqp_table_entry_t *e) {
  *h = (struct rmq_wire_header){.name = from_bytes(e->key),
                                .type = RMQ_HEADER_INTEGER};
  switch (e->value.kind) {
  case AMQP_FIELD_KIND_BOOLEAN:
    h->integer = e->value.value.boolean;
    return;
  case AMQP_FIELD_KIND_I8:
    h->integer = e->value.value.i8;
    return;
  case AMQP_FIELD_KIND_U8:
    h->integer = e->value.value.u8;
    return;
  case AMQP_FIELD_KIND_I16:
    h->integer = e->value.value.i16;
    return;
  case AMQP_FIELD_KIND_U16:
    h->integer = e->value.value.u16;
    return;
  case AMQP_FIELD_KIND_I32:
    h->integer = e->value.value.i32;
    return;
  case AMQP_FIELD_KIND_U32:
    h->integer = e->value.value.u32;
    return;
  case AMQP_FIELD_KIND_I64:
    h->integer = e->value.value.i64;
    return;
  case AMQP_FIELD_KIND_U64:
  case AMQP_FIELD_KIND_TIMESTAMP:
    h->integer = e->value.value.u64 > INT64_MAX ? INT64_MAX
                                                : (int64_t)e->value.value.u64;
    return;
  case AMQP_FIELD_KIND_UTF8:
  case AMQP_FIELD_KIND_BYTES:
    h->type = RMQ_HEADER_STRING;
    h->string = from_bytes(e->value.value.bytes);
    return;
  }
  h->type = RMQ_HEADER_OTHER;
}

static struct rmq_span optional(const amqp_basic_properties_t *in,
                                amqp_flags_t flag, amqp_bytes_t value) {
  return (in->_flags & flag) != 0 ? from_bytes(value) : rmq_span_of(NULL);
}

static const char *const ours[RMQ_WIRE_HEADERS_OURS] = {
    "timestamp_in_ms", "traceparent", "x-delivery-count", "x-stream-offset"};

static bool is_missing(const struct rmq_wire_properties *p,
                       struct rmq_span name) {
  for (size_t i = 0; i < RMQ_WIRE_HEADERS_OURS; i++)
    if (rmq_span_equals(name, ours[i]))
      return rmq_wire_find_header(p, ours[i]) == NULL;
  return false;
}

/* What the broker adds may be behind all that the publisher put there. */
static void fill_headers(struct rmq_wire_properties *p,
                         const amqp_table_t *in) {
  for (int i = 0; i < in->num_entries; i++)
    if (i < RMQ_WIRE_HEADERS_FIRST ||
        is_missing(p, from_bytes(in->entries[i].key)))
      fill_header(&p->headers[p->headers_count++], &in->entries[i]);
    else
      p->has_more_headers = true;
}

static void fill_properties(struct rmq_wire_properties *p,
                            const amqp_basic_properties_t *in) {
  *p = (struct rmq_wire_properties){
      .content_type =
          optional(in, AMQP_BASIC_CONTENT_TYPE_FLAG, in->content_type),
      .content_encoding =
          optional(in, AMQP_BASIC_CONTENT_ENCODING_FLAG, in->content_encoding),
      .message_id = optional(in, AMQP_BASIC_MESSAGE_ID_FLAG, in->message_id),
      .app_id = optional(in, AMQP_BASIC_APP_ID_FLAG, in->app_id),
      .user_id = optional(in, AMQP_BASIC_USER_ID_FLAG, in->user_id),
      .type = optional(in, AMQP_BASIC_TYPE_FLAG, in->type),
      .correlation_id =
          optional(in, AMQP_BASIC_CORRELATION_ID_FLAG, in->correlation_id),
      .reply_to = optional(in, AMQP_BASIC_REPLY_TO_FLAG, in->reply_to),
      .expiration = optional(in, AMQP_BASIC_EXPIRATION_FLAG, in->expiration),
      .has_timestamp = (in->_flags & AMQP_BASIC_TIMESTAMP_FLAG) != 0,
      .timestamp = in->timestamp,
      .has_delivery_mode = (in->_flags & AMQP_BASIC_DELIVERY_MODE_FLAG) != 0,
      .delivery_mode = in->delivery_mode,
      .has_priority = (in->_flags & AMQP_BASIC_PRIORITY_FLAG) != 0,
      .priority = in->priority,
  };
  if ((in->_flags & AMQP_BASIC_HEADERS_FLAG) != 0)
    fill_headers(p, &in->headers);
}

static int decode_header(struct rmq_wire_decoder *d, const char *payload,
                         size_t size, struct rmq_wire_frame *f,
                         struct rmq_error *err) {
  if (size < HEADER_FIXED + 2)
    return rmq_error_set(err, "content header of %zu bytes", size);
  if (get_u16(payload) != BASIC_CLASS)
    return rmq_error_set(err, "content header of class %u", get_u16(payload));
  f->u.header.body_size = get_u64(payload + 4);
  const char *encoded = payload + HEADER_FIXED;
  size_t len = size - HEADER_FIXED;
  void *decoded = NULL;
  f->u.header.is_malformed =
      !rmq_wire_properties_are_sane(encoded, len) ||
      amqp_decode_properties(BASIC_CLASS, &d->pool, to_bytes(encoded, len),
                             &decoded) < 0;
  if (f->u.header.is_malformed)
    d->properties = (struct rmq_wire_properties){.headers_count = 0};
  else
    fill_properties(&d->properties, decoded);
  f->u.header.properties = &d->properties;
  return 0;
}

static int decode_frame(struct rmq_wire_decoder *d, const char *frame,
                        size_t size, struct rmq_wire_frame *ret_frame,
                        struct rmq_error *err) {
  if ((unsigned char)frame[FRAME_HEAD + size] != FRAME_END)
    return rmq_error_set(err, "frame does not end with 0xCE");
  const char *payload = frame + FRAME_HEAD;
  struct rmq_wire_frame f = {.channel = get_u16(frame + 1)};
  int type = (unsigned char)frame[0];
  if (type == AMQP_FRAME_HEARTBEAT) {
    if (f.channel != 0)
      return rmq_error_set(err, "heartbeat on channel %u", f.channel);
    f.kind = RMQ_FRAME_HEARTBEAT;
  } else if (type == AMQP_FRAME_BODY) {
    f.kind = RMQ_FRAME_BODY;
    f.u.body = (struct rmq_span){payload, size};
  } else if (type == AMQP_FRAME_HEADER) {
    f.kind = RMQ_FRAME_HEADER;
    if (decode_header(d, payload, size, &f, err) != 0)
      return -1;
  } else {
    f.kind = RMQ_FRAME_METHOD;
    if (decode_method(d, payload, size, &f, err) != 0)
      return -1;
  }
  *ret_frame = f;
  return 1;
}

/* Moves up to want - partial.len bytes of input into partial. */
static int top_up(struct rmq_wire_decoder *d, struct rmq_span *input,
                  size_t want, struct rmq_error *err) {
  size_t n = want - d->partial.len;
  if (n > input->len)
    n = input->len;
  if (rmq_buf_append(&d->partial, input->bytes, n) != 0)
    return rmq_error_set(err, "no memory for a frame");
  input->bytes += n;
  input->len -= n;
  return 0;
}

static size_t frame_size(const char *head) {
  return FRAME_HEAD + (size_t)get_u32(head + 3) + FRAME_FOOT;
}

/* A frame that arrived in pieces. */
static int decode_partial(struct rmq_wire_decoder *d, struct rmq_span *input,
                          struct rmq_wire_frame *ret_frame,
                          struct rmq_error *err) {
  if (d->partial.len < FRAME_HEAD && top_up(d, input, FRAME_HEAD, err) != 0)
    return -1;
  const char *head = rmq_buf_bytes(&d->partial);
  if (check_head(head, d->partial.len, d->frame_max, err) != 0)
    return -1;
  if (d->partial.len < FRAME_HEAD)
    return 0;
  size_t want = frame_size(head);
  if (top_up(d, input, want, err) != 0)
    return -1;
  if (d->partial.len < want)
    return 0;
  d->partial_is_used = true;
  return decode_frame(d, rmq_buf_bytes(&d->partial),
                      want - FRAME_HEAD - FRAME_FOOT, ret_frame, err);
}

int rmq_wire_decode(struct rmq_wire_decoder *d, struct rmq_span *input,
                    struct rmq_wire_frame *ret_frame, struct rmq_error *err) {
  recycle_amqp_pool(&d->pool);
  if (d->partial_is_used) {
    rmq_buf_clear(&d->partial);
    d->partial_is_used = false;
  }
  if (input->len == 0)
    return 0;
  if (d->partial.len == 0 && input->len >= FRAME_HEAD) {
    if (check_head(input->bytes, input->len, d->frame_max, err) != 0)
      return -1;
    size_t whole = frame_size(input->bytes);
    if (input->len >= whole) {
      const char *frame = input->bytes;
      input->bytes += whole;
      input->len -= whole;
      return decode_frame(d, frame, whole - FRAME_HEAD - FRAME_FOOT, ret_frame,
                          err);
    }
  }
  return decode_partial(d, input, ret_frame, err);
}

const char *rmq_wire_library_version(void) { return amqp_version(); }
