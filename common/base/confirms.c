/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/confirms.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* How far younger messages may be confirmed past the oldest before publishing
 * waits for it, in windows. */
enum { CONFIRMS_SPAN = 4 };

const char *rmq_outcome_to_str(enum rmq_outcome o) {
  switch (o) {
  case RMQ_CONFIRMED:
    return "confirmed";
  case RMQ_NACKED:
    return "nacked";
  case RMQ_RETURNED:
    return "returned";
  case RMQ_UNKNOWN:
    return "unknown";
  }
  return "invalid";
}

int rmq_confirms_init(struct rmq_confirms *c, size_t window) {
  assert(window > 0);
  size_t capacity = 1;
  while (capacity / CONFIRMS_SPAN < window) {
    if (capacity > SIZE_MAX / 2)
      return -1;
    capacity *= 2;
  }
  struct rmq_confirm_entry *ring = calloc(capacity, sizeof(*ring));
  if (ring == NULL)
    return -1;
  *c = (struct rmq_confirms){
      .ring = ring,
      .capacity = capacity,
      .window = window,
      .first = 1,
      .next = 1,
  };
  return 0;
}

static struct rmq_confirm_entry *slot(const struct rmq_confirms *c,
                                      uint64_t seqno) {
  return &c->ring[seqno & (c->capacity - 1)];
}

void rmq_confirms_fini(struct rmq_confirms *c) {
  for (uint64_t s = c->first; s < c->next; s++)
    rmq_message_free(slot(c, s)->message);
  free(c->ring);
  *c = (struct rmq_confirms){.first = 1, .next = 1};
}

void rmq_confirms_begin(struct rmq_confirms *c, uint64_t epoch) {
  assert(c->count == 0);
  c->epoch = epoch;
  c->first = 1;
  c->next = 1;
}

bool rmq_confirms_has_room(const struct rmq_confirms *c) {
  return c->count < c->window && c->next - c->first < c->capacity;
}

uint64_t rmq_confirms_add(struct rmq_confirms *c, struct rmq_message *m,
                          struct rmq_mono now) {
  assert(rmq_confirms_has_room(c));
  *slot(c, c->next) =
      (struct rmq_confirm_entry){.message = m, .published = now};
  c->count++;
  c->bytes += rmq_message_cost(m);
  return c->next++;
}

uint64_t rmq_confirms_next_seqno(const struct rmq_confirms *c) {
  return c->next;
}

static bool has_id(const struct rmq_message *m, const char *id, size_t len) {
  const char *own = rmq_message_id(m);
  return strlen(own) == len && memcmp(own, id, len) == 0;
}

static struct rmq_confirm_entry *find_unreturned(const struct rmq_confirms *c,
                                                 const char *id, size_t len,
                                                 const char *key) {
  for (uint64_t s = c->first; s < c->next; s++) {
    struct rmq_confirm_entry *e = slot(c, s);
    if (e->message != NULL && !e->was_returned && has_id(e->message, id, len) &&
        (key == NULL || strcmp(key, e->message->key) == 0))
      return e;
  }
  return NULL;
}

struct rmq_message *rmq_confirms_mark_returned(struct rmq_confirms *c,
                                               uint64_t epoch,
                                               const char *message_id,
                                               size_t len, const char *key) {
  struct rmq_confirm_entry *e = NULL;
  if (epoch == c->epoch && len > 0)
    e = find_unreturned(c, message_id, len, key);
  if (e == NULL) {
    c->strays++;
    return NULL;
  }
  e->was_returned = true;
  return e->message;
}

/* Takes the message of seqno out, NULL when it is not in flight. */
static struct rmq_message *take(struct rmq_confirms *c, uint64_t seqno) {
  struct rmq_confirm_entry *e = slot(c, seqno);
  struct rmq_message *m = e->message;
  if (m == NULL)
    return NULL;
  e->message = NULL;
  c->count--;
  c->bytes -= rmq_message_cost(m);
  return m;
}

static void skip_settled(struct rmq_confirms *c) {
  while (c->first < c->next && slot(c, c->first)->message == NULL)
    c->first++;
}

static enum rmq_outcome outcome_of(const struct rmq_confirm_entry *e,
                                   bool is_nack) {
  if (is_nack)
    return RMQ_NACKED;
  return e->was_returned ? RMQ_RETURNED : RMQ_CONFIRMED;
}

size_t rmq_confirms_settle(struct rmq_confirms *c, uint64_t epoch,
                           uint64_t seqno, bool multiple, bool is_nack,
                           rmq_confirms_sink sink, void *ctx) {
  size_t settled = 0;
  if (epoch == c->epoch && seqno >= c->first && seqno < c->next) {
    for (uint64_t s = multiple ? c->first : seqno; s <= seqno; s++) {
      const struct rmq_confirm_entry e = *slot(c, s);
      struct rmq_message *m = take(c, s);
      if (m == NULL)
        continue;
      settled++;
      sink(ctx, m, outcome_of(&e, is_nack), e.published);
    }
    skip_settled(c);
  }
  if (settled == 0)
    c->strays++;
  return settled;
}

void rmq_confirms_lose(struct rmq_confirms *c, struct rmq_list *ret_messages) {
  for (; c->first < c->next; c->first++) {
    struct rmq_message *m = take(c, c->first);
    if (m != NULL)
      rmq_list_push_back(ret_messages, &m->node);
  }
}

struct rmq_mono rmq_confirms_oldest(const struct rmq_confirms *c) {
  return c->count == 0 ? RMQ_NEVER : slot(c, c->first)->published;
}
