/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/consume_flow.h"

#include <stdlib.h>
#include <string.h>

/* Messages that fail again and again are those at the head of the queue, so
 * hardly more than a prefetch of them are on the way at a time. */
enum { COUNTED_MIN = 4096, COUNTED_PREFETCHES = 4 };

const char *rmq_flow_turn_to_str(enum rmq_flow_turn t) {
  switch (t) {
  case RMQ_FLOW_TAKE:
    return "take";
  case RMQ_FLOW_HELD:
    return "held";
  case RMQ_FLOW_DUPLICATE:
    return "duplicate";
  }
  return "unknown";
}

static struct rmq_flow_wait *waiting(struct rmq_node *n) {
  return RMQ_ELEMENT(n, struct rmq_flow_wait, node);
}

/* The item of an open ticket, or NULL. */
static struct rmq_flow_item *find(const struct rmq_flow *f, uint64_t ticket) {
  struct rmq_flow_item *item =
      &f->items[rmq_outstanding_slot_of(f->tickets, ticket)];
  return ticket != 0 && item->ticket == ticket ? item : NULL;
}

/* ------------------------------------------------------------------------
 * Lifecycle */

int rmq_flow_init(struct rmq_flow *f, const struct rmq_flow_config *config,
                  const struct rmq_flow_settler *settler,
                  const struct rmq_outstanding *tickets) {
  size_t counted = (size_t)config->prefetch * COUNTED_PREFETCHES;
  *f = (struct rmq_flow){
      .config = *config,
      .settler = *settler,
      .tickets = tickets,
      .items = calloc((size_t)1 << tickets->slot_bits, sizeof(*f->items)),
      .waits = calloc(config->prefetch, sizeof(*f->waits))};
  for (int i = 0; i < RMQ_FLOW_LISTS; i++)
    rmq_list_init(&f->held[i]);
  if (f->items != NULL && f->waits != NULL &&
      rmq_dedup_init(&f->dedup, config->window) == 0 &&
      rmq_redeliveries_init(&f->redeliveries,
                            counted < COUNTED_MIN ? COUNTED_MIN : counted) == 0)
    return 0;
  rmq_flow_fini(f);
  return -1;
}

void rmq_flow_fini(struct rmq_flow *f) {
  rmq_dedup_fini(&f->dedup);
  rmq_redeliveries_fini(&f->redeliveries);
  free(f->items);
  free(f->waits);
  *f = (struct rmq_flow){.items = NULL};
}

/* ------------------------------------------------------------------------
 * Waiting */

static struct rmq_flow_wait *wait_of(struct rmq_flow *f, uint64_t serial) {
  struct rmq_flow_wait *w =
      &f->waits[f->settler.place_of(f->settler.ctx, serial)];
  w->serial = serial;
  return w;
}

static bool settle(struct rmq_flow *f, uint64_t serial, enum rmq_settle how,
                   struct rmq_mono now) {
  return serial != 0 && f->settler.settle(f->settler.ctx, serial, how, now);
}

/* Given back after delay, which is the same for all of a level. */
static void hold(struct rmq_flow *f, uint64_t serial, unsigned level,
                 struct rmq_dur delay, struct rmq_mono now) {
  struct rmq_flow_wait *w = wait_of(f, serial);
  w->due = rmq_mono_add(now, delay);
  rmq_list_push_back(&f->held[level], &w->node);
}

/* Of half of the prefetch; a prefetch of one waits. */
static bool is_crowded(const struct rmq_flow *f) {
  size_t held = 0, room = f->config.prefetch / 2u;
  for (int i = 0; i < RMQ_FLOW_LEVELS; i++)
    held += f->held[i].count;
  return held >= (room > 0 ? room : 1);
}

/* How a message ends that was not done. */
struct ending {
  enum rmq_settle how;
  uint32_t failures; /* before this one */
  bool is_bad;
};

/* retry_delay x 2^failures. */
static void hold_failed(struct rmq_flow *f, uint64_t serial,
                        const struct ending *e, struct rmq_mono now) {
  unsigned level =
      e->failures < RMQ_FLOW_LEVELS ? e->failures : RMQ_FLOW_LEVELS - 1;
  struct rmq_dur longest = rmq_s(RMQ_FLOW_DELAY_MAX_S);
  struct rmq_dur shortest = rmq_ms(RMQ_FLOW_CROWDED_MS);
  struct rmq_dur delay = {f->config.retry_delay.ns << level};
  if (delay.ns > longest.ns)
    delay = longest;
  if (e->is_bad && delay.ns > shortest.ns && is_crowded(f))
    hold(f, serial, RMQ_FLOW_CROWDED, shortest, now);
  else
    hold(f, serial, level, delay, now);
}

