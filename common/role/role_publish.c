/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/role_publish.h"

#include "common/amqp/publisher.h"
#include "common/amqp/worker.h"
#include "common/base/complain.h"
#include "common/base/rkey.h"
#include "common/codec/codec.h"
#include "common/role/publish_series.h"
#include "common/role/session_log.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char plugin_name[] = "rabbitmq_publish";
enum { ENCODED_MAX = 16 << 20, REPEAT_AFTER_S = 10, ERROR_WINDOW_S = 60 };

struct rmq_role_publish {
  const struct rmq_publish_options *options;
  const char *block;
  const struct rmq_host *host;
  const struct rmq_codec *codec;
  struct rmq_session_log session;
  struct rmq_connection_setup setup;
  struct rmq_wire_exchange exchange;
  struct rmq_publisher *publisher;
  struct rmq_connection *connection;
  struct rmq_worker *worker;
  bool is_started;

  /* Repeated complaints of the callbacks, any thread. */
  pthread_mutex_t complain_lock;
  struct rmq_complain overflow, unencodable;
  /* The worker's thread. */
  struct rmq_complain refused, given_up;
  /* The reporting thread. */
  struct rmq_series_object object;
  struct rmq_publisher_counters reported;
  struct rmq_window errors;
};

static struct rmq_mono mono(const struct rmq_role_publish *r) {
  return r->host->mono(r->host->ctx);
}

/* ------------------------------------------------------------------------
 * What happens on the connection, in the worker's thread */

static void changed(void *ctx, const struct rmq_connection_change *change,
                    struct rmq_mono now) {
  struct rmq_role_publish *r = ctx;
  rmq_publisher_changed(r->publisher, change, now);
  rmq_session_log_changed(&r->session, change, now);
}

static void ready(void *ctx, uint64_t epoch, struct rmq_mono now) {
  struct rmq_role_publish *r = ctx;
  rmq_publisher_ready(r->publisher, epoch, now);
}

static void lost(void *ctx, struct rmq_mono now) {
  struct rmq_role_publish *r = ctx;
  rmq_publisher_lost(r->publisher, now);
}

static void confirmed(void *ctx, uint64_t epoch, uint64_t seqno, bool multiple,
                      bool is_nack, struct rmq_mono now) {
  struct rmq_role_publish *r = ctx;
  rmq_publisher_confirmed(r->publisher, epoch, seqno, multiple, is_nack, now);
}

static void returned(void *ctx, uint64_t epoch, const struct rmq_returned *ret,
                     struct rmq_mono now) {
  struct rmq_role_publish *r = ctx;
  (void)now;
  rmq_publisher_returned(r->publisher, epoch, ret);
}

/* A publisher subscribes to nothing. */
static void delivered(void *ctx, uint64_t epoch, const struct rmq_delivery *d,
                      struct rmq_mono now) {
  struct rmq_role_publish *r = ctx;
  (void)epoch;
  (void)d;
  rmq_connection_fail(r->connection, "a delivery to a publisher", now);
}

static void cancelled(void *ctx, struct rmq_mono now) {
  (void)ctx;
  (void)now;
}

static void log_message(struct rmq_role_publish *r, enum rmq_level level,
                        const char *event, const struct rmq_message *m,
                        const char *text) {
  char traceparent[RMQ_TRACEPARENT_SIZE], trace_id[RMQ_TRACE_ID_SIZE];
  rmq_uuid_traceparent_of(m->id, traceparent);
  bool has_trace =
      rmq_uuid_trace_id(traceparent, strlen(traceparent), trace_id);
  rmq_session_log_write(
      &r->session,
      &(struct rmq_log_record){.level = level,
                               .event = event,
                               .message_id = m->id,
                               .trace_id = has_trace ? trace_id : NULL,
                               .seqno = m->seq,
                               .message = text});
}

static void refused(void *ctx, const struct rmq_message *m,
                    enum rmq_outcome outcome) {
  struct rmq_role_publish *r = ctx;
  uint64_t missed = 0;
  if (!rmq_complain_report(&r->refused, mono(r), &missed))
    return;
  char text[640];
  snprintf(text, sizeof(text),
           "the broker %s a message to exchange \"%s\" with routing key "
           "\"%s\"; it is tried again (%llu others since the last such line)",
           outcome == RMQ_RETURNED ? "returned as unroutable" : "nacked",
           r->options->exchange.name, m->key, (unsigned long long)missed);
  log_message(r, RMQ_LOG_WARNING, rmq_outcome_to_str(outcome), m, text);
}

