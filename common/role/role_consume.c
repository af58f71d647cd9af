/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/role_consume.h"

#include "common/amqp/worker.h"
#include "common/role/consume_events.h"
#include "common/role/consume_flow.h"
#include "common/role/consume_format.h"
#include "common/role/consume_reading.h"
#include "common/role/consume_rejection.h"
#include "common/role/consume_series.h"
#include "common/role/consume_topology.h"
#include "common/role/offsets.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static const char plugin_name[] = "rabbitmq_consume";
enum { ERROR_WINDOW_S = 60, OVERDUE_CHECK_S = 1, BACKPRESSURE_LINE_S = 60 };
enum { OVERDUE_AT_ONCE = 100 }; /* finding one means looking at all */
enum { CHANNELS_REMEMBERED = 4 };

struct rmq_role_consume {
  const struct rmq_consume_options *options;
  const char *block;
  const struct rmq_host *host;
  struct rmq_consume_sink sink;
  struct rmq_session_log session;
  struct rmq_connection_setup setup;
  struct rmq_consume_topology topology;
  struct rmq_offsets offsets; /* the worker's thread, and start and join */
  struct rmq_consume_format format;
  struct rmq_consumer *consumer;
  struct rmq_connection *connection;
  struct rmq_worker *worker;
  struct rmq_consume_events *events; /* NULL without Notifications */
  bool is_started;

  pthread_mutex_t lock; /* protects from here ... */
  struct rmq_outstanding outstanding;
  struct rmq_consume_counters shared; /* as of the worker's last turn */
  struct rmq_latency latency;         /* ... to here */

  /* The worker's thread. */
  struct rmq_consume_counters counters;
  struct rmq_flow flow;
  struct rmq_rejections rejections;
  struct rmq_consume_filter *filter;
  struct rmq_mono overdue_check;
  struct rmq_mono backpressure_line; /* not before */
  bool is_draining, is_cancelled, is_withheld;
  size_t left; /* deliveries that came while draining: not begun, not settled */

  /* The reporting thread. */
  struct rmq_series_object object;
  struct rmq_consume_counters reported;
  struct rmq_window errors;
};

static struct rmq_mono mono(const struct rmq_role_consume *r) {
  return r->host->mono(r->host->ctx);
}

static void lock(struct rmq_role_consume *r) { pthread_mutex_lock(&r->lock); }
static void unlock(struct rmq_role_consume *r) {
  pthread_mutex_unlock(&r->lock);
}

/* ------------------------------------------------------------------------
 * A delivery */

static uint64_t begin(struct rmq_role_consume *r, struct rmq_mono now) {
  lock(r);
  uint64_t ticket = rmq_outstanding_begin(&r->outstanding, now);
  unlock(r);
  return ticket;
}

static void forget(struct rmq_role_consume *r, uint64_t ticket) {
  lock(r);
  rmq_outstanding_forget(&r->outstanding, ticket);
  unlock(r);
}

/* The policy's answer, within MaxRedeliveries: no message goes round for ever.
 */