/* How many were settled. */
static size_t end_delivery(struct rmq_flow *f, uint64_t serial,
                           const struct ending *e, struct rmq_mono now) {
  if (serial == 0)
    return 0;
  if (e->how == RMQ_SETTLE_REQUEUE && f->config.retry_delay.ns > 0) {
    hold_failed(f, serial, e, now);
    return 1;
  }
  return settle(f, serial, e->how, now) ? 1 : 0;
}

static size_t end_copies(struct rmq_flow *f, struct rmq_dedup_entry *entry,
                         const struct ending *e, struct rmq_mono now) {
  size_t settled = 0;
  struct rmq_node *n;
  while ((n = rmq_list_pop_front(&entry->copies)) != NULL)
    settled += end_delivery(f, waiting(n)->serial, e, now);
  return settled;
}

static void give_back(struct rmq_flow *f, int level, struct rmq_node *n,
                      struct rmq_mono now) {
  rmq_list_remove(&f->held[level], n);
  settle(f, waiting(n)->serial,
         level == RMQ_FLOW_POSTPONED ? RMQ_SETTLE_HAND_BACK
                                     : RMQ_SETTLE_REQUEUE,
         now);
}

struct rmq_mono rmq_flow_step(struct rmq_flow *f, struct rmq_mono now) {
  struct rmq_mono due = RMQ_NEVER;
  for (int i = 0; i < RMQ_FLOW_LISTS; i++) {
    struct rmq_node *n;
    while ((n = rmq_list_first(&f->held[i])) != NULL) {
      if (!rmq_mono_reached(now, waiting(n)->due)) {
        due = rmq_mono_min(due, waiting(n)->due);
        break;
      }
      give_back(f, i, n, now);
    }
  }
  return due;
}

void rmq_flow_let_go(struct rmq_flow *f, struct rmq_mono now) {
  for (int i = 0; i < RMQ_FLOW_LISTS; i++) {
    struct rmq_node *n;
    while ((n = rmq_list_first(&f->held[i])) != NULL)
      give_back(f, i, n, now);
  }
}

/* Whoever waits is a delivery of the channel that is gone: all waits are
 * unlinked at once. */
void rmq_flow_lost(struct rmq_flow *f) {
  memset(f->waits, 0, f->config.prefetch * sizeof(*f->waits));
  for (int i = 0; i < RMQ_FLOW_LISTS; i++)
    rmq_list_init(&f->held[i]);
  size_t count = (size_t)1 << f->tickets->slot_bits;
  for (size_t i = 0; i < count; i++) {
    struct rmq_flow_item *item = &f->items[i];
    if (item->ticket == 0)
      continue;
    item->serial = 0;
    if (item->entry == NULL) /* nothing will ask for its end */
      item->ticket = 0;
    else
      rmq_list_init(&item->entry->copies);
  }
}

/* ------------------------------------------------------------------------
 * From arrival to the end */

/* By id where there is one: a message keeps that when its copy differs in
 * nothing else. */
static uint64_t key_of(const struct rmq_delivery *d, uint64_t fingerprint) {
  const char *text = d->message_id[0] != '\0' ? d->message_id : d->routing_key;
  return fingerprint ^ rmq_fingerprint(text, strlen(text));
}

/* The header may be the publisher's, or of a queue where the message was before
 * (a shovel, a dead letter), and stays what it is (classic queues pass it on):
 * it raises what is counted here, and does not replace it. What comes for the
 * first time no queue can have counted. */
static uint32_t failures_of(const struct rmq_flow *f,
                            const struct rmq_delivery *d, uint64_t key) {
  int64_t here = rmq_redeliveries_count(&f->redeliveries, key);
  int64_t told = d->is_redelivered ? d->delivery_count : 0;
  int64_t failures = told > here ? told : here;
  return failures > UINT32_MAX ? UINT32_MAX : (uint32_t)failures;
}

