/* SPDX-License-Identifier: MIT */
/*
 * What became of one message, told to whoever gave it a tag. A tag hears STORED
 * at most once, then exactly one of the others, and nothing after that.
 */
#ifndef RMQ_BASE_FATE_H
#define RMQ_BASE_FATE_H

#include <stdbool.h>
#include <stdint.h>

/* X(suffix, word, meaning) */
#define RMQ_FATES(X)                                                           \
  /* Not the end: its row in the spool is committed. */                        \
  X(STORED, "stored", "committed to the spool")                                \
  X(CONFIRMED, "confirmed", "the broker took responsibility")                  \
  X(SENT, "sent", "sent, where no confirm is asked for (Confirm false)")       \
  X(RETURNED, "returned", "given up: no queue takes it")                       \
  X(REJECTED, "rejected", "given up: the broker refuses it")                   \
  X(EXPIRED, "expired", "older than its time to live")                         \
  X(DROPPED, "dropped", "lost here; the cause says why")                       \
  X(KEPT, "kept",                                                              \
    "not published when we ended: in the spool for the next "                  \
    "start")

enum rmq_fate {
#define RMQ_X(name, word, meaning) RMQ_FATE_##name,
  RMQ_FATES(RMQ_X)
#undef RMQ_X
};
const char *rmq_fate_to_str(enum rmq_fate f);
/* Every fate but STORED. */
bool rmq_fate_is_final(enum rmq_fate f);

/* Part of a tag: STORED is the last that it hears, so that what waits on the
 * disk for a day costs no memory. Any other fate may come instead, never after.
 */
#define RMQ_TAG_UNTIL_STORED (UINT64_C(1) << 63)

/* Texts are borrowed for the call, and never NULL; "" = not known. Those of the
 * message are not known when only its row ended. */
struct rmq_fate_report {
  uint64_t tag;
  enum rmq_fate fate;
  const char *cause; /* of DROPPED: overflow, encode, damaged, shutdown */
  /* Of RETURNED and REJECTED: what the broker said, 0 for a nack. The text may
   * hold any bytes of the wire. */
  unsigned reply_code;
  const char *reply_text;
  const char *exchange, *routing_key, *message_id;
};

/* tell is called by the worker's, the store's or the caller's thread, without a
 * lock of ours, and must not block. NULL = nobody listens. */
struct rmq_fate_sink {
  void *ctx;
  void (*tell)(void *ctx, const struct rmq_fate_report *report);
};

#endif
