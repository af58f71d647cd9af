/* SPDX-License-Identifier: MIT */
/*
 * Tags of messages that lie in the store alone: their seq finds the tag again
 * when the row comes back or ends. In memory a message carries its tag itself.
 * Not locked.
 */
#ifndef RMQ_BASE_TAGS_H
#define RMQ_BASE_TAGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Most of them; each costs at most 64 bytes. */
enum { RMQ_TAGS_MAX = 1 << 20 };

struct rmq_tag {
  uint64_t seq; /* 0 = free */
  uint64_t tag;
};
/* All zero = empty. */
struct rmq_tags {
  struct rmq_tag *slots; /* open addressing */
  size_t capacity;       /* 0, or a power of two >= twice what is reserved */
  size_t count;
};

void rmq_tags_fini(struct rmq_tags *t);
/* Makes sure that count can be in it. False without memory or over
 * RMQ_TAGS_MAX. */
bool rmq_tags_reserve(struct rmq_tags *t, size_t count);
/* Room was reserved; seq is over 0 and not in it. */
void rmq_tags_add(struct rmq_tags *t, uint64_t seq, uint64_t tag);
/* 0 when there is none. */
uint64_t rmq_tags_take(struct rmq_tags *t, uint64_t seq);
/* At most max of those with first <= seq <= last; returns how many. *cursor is
 * 0 at first and then says where to go on; when nothing more is found, a second
 * look from 0 finds what others have moved meanwhile. */
size_t rmq_tags_take_range(struct rmq_tags *t, uint64_t first, uint64_t last,
                           size_t *cursor, struct rmq_tag *ret_tags,
                           size_t max);

#endif
