/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/batches.h"

#include "common/base/buf.h"
#include "common/base/list.h"
#include "common/base/names.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct batch {
  struct rmq_node node; /* in batches.open, or in batches.spare */
  struct batch *next_in_bucket;
  uint32_t hash;
  uint32_t values;
  struct rmq_mono opened;
  /* Made when the batch is opened, so that sealing cannot fail; has the key. */
  struct rmq_message *message;
  struct rmq_buf body;
  size_t last_len; /* of the body before: room to begin with */
};

struct rmq_batches {
  struct rmq_batches_config config;
  rmq_batches_sink sink;
  void *ctx;
  size_t open_len, separator_len, close_len;
  size_t open_values;
  struct rmq_list open;  /* oldest first */
  struct rmq_list spare; /* sealed, to be used again */
  struct batch **buckets;
  size_t buckets_mask;
};

static struct batch *batch_of(struct rmq_node *n) {
  return n == NULL ? NULL : RMQ_ELEMENT(n, struct batch, node);
}

static size_t buckets_for(size_t open_max) {
  size_t n = 1;
  while (n < open_max && n <= SIZE_MAX / 4)
    n *= 2;
  return n * 2;
}

struct rmq_batches *rmq_batches_new(const struct rmq_batches_config *config,
                                    rmq_batches_sink sink, void *ctx) {
  size_t count = buckets_for(config->open_max);
  struct rmq_batches *b = malloc(sizeof(*b));
  struct batch **buckets = calloc(count, sizeof(*buckets));
  if (b == NULL || buckets == NULL) {
    free(b);
    free(buckets);
    return NULL;
  }
  *b = (struct rmq_batches){.config = *config,
                            .sink = sink,
                            .ctx = ctx,
                            .open_len = strlen(config->open),
                            .separator_len = strlen(config->separator),
                            .close_len = strlen(config->close),
                            .buckets = buckets,
                            .buckets_mask = count - 1};
  rmq_list_init(&b->open);
  rmq_list_init(&b->spare);
  return b;
}

static void batch_free(struct batch *t) {
  rmq_message_free(t->message);
  rmq_buf_fini(&t->body);
  free(t);
}

static void free_list(struct rmq_list *l) {
  struct rmq_node *next;
  for (struct rmq_node *n = rmq_list_first(l); n != NULL; n = next) {
    next = rmq_list_next(l, n);
    batch_free(batch_of(n));
  }
  rmq_list_init(l);
}

void rmq_batches_free(struct rmq_batches *b) {
  if (b == NULL)
    return;
  free_list(&b->open);
  free_list(&b->spare);
  free(b->buckets);
  free(b);
}

uint32_t rmq_batches_hash(const char *key) {
  uint64_t h = rmq_fnv1a(key, strlen(key));
  return (uint32_t)(h ^ h >> 32);
}

static struct batch *find(const struct rmq_batches *b, const char *key,
                          uint32_t hash) {
  struct batch *t = b->buckets[hash & b->buckets_mask];
  while (t != NULL && (t->hash != hash || strcmp(t->message->key, key) != 0))
    t = t->next_in_bucket;
  return t;
}

static void forget(struct rmq_batches *b, struct batch *t) {
  struct batch **at = &b->buckets[t->hash & b->buckets_mask];
  while (*at != t)
    at = &(*at)->next_in_bucket;
  *at = t->next_in_bucket;
  rmq_list_remove(&b->open, &t->node);
  rmq_list_push_back(&b->spare, &t->node);
}

/* make_room made room for close, and message is there: nothing can fail. */
static void seal(struct rmq_batches *b, struct batch *t) {
  struct rmq_message *m = t->message;
  assert(m != NULL);
  t->last_len = t->body.len + b->close_len;
  rmq_buf_append(&t->body, b->config.close, b->close_len);
  rmq_message_set_body(m, &t->body);
  m->values = t->values;
  b->open_values -= t->values;
  forget(b, t);
  t->message = NULL;
  b->sink(b->ctx, m);
}

static struct batch *take_spare(struct rmq_batches *b) {
  struct batch *t = batch_of(rmq_list_last(&b->spare));
  if (t == NULL)
    return calloc(1, sizeof(*t));
  rmq_list_remove(&b->spare, &t->node);
  return t;
}

