/* SPDX-License-Identifier: MIT */
/*
 * One message on its way out: accepted, not yet settled. It owns its routing
 * key and body. It is in one list at a time, and whoever removes it from the
 * last list frees it.
 */
#ifndef RMQ_BASE_MESSAGE_H
#define RMQ_BASE_MESSAGE_H

#include "common/base/buf.h"
#include "common/base/list.h"
#include "common/base/rmqtime.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 32 hex digits of the sender's instance, ':', decimal seq, NUL. */
enum { RMQ_MESSAGE_ID_SIZE = 32 + 1 + 20 + 1 };
/* What a message costs besides key and body when queues are bounded. */
enum { RMQ_MESSAGE_OVERHEAD = 256 };

struct rmq_message {
  struct rmq_node node;
  uint64_t seq;                 /* order of acceptance within its block */
  char id[RMQ_MESSAGE_ID_SIZE]; /* message_id; kept on every republish */
  struct rmq_wall time;         /* of acceptance */
  struct rmq_mono born;         /* likewise, by the clock that does not jump; of
                                   an earlier process's row before our start */
  const char *content_type;     /* static text, or in this allocation */
  const char *content_encoding; /* likewise; NULL = identity */
  uint32_t values;              /* value lists carried; 0 for a notification */
  uint32_t attempts;            /* basic.publish sent so far */
  uint32_t refusals;            /* nacks and returns so far */
  struct rmq_mono not_before;   /* of the next attempt after a refusal */
  struct rmq_dur latency; /* publish to confirm; negative = not confirmed */
  bool is_stored;    /* the store has a row of it, to be settled at its end */
  bool is_prepared;  /* has its id, and its body is as it goes out */
  bool to_alternate; /* was returned: goes to the alternate exchange now */
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
 * content_encoding may be NULL. */
struct rmq_message *rmq_message_restore(const char *key,
                                        const char *content_type,
                                        const char *content_encoding,
                                        const void *body, size_t body_len);
/* Replaces the body by the content of body, whose memory is taken. Whoever has
 * charged rmq_message_cost charges anew. */
void rmq_message_set_body(struct rmq_message *m, struct rmq_buf *body);
void rmq_message_free(struct rmq_message *m);
/* Bytes that bounds count: body + key + RMQ_MESSAGE_OVERHEAD. */
size_t rmq_message_cost(const struct rmq_message *m);

#endif