static enum rmq_settle settlement(const struct rmq_role_consume *r,
                                  uint64_t ticket, enum rmq_on_failure policy,
                                  bool may_pass) {
  switch (policy) {
  case RMQ_FAILURE_DROP:
  case RMQ_FAILURE_QUARANTINE: /* once it is filed */
    return RMQ_SETTLE_ACK;
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
  int policy = cause == RMQ_REJECTION_dispatch ? r->options->on_dispatch_error
                                               : r->options->on_parse_error;
  enum rmq_settle how =
      settlement(r, ticket, (enum rmq_on_failure)policy, may_pass);
  how = rmq_rejections_file(&r->rejections, (enum rmq_on_failure)policy, d,
                            cause, detail, how, now);
  size_t settled = rmq_flow_failed(&r->flow, ticket, how, now);
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
}

static void hand_sample(void *ctx, const struct rmq_sample *sample) {
  struct handing_out *h = ctx;
  struct rmq_role_consume *r = h->r;
  enum rmq_refusal refusal = r->sink.dispatch(r->sink.ctx, sample, h->ticket);
  if (refusal == RMQ_REFUSAL_none) {
    h->values++;
    return;
  }
  r->counters.refused[refusal - 1]++;
  if (h->refusal == RMQ_REFUSAL_none)
    h->refusal = refusal;
  h->may_pass = h->may_pass && refusal == RMQ_REFUSAL_failed;
}

static void note_latency(struct rmq_role_consume *r, int64_t published_ms) {
  int64_t now_ms = rmq_wall_ms(r->host->wall(r->host->ctx));
  if (published_ms <= 0 || now_ms < published_ms)
    return; /* unknown, or the clocks differ */
  lock(r);
  rmq_latency_add(&r->latency, rmq_ms(now_ms - published_ms));
  unlock(r);
}

static void done(struct rmq_role_consume *r, uint64_t ticket,
                 struct rmq_mono now) {
  int64_t published_ms = 0;
  if (rmq_flow_done(&r->flow, ticket, now, &published_ms))
    note_latency(r, published_ms);
}

/* Prefetched messages may be large: beyond the limit they wait in the socket,
 * until regulate() lets them come. */
static void hold_when_full(struct rmq_role_consume *r, int64_t values) {
  int64_t limit = r->options->backpressure_queue_length;
  if (limit > 0 && values > limit && !r->is_draining)
    rmq_connection_hold(r->connection, true);
}

/* The values are out, or refused; what was handed out may all be back. Whatever
 * becomes of the message, its values stay counted until they are back. */
static void handed_out(struct handing_out *h, const struct rmq_delivery *d,
                       struct rmq_mono now) {
  struct rmq_role_consume *r = h->r;
  bool is_dispatched_enough = r->options->ack_when == RMQ_ACK_DISPATCHED;
  lock(r);
  bool is_complete =
      rmq_outstanding_end(&r->outstanding, h->ticket, h->values + h->events);
  int64_t values = r->outstanding.values;
  unlock(r);
  hold_when_full(r, values);
  r->counters.dispatched += h->values;
  r->counters.notifications += h->events;
  if (h->refusal != RMQ_REFUSAL_none)
    reject(r, h->ticket, d, RMQ_REJECTION_dispatch, h->may_pass,
           rmq_refusal_to_str(h->refusal), now);
  else if (is_complete || is_dispatched_enough)
    done(r, h->ticket, now);
  /* Without back-pressure nothing would bound what is remembered. */
  if (is_dispatched_enough && r->options->backpressure_queue_length == 0)
    forget(r, h->ticket);
}

static void hand_out(struct rmq_role_consume *r, uint64_t ticket,
                     const struct rmq_delivery *d,
                     const struct rmq_codec *codec, struct rmq_mono now) {
  struct handing_out h = {
      .r = r, .ticket = ticket, .now = now, .may_pass = true};
  struct rmq_reading reading;
  const struct rmq_reading_sink sink = {&h, hand_sample, hand_event};
  const struct rmq_reading_message message = {d, codec, &r->sink.types};
  rmq_consume_filter_begin(r->filter, d->user_id, r->host->wall(r->host->ctx));
  int rc = rmq_reading_run(&r->format, &message, &r->options->trust, r->filter,
                           &sink, &reading);
  for (int i = 0; i < RMQ_REFUSALS_COUNT; i++)
    r->counters.refused[i] += reading.refused[i];
  if (rc != 0) {
    forget(r, ticket);
    reject(r, ticket, d, reading.cause, /* may_pass = */ true, reading.err.text,
           now);
    return;
  }
  if (reading.bad > 0)
    rmq_rejections_log_mixed(&r->rejections, d, reading.bad, reading.err.text,
                             now);
  handed_out(&h, d, now);
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
  forget(r, ticket);
  reject(r, ticket, d, cause, /* may_pass = */ true, detail.text, now);
}

/* The stream is not the one that was read: from its beginning, then. */
static void begin_anew(struct rmq_role_consume *r, struct rmq_mono now) {
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
    begin_anew(r, now);
    return false;
  }
  return true;
}

static struct rmq_mono keep_offset(struct rmq_role_consume *r,
                                   struct rmq_mono now) {
  struct rmq_dur patience = r->options->queue.idle_check;
  bool is_up = rmq_session_is_up(rmq_connection_state(r->connection));
  if (rmq_connection_is_held(r->connection))
    rmq_offsets_hold(&r->offsets, now);
  struct rmq_mono due =
      rmq_offsets_step(&r->offsets, rmq_consumer_position(r->consumer), now);
  if (is_up && !r->is_draining &&
      rmq_offsets_is_beyond(&r->offsets, patience, now))
    begin_anew(r, now);
  return rmq_mono_min(due, rmq_offsets_deadline(&r->offsets, patience, now));
}

