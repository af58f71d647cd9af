/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/tags.h"

#include <assert.h>
#include <stdlib.h>

enum { CAPACITY_MIN = 64 };

void rmq_tags_fini(struct rmq_tags *t) {
  free(t->slots);
  *t = (struct rmq_tags){.slots = NULL};
}

/* Fibonacci hashing: consecutive numbers are spread. */
static size_t home(const struct rmq_tags *t, uint64_t seq) {
  return (size_t)((seq * UINT64_C(0x9E3779B97F4A7C15)) >> 32) &
         (t->capacity - 1);
}

static size_t after(const struct rmq_tags *t, size_t at) {
  return (at + 1) & (t->capacity - 1);
}

static void put(struct rmq_tags *t, struct rmq_tag tag) {
  size_t at = home(t, tag.seq);
  while (t->slots[at].seq != 0)
    at = after(t, at);
  t->slots[at] = tag;
}

bool rmq_tags_reserve(struct rmq_tags *t, size_t count) {
  if (count > RMQ_TAGS_MAX)
    return false;
  if (count <= t->capacity / 2)
    return true;
  size_t capacity = t->capacity == 0 ? CAPACITY_MIN : t->capacity;
  while (capacity / 2 < count)
    capacity *= 2;
  struct rmq_tags larger = {.slots = calloc(capacity, sizeof(*larger.slots)),
                            .capacity = capacity,
                            .count = t->count};
  if (larger.slots == NULL)
    return false;
  for (size_t i = 0; i < t->capacity; i++)
    if (t->slots[i].seq != 0)
      put(&larger, t->slots[i]);
  free(t->slots);
  *t = larger;
  return true;
}

void rmq_tags_add(struct rmq_tags *t, uint64_t seq, uint64_t tag) {
  assert(seq > 0 && t->count < t->capacity / 2);
  put(t, (struct rmq_tag){seq, tag});
  t->count++;
}

/* Moves what would not be found any more into the hole. */
static void remove_at(struct rmq_tags *t, size_t hole) {
  t->count--;
  for (size_t at = after(t, hole); t->slots[at].seq != 0; at = after(t, at)) {
    size_t wanted = home(t, t->slots[at].seq);
    size_t mask = t->capacity - 1;
    if (((at - wanted) & mask) >= ((at - hole) & mask)) {
      t->slots[hole] = t->slots[at];
      hole = at;
    }
  }
  t->slots[hole].seq = 0;
}

uint64_t rmq_tags_take(struct rmq_tags *t, uint64_t seq) {
  if (t->count == 0 || seq == 0)
    return 0;
  for (size_t at = home(t, seq); t->slots[at].seq != 0; at = after(t, at))
    if (t->slots[at].seq == seq) {
      uint64_t tag = t->slots[at].tag;
      remove_at(t, at);
      return tag;
    }
  return 0;
}

size_t rmq_tags_take_range(struct rmq_tags *t, uint64_t first, uint64_t last,
                           size_t *cursor, struct rmq_tag *ret_tags,
                           size_t max) {
  size_t found = 0, at = *cursor;
  if (first == last) {
    uint64_t tag = max > 0 ? rmq_tags_take(t, first) : 0;
    if (tag != 0)
      ret_tags[found++] = (struct rmq_tag){first, tag};
    return found;
  }
  while (at < t->capacity && t->count > 0 && found < max) {
    struct rmq_tag tag = t->slots[at];
    if (tag.seq == 0 || tag.seq < first || tag.seq > last) {
      at++;
      continue;
    }
    ret_tags[found++] = tag;
    remove_at(t, at); /* another one may have come here */
  }
  *cursor = at;
  return found;
}
