/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/role_consume_private.h"

#include "common/role/consume_reading.h"

static uint64_t begin(struct rmq_role_consume *r, struct rmq_mono now) {
  rmq_consume_lock(r);
  uint64_t ticket = rmq_outstanding_begin(&r->outstanding, now);
  rmq_consume_unlock(r);
  return ticket;
}

void rmq_consume_forget(struct rmq_role_consume *r, uint64_t ticket) {
  rmq_consume_lock(r);
  rmq_outstanding_forget(&r->outstanding, ticket);
  rmq_consume_unlock(r);
}

enum rmq_settle rmq_consume_settlement(const struct rmq_role_consume *r,
                                       uint64_t ticket,
                                       enum rmq_on_failure policy,
                                       bool may_pass) {
  switch (policy) {
  case RMQ_FAILURE_DROP:
  case RMQ_FAILURE_QUARANTINE: /* once it is filed */
    return RMQ_SETTLE_DROP;
  case RMQ_FAILURE_REQUEUE:
    return may_pass && rmq_flow_may_requeue(&r->flow, ticket)
               ? RMQ_SETTLE_REQUEUE
               : RMQ_SETTLE_DEAD_LETTER;
  case RMQ_FAILURE_DEAD_LETTER:
    return RMQ_SETTLE_DEAD_LETTER;
  }
  return RMQ_SETTLE_DEAD_LETTER;
}

/* may_pass: another attempt could end differently. */
static void reject(struct rmq_role_consume *r, uint64_t ticket,
                   const struct rmq_delivery *d, enum rmq_rejection cause,
                   bool may_pass, const char *detail, struct rmq_mono now) {
  bool is_ours =
      cause == RMQ_REJECTION_dispatch || cause == RMQ_REJECTION_memory;
  int policy =
      is_ours ? r->options->on_dispatch_error : r->options->on_parse_error;
  enum rmq_settle how =
      rmq_consume_settlement(r, ticket, (enum rmq_on_failure)policy, may_pass);
  how = rmq_rejections_file(&r->rejections, (enum rmq_on_failure)policy, d,
                            cause, detail, how, now);
  size_t settled = rmq_flow_failed(&r->flow, ticket, how, !is_ours, now);
  if (how != RMQ_SETTLE_REQUEUE)
    r->counters.rejected[cause] += settled;
  rmq_rejections_log(&r->rejections, d, cause, detail, how, now);
}

struct handing_out {
  struct rmq_role_consume *r;
  uint64_t ticket;
  struct rmq_mono now;
  size_t values;            /* that the host took */
  size_t events;            /* that are on their way to it */
  enum rmq_refusal refusal; /* the first */
  bool may_pass; /* all refusals so far are of the kind that may pass */
};

/* The message is rejected for it. */
static void refuse(struct handing_out *h, enum rmq_refusal refusal) {
  if (h->refusal == RMQ_REFUSAL_none)
    h->refusal = refusal;
  h->may_pass = h->may_pass && refusal == RMQ_REFUSAL_failed;
}

static void hand_event(void *ctx, const struct rmq_event *event) {
  struct handing_out *h = ctx;
  struct rmq_role_consume *r = h->r;
  enum rmq_refusal refusal =
      rmq_consume_events_push(r->events, event, h->ticket, h->now);
  if (refusal == RMQ_REFUSAL_none) {
    h->events++;
    return;
  }
  r->counters.refused[refusal - 1]++;
  if (refusal == RMQ_REFUSAL_rate)
    rmq_rejections_log_rate(&r->rejections, h->now);
  else
    refuse(h, refusal);
}

static void hand_sample(void *ctx, const struct rmq_sample *sample) {
  struct handing_out *h = ctx;
  struct rmq_role_consume *r = h->r;
  enum rmq_refusal refusal = r->sink.dispatch(r->sink.ctx, sample, h->ticket);
  if (refusal == RMQ_REFUSAL_none) {
    h->values++;
    rmq_gate_pass(&r->gate);
    return;
  }
  r->counters.refused[refusal - 1]++;
  refuse(h, refusal);
}

static void note_latency(struct rmq_role_consume *r, int64_t published_ms) {
  int64_t now_ms = rmq_wall_ms(r->host->wall(r->host->ctx));
  if (published_ms <= 0 || now_ms < published_ms)
    return; /* unknown, or the clocks differ */
  rmq_consume_lock(r);
  rmq_latency_add(&r->latency, rmq_ms(now_ms - published_ms));
  rmq_consume_unlock(r);
}

void rmq_consume_done(struct rmq_role_consume *r, uint64_t ticket,
                      struct rmq_mono now) {
  int64_t published_ms = 0;
  if (rmq_flow_done(&r->flow, ticket, now, &published_ms))
    note_latency(r, published_ms);
}

/* Prefetched messages may be large: beyond the limit they wait as they came,
 * until regulate() lets them come. */
