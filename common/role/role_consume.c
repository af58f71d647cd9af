/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/role_consume.h"

#include "common/amqp/worker.h"
#include "common/base/outstanding.h"
#include "common/role/consume_format.h"
#include "common/role/consume_rejection.h"
#include "common/role/consume_series.h"
#include "common/role/consume_topology.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static const char plugin_name[] = "rabbitmq_consume";
enum { ERROR_WINDOW_S = 60, OVERDUE_CHECK_S = 1 };
enum { OVERDUE_AT_ONCE = 100 }; /* finding one means looking at all */

struct rmq_role_consume {
  const struct rmq_consume_options *options;
  const char *block;
  const struct rmq_host *host;
  struct rmq_consume_sink sink;
  struct rmq_session_log session;
  struct rmq_connection_setup setup;
  struct rmq_consume_topology topology;
  struct rmq_consume_format format;
  struct rmq_consumer *consumer;
  struct rmq_connection *connection;
  struct rmq_worker *worker;
  bool is_started;

  pthread_mutex_t lock; /* protects from here ... */
  struct rmq_outstanding outstanding;
  struct rmq_outstanding_done *done; /* complete, not yet settled */
  size_t done_count, done_max;
  struct rmq_consume_counters shared; /* as of the worker's last turn */
  struct rmq_latency latency;         /* ... to here */