static void on_delivery(void *ctx, uint64_t serial,
                        const struct rmq_delivery *d, struct rmq_mono now) {
  struct rmq_role_consume *r = ctx;
  if (r->is_draining) { /* goes back to the broker with the connection */
    r->left++;
    return;
  }
  if (!is_new(r, serial, d, now))
    return;
  uint64_t ticket = begin(r, now);
  if (ticket == 0) {
    rmq_flow_postpone(&r->flow, serial, now);
    return;
  }
  switch (rmq_flow_arrive(&r->flow, ticket, serial, d, now)) {
  case RMQ_FLOW_TAKE:
    take(r, ticket, d, now);
    break;
  case RMQ_FLOW_HELD:
  case RMQ_FLOW_DUPLICATE:
    forget(r, ticket);
    break;
  }
}

void rmq_role_consume_written(struct rmq_role_consume *r, uint64_t ticket) {
  struct rmq_mono now = mono(r);
  lock(r);
  bool is_complete = rmq_outstanding_back(&r->outstanding, ticket, now);
  unlock(r);
  if (is_complete)
    rmq_worker_wake(r->worker);
}

void rmq_role_consume_dispatch_events(struct rmq_role_consume *r) {
  uint64_t ticket = 0;
  while (r->events != NULL &&
         rmq_consume_events_dispatch(r->events, r->host, &ticket))
    rmq_role_consume_written(r, ticket);
}

/* ------------------------------------------------------------------------
 * The worker's job */

static uint64_t take_complete(struct rmq_role_consume *r) {
  lock(r);
  uint64_t ticket = rmq_outstanding_take(&r->outstanding);
  unlock(r);
  return ticket;
}

static void settle_complete(struct rmq_role_consume *r, struct rmq_mono now) {
  uint64_t ticket = 0;
  while ((ticket = take_complete(r)) != 0)
    done(r, ticket, now);
}

static void settle_overdue(struct rmq_role_consume *r, uint64_t ticket,
                           struct rmq_mono now) {
  enum rmq_settle how =
      r->options->on_written_timeout == 1
          ? RMQ_SETTLE_ACK
          : settlement(r, ticket, RMQ_FAILURE_REQUEUE, /* may_pass = */ true);
  size_t settled = rmq_flow_failed(&r->flow, ticket, how, now);
  if (how != RMQ_SETTLE_REQUEUE)
    r->counters.rejected[RMQ_REJECTION_timeout] += settled;
  rmq_rejections_log_overdue(&r->rejections, how, r->options->written_timeout,
                             now);
}

static void check_overdue(struct rmq_role_consume *r, struct rmq_mono now) {
  if (!rmq_mono_reached(now, r->overdue_check))
    return;
  r->overdue_check = rmq_mono_add(now, rmq_s(OVERDUE_CHECK_S));
  uint64_t ticket = 0;
  int left = OVERDUE_AT_ONCE;
  do {
    lock(r);
    ticket = rmq_outstanding_overdue(&r->outstanding,
                                     r->options->written_timeout, now);
    rmq_outstanding_forget(&r->outstanding, ticket);
    unlock(r);
    if (rmq_flow_is_open(&r->flow, ticket))
      settle_overdue(r, ticket, now);
  } while (ticket != 0 && --left > 0);
}

static void log_backpressure(struct rmq_role_consume *r, int64_t values,
                             struct rmq_mono now) {
  if (!rmq_mono_reached(now, r->backpressure_line))
    return;
  r->backpressure_line = rmq_mono_add(now, rmq_s(BACKPRESSURE_LINE_S));
  struct rmq_error text = {""};
  rmq_error_set(&text,
                "the writers are slow: %" PRIi64
                " values are on their way to them, acknowledgements wait until "
                "fewer than half of BackpressureQueueLength are",
                values);
  rmq_session_log_write(&r->session,
                        &(struct rmq_log_record){.level = RMQ_LOG_NOTICE,
                                                 .event = "backpressure",
                                                 .message = text.text});
}

/* Above the limit acks are withheld, so that the prefetch stops the broker, and
 * what it has sent already is not read; below half of it both flow again. At
 * the end what was merely dispatched is acknowledged when all of it is written:
 * what the deadline cuts off goes back to the broker, and is rather written
 * twice than not at all. */
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
  rmq_consumer_withhold(r->consumer, r->is_withheld);
  rmq_connection_hold(r->connection, r->is_withheld && !r->is_draining);
  if (r->is_withheld && !was_withheld && !r->is_draining)
    log_backpressure(r, values, now);
}

