/* SPDX-License-Identifier: MIT */
/*
 * What one message says of itself besides key, body, types and id: the
 * properties that its giver chose. Packed into bytes it travels with the
 * message and lies in its row of the spool.
 */
#ifndef RMQ_BASE_ENVELOPE_H
#define RMQ_BASE_ENVELOPE_H

#include "common/base/buf.h"
#include "common/base/options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  RMQ_ENVELOPE_HEADERS_MAX = 24,          /* of one message */
  RMQ_ENVELOPE_HEADERS_BYTES = 2048,      /* their names and texts in all */
  RMQ_ENVELOPE_TEXT_MAX = 255,            /* AMQP's short strings */
  RMQ_ENVELOPE_BYTES_MAX = 5 * 256 + 4096 /* packed */
};

/* Borrowed. NULL and 0 = absent. */
struct rmq_envelope {
  const char *type, *correlation_id, *reply_to;
  const char *traceparent; /* W3C; absent = one that belongs to the id */
  int64_t expiration_ms;   /* to live, from its acceptance; 0 = the block's */
  uint8_t priority;        /* 0 = the block's */
  const struct rmq_argument *headers;
  size_t headers_count;
};

bool rmq_envelope_is_empty(const struct rmq_envelope *e);
/* Appends it, "" for an empty one. 0, or -1 with out as it was when a bound is
 * exceeded or out is full. */
int rmq_envelope_pack(const struct rmq_envelope *e, struct rmq_buf *out);

/* Unpacked: points into the bytes, and its headers into itself. */
struct rmq_envelope_view {
  struct rmq_envelope envelope;
  struct rmq_argument headers[RMQ_ENVELOPE_HEADERS_MAX];
};
/* 0, or -1 when these are no bytes of rmq_envelope_pack. */
int rmq_envelope_unpack(const void *bytes, size_t len,
                        struct rmq_envelope_view *ret_view);

#endif
