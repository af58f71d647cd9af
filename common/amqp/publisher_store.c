/* SPDX-License-Identifier: MIT */
/* The store's answers, in its thread. */
#include "rmq_config.h"

#include "common/amqp/publisher_private.h"

/* Under the lock, after the outbox may have grown: whether to wake the worker,
 * which found it empty. */
static bool has_news(struct rmq_publisher *p) {
  rmq_fifo_read_on(&p->fifo);
  if (!p->found_nothing || rmq_outbox_count(&p->fifo.outbox) == 0)
    return p->fifo.is_stalled; /* the worker knows how long to wait */
  p->found_nothing = false;
  return true;
}

static void unlock_and_tell(struct rmq_publisher *p) {
  bool wakes = has_news(p);
  pthread_mutex_unlock(&p->lock);
  if (wakes)
    p->handlers.wake(p->handlers.ctx);
}

/* Returns how many tags that was the last of. */
static size_t tell_stored(struct rmq_publisher *p,
                          const struct rmq_list *messages) {
  size_t ended = 0;
  for (struct rmq_node *n = rmq_list_first(messages); n != NULL;
       n = rmq_list_next(messages, n)) {
    struct rmq_message *m = rmq_publisher_message(n);
    rmq_publisher_tell(p, m, RMQ_FATE_STORED);
    if ((m->tag & RMQ_TAG_UNTIL_STORED) == 0)
      continue;
    m->tag = 0;
    ended++;
  }
  return ended;
}

static void stored(void *ctx, struct rmq_list *messages) {
  struct rmq_publisher *p = ctx;
  /* While nobody else has them, so that no end of theirs comes before. */
  size_t ended = tell_stored(p, messages);
  pthread_mutex_lock(&p->lock);
  p->tagged -= ended;
  rmq_fifo_stored(&p->fifo, messages);
  rmq_publisher_file_tags(p, messages);
  unlock_and_tell(p);
}

static void fetched(void *ctx, struct rmq_list *messages, uint64_t through) {
  struct rmq_publisher *p = ctx;
  pthread_mutex_lock(&p->lock);
  if (!p->fifo.is_closed)
    rmq_publisher_find_tags(p, messages);
  rmq_fifo_fetched(&p->fifo, messages, through);
  unlock_and_tell(p);
  rmq_publisher_free_all(messages); /* when the end had begun: they stay rows */
}

static void failed(void *ctx, struct rmq_list *messages) {
  struct rmq_publisher *p = ctx;
  struct rmq_list dropped;
  rmq_list_init(&dropped);
  pthread_mutex_lock(&p->lock);
  enum rmq_publisher_drop cause = RMQ_PUBLISHER_DROP_overflow;
  if (p->is_abandoned) {
    cause = RMQ_PUBLISHER_DROP_shutdown;
    rmq_fifo_lost(&p->fifo, /* was_pending = */ true, messages->count);
    struct rmq_node *n;
    while ((n = rmq_list_pop_front(messages)) != NULL)
      rmq_list_push_back(&dropped, n);
  } else {
    rmq_fifo_failed(&p->fifo, messages, &dropped);
  }
  rmq_publisher_count_dropped(p, &dropped, cause);
  unlock_and_tell(p);
  rmq_publisher_end_all(p, &dropped);
}

static enum rmq_fate fate_of(enum rmq_store_loss why, const char **ret_cause) {
  switch (why) {
  case RMQ_STORE_EXPIRED:
    *ret_cause = "";
    return RMQ_FATE_EXPIRED;
  case RMQ_STORE_FULL:
    *ret_cause = rmq_publisher_drop_to_str(RMQ_PUBLISHER_DROP_overflow);
    return RMQ_FATE_DROPPED;
  case RMQ_STORE_DAMAGED:
    break;
  }
  *ret_cause = rmq_publisher_drop_to_str(RMQ_PUBLISHER_DROP_damaged);
  return RMQ_FATE_DROPPED;
}

/* A pending one has its tag; the store frees it afterwards. */
static void tell_lost(struct rmq_publisher *p, const struct rmq_store_lost *l) {
  const char *cause = "";
  enum rmq_fate fate = fate_of(l->why, &cause);
  if (l->message == NULL) {
    rmq_publisher_tell_rows(p, l->first, l->last, fate, cause);
    return;
  }
  l->message->cause = cause;
  rmq_publisher_tell(p, l->message, fate);
}

static void lost_rows(void *ctx, const struct rmq_store_lost *l) {
  struct rmq_publisher *p = ctx;
  struct rmq_publisher_counters *c = &p->counters;
  pthread_mutex_lock(&p->lock);
  rmq_fifo_lost(&p->fifo, l->message != NULL, l->tally.messages);
  switch (l->why) {
  case RMQ_STORE_EXPIRED:
    c->expired += l->tally.messages;
    break;
  case RMQ_STORE_FULL:
    c->dropped[RMQ_PUBLISHER_DROP_overflow] += l->tally.messages;
    c->values_dropped += l->tally.values;
    break;
  case RMQ_STORE_DAMAGED:
    c->dropped[RMQ_PUBLISHER_DROP_damaged] += l->tally.messages;
    c->values_dropped += l->tally.values;
    break;
  }
  unlock_and_tell(p);
  tell_lost(p, l);
}

static void recovered(void *ctx, struct rmq_store_tally tally) {
  struct rmq_publisher *p = ctx;
  pthread_mutex_lock(&p->lock);
  p->counters.recovered += tally.messages;
  rmq_fifo_recovered(&p->fifo, tally.messages);
  unlock_and_tell(p);
}

struct rmq_store_handlers
rmq_publisher_store_handlers(struct rmq_publisher *p) {
  return (struct rmq_store_handlers){.ctx = p,
                                     .stored = stored,
                                     .fetched = fetched,
                                     .failed = failed,
                                     .lost = lost_rows,
                                     .recovered = recovered};
}
