/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/ring.h"

#include <stdlib.h>

int rmq_ring_init(struct rmq_ring *r, size_t max) {
  void **items = calloc(max, sizeof(*items));
  if (items == NULL)
    return -1;
  *r = (struct rmq_ring){.items = items, .max = max};
  return 0;
}

void rmq_ring_fini(struct rmq_ring *r, void (*free_item)(void *item)) {
  for (void *item; (item = rmq_ring_pop(r)) != NULL;)
    free_item(item);
  free(r->items);
  *r = (struct rmq_ring){.items = NULL};
}

void *rmq_ring_push(struct rmq_ring *r, void *item) {
  void *oldest = NULL;
  if (r->count == r->max) {
    oldest = rmq_ring_pop(r);
    r->displaced++;
  }
  r->items[(r->first + r->count) % r->max] = item;
  r->count++;
  return oldest;
}

void *rmq_ring_pop(struct rmq_ring *r) {
  if (r->count == 0)
    return NULL;
  void *item = r->items[r->first];
  r->items[r->first] = NULL;
  r->first = (r->first + 1) % r->max;
  r->count--;
  return item;
}
