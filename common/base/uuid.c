/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/uuid.h"

#include "common/base/names.h"
#include "common/base/prng.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct rmq_uuid rmq_uuid_from_bits(uint64_t high, uint64_t low) {
  return (struct rmq_uuid){
      .high = (high & ~UINT64_C(0xf000)) | UINT64_C(0x4000),   /* version 4 */
      .low = (low & ~(UINT64_C(3) << 62)) | UINT64_C(2) << 62, /* variant 1 */
  };
}

void rmq_uuid_message_id(struct rmq_uuid instance, uint64_t seq,
                         char ret_id[RMQ_MESSAGE_ID_SIZE]) {
  snprintf(ret_id, RMQ_MESSAGE_ID_SIZE, "%016" PRIx64 "%016" PRIx64 ":%" PRIu64,
           instance.high, instance.low, seq);
}

void rmq_uuid_traceparent(uint64_t trace_high, uint64_t trace_low,
                          uint64_t parent,
                          char ret_text[RMQ_TRACEPARENT_SIZE]) {
  if (trace_high == 0 && trace_low == 0)
    trace_low = 1;
  if (parent == 0)
    parent = 1;
  snprintf(ret_text, RMQ_TRACEPARENT_SIZE,
           "00-%016" PRIx64 "%016" PRIx64 "-%016" PRIx64 "-01", trace_high,
           trace_low, parent);
}

void rmq_uuid_traceparent_of(const char *message_id,
                             char ret_text[RMQ_TRACEPARENT_SIZE]) {
  size_t len = strlen(message_id);
  uint64_t once = rmq_fnv1a(message_id, len);
  uint64_t twice = rmq_fnv1a_more(once, message_id, len);
  struct rmq_prng high = {once}, low = {twice};
  uint64_t trace_high = rmq_prng_next(&high);
  uint64_t trace_low = rmq_prng_next(&low);
  rmq_uuid_traceparent(trace_high, trace_low, rmq_prng_next(&low), ret_text);
}

/* True when there are count lower-case hex digits at text, not all 'not'. */
static bool is_hex(const char *text, size_t count, char not ) {
  bool is_other = false;
  for (size_t i = 0; i < count; i++) {
    char c = text[i];
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
      return false;
    is_other = is_other || c != not ;
  }
  return is_other;
}

bool rmq_uuid_trace_id(const char *traceparent, size_t len,
                       char ret_id[RMQ_TRACE_ID_SIZE]) {
  enum {
    AT_VERSION = 0,
    AT_TRACE = 3,
    AT_PARENT = 36,
    AT_FLAGS = 53,
    AT_END = 55
  };
  if (len < AT_END || !is_hex(traceparent + AT_VERSION, 2, 'f') ||
      traceparent[AT_TRACE - 1] != '-' ||
      !is_hex(traceparent + AT_TRACE, 32, '0') ||
      traceparent[AT_PARENT - 1] != '-' ||
      !is_hex(traceparent + AT_PARENT, 16, '0') ||
      traceparent[AT_FLAGS - 1] != '-' ||
      !is_hex(traceparent + AT_FLAGS, 2, '\0'))
    return false;
  bool is_version_0 = memcmp(traceparent, "00", 2) == 0;
  if (len > AT_END && (is_version_0 || traceparent[AT_END] != '-'))
    return false;
  memcpy(ret_id, traceparent + AT_TRACE, 32);
  ret_id[32] = '\0';
  return true;
}
