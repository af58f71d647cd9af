/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/amqp/publisher.h"

#include "common/base/backoff.h"
#include "common/base/prng.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { CONFIRM_TIMEOUT_MAX_S = 15 * 60, POPS_PER_LOCK = 32 };
/* Many messages may be delayed: they are looked through this often at most. */
enum { DELAYED_INTERVAL_MS = 100 };

struct rmq_publisher {
  struct rmq_publisher_config config;
  struct rmq_publisher_handlers handlers;
  struct rmq_uuid instance;
  struct rmq_connection *connection;

  pthread_mutex_t lock; /* protects from here ... */
  struct rmq_outbox outbox;
  struct rmq_publisher_counters counters;
  struct rmq_latency latency;
  uint64_t next_seq;
  size_t in_flight;    /* as the snapshot shows it */
  size_t wanted_bytes; /* largest message that delayed ones left no room for */
  size_t popped; /* taken from the outbox, neither in flight nor given back */
  bool found_nothing; /* the worker could publish and the outbox was empty */
  bool is_abandoned;  /* ... to here */

  /* The worker's thread only. */
  struct rmq_confirms confirms;
  struct rmq_list delayed;     /* refused, waiting for not_before; the outbox
                                  knows their number as held */
  struct rmq_mono delayed_due; /* when to look through them */
  struct rmq_backoff nack_backoff;
  struct rmq_mono paused_until; /* after a nack */
  struct rmq_dur timeout;       /* doubles while nothing is confirmed */
  struct rmq_mono timeout_from; /* no earlier: end of a blockade */
  struct rmq_prng prng;
};

