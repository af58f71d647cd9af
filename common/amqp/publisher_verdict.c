/* SPDX-License-Identifier: MIT */
/* Outcomes into policy: the one place. Messages that go back into the FIFO or
 * end are collected first, and moved under one lock. */
#include "rmq_config.h"

#include "common/amqp/publisher_private.h"

/* Many messages may be delayed: they are looked through this often at most. */
enum { DELAYED_INTERVAL_MS = 100 };

struct verdicts {
  struct rmq_publisher *p;
  struct rmq_mono now;
  struct rmq_list ended; /* to be released and freed */
  struct rmq_list again; /* nacked, back to the head */
  struct rmq_list later; /* returned, to the tail after a delay */
  struct rmq_publisher_counters add;
};

static void init(struct verdicts *v, struct rmq_publisher *p,
                 struct rmq_mono now) {
  *v = (struct verdicts){.p = p, .now = now};
  rmq_list_init(&v->ended);
  rmq_list_init(&v->again);
  rmq_list_init(&v->later);
}

static bool is_spent(const struct rmq_publisher *p,
                     const struct rmq_message *m) {
  unsigned most =
      m->max_refusals > 0 ? m->max_refusals : p->config.max_attempts;
  return m->refusals >= most;
}

static void give_up(struct verdicts *v, struct rmq_message *m,
                    enum rmq_publish_refusal why) {
  struct rmq_publisher *p = v->p;
  struct rmq_publisher_given_up g = {
      m, why,
      m->to_alternate ? p->config.alternate_exchange
                      : rmq_message_exchange(m, p->config.exchange)};
  m->fate = why == RMQ_REFUSED_RETURN ? RMQ_FATE_RETURNED : RMQ_FATE_REJECTED;
  v->add.refused_last[why]++;
  p->handlers.given_up(p->handlers.ctx, &g);
  rmq_list_push_back(&v->ended, &m->node);
}

static void refuse(struct verdicts *v, struct rmq_message *m,
                   enum rmq_publish_refusal why) {
  m->refusals++;
  m->last_refusal = (int)why;
  v->p->handlers.refused(v->p->handlers.ctx, m, why);
}

/* To the tail, after a delay of its own. */
static void delay(struct verdicts *v, struct rmq_message *m) {
  struct rmq_publisher *p = v->p;
  struct rmq_backoff b = {p->config.retry_min, p->config.retry_max,
                          m->refusals - 1};
  m->not_before =
      rmq_mono_add(v->now, rmq_backoff_next(&b, rmq_prng_next(&p->prng)));
  rmq_list_push_back(&v->later, &m->node);
}

static void on_nack(struct verdicts *v, struct rmq_message *m) {
  struct rmq_publisher *p = v->p;
  v->add.nack++;
  m->reply_code = 0;
  refuse(v, m, RMQ_REFUSED_NACK);
  if (p->config.on_nack == RMQ_REFUSAL_DROP || is_spent(p, m)) {
    v->add.rejected++;
    give_up(v, m, RMQ_REFUSED_NACK);
  } else {
    rmq_list_push_back(&v->again, &m->node);
  }
}

static void on_returned(struct verdicts *v, struct rmq_message *m) {
  struct rmq_publisher *p = v->p;
  v->add.return_++;
  refuse(v, m, RMQ_REFUSED_RETURN);
  if (p->config.on_return == RMQ_REFUSAL_DROP || is_spent(p, m)) {
    v->add.returned++;
    give_up(v, m, RMQ_REFUSED_RETURN);
    return;
  }
  bool is_first = !m->to_alternate;
  delay(v, m);
  if (p->config.on_return == RMQ_REFUSAL_ALTERNATE && is_first) {
    m->to_alternate = true;
    m->not_before = v->now;
  }
}

static void on_outcome(void *ctx, struct rmq_message *m,
                       enum rmq_outcome outcome, struct rmq_mono published) {
  struct verdicts *v = ctx;
  if (v->p->suspects > 0)
    v->p->suspects--;
  switch (outcome) {
  case RMQ_CONFIRMED:
    v->add.confirmed++;
    m->fate = RMQ_FATE_CONFIRMED;
    m->latency = rmq_mono_since(v->now, published);
    rmq_list_push_back(&v->ended, &m->node);
    return;
  case RMQ_NACKED:
    on_nack(v, m);
    return;
  case RMQ_RETURNED:
    on_returned(v, m);
    return;
  case RMQ_UNKNOWN: /* comes from rmq_confirms_lose only */
    return;
  }
}

static void book_ended(struct rmq_publisher *p, const struct rmq_message *m) {
  rmq_outbox_release(&p->fifo.outbox, m);
  if (m->latency.ns >= 0)
    rmq_latency_add(&p->latency, m->latency);
}

static bool is_crowded(const struct rmq_publisher *p) {
  const struct rmq_outbox *o = &p->fifo.outbox;
  return rmq_outbox_count(o) + p->delayed.count >= o->max_messages ||
         o->bytes + p->wanted_bytes > o->max_bytes;
}

