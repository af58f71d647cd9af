/* SPDX-License-Identifier: MIT */
/*
 * Rows that have ended and are still to be deleted, as ranges of their numbers,
 * in the order in which they ended. Not locked.
 */
#ifndef RMQ_SPOOL_RANGES_H
#define RMQ_SPOOL_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Both included. */
struct rmq_spool_range {
  uint64_t first, last;
};
struct rmq_spool_ranges {
  struct rmq_spool_range *items;
  size_t count, capacity;
  uint64_t seqs; /* in all of them */
};

enum { RMQ_SPOOL_RANGES_MAX = 1 << 20 };

/* All zero = empty. */
void rmq_spool_ranges_fini(struct rmq_spool_ranges *r);
/* False without memory or beyond the bound. */
bool rmq_spool_ranges_add(struct rmq_spool_ranges *r, uint64_t seq);
/* Drops the first count ranges, and so many seqs of the next. */
void rmq_spool_ranges_drop(struct rmq_spool_ranges *r, size_t count,
                           uint64_t of_next);

#endif
