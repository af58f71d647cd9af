/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/role_consume_private.h"

#include "common/role/consume_filter.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char plugin_name[] = "rabbitmq_consume";
enum { ERROR_WINDOW_S = 60 };
enum { CHANNELS_REMEMBERED = 4 };
enum { WRITERS_REST_MS = 1 };

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
  r->has_asked_cancel = r->is_cancelled = false;
  r->begins_nothing = r->is_draining;
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
  struct rmq_consumer_handlers handlers = {r, rmq_consume_delivered};
  size_t tickets = tickets_max(o);
  r->consumer = rmq_consumer_new(&config, &handlers);
  if (r->consumer == NULL ||
      rmq_outstanding_init(&r->outstanding, tickets) != 0 ||
      (r->sink.message != NULL && rmq_message_ends_init(&r->ends, tickets)) ||
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
      rmq_rejections_init(&r->rejections, &r->session, o,
                          r->options->queue.type == RMQ_QUEUE_TYPE_STREAM) != 0)
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
      .keeps_properties = r->options->trust.quarantine_dir != NULL ||
                          r->options->trust.host_from_header != NULL ||
                          r->sink.message != NULL};
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
  struct rmq_worker_job job = {r, rmq_consume_step, rmq_consume_drain,
                               rmq_consume_is_drained};
  r->worker = rmq_worker_new("rmq_consume", r->host, r->connection,
                             &r->setup.link, &job, err);
  return r->worker != NULL ? 0 : -1;
}

static int init_locks(struct rmq_role_consume *r, const struct rmq_host *host) {
  if (pthread_mutex_init(&r->lock, NULL) != 0)
    return -1;
  if (rmq_gate_init(&r->gate, host, rmq_ms(WRITERS_REST_MS)) == 0)
    return 0;
  pthread_mutex_destroy(&r->lock);
  return -1;
}

struct rmq_role_consume *
rmq_role_consume_new(const struct rmq_consume_options *options,
                     const char *block, const struct rmq_host *host,
                     const struct rmq_consume_sink *sink,
                     struct rmq_error *err) {
  struct rmq_role_consume *r = calloc(1, sizeof(*r));
  if (r == NULL || init_locks(r, host) != 0) {
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
  rmq_consume_format_fini(&r->format);
  rmq_flow_fini(&r->flow);
  rmq_outstanding_fini(&r->outstanding);
  rmq_message_ends_fini(&r->ends);
  rmq_rejections_fini(&r->rejections);
  rmq_consume_filter_free(r->filter);
  rmq_consume_events_free(r->events);
  rmq_gate_fini(&r->gate);
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

static uint64_t sum_rejected(const struct rmq_consume_counters *c) {
  uint64_t rejected = 0;
  for (int i = 0; i < RMQ_REJECTIONS_COUNT; i++)
    rejected += c->rejected[i];
  return rejected;
}

uint64_t rmq_role_consume_rejected(struct rmq_role_consume *r) {
  rmq_consume_lock(r);
  uint64_t rejected = sum_rejected(&r->shared);
  rmq_consume_unlock(r);
  return rejected;
}

/* The last report is up to an interval old when the daemon ends. */
static void log_totals(struct rmq_role_consume *r) {
  rmq_consume_lock(r);
  struct rmq_consume_counters c = r->shared;
  rmq_consume_unlock(r);
  struct rmq_error text = {""};
  rmq_error_set(&text,
                "ended: %" PRIu64 " messages delivered, %" PRIu64
                " of them again; %" PRIu64 " acknowledged, %" PRIu64
                " of them as duplicates, %" PRIu64 " requeued, %" PRIu64
                " rejected",
                c.consumer.delivered, c.consumer.redelivered, c.consumer.acked,
                c.flow.deduplicated, c.consumer.requeued, sum_rejected(&c));
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
    rmq_offsets_flush(&r->offsets, rmq_consume_now(r));
    log_totals(r);
  }
  r->is_started = false;
  return true;
}

bool rmq_role_consume_is_up(const struct rmq_role_consume *r) {
  return rmq_session_is_up(rmq_session_log_state(&r->session));
}

bool rmq_role_consume_is_idle(struct rmq_role_consume *r) {
  if (!rmq_role_consume_is_up(r))
    return false;
  rmq_consume_lock(r);
  bool is_idle = r->shared.unacked == 0 && r->outstanding.count == 0;
  rmq_consume_unlock(r);
  return is_idle;
}

void rmq_role_consume_report(struct rmq_role_consume *r,
                             struct rmq_dur interval) {
  if (!r->options->connection.report_stats)
    return;
  rmq_consume_lock(r);
  struct rmq_consume_counters counters = r->shared;
  struct rmq_latency latency = r->latency;
  rmq_latency_clear(&r->latency);
  rmq_consume_unlock(r);
  struct rmq_consume_report report;
  rmq_consume_report_fill(&report, &counters, &latency, &r->session,
                          &r->reported, &r->errors, rmq_consume_now(r));
  struct rmq_series_report to = {.host = r->host,
                                 .object = &r->object,
                                 .time = r->host->wall(r->host->ctx),
                                 .interval = interval};
  rmq_series_emit_all(&to, rmq_consume_series_table, RMQ_SERIES_BLOCK, &report);
}
