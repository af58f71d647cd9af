/* SPDX-License-Identifier: MIT */
/*
 * AMQP 0-9-1 frames <-> structs. rabbitmq-c is the codec, and this is the only
 * module that sees it. Nothing here knows a state or a socket.
 *
 * Every frame is checked before it is decoded: type, length against frame-max,
 * frame end, channel, smallest size of its kind, and nesting of field tables
 * (rabbitmq-c 0.11 recurses without limit). What the peer announces never makes
 * this module allocate more than one frame.
 */
#ifndef RMQ_AMQP_WIRE_H
#define RMQ_AMQP_WIRE_H

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Borrowed bytes, not NUL-terminated. */
struct rmq_span {
  const char *bytes;
  size_t len;
};
struct rmq_span rmq_span_of(const char *text); /* NULL = empty */
bool rmq_span_equals(struct rmq_span s, const char *text);
/* Copies at most size - 1 bytes and terminates them. */
void rmq_span_copy(struct rmq_span s, char *ret_text, size_t size);

enum {
  RMQ_WIRE_FRAME_MAX = 131072, /* what we ask for, and bound tables with */
  RMQ_WIRE_FRAME_MIN = 4096,   /* smaller offers are refused (AMQP 4.2.3) */
  RMQ_WIRE_TABLE_DEPTH = 32,   /* of nested tables and arrays */
  RMQ_WIRE_HEADERS_FIRST = 32, /* message headers that are looked at, and ... */
  RMQ_WIRE_HEADERS_OURS = 4,   /* wherever they are: see find_header */
  RMQ_WIRE_HEADERS_MAX = RMQ_WIRE_HEADERS_FIRST + RMQ_WIRE_HEADERS_OURS,
  RMQ_WIRE_PUBLISH_HEADERS_MAX = 24, /* of a message of ours, besides our own */
  RMQ_WIRE_PUBLISH_HEADERS_BYTES = 2048, /* their names and texts in all */
  RMQ_WIRE_CHANNEL = 1                   /* the one channel of a connection */
};

/* X(enum suffix, class id, method id, name): all that a broker may send. */
#define RMQ_WIRE_METHODS(X)                                                    \
  X(CONNECTION_START, 10, 10, "connection.start")                              \
  X(CONNECTION_SECURE, 10, 20, "connection.secure")                            \
  X(CONNECTION_TUNE, 10, 30, "connection.tune")                                \
  X(CONNECTION_OPEN_OK, 10, 41, "connection.open-ok")                          \
  X(CONNECTION_CLOSE, 10, 50, "connection.close")                              \
  X(CONNECTION_CLOSE_OK, 10, 51, "connection.close-ok")                        \
  X(CONNECTION_BLOCKED, 10, 60, "connection.blocked")                          \
  X(CONNECTION_UNBLOCKED, 10, 61, "connection.unblocked")                      \
  X(CHANNEL_OPEN_OK, 20, 11, "channel.open-ok")                                \
  X(CHANNEL_FLOW, 20, 20, "channel.flow")                                      \
  X(CHANNEL_CLOSE, 20, 40, "channel.close")                                    \
  X(CHANNEL_CLOSE_OK, 20, 41, "channel.close-ok")                              \
  X(EXCHANGE_DECLARE_OK, 40, 11, "exchange.declare-ok")                        \
  X(QUEUE_DECLARE_OK, 50, 11, "queue.declare-ok")                              \
  X(QUEUE_BIND_OK, 50, 21, "queue.bind-ok")                                    \
  X(BASIC_QOS_OK, 60, 11, "basic.qos-ok")                                      \
  X(BASIC_CONSUME_OK, 60, 21, "basic.consume-ok")                              \
  X(BASIC_CANCEL, 60, 30, "basic.cancel")                                      \
  X(BASIC_CANCEL_OK, 60, 31, "basic.cancel-ok")                                \
  X(BASIC_RETURN, 60, 50, "basic.return")                                      \
  X(BASIC_DELIVER, 60, 60, "basic.deliver")                                    \
  X(BASIC_ACK, 60, 80, "basic.ack")                                            \
  X(BASIC_NACK, 60, 120, "basic.nack")                                         \
  X(CONFIRM_SELECT_OK, 85, 11, "confirm.select-ok")

