/* SPDX-License-Identifier: MIT */
/*
 * Bounded first-in first-out of owned pointers, for what one thread hands to
 * another (events that the read callback dispatches). When it is full the
 * oldest gives way: of states and notifications the last word counts. No lock
 * in here: both threads hold the same one around every call.
 */
#ifndef RMQ_BASE_RING_H
#define RMQ_BASE_RING_H

#include <stddef.h>
#include <stdint.h>

struct rmq_ring {
  void **items;
  size_t max;
  size_t first; /* index of the oldest */
  size_t count;
  uint64_t displaced; /* items that gave way */
};

/* max > 0. -1 without memory. */
int rmq_ring_init(struct rmq_ring *r, size_t max);
/* Frees what is still in it. */
void rmq_ring_fini(struct rmq_ring *r, void (*free_item)(void *item));
/* Takes item. NULL, or the oldest item when it had to give way: the caller
 * owns that (after unlocking, free it). */
void *rmq_ring_push(struct rmq_ring *r, void *item);
/* The oldest, owned by the caller; NULL when empty. */
void *rmq_ring_pop(struct rmq_ring *r);

#endif
