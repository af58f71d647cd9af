/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/amqp/publisher_private.h"

#include <stdlib.h>

const char *rmq_refusal_policy_to_str(enum rmq_refusal_policy p) {
  switch (p) {
  case RMQ_REFUSAL_RETRY:
    return "retry";
  case RMQ_REFUSAL_DROP:
    return "drop";
  case RMQ_REFUSAL_ALTERNATE:
    return "alternate";
  }
  return "unknown";
}

const char *rmq_publish_refusal_to_str(enum rmq_publish_refusal r) {
  switch (r) {
  case RMQ_REFUSED_NACK:
    return "nacked";
  case RMQ_REFUSED_RETURN:
    return "returned";
  case RMQ_REFUSED_CLOSE:
    return "channel_closed";
  }
  return "unknown";
}

const char *rmq_publisher_drop_to_str(enum rmq_publisher_drop d) {
  switch (d) {
#define RMQ_X(name, meaning)                                                   \
  case RMQ_PUBLISHER_DROP_##name:                                              \
    return #name;
    RMQ_PUBLISHER_DROPS(RMQ_X)
#undef RMQ_X
  }
  return "unknown";
}

void rmq_publisher_counters_add(struct rmq_publisher_counters *to,
                                const struct rmq_publisher_counters *add) {
#define RMQ_X(name) to->name += add->name;
  RMQ_PUBLISHER_COUNTERS(RMQ_X)
#undef RMQ_X
  for (int i = 0; i < RMQ_PUBLISHER_DROPS_COUNT; i++)
    to->dropped[i] += add->dropped[i];
  for (int i = 0; i < RMQ_PUBLISH_REFUSALS_COUNT; i++)
    to->refused_last[i] += add->refused_last[i];
}

struct rmq_publisher *
rmq_publisher_new(const struct rmq_publisher_config *config,
                  const struct rmq_publisher_handlers *handlers,
                  uint64_t seed) {
  struct rmq_publisher *p = calloc(1, sizeof(*p));
  if (p == NULL || rmq_confirms_init(&p->confirms, config->window) != 0) {
    free(p);
    return NULL;
  }
  pthread_mutex_init(&p->lock, NULL);
  p->config = *config;
  p->handlers = *handlers;
  p->prng.state = seed;
  p->timeout = config->confirm_timeout;
  p->retry_fetch = RMQ_NEVER;
  rmq_latency_clear(&p->latency);
  rmq_list_init(&p->delayed);
  p->delayed_due = RMQ_NEVER;
  rmq_backoff_init(&p->nack_backoff, config->retry_min, config->retry_max);
  rmq_fifo_init(&p->fifo, &config->fifo);
  return p;
}

void rmq_publisher_free(struct rmq_publisher *p) {
  if (p == NULL)
    return;
  rmq_publisher_abandon(p);
  rmq_fifo_fini(&p->fifo);
  rmq_tags_fini(&p->rows);
  rmq_confirms_fini(&p->confirms);
  pthread_mutex_destroy(&p->lock);
  free(p);
}

void rmq_publisher_attach(struct rmq_publisher *p, struct rmq_connection *c) {
  p->connection = c;
}

void rmq_publisher_count_dropped(struct rmq_publisher *p,
                                 const struct rmq_list *messages,
                                 enum rmq_publisher_drop cause) {
  for (struct rmq_node *n = rmq_list_first(messages); n != NULL;
       n = rmq_list_next(messages, n)) {
    struct rmq_message *m = rmq_publisher_message(n);
    m->fate = RMQ_FATE_DROPPED;
    m->cause = rmq_publisher_drop_to_str(cause);
    p->counters.dropped[cause]++;
    p->counters.values_dropped += m->values;
  }
}

void rmq_publisher_free_all(struct rmq_list *messages) {
  struct rmq_node *n;
  while ((n = rmq_list_pop_front(messages)) != NULL)
    rmq_message_free(rmq_publisher_message(n));
}

void rmq_publisher_end_all(struct rmq_publisher *p, struct rmq_list *messages) {
  const struct rmq_store *store = p->fifo.store;
  for (struct rmq_node *n = rmq_list_first(messages); n != NULL;
       n = rmq_list_next(messages, n)) {
    const struct rmq_message *m = rmq_publisher_message(n);
    if (m->is_stored)
      store->settle(store->ctx, m->seq);
    rmq_publisher_tell(p, m, m->fate);
  }
  rmq_publisher_free_all(messages);
}

/* ------------------------------------------------------------------------
 * Any thread */

