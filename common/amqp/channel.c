/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/amqp/connection_private.h"

#include <stdio.h>
#include <string.h>

/* What the broker answers to a step of the set-up. */
static enum rmq_method answer_to(enum rmq_setup setup) {
  switch (setup) {
  case RMQ_SETUP_OPEN:
    return RMQ_METHOD_CHANNEL_OPEN_OK;
  case RMQ_SETUP_ALTERNATE:
  case RMQ_SETUP_EXCHANGE:
    return RMQ_METHOD_EXCHANGE_DECLARE_OK;
  case RMQ_SETUP_QUEUE:
    return RMQ_METHOD_QUEUE_DECLARE_OK;
  case RMQ_SETUP_BIND:
    return RMQ_METHOD_QUEUE_BIND_OK;
  case RMQ_SETUP_CONFIRM:
    return RMQ_METHOD_CONFIRM_SELECT_OK;
  case RMQ_SETUP_QOS:
    return RMQ_METHOD_BASIC_QOS_OK;
  case RMQ_SETUP_CONSUME:
    return RMQ_METHOD_BASIC_CONSUME_OK;
  case RMQ_SETUP_DONE:
    break;
  }
  return RMQ_METHOD_CONNECTION_CLOSE_OK; /* nothing is awaited */
}

static bool is_needed(const struct rmq_connection *c, enum rmq_setup setup) {
  switch (setup) {
  case RMQ_SETUP_OPEN:
  case RMQ_SETUP_DONE:
    return true;
  case RMQ_SETUP_ALTERNATE:
    return c->config.alternate_exchange != NULL;
  case RMQ_SETUP_EXCHANGE:
    return c->config.exchange != NULL;
  case RMQ_SETUP_QUEUE:
    return c->config.queue != NULL;
  case RMQ_SETUP_BIND:
    return c->binding < c->config.bindings_count;
  case RMQ_SETUP_CONFIRM:
    return c->config.wants_confirms;
  case RMQ_SETUP_QOS:
  case RMQ_SETUP_CONSUME:
    return c->config.prefetch > 0;
  }
  return false;
}

static int send_setup(struct rmq_connection *c) {
  const struct rmq_connection_config *cfg = &c->config;
  struct rmq_wire_exchange alternate = {
      .name = cfg->alternate_exchange, .type = "", .is_passive = true};
  switch (c->setup) {
  case RMQ_SETUP_OPEN:
    return rmq_wire_put_channel_open(&c->out);
  case RMQ_SETUP_ALTERNATE:
    return rmq_wire_put_exchange_declare(&c->out, &alternate);
  case RMQ_SETUP_EXCHANGE:
    return rmq_wire_put_exchange_declare(&c->out, cfg->exchange);
  case RMQ_SETUP_QUEUE:
    return rmq_wire_put_queue_declare(&c->out, cfg->queue);
  case RMQ_SETUP_BIND:
    return rmq_wire_put_queue_bind(&c->out, c->queue,
                                   cfg->bindings[c->binding].exchange,
                                   cfg->bindings[c->binding].routing_key,
                                   /* no_wait = */ false);
  case RMQ_SETUP_CONFIRM:
    return rmq_wire_put_confirm_select(&c->out);
  case RMQ_SETUP_QOS:
    return rmq_wire_put_qos(&c->out, cfg->prefetch);
  case RMQ_SETUP_CONSUME:
    return rmq_wire_put_consume(&c->out, c->queue, cfg->consumer_tag, false,
                                cfg->consumer_arguments);
  case RMQ_SETUP_DONE:
    break;
  }
  return 0;
}

static void channel_ready(struct rmq_connection *c, struct rmq_mono now) {
  c->epoch++;
  c->has_progress = false;
  c->handlers.ready(c->handlers.ctx, c->epoch, now);
  rmq_idle_ready(c, now);
  rmq_connection_because(c, 0, "", "ready");
  rmq_connection_apply(c, RMQ_SESSION_ON_CHANNEL_READY, now);
}

