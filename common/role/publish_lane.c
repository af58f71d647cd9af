/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/publish_lane.h"

#include "common/amqp/worker.h"
#include "common/base/complain.h"
#include "common/base/uuid.h"
#include "common/role/publish_spool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char plugin_name[] = "rabbitmq_publish";
enum { REPEAT_AFTER_S = 10, LABEL_SIZE = 256 };
/* Read from the spool at a time: some windows, so that the disk keeps ahead of
 * the broker. */
enum { READ_AHEAD_WINDOWS = 4 };

struct rmq_publish_lane {
  struct rmq_publish_lane_config config;
  char label[LABEL_SIZE]; /* the block's name; with several lanes NAME#2 */
  struct rmq_session_log session;
  struct rmq_publisher *publisher;
  struct rmq_connection *connection;
  struct rmq_worker *worker;
  bool is_started;
  struct rmq_complain refused, given_up; /* the worker's thread */
};

/* ------------------------------------------------------------------------
 * What happens on the connection, in the worker's thread */

static void changed(void *ctx, const struct rmq_connection_change *change,
                    struct rmq_mono now) {
  struct rmq_publish_lane *l = ctx;
  rmq_publisher_changed(l->publisher, change, now);
  rmq_session_log_changed(&l->session, change, now);
}

static void ready(void *ctx, uint64_t epoch, struct rmq_mono now) {
  struct rmq_publish_lane *l = ctx;
  rmq_publisher_ready(l->publisher, epoch, now);
}

static void lost(void *ctx, struct rmq_mono now) {
  struct rmq_publish_lane *l = ctx;
  rmq_publisher_lost(l->publisher, now);
}

static void confirmed(void *ctx, uint64_t epoch, uint64_t seqno, bool multiple,
                      bool is_nack, struct rmq_mono now) {
  struct rmq_publish_lane *l = ctx;
  rmq_publisher_confirmed(l->publisher, epoch, seqno, multiple, is_nack, now);
}

static void returned(void *ctx, uint64_t epoch, const struct rmq_returned *ret,
                     struct rmq_mono now) {
  struct rmq_publish_lane *l = ctx;
  (void)now;
  rmq_publisher_returned(l->publisher, epoch, ret);
}

/* A publisher subscribes to nothing. */
static void delivered(void *ctx, uint64_t epoch, const struct rmq_delivery *d,
                      struct rmq_mono now) {
  struct rmq_publish_lane *l = ctx;
  (void)epoch;
  (void)d;
  rmq_connection_fail(l->connection, "a delivery to a publisher", now);
}

static void cancelled(void *ctx, struct rmq_mono now) {
  (void)ctx;
  (void)now;
}

static bool is_settled(void *ctx) {
  struct rmq_publish_lane *l = ctx;
  struct rmq_publisher_snapshot s;
  rmq_publisher_snapshot(l->publisher, /* take_latency = */ false, &s);
  return s.in_flight == 0;
}

/* ------------------------------------------------------------------------
 * What the log hears of single messages */

static void log_message(struct rmq_publish_lane *l, enum rmq_level level,
                        const char *event, const struct rmq_message *m,
                        const char *text) {
  char traceparent[RMQ_TRACEPARENT_SIZE], trace_id[RMQ_TRACE_ID_SIZE];
  rmq_uuid_traceparent_of(rmq_message_id(m), traceparent);
  bool has_trace =
      rmq_uuid_trace_id(traceparent, strlen(traceparent), trace_id);
  rmq_session_log_write(
      &l->session,
      &(struct rmq_log_record){.level = level,
                               .event = event,
                               .message_id = rmq_message_id(m),
                               .trace_id = has_trace ? trace_id : NULL,
                               .seqno = m->seq,
                               .message = text});
}

static const char *refusal_text(enum rmq_publish_refusal why) {
  switch (why) {
  case RMQ_REFUSED_NACK:
    return "nacked";
  case RMQ_REFUSED_RETURN:
    return "returned";
  case RMQ_REFUSED_CLOSE:
    return "closed the channel over";
  }
  return "refused";
}

const char *rmq_publish_lane_remedy(enum rmq_publish_refusal why) {
  switch (why) {
  case RMQ_REFUSED_NACK:
    return "the broker nacks it; see the queue's length limit";
  case RMQ_REFUSED_RETURN:
    return "no queue takes it; bind a queue or correct RoutingKey";
  case RMQ_REFUSED_CLOSE:
    return "the broker closes the channel over it; see its max_message_size "
           "and BatchBytes, and whether the exchange exists";
  }
  return "the broker refuses it";
}

/* This return is counted among the refusals already. */
static void fate_of_returned(const struct rmq_publish_options *o,
                             const struct rmq_message *m, char *text,
                             size_t size) {
  unsigned most =
      m->max_refusals > 0 ? m->max_refusals : (unsigned)o->max_attempts;
  if (o->on_return == RMQ_REFUSAL_DROP || m->refusals >= most)
    snprintf(text, size, "not tried again");
  else if (o->on_return == RMQ_REFUSAL_ALTERNATE && !m->to_alternate)
    snprintf(text, size, "it goes to the alternate exchange");
  else
    snprintf(text, size, "tried again, refusal %u of %u", m->refusals, most);
}