static bool has_values_out(struct rmq_role_consume *r) {
  lock(r);
  bool has = r->outstanding.count > 0;
  unlock(r);
  return has;
}

static void share_counters(struct rmq_role_consume *r) {
  r->counters.consumer = rmq_consumer_counters(r->consumer);
  r->counters.unacked = rmq_consumer_unacked(r->consumer);
  r->counters.idle_restarts = rmq_connection_idle_restarts(r->connection);
  r->counters.flow = r->flow.counters;
  r->counters.is_withheld = r->is_withheld;
  r->counters.filing = r->rejections.filed;
  lock(r);
  r->counters.outstanding = r->outstanding.values;
  r->shared = r->counters;
  unlock(r);
}

static struct rmq_mono step(void *ctx, struct rmq_mono now) {
  struct rmq_role_consume *r = ctx;
  settle_complete(r, now);
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
  share_counters(r);
  return has_values_out(r) ? rmq_mono_min(due, r->overdue_check) : due;
}

static void drain(void *ctx, struct rmq_mono now) {
  struct rmq_role_consume *r = ctx;
  (void)now;
  r->is_draining = true;
  r->is_cancelled = !rmq_consumer_cancel(r->consumer);
}

/* All that was handed out is back, also what was acknowledged before that. */
static bool is_drained(void *ctx) {
  struct rmq_role_consume *r = ctx;
  bool has_settled =
      r->is_cancelled && rmq_consumer_unacked(r->consumer) == r->left;
  if (!has_settled && rmq_session_is_up(rmq_connection_state(r->connection)))
    return false;
  return !has_values_out(r);
}

/* ------------------------------------------------------------------------
 * What happens on the connection, in the worker's thread */

static void changed(void *ctx, const struct rmq_connection_change *change,
                    struct rmq_mono now) {
  struct rmq_role_consume *r = ctx;
  rmq_session_log_changed(&r->session, change, now);
}

static void ready(void *ctx, uint64_t epoch, struct rmq_mono now) {
  struct rmq_role_consume *r = ctx;
  (void)epoch;
  rmq_offsets_ready(&r->offsets, now);
}

/* The values of the old channel's deliveries are still on their way, and count
 * until they are back. */
static void lost(void *ctx, struct rmq_mono now) {
  struct rmq_role_consume *r = ctx;
  (void)now;
  rmq_consumer_lost(r->consumer);
  rmq_flow_lost(&r->flow);
  r->left = 0;
}

/* A consumer publishes nothing. */
static void confirmed(void *ctx, uint64_t epoch, uint64_t seqno, bool multiple,
                      bool is_nack, struct rmq_mono now) {
  struct rmq_role_consume *r = ctx;
  (void)epoch;
  (void)seqno;
  (void)multiple;
  (void)is_nack;
  rmq_connection_fail(r->connection, "a confirm to a consumer", now);
}

static void returned(void *ctx, uint64_t epoch, const struct rmq_returned *ret,
                     struct rmq_mono now) {
  struct rmq_role_consume *r = ctx;
  (void)epoch;
  (void)ret;
  rmq_connection_fail(r->connection, "a return to a consumer", now);
}

static void delivered(void *ctx, uint64_t epoch, const struct rmq_delivery *d,
                      struct rmq_mono now) {
  struct rmq_role_consume *r = ctx;
  (void)epoch;
  rmq_consumer_delivered(r->consumer, d, now);
}

static void cancelled(void *ctx, struct rmq_mono now) {
  struct rmq_role_consume *r = ctx;
  (void)now;
  r->is_cancelled = true;
}

static bool is_settled(void *ctx) {
  const struct rmq_role_consume *r = ctx;
  return rmq_consumer_unacked(r->consumer) == 0;
}

/* ------------------------------------------------------------------------
 * Lifecycle */

static bool settle_delivery(void *ctx, uint64_t serial, enum rmq_settle how,
                            struct rmq_mono now) {
  struct rmq_role_consume *r = ctx;
  return rmq_consumer_settle(r->consumer, serial, how, now);
}

static size_t place_of(void *ctx, uint64_t serial) {
  const struct rmq_role_consume *r = ctx;
  return rmq_consumer_place_of(r->consumer, serial);
}

