/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/outstanding.h"

#include <assert.h>
#include <stdlib.h>

enum { PATIENCE_FACTOR = 10 };
/* More values than any message has. */
static const int64_t HANDING_OUT = INT64_C(1) << 60;

int rmq_outstanding_init(struct rmq_outstanding *t, size_t max) {
  assert(max > 0);
  unsigned slot_bits = 1;
  while (((size_t)1 << slot_bits) < max)
    if (++slot_bits > RMQ_OUTSTANDING_SLOT_BITS_MAX)
      return -1;
  struct rmq_outstanding_slot *slots = calloc(max, sizeof(*slots));
  if (slots == NULL)
    return -1;
  *t = (struct rmq_outstanding){.slots = slots,
                                .max = max,
                                .slot_bits = slot_bits,
                                .complete = max,
                                .tells_at = 1};
  for (size_t i = 0; i < max; i++)
    slots[i].next = i + 1;
  return 0;
}

void rmq_outstanding_fini(struct rmq_outstanding *t) {
  free(t->slots);
  *t = (struct rmq_outstanding){.slots = NULL};
}

size_t rmq_outstanding_slot_of(const struct rmq_outstanding *t,
                               uint64_t ticket) {
  return ticket & (((uint64_t)1 << t->slot_bits) - 1);
}

/* The slot of an open delivery, or NULL. */
static struct rmq_outstanding_slot *find(const struct rmq_outstanding *t,
                                         uint64_t ticket) {
  size_t i = rmq_outstanding_slot_of(t, ticket);
  if (ticket == 0 || i >= t->max || t->slots[i].ticket != ticket)
    return NULL;
  return &t->slots[i];
}

uint64_t rmq_outstanding_begin(struct rmq_outstanding *t, struct rmq_mono now) {
  size_t i = t->free;
  if (i == t->max)
    return 0;
  t->free = t->slots[i].next;
  t->count++;
  t->begun++;
  /* The number of the delivery may wrap: then it differs from those that are
   * still open, which is enough. It is never 0. */
  uint64_t number_mask =
      ((uint64_t)1 << (RMQ_OUTSTANDING_TICKET_BITS - t->slot_bits)) - 1;
  uint64_t number = t->begun % number_mask + 1;
  t->slots[i] =
      (struct rmq_outstanding_slot){.ticket = number << t->slot_bits | i,
                                    .left = HANDING_OUT,
                                    .since = now,
                                    .overtaken = RMQ_NEVER};
  return t->slots[i].ticket;
}

static void release(struct rmq_outstanding *t,
                    struct rmq_outstanding_slot *slot) {
  slot->ticket = 0;
  slot->next = t->free;
  t->free = (size_t)(slot - t->slots);
  t->count--;
}

bool rmq_outstanding_end(struct rmq_outstanding *t, uint64_t ticket,
                         size_t values) {
  struct rmq_outstanding_slot *slot = find(t, ticket);
  assert(slot != NULL && slot->left > HANDING_OUT / 2);
  slot->left += (int64_t)values - HANDING_OUT;
  t->values += (int64_t)values;
  if (slot->left > 0)
    return false;
  release(t, slot);
  return true;
}

/* Of which delivery it is, is not known any more. */
static bool hear_stray(struct rmq_outstanding *t) {
  if (t->detached > 0)
    return --t->detached == 0;
  if (t->unheard == 0)
    return false;
  t->values--;
  return --t->unheard == 0;
}

static void hear_of(struct rmq_outstanding *t, struct rmq_mono since) {
  if (since.ns <= t->newest.ns)
    return;
  t->newest = since;
  t->detached = 0; /* of earlier ones: the host keeps the order */
  if (t->unheard == 0 || since.ns <= t->unheard_since.ns)
    return;
  t->values -= t->unheard;
  t->unheard = 0;
}

static bool take_back(struct rmq_outstanding *t,
                      struct rmq_outstanding_slot *slot) {
  t->values--;
  if (--slot->left > 0)
    return false;
  slot->next = t->complete;
  t->complete = (size_t)(slot - t->slots);
  return ++t->complete_count >= t->tells_at;
}

/* The slot of a delivery of which values are out, or NULL. */
static struct rmq_outstanding_slot *find_out(struct rmq_outstanding *t,
                                             uint64_t ticket) {
  struct rmq_outstanding_slot *slot = find(t, ticket);
  if (slot != NULL && slot->left != 0)
    return slot;
  t->strays++;
  return NULL;
}