/* mandatory is the only reason for a return: the exchange had no queue for it.
 */
static void returned_text(const struct rmq_publish_lane *l,
                          const struct rmq_message *m, uint64_t missed,
                          char *text, size_t size) {
  const struct rmq_publish_options *o = l->config.options;
  char next[64];
  fate_of_returned(o, m, next, sizeof(next));
  const char *exchange = m->to_alternate
                             ? o->exchange.alternate
                             : rmq_message_exchange(m, o->exchange.name);
  snprintf(text, size,
           "the broker returned a message to exchange \"%s\" with routing key "
           "\"%s\": no queue is bound there that takes it; %s (%llu others "
           "since the last such line)",
           exchange, m->key, next, (unsigned long long)missed);
}

static void refused(void *ctx, const struct rmq_message *m,
                    enum rmq_publish_refusal why) {
  struct rmq_publish_lane *l = ctx;
  const struct rmq_host *host = l->config.host;
  uint64_t missed = 0;
  if (!rmq_complain_report(&l->refused, host->mono(host->ctx), &missed))
    return;
  char text[768];
  if (why == RMQ_REFUSED_RETURN)
    returned_text(l, m, missed, text, sizeof(text));
  else
    snprintf(text, sizeof(text),
             "the broker %s a message of %zu bytes to exchange \"%s\" with "
             "routing key \"%s\" (%llu others since the last such line)",
             refusal_text(why), m->body_len,
             rmq_message_exchange(m, l->config.options->exchange.name), m->key,
             (unsigned long long)missed);
  log_message(l, RMQ_LOG_WARNING, rmq_publish_refusal_to_str(why), m, text);
}

static void given_up(void *ctx, const struct rmq_publisher_given_up *g) {
  struct rmq_publish_lane *l = ctx;
  const struct rmq_host *host = l->config.host;
  uint64_t missed = 0;
  if (!rmq_complain_report(&l->given_up, host->mono(host->ctx), &missed))
    return;
  char text[640];
  snprintf(text, sizeof(text),
           "gave up a message of %zu bytes to exchange \"%s\" with routing key "
           "\"%s\": %s (attempts: %u; %llu others since the last such line)",
           g->m->body_len, g->exchange, g->m->key,
           rmq_publish_lane_remedy(g->why), g->m->attempts,
           (unsigned long long)missed);
  log_message(l, RMQ_LOG_ERROR, "given_up", g->m, text);
}

static void prepare(void *ctx, struct rmq_message *m) {
  struct rmq_publish_lane *l = ctx;
  l->config.prepare(l->config.ctx, m);
}

static void wake(void *ctx) { rmq_publish_lane_wake(ctx); }

static void fate(void *ctx, const struct rmq_fate_report *report) {
  const struct rmq_publish_lane *l = ctx;
  l->config.fate(l->config.ctx, report);
}

/* ------------------------------------------------------------------------
 * The worker's job */

static struct rmq_mono step(void *ctx, struct rmq_mono now) {
  struct rmq_publish_lane *l = ctx;
  struct rmq_mono next = rmq_publisher_step(l->publisher, now);
  return l->config.tick == NULL
             ? next
             : rmq_mono_min(next, l->config.tick(l->config.ctx, now));
}

static void drain(void *ctx, struct rmq_mono now) {
  struct rmq_publish_lane *l = ctx;
  (void)now;
  rmq_publisher_drain(l->publisher);
}

static bool is_drained(void *ctx) {
  struct rmq_publish_lane *l = ctx;
  return rmq_publisher_is_drained(l->publisher);
}

/* ------------------------------------------------------------------------
 * Lifecycle */

/* The share of one lane, rounded up. */
static size_t share(int64_t all, unsigned lanes) {
  return ((size_t)all + lanes - 1) / lanes;
}

static struct rmq_fifo_config fifo_config(const struct rmq_publish_lane *l) {
  const struct rmq_publish_options *o = l->config.options;
  return (struct rmq_fifo_config){
      .max_messages = share(o->send_queue_limit, l->config.count),
      .max_bytes = share(o->send_queue_bytes, l->config.count),
      .policy = (enum rmq_overflow)o->overflow_policy,
      .mode = rmq_publish_spool_mode(o),
      .store = l->config.store,
      .lane = l->config.index,
      .read_ahead = READ_AHEAD_WINDOWS * (size_t)o->confirm_window};
}

