/* SPDX-License-Identifier: MIT */
/*
 * Names that no two messages share: message-ids and W3C trace contexts
 * (www.w3.org/TR/trace-context, version 00), as text. Random bits are given.
 */
#ifndef RMQ_BASE_UUID_H
#define RMQ_BASE_UUID_H

#include "common/base/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 128 bits that name one run of one publisher; a random (version 4) UUID of
 * RFC 4122, so never all zero. */
struct rmq_uuid {
  uint64_t high, low;
};
struct rmq_uuid rmq_uuid_from_bits(uint64_t high, uint64_t low);

/* "32 hex digits of the instance:seq": unique for ever when seq is unique
 * within the run. */
void rmq_uuid_message_id(struct rmq_uuid instance, uint64_t seq,
                         char ret_id[RMQ_MESSAGE_ID_SIZE]);

enum {
  RMQ_TRACEPARENT_SIZE = 2 + 1 + 32 + 1 + 16 + 1 + 2 + 1, /* with NUL */
  RMQ_TRACE_ID_SIZE = 32 + 1
};
/* "00-<trace id>-<parent id>-01" (sampled); all-zero ids, which the standard
 * forbids, become 1. */
void rmq_uuid_traceparent(uint64_t trace_high, uint64_t trace_low,
                          uint64_t parent, char ret_text[RMQ_TRACEPARENT_SIZE]);
/* The one that belongs to a message-id: a message that is published again, even
 * after a restart, stays in its trace. */
void rmq_uuid_traceparent_of(const char *message_id,
                             char ret_text[RMQ_TRACEPARENT_SIZE]);
/* The trace id of a traceparent from the wire (of any version, as the standard
 * wants). False, with ret_id untouched, when it is not one. */
bool rmq_uuid_trace_id(const char *traceparent, size_t len,
                       char ret_id[RMQ_TRACE_ID_SIZE]);

#endif