static void given_up(void *ctx, const struct rmq_publisher_given_up *g) {
  struct rmq_role_publish *r = ctx;
  uint64_t missed = 0;
  if (!rmq_complain_report(&r->given_up, mono(r), &missed))
    return;
  char text[640];
  snprintf(text, sizeof(text),
           "gave up a message to exchange \"%s\" with routing key \"%s\": %s "
           "(attempts: %u; %llu others since the last such line)",
           g->exchange, g->m->key,
           g->outcome == RMQ_RETURNED
               ? "no queue takes it; bind a queue or correct RoutingKey"
               : "the broker nacks it; see the queue's length limit",
           g->m->attempts, (unsigned long long)missed);
  log_message(r, RMQ_LOG_ERROR, "given_up", g->m, text);
}

/* ------------------------------------------------------------------------
 * The worker's job */

static struct rmq_mono step(void *ctx, struct rmq_mono now) {
  struct rmq_role_publish *r = ctx;
  return rmq_publisher_step(r->publisher, now);
}

static void drain(void *ctx, struct rmq_mono now) {
  (void)ctx;
  (void)now;
}

static bool is_drained(void *ctx) {
  struct rmq_role_publish *r = ctx;
  return rmq_publisher_is_drained(r->publisher);
}

/* ------------------------------------------------------------------------
 * Lifecycle */

static int create_publisher(struct rmq_role_publish *r, struct rmq_error *err) {
  const struct rmq_publish_options *o = r->options;
  struct rmq_publisher_config config = {
      .exchange = o->exchange.name,
      .is_mandatory = o->mandatory,
      .is_persistent = o->persistent,
      .app_id = o->app_id,
      .window = (size_t)o->confirm_window,
      .confirm_timeout = o->confirm_timeout,
      .max_attempts = (unsigned)o->max_attempts,
      .on_return = (enum rmq_refusal_policy)o->on_return,
      .on_nack = (enum rmq_refusal_policy)o->on_nack,
      .retry_min = o->connection.retry_delay,
      .retry_max = o->connection.retry_delay_max,
      .queue_messages = (size_t)o->send_queue_limit,
      .queue_bytes = (size_t)o->send_queue_bytes,
      .overflow = (enum rmq_overflow)o->overflow_policy};
  struct rmq_publisher_handlers handlers = {r, given_up, refused};
  struct rmq_uuid instance = rmq_uuid_from_bits(r->host->random(r->host->ctx),
                                                r->host->random(r->host->ctx));
  r->publisher = rmq_publisher_new(&config, &handlers, instance,
                                   r->host->random(r->host->ctx));
  return r->publisher != NULL ? 0 : rmq_error_set(err, "no memory");
}

static int create_connection(struct rmq_role_publish *r,
                             struct rmq_error *err) {
  struct rmq_connection_config config = {.wants_confirms = true};
  if (rmq_connection_setup_init(&r->setup, &r->options->connection,
                                r->host->service, r->host->hostname, r->block,
                                &config, err) != 0)
    return -1;
  config.exchange =
      rmq_exchange_options_declare(&r->options->exchange, &r->exchange);
  struct rmq_connection_handlers handlers = {.ctx = r,
                                             .changed = changed,
                                             .ready = ready,
                                             .lost = lost,
                                             .confirmed = confirmed,
                                             .returned = returned,
                                             .delivered = delivered,
                                             .cancelled = cancelled};
  r->connection =
      rmq_connection_new(&config, &handlers, r->host->random(r->host->ctx));
  if (r->connection == NULL)
    return rmq_error_set(err, "no memory");
  rmq_publisher_attach(r->publisher, r->connection);
  struct rmq_worker_job job = {r, step, drain, is_drained};
  r->worker = rmq_worker_new("rmq_publish", r->host, r->connection,
                             &r->setup.link, &job, err);
  return r->worker != NULL ? 0 : -1;
}

