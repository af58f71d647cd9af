/* SPDX-License-Identifier: MIT */
/* The session's time: what is due, and what silence means. */
#include "rmq_config.h"

#include "common/amqp/connection_private.h"

enum { OUT_KEEP = 2 << 20 }; /* memory kept between large messages */

static bool has_heartbeats(const struct rmq_connection *c) {
  return c->wants_link && c->heartbeat.ns > 0;
}

/* Half of the interval, as RabbitMQ advises. */
static struct rmq_mono next_heartbeat(const struct rmq_connection *c) {
  return rmq_mono_add(c->sent_at, (struct rmq_dur){c->heartbeat.ns / 2});
}

/* Two intervals without a byte. */
static struct rmq_mono silent_at(const struct rmq_connection *c) {
  return rmq_mono_add(c->heard_at, (struct rmq_dur){c->heartbeat.ns * 2});
}

static void tick_heartbeat(struct rmq_connection *c, struct rmq_mono now) {
  if (!has_heartbeats(c))
    return;
  if (rmq_connection_is_held(c))
    c->heard_at = now;
  if (rmq_mono_reached(now, silent_at(c))) {
    rmq_connection_because(c, 0, "", "the broker was silent for %.0f s",
                           rmq_dur_seconds(rmq_mono_since(now, c->heard_at)));
    rmq_connection_apply(c, RMQ_SESSION_ON_LINK_DOWN, now);
    return;
  }
  /* Unsent output says the same, and behind a full socket a heartbeat would
   * only pile up. */
  if (rmq_mono_reached(now, next_heartbeat(c))) {
    if (c->out.len == 0)
      rmq_wire_put_heartbeat(&c->out);
    c->sent_at = now;
  }
}

/* Our channel.close has the time of any answer, though the delay is over. */
static void tick_reopening(struct rmq_connection *c, struct rmq_mono now) {
  struct rmq_mono answer_due =
      rmq_mono_add(c->state_since, c->config.rpc_timeout);
  if (!c->awaits_close_ok) {
    rmq_connection_apply(c, RMQ_SESSION_ON_REOPEN_DUE, now);
  } else if (rmq_mono_reached(now, answer_due)) {
    rmq_connection_because(c, 0, "", "channel.close was not answered");
    rmq_connection_apply(c, RMQ_SESSION_ON_LINK_DOWN, now);
  } else {
    c->deadline = answer_due;
  }
}

/* On to another host, if there is one that may be asked. */
static void tick_blocked(struct rmq_connection *c, double waited,
                         struct rmq_mono now) {
  rmq_hosts_begin_round(&c->hosts);
  rmq_hosts_skip(&c->hosts);
  if (!rmq_hosts_has_more(&c->hosts, now)) {
    c->deadline = rmq_connection_blocked_deadline(c, now);
    return;
  }
  rmq_hosts_failed(&c->hosts, &c->prng, now);
  c->blocked_moves++;
  c->leave_delay = rmq_backoff_next(&c->retry, rmq_prng_next(&c->prng));
  rmq_connection_because(c, 0, "", "blocked for %.0f s, trying another host",
                         waited);
  rmq_connection_apply(c, RMQ_SESSION_ON_LEAVE, now);
}

static void tick_state(struct rmq_connection *c, struct rmq_mono now) {
  if (!rmq_mono_reached(now, c->deadline))
    return;
  double waited = rmq_dur_seconds(rmq_mono_since(now, c->state_since));
  switch (c->state) {
  case RMQ_SESSION_WAITING:
    rmq_connection_apply(c, RMQ_SESSION_ON_RETRY_DUE, now);
    return;
  case RMQ_SESSION_CONNECTING:
    rmq_connection_because(c, 0, "", "no connection within %.0f s", waited);
    rmq_connection_apply(c, RMQ_SESSION_ON_LINK_DOWN, now);
    return;
  case RMQ_SESSION_LOGIN:
  case RMQ_SESSION_OPENING:
    rmq_connection_because(
        c, 0, "", "no answer within %.0f s while %s",
        rmq_dur_seconds(c->config.rpc_timeout),
        c->state == RMQ_SESSION_LOGIN ? "logging in" : "opening the channel");
    rmq_connection_apply(c, RMQ_SESSION_ON_LINK_DOWN, now);
    return;
  case RMQ_SESSION_REOPENING:
    tick_reopening(c, now);
    return;
  case RMQ_SESSION_CLOSING:
    rmq_connection_because(c, 0, "", "connection.close was not answered");
    rmq_connection_apply(c, RMQ_SESSION_ON_CLOSED, now);
    return;
  case RMQ_SESSION_BLOCKED:
    tick_blocked(c, waited, now);
    return;
  case RMQ_SESSION_STOPPED:
  case RMQ_SESSION_READY:
    c->deadline = RMQ_NEVER;
    return;
  }
}

/* An ack or reject that the output did not take: what follows would mean
 * something else to the broker. */
static void tick_unsent(struct rmq_connection *c, struct rmq_mono now) {
  if (!c->has_unsent)
    return;
  c->has_unsent = false;
  rmq_connection_because(c, 0, "", "no memory for an ack or reject");
  rmq_connection_apply(c, RMQ_SESSION_ON_LINK_DOWN, now);
}

void rmq_connection_tick(struct rmq_connection *c, struct rmq_mono now) {
  rmq_buf_shrink(&c->out, OUT_KEEP);
  tick_unsent(c, now);
  tick_state(c, now);
  rmq_failback_tick(c, now);
  rmq_idle_tick(c, now);
  tick_heartbeat(c, now);
}

struct rmq_mono rmq_connection_next_deadline(const struct rmq_connection *c) {
  struct rmq_mono next = c->has_unsent ? c->state_since : c->deadline;
  next = rmq_mono_min(next, rmq_failback_deadline(c));
  next = rmq_mono_min(next, c->idle.at);
  if (has_heartbeats(c))
    next = rmq_mono_min(next, rmq_mono_min(next_heartbeat(c), silent_at(c)));
  return next;
}