static int create_flow(struct rmq_role_consume *r) {
  const struct rmq_consume_options *o = r->options;
  struct rmq_flow_config config = {.prefetch = (uint16_t)o->prefetch_count,
                                   .deduplicates = o->deduplicate,
                                   .window = (size_t)o->deduplicate_window,
                                   .max_redeliveries =
                                       (uint32_t)o->max_redeliveries,
                                   .retry_delay = o->redelivery_delay};
  struct rmq_flow_settler settler = {r, settle_delivery, place_of};
  return rmq_flow_init(&r->flow, &config, &settler, &r->outstanding);
}

/* Of messages whose values are out: those of this channel and of a few that
 * broke before they were back, and those that were acknowledged without waiting
 * for that. */
static size_t tickets_max(const struct rmq_consume_options *o) {
  size_t max = CHANNELS_REMEMBERED * (size_t)o->prefetch_count;
  if (o->ack_when == RMQ_ACK_DISPATCHED)
    max += (size_t)o->backpressure_queue_length;
  return max;
}

static int create_consumer(struct rmq_role_consume *r, struct rmq_error *err) {
  const struct rmq_consume_options *o = r->options;
  struct rmq_consumer_config config = {.prefetch = (uint16_t)o->prefetch_count,
                                       .ack_batch = (size_t)o->ack_batch,
                                       .ack_interval = o->ack_interval,
                                       .is_stream = o->queue.type ==
                                                    RMQ_QUEUE_TYPE_STREAM};
  struct rmq_consumer_handlers handlers = {r, on_delivery};
  size_t tickets = tickets_max(o);
  r->consumer = rmq_consumer_new(&config, &handlers);
  if (r->consumer == NULL ||
      rmq_outstanding_init(&r->outstanding, tickets) != 0 ||
      create_flow(r) != 0)
    return rmq_error_set(err, "no memory");
  return 0;
}

/* Whom to trust, and what becomes of the rest. */
static int create_trust(struct rmq_role_consume *r, struct rmq_error *err) {
  const struct rmq_trust_options *o = &r->options->trust;
  r->filter = rmq_consume_filter_new(o, err);
  if (r->filter == NULL)
    return -1;
  if (o->notifications)
    r->events = rmq_consume_events_new(o->notification_rate);
  if ((o->notifications && r->events == NULL) ||
      rmq_rejections_init(&r->rejections, &r->session, o) != 0)
    return rmq_error_set(err, "no memory");
  return 0;
}

static int create_offsets(struct rmq_role_consume *r, struct rmq_error *err) {
  const struct rmq_consume_queue_options *q = &r->options->queue;
  const char *dir = q->state_dir != NULL ? q->state_dir : r->host->state_dir;
  return rmq_offsets_init(&r->offsets, dir != NULL ? dir : ".", r->block,
                          r->options->connection.vhost, q->name,
                          r->topology.stream_offset, &r->session, err);
}

static int create_connection(struct rmq_role_consume *r,
                             struct rmq_error *err) {
  struct rmq_connection_config config = {
      .wants_confirms = false,
      .keeps_properties = r->options->trust.quarantine_dir != NULL};
  if (rmq_connection_setup_init(&r->setup, &r->options->connection,
                                r->host->service, r->host->hostname, r->block,
                                &config, err) != 0 ||
      rmq_consume_topology_init(&r->topology, r->options, &config, err) != 0 ||
      create_offsets(r, err) != 0)
    return -1;
  struct rmq_connection_handlers handlers = {.ctx = r,
                                             .changed = changed,
                                             .ready = ready,
                                             .lost = lost,
                                             .confirmed = confirmed,
                                             .returned = returned,
                                             .delivered = delivered,
                                             .cancelled = cancelled,
                                             .is_settled = is_settled};
  r->connection =
      rmq_connection_new(&config, &handlers, r->host->random(r->host->ctx));
  if (r->connection == NULL)
    return rmq_error_set(err, "no memory");
  rmq_consumer_attach(r->consumer, r->connection);
  struct rmq_worker_job job = {r, step, drain, is_drained};
  r->worker = rmq_worker_new("rmq_consume", r->host, r->connection,
                             &r->setup.link, &job, err);
  return r->worker != NULL ? 0 : -1;
}

