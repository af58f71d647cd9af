/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/role_consume_private.h"

#include "common/base/message.h"

#include <inttypes.h>
#include <stdio.h>

enum { OVERDUE_CHECK_S = 1, BACKPRESSURE_LINE_S = 60 };

/* While messages flow, each of them brings a turn; for those that were written
 * in between nobody needs to be woken before they make an ack. */
static bool is_flowing(const struct rmq_role_consume *r, struct rmq_mono now) {
  return !r->is_draining && !r->is_withheld &&
         !rmq_connection_is_held(r->connection) &&
         !rmq_mono_reached(now, rmq_consumer_lull(r->consumer));
}

static uint64_t take_complete(struct rmq_role_consume *r, struct rmq_mono now) {
  size_t enough =
      is_flowing(r, now) ? rmq_consumer_until_batch(r->consumer) : 1;
  rmq_consume_lock(r);
  uint64_t ticket = rmq_outstanding_take(&r->outstanding);
  if (ticket == 0)
    rmq_outstanding_tell_at(&r->outstanding, enough);
  rmq_consume_unlock(r);
  return ticket;
}

static void settle_complete(struct rmq_role_consume *r, struct rmq_mono now) {
  uint64_t ticket = 0;
  while ((ticket = take_complete(r, now)) != 0)
    rmq_consume_done(r, ticket, now);
}

static void settle_overdue(struct rmq_role_consume *r, uint64_t ticket,
                           struct rmq_mono now) {
  enum rmq_settle how =
      r->options->on_written_timeout == 1
          ? RMQ_SETTLE_DROP
          : rmq_consume_settlement(r, ticket, RMQ_FAILURE_REQUEUE,
                                   /* may_pass = */ true);
  char id[RMQ_MESSAGE_ID_MAX + 1];
  snprintf(id, sizeof(id), "%s", rmq_flow_message_id(&r->flow, ticket));
  size_t settled =
      rmq_flow_failed(&r->flow, ticket, how, /* is_bad = */ false, now);
  if (how != RMQ_SETTLE_REQUEUE)
    r->counters.rejected[RMQ_REJECTION_timeout] += settled;
  const struct rmq_overdue overdue = {.message_id = id,
                                      .how = how,
                                      .settled = settled,
                                      .timeout = r->options->written_timeout};
  rmq_rejections_log_overdue(&r->rejections, &overdue, now);
}

/* Of a message that had its end: nobody waits for them any more. */
static void give_up_values(struct rmq_role_consume *r, int64_t values,
                           struct rmq_mono now) {
  r->counters.unreturned += (uint64_t)values;
  rmq_rejections_log_unreturned(&r->rejections, values,
                                r->options->written_timeout, now);
}

/* *ret_values: how many of them have not come back. */
static uint64_t take_overdue(struct rmq_role_consume *r, bool is_first,
                             struct rmq_mono now, int64_t *ret_values) {
  struct rmq_dur timeout = r->options->written_timeout;
  rmq_consume_lock(r);
  uint64_t ticket =
      is_first ? rmq_outstanding_overdue(&r->outstanding, timeout, now)
               : rmq_outstanding_next_overdue(&r->outstanding, timeout, now);
  *ret_values = rmq_outstanding_give_up(&r->outstanding, ticket);
  rmq_consume_unlock(r);
  return ticket;
}

/* A message that a sink took has its end for certain, however late. */
static void check_overdue(struct rmq_role_consume *r, struct rmq_mono now) {
  if (r->sink.message != NULL || !rmq_mono_reached(now, r->overdue_check))
    return;
  r->overdue_check = rmq_mono_add(now, rmq_s(OVERDUE_CHECK_S));
  int64_t values = 0;
  uint64_t ticket = take_overdue(r, /* is_first = */ true, now, &values);
  while (ticket != 0) {
    if (rmq_flow_is_open(&r->flow, ticket))
      settle_overdue(r, ticket, now);
    else
      give_up_values(r, values, now);
    ticket = take_overdue(r, /* is_first = */ false, now, &values);
  }
}

static void say_backpressure(struct rmq_role_consume *r,
                             const struct rmq_error *text) {
  rmq_session_log_write(&r->session,
                        &(struct rmq_log_record){.level = RMQ_LOG_NOTICE,
                                                 .event = "backpressure",
                                                 .message = text->text});
}

static void log_withheld(struct rmq_role_consume *r, int64_t values,
                         struct rmq_mono now) {
  struct rmq_error text = {""};
  r->withheld_since = now;
  r->has_said_withheld = rmq_mono_reached(now, r->backpressure_line);
  if (!r->has_said_withheld)
    return;
  r->backpressure_line = rmq_mono_add(now, rmq_s(BACKPRESSURE_LINE_S));
  rmq_error_set(&text,
                "the writers are slow: %" PRIi64
                " values are on their way to them, acknowledgements wait until "
                "fewer than half of BackpressureQueueLength are",
                values);
  say_backpressure(r, &text);
}

/* Of what had a line when it began. */
static void log_flowing(struct rmq_role_consume *r, struct rmq_mono now) {
  struct rmq_error text = {""};
  if (!r->has_said_withheld)
    return;
  rmq_error_set(&text,
                "the writers have caught up after %.1f s: acknowledgements "
                "flow again",
                rmq_dur_seconds(rmq_mono_since(now, r->withheld_since)));
  say_backpressure(r, &text);
}