#define RMQ_WIRE_ID(class_id, method_id) ((class_id) << 16 | (method_id))
/* Ours, as a close names it. */
enum { RMQ_WIRE_BASIC_PUBLISH = RMQ_WIRE_ID(60, 40) };
enum rmq_method {
#define RMQ_X(name, class_id, method_id, text)                                 \
  RMQ_METHOD_##name = RMQ_WIRE_ID(class_id, method_id),
  RMQ_WIRE_METHODS(RMQ_X)
#undef RMQ_X
};
const char *rmq_method_to_str(enum rmq_method m);

struct rmq_wire_header {
  struct rmq_span name;
  enum { RMQ_HEADER_STRING, RMQ_HEADER_INTEGER, RMQ_HEADER_OTHER } type;
  struct rmq_span string;
  int64_t integer; /* integers, booleans and timestamps */
};

/* Of a received message; empty span or has_x false = absent. */
struct rmq_wire_properties {
  struct rmq_span content_type, content_encoding, message_id, app_id, user_id,
      type, correlation_id, reply_to;
  struct rmq_span expiration; /* milliseconds, as the sender wrote them */
  bool has_timestamp;
  uint64_t timestamp; /* seconds since 1970 */
  bool has_delivery_mode;
  uint8_t delivery_mode; /* 1 transient, 2 persistent */
  bool has_priority;
  uint8_t priority;
  struct rmq_wire_header headers[RMQ_WIRE_HEADERS_MAX];
  size_t headers_count;
  bool has_more_headers; /* than are looked at */
};
/* NULL when there is none among the first; timestamp_in_ms, traceparent,
 * x-delivery-count and x-stream-offset are found behind however many. */
const struct rmq_wire_header *
rmq_wire_find_header(const struct rmq_wire_properties *p, const char *name);

struct rmq_wire_frame {
  uint16_t channel;
  enum {
    RMQ_FRAME_METHOD,
    RMQ_FRAME_HEADER,
    RMQ_FRAME_BODY,
    RMQ_FRAME_HEARTBEAT
  } kind;
  enum rmq_method method; /* of a METHOD frame */
  union {
    struct {
      uint8_t major, minor;
      struct rmq_span mechanisms, product, version;
    } start;
    struct {
      uint16_t channel_max;
      uint32_t frame_max;
      uint16_t heartbeat; /* seconds */
    } tune;
    struct { /* connection.close, channel.close */
      uint16_t code;
      struct rmq_span text;
      uint16_t class_id, method_id; /* what it answers; 0 = nothing */
    } close;
    struct rmq_span reason; /* connection.blocked */
    bool active;            /* channel.flow */
    struct {
      struct rmq_span queue;
      uint32_t messages, consumers;
    } declare_ok;
    struct rmq_span consumer_tag; /* basic.consume-ok, cancel, cancel-ok */
    struct {
      struct rmq_span consumer_tag;
      uint64_t tag;
      bool redelivered;
      struct rmq_span exchange, routing_key;
    } deliver;
    struct {
      uint16_t code;
      struct rmq_span text, exchange, routing_key;
    } returned;
    struct { /* basic.ack, basic.nack */
      uint64_t tag;
      bool multiple;
    } ack;
    struct { /* content header */
      uint64_t body_size;
      bool is_malformed; /* properties could not be decoded: a plain publisher
                            can send that, so it costs the message, not the
                            connection */
      const struct rmq_wire_properties *properties;
    } header;
    struct rmq_span body;
  } u;
};

struct rmq_wire_decoder;
/* NULL without memory. */
struct rmq_wire_decoder *rmq_wire_decoder_new(void);
void rmq_wire_decoder_free(struct rmq_wire_decoder *d);
/* Forgets half a frame; a new connection begins. frame_max is reset. */
void rmq_wire_decoder_reset(struct rmq_wire_decoder *d);
void rmq_wire_decoder_set_frame_max(struct rmq_wire_decoder *d, uint32_t max);
/* Decodes the next frame of input, which is advanced. 1: *ret_frame is filled
 * and valid until the next call; 0: input is used up; -1: the peer broke the
 * protocol, err says how, and nothing more may be read from it. */
int rmq_wire_decode(struct rmq_wire_decoder *d, struct rmq_span *input,
                    struct rmq_wire_frame *ret_frame, struct rmq_error *err);