struct rmq_role_consume *
rmq_role_consume_new(const struct rmq_consume_options *options,
                     const char *block, const struct rmq_host *host,
                     const struct rmq_consume_sink *sink,
                     struct rmq_error *err) {
  struct rmq_role_consume *r = calloc(1, sizeof(*r));
  if (r == NULL || pthread_mutex_init(&r->lock, NULL) != 0) {
    rmq_error_set(err, "no memory");
    free(r);
    return NULL;
  }
  r->options = options;
  r->block = block;
  r->host = host;
  r->sink = *sink;
  rmq_session_log_init(&r->session, host, plugin_name, block);
  rmq_consume_format_init(&r->format, r->options);
  rmq_latency_clear(&r->latency);
  rmq_window_init(&r->errors, rmq_s(ERROR_WINDOW_S));
  if (rmq_series_object_init(RMQ_SERIES_BLOCK, plugin_name, block, NULL, NULL,
                             NULL, &r->object) == 0 &&
      create_trust(r, err) == 0 && create_consumer(r, err) == 0 &&
      create_connection(r, err) == 0)
    return r;
  rmq_error_set(err, "no memory");
  rmq_role_consume_free(r);
  return NULL;
}

void rmq_role_consume_free(struct rmq_role_consume *r) {
  if (r == NULL)
    return;
  rmq_worker_free(r->worker);
  rmq_connection_free(r->connection);
  rmq_consumer_free(r->consumer);
  rmq_offsets_fini(&r->offsets);
  rmq_consume_topology_fini(&r->topology);
  rmq_connection_setup_fini(&r->setup);
  rmq_flow_fini(&r->flow);
  rmq_outstanding_fini(&r->outstanding);
  rmq_rejections_fini(&r->rejections);
  rmq_consume_filter_free(r->filter);
  rmq_consume_events_free(r->events);
  pthread_mutex_destroy(&r->lock);
  free(r);
}

int rmq_role_consume_start(struct rmq_role_consume *r, struct rmq_error *err) {
  rmq_consume_topology_warn(r->options, &r->session);
  rmq_offsets_load(&r->offsets);
  if (rmq_worker_start(r->worker, err) != 0)
    return -1;
  r->is_started = true;
  return 0;
}

void rmq_role_consume_stop(struct rmq_role_consume *r,
                           struct rmq_mono deadline) {
  if (r->is_started)
    rmq_worker_stop(r->worker, deadline);
}

/* The last report is up to an interval old when the daemon ends. */
static void log_totals(struct rmq_role_consume *r) {
  lock(r);
  struct rmq_consume_counters c = r->shared;
  unlock(r);
  uint64_t rejected = 0;
  for (int i = 0; i < RMQ_REJECTIONS_COUNT; i++)
    rejected += c.rejected[i];
  struct rmq_error text = {""};
  rmq_error_set(&text,
                "ended: %" PRIu64 " messages delivered, %" PRIu64
                " of them again; %" PRIu64 " acknowledged, %" PRIu64
                " of them as duplicates, %" PRIu64 " requeued, %" PRIu64
                " rejected",
                c.consumer.delivered, c.consumer.redelivered, c.consumer.acked,
                c.flow.deduplicated, c.consumer.requeued, rejected);
  rmq_session_log_write(&r->session,
                        &(struct rmq_log_record){.level = RMQ_LOG_NOTICE,
                                                 .event = "ended",
                                                 .message = text.text});
}

bool rmq_role_consume_await(struct rmq_role_consume *r, struct rmq_mono until) {
  return !r->is_started || rmq_worker_await(r->worker, until);
}

bool rmq_role_consume_join(struct rmq_role_consume *r,
                           struct rmq_mono deadline) {
  if (r->is_started && !rmq_worker_join(r->worker, deadline))
    return false;
  if (r->is_started) {
    rmq_offsets_flush(&r->offsets, mono(r));
    log_totals(r);
  }
  r->is_started = false;
  return true;
}

void rmq_role_consume_report(struct rmq_role_consume *r,
                             struct rmq_dur interval) {
  if (!r->options->connection.report_stats)
    return;
  lock(r);
  struct rmq_consume_counters counters = r->shared;
  struct rmq_latency latency = r->latency;
  rmq_latency_clear(&r->latency);
  unlock(r);
  struct rmq_consume_report report;
  rmq_consume_report_fill(&report, &counters, &latency, &r->session,
                          &r->reported, &r->errors, mono(r));
  struct rmq_series_report to = {.host = r->host,
                                 .object = &r->object,
                                 .time = r->host->wall(r->host->ctx),
                                 .interval = interval};
  rmq_series_emit_all(&to, rmq_consume_series_table, RMQ_SERIES_BLOCK, &report);
}
