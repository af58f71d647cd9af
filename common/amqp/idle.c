/* SPDX-License-Identifier: MIT */
/*
 * Connected, but consuming? A consumer that gets nothing asks, now and then,
 * whether the broker knows it and whether messages wait: what broke without a
 * word (a bug, a node that came back, a lost cancel, an exchange made anew)
 * would last for ever.
 */
#include "rmq_config.h"

#include "common/amqp/connection_private.h"

/* Messages may have come the moment before the broker answered: only what is
 * still so after this long counts. */
enum { SECOND_LOOK_S = 5 };

static struct rmq_dur shorter(struct rmq_dur a, struct rmq_dur b) {
  return a.ns < b.ns ? a : b;
}

static void rest(struct rmq_connection *c, struct rmq_mono now) {
  c->idle.is_asking = false;
  c->idle.is_suspect = false;
  c->idle.at = c->config.idle_check.ns > 0
                   ? rmq_mono_add(now, c->config.idle_check)
                   : RMQ_NEVER;
}

void rmq_idle_reset(struct rmq_connection *c) {
  c->idle.is_asking = false;
  c->idle.is_suspect = false;
  c->idle.at = RMQ_NEVER;
}

void rmq_idle_ready(struct rmq_connection *c, struct rmq_mono now) {
  if (c->config.prefetch > 0)
    rest(c, now);
}

void rmq_idle_delivered(struct rmq_connection *c, struct rmq_mono now) {
  c->idle.was_delivered = true;
  if (!c->idle.is_asking)
    rest(c, now);
}

static void restart(struct rmq_connection *c, struct rmq_mono now) {
  c->idle.restarts++;
  rmq_channel_abandon(c, "nothing was delivered", now);
}

/* Who deletes an exchange deletes its bindings, and one of the same name does
 * not have them. The broker closes the channel when there is none. */
static void bind_again(struct rmq_connection *c) {
  for (size_t i = 0; i < c->config.bindings_count; i++)
    if (rmq_wire_put_queue_bind(&c->out, c->queue,
                                c->config.bindings[i].exchange,
                                c->config.bindings[i].routing_key,
                                /* no_wait = */ true) != 0)
      return; /* no memory: the next time */
}

void rmq_idle_answered(struct rmq_connection *c, const struct rmq_wire_frame *f,
                       struct rmq_mono now) {
  bool is_known =
      f->u.declare_ok.consumers > 0 || c->config.backlog == RMQ_BACKLOG_UNTOLD;
  bool has_backlog =
      f->u.declare_ok.messages > 0 && c->config.backlog == RMQ_BACKLOG_OURS;
  bool was_suspect = c->idle.is_suspect;
  rest(c, now);
  if (c->idle.was_delivered)
    return;
  if (!is_known) {
    rmq_connection_because(c, 0, "",
                           "queue \"%s\" has no consumer, though we have "
                           "subscribed: subscribing anew",
                           c->queue);
    restart(c, now);
  } else if (has_backlog && was_suspect) {
    rmq_connection_because(c, 0, "",
                           "%u messages wait in queue \"%s\" and none is "
                           "delivered: subscribing anew",
                           f->u.declare_ok.messages, c->queue);
    restart(c, now);
  } else if (has_backlog) {
    c->idle.is_suspect = true;
    c->idle.at =
        rmq_mono_add(now, shorter(rmq_s(SECOND_LOOK_S), c->config.idle_check));
  } else {
    bind_again(c);
  }
}

static void ask(struct rmq_connection *c, struct rmq_mono now) {
  const struct rmq_wire_queue q = {.name = c->queue, .is_passive = true};
  if (rmq_wire_put_queue_declare(&c->out, &q) != 0) {
    rest(c, now); /* no memory: the next time */
    return;
  }
  c->idle.is_asking = true;
  c->idle.was_delivered = false;
  c->idle.at = rmq_mono_add(now, c->config.rpc_timeout);
}

void rmq_idle_tick(struct rmq_connection *c, struct rmq_mono now) {
  if (!rmq_mono_reached(now, c->idle.at))
    return;
  if (c->idle.is_asking && rmq_connection_is_held(c)) {
    c->idle.at = rmq_mono_add(now, c->config.rpc_timeout); /* it may be here */
  } else if (c->idle.is_asking) {
    rmq_connection_because(c, 0, "",
                           "no answer within %.0f s to a question about queue "
                           "\"%s\"",
                           rmq_dur_seconds(c->config.rpc_timeout), c->queue);
    rmq_connection_apply(c, RMQ_SESSION_ON_LINK_DOWN, now);
  } else if (c->consumer_tag[0] == '\0' || c->is_cancelling ||
             rmq_connection_is_held(c) ||
             !c->handlers.is_settled(c->handlers.ctx)) {
    rest(c, now); /* not consuming, or busy */
  } else {
    ask(c, now);
  }
}