/* Whether anything is out that was not given up. */
static bool has_open(struct rmq_role_consume *r) {
  rmq_consume_lock(r);
  bool has = r->outstanding.count > 0;
  rmq_consume_unlock(r);
  return has;
}

/* Above the limit acks are withheld, so that the prefetch stops the broker, and
 * what it has sent already is not taken in; below half of it both flow again.
 * At the end what was merely dispatched is acknowledged when all of it is
 * written: what the deadline cuts off goes back to the broker, and is rather
 * written twice than not at all. When everything that is out has been given up,
 * one message more may show whether the writers are there: it is let in,
 * without which values that never come back would stop the block for ever. */
static void regulate(struct rmq_role_consume *r, int64_t values,
                     struct rmq_mono now) {
  int64_t limit = r->options->backpressure_queue_length;
  bool was_withheld = r->is_withheld;
  if (r->is_draining)
    r->is_withheld = r->options->ack_when == RMQ_ACK_DISPATCHED && values > 0;
  else if (limit == 0)
    r->is_withheld = false;
  else if (values > limit)
    r->is_withheld = true;
  else if (values < limit / 2 || values == 0)
    r->is_withheld = false;
  bool is_closed = r->is_withheld && (r->is_draining || has_open(r));
  rmq_consumer_withhold(r->consumer, is_closed);
  rmq_connection_hold(r->connection,
                      !r->is_draining && (is_closed || rmq_consume_is_full(r)));
  if (r->is_withheld && !was_withheld && !r->is_draining)
    log_withheld(r, values, now);
  if (!r->is_withheld && was_withheld && !r->is_draining)
    log_flowing(r, now);
}

static bool has_values_out(struct rmq_role_consume *r) {
  rmq_consume_lock(r);
  bool has = rmq_outstanding_waits(&r->outstanding);
  rmq_consume_unlock(r);
  return has;
}

static void share_counters(struct rmq_role_consume *r) {
  r->counters.consumer = rmq_consumer_counters(r->consumer);
  r->counters.unacked = rmq_consumer_unacked(r->consumer);
  r->counters.idle_restarts = rmq_connection_idle_restarts(r->connection);
  r->counters.flow = r->flow.counters;
  r->counters.is_withheld = r->is_withheld;
  r->counters.filing = r->rejections.filed;
  rmq_consume_lock(r);
  r->counters.outstanding = r->outstanding.values;
  r->shared = r->counters;
  rmq_consume_unlock(r);
}

static bool is_up(const struct rmq_role_consume *r) {
  return rmq_session_is_up(rmq_connection_state(r->connection));
}

static struct rmq_mono keep_offset(struct rmq_role_consume *r,
                                   struct rmq_mono now) {
  struct rmq_dur patience = r->options->queue.idle_check;
  if (rmq_connection_is_held(r->connection))
    rmq_offsets_hold(&r->offsets, now);
  struct rmq_mono due =
      rmq_offsets_step(&r->offsets, rmq_consumer_position(r->consumer), now);
  if (is_up(r) && !r->is_draining &&
      rmq_offsets_is_beyond(&r->offsets, patience, now))
    rmq_consume_begin_anew(r, now);
  return rmq_mono_min(due, rmq_offsets_deadline(&r->offsets, patience, now));
}

/* On each channel that comes up while draining: it has subscribed anew. */
static void cancel_subscription(struct rmq_role_consume *r) {
  if (!r->is_draining || r->has_asked_cancel || !is_up(r))
    return;
  r->has_asked_cancel = true;
  r->is_cancelled = !rmq_consumer_cancel(r->consumer);
}

struct rmq_mono rmq_consume_step(void *ctx, struct rmq_mono now) {
  struct rmq_role_consume *r = ctx;
  cancel_subscription(r);
  settle_complete(r, now);
  rmq_consume_settle_ends(r, now);
  check_overdue(r, now);
  share_counters(r);
  regulate(r, r->counters.outstanding, now);
  if (r->is_draining)
    rmq_flow_let_go(&r->flow, now);
  if (r->is_draining && !r->is_withheld &&
      rmq_consumer_open(r->consumer) == r->left)
    rmq_consumer_flush(r->consumer);
  struct rmq_mono due = rmq_flow_step(&r->flow, now);
  due = rmq_mono_min(due, rmq_consumer_step(r->consumer, now));
  due = rmq_mono_min(due, keep_offset(r, now));
  if (is_flowing(r, now))
    due = rmq_mono_min(due, rmq_consumer_lull(r->consumer));
  share_counters(r);
  return has_values_out(r) && r->sink.message == NULL
             ? rmq_mono_min(due, r->overdue_check)
             : due;
}

void rmq_consume_drain(void *ctx, struct rmq_mono now) {
  struct rmq_role_consume *r = ctx;
  (void)now;
  r->is_draining = true;
  r->begins_nothing = !is_up(r);
  cancel_subscription(r);
}

bool rmq_consume_is_drained(void *ctx) {
  struct rmq_role_consume *r = ctx;
  bool has_settled =
      r->is_cancelled && rmq_consumer_unacked(r->consumer) == r->left;
  if (!has_settled && is_up(r))
    return false;
  return !has_values_out(r);
}
