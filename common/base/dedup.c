/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/dedup.h"

#include "common/base/names.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Eight bytes a step: every message of a fast queue goes through here. */
uint64_t rmq_fingerprint(const void *bytes, size_t len) {
  const unsigned char *p = bytes;
  uint64_t h = UINT64_C(0x9E3779B97F4A7C15) ^ len;
  for (; len >= sizeof(uint64_t); p += sizeof(uint64_t)) {
    uint64_t word;
    memcpy(&word, p, sizeof(word));
    h = (h ^ word) * UINT64_C(0xFF51AFD7ED558CCD);
    h ^= h >> 32;
    len -= sizeof(word);
  }
  return rmq_fnv1a_more(h, p, len);
}

const char *rmq_dedup_seen_to_str(enum rmq_dedup_seen s) {
  switch (s) {
  case RMQ_DEDUP_NEW:
    return "new";
  case RMQ_DEDUP_OPEN:
    return "open";
  case RMQ_DEDUP_DONE:
    return "done";
  }
  return "unknown";
}

static struct rmq_dedup_entry *in_order(struct rmq_node *n) {
  return RMQ_ELEMENT(n, struct rmq_dedup_entry, order);
}

int rmq_dedup_init(struct rmq_dedup *d, size_t window) {
  assert(window > 0);
  size_t count = 16;
  while (count < window)
    count *= 2;
  struct rmq_dedup_entry **buckets =
      calloc(count, sizeof(struct rmq_dedup_entry *));
  if (buckets == NULL)
    return -1;
  *d = (struct rmq_dedup){
      .buckets = buckets, .mask = count - 1, .window = window};
  rmq_list_init(&d->done);
  return 0;
}

void rmq_dedup_fini(struct rmq_dedup *d) {
  for (size_t i = 0; d->buckets != NULL && i <= d->mask; i++) {
    struct rmq_dedup_entry *next = NULL;
    for (struct rmq_dedup_entry *e = d->buckets[i]; e != NULL; e = next) {
      next = e->next;
      free(e);
    }
  }
  free(d->buckets);
  *d = (struct rmq_dedup){.buckets = NULL};
}

static void remove_entry(struct rmq_dedup *d, struct rmq_dedup_entry *e) {
  struct rmq_dedup_entry **at = &d->buckets[e->hash & d->mask];
  while (*at != e)
    at = &(*at)->next;
  *at = e->next;
  free(e);
}

static struct rmq_dedup_entry *find(const struct rmq_dedup *d, const char *id,
                                    uint64_t hash, uint64_t fingerprint) {
  struct rmq_dedup_entry *e = d->buckets[hash & d->mask];
  while (e != NULL && (e->hash != hash || e->fingerprint != fingerprint ||
                       strcmp(e->id, id) != 0))
    e = e->next;
  return e;
}

static struct rmq_dedup_entry *add(struct rmq_dedup *d, const char *id,
                                   uint64_t hash, uint64_t fingerprint) {
  size_t size = strlen(id) + 1;
  struct rmq_dedup_entry *e = malloc(sizeof(*e) + size);
  if (e == NULL)
    return NULL;
  *e = (struct rmq_dedup_entry){.next = d->buckets[hash & d->mask],
                                .hash = hash,
                                .fingerprint = fingerprint};
  rmq_list_init(&e->copies);
  memcpy(e->id, id, size);
  d->buckets[hash & d->mask] = e;
  d->open++;
  return e;
}

enum rmq_dedup_seen rmq_dedup_look(struct rmq_dedup *d, const char *id,
                                   uint64_t fingerprint,
                                   struct rmq_dedup_entry **ret_entry) {
  uint64_t hash = rmq_fnv1a(id, strlen(id));
  struct rmq_dedup_entry *e = find(d, id, hash, fingerprint);
  if (e != NULL) {
    *ret_entry = e;
    return e->is_done ? RMQ_DEDUP_DONE : RMQ_DEDUP_OPEN;
  }
  *ret_entry = add(d, id, hash, fingerprint);
  return RMQ_DEDUP_NEW;
}

void rmq_dedup_done(struct rmq_dedup *d, struct rmq_dedup_entry *e) {
  assert(!e->is_done && rmq_list_is_empty(&e->copies));
  if (d->done.count == d->window)
    remove_entry(d, in_order(rmq_list_pop_front(&d->done)));
  e->is_done = true;
  d->open--;
  rmq_list_push_back(&d->done, &e->order);
}

void rmq_dedup_forget(struct rmq_dedup *d, struct rmq_dedup_entry *e) {
  assert(!e->is_done && rmq_list_is_empty(&e->copies));
  d->open--;
  remove_entry(d, e);
}