/* An eighth at most, lest one giant pushes all others out. */
static void want_bytes(struct rmq_publisher *p, size_t cost) {
  size_t most = p->config.fifo.max_bytes / 8;
  if (cost > most)
    cost = most;
  if (p->wanted_bytes < cost)
    p->wanted_bytes = cost;
}

/* Under the lock; the worker of p has ended. */
static enum rmq_fifo_place accept_late(struct rmq_publisher *p,
                                       struct rmq_message *m,
                                       struct rmq_list *dropped) {
  if (rmq_fifo_keep(&p->fifo, m))
    return RMQ_FIFO_SPOOLED;
  rmq_list_push_back(dropped, &m->node);
  return RMQ_FIFO_DROPPED;
}

bool rmq_publisher_accept(struct rmq_publisher *p, struct rmq_message *m,
                          size_t *ret_dropped) {
  struct rmq_list dropped;
  rmq_list_init(&dropped);
  size_t cost = rmq_message_cost(m); /* m may be gone afterwards */
  pthread_mutex_lock(&p->lock);
  p->counters.accepted++;
  p->counters.values_accepted += m->values;
  enum rmq_fifo_place place = p->is_abandoned
                                  ? accept_late(p, m, &dropped)
                                  : rmq_fifo_accept(&p->fifo, m, &dropped);
  if (place == RMQ_FIFO_DROPPED)
    want_bytes(p, cost);
  rmq_publisher_count_dropped(p, &dropped,
                              p->is_abandoned ? RMQ_PUBLISHER_DROP_shutdown
                                              : RMQ_PUBLISHER_DROP_overflow);
  bool wakes = place == RMQ_FIFO_WAITS && p->found_nothing;
  if (wakes)
    p->found_nothing = false;
  pthread_mutex_unlock(&p->lock);
  if (ret_dropped != NULL)
    *ret_dropped = dropped.count;
  rmq_publisher_end_all(p, &dropped);
  return wakes;
}

const char *rmq_publisher_offer_to_str(enum rmq_publisher_offer o) {
  switch (o) {
  case RMQ_OFFER_TAKEN:
    return "taken";
  case RMQ_OFFER_WAKE:
    return "wake";
  case RMQ_OFFER_FULL:
    return "full";
  case RMQ_OFFER_TOO_LARGE:
    return "too large";
  }
  return "unknown";
}

/* Under the lock: while it is a row its tag needs a place. */
static bool has_place_for_tag(struct rmq_publisher *p,
                              const struct rmq_message *m) {
  return m->tag == 0 || p->config.fifo.mode == RMQ_SPOOL_NONE ||
         rmq_tags_reserve(&p->rows, p->tagged + 1);
}

/* Under the lock. */
static enum rmq_publisher_offer offer(struct rmq_publisher *p,
                                      struct rmq_message *m) {
  uint64_t tag = m->tag;
  uint32_t values = m->values;
  if (rmq_message_cost(m) > p->config.fifo.max_bytes)
    return RMQ_OFFER_TOO_LARGE;
  if (p->handlers.fate == NULL)
    tag = m->tag = 0;
  if (p->is_abandoned || !has_place_for_tag(p, m))
    return RMQ_OFFER_FULL;
  enum rmq_fifo_place place = rmq_fifo_offer(&p->fifo, m);
  if (place == RMQ_FIFO_DROPPED)
    return RMQ_OFFER_FULL;
  p->counters.accepted++;
  p->counters.values_accepted += values;
  p->tagged += tag != 0 ? 1 : 0;
  bool wakes = place == RMQ_FIFO_WAITS && p->found_nothing;
  if (wakes)
    p->found_nothing = false;
  return wakes ? RMQ_OFFER_WAKE : RMQ_OFFER_TAKEN;
}

enum rmq_publisher_offer rmq_publisher_offer(struct rmq_publisher *p,
                                             struct rmq_message *m) {
  pthread_mutex_lock(&p->lock);
  enum rmq_publisher_offer o = offer(p, m);
  pthread_mutex_unlock(&p->lock);
  return o;
}

void rmq_publisher_count_unencodable(struct rmq_publisher *p, uint32_t values) {
  pthread_mutex_lock(&p->lock);
  p->counters.accepted++;
  p->counters.values_accepted += values;
  p->counters.dropped[RMQ_PUBLISHER_DROP_encode]++;
  p->counters.values_dropped += values;
  pthread_mutex_unlock(&p->lock);
}