/* Sends the step that c->setup names, or the next one that is needed. */
static void continue_setup(struct rmq_connection *c, struct rmq_mono now) {
  while (!is_needed(c, c->setup))
    c->setup++;
  if (c->setup == RMQ_SETUP_DONE) {
    channel_ready(c, now);
  } else if (send_setup(c) != 0) {
    rmq_connection_fail(c, "a name or argument is longer than AMQP allows",
                        now);
  } else {
    rmq_connection_await(c, now);
  }
}

void rmq_channel_open(struct rmq_connection *c, struct rmq_mono now) {
  c->setup = RMQ_SETUP_OPEN;
  c->binding = 0;
  rmq_content_reset(&c->content);
  rmq_span_copy(
      rmq_span_of(c->config.queue == NULL ? "" : c->config.queue->name),
      c->queue, sizeof(c->queue));
  continue_setup(c, now);
}

static void setup_answered(struct rmq_connection *c,
                           const struct rmq_wire_frame *f,
                           struct rmq_mono now) {
  if (c->setup == RMQ_SETUP_QUEUE)
    rmq_span_copy(f->u.declare_ok.queue, c->queue, sizeof(c->queue));
  if (c->setup == RMQ_SETUP_CONSUME)
    rmq_span_copy(f->u.consumer_tag, c->consumer_tag, sizeof(c->consumer_tag));
  if (c->setup == RMQ_SETUP_BIND)
    c->binding++;
  else
    c->setup++;
  continue_setup(c, now);
}

/* ------------------------------------------------------------------------
 * channel.close and what to do about it */

static const char *remedy_for(const struct rmq_connection *c, unsigned code,
                              unsigned class_id) {
  enum rmq_setup setup = c->setup;
  if (code == 403 && c->idle.is_asking)
    return "the user may not look at its queue, so idle checks end here: set "
           "IdleCheckInterval 0, or give the user the permission";
  if (code == 404 && setup == RMQ_SETUP_DONE && c->config.prefetch > 0)
    return "what this block declares is declared anew; create the rest";
  if (code == 404 && setup == RMQ_SETUP_ALTERNATE)
    return "create the exchange that AlternateExchange names, or correct it";
  if (code == 403)
    return "give the user the permission that the broker names";
  if (code == 404 && class_id == 50)
    return "create the queue or the exchange, or correct Queue and Exchange";
  if (code == 404)
    return "create the exchange, set ExchangeType so that it is declared, or "
           "correct Exchange";
  if (code == 405)
    return "the queue is exclusive to another connection: use another Queue";
  if (code == 406 && (class_id == 50 || class_id == 40))
    return "it exists with other properties: make the options match, declare "
           "it passively, or delete it on the broker";
  return "";
}

static const char *setup_name(enum rmq_setup setup) {
  switch (setup) {
  case RMQ_SETUP_OPEN:
    return "opening the channel";
  case RMQ_SETUP_ALTERNATE:
    return "looking for the alternate exchange";
  case RMQ_SETUP_EXCHANGE:
    return "declaring the exchange";
  case RMQ_SETUP_QUEUE:
    return "declaring the queue";
  case RMQ_SETUP_BIND:
    return "binding the queue";
  case RMQ_SETUP_CONFIRM:
    return "asking for confirms";
  case RMQ_SETUP_QOS:
  case RMQ_SETUP_CONSUME:
    return "subscribing";
  case RMQ_SETUP_DONE:
    return "working";
  }
  return "working";
}

