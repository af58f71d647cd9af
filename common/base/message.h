/* SPDX-License-Identifier: MIT */
/*
 * One message on its way out: accepted, not yet settled. It owns its routing
 * key and body. It is in one list at a time, and whoever removes it from the
 * last list frees it.
 *
 * A message whose giver chose more than key and body (an opaque one, of
 * rmq_role_publish_message) has extras: an exchange, an id and an envelope of
 * its own.
 */
#ifndef RMQ_BASE_MESSAGE_H
#define RMQ_BASE_MESSAGE_H

#include "common/base/buf.h"
#include "common/base/fate.h"
#include "common/base/list.h"
#include "common/base/rmqtime.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 32 hex digits of the sender's instance, ':', decimal seq, NUL. */
enum { RMQ_MESSAGE_ID_SIZE = 32 + 1 + 20 + 1 };
/* Of an id that the giver chose: AMQP's short string. */
enum { RMQ_MESSAGE_ID_MAX = 255 };
/* What a message costs besides key and body when queues are bounded. */
enum { RMQ_MESSAGE_OVERHEAD = 256 };

/* In the message's allocation. */
struct rmq_message_extras {
  const char *exchange;        /* NULL = the block's */
  const char *id;              /* NULL = struct rmq_message's */
  const char *envelope;        /* see envelope.h */
  size_t envelope_len, in_all; /* bytes of all three */
};

struct rmq_message {
  struct rmq_node node;
  uint64_t seq;                 /* order of acceptance within its block */
  char id[RMQ_MESSAGE_ID_SIZE]; /* see rmq_message_id; kept on every republish
                                 */
  struct rmq_wall time;         /* of acceptance */
  struct rmq_mono born;         /* likewise, by the clock that does not jump; of
                                   an earlier process's row before our start */
  const char *content_type;     /* static text, or in this allocation */
  const char *content_encoding; /* likewise; NULL = identity */
  uint32_t values;              /* value lists carried; 0 for a notification */
  uint32_t attempts;            /* basic.publish sent so far */
  uint32_t refusals;            /* nacks and returns so far */
  int last_refusal;             /* its kind, as whoever counts them has it */
  struct rmq_mono not_before;   /* of the next attempt after a refusal */
  struct rmq_dur latency; /* publish to confirm; negative = not confirmed */
  bool is_stored;      /* the store has a row of it, to be settled at its end */
  bool is_prepared;    /* has its id, and its body is as it goes out */
  bool to_alternate;   /* was returned: goes to the alternate exchange now */
  enum rmq_fate fate;  /* set by whoever ends it */
  const char *cause;   /* of a DROPPED one; static text */
  uint16_t reply_code; /* of the last return or close; 0 = none */
  uint32_t max_refusals; /* 0 = the block's MaxAttempts */
  uint64_t tag;          /* whose fate is to be told; 0 = nobody's */
  const struct rmq_message_extras *extras; /* NULL = none */
  size_t key_len, body_len;
  const char *key;  /* NUL-terminated, points into this allocation */
  const char *body; /* owned_body, or points into this allocation */
  char *owned_body; /* NULL when the body is part of this allocation */
};

/* Copies key and body. NULL without memory. */
struct rmq_message *rmq_message_new(const char *key, const void *body,
                                    size_t body_len);
/* Copies the key and takes the body's memory: body is empty afterwards. NULL
 * without memory: body is as it was. */
struct rmq_message *rmq_message_take(const char *key, struct rmq_buf *body);
/* As rmq_message_new, from where the texts do not last: copies them too.
 * content_type and content_encoding may be NULL. */
struct rmq_message *rmq_message_restore(const char *key,
                                        const char *content_type,
                                        const char *content_encoding,
                                        const void *body, size_t body_len);
/* NULL = absent, but for the key. */
struct rmq_message_parts {
  const char *key, *content_type, *content_encoding;
  const char *exchange, *id;
  const void *envelope; /* packed */
  size_t envelope_len;
  const void *body;
  size_t body_len;
};
/* Copies all. An id of up to RMQ_MESSAGE_ID_SIZE - 1 bytes needs no extras.
 * NULL without memory. */
struct rmq_message *rmq_message_build(const struct rmq_message_parts *parts);
/* Borrowed; "" before it has one. */
const char *rmq_message_id(const struct rmq_message *m);
/* Its own exchange, or block. */
const char *rmq_message_exchange(const struct rmq_message *m,
                                 const char *block);
/* Replaces the body by the content of body, whose memory is taken. Whoever has
 * charged rmq_message_cost charges anew. */
void rmq_message_set_body(struct rmq_message *m, struct rmq_buf *body);
void rmq_message_free(struct rmq_message *m);
/* Bytes that bounds count: body + key + extras + RMQ_MESSAGE_OVERHEAD. */
size_t rmq_message_cost(const struct rmq_message *m);
/* Bytes of its extras. */
size_t rmq_message_extras_len(const struct rmq_message *m);

#endif