void rmq_publisher_snapshot(struct rmq_publisher *p, bool take_latency,
                            struct rmq_publisher_snapshot *ret) {
  pthread_mutex_lock(&p->lock);
  const struct rmq_outbox *o = &p->fifo.outbox;
  ret->counters = p->counters;
  ret->outbox = rmq_outbox_count(o) + o->held + p->popped;
  ret->in_flight = p->in_flight;
  ret->spooled = rmq_fifo_spooled(&p->fifo);
  ret->latency = p->latency;
  if (take_latency)
    rmq_latency_clear(&p->latency);
  pthread_mutex_unlock(&p->lock);
}

/* ------------------------------------------------------------------------
 * The end */

/* Under the lock. */
static void count_refused(struct rmq_publisher *p,
                          const struct rmq_list *messages) {
  for (struct rmq_node *n = rmq_list_first(messages); n != NULL;
       n = rmq_list_next(messages, n)) {
    const struct rmq_message *m = rmq_publisher_message(n);
    if (m->refusals > 0)
      p->counters.refused_last[m->last_refusal]++;
  }
}

void rmq_publisher_drain(struct rmq_publisher *p) {
  struct rmq_list forgotten;
  rmq_list_init(&forgotten);
  p->is_draining = true;
  p->paused_until = (struct rmq_mono){0};
  struct rmq_node *n;
  pthread_mutex_lock(&p->lock);
  while ((n = rmq_list_pop_front(&p->delayed)) != NULL)
    rmq_outbox_requeue_back(&p->fifo.outbox, rmq_publisher_message(n));
  p->fifo.outbox.held = 0;
  rmq_fifo_close(&p->fifo, &forgotten);
  count_refused(p, &forgotten);
  rmq_publisher_file_tags(p, &forgotten);
  pthread_mutex_unlock(&p->lock);
  rmq_publisher_free_all(&forgotten);
}

static bool store_works(const struct rmq_publisher *p) {
  struct rmq_store_stats stats;
  if (p->fifo.mode == RMQ_SPOOL_NONE)
    return false;
  p->fifo.store->stats(p->fifo.store->ctx, &stats);
  return stats.is_usable;
}

bool rmq_publisher_is_drained(struct rmq_publisher *p) {
  if (p->is_draining &&
      rmq_connection_state(p->connection) != RMQ_SESSION_READY &&
      store_works(p))
    return true; /* the rest is for the next start */
  pthread_mutex_lock(&p->lock);
  bool is_drained = rmq_outbox_count(&p->fifo.outbox) == 0 && p->popped == 0 &&
                    p->in_flight == 0;
  /* A message that was refused at the end too would be refused again. */
  if (!p->is_draining)
    is_drained = is_drained && p->fifo.outbox.held == 0 &&
                 rmq_fifo_spooled(&p->fifo) == 0;
  pthread_mutex_unlock(&p->lock);
  return is_drained;
}

/* Under the lock. */
static void keep_or_drop(struct rmq_publisher *p, struct rmq_list *left,
                         struct rmq_list *kept, struct rmq_list *dropped) {
  struct rmq_node *n;
  while ((n = rmq_list_pop_front(left)) != NULL) {
    struct rmq_message *m = rmq_publisher_message(n);
    bool is_row = m->is_stored;
    if (!rmq_fifo_keep(&p->fifo, m))
      rmq_list_push_back(dropped, n);
    else if (is_row)
      rmq_list_push_back(kept, n);
  }
}

size_t rmq_publisher_abandon(struct rmq_publisher *p) {
  struct rmq_list left, kept, dropped;
  rmq_list_init(&left);
  rmq_list_init(&kept);
  rmq_list_init(&dropped);
  rmq_confirms_lose(&p->confirms, &left);
  struct rmq_node *n;
  while ((n = rmq_list_pop_front(&p->delayed)) != NULL)
    rmq_list_push_back(&left, n);
  pthread_mutex_lock(&p->lock);
  rmq_outbox_unpop_all(&p->fifo.outbox, &left);
  struct rmq_message *m;
  while ((m = rmq_outbox_pop(&p->fifo.outbox)) != NULL) {
    rmq_outbox_release(&p->fifo.outbox, m);
    rmq_list_push_back(&left, &m->node);
  }
  p->fifo.is_closed = true;
  count_refused(p, &left);
  keep_or_drop(p, &left, &kept, &dropped);
  rmq_publisher_file_tags(p, &kept);
  rmq_publisher_count_dropped(p, &dropped, RMQ_PUBLISHER_DROP_shutdown);
  p->in_flight = p->fifo.outbox.held = 0;
  p->is_abandoned = true;
  pthread_mutex_unlock(&p->lock);
  size_t count = dropped.count;
  rmq_publisher_free_all(&kept);
  rmq_publisher_end_all(p, &dropped);
  return count;
}
