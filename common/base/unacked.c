/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/unacked.h"

#include <assert.h>
#include <stdlib.h>

static struct rmq_unacked_entry *in_order(struct rmq_node *n) {
  return RMQ_ELEMENT(n, struct rmq_unacked_entry, order);
}

static struct rmq_unacked_entry *in_done(struct rmq_node *n) {
  return RMQ_ELEMENT(n, struct rmq_unacked_entry, done);
}

int rmq_unacked_init(struct rmq_unacked *u, size_t max) {
  assert(max > 0);
  unsigned slot_bits = 0;
  while (((size_t)1 << slot_bits) < max) {
    if (++slot_bits > RMQ_UNACKED_SLOT_BITS_MAX)
      return -1;
  }
  struct rmq_unacked_entry *entries = calloc(max, sizeof(*entries));
  if (entries == NULL)
    return -1;
  *u = (struct rmq_unacked){
      .entries = entries,
      .max = max,
      .slot_bits = slot_bits,
  };
  rmq_list_init(&u->order);
  rmq_list_init(&u->done);
  rmq_list_init(&u->free);
  for (size_t i = 0; i < max; i++)
    rmq_list_push_back(&u->free, &entries[i].order);
  return 0;
}

void rmq_unacked_fini(struct rmq_unacked *u) {
  free(u->entries);
  *u = (struct rmq_unacked){0};
  rmq_list_init(&u->order);
  rmq_list_init(&u->done);
  rmq_list_init(&u->free);
}

uint64_t rmq_unacked_add(struct rmq_unacked *u, uint64_t tag) {
  if (tag <= u->last_tag || rmq_list_is_empty(&u->free))
    return 0;
  struct rmq_unacked_entry *e = in_order(rmq_list_pop_front(&u->free));
  uint64_t slot = (uint64_t)(e - u->entries);
  u->last_tag = tag;
  u->deliveries++;
  e->serial = (u->deliveries << u->slot_bits) | slot;
  e->tag = tag;
  e->is_done = false;
  e->mark = -1;
  rmq_list_push_back(&u->order, &e->order);
  return e->serial;
}

size_t rmq_unacked_place_of(const struct rmq_unacked *u, uint64_t serial) {
  return serial & (((uint64_t)1 << u->slot_bits) - 1);
}

/* The open delivery with this serial, or NULL and a stray. */
static struct rmq_unacked_entry *find_open(struct rmq_unacked *u,
                                           uint64_t serial) {
  size_t slot = rmq_unacked_place_of(u, serial);
  struct rmq_unacked_entry *e = NULL;
  if (serial != 0 && slot < u->max)
    e = &u->entries[slot];
  if (e == NULL || e->serial != serial || e->is_done) {
    u->strays++;
    return NULL;
  }
  return e;
}

static void forget(struct rmq_unacked *u, struct rmq_unacked_entry *e) {
  rmq_list_remove(&u->order, &e->order);
  if (e->is_done)
    rmq_list_remove(&u->done, &e->done);
  e->serial = 0;
  e->is_done = false;
  rmq_list_push_back(&u->free, &e->order);
}

bool rmq_unacked_finish(struct rmq_unacked *u, uint64_t serial,
                        struct rmq_mono now) {
  struct rmq_unacked_entry *e = find_open(u, serial);
  if (e == NULL)
    return false;
  e->is_done = true;
  e->finished = now;
  rmq_list_push_back(&u->done, &e->done);
  return true;
}

bool rmq_unacked_take(struct rmq_unacked *u, uint64_t serial,
                      uint64_t *ret_tag) {
  struct rmq_unacked_entry *e = find_open(u, serial);
  if (e == NULL)
    return false;
  *ret_tag = e->tag;
  forget(u, e);
  return true;
}

/* Removes the finished deliveries in front of the oldest open one; the tag of
 * the last of them, 0 when there is none. */
static uint64_t collect_prefix(struct rmq_unacked *u) {
  uint64_t tag = 0;
  struct rmq_node *n;
  while ((n = rmq_list_first(&u->order)) != NULL && in_order(n)->is_done) {
    tag = in_order(n)->tag;
    forget(u, in_order(n));
  }
  return tag;
}

bool rmq_unacked_collect(struct rmq_unacked *u, uint64_t *ret_tag,
                         bool *ret_multiple) {
  if (rmq_list_is_empty(&u->done))
    return false;
  uint64_t tag = collect_prefix(u);
  *ret_multiple = tag != 0;
  if (tag == 0) {
    struct rmq_unacked_entry *e = in_done(rmq_list_first(&u->done));
    tag = e->tag;
    forget(u, e);
  }
  *ret_tag = tag;
  return true;
}

struct rmq_mono rmq_unacked_deadline(const struct rmq_unacked *u, size_t batch,
                                     struct rmq_dur interval,
                                     struct rmq_mono lull,
                                     struct rmq_mono now) {
  struct rmq_node *oldest = rmq_list_first(&u->done);
  if (oldest == NULL)
    return RMQ_NEVER;
  if (u->done.count >= batch)
    return now;
  struct rmq_mono due = rmq_mono_add(in_done(oldest)->finished, interval);
  return u->done.count == u->order.count ? rmq_mono_min(due, lull) : due;
}

void rmq_unacked_mark(struct rmq_unacked *u, uint64_t serial, int64_t mark) {
  size_t slot = rmq_unacked_place_of(u, serial);
  if (serial != 0 && slot < u->max && u->entries[slot].serial == serial)
    u->entries[slot].mark = mark;
}

int64_t rmq_unacked_mark_of(const struct rmq_unacked *u, uint64_t serial) {
  size_t slot = rmq_unacked_place_of(u, serial);
  bool is_open =
      serial != 0 && slot < u->max && u->entries[slot].serial == serial;
  return is_open ? u->entries[slot].mark : -1;
}

bool rmq_unacked_oldest_mark(const struct rmq_unacked *u, int64_t *ret_mark) {
  struct rmq_node *oldest = rmq_list_first(&u->order);
  if (oldest == NULL)
    return false;
  *ret_mark = in_order(oldest)->mark;
  return true;
}

void rmq_unacked_lose(struct rmq_unacked *u) {
  struct rmq_node *n;
  while ((n = rmq_list_first(&u->order)) != NULL)
    forget(u, in_order(n));
  u->last_tag = 0;
}

size_t rmq_unacked_count(const struct rmq_unacked *u) { return u->order.count; }

size_t rmq_unacked_open(const struct rmq_unacked *u) {
  return u->order.count - u->done.count;
}