/* Encoders append whole frames. 0, or -1 with out as it was: no memory, out's
 * maximum, or an argument longer than AMQP allows. */
int rmq_wire_put_protocol_header(struct rmq_buf *out);
int rmq_wire_put_heartbeat(struct rmq_buf *out);

struct rmq_wire_start_ok {
  const char *mechanism;    /* "PLAIN" or "EXTERNAL" */
  struct rmq_span response; /* holds the password */
  const char *product, *version, *connection_name;
};
/* Announces the capabilities connection.blocked, consumer_cancel_notify,
 * basic.nack, publisher_confirms, authentication_failure_close. */
int rmq_wire_put_start_ok(struct rmq_buf *out,
                          const struct rmq_wire_start_ok *s);
int rmq_wire_put_tune_ok(struct rmq_buf *out, uint16_t channel_max,
                         uint32_t frame_max, uint16_t heartbeat);
int rmq_wire_put_open(struct rmq_buf *out, const char *vhost);
int rmq_wire_put_close(struct rmq_buf *out, uint16_t code, const char *text);
int rmq_wire_put_close_ok(struct rmq_buf *out);
int rmq_wire_put_channel_open(struct rmq_buf *out);
int rmq_wire_put_channel_close(struct rmq_buf *out, uint16_t code,
                               const char *text);
int rmq_wire_put_channel_close_ok(struct rmq_buf *out);
int rmq_wire_put_flow_ok(struct rmq_buf *out, bool active);
int rmq_wire_put_confirm_select(struct rmq_buf *out);
int rmq_wire_put_qos(struct rmq_buf *out, uint16_t prefetch);

struct rmq_wire_exchange {
  const char *name, *type;
  bool is_passive, is_durable, is_auto_delete;
  const char *alternate; /* argument alternate-exchange; NULL = none */
  const struct rmq_arguments *arguments; /* NULL = none */
};
int rmq_wire_put_exchange_declare(struct rmq_buf *out,
                                  const struct rmq_wire_exchange *e);
struct rmq_wire_queue {
  const char *name; /* "" = the server chooses */
  bool is_passive, is_durable, is_exclusive, is_auto_delete;
  const struct rmq_arguments *arguments;
};
int rmq_wire_put_queue_declare(struct rmq_buf *out,
                               const struct rmq_wire_queue *q);
/* no_wait: the broker answers only when it closes the channel. */
int rmq_wire_put_queue_bind(struct rmq_buf *out, const char *queue,
                            const char *exchange, const char *routing_key,
                            bool no_wait);
int rmq_wire_put_consume(struct rmq_buf *out, const char *queue,
                         const char *consumer_tag, bool is_exclusive,
                         const struct rmq_arguments *arguments);
int rmq_wire_put_cancel(struct rmq_buf *out, const char *consumer_tag);
int rmq_wire_put_ack(struct rmq_buf *out, uint64_t tag, bool multiple);
int rmq_wire_put_reject(struct rmq_buf *out, uint64_t tag, bool requeue);
/* Of one delivery, which goes back to its queue. */
int rmq_wire_put_nack(struct rmq_buf *out, uint64_t tag);

struct rmq_wire_publish {
  const char *exchange, *routing_key;
  bool is_mandatory;
  bool is_persistent;
  /* NULL = absent */
  const char *content_type, *content_encoding, *message_id, *app_id;
  const char *type, *correlation_id, *reply_to;
  uint8_t priority;      /* 0 = absent, which the broker takes for 0 */
  int64_t expiration_ms; /* 0 or less = absent */
  const struct rmq_arguments *headers; /* besides ours; NULL = none */
  /* The message's own, which take the place of those of the same name. */
  const struct rmq_argument *own_headers;
  size_t own_headers_count;
  int64_t timestamp_ms;    /* timestamp and header timestamp_in_ms */
  const char *traceparent; /* NULL = absent */
  struct rmq_span body;
};
/* basic.publish with its header and as many body frames as frame_max asks. -1
 * also when the properties do not fit into one frame. */
int rmq_wire_put_publish(struct rmq_buf *out, uint32_t frame_max,
                         const struct rmq_wire_publish *p);

/* "0.11.0" of the library that is loaded. */
const char *rmq_wire_library_version(void);

#endif