static void channel_closed(struct rmq_connection *c,
                           const struct rmq_wire_frame *f,
                           struct rmq_mono now) {
  char text[256];
  rmq_span_copy(f->u.close.text, text, sizeof(text));
  rmq_wire_put_channel_close_ok(&c->out);
  rmq_content_reset(&c->content);
  rmq_connection_because(c, f->u.close.code,
                         remedy_for(c, f->u.close.code, f->u.close.class_id),
                         "the broker closed the channel while %s: %u %s",
                         setup_name(c->setup), f->u.close.code, text);
  if (c->idle.is_asking && f->u.close.code == 403)
    c->config.idle_check = rmq_s(0);
  rmq_connection_blame(c, f);
  rmq_connection_apply(c, RMQ_SESSION_ON_CHANNEL_CLOSED, now);
}

/* From 4.3 on RabbitMQ has no queue that is neither durable nor exclusive. */
static bool is_fading(const struct rmq_connection *c, unsigned code) {
  const struct rmq_wire_queue *q = c->config.queue;
  return code == 541 && c->setup == RMQ_SETUP_QUEUE && !q->is_passive &&
         !q->is_durable && !q->is_exclusive;
}

/* RabbitMQ closes the whole connection for an unknown type of exchange (503) or
 * what it has not implemented; the same again would be refused again. */
bool rmq_channel_is_refusal(const struct rmq_connection *c,
                            const struct rmq_wire_frame *f) {
  uint16_t code = f->u.close.code;
  return code == 503 || code == 530 || code == 540 || is_fading(c, code);
}

static const char *refusal_remedy(const struct rmq_connection *c,
                                  unsigned code) {
  if (is_fading(c, code))
    return "RabbitMQ from 4.3 on refuses queues that are neither durable nor "
           "exclusive: set QueueDurable true, or QueueExclusive true";
  if (c->setup == RMQ_SETUP_EXCHANGE)
    return "correct ExchangeType, or enable the broker's plugin for it";
  return "";
}

void rmq_channel_refused(struct rmq_connection *c,
                         const struct rmq_wire_frame *f, struct rmq_mono now) {
  char text[256];
  rmq_span_copy(f->u.close.text, text, sizeof(text));
  rmq_connection_because(c, f->u.close.code, refusal_remedy(c, f->u.close.code),
                         "the broker closed the connection while %s: %u %s",
                         setup_name(c->setup), f->u.close.code, text);
  rmq_connection_blame(c, f);
  rmq_connection_apply(c, RMQ_SESSION_ON_LOGIN_REFUSED, now);
}

void rmq_channel_abandon(struct rmq_connection *c, const char *why,
                         struct rmq_mono now) {
  rmq_wire_put_channel_close(&c->out, 200, why);
  c->awaits_close_ok = true;
  rmq_connection_apply(c, RMQ_SESSION_ON_CHANNEL_CLOSED, now);
}

/* The broker ended our subscription: the queue is gone, or its node, or, from
 * RabbitMQ 4.3 on, a message has not been acknowledged for too long. A new
 * channel is the one way to be sure of what is still unacked. */
static void consumer_cancelled(struct rmq_connection *c,
                               const struct rmq_wire_frame *f,
                               struct rmq_mono now) {
  if (!rmq_span_equals(f->u.consumer_tag, c->consumer_tag))
    return;
  rmq_connection_because(c, 0,
                         "it is subscribed again as soon as the queue can be "
                         "declared",
                         "the broker cancelled the consumer: queue \"%s\" was "
                         "deleted, its node left, or a message waited longer "
                         "for its acknowledgement than consumer_timeout",
                         c->queue);
  rmq_channel_abandon(c, "consumer cancelled", now);
}

/* ------------------------------------------------------------------------ */

static void confirmed(struct rmq_connection *c, const struct rmq_wire_frame *f,
                      struct rmq_mono now) {
  c->handlers.confirmed(
      c->handlers.ctx, c->epoch, f->u.ack.tag, f->u.ack.multiple,
      /* is_nack = */ f->method == RMQ_METHOD_BASIC_NACK, now);
}

static void unexpected(struct rmq_connection *c, const struct rmq_wire_frame *f,
                       struct rmq_mono now) {
  char what[64];
  snprintf(what, sizeof(what), "unexpected %s", rmq_method_to_str(f->method));
  rmq_connection_protocol_error(c, what, now);
}

