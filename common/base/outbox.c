/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/outbox.h"

#include <assert.h>

static struct rmq_message *message_of(struct rmq_node *n) {
  return RMQ_ELEMENT(n, struct rmq_message, node);
}

const char *rmq_overflow_to_str(enum rmq_overflow o) {
  switch (o) {
  case RMQ_DROP_OLDEST:
    return "drop-oldest";
  case RMQ_DROP_NEWEST:
    return "drop-newest";
  }
  return "unknown";
}

void rmq_outbox_init(struct rmq_outbox *o, size_t max_messages,
                     size_t max_bytes, enum rmq_overflow policy) {
  *o = (struct rmq_outbox){
      .max_messages = max_messages,
      .max_bytes = max_bytes,
      .policy = policy,
  };
  rmq_list_init(&o->waiting);
}

void rmq_outbox_fini(struct rmq_outbox *o) {
  struct rmq_message *m;
  while ((m = rmq_outbox_pop(o)) != NULL) {
    rmq_outbox_release(o, m);
    rmq_message_free(m);
  }
  assert(o->bytes == 0);
}

static bool has_bytes_for(const struct rmq_outbox *o, size_t cost,
                          size_t reclaimable) {
  size_t kept = o->bytes - reclaimable;
  return kept <= o->max_bytes && cost <= o->max_bytes - kept;
}

/* Whether m would fit if everything that waits were dropped. */
static bool can_make_room(const struct rmq_outbox *o, size_t cost) {
  return o->policy == RMQ_DROP_OLDEST && !rmq_list_is_empty(&o->waiting) &&
         has_bytes_for(o, cost, o->waiting_bytes);
}

static void drop_oldest(struct rmq_outbox *o, struct rmq_list *dropped) {
  struct rmq_message *m = rmq_outbox_pop(o);
  rmq_outbox_release(o, m);
  rmq_list_push_back(dropped, &m->node);
}

static bool is_full(const struct rmq_outbox *o) {
  return o->waiting.count + o->held >= o->max_messages;
}

bool rmq_outbox_has_room(const struct rmq_outbox *o,
                         const struct rmq_message *m) {
  return !is_full(o) && has_bytes_for(o, rmq_message_cost(m), 0);
}

void rmq_outbox_append(struct rmq_outbox *o, struct rmq_message *m) {
  size_t cost = rmq_message_cost(m);
  struct rmq_node *after = o->waiting.head.prev;
  while (after != &o->waiting.head && message_of(after)->seq > m->seq)
    after = after->prev;
  rmq_list_insert_after(&o->waiting, after, &m->node);
  o->waiting_bytes += cost;
  o->bytes += cost;
}

bool rmq_outbox_push(struct rmq_outbox *o, struct rmq_message *m,
                     struct rmq_list *dropped) {
  size_t cost = rmq_message_cost(m);
  if (rmq_outbox_has_room(o, m)) {
    rmq_outbox_append(o, m);
    return true;
  }
  if (!can_make_room(o, cost)) {
    rmq_list_push_back(dropped, &m->node);
    return false;
  }
  if (is_full(o))
    drop_oldest(o, dropped);
  while (!has_bytes_for(o, cost, 0))
    drop_oldest(o, dropped);
  rmq_outbox_append(o, m);
  return true;
}

struct rmq_message *rmq_outbox_pop(struct rmq_outbox *o) {
  struct rmq_node *n = rmq_list_pop_front(&o->waiting);
  if (n == NULL)
    return NULL;
  struct rmq_message *m = message_of(n);
  o->waiting_bytes -= rmq_message_cost(m);
  return m;
}

const struct rmq_message *rmq_outbox_peek(const struct rmq_outbox *o) {
  struct rmq_node *n = rmq_list_first(&o->waiting);
  return n == NULL ? NULL : message_of(n);
}

static void push_front(struct rmq_outbox *o, struct rmq_message *m) {
  rmq_list_push_front(&o->waiting, &m->node);
  o->waiting_bytes += rmq_message_cost(m);
}

void rmq_outbox_unpop(struct rmq_outbox *o, struct rmq_message *m) {
  struct rmq_node *before = &o->waiting.head;
  struct rmq_node *n = rmq_list_first(&o->waiting);
  for (; n != NULL && message_of(n)->seq < m->seq;
       n = rmq_list_next(&o->waiting, n))
    before = n;
  rmq_list_insert_after(&o->waiting, before, &m->node);
  o->waiting_bytes += rmq_message_cost(m);
}

void rmq_outbox_requeue_back(struct rmq_outbox *o, struct rmq_message *m) {
  rmq_list_push_back(&o->waiting, &m->node);
  o->waiting_bytes += rmq_message_cost(m);
}

void rmq_outbox_unpop_all(struct rmq_outbox *o, struct rmq_list *messages) {
  struct rmq_node *n;
  while ((n = rmq_list_last(messages)) != NULL) {
    rmq_list_remove(messages, n);
    push_front(o, message_of(n));
  }
}

void rmq_outbox_recharge(struct rmq_outbox *o, size_t before, size_t after) {
  assert(o->bytes >= o->waiting_bytes + before);
  o->bytes = o->bytes - before + after;
}

void rmq_outbox_release(struct rmq_outbox *o, const struct rmq_message *m) {
  size_t cost = rmq_message_cost(m);
  assert(o->bytes >= o->waiting_bytes + cost);
  o->bytes -= cost;
}

size_t rmq_outbox_count(const struct rmq_outbox *o) { return o->waiting.count; }