  /* The worker's thread. */
  struct rmq_consume_counters counters;
  struct rmq_outstanding_done *settling; /* taken from done */
  struct rmq_rejections rejections;
  struct rmq_mono overdue_check;
  bool is_draining, is_cancelled;

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

static void reject(struct rmq_role_consume *r, uint64_t serial,
                   const struct rmq_delivery *d, enum rmq_rejection cause,
                   const char *detail, struct rmq_mono now) {
  int policy = cause == RMQ_REJECTION_dispatch ? r->options->on_dispatch_error
                                               : r->options->on_parse_error;
  enum rmq_settle how =
      rmq_rejections_settle((enum rmq_on_failure)policy, d->is_redelivered);
  if (how != RMQ_SETTLE_REQUEUE)
    r->counters.rejected[cause]++;
  rmq_rejections_log(&r->rejections, d, cause, detail, how, now);
  rmq_consumer_settle(r->consumer, serial, how, now);
}

struct handing_out {
  struct rmq_role_consume *r;
  uint64_t serial;
  enum rmq_refusal refusal; /* the first */
  bool may_pass; /* all refusals so far are of the kind that may pass */
};

static void hand_sample(void *ctx, const struct rmq_sample *sample) {
  struct handing_out *h = ctx;
  struct rmq_role_consume *r = h->r;
  lock(r);
  rmq_outstanding_out(&r->outstanding, h->serial);
  unlock(r);
  enum rmq_refusal refusal = r->sink.dispatch(r->sink.ctx, sample, h->serial);
  if (refusal == RMQ_REFUSAL_none) {
    r->counters.dispatched++;
    return;
  }
  r->counters.refused[refusal - 1]++;
  if (h->refusal == RMQ_REFUSAL_none)
    h->refusal = refusal;
  h->may_pass = h->may_pass && refusal == RMQ_REFUSAL_failed;
  lock(r);
  rmq_outstanding_undo(&r->outstanding, h->serial);
  unlock(r);
}

/* What is to be remembered of a delivery while its values are out: when it was
 * published (milliseconds, 0 = unknown) and whether it came before. */
static int64_t note_of(const struct rmq_delivery *d) {
  bool is_known = d->has_timestamp && d->timestamp_ms > 0 &&
                  d->timestamp_ms < INT64_MAX / 2;
  return (is_known ? d->timestamp_ms : 0) * 2 + (d->is_redelivered ? 1 : 0);
}
static int64_t published_ms(int64_t note) { return note / 2; }
static bool was_redelivered(int64_t note) { return note % 2 != 0; }

static void forget(struct rmq_role_consume *r, uint64_t serial) {
  lock(r);
  rmq_outstanding_forget(&r->outstanding, serial);
  unlock(r);
}

static void note_latency(struct rmq_role_consume *r, int64_t note) {
  int64_t then_ms = published_ms(note);
  if (then_ms <= 0)
    return;
  int64_t now_ms = rmq_wall_ms(r->host->wall(r->host->ctx));
  if (now_ms < then_ms)
    return; /* the clocks differ: the latency is not known */
  lock(r);
  rmq_latency_add(&r->latency, rmq_ms(now_ms - then_ms));
  unlock(r);
}

/* The values are out, or refused; what was handed out may all be back. */
static void handed_out(struct handing_out *h, const struct rmq_delivery *d,
                       bool is_complete, struct rmq_mono now) {
  struct rmq_role_consume *r = h->r;
  if (h->refusal != RMQ_REFUSAL_none) {
    if (!is_complete)
      forget(r, h->serial);
    struct rmq_delivery again = *d;
    again.is_redelivered = d->is_redelivered || !h->may_pass;
    reject(r, h->serial, &again, RMQ_REJECTION_dispatch,
           rmq_refusal_to_str(h->refusal), now);
    return;
  }
  if (!is_complete && r->options->ack_when == RMQ_ACK_WRITTEN)
    return;
  if (!is_complete)
    forget(r, h->serial);
  note_latency(r, note_of(d));
  rmq_consumer_settle(r->consumer, h->serial, RMQ_SETTLE_ACK, now);
}

static void hand_out(struct rmq_role_consume *r, uint64_t serial,
                     const struct rmq_delivery *d,
                     const struct rmq_codec *codec, struct rmq_mono now) {
  struct handing_out h = {.r = r, .serial = serial, .may_pass = true};
  struct rmq_error err = {""};
  lock(r);
  bool has_slot =
      rmq_outstanding_begin(&r->outstanding, serial, note_of(d), now);
  unlock(r);
  if (!has_slot) { /* cannot be: it holds a prefetch of deliveries */
    rmq_consumer_settle(r->consumer, serial, RMQ_SETTLE_REQUEUE, now);
    return;
  }
  const struct rmq_codec_sink sink = {.ctx = &h, .sample = hand_sample};
  int rc = rmq_consume_format_decode(&r->format, codec, d, &r->sink.types,
                                     &sink, &err);
  lock(r);
  bool is_complete = rmq_outstanding_end(&r->outstanding, serial);
  unlock(r);
  if (rc != 0)
    reject(r, serial, d, RMQ_REJECTION_parse, err.text, now);
  else
    handed_out(&h, d, is_complete, now);
}

static void on_delivery(void *ctx, uint64_t serial,
                        const struct rmq_delivery *d, struct rmq_mono now) {
  struct rmq_role_consume *r = ctx;
  enum rmq_rejection cause = RMQ_REJECTION_content_type;
  struct rmq_error detail = {""};
  const struct rmq_codec *codec =
      rmq_consume_format_choose(&r->format, d, &cause, &detail);
  if (codec == NULL)
    reject(r, serial, d, cause, detail.text, now);
  else
    hand_out(r, serial, d, codec, now);
}

void rmq_role_consume_written(struct rmq_role_consume *r, uint64_t serial) {
  struct rmq_outstanding_done done;
  struct rmq_mono now = mono(r);
  lock(r);
  bool is_complete = rmq_outstanding_back(&r->outstanding, serial, now, &done);
  /* done_max deliveries can be open, and each is completed once. */
  if (is_complete && r->done_count < r->done_max)
    r->done[r->done_count++] = done;
  unlock(r);
  if (is_complete)
    rmq_worker_wake(r->worker);
}

/* ------------------------------------------------------------------------
 * The worker's job */

static void settle_done(struct rmq_role_consume *r, struct rmq_mono now) {
  lock(r);
  struct rmq_outstanding_done *taken = r->done;
  size_t count = r->done_count;
  r->done = r->settling;
  r->done_count = 0;
  unlock(r);
  r->settling = taken;
  for (size_t i = 0; i < count; i++) {
    if (rmq_consumer_settle(r->consumer, taken[i].serial, RMQ_SETTLE_ACK, now))
      note_latency(r, taken[i].note);
  }
}

static void settle_overdue(struct rmq_role_consume *r, uint64_t serial,
                           bool is_redelivered, struct rmq_mono now) {
  enum rmq_settle how =
      r->options->on_written_timeout == 1
          ? RMQ_SETTLE_ACK
          : rmq_rejections_settle(RMQ_FAILURE_REQUEUE, is_redelivered);
  if (how != RMQ_SETTLE_REQUEUE)
    r->counters.rejected[RMQ_REJECTION_timeout]++;
  rmq_consumer_settle(r->consumer, serial, how, now);
  rmq_rejections_log_overdue(&r->rejections, how, r->options->written_timeout,
                             now);
}

static void check_overdue(struct rmq_role_consume *r, struct rmq_mono now) {
  if (!rmq_mono_reached(now, r->overdue_check))
    return;
  r->overdue_check = rmq_mono_add(now, rmq_s(OVERDUE_CHECK_S));
  uint64_t serial = 0;
  int left = OVERDUE_AT_ONCE;
  do {
    lock(r);
    serial = rmq_outstanding_overdue(&r->outstanding,
                                     r->options->written_timeout, now);
    int64_t note = rmq_outstanding_note(&r->outstanding, serial);
    if (serial != 0)
      rmq_outstanding_forget(&r->outstanding, serial);
    unlock(r);
    if (serial != 0)
      settle_overdue(r, serial, was_redelivered(note), now);
  } while (serial != 0 && --left > 0);
}

static void share_counters(struct rmq_role_consume *r) {
  r->counters.consumer = rmq_consumer_counters(r->consumer);
  r->counters.unacked = rmq_consumer_unacked(r->consumer);
  r->counters.idle_restarts = rmq_connection_idle_restarts(r->connection);
  lock(r);
  r->counters.outstanding = r->outstanding.values;
  r->shared = r->counters;
  unlock(r);
}

static struct rmq_mono step(void *ctx, struct rmq_mono now) {
  struct rmq_role_consume *r = ctx;
  settle_done(r, now);
  check_overdue(r, now);
  if (r->is_draining && rmq_consumer_open(r->consumer) == 0)
    rmq_consumer_flush(r->consumer);
  struct rmq_mono due = rmq_consumer_step(r->consumer, now);
  share_counters(r);
  if (rmq_consumer_open(r->consumer) > 0)
    due = rmq_mono_min(due, r->overdue_check);
  return due;
}

static void drain(void *ctx, struct rmq_mono now) {
  struct rmq_role_consume *r = ctx;
  (void)now;
  r->is_draining = true;
  r->is_cancelled = !rmq_consumer_cancel(r->consumer);
}

static bool is_drained(void *ctx) {
  const struct rmq_role_consume *r = ctx;
  if (!rmq_session_is_up(rmq_connection_state(r->connection)))
    return true;
  return r->is_cancelled && rmq_consumer_unacked(r->consumer) == 0;
}

/* ------------------------------------------------------------------------
 * What happens on the connection, in the worker's thread */

static void changed(void *ctx, const struct rmq_connection_change *change,
                    struct rmq_mono now) {
  struct rmq_role_consume *r = ctx;
  rmq_session_log_changed(&r->session, change, now);
}

static void ready(void *ctx, uint64_t epoch, struct rmq_mono now) {
  (void)ctx;
  (void)epoch;
  (void)now;
}

/* Values of the old channel's deliveries may still come back: strays. */
static void lost(void *ctx, struct rmq_mono now) {
  struct rmq_role_consume *r = ctx;
  (void)now;
  rmq_consumer_lost(r->consumer);
  lock(r);
  rmq_outstanding_clear(&r->outstanding);
  r->done_count = 0;
  unlock(r);
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

static int create_consumer(struct rmq_role_consume *r, struct rmq_error *err) {
  const struct rmq_consume_options *o = r->options;
  struct rmq_consumer_config config = {.prefetch = (uint16_t)o->prefetch_count,
                                       .ack_batch = (size_t)o->ack_batch,
                                       .ack_interval = o->ack_interval};
  struct rmq_consumer_handlers handlers = {r, on_delivery};
  r->done_max = config.prefetch;
  r->done = calloc(r->done_max, sizeof(*r->done));
  r->settling = calloc(r->done_max, sizeof(*r->settling));
  r->consumer = rmq_consumer_new(&config, &handlers);
  if (r->done == NULL || r->settling == NULL || r->consumer == NULL ||
      rmq_outstanding_init(&r->outstanding, r->done_max) != 0)
    return rmq_error_set(err, "no memory");
  return 0;
}

static int create_connection(struct rmq_role_consume *r,
                             struct rmq_error *err) {
  struct rmq_connection_config config = {.wants_confirms = false};
  if (rmq_connection_setup_init(&r->setup, &r->options->connection,
                                r->host->service, r->host->hostname, r->block,
                                &config, err) != 0 ||
      rmq_consume_topology_init(&r->topology, r->options, &config, err) != 0)
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
  rmq_rejections_init(&r->rejections, &r->session);
  rmq_consume_format_init(&r->format, r->options);
  rmq_latency_clear(&r->latency);
  rmq_window_init(&r->errors, rmq_s(ERROR_WINDOW_S));
  if (rmq_series_object_init(RMQ_SERIES_BLOCK, plugin_name, block, NULL, NULL,
                             NULL, &r->object) == 0 &&
      create_consumer(r, err) == 0 && create_connection(r, err) == 0)
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
  rmq_consume_topology_fini(&r->topology);
  rmq_connection_setup_fini(&r->setup);
  rmq_outstanding_fini(&r->outstanding);
  free(r->done);
  free(r->settling);
  pthread_mutex_destroy(&r->lock);
  free(r);
}

int rmq_role_consume_start(struct rmq_role_consume *r, struct rmq_error *err) {
  rmq_consume_topology_warn(r->options, &r->session);
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
                " requeued, %" PRIu64 " rejected",
                c.consumer.delivered, c.consumer.redelivered, c.consumer.acked,
                c.consumer.requeued, rejected);
  rmq_session_log_write(&r->session,
                        &(struct rmq_log_record){.level = RMQ_LOG_NOTICE,
                                                 .event = "ended",
                                                 .message = text.text});
}

bool rmq_role_consume_join(struct rmq_role_consume *r,
                           struct rmq_mono deadline) {
  if (r->is_started && !rmq_worker_join(r->worker, deadline))
    return false;
  if (r->is_started)
    log_totals(r);
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