static void method_while_up(struct rmq_connection *c,
                            const struct rmq_wire_frame *f,
                            struct rmq_mono now) {
  void *ctx = c->handlers.ctx;
  enum rmq_method m = f->method;
  if (m == RMQ_METHOD_BASIC_DELIVER || m == RMQ_METHOD_BASIC_RETURN)
    rmq_content_begin(c, f);
  else if (m == RMQ_METHOD_BASIC_ACK || m == RMQ_METHOD_BASIC_NACK)
    confirmed(c, f, now);
  else if (m == RMQ_METHOD_BASIC_CANCEL)
    consumer_cancelled(c, f, now);
  else if (m == RMQ_METHOD_QUEUE_DECLARE_OK && c->idle.is_asking)
    rmq_idle_answered(c, f, now);
  else if (m == RMQ_METHOD_BASIC_CANCEL_OK && c->is_cancelling) {
    c->is_cancelling = false;
    c->consumer_tag[0] = '\0';
    c->handlers.cancelled(ctx, now);
  } else if (m == RMQ_METHOD_CHANNEL_FLOW) {
    if (rmq_connection_may_answer(c, now))
      rmq_wire_put_flow_ok(&c->out, f->u.active);
  } else {
    unexpected(c, f, now);
  }
}

/* A confirm or delivery before the channel is ready would reach nobody, and a
 * delivery that is not known could not be kept out of a multiple ack. */
static void method_while_opening(struct rmq_connection *c,
                                 const struct rmq_wire_frame *f,
                                 struct rmq_mono now) {
  if (f->method == answer_to(c->setup))
    setup_answered(c, f, now);
  else if (f->method == RMQ_METHOD_BASIC_CANCEL ||
           f->method == RMQ_METHOD_CHANNEL_FLOW)
    method_while_up(c, f, now);
  else
    unexpected(c, f, now);
}

static void close_answered(struct rmq_connection *c) {
  if (c->awaits_close_ok && c->state == RMQ_SESSION_REOPENING)
    c->deadline = c->reopen_at;
  c->awaits_close_ok = false;
}

/* After our channel.close, or connection.close, whatever was under way still
 * arrives; only the answer counts, and a confirm under way when the connection
 * closes: it spares a duplicate after the next start. */
static void method_while_closing(struct rmq_connection *c,
                                 const struct rmq_wire_frame *f,
                                 struct rmq_mono now) {
  bool is_confirm =
      f->method == RMQ_METHOD_BASIC_ACK || f->method == RMQ_METHOD_BASIC_NACK;
  if (is_confirm && !c->awaits_close_ok)
    confirmed(c, f, now);
  else if (f->method == RMQ_METHOD_CHANNEL_CLOSE_OK)
    close_answered(c);
  else if (f->method == RMQ_METHOD_CHANNEL_CLOSE) {
    if (rmq_connection_may_answer(c, now))
      rmq_wire_put_channel_close_ok(&c->out);
  } else if (f->method == RMQ_METHOD_BASIC_DELIVER ||
             f->method == RMQ_METHOD_BASIC_RETURN)
    rmq_content_begin(c, f);
}

void rmq_channel_method(struct rmq_connection *c,
                        const struct rmq_wire_frame *f, struct rmq_mono now) {
  if (c->state == RMQ_SESSION_CLOSING || c->awaits_close_ok) {
    method_while_closing(c, f, now);
    return;
  }
  if (f->method == RMQ_METHOD_CHANNEL_CLOSE) {
    channel_closed(c, f, now);
    return;
  }
  if (c->content.want != RMQ_CONTENT_NONE) {
    rmq_connection_protocol_error(c, "a method in the middle of a content",
                                  now);
    return;
  }
  if (c->state == RMQ_SESSION_OPENING)
    method_while_opening(c, f, now);
  else
    method_while_up(c, f, now);
}
