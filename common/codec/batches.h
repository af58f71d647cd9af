/* SPDX-License-Identifier: MIT */
/*
 * Open batches, one per routing key: encoded samples are appended until a
 * batch is full (values, bytes), old, pushed out (more keys than max_open: the
 * oldest goes) or asked for; then it is sealed, that is, becomes a message.
 * Every value ends in exactly one message, those of a key in order. Pure: no
 * lock, no clock.
 */
#ifndef RMQ_CODEC_BATCHES_H
#define RMQ_CODEC_BATCHES_H

#include "common/base/message.h"
#include "common/base/rmqtime.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Borrowed. */
struct rmq_batches_config {
  /* The body is open + value { + separator + value } + close. */
  const char *open, *separator, *close;
  size_t values_max;      /* of one batch, over 0 */
  size_t bytes_max;       /* of its body; one larger value goes alone */
  size_t open_max;        /* batches at a time, over 0 */
  struct rmq_dur age_max; /* from a batch's first value on */
};

/* Takes m, which has key, body and values and nothing else; cannot fail. Not
 * back into the batches. */
typedef void (*rmq_batches_sink)(void *ctx, struct rmq_message *m);

struct rmq_batches;
/* NULL without memory: about 16 bytes per batch that may be open. */
struct rmq_batches *rmq_batches_new(const struct rmq_batches_config *config,
                                    rmq_batches_sink sink, void *ctx);
/* What is open is lost. */
void rmq_batches_free(struct rmq_batches *b);

/* What finds a key's batch; may be computed before a lock is taken. */
uint32_t rmq_batches_hash(const char *key);
/* Appends one encoded value of len bytes, over 0. 0, or -1 without memory: then
 * the value is in no batch (others may have been sealed). */
int rmq_batches_append(struct rmq_batches *b, const char *key, uint32_t hash,
                       const void *bytes, size_t len, struct rmq_mono now);

/* Seals, oldest first, what has been open for age or longer. */
void rmq_batches_seal_aged(struct rmq_batches *b, struct rmq_dur age,
                           struct rmq_mono now);
/* The same for one key only. */
void rmq_batches_seal_key(struct rmq_batches *b, const char *key, uint32_t hash,
                          struct rmq_dur age, struct rmq_mono now);
void rmq_batches_seal_all(struct rmq_batches *b);
/* When the oldest reaches age_max; RMQ_NEVER when none is open. */
struct rmq_mono rmq_batches_next_deadline(const struct rmq_batches *b);

size_t rmq_batches_open_count(const struct rmq_batches *b);
size_t rmq_batches_open_values(const struct rmq_batches *b);

#endif
