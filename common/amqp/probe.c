/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/amqp/probe.h"

#include <math.h>
#include <string.h>

static const char body[] = "warren probe";

const char *rmq_probe_verdict_to_str(enum rmq_probe_verdict v) {
  switch (v) {
  case RMQ_PROBE_UNKNOWN:
    return "has not ended yet";
  case RMQ_PROBE_PASSED:
    return "came back";
  case RMQ_PROBE_NOT_CONNECTED:
    return "could not be sent: no connection";
  case RMQ_PROBE_BLOCKED:
    return "was not taken: the broker blocks publishers (alarm)";
  case RMQ_PROBE_NACKED:
    return "was refused by the broker (basic.nack)";
  case RMQ_PROBE_RETURNED:
    return "was returned: no queue takes it";
  case RMQ_PROBE_UNCONFIRMED:
    return "was not confirmed in time";
  case RMQ_PROBE_UNDELIVERED:
    return "was confirmed, but did not come back in time";
  }
  return "unknown";
}

const char *rmq_probe_stage_to_str(enum rmq_probe_stage s) {
  switch (s) {
  case RMQ_PROBE_IDLE:
    return "idle";
  case RMQ_PROBE_DUE:
    return "due";
  case RMQ_PROBE_SENT:
    return "sent";
  }
  return "unknown";
}

void rmq_probe_init(struct rmq_probe *p, const struct rmq_probe_config *config,
                    void *ctx,
                    void (*ended)(void *ctx, enum rmq_probe_verdict v)) {
  *p = (struct rmq_probe){.config = *config,
                          .ctx = ctx,
                          .ended = ended,
                          .result = {.confirm_s = NAN, .delivery_s = NAN}};
}

void rmq_probe_attach(struct rmq_probe *p, struct rmq_connection *c) {
  p->connection = c;
}

static void end_round(struct rmq_probe *p, enum rmq_probe_verdict v) {
  p->stage = RMQ_PROBE_IDLE;
  p->result.verdict = v;
  p->result.counters.rounds++;
  if (v == RMQ_PROBE_PASSED)
    p->result.counters.passed++;
  p->ended(p->ctx, v);
}

/* A message that did not get to the queue, or was not read there, may mean that
 * queue, binding or consumer are gone; a new channel makes them anew. */
static void end_without_message(struct rmq_probe *p, enum rmq_probe_verdict v,
                                struct rmq_mono now) {
  end_round(p, v);
  if (v == RMQ_PROBE_UNDELIVERED || v == RMQ_PROBE_RETURNED)
    rmq_connection_reopen(p->connection,
                          "the probe's message did not come back", now);
}

static void measure(double *worst, struct rmq_mono now, struct rmq_mono since) {
  double s = rmq_dur_seconds(rmq_mono_since(now, since));
  *worst = isnan(*worst) || s > *worst ? s : *worst;
}

static void pass_if_whole(struct rmq_probe *p) {
  if (p->is_confirmed && p->is_delivered)
    end_round(p, RMQ_PROBE_PASSED);
}

/* What was missing when the time was over. A broker with an alarm blocks a
 * connection at its first publish, which then waits in the socket. */
static enum rmq_probe_verdict verdict_of(const struct rmq_probe *p) {
  bool is_sent = p->stage == RMQ_PROBE_SENT;
  if (is_sent && p->is_confirmed)
    return RMQ_PROBE_UNDELIVERED;
  if (rmq_connection_is_blocked(p->connection))
    return RMQ_PROBE_BLOCKED;
  return is_sent ? RMQ_PROBE_UNCONFIRMED : RMQ_PROBE_NOT_CONNECTED;
}

/* The first time that is still to come, so that a host that slept sends one
 * message and not all that were due. */
static void begin_round(struct rmq_probe *p, struct rmq_mono now) {
  p->stage = RMQ_PROBE_DUE;
  p->deadline = rmq_mono_add(now, p->config.timeout);
  p->due = rmq_mono_add(p->due.ns == 0 ? now : p->due, p->config.interval);
  if (rmq_mono_reached(now, p->due))
    p->due = rmq_mono_add(now, p->config.interval);
}

static void send(struct rmq_probe *p, struct rmq_mono now,
                 struct rmq_wall time) {
  rmq_uuid_message_id(p->config.instance, ++p->number, p->id);
  const struct rmq_wire_publish message = {
      .exchange = p->config.exchange,
      .routing_key = p->config.routing_key,
      .is_mandatory = true,
      .is_persistent = true,
      .content_type = "text/plain",
      .message_id = p->id,
      .app_id = p->config.app_id,
      .timestamp_ms = rmq_wall_ms(time),
      .expiration_ms = p->config.interval.ns / RMQ_NS_PER_MS,
      .body = rmq_span_of(body)};
  if (rmq_connection_publish(p->connection, &message) != 0)
    return; /* no memory: the next step tries again */
  p->seqno++;
  p->sent = now;
  p->stage = RMQ_PROBE_SENT;
  p->is_confirmed = p->is_delivered = false;
}

struct rmq_mono rmq_probe_step(struct rmq_probe *p, struct rmq_mono now,
                               struct rmq_wall time) {
  if (p->stage != RMQ_PROBE_IDLE && rmq_mono_reached(now, p->deadline))
    end_without_message(p, verdict_of(p), now);
  if (p->stage == RMQ_PROBE_IDLE && rmq_mono_reached(now, p->due))
    begin_round(p, now);
  if (p->stage == RMQ_PROBE_DUE && rmq_connection_can_publish(p->connection))
    send(p, now, time);
  return p->stage == RMQ_PROBE_IDLE ? p->due : p->deadline;
}

struct rmq_probe_result rmq_probe_take(struct rmq_probe *p) {
  struct rmq_probe_result r = p->result;
  p->result.confirm_s = p->result.delivery_s = NAN;
  return r;
}

void rmq_probe_ready(struct rmq_probe *p) { p->seqno = 0; }

/* What was out is unknown: another message takes its place, in what is left of
 * the round. */
void rmq_probe_lost(struct rmq_probe *p) {
  if (p->stage == RMQ_PROBE_SENT)
    p->stage = RMQ_PROBE_DUE;
}

void rmq_probe_confirmed(struct rmq_probe *p, uint64_t seqno, bool multiple,
                         bool is_nack, struct rmq_mono now) {
  bool is_ours = seqno == p->seqno || (multiple && seqno == 0);
  if (p->stage != RMQ_PROBE_SENT || !is_ours)
    return; /* of a round that is over */
  rmq_connection_progress(p->connection);
  if (is_nack) {
    end_round(p, RMQ_PROBE_NACKED);
    return;
  }
  if (!p->is_confirmed)
    measure(&p->result.confirm_s, now, p->sent);
  p->is_confirmed = true;
  pass_if_whole(p);
}

void rmq_probe_returned(struct rmq_probe *p, const struct rmq_returned *r,
                        struct rmq_mono now) {
  if (p->stage == RMQ_PROBE_SENT && strcmp(r->message_id, p->id) == 0)
    end_without_message(p, RMQ_PROBE_RETURNED, now);
}

void rmq_probe_delivered(struct rmq_probe *p, const struct rmq_delivery *d,
                         struct rmq_mono now) {
  rmq_connection_ack(p->connection, d->tag, false);
  if (p->stage != RMQ_PROBE_SENT || strcmp(d->message_id, p->id) != 0) {
    p->result.counters.strays++;
    return;
  }
  rmq_connection_progress(p->connection);
  if (!p->is_delivered)
    measure(&p->result.delivery_s, now, p->sent);
  p->is_delivered = true;
  pass_if_whole(p);
}