/* Under the lock: delayed messages make room for the next one, as the policy
 * says; where a store takes the next one, nothing has to go. Those that had to
 * are appended to ended. */
static void drop_delayed(struct rmq_publisher *p, struct rmq_list *ended) {
  struct rmq_list dropped;
  rmq_list_init(&dropped);
  while (p->fifo.is_alone && p->fifo.outbox.policy == RMQ_DROP_OLDEST &&
         is_crowded(p) && !rmq_list_is_empty(&p->delayed)) {
    struct rmq_node *n = rmq_list_pop_front(&p->delayed);
    rmq_outbox_release(&p->fifo.outbox, rmq_publisher_message(n));
    rmq_list_push_back(&dropped, n);
  }
  rmq_publisher_count_dropped(p, &dropped, RMQ_PUBLISHER_DROP_overflow);
  struct rmq_node *n;
  while ((n = rmq_list_pop_front(&dropped)) != NULL)
    rmq_list_push_back(ended, n);
}

/* Under the lock, with nothing popped: whether delayed messages hold more than
 * a quarter of the queue. */
static bool is_clogged(const struct rmq_publisher *p) {
  const struct rmq_outbox *o = &p->fifo.outbox;
  size_t held = o->bytes - o->waiting_bytes - p->confirms.bytes;
  return p->delayed.count > o->max_messages / 4 + 1 || held > o->max_bytes / 4;
}

/* Under the lock: where a store takes what is new, nothing has to go, but rows
 * can only be read into room that is there. So when refused messages clog the
 * queue the oldest do not wait any longer: they spend their attempts, instead
 * of holding up those that would be taken. */
static void hurry_delayed(struct rmq_publisher *p) {
  while (!p->fifo.is_alone && is_clogged(p) &&
         !rmq_list_is_empty(&p->delayed)) {
    struct rmq_node *n = rmq_list_pop_front(&p->delayed);
    rmq_outbox_requeue_back(&p->fifo.outbox, rmq_publisher_message(n));
  }
}

/* Under the lock. */
static void book(struct verdicts *v) {
  struct rmq_publisher *p = v->p;
  struct rmq_node *n;
  rmq_publisher_counters_add(&p->counters, &v->add);
  for (n = rmq_list_first(&v->ended); n != NULL;
       n = rmq_list_next(&v->ended, n))
    book_ended(p, rmq_publisher_message(n));
  /* Backwards, so that each finds its place at the head at once. */
  while ((n = rmq_list_last(&v->again)) != NULL) {
    rmq_list_remove(&v->again, n);
    rmq_outbox_unpop(&p->fifo.outbox, rmq_publisher_message(n));
    p->counters.late++;
  }
  while ((n = rmq_list_pop_front(&v->later)) != NULL) {
    rmq_list_push_back(&p->delayed, n);
    p->delayed_due =
        rmq_mono_min(p->delayed_due, rmq_publisher_message(n)->not_before);
    p->counters.late++;
  }
  drop_delayed(p, &v->ended);
  hurry_delayed(p);
  p->fifo.outbox.held = p->delayed.count;
  p->in_flight = p->confirms.count;
  p->popped = 0;
  p->counters.stray = p->confirms.strays;
}

static void carry_out(struct verdicts *v) {
  pthread_mutex_lock(&v->p->lock);
  book(v);
  pthread_mutex_unlock(&v->p->lock);
  rmq_publisher_end_all(v->p, &v->ended);
}

/* ------------------------------------------------------------------------
 * From the connection */

void rmq_publisher_confirmed(struct rmq_publisher *p, uint64_t epoch,
                             uint64_t seqno, bool multiple, bool is_nack,
                             struct rmq_mono now) {
  struct verdicts v;
  init(&v, p, now);
  rmq_confirms_settle(&p->confirms, epoch, seqno, multiple, is_nack, on_outcome,
                      &v);
  if (v.add.confirmed > 0) {
    p->timeout = p->config.confirm_timeout;
    rmq_backoff_reset(&p->nack_backoff);
    rmq_connection_progress(p->connection);
  }
  if (v.again.count > 0)
    p->paused_until = rmq_mono_add(
        now, rmq_backoff_next(&p->nack_backoff, rmq_prng_next(&p->prng)));
  carry_out(&v);
}

void rmq_publisher_returned(struct rmq_publisher *p, uint64_t epoch,
                            const struct rmq_returned *r) {
  struct rmq_span id = rmq_span_of(r->message_id);
  if (!p->config.wants_confirms) { /* it has ended when it was sent */
    pthread_mutex_lock(&p->lock);
    p->counters.return_++;
    pthread_mutex_unlock(&p->lock);
    return;
  }
  struct rmq_message *m = rmq_confirms_mark_returned(
      &p->confirms, epoch, id.bytes, id.len,
      r->routing_key[0] == '\0' ? NULL : r->routing_key);
  if (m != NULL)
    rmq_publisher_remember_reply(p, m, r->code, r->text);
}