static void take(struct rmq_flow *f, uint64_t ticket, uint64_t serial,
                 const struct rmq_delivery *d, uint64_t key,
                 struct rmq_dedup_entry *entry) {
  bool is_known = d->has_timestamp && d->timestamp_ms > 0;
  struct rmq_flow_item *item =
      &f->items[rmq_outstanding_slot_of(f->tickets, ticket)];
  *item =
      (struct rmq_flow_item){.ticket = ticket,
                             .serial = serial,
                             .entry = entry,
                             .key = key,
                             .failures = failures_of(f, d, key),
                             .published_ms = is_known ? d->timestamp_ms : 0};
}

enum rmq_flow_turn rmq_flow_arrive(struct rmq_flow *f, uint64_t ticket,
                                   uint64_t serial,
                                   const struct rmq_delivery *d,
                                   struct rmq_mono now) {
  struct rmq_dedup_entry *entry = NULL;
  uint64_t fingerprint =
      rmq_fingerprint(d->body.bytes, d->body.len) ^ d->body_size;
  if (f->config.deduplicates && d->message_id[0] != '\0') {
    switch (rmq_dedup_look(&f->dedup, d->message_id, fingerprint, &entry)) {
    case RMQ_DEDUP_DONE:
      if (settle(f, serial, RMQ_SETTLE_ACK, now))
        f->counters.deduplicated++;
      return RMQ_FLOW_DUPLICATE;
    case RMQ_DEDUP_OPEN:
      rmq_list_push_back(&entry->copies, &wait_of(f, serial)->node);
      return RMQ_FLOW_HELD;
    case RMQ_DEDUP_NEW:
      break;
    }
  }
  take(f, ticket, serial, d, key_of(d, fingerprint), entry);
  return RMQ_FLOW_TAKE;
}

void rmq_flow_postpone(struct rmq_flow *f, uint64_t serial,
                       struct rmq_mono now) {
  f->counters.postponed++;
  hold(f, serial, RMQ_FLOW_POSTPONED, rmq_s(RMQ_FLOW_POSTPONED_S), now);
}

void rmq_flow_leave(struct rmq_flow *f, uint64_t ticket) {
  struct rmq_flow_item *item = find(f, ticket);
  if (item == NULL)
    return;
  if (item->entry != NULL)
    rmq_dedup_forget(&f->dedup, item->entry);
  item->ticket = 0;
}

bool rmq_flow_is_open(const struct rmq_flow *f, uint64_t ticket) {
  return find(f, ticket) != NULL;
}

const char *rmq_flow_message_id(const struct rmq_flow *f, uint64_t ticket) {
  const struct rmq_flow_item *item = find(f, ticket);
  return item != NULL && item->entry != NULL ? item->entry->id : "";
}

bool rmq_flow_done(struct rmq_flow *f, uint64_t ticket, struct rmq_mono now,
                   int64_t *ret_published_ms) {
  struct rmq_flow_item *item = find(f, ticket);
  if (item == NULL)
    return false;
  bool is_acked = settle(f, item->serial, RMQ_SETTLE_ACK, now);
  if (item->entry != NULL) {
    const struct ending done = {.how = RMQ_SETTLE_ACK};
    f->counters.deduplicated += end_copies(f, item->entry, &done, now);
    rmq_dedup_done(&f->dedup, item->entry);
  }
  rmq_redeliveries_forget(&f->redeliveries, item->key);
  *ret_published_ms = is_acked ? item->published_ms : 0;
  item->ticket = 0;
  return true;
}

bool rmq_flow_may_requeue(const struct rmq_flow *f, uint64_t ticket) {
  const struct rmq_flow_item *item = find(f, ticket);
  return item != NULL && item->failures < f->config.max_redeliveries;
}

size_t rmq_flow_failed(struct rmq_flow *f, uint64_t ticket, enum rmq_settle how,
                       bool is_bad, struct rmq_mono now) {
  struct rmq_flow_item *item = find(f, ticket);
  if (item == NULL)
    return 0;
  const struct ending e = {how, item->failures, is_bad};
  size_t settled = end_delivery(f, item->serial, &e, now);
  if (item->entry != NULL) {
    settled += end_copies(f, item->entry, &e, now);
    rmq_dedup_forget(&f->dedup, item->entry);
  }
  if (how == RMQ_SETTLE_REQUEUE)
    rmq_redeliveries_add(&f->redeliveries, item->key);
  else
    rmq_redeliveries_forget(&f->redeliveries, item->key);
  item->ticket = 0;
  return settled;
}
