/* SPDX-License-Identifier: MIT */
/* Publishing: as much as window, connection and broker take. */
#include "rmq_config.h"

#include "common/amqp/publisher_private.h"
#include "common/base/envelope.h"
#include "common/base/uuid.h"

enum { CONFIRM_TIMEOUT_MAX_S = 15 * 60, POPS_PER_LOCK = 32 };
/* How long a store that could not read is left alone. */
enum { FETCH_RETRY_S = 1 };

/* Messages that were popped together, and what became of them. */
struct round {
  struct rmq_publisher *p;
  struct rmq_mono now;
  struct rmq_message *messages[POPS_PER_LOCK];
  size_t count;
  struct rmq_list unencodable, done; /* done: expired, or sent for good */
  size_t cost_before, cost_after;    /* of those whose body was replaced */
  struct rmq_publisher_counters add;
};

/* Milliseconds that m may still live; 0 when it has expired, -1 = for ever. The
 * time of day has no say in it: clocks are set. */
static int64_t life_left(struct rmq_dur ttl, const struct rmq_message *m,
                         struct rmq_mono now) {
  if (ttl.ns <= 0)
    return -1;
  int64_t age = now.ns - m->born.ns;
  return age >= ttl.ns ? 0 : (ttl.ns - age - 1) / RMQ_NS_PER_MS + 1;
}

/* The block's, and its own where that is shorter. */
static struct rmq_dur ttl_of(const struct rmq_publisher *p,
                             const struct rmq_envelope *e) {
  struct rmq_dur ttl = p->config.ttl;
  const int64_t most_ms = INT64_MAX / RMQ_NS_PER_MS;
  if (e->expiration_ms <= 0)
    return ttl;
  struct rmq_dur own =
      rmq_ms(e->expiration_ms < most_ms ? e->expiration_ms : most_ms);
  return ttl.ns <= 0 || own.ns < ttl.ns ? own : ttl;
}

static void prepare(struct round *r, struct rmq_message *m) {
  if (m->is_prepared)
    return;
  size_t before = rmq_message_cost(m);
  r->p->handlers.prepare(r->p->handlers.ctx, m);
  r->cost_before += before;
  r->cost_after += rmq_message_cost(m);
}

static const char *exchange_of(const struct rmq_publisher_config *c,
                               const struct rmq_message *m) {
  return m->to_alternate ? c->alternate_exchange
                         : rmq_message_exchange(m, c->exchange);
}

static int publish(struct rmq_publisher *p, struct rmq_message *m,
                   const struct rmq_envelope *e, int64_t life_ms) {
  char traceparent[RMQ_TRACEPARENT_SIZE];
  m->latency.ns = -1;
  rmq_uuid_traceparent_of(rmq_message_id(m), traceparent);
  const struct rmq_publisher_config *c = &p->config;
  struct rmq_wire_publish w = {
      .exchange = exchange_of(c, m),
      .routing_key = m->key,
      .is_mandatory = c->is_mandatory,
      .is_persistent = c->is_persistent,
      .content_type = m->content_type,
      .content_encoding = m->content_encoding,
      .message_id = rmq_message_id(m),
      .app_id = c->app_id,
      .type = e->type,
      .correlation_id = e->correlation_id,
      .reply_to = e->reply_to,
      .priority = e->priority > 0 ? e->priority : c->priority,
      .expiration_ms = life_ms,
      .headers = c->headers,
      .own_headers = e->headers,
      .own_headers_count = e->headers_count,
      .timestamp_ms = rmq_wall_ms(m->time),
      .traceparent = e->traceparent != NULL ? e->traceparent : traceparent,
      .body = {m->body, m->body_len}};
  return rmq_connection_publish(p->connection, &w);
}

static void count_published(struct round *r, struct rmq_message *m) {
  r->add.published++;
  if (m->attempts++ > 0)
    r->add.republished++;
}

static void send(struct round *r, struct rmq_message *m) {
  static const struct rmq_envelope none = {.type = NULL};
  struct rmq_publisher *p = r->p;
  struct rmq_envelope_view v;
  bool has_own = m->extras != NULL && m->extras->envelope_len > 0;
  bool is_sound =
      !has_own || rmq_envelope_unpack(m->extras->envelope,
                                      m->extras->envelope_len, &v) == 0;
  const struct rmq_envelope *e = has_own && is_sound ? &v.envelope : &none;
  int64_t life_ms = life_left(ttl_of(p, e), m, r->now);
  if (life_ms == 0) {
    r->add.expired++;
    m->fate = RMQ_FATE_EXPIRED;
    rmq_list_push_back(&r->done, &m->node);
    return;
  }
  prepare(r, m);
  if (!is_sound || publish(p, m, e, life_ms) != 0) {
    rmq_list_push_back(&r->unencodable, &m->node);
    return;
  }
  count_published(r, m);
  if (p->config.wants_confirms) {
    rmq_confirms_add(&p->confirms, m, r->now);
  } else {
    r->add.unconfirmed++;
    m->fate = RMQ_FATE_SENT;
    rmq_list_push_back(&r->done, &m->node);
  }
}

/* After a close over one of them, suspects go one by one. */
static size_t window(const struct rmq_publisher *p) {
  return p->suspects > 0 ? 1 : p->confirms.window;
}

