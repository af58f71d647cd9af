/* SPDX-License-Identifier: MIT */
/*
 * Back to a better host without a needless outage: only one that listens is
 * gone to, and only when nothing is open, so that nothing arrives twice.
 */
#include "rmq_config.h"

#include "common/amqp/connection_private.h"

enum {
  SETTLED_POLL_MS = 20,  /* how often is_settled is asked */
  CONSUMER_DRAIN_S = 60, /* then what is unacked is delivered again elsewhere */
  JITTER_DIVISOR = 4     /* up to a quarter of the interval */
};

/* Agents that left a node together do not come back together. */
static void rest(struct rmq_connection *c, struct rmq_mono now) {
  int64_t interval = c->config.failback_interval.ns;
  uint64_t jitter =
      rmq_prng_below(&c->prng, (uint64_t)interval / JITTER_DIVISOR + 1);
  c->failback.phase = RMQ_FAILBACK_RESTING;
  c->failback.deadline =
      rmq_mono_add(now, (struct rmq_dur){interval + (int64_t)jitter});
}

void rmq_failback_reset(struct rmq_connection *c) {
  c->failback.phase = RMQ_FAILBACK_RESTING;
  c->failback.deadline = RMQ_NEVER;
  c->failback.probe_number++;
}

void rmq_connection_stay(struct rmq_connection *c) {
  c->config.failback_interval = rmq_s(0);
  if (c->failback.phase != RMQ_FAILBACK_LEAVING)
    rmq_failback_reset(c);
}

void rmq_failback_ready(struct rmq_connection *c, struct rmq_mono now) {
  bool has_begun = !rmq_mono_is_never(c->failback.deadline);
  if (!has_begun && c->config.failback_interval.ns > 0 &&
      !c->config.is_random_order && c->hosts.current > 0)
    rest(c, now);
}

/* after: the last candidate, or count for none. */
static void probe_next(struct rmq_connection *c, size_t after,
                       struct rmq_mono now) {
  size_t better = rmq_hosts_better(&c->hosts, after, now);
  c->failback.probe_number++;
  if (better == c->hosts.count) {
    rest(c, now);
    return;
  }
  c->failback.phase = RMQ_FAILBACK_PROBING;
  c->failback.candidate = better;
  c->failback.deadline = rmq_mono_add(now, c->config.connect_timeout);
}

struct rmq_link_wish rmq_connection_probe_wish(const struct rmq_connection *c) {
  bool wants = c->failback.phase == RMQ_FAILBACK_PROBING;
  return (struct rmq_link_wish){
      c->failback.probe_number,
      wants ? &c->config.endpoints[c->failback.candidate] : NULL};
}

static void drain(struct rmq_connection *c, struct rmq_mono now) {
  bool is_consumer = rmq_connection_cancel(c);
  c->failback.probe_number++;
  c->failback.phase = RMQ_FAILBACK_DRAINING;
  c->failback.poll_at = rmq_mono_add(now, rmq_ms(SETTLED_POLL_MS));
  c->failback.deadline = rmq_mono_add(now, is_consumer ? rmq_s(CONSUMER_DRAIN_S)
                                                       : c->config.rpc_timeout);
}

void rmq_connection_probed(struct rmq_connection *c, bool is_listening,
                           struct rmq_mono now) {
  if (c->failback.phase != RMQ_FAILBACK_PROBING)
    return;
  if (!is_listening)
    probe_next(c, c->failback.candidate, now);
  else if (c->state == RMQ_SESSION_READY)
    drain(c, now);
  else
    rest(c, now); /* a blocked broker confirms nothing */
}

void rmq_failback_explain(struct rmq_connection *c) {
  const struct rmq_endpoint *e = &c->config.endpoints[c->failback.candidate];
  rmq_connection_because(c, 0, "", "going back to %s:%u, which listens again",
                         e->host, e->port);
}

static void leave(struct rmq_connection *c, struct rmq_mono now) {
  rmq_hosts_begin_round(&c->hosts);
  rmq_hosts_force(&c->hosts, c->failback.candidate);
  c->leave_delay = rmq_ms(1); /* the close has to be sent first */
  c->failback.phase = RMQ_FAILBACK_LEAVING;
  c->failback.deadline = RMQ_NEVER;
  rmq_failback_explain(c);
  rmq_connection_apply(c, RMQ_SESSION_ON_LEAVE, now);
}

static bool is_settled(const struct rmq_connection *c) {
  return !c->is_cancelling && c->out.len == 0 &&
         c->handlers.is_settled(c->handlers.ctx);
}

/* A consumer is cancelled already and has to leave; a publisher that got no
 * confirm, and will get none from a blocked broker, stays. */
static void tick_draining(struct rmq_connection *c, struct rmq_mono now) {
  bool is_consumer = c->config.prefetch > 0;
  bool is_late = rmq_mono_reached(now, c->failback.deadline) ||
                 (!is_consumer && c->state == RMQ_SESSION_BLOCKED);
  if (is_settled(c) || (is_late && is_consumer))
    leave(c, now);
  else if (is_late)
    rest(c, now);
  else
    c->failback.poll_at = rmq_mono_add(now, rmq_ms(SETTLED_POLL_MS));
}

void rmq_failback_tick(struct rmq_connection *c, struct rmq_mono now) {
  switch (c->failback.phase) {
  case RMQ_FAILBACK_RESTING:
    if (rmq_mono_reached(now, c->failback.deadline))
      probe_next(c, c->hosts.count, now);
    return;
  case RMQ_FAILBACK_PROBING:
    if (rmq_mono_reached(now, c->failback.deadline))
      rmq_connection_probed(c, false, now);
    return;
  case RMQ_FAILBACK_DRAINING:
    tick_draining(c, now);
    return;
  case RMQ_FAILBACK_LEAVING:
    return;
  }
}

struct rmq_mono rmq_failback_deadline(const struct rmq_connection *c) {
  return c->failback.phase == RMQ_FAILBACK_DRAINING
             ? rmq_mono_min(c->failback.deadline, c->failback.poll_at)
             : c->failback.deadline;
}
