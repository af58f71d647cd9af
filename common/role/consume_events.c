/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/consume_events.h"

#include "common/base/event.h"
#include "common/base/ring.h"

#include <pthread.h>
#include <stdlib.h>

struct item {
  uint64_t ticket;
  struct rmq_event *event;
};

struct rmq_consume_events {
  int64_t rate;
  /* The worker's thread: how many may come now, in billionths, which flow in by
   * the nanosecond. */
  int64_t credit;
  struct rmq_mono credited_at;
  bool has_begun;

  pthread_mutex_t lock; /* protects ring */
  struct rmq_ring ring;
};

static void free_item(void *ptr) {
  struct item *item = ptr;
  if (item == NULL)
    return;
  free(item->event);
  free(item);
}

struct rmq_consume_events *rmq_consume_events_new(int64_t rate) {
  struct rmq_consume_events *e = calloc(1, sizeof(*e));
  if (e == NULL || rmq_ring_init(&e->ring, RMQ_CONSUME_EVENTS_MAX) != 0) {
    free(e);
    return NULL;
  }
  if (pthread_mutex_init(&e->lock, NULL) != 0) {
    rmq_ring_fini(&e->ring, free_item);
    free(e);
    return NULL;
  }
  e->rate = rate;
  return e;
}

void rmq_consume_events_free(struct rmq_consume_events *e) {
  if (e == NULL)
    return;
  rmq_ring_fini(&e->ring, free_item);
  pthread_mutex_destroy(&e->lock);
  free(e);
}

/* A bucket that holds one second's worth. */
static bool take_credit(struct rmq_consume_events *e, struct rmq_mono now) {
  int64_t most = e->rate * RMQ_NS_PER_S;
  int64_t passed = rmq_mono_since(now, e->credited_at).ns;
  if (!e->has_begun || passed >= RMQ_NS_PER_S)
    e->credit = most;
  else if (passed > 0)
    e->credit += passed * e->rate;
  if (e->credit > most)
    e->credit = most;
  e->has_begun = true;
  e->credited_at = now;
  if (e->credit < RMQ_NS_PER_S)
    return false;
  e->credit -= RMQ_NS_PER_S;
  return true;
}

static struct item *item_new(const struct rmq_event *event, uint64_t ticket) {
  struct item *item = calloc(1, sizeof(*item));
  struct rmq_event *copy = rmq_event_clone(event);
  if (item == NULL || copy == NULL) {
    free(item);
    free(copy);
    return NULL;
  }
  item->ticket = ticket;
  item->event = copy;
  return item;
}

enum rmq_refusal rmq_consume_events_push(struct rmq_consume_events *e,
                                         const struct rmq_event *event,
                                         uint64_t ticket, struct rmq_mono now) {
  if (!take_credit(e, now))
    return RMQ_REFUSAL_rate;
  struct item *item = item_new(event, ticket);
  if (item == NULL)
    return RMQ_REFUSAL_failed;
  pthread_mutex_lock(&e->lock);
  bool has_room = e->ring.count < e->ring.max;
  if (has_room)
    rmq_ring_push(&e->ring, item);
  pthread_mutex_unlock(&e->lock);
  if (has_room)
    return RMQ_REFUSAL_none;
  free_item(item);
  return RMQ_REFUSAL_rate;
}

bool rmq_consume_events_dispatch(struct rmq_consume_events *e,
                                 const struct rmq_host *host,
                                 struct rmq_mono until, uint64_t *ret_ticket) {
  if (rmq_mono_reached(host->mono(host->ctx), until))
    return false;
  pthread_mutex_lock(&e->lock);
  struct item *item = rmq_ring_pop(&e->ring);
  pthread_mutex_unlock(&e->lock);
  if (item == NULL)
    return false;
  host->event(host->ctx, item->event);
  *ret_ticket = item->ticket;
  free_item(item);
  return true;
}