static bool has_room(const struct rmq_publisher *p) {
  return p->confirms.count < window(p) && rmq_confirms_has_room(&p->confirms) &&
         rmq_connection_can_publish(p->connection);
}

static void pop_some(struct round *r) {
  struct rmq_publisher *p = r->p;
  size_t n = window(p) - p->confirms.count;
  if (n > POPS_PER_LOCK)
    n = POPS_PER_LOCK;
  pthread_mutex_lock(&p->lock);
  rmq_fifo_read_on(&p->fifo);
  while (r->count < n &&
         (r->messages[r->count] = rmq_outbox_pop(&p->fifo.outbox)) != NULL)
    r->count++;
  p->popped = r->count;
  p->found_nothing = r->count == 0;
  pthread_mutex_unlock(&p->lock);
}

static void release_all(struct rmq_publisher *p, const struct rmq_list *list) {
  for (struct rmq_node *n = rmq_list_first(list); n != NULL;
       n = rmq_list_next(list, n))
    rmq_outbox_release(&p->fifo.outbox, rmq_publisher_message(n));
}

/* The first sent of the messages left our hands; the others go back to the
 * head. */
static void settle(struct round *r, size_t sent) {
  struct rmq_publisher *p = r->p;
  pthread_mutex_lock(&p->lock);
  rmq_outbox_recharge(&p->fifo.outbox, r->cost_before, r->cost_after);
  while (r->count > sent)
    rmq_outbox_unpop(&p->fifo.outbox, r->messages[--r->count]);
  release_all(p, &r->unencodable);
  release_all(p, &r->done);
  rmq_publisher_count_dropped(p, &r->unencodable, RMQ_PUBLISHER_DROP_encode);
  rmq_publisher_counters_add(&p->counters, &r->add);
  p->in_flight = p->confirms.count;
  p->popped = 0;
  pthread_mutex_unlock(&p->lock);
  rmq_publisher_end_all(p, &r->unencodable);
  rmq_publisher_end_all(p, &r->done);
}

/* False when nothing more can be published now. */
static bool publish_round(struct rmq_publisher *p, struct rmq_mono now) {
  struct round r = {.p = p, .now = now};
  rmq_list_init(&r.unencodable);
  rmq_list_init(&r.done);
  pop_some(&r);
  if (r.count == 0)
    return false;
  size_t popped = r.count, sent = 0;
  while (sent < popped && has_room(p))
    send(&r, r.messages[sent++]);
  settle(&r, sent);
  return sent == popped;
}

/* ------------------------------------------------------------------------
 * Deadlines */

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

/* A store that brought nothing is asked again after a while. When. */
static struct rmq_mono watch_store(struct rmq_publisher *p,
                                   struct rmq_mono now) {
  if (p->config.fifo.mode == RMQ_SPOOL_NONE)
    return RMQ_NEVER;
  pthread_mutex_lock(&p->lock);
  if (!p->fifo.is_stalled) {
    p->retry_fetch = RMQ_NEVER;
  } else if (rmq_mono_is_never(p->retry_fetch)) {
    p->retry_fetch = rmq_mono_add(now, rmq_s(FETCH_RETRY_S));
  } else if (rmq_mono_reached(now, p->retry_fetch)) {
    p->fifo.is_stalled = false;
    p->retry_fetch = RMQ_NEVER;
  }
  rmq_fifo_read_on(&p->fifo);
  pthread_mutex_unlock(&p->lock);
  return p->retry_fetch;
}

/* What waits and has expired ends, also while the broker is away. When the next
 * one does. */
static struct rmq_mono expire(struct rmq_publisher *p, struct rmq_mono now) {
  if (p->config.ttl.ns <= 0)
    return RMQ_NEVER;
  struct rmq_list expired;
  rmq_list_init(&expired);
  struct rmq_outbox *o = &p->fifo.outbox;
  int64_t left_ms = -1;
  const struct rmq_message *head;
  pthread_mutex_lock(&p->lock);
  while ((head = rmq_outbox_peek(o)) != NULL &&
         (left_ms = life_left(p->config.ttl, head, now)) == 0) {
    struct rmq_message *m = rmq_outbox_pop(o);
    m->fate = RMQ_FATE_EXPIRED;
    rmq_outbox_release(o, m);
    rmq_list_push_back(&expired, &m->node);
    p->counters.expired++;
  }
  pthread_mutex_unlock(&p->lock);
  rmq_publisher_end_all(p, &expired);
  return head == NULL ? RMQ_NEVER : rmq_mono_add(now, rmq_ms(left_ms));
}

struct rmq_mono rmq_publisher_step(struct rmq_publisher *p,
                                   struct rmq_mono now) {
  if (rmq_mono_reached(now, confirm_deadline(p)))
    confirm_timed_out(p, now);
  struct rmq_mono next =
      rmq_mono_min(watch_store(p, now), rmq_publisher_release_delayed(p, now));
  next = rmq_mono_min(next, expire(p, now));
  if (!rmq_mono_reached(now, p->paused_until))
    return rmq_mono_min(next,
                        rmq_mono_min(p->paused_until, confirm_deadline(p)));
  while (has_room(p) && publish_round(p, now))
    continue;
  return rmq_mono_min(next, confirm_deadline(p));
}