const char *rmq_refusal_policy_to_str(enum rmq_refusal_policy p) {
  switch (p) {
  case RMQ_REFUSAL_RETRY:
    return "retry";
  case RMQ_REFUSAL_DROP:
    return "drop";
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

static struct rmq_message *message_of(struct rmq_node *n) {
  return RMQ_ELEMENT(n, struct rmq_message, node);
}

static void free_all(struct rmq_list *messages) {
  struct rmq_node *n;
  while ((n = rmq_list_pop_front(messages)) != NULL)
    rmq_message_free(message_of(n));
}

struct rmq_publisher *
rmq_publisher_new(const struct rmq_publisher_config *config,
                  const struct rmq_publisher_handlers *handlers,
                  struct rmq_uuid instance, uint64_t seed) {
  struct rmq_publisher *p = calloc(1, sizeof(*p));
  if (p == NULL || rmq_confirms_init(&p->confirms, config->window) != 0) {
    free(p);
    return NULL;
  }
  pthread_mutex_init(&p->lock, NULL);
  p->config = *config;
  p->handlers = *handlers;
  p->instance = instance;
  p->prng.state = seed;
  p->next_seq = 1;
  p->timeout = config->confirm_timeout;
  rmq_latency_clear(&p->latency);
  rmq_list_init(&p->delayed);
  p->delayed_due = RMQ_NEVER;
  rmq_backoff_init(&p->nack_backoff, config->retry_min, config->retry_max);
  rmq_outbox_init(&p->outbox, config->queue_messages, config->queue_bytes,
                  config->overflow);
  return p;
}

void rmq_publisher_free(struct rmq_publisher *p) {
  if (p == NULL)
    return;
  rmq_publisher_abandon(p);
  rmq_outbox_fini(&p->outbox);
  rmq_confirms_fini(&p->confirms);
  pthread_mutex_destroy(&p->lock);
  free(p);
}

void rmq_publisher_attach(struct rmq_publisher *p, struct rmq_connection *c) {
  p->connection = c;
}

/* ------------------------------------------------------------------------
 * Any thread */

static void count_dropped(struct rmq_publisher *p, const struct rmq_list *list,
                          enum rmq_publisher_drop cause) {
  for (struct rmq_node *n = rmq_list_first(list); n != NULL;
       n = rmq_list_next(list, n)) {
    p->counters.dropped[cause]++;
    p->counters.values_dropped += message_of(n)->values;
  }
}

/* An eighth at most, lest one giant pushes all others out. */
static void want_bytes(struct rmq_publisher *p, size_t cost) {
  size_t most = p->config.queue_bytes / 8;
  if (cost > most)
    cost = most;
  if (p->wanted_bytes < cost)
    p->wanted_bytes = cost;
}

bool rmq_publisher_accept(struct rmq_publisher *p, struct rmq_message *m,
                          size_t *ret_dropped) {
  struct rmq_list dropped;
  rmq_list_init(&dropped);
  pthread_mutex_lock(&p->lock);
  p->counters.accepted++;
  p->counters.values_accepted += m->values;
  m->seq = p->next_seq++;
  bool is_kept = false;
  if (p->is_abandoned)
    rmq_list_push_back(&dropped, &m->node);
  else
    is_kept = rmq_outbox_push(&p->outbox, m, &dropped);
  if (!is_kept)
    want_bytes(p, rmq_message_cost(m));
  count_dropped(p, &dropped,
                p->is_abandoned ? RMQ_PUBLISHER_DROP_shutdown
                                : RMQ_PUBLISHER_DROP_overflow);
  bool wakes = is_kept && p->found_nothing;
  if (wakes)
    p->found_nothing = false;
  pthread_mutex_unlock(&p->lock);
  if (ret_dropped != NULL)
    *ret_dropped = dropped.count;
  free_all(&dropped);
  return wakes;
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
  ret->counters = p->counters;
  ret->outbox = rmq_outbox_count(&p->outbox) + p->outbox.held + p->popped;
  ret->in_flight = p->in_flight;
  ret->latency = p->latency;
  if (take_latency)
    rmq_latency_clear(&p->latency);
  pthread_mutex_unlock(&p->lock);
}

/* ------------------------------------------------------------------------
 * Outcomes into policy: the one place. Messages that go back into the FIFO or
 * end are collected first, and moved under one lock. */

struct verdicts {
  struct rmq_publisher *p;
  struct rmq_mono now;
  struct rmq_list ended; /* to be released and freed */
  struct rmq_list again; /* nacked, back to the head */
  struct rmq_list later; /* returned, to the tail after a delay */
  struct rmq_publisher_counters add;
};

static bool is_spent(const struct rmq_publisher *p,
                     const struct rmq_message *m) {
  return m->refusals >= p->config.max_attempts;
}

static void give_up(struct verdicts *v, struct rmq_message *m,
                    enum rmq_outcome outcome) {
  struct rmq_publisher_given_up g = {m, outcome, v->p->config.exchange};
  v->p->handlers.given_up(v->p->handlers.ctx, &g);
  rmq_list_push_back(&v->ended, &m->node);
}

static void on_nack(struct verdicts *v, struct rmq_message *m) {
  struct rmq_publisher *p = v->p;
  v->add.nack++;
  m->refusals++;
  p->handlers.refused(p->handlers.ctx, m, RMQ_NACKED);
  if (p->config.on_nack == RMQ_REFUSAL_DROP || is_spent(p, m)) {
    v->add.rejected++;
    give_up(v, m, RMQ_NACKED);
  } else {
    rmq_list_push_back(&v->again, &m->node);
  }
}

static void on_returned(struct verdicts *v, struct rmq_message *m) {
  struct rmq_publisher *p = v->p;
  v->add.return_++;
  m->refusals++;
  p->handlers.refused(p->handlers.ctx, m, RMQ_RETURNED);
  if (p->config.on_return == RMQ_REFUSAL_DROP || is_spent(p, m)) {
    v->add.returned++;
    give_up(v, m, RMQ_RETURNED);
    return;
  }
  struct rmq_backoff b = {p->config.retry_min, p->config.retry_max,
                          m->refusals - 1};
  m->not_before =
      rmq_mono_add(v->now, rmq_backoff_next(&b, rmq_prng_next(&p->prng)));
  rmq_list_push_back(&v->later, &m->node);
}

static void on_outcome(void *ctx, struct rmq_message *m,
                       enum rmq_outcome outcome, struct rmq_mono published) {
  struct verdicts *v = ctx;
  switch (outcome) {
  case RMQ_CONFIRMED:
    v->add.confirmed++;
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

static void add_counters(struct rmq_publisher_counters *to,
                         const struct rmq_publisher_counters *add) {
  to->confirmed += add->confirmed;
  to->returned += add->returned;
  to->rejected += add->rejected;
  to->nack += add->nack;
  to->return_ += add->return_;
}

static void book_ended(struct rmq_publisher *p, const struct rmq_message *m) {
  rmq_outbox_release(&p->outbox, m);
  if (m->latency.ns >= 0)
    rmq_latency_add(&p->latency, m->latency);
}

static bool is_crowded(const struct rmq_publisher *p) {
  const struct rmq_outbox *o = &p->outbox;
  return rmq_outbox_count(o) + p->delayed.count >= o->max_messages ||
         o->bytes + p->wanted_bytes > o->max_bytes;
}

/* Under the lock: delayed messages make room for the next one, as the policy
 * says. Those that had to go are appended to ended. */
static void drop_delayed(struct rmq_publisher *p, struct rmq_list *ended) {
  struct rmq_list dropped;
  rmq_list_init(&dropped);
  while (p->config.overflow == RMQ_DROP_OLDEST && is_crowded(p) &&
         !rmq_list_is_empty(&p->delayed)) {
    struct rmq_node *n = rmq_list_pop_front(&p->delayed);
    rmq_outbox_release(&p->outbox, message_of(n));
    rmq_list_push_back(&dropped, n);
  }
  count_dropped(p, &dropped, RMQ_PUBLISHER_DROP_overflow);
  struct rmq_node *n;
  while ((n = rmq_list_pop_front(&dropped)) != NULL)
    rmq_list_push_back(ended, n);
}

/* Under the lock. */
static void book(struct verdicts *v) {
  struct rmq_publisher *p = v->p;
  struct rmq_node *n;
  add_counters(&p->counters, &v->add);
  for (n = rmq_list_first(&v->ended); n != NULL;
       n = rmq_list_next(&v->ended, n))
    book_ended(p, message_of(n));
  /* Backwards, so that each finds its place at the head at once. */
  while ((n = rmq_list_last(&v->again)) != NULL) {
    rmq_list_remove(&v->again, n);
    rmq_outbox_unpop(&p->outbox, message_of(n));
    p->counters.late++;
  }
  while ((n = rmq_list_pop_front(&v->later)) != NULL) {
    rmq_list_push_back(&p->delayed, n);
    p->delayed_due = rmq_mono_min(p->delayed_due, message_of(n)->not_before);
    p->counters.late++;
  }
  drop_delayed(p, &v->ended);
  p->outbox.held = p->delayed.count;
  p->in_flight = p->confirms.count;
  p->counters.stray = p->confirms.strays;
}

void rmq_publisher_confirmed(struct rmq_publisher *p, uint64_t epoch,
                             uint64_t seqno, bool multiple, bool is_nack,
                             struct rmq_mono now) {
  struct verdicts v = {.p = p, .now = now};
  rmq_list_init(&v.ended);
  rmq_list_init(&v.again);
  rmq_list_init(&v.later);
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
  pthread_mutex_lock(&p->lock);
  book(&v);
  pthread_mutex_unlock(&p->lock);
  free_all(&v.ended);
}

void rmq_publisher_returned(struct rmq_publisher *p, uint64_t epoch,
                            const struct rmq_returned *r) {
  struct rmq_span id = rmq_span_of(r->message_id);
  rmq_confirms_mark_returned(&p->confirms, epoch, id.bytes, id.len);
}

void rmq_publisher_ready(struct rmq_publisher *p, uint64_t epoch,
                         struct rmq_mono now) {
  rmq_confirms_begin(&p->confirms, epoch);
  p->timeout_from = now;
}

void rmq_publisher_lost(struct rmq_publisher *p, struct rmq_mono now) {
  (void)now;
  struct rmq_list unknown;
  rmq_list_init(&unknown);
  rmq_confirms_lose(&p->confirms, &unknown);
  pthread_mutex_lock(&p->lock);
  rmq_outbox_unpop_all(&p->outbox, &unknown);
  p->in_flight = 0;
  pthread_mutex_unlock(&p->lock);
}

void rmq_publisher_changed(struct rmq_publisher *p,
                           const struct rmq_connection_change *change,
                           struct rmq_mono now) {
  if (change->from == RMQ_SESSION_BLOCKED)
    p->timeout_from = now;
}

/* ------------------------------------------------------------------------
 * Publishing */

static int publish(struct rmq_publisher *p, struct rmq_message *m) {
  char traceparent[RMQ_TRACEPARENT_SIZE];
  if (m->id[0] == '\0')
    rmq_uuid_message_id(p->instance, m->seq, m->id);
  m->latency.ns = -1;
  rmq_uuid_traceparent_of(m->id, traceparent);
  struct rmq_wire_publish w = {.exchange = p->config.exchange,
                               .routing_key = m->key,
                               .is_mandatory = p->config.is_mandatory,
                               .is_persistent = p->config.is_persistent,
                               .content_type = m->content_type,
                               .content_encoding = m->content_encoding,
                               .message_id = m->id,
                               .app_id = p->config.app_id,
                               .timestamp_ms = rmq_wall_ms(m->time),
                               .traceparent = traceparent,
                               .body = {m->body, m->body_len}};
  return rmq_connection_publish(p->connection, &w);
}

/* Pops up to n messages. */
static size_t pop_some(struct rmq_publisher *p, struct rmq_message **messages,
                       size_t n) {
  size_t got = 0;
  pthread_mutex_lock(&p->lock);
  while (got < n && (messages[got] = rmq_outbox_pop(&p->outbox)) != NULL)
    got++;
  p->popped = got;
  p->found_nothing = got == 0;
  pthread_mutex_unlock(&p->lock);
  return got;
}

static size_t room(const struct rmq_publisher *p) {
  size_t n = p->confirms.window - p->confirms.count;
  return n < POPS_PER_LOCK ? n : POPS_PER_LOCK;
}

/* Publishes messages[0 .. n) as far as it goes; returns how many left our
 * hands: published, or unencodable (appended to ended). */
static size_t publish_some(struct rmq_publisher *p,
                           struct rmq_message **messages, size_t n,
                           struct rmq_mono now, struct rmq_list *ended,
                           struct rmq_publisher_counters *add) {
  size_t i = 0;
  for (; i < n && rmq_confirms_has_room(&p->confirms) &&
         rmq_connection_can_publish(p->connection);
       i++) {
    struct rmq_message *m = messages[i];
    if (publish(p, m) != 0) {
      rmq_list_push_back(ended, &m->node);
      continue;
    }
    add->published++;
    if (m->attempts++ > 0)
      add->republished++;
    rmq_confirms_add(&p->confirms, m, now);
  }
  return i;
}

/* What was not sent goes back to the head; what cannot be sent ends. */
static void settle_popped(struct rmq_publisher *p, struct rmq_message **unsent,
                          size_t n, struct rmq_list *ended,
                          const struct rmq_publisher_counters *add) {
  pthread_mutex_lock(&p->lock);
  while (n > 0)
    rmq_outbox_unpop(&p->outbox, unsent[--n]);
  for (struct rmq_node *e = rmq_list_first(ended); e != NULL;
       e = rmq_list_next(ended, e))
    rmq_outbox_release(&p->outbox, message_of(e));
  count_dropped(p, ended, RMQ_PUBLISHER_DROP_encode);
  p->counters.published += add->published;
  p->counters.republished += add->republished;
  p->in_flight = p->confirms.count;
  p->popped = 0;
  pthread_mutex_unlock(&p->lock);
  free_all(ended);
}

/* False when nothing more can be published now. */
static bool publish_round(struct rmq_publisher *p, struct rmq_mono now) {
  struct rmq_message *messages[POPS_PER_LOCK];
  size_t n = pop_some(p, messages, room(p));
  if (n == 0)
    return false;
  struct rmq_list ended;
  rmq_list_init(&ended);
  struct rmq_publisher_counters add = {0};
  size_t sent = publish_some(p, messages, n, now, &ended, &add);
  settle_popped(p, messages + sent, n - sent, &ended, &add);
  return sent == n;
}

/* Takes the delayed messages whose time has come into due; when the next one's
 * has. */
static struct rmq_mono take_due(struct rmq_publisher *p, struct rmq_mono now,
                                struct rmq_list *due) {
  struct rmq_mono next = RMQ_NEVER;
  struct rmq_node *n = rmq_list_first(&p->delayed);
  while (n != NULL) {
    struct rmq_message *m = message_of(n);
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

/* Refused messages whose time has come go to the tail. */
static struct rmq_mono release_delayed(struct rmq_publisher *p,
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
    rmq_outbox_requeue_back(&p->outbox, message_of(n));
  p->outbox.held = p->delayed.count;
  pthread_mutex_unlock(&p->lock);
  return p->delayed_due;
}

/* Later of publish and the end of a blockade, plus the time-out; never while
 * blocked. */
static struct rmq_mono confirm_deadline(const struct rmq_publisher *p) {
  struct rmq_mono oldest = rmq_confirms_oldest(&p->confirms);
  if (rmq_mono_is_never(oldest) || rmq_connection_is_blocked(p->connection))
    return RMQ_NEVER;
  if (oldest.ns < p->timeout_from.ns)
    oldest = p->timeout_from;
  return rmq_mono_add(oldest, p->timeout);
}

static void confirm_timed_out(struct rmq_publisher *p, struct rmq_mono now) {
  struct rmq_error reason = {""};
  rmq_error_set(&reason,
                "no confirm within %.0f s (ConfirmTimeout); the messages in "
                "flight are published again",
                rmq_dur_seconds(p->timeout));
  struct rmq_dur most = rmq_s(CONFIRM_TIMEOUT_MAX_S);
  p->timeout.ns = p->timeout.ns > most.ns / 2 ? most.ns : p->timeout.ns * 2;
  if (p->timeout.ns < p->config.confirm_timeout.ns)
    p->timeout = p->config.confirm_timeout;
  pthread_mutex_lock(&p->lock);
  p->counters.confirm_timeout++;
  pthread_mutex_unlock(&p->lock);
  rmq_connection_fail(p->connection, reason.text, now);
}

struct rmq_mono rmq_publisher_step(struct rmq_publisher *p,
                                   struct rmq_mono now) {
  if (rmq_mono_reached(now, confirm_deadline(p)))
    confirm_timed_out(p, now);
  struct rmq_mono next = release_delayed(p, now);
  if (!rmq_mono_reached(now, p->paused_until))
    return rmq_mono_min(next,
                        rmq_mono_min(p->paused_until, confirm_deadline(p)));
  while (rmq_connection_can_publish(p->connection) &&
         rmq_confirms_has_room(&p->confirms) && publish_round(p, now))
    continue;
  return rmq_mono_min(next, confirm_deadline(p));
}

/* ------------------------------------------------------------------------
 * The end */

bool rmq_publisher_is_drained(struct rmq_publisher *p) {
  struct rmq_publisher_snapshot s;
  rmq_publisher_snapshot(p, /* take_latency = */ false, &s);
  return s.outbox == 0 && s.in_flight == 0;
}

size_t rmq_publisher_abandon(struct rmq_publisher *p) {
  struct rmq_list left;
  rmq_list_init(&left);
  rmq_confirms_lose(&p->confirms, &left);
  struct rmq_node *n;
  while ((n = rmq_list_pop_front(&p->delayed)) != NULL)
    rmq_list_push_back(&left, n);
  pthread_mutex_lock(&p->lock);
  rmq_outbox_unpop_all(&p->outbox, &left);
  struct rmq_message *m;
  while ((m = rmq_outbox_pop(&p->outbox)) != NULL) {
    rmq_outbox_release(&p->outbox, m);
    rmq_list_push_back(&left, &m->node);
  }
  count_dropped(p, &left, RMQ_PUBLISHER_DROP_shutdown);
  p->in_flight = p->outbox.held = 0;
  p->is_abandoned = true;
  pthread_mutex_unlock(&p->lock);
  size_t count = left.count;
  free_all(&left);
  return count;
}