static void hold_when_full(struct rmq_role_consume *r, int64_t values) {
  int64_t limit = r->options->backpressure_queue_length;
  bool is_full = (limit > 0 && values > limit) || rmq_consume_is_full(r);
  if (is_full && !r->is_draining)
    rmq_connection_hold(r->connection, true);
}

/* Without back-pressure nothing would bound what is remembered. */
static bool forgets_at_once(const struct rmq_role_consume *r) {
  return r->options->ack_when == RMQ_ACK_DISPATCHED &&
         r->options->backpressure_queue_length == 0;
}

/* The end waits for them all the same. */
static void detach(struct rmq_role_consume *r, uint64_t ticket) {
  rmq_consume_lock(r);
  rmq_outstanding_detach(&r->outstanding, ticket);
  rmq_consume_unlock(r);
}

/* The values are out, or refused; what was handed out may all be back. Whatever
 * becomes of the message, its values stay counted until they are back. */
static void handed_out(struct handing_out *h, const struct rmq_delivery *d,
                       struct rmq_mono now) {
  struct rmq_role_consume *r = h->r;
  bool is_dispatched_enough = r->options->ack_when == RMQ_ACK_DISPATCHED;
  rmq_consume_lock(r);
  rmq_outstanding_set_aside(&r->outstanding, h->ticket, h->events);
  bool is_complete =
      rmq_outstanding_end(&r->outstanding, h->ticket, h->values + h->events);
  int64_t values = r->outstanding.values;
  rmq_consume_unlock(r);
  hold_when_full(r, values);
  r->counters.dispatched += h->values;
  r->counters.notifications += h->events;
  if (h->refusal != RMQ_REFUSAL_none)
    reject(r, h->ticket, d, RMQ_REJECTION_dispatch, h->may_pass,
           rmq_refusal_to_str(h->refusal), now);
  else if (is_complete || is_dispatched_enough)
    rmq_consume_done(r, h->ticket, now);
  if (forgets_at_once(r))
    detach(r, h->ticket);
}

/* -1: they are forgotten as soon as they are out, see handed_out. */
static int64_t values_out(struct rmq_role_consume *r) {
  if (forgets_at_once(r))
    return -1;
  rmq_consume_lock(r);
  int64_t values = r->outstanding.values;
  rmq_consume_unlock(r);
  return values;
}

static void hand_out(struct rmq_role_consume *r, uint64_t ticket,
                     const struct rmq_delivery *d,
                     const struct rmq_codec *codec, struct rmq_mono now) {
  struct handing_out h = {
      .r = r, .ticket = ticket, .now = now, .may_pass = true};
  struct rmq_reading reading;
  const struct rmq_reading_sink sink = {&h, hand_sample, hand_event};
  const struct rmq_reading_message message = {d, codec, &r->sink.types};
  rmq_consume_filter_begin(r->filter, d, r->host->wall(r->host->ctx));
  rmq_gate_begin(&r->gate, values_out(r));
  int rc = rmq_reading_run(&r->format, &message, &r->options->trust, r->filter,
                           &sink, &reading);
  rmq_gate_end(&r->gate);
  for (int i = 0; i < RMQ_REFUSALS_COUNT; i++)
    r->counters.refused[i] += reading.refused[i];
  if (rc != 0) {
    rmq_consume_forget(r, ticket);
    reject(r, ticket, d, reading.cause, /* may_pass = */ true, reading.err.text,
           now);
    return;
  }
  if (reading.bad > 0)
    rmq_rejections_log_mixed(&r->rejections, d, reading.bad, reading.err.text,
                             now);
  handed_out(&h, d, now);
}

/* What no sink can do anything with. */
static bool is_whole(const struct rmq_role_consume *r,
                     const struct rmq_delivery *d,
                     enum rmq_rejection *ret_cause) {
  if (d->is_oversized)
    *ret_cause = RMQ_REJECTION_oversized;
  else if (d->is_malformed)
    *ret_cause = RMQ_REJECTION_malformed;
  else if (!rmq_consume_filter_takes_user(r->filter, d->user_id))
    *ret_cause = RMQ_REJECTION_user_id;
  else
    return true;
  return false;
}

/* Not begun: it is settled by nobody, and comes again after the end. */
static void leave(struct rmq_role_consume *r, uint64_t ticket) {
  rmq_flow_leave(&r->flow, ticket);
  rmq_consume_forget(r, ticket);
  r->left++;
}