static int create_publisher(struct rmq_publish_lane *l, struct rmq_error *err) {
  const struct rmq_publish_options *o = l->config.options;
  struct rmq_publisher_config config = {
      .exchange = o->exchange.name,
      .alternate_exchange = o->exchange.alternate,
      .is_mandatory = o->mandatory,
      .is_persistent = o->persistent,
      .wants_confirms = o->confirm,
      .app_id = o->app_id,
      .priority = (uint8_t)o->priority,
      .headers = &o->headers,
      .ttl = o->message_ttl,
      .window = (size_t)o->confirm_window,
      .confirm_timeout = o->confirm_timeout,
      .max_attempts = (unsigned)o->max_attempts,
      .on_return = (enum rmq_refusal_policy)o->on_return,
      .on_nack = (enum rmq_refusal_policy)o->on_nack,
      .retry_min = o->connection.retry_delay,
      .retry_max = o->connection.retry_delay_max,
      .fifo = fifo_config(l)};
  const struct rmq_host *host = l->config.host;
  struct rmq_publisher_handlers handlers = {l,       given_up, refused,
                                            prepare, wake,     fate};
  l->publisher = rmq_publisher_new(&config, &handlers, host->random(host->ctx));
  return l->publisher != NULL ? 0 : rmq_error_set(err, "no memory");
}

static int create_connection(struct rmq_publish_lane *l,
                             struct rmq_error *err) {
  const struct rmq_host *host = l->config.host;
  struct rmq_connection_handlers handlers = {.ctx = l,
                                             .changed = changed,
                                             .ready = ready,
                                             .lost = lost,
                                             .confirmed = confirmed,
                                             .returned = returned,
                                             .delivered = delivered,
                                             .cancelled = cancelled,
                                             .is_settled = is_settled};
  l->connection = rmq_connection_new(l->config.connection, &handlers,
                                     host->random(host->ctx));
  if (l->connection == NULL)
    return rmq_error_set(err, "no memory");
  rmq_publisher_attach(l->publisher, l->connection);
  struct rmq_worker_job job = {l, step, drain, is_drained};
  l->worker = rmq_worker_new("rmq_publish", host, l->connection,
                             &l->config.setup->link, &job, err);
  return l->worker != NULL ? 0 : -1;
}

static void name_it(struct rmq_publish_lane *l) {
  if (l->config.count == 1)
    snprintf(l->label, sizeof(l->label), "%s", l->config.block);
  else
    snprintf(l->label, sizeof(l->label), "%s#%u", l->config.block,
             l->config.index + 1);
}

struct rmq_publish_lane *
rmq_publish_lane_new(const struct rmq_publish_lane_config *config,
                     struct rmq_error *err) {
  struct rmq_publish_lane *l = calloc(1, sizeof(*l));
  if (l == NULL) {
    rmq_error_set(err, "no memory");
    return NULL;
  }
  l->config = *config;
  name_it(l);
  rmq_session_log_init(&l->session, config->host, plugin_name, l->label);
  rmq_complain_init(&l->refused, rmq_s(REPEAT_AFTER_S));
  rmq_complain_init(&l->given_up, rmq_s(REPEAT_AFTER_S));
  if (create_publisher(l, err) == 0 && create_connection(l, err) == 0)
    return l;
  rmq_publish_lane_free(l);
  return NULL;
}

void rmq_publish_lane_free(struct rmq_publish_lane *l) {
  if (l == NULL)
    return;
  rmq_worker_free(l->worker);
  rmq_publisher_free(l->publisher);
  rmq_connection_free(l->connection);
  free(l);
}

int rmq_publish_lane_start(struct rmq_publish_lane *l, struct rmq_error *err) {
  if (rmq_worker_start(l->worker, err) != 0)
    return -1;
  l->is_started = true;
  return 0;
}

size_t rmq_publish_lane_accept(struct rmq_publish_lane *l,
                               struct rmq_message *m) {
  size_t dropped = 0;
  if (rmq_publisher_accept(l->publisher, m, &dropped))
    rmq_worker_wake(l->worker);
  return dropped;
}

enum rmq_publisher_offer rmq_publish_lane_offer(struct rmq_publish_lane *l,
                                                struct rmq_message *m) {
  enum rmq_publisher_offer o = rmq_publisher_offer(l->publisher, m);
  if (o == RMQ_OFFER_WAKE)
    rmq_worker_wake(l->worker);
  return o;
}

void rmq_publish_lane_wake(struct rmq_publish_lane *l) {
  rmq_worker_wake(l->worker);
}

struct rmq_publisher *
rmq_publish_lane_publisher(const struct rmq_publish_lane *l) {
  return l->publisher;
}

struct rmq_session_log *rmq_publish_lane_session(struct rmq_publish_lane *l) {
  return &l->session;
}

void rmq_publish_lane_stop(struct rmq_publish_lane *l,
                           struct rmq_mono deadline) {
  if (l->is_started)
    rmq_worker_stop(l->worker, deadline);
}

bool rmq_publish_lane_join(struct rmq_publish_lane *l,
                           struct rmq_mono deadline) {
  if (l->is_started && !rmq_worker_join(l->worker, deadline))
    return false;
  l->is_started = false;
  rmq_publisher_abandon(l->publisher);
  return true;
}