/* Opens a batch with room for need bytes of body. NULL without memory. */
static struct batch *open_batch(struct rmq_batches *b, const char *key,
                                uint32_t hash, size_t need,
                                struct rmq_mono now) {
  if (b->open.count >= b->config.open_max)
    seal(b, batch_of(rmq_list_first(&b->open)));
  struct batch *t = take_spare(b);
  if (t == NULL)
    return NULL;
  size_t max = need > b->config.bytes_max ? need : b->config.bytes_max;
  size_t room = t->last_len > need ? t->last_len : need;
  rmq_buf_init(&t->body, max);
  t->message = rmq_message_new(key, "", 0);
  if (t->message == NULL ||
      rmq_buf_reserve(&t->body, room < max ? room : max) == NULL) {
    rmq_message_free(t->message);
    t->message = NULL;
    rmq_list_push_back(&b->spare, &t->node);
    return NULL;
  }
  rmq_buf_append(&t->body, b->config.open, b->open_len);
  t->hash = hash;
  t->values = 0;
  t->opened = now;
  t->next_in_bucket = b->buckets[hash & b->buckets_mask];
  b->buckets[hash & b->buckets_mask] = t;
  rmq_list_push_back(&b->open, &t->node);
  return t;
}

static bool has_room(const struct rmq_batches *b, const struct batch *t,
                     size_t len) {
  return t->body.len + b->separator_len + len + b->close_len <=
         b->config.bytes_max;
}

/* The batch of key with room for a value of len bytes and what stands around
 * it. NULL without memory. */
static struct batch *make_room(struct rmq_batches *b, const char *key,
                               uint32_t hash, size_t len, struct rmq_mono now) {
  struct batch *t = find(b, key, hash);
  if (t != NULL && !has_room(b, t, len)) {
    seal(b, t);
    t = NULL;
  }
  if (t == NULL)
    return open_batch(b, key, hash, b->open_len + len + b->close_len, now);
  size_t more = b->separator_len + len + b->close_len;
  return rmq_buf_reserve(&t->body, more) != NULL ? t : NULL;
}

int rmq_batches_append(struct rmq_batches *b, const char *key, uint32_t hash,
                       const void *bytes, size_t len, struct rmq_mono now) {
  struct batch *t = make_room(b, key, hash, len, now);
  if (t == NULL)
    return -1;
  if (t->values > 0)
    rmq_buf_append(&t->body, b->config.separator, b->separator_len);
  rmq_buf_append(&t->body, bytes, len);
  t->values++;
  b->open_values++;
  if (t->values >= b->config.values_max || !has_room(b, t, 1))
    seal(b, t);
  return 0;
}

static bool is_aged(const struct batch *t, struct rmq_dur age,
                    struct rmq_mono now) {
  return rmq_mono_reached(now, rmq_mono_add(t->opened, age));
}

void rmq_batches_seal_aged(struct rmq_batches *b, struct rmq_dur age,
                           struct rmq_mono now) {
  struct batch *t;
  while ((t = batch_of(rmq_list_first(&b->open))) != NULL &&
         is_aged(t, age, now))
    seal(b, t);
}

void rmq_batches_seal_key(struct rmq_batches *b, const char *key, uint32_t hash,
                          struct rmq_dur age, struct rmq_mono now) {
  struct batch *t = find(b, key, hash);
  if (t != NULL && is_aged(t, age, now))
    seal(b, t);
}

void rmq_batches_seal_all(struct rmq_batches *b) {
  struct batch *t;
  while ((t = batch_of(rmq_list_first(&b->open))) != NULL)
    seal(b, t);
}

struct rmq_mono rmq_batches_next_deadline(const struct rmq_batches *b) {
  const struct batch *t = batch_of(rmq_list_first(&b->open));
  return t == NULL ? RMQ_NEVER : rmq_mono_add(t->opened, b->config.age_max);
}

size_t rmq_batches_open_count(const struct rmq_batches *b) {
  return b->open.count;
}

size_t rmq_batches_open_values(const struct rmq_batches *b) {
  return b->open_values;
}