/* The message as a whole is one value. */
static void hand_message(struct rmq_role_consume *r, uint64_t ticket,
                         const struct rmq_delivery *d, struct rmq_mono now) {
  struct handing_out h = {.r = r, .ticket = ticket, .now = now, .values = 1};
  enum rmq_rejection cause = RMQ_REJECTION_parse;
  struct rmq_error err = {""};
  enum rmq_message_turn turn = RMQ_MESSAGE_UNREADABLE;
  if (is_whole(r, d, &cause))
    turn = r->sink.message(r->sink.ctx, d, ticket, &err);
  switch (turn) {
  case RMQ_MESSAGE_TAKEN:
    handed_out(&h, d, now);
    return;
  case RMQ_MESSAGE_LEFT:
    leave(r, ticket);
    return;
  case RMQ_MESSAGE_NO_MEMORY:
    cause = RMQ_REJECTION_memory;
    break;
  case RMQ_MESSAGE_UNREADABLE:
    break;
  }
  rmq_consume_forget(r, ticket);
  reject(r, ticket, d, cause, /* may_pass = */ true, err.text, now);
}

static void take(struct rmq_role_consume *r, uint64_t ticket,
                 const struct rmq_delivery *d, struct rmq_mono now) {
  enum rmq_rejection cause = RMQ_REJECTION_content_type;
  struct rmq_error detail = {""};
  const struct rmq_codec *codec =
      rmq_reading_choose(&r->format, r->filter, d, &cause, &detail);
  if (codec != NULL) {
    hand_out(r, ticket, d, codec, now);
    return;
  }
  rmq_consume_forget(r, ticket);
  reject(r, ticket, d, cause, /* may_pass = */ true, detail.text, now);
}

void rmq_consume_begin_anew(struct rmq_role_consume *r, struct rmq_mono now) {
  rmq_offsets_begin_anew(&r->offsets);
  rmq_connection_reopen(r->connection,
                        "the stream does not have the stored offset, so it was "
                        "made anew: it is read from its beginning",
                        now);
  rmq_consumer_forget_position(r->consumer);
}

/* False: it is settled, or its channel is gone. */
static bool is_new(struct rmq_role_consume *r, uint64_t serial,
                   const struct rmq_delivery *d, struct rmq_mono now) {
  switch (rmq_offsets_judge(&r->offsets, d->stream_offset)) {
  case RMQ_OFFSET_NEW:
    return true;
  case RMQ_OFFSET_DONE:
    rmq_consumer_settle(r->consumer, serial, RMQ_SETTLE_ACK, now);
    return false;
  case RMQ_OFFSET_FOREIGN:
    rmq_consume_begin_anew(r, now);
    return false;
  }
  return true;
}

/* At the end, what the broker had sent already is finished too, as far as the
 * writers have room: what goes back with the connection may be delivered in any
 * order (quorum queues). So nothing is begun behind what is left. */
static bool is_left(struct rmq_role_consume *r) {
  int64_t limit = r->options->backpressure_queue_length;
  if (!r->is_draining || limit == 0 || r->begins_nothing)
    return false;
  rmq_consume_lock(r);
  bool is_full = r->outstanding.values > limit;
  rmq_consume_unlock(r);
  return is_full || r->left > 0;
}

void rmq_consume_delivered(void *ctx, uint64_t serial,
                           const struct rmq_delivery *d, struct rmq_mono now) {
  struct rmq_role_consume *r = ctx;
  if (is_left(r)) {
    r->left++;
    return;
  }
  if (!is_new(r, serial, d, now))
    return;
  uint64_t ticket = begin(r, now);
  if (ticket == 0) {
    rmq_flow_postpone(&r->flow, serial, now);
    rmq_rejections_log_postponed(&r->rejections, d, now);
    return;
  }
  switch (rmq_flow_arrive(&r->flow, ticket, serial, d, now)) {
  case RMQ_FLOW_TAKE:
    if (r->begins_nothing) /* a copy of what is out shares its end, though */
      leave(r, ticket);
    else if (r->sink.message != NULL)
      hand_message(r, ticket, d, now);
    else
      take(r, ticket, d, now);
    break;
  case RMQ_FLOW_HELD:
  case RMQ_FLOW_DUPLICATE:
    rmq_consume_forget(r, ticket);
    break;
  }
}

static void settle_one(struct rmq_role_consume *r, uint64_t ticket,
                       bool (*back)(struct rmq_outstanding *t, uint64_t)) {
  rmq_consume_lock(r);
  bool is_enough = back(&r->outstanding, ticket);
  rmq_consume_unlock(r);
  if (is_enough || r->sink.is_full != NULL) /* it may have room again */
    rmq_worker_wake(r->worker);
}

void rmq_role_consume_written(struct rmq_role_consume *r, uint64_t ticket) {
  settle_one(r, ticket, rmq_outstanding_back);
  rmq_gate_back(&r->gate);
}

void rmq_role_consume_dispatch_events(struct rmq_role_consume *r,
                                      struct rmq_mono until) {
  uint64_t ticket = 0;
  while (r->events != NULL &&
         rmq_consume_events_dispatch(r->events, r->host, until, &ticket))
    settle_one(r, ticket, rmq_outstanding_aside_back);
}