struct rmq_role_publish *
rmq_role_publish_new(const struct rmq_publish_options *options,
                     const char *block, const struct rmq_host *host,
                     struct rmq_error *err) {
  struct rmq_role_publish *r = calloc(1, sizeof(*r));
  if (r == NULL || pthread_mutex_init(&r->complain_lock, NULL) != 0) {
    rmq_error_set(err, "no memory");
    free(r);
    return NULL;
  }
  r->options = options;
  r->block = block;
  r->host = host;
  r->codec = rmq_codec_at(options->format);
  rmq_session_log_init(&r->session, host, plugin_name, block);
  rmq_complain_init(&r->overflow, rmq_s(REPEAT_AFTER_S));
  rmq_complain_init(&r->unencodable, rmq_s(REPEAT_AFTER_S));
  rmq_complain_init(&r->refused, rmq_s(REPEAT_AFTER_S));
  rmq_complain_init(&r->given_up, rmq_s(REPEAT_AFTER_S));
  rmq_window_init(&r->errors, rmq_s(ERROR_WINDOW_S));
  if (rmq_series_object_init(RMQ_SERIES_BLOCK, plugin_name, block, NULL, NULL,
                             NULL, &r->object) == 0 &&
      create_publisher(r, err) == 0 && create_connection(r, err) == 0)
    return r;
  rmq_error_set(err, "no memory");
  rmq_role_publish_free(r);
  return NULL;
}

void rmq_role_publish_free(struct rmq_role_publish *r) {
  if (r == NULL)
    return;
  rmq_worker_free(r->worker);
  rmq_publisher_free(r->publisher);
  rmq_connection_free(r->connection);
  rmq_connection_setup_fini(&r->setup);
  pthread_mutex_destroy(&r->complain_lock);
  free(r);
}

int rmq_role_publish_start(struct rmq_role_publish *r, struct rmq_error *err) {
  if (rmq_worker_start(r->worker, err) != 0)
    return -1;
  r->is_started = true;
  return 0;
}

void rmq_role_publish_stop(struct rmq_role_publish *r,
                           struct rmq_mono deadline) {
  if (r->is_started)
    rmq_worker_stop(r->worker, deadline);
}

static void log_abandoned(struct rmq_role_publish *r, size_t left) {
  char text[160];
  snprintf(text, sizeof(text),
           "%zu messages were not confirmed when the daemon ended, and are "
           "lost unless the broker already had them",
           left);
  rmq_session_log_write(&r->session,
                        &(struct rmq_log_record){.level = RMQ_LOG_ERROR,
                                                 .event = "abandoned",
                                                 .message = text});
}

/* The last report is up to an interval old when the daemon ends. */
static void log_totals(struct rmq_role_publish *r) {
  struct rmq_publisher_snapshot s;
  rmq_publisher_snapshot(r->publisher, /* take_latency = */ false, &s);
  uint64_t dropped = 0;
  for (int i = 0; i < RMQ_PUBLISHER_DROPS_COUNT; i++)
    dropped += s.counters.dropped[i];
  struct rmq_error text = {""};
  rmq_error_set(&text,
                "ended: %" PRIu64 " messages accepted, %" PRIu64
                " confirmed, %" PRIu64 " returned, %" PRIu64
                " rejected, %" PRIu64 " dropped; %" PRIu64 " republished",
                s.counters.accepted, s.counters.confirmed, s.counters.returned,
                s.counters.rejected, dropped, s.counters.republished);
  rmq_session_log_write(&r->session,
                        &(struct rmq_log_record){.level = RMQ_LOG_NOTICE,
                                                 .event = "ended",
                                                 .message = text.text});
}

bool rmq_role_publish_join(struct rmq_role_publish *r,
                           struct rmq_mono deadline) {
  if (r->is_started && !rmq_worker_join(r->worker, deadline))
    return false;
  r->is_started = false;
  size_t left = rmq_publisher_abandon(r->publisher);
  if (left > 0)
    log_abandoned(r, left);
  log_totals(r);
  return true;
}

/* ------------------------------------------------------------------------
 * The host's callbacks */