bool rmq_outstanding_back(struct rmq_outstanding *t, uint64_t ticket) {
  t->has_heard = t->has_ever_heard = true;
  struct rmq_outstanding_slot *slot = find_out(t, ticket);
  if (slot == NULL)
    return hear_stray(t);
  hear_of(t, slot->since);
  return take_back(t, slot);
}

void rmq_outstanding_set_aside(struct rmq_outstanding *t, uint64_t ticket,
                               size_t values) {
  struct rmq_outstanding_slot *slot = find(t, ticket);
  if (slot != NULL)
    slot->aside += (int64_t)values;
}

bool rmq_outstanding_aside_back(struct rmq_outstanding *t, uint64_t ticket) {
  struct rmq_outstanding_slot *slot = find_out(t, ticket);
  if (slot == NULL)
    return t->detached_aside > 0 && --t->detached_aside == 0;
  slot->aside--;
  return take_back(t, slot);
}

void rmq_outstanding_tell_at(struct rmq_outstanding *t, size_t count) {
  t->tells_at = count;
}

uint64_t rmq_outstanding_take(struct rmq_outstanding *t) {
  if (t->complete == t->max)
    return 0;
  struct rmq_outstanding_slot *slot = &t->slots[t->complete];
  uint64_t ticket = slot->ticket;
  t->complete = slot->next;
  t->complete_count--;
  release(t, slot);
  return ticket;
}

int64_t rmq_outstanding_forget(struct rmq_outstanding *t, uint64_t ticket) {
  struct rmq_outstanding_slot *slot = find(t, ticket);
  if (slot == NULL || slot->left == 0)
    return 0;
  int64_t out = slot->left < HANDING_OUT / 2 ? slot->left : 0;
  t->values -= out;
  release(t, slot);
  return out;
}

void rmq_outstanding_detach(struct rmq_outstanding *t, uint64_t ticket) {
  const struct rmq_outstanding_slot *slot = find(t, ticket);
  int64_t aside = slot == NULL ? 0 : slot->aside;
  t->detached += rmq_outstanding_forget(t, ticket) - aside;
  t->detached_aside += aside;
}

bool rmq_outstanding_waits(const struct rmq_outstanding *t) {
  return t->count > 0 || t->unheard > 0 || t->detached_aside > 0 ||
         (t->detached > 0 && t->has_ever_heard);
}

int64_t rmq_outstanding_give_up(struct rmq_outstanding *t, uint64_t ticket) {
  const struct rmq_outstanding_slot *slot = find(t, ticket);
  if (slot == NULL)
    return 0;
  struct rmq_mono since = slot->since;
  int64_t out = rmq_outstanding_forget(t, ticket);
  if (t->newest.ns == 0 || t->newest.ns > since.ns)
    return out;
  t->values += out;
  t->unheard += out;
  if (since.ns > t->unheard_since.ns)
    t->unheard_since = since;
  return out;
}

static bool is_overdue(const struct rmq_outstanding *t,
                       const struct rmq_outstanding_slot *s,
                       struct rmq_dur timeout, struct rmq_mono now) {
  struct rmq_dur patience = {timeout.ns > INT64_MAX / PATIENCE_FACTOR
                                 ? INT64_MAX
                                 : timeout.ns * PATIENCE_FACTOR};
  struct rmq_mono heard =
      t->last_back.ns > s->since.ns ? t->last_back : s->since;
  return rmq_mono_reached(now, rmq_mono_add(s->since, timeout)) &&
         (rmq_mono_reached(now, rmq_mono_add(s->overtaken, timeout)) ||
          rmq_mono_reached(now, rmq_mono_add(heard, patience)));
}

static bool is_out(const struct rmq_outstanding_slot *s) {
  return s->ticket != 0 && s->left != 0;
}

uint64_t rmq_outstanding_overdue(struct rmq_outstanding *t,
                                 struct rmq_dur timeout, struct rmq_mono now) {
  if (t->has_heard)
    t->last_back = now;
  t->has_heard = false;
  for (size_t i = 0; i < t->max; i++) {
    struct rmq_outstanding_slot *s = &t->slots[i];
    if (is_out(s) && t->newest.ns > s->since.ns &&
        rmq_mono_is_never(s->overtaken))
      s->overtaken = now;
  }
  t->looked_at = 0;
  return rmq_outstanding_next_overdue(t, timeout, now);
}

uint64_t rmq_outstanding_next_overdue(struct rmq_outstanding *t,
                                      struct rmq_dur timeout,
                                      struct rmq_mono now) {
  while (t->looked_at < t->max) {
    const struct rmq_outstanding_slot *s = &t->slots[t->looked_at++];
    if (is_out(s) && s->aside <= 0 && is_overdue(t, s, timeout, now))
      return s->ticket;
  }
  return 0;
}
