/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/spool/spool_ranges.h"

#include <stdlib.h>
#include <string.h>

void rmq_spool_ranges_fini(struct rmq_spool_ranges *r) {
  free(r->items);
  memset(r, 0, sizeof(*r));
}

static bool grow(struct rmq_spool_ranges *r) {
  size_t capacity = r->capacity == 0 ? 256 : r->capacity * 2;
  if (capacity > RMQ_SPOOL_RANGES_MAX)
    return false;
  struct rmq_spool_range *items =
      realloc(r->items, capacity * sizeof(r->items[0]));
  if (items == NULL)
    return false;
  r->items = items;
  r->capacity = capacity;
  return true;
}

bool rmq_spool_ranges_add(struct rmq_spool_ranges *r, uint64_t seq) {
  if (r->count > 0 && r->items[r->count - 1].last + 1 == seq) {
    r->items[r->count - 1].last = seq;
    r->seqs++;
    return true;
  }
  if (r->count == r->capacity && !grow(r))
    return false;
  r->items[r->count++] = (struct rmq_spool_range){seq, seq};
  r->seqs++;
  return true;
}

void rmq_spool_ranges_drop(struct rmq_spool_ranges *r, size_t count,
                           uint64_t of_next) {
  for (size_t i = 0; i < count; i++)
    r->seqs -= r->items[i].last - r->items[i].first + 1;
  r->seqs -= of_next;
  r->count -= count;
  if (count > 0 && r->count > 0)
    memmove(r->items, r->items + count, r->count * sizeof(r->items[0]));
  if (of_next > 0 && r->count > 0)
    r->items[0].first += of_next;
}
