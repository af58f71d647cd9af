/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/outstanding.h"

#include <stdlib.h>

enum { PATIENCE_FACTOR = 10 };

int rmq_outstanding_init(struct rmq_outstanding *t, size_t max) {
  size_t capacity = 4;
  while (capacity < 2 * max)
    capacity *= 2;
  struct rmq_outstanding_slot *slots = calloc(capacity, sizeof(*slots));
  if (slots == NULL)
    return -1;
  *t = (struct rmq_outstanding){.slots = slots, .mask = capacity - 1};
  return 0;
}

void rmq_outstanding_fini(struct rmq_outstanding *t) {
  free(t->slots);
  *t = (struct rmq_outstanding){0};
}

static size_t home_of(const struct rmq_outstanding *t, uint64_t serial) {
  return (size_t)((serial * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & t->mask;
}

/* Where serial is, or the free slot where it would be. */
static struct rmq_outstanding_slot *find(const struct rmq_outstanding *t,
                                         uint64_t serial) {
  size_t i = home_of(t, serial);
  while (t->slots[i].serial != 0 && t->slots[i].serial != serial)
    i = (i + 1) & t->mask;
  return &t->slots[i];
}

bool rmq_outstanding_begin(struct rmq_outstanding *t, uint64_t serial,
                           int64_t note, struct rmq_mono now) {
  if (t->count > t->mask / 2)
    return false;
  *find(t, serial) = (struct rmq_outstanding_slot){serial, 1, note, now};
  t->count++;
  return true;
}

void rmq_outstanding_out(struct rmq_outstanding *t, uint64_t serial) {
  find(t, serial)->left++;
  t->values++;
}

/* Closes the gap that a removed slot leaves in its run of neighbours. */
static void remove_slot(struct rmq_outstanding *t,
                        struct rmq_outstanding_slot *slot) {
  size_t gap = (size_t)(slot - t->slots);
  for (size_t i = (gap + 1) & t->mask; t->slots[i].serial != 0;
       i = (i + 1) & t->mask) {
    size_t home = home_of(t, t->slots[i].serial);
    if (((i - home) & t->mask) < ((i - gap) & t->mask))
      continue;
    t->slots[gap] = t->slots[i];
    gap = i;
  }
  t->slots[gap] = (struct rmq_outstanding_slot){.serial = 0};
  t->count--;
}

static bool one_less(struct rmq_outstanding *t,
                     struct rmq_outstanding_slot *slot) {
  if (--slot->left > 0)
    return false;
  remove_slot(t, slot);
  return true;
}

bool rmq_outstanding_end(struct rmq_outstanding *t, uint64_t serial) {
  struct rmq_outstanding_slot *slot = find(t, serial);
  return slot->serial != 0 && one_less(t, slot);
}

void rmq_outstanding_undo(struct rmq_outstanding *t, uint64_t serial) {
  find(t, serial)->left--;
  t->values--;
}

bool rmq_outstanding_back(struct rmq_outstanding *t, uint64_t serial,
                          struct rmq_mono now,
                          struct rmq_outstanding_done *ret_done) {
  t->last_back = now;
  struct rmq_outstanding_slot *slot = find(t, serial);
  if (slot->serial == 0) {
    t->strays++;
    return false;
  }
  struct rmq_outstanding_done done = {serial, slot->note};
  if (serial > t->newest)
    t->newest = serial;
  t->values--;
  if (!one_less(t, slot))
    return false;
  *ret_done = done;
  return true;
}

void rmq_outstanding_forget(struct rmq_outstanding *t, uint64_t serial) {
  struct rmq_outstanding_slot *slot = find(t, serial);
  if (slot->serial == 0)
    return;
  t->values -= slot->left;
  remove_slot(t, slot);
}

void rmq_outstanding_clear(struct rmq_outstanding *t) {
  for (size_t i = 0; i <= t->mask; i++)
    t->slots[i] = (struct rmq_outstanding_slot){.serial = 0};
  t->count = 0;
  t->values = 0;
}

uint64_t rmq_outstanding_overdue(const struct rmq_outstanding *t,
                                 struct rmq_dur timeout, struct rmq_mono now) {
  struct rmq_dur patience = {timeout.ns > INT64_MAX / PATIENCE_FACTOR
                                 ? INT64_MAX
                                 : timeout.ns * PATIENCE_FACTOR};
  for (size_t i = 0; i <= t->mask; i++) {
    const struct rmq_outstanding_slot *s = &t->slots[i];
    if (s->serial == 0 ||
        !rmq_mono_reached(now, rmq_mono_add(s->since, timeout)))
      continue;
    bool was_overtaken = t->newest > s->serial;
    struct rmq_mono heard =
        t->last_back.ns > s->since.ns ? t->last_back : s->since;
    if (was_overtaken || rmq_mono_reached(now, rmq_mono_add(heard, patience)))
      return s->serial;
  }
  return 0;
}

int64_t rmq_outstanding_note(const struct rmq_outstanding *t, uint64_t serial) {
  const struct rmq_outstanding_slot *slot = find(t, serial);
  return slot->serial == 0 ? 0 : slot->note;
}
