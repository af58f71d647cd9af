/* SPDX-License-Identifier: MIT */
/* Bytes of a broker through the frame checks and the decoder. The first byte
 * of the input says into how large pieces the rest is split, the second which
 * frame-max was agreed on. */
#include "rmq_config.h"

#include <stdlib.h>
#include <string.h>

#include "common/amqp/wire.h"
#include "tests/fuzz/fuzz.h"

static volatile unsigned sum;

/* Reads each byte, so that a span that points elsewhere is noticed. */
static void touch(struct rmq_span s) {
  for (size_t i = 0; i < s.len; i++)
    sum += (unsigned char)s.bytes[i];
}

static void touch_properties(const struct rmq_wire_properties *p) {
  const struct rmq_span spans[] = {
      p->content_type,   p->content_encoding, p->message_id,
      p->app_id,         p->user_id,          p->type,
      p->correlation_id, p->reply_to,         p->expiration};
  for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++)
    touch(spans[i]);
  fuzz_must(p->headers_count <= RMQ_WIRE_HEADERS_MAX);
  for (size_t i = 0; i < p->headers_count; i++) {
    touch(p->headers[i].name);
    if (p->headers[i].type == RMQ_HEADER_STRING)
      touch(p->headers[i].string);
  }
}

static void touch_method(const struct rmq_wire_frame *f) {
  fuzz_must(strcmp(rmq_method_to_str(f->method), "unknown method") != 0);
  if (f->method == RMQ_METHOD_CONNECTION_START) {
    touch(f->u.start.mechanisms);
    touch(f->u.start.product);
    touch(f->u.start.version);
  } else if (f->method == RMQ_METHOD_CONNECTION_CLOSE ||
             f->method == RMQ_METHOD_CHANNEL_CLOSE) {
    touch(f->u.close.text);
  } else if (f->method == RMQ_METHOD_CONNECTION_BLOCKED) {
    touch(f->u.reason);
  } else if (f->method == RMQ_METHOD_QUEUE_DECLARE_OK) {
    touch(f->u.declare_ok.queue);
  } else if (f->method == RMQ_METHOD_BASIC_CONSUME_OK ||
             f->method == RMQ_METHOD_BASIC_CANCEL ||
             f->method == RMQ_METHOD_BASIC_CANCEL_OK) {
    touch(f->u.consumer_tag);
  } else if (f->method == RMQ_METHOD_BASIC_DELIVER) {
    touch(f->u.deliver.consumer_tag);
    touch(f->u.deliver.exchange);
    touch(f->u.deliver.routing_key);
  } else if (f->method == RMQ_METHOD_BASIC_RETURN) {
    touch(f->u.returned.text);
    touch(f->u.returned.exchange);
    touch(f->u.returned.routing_key);
  }
}

static void touch_frame(const struct rmq_wire_frame *f, uint32_t frame_max) {
  fuzz_must(f->channel <= RMQ_WIRE_CHANNEL);
  switch (f->kind) {
  case RMQ_FRAME_METHOD:
    touch_method(f);
    break;
  case RMQ_FRAME_HEADER:
    touch_properties(f->u.header.properties);
    break;
  case RMQ_FRAME_BODY:
    fuzz_must(f->u.body.len <= frame_max);
    touch(f->u.body);
    break;
  case RMQ_FRAME_HEARTBEAT:
    fuzz_must(f->channel == 0);
    break;
  }
}

/* All frames of one piece; false once the peer broke the protocol. */
static bool decode_piece(struct rmq_wire_decoder *d, const char *bytes,
                         size_t len, uint32_t frame_max) {
  struct rmq_span input = {bytes, len};
  for (;;) {
    struct rmq_wire_frame frame;
    struct rmq_error err = {""};
    size_t before = input.len;
    int rc = rmq_wire_decode(d, &input, &frame, &err);
    fuzz_must(input.len <= before);
    fuzz_must((rc < 0) == (err.text[0] != '\0'));
    if (rc <= 0) {
      fuzz_must(rc < 0 || input.len == 0);
      return rc == 0;
    }
    touch_frame(&frame, frame_max);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2)
    return 0;
  size_t piece = data[0] == 0 ? size : data[0];
  uint32_t frame_max =
      data[1] % 2 == 0 ? RMQ_WIRE_FRAME_MAX : RMQ_WIRE_FRAME_MIN;
  struct rmq_wire_decoder *d = rmq_wire_decoder_new();
  if (d == NULL)
    return 0;
  rmq_wire_decoder_set_frame_max(d, frame_max);
  bool is_good = true;
  for (size_t at = 2; at < size && is_good; at += piece) {
    size_t len = size - at < piece ? size - at : piece;
    char *copy = malloc(len); /* of just this size: overreading is seen */
    if (copy == NULL)
      break;
    memcpy(copy, data + at, len);
    is_good = decode_piece(d, copy, len, frame_max);
    free(copy);
  }
  rmq_wire_decoder_free(d);
  return 0;
}