/* One line per trouble and back-off, from whichever thread meets it. */
static void complain(struct rmq_role_publish *r, struct rmq_complain *c,
                     const char *event, const char *text) {
  uint64_t missed = 0;
  pthread_mutex_lock(&r->complain_lock);
  bool is_due = rmq_complain_report(c, mono(r), &missed);
  pthread_mutex_unlock(&r->complain_lock);
  if (!is_due)
    return;
  char line[320];
  snprintf(line, sizeof(line), "%s (%llu times since the last such line)", text,
           (unsigned long long)missed + 1);
  rmq_session_log_write(&r->session,
                        &(struct rmq_log_record){.level = RMQ_LOG_ERROR,
                                                 .event = event,
                                                 .message = line});
}

static int enqueue(struct rmq_role_publish *r, const char *key,
                   const struct rmq_buf *body, struct rmq_wall time,
                   uint32_t values) {
  struct rmq_message *m = rmq_message_new(key, rmq_buf_bytes(body), body->len);
  if (m == NULL)
    return -1;
  m->content_type = r->codec->content_type;
  m->values = values;
  m->time = time;
  size_t dropped = 0;
  if (rmq_publisher_accept(r->publisher, m, &dropped))
    rmq_worker_wake(r->worker);
  if (dropped > 0)
    complain(r, &r->overflow, "overflow",
             "the send queue is full: messages are dropped; see "
             "SendQueueLimit, SendQueueBytes and the connection's state");
  return 0;
}

static int refuse(struct rmq_role_publish *r, uint32_t values) {
  rmq_publisher_count_unencodable(r->publisher, values);
  complain(r, &r->unencodable, "unencodable",
           "a value could not be encoded, or memory was short: it is dropped");
  return -1;
}

static int encode(const struct rmq_codec *codec,
                  const struct rmq_sample *sample, struct rmq_buf *out) {
  return rmq_buf_append_text(out, codec->open) == 0 &&
                 codec->encode(sample, out) == 0 &&
                 rmq_buf_append_text(out, codec->close) == 0
             ? 0
             : -1;
}

int rmq_role_publish_sample(struct rmq_role_publish *r,
                            const struct rmq_sample *sample) {
  if (!r->options->metrics)
    return 0;
  char key[RMQ_RKEY_MAX + 1];
  struct rmq_buf body;
  rmq_buf_init(&body, ENCODED_MAX);
  rmq_rkey_from_sample(r->options->routing_key, &sample->id, key);
  int rc = encode(r->codec, sample, &body);
  if (rc == 0)
    rc = enqueue(r, key, &body, r->host->wall(r->host->ctx), /* values = */ 1);
  rmq_buf_fini(&body);
  return rc == 0 ? 0 : refuse(r, /* values = */ 1);
}

int rmq_role_publish_event(struct rmq_role_publish *r,
                           const struct rmq_event *event) {
  if (!r->options->notifications || r->codec->encode_event == NULL)
    return 0;
  char key[RMQ_RKEY_MAX + 1];
  struct rmq_buf body;
  rmq_buf_init(&body, ENCODED_MAX);
  rmq_rkey_from_event(r->options->routing_key_notification, event, key);
  int rc = r->codec->encode_event(event, &body);
  if (rc == 0)
    rc = enqueue(r, key, &body, r->host->wall(r->host->ctx), /* values = */ 0);
  rmq_buf_fini(&body);
  return rc == 0 ? 0 : refuse(r, /* values = */ 0);
}

void rmq_role_publish_flush(struct rmq_role_publish *r) {
  rmq_worker_wake(r->worker);
}

void rmq_role_publish_report(struct rmq_role_publish *r,
                             struct rmq_dur interval) {
  if (!r->options->connection.report_stats)
    return;
  struct rmq_publisher_snapshot snapshot;
  struct rmq_publish_report report;
  rmq_publisher_snapshot(r->publisher, /* take_latency = */ true, &snapshot);
  rmq_publish_report_fill(&report, &snapshot, &r->session, &r->reported,
                          &r->errors, mono(r));
  struct rmq_series_report to = {.host = r->host,
                                 .object = &r->object,
                                 .time = r->host->wall(r->host->ctx),
                                 .interval = interval};
  rmq_series_emit_all(&to, rmq_publish_series_table, RMQ_SERIES_BLOCK, &report);
}