void rmq_publisher_ready(struct rmq_publisher *p, uint64_t epoch,
                         struct rmq_mono now) {
  rmq_confirms_begin(&p->confirms, epoch);
  p->timeout_from = now;
}

static bool has_own_exchange(const struct rmq_publisher *p,
                             const struct rmq_message *m) {
  return rmq_message_exchange(m, p->config.exchange) != p->config.exchange;
}

static size_t count_choosers(const struct rmq_publisher *p,
                             const struct rmq_list *messages) {
  size_t count = 0;
  for (struct rmq_node *n = rmq_list_first(messages); n != NULL;
       n = rmq_list_next(messages, n))
    count += has_own_exchange(p, rmq_publisher_message(n)) ? 1 : 0;
  return count;
}

void rmq_publisher_lost(struct rmq_publisher *p, struct rmq_mono now) {
  (void)now;
  struct rmq_list unknown;
  rmq_list_init(&unknown);
  rmq_confirms_lose(&p->confirms, &unknown);
  p->lost_in_flight = unknown.count;
  p->lost_choosers = count_choosers(p, &unknown);
  if (p->lost_choosers > 0)
    rmq_connection_has_choosers(p->connection);
  pthread_mutex_lock(&p->lock);
  rmq_outbox_unpop_all(&p->fifo.outbox, &unknown);
  p->in_flight = 0;
  pthread_mutex_unlock(&p->lock);
}

/* Whether what the broker closed the channel with may be the fault of a message
 * alone: 406, it is too large; 404 or 403, the exchange that it chose itself is
 * missing or forbidden. Of the block's own exchange that is a matter of the
 * world, and messages wait. */
static bool is_message_to_blame(const struct rmq_publisher *p,
                                const struct rmq_connection_change *change) {
  int code = change->reply_code;
  return change->refused_method == RMQ_WIRE_BASIC_PUBLISH &&
         (code == 406 ||
          ((code == 404 || code == 403) && p->lost_choosers > 0));
}

/* The oldest message was alone when the broker closed the channel over it: it
 * would do so for ever. */
static void refuse_oldest(struct rmq_publisher *p,
                          const struct rmq_connection_change *change,
                          struct rmq_mono now) {
  pthread_mutex_lock(&p->lock);
  struct rmq_message *m = rmq_outbox_pop(&p->fifo.outbox);
  p->popped = m != NULL;
  pthread_mutex_unlock(&p->lock);
  if (m == NULL)
    return;
  struct verdicts v;
  init(&v, p, now);
  rmq_publisher_remember_reply(p, m, change->reply_code, change->reason);
  refuse(&v, m, RMQ_REFUSED_CLOSE);
  if (is_spent(p, m)) {
    v.add.rejected++;
    give_up(&v, m, RMQ_REFUSED_CLOSE);
  } else {
    delay(&v, m);
  }
  carry_out(&v);
}

void rmq_publisher_changed(struct rmq_publisher *p,
                           const struct rmq_connection_change *change,
                           struct rmq_mono now) {
  if (change->from == RMQ_SESSION_BLOCKED)
    p->timeout_from = now;
  if (!is_message_to_blame(p, change))
    return;
  if (p->lost_in_flight == 1)
    refuse_oldest(p, change, now);
  else
    p->suspects = p->lost_in_flight;
}

/* ------------------------------------------------------------------------
 * Second chances */

/* Takes the delayed messages whose time has come into due; when the next one's
 * has. */
static struct rmq_mono take_due(struct rmq_publisher *p, struct rmq_mono now,
                                struct rmq_list *due) {
  struct rmq_mono next = RMQ_NEVER;
  struct rmq_node *n = rmq_list_first(&p->delayed);
  while (n != NULL) {
    struct rmq_message *m = rmq_publisher_message(n);
    n = rmq_list_next(&p->delayed, n);
    if (!rmq_mono_reached(now, m->not_before)) {
      next = rmq_mono_min(next, m->not_before);
      continue;
    }
    rmq_list_remove(&p->delayed, &m->node);
    rmq_list_push_back(due, &m->node);
  }
  return next;
}

struct rmq_mono rmq_publisher_release_delayed(struct rmq_publisher *p,
                                              struct rmq_mono now) {
  if (!rmq_mono_reached(now, p->delayed_due))
    return p->delayed_due;
  struct rmq_list due;
  rmq_list_init(&due);
  struct rmq_mono next = take_due(p, now, &due);
  struct rmq_mono soon = rmq_mono_add(now, rmq_ms(DELAYED_INTERVAL_MS));
  p->delayed_due = rmq_mono_reached(soon, next) ? soon : next;
  pthread_mutex_lock(&p->lock);
  struct rmq_node *n;
  while ((n = rmq_list_pop_front(&due)) != NULL)
    rmq_outbox_requeue_back(&p->fifo.outbox, rmq_publisher_message(n));
  p->fifo.outbox.held = p->delayed.count;
  pthread_mutex_unlock(&p->lock);
  return p->delayed_due;
}
