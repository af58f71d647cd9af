/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/monitor_probe.h"

#include "common/amqp/worker.h"
#include "common/role/session_log.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
  PREFETCH = 16, /* what strangers put into the queue goes, too */
  COMPLAIN_S = 60,
  SLACK_S = 1, /* until a time-out is seen, too */
  KEY_SIZE = 64
};

struct rmq_monitor_probe {
  const struct rmq_probe_options *options;
  const struct rmq_host *host;
  struct rmq_session_log session;
  struct rmq_connection_setup setup;
  struct rmq_argument type; /* of the queue's arguments */
  struct rmq_arguments arguments;
  struct rmq_wire_queue queue;
  struct rmq_binding binding;
  char key[KEY_SIZE]; /* no other message has it */
  struct rmq_connection *connection;
  struct rmq_worker *worker;
  bool is_started;

  struct rmq_probe probe;        /* the worker's thread */
  struct rmq_complain failing;   /* likewise */
  struct rmq_mono failing_since; /* likewise */

  pthread_mutex_t lock;
  pthread_cond_t changed;         /* a verdict is there, on CLOCK_MONOTONIC */
  struct rmq_probe_result result; /* under lock */
};

/* ------------------------------------------------------------------------
 * The worker's thread */

static struct rmq_mono now_of(const struct rmq_monitor_probe *m) {
  return m->host->mono(m->host->ctx);
}

static void say(struct rmq_monitor_probe *m, enum rmq_level level,
                const struct rmq_error *text) {
  rmq_session_log_write(&m->session,
                        &(struct rmq_log_record){.level = level,
                                                 .event = "probe",
                                                 .message = text->text});
}

static void ended(void *ctx, enum rmq_probe_verdict v) {
  struct rmq_monitor_probe *m = ctx;
  struct rmq_error text = {""};
  uint64_t missed = 0;
  struct rmq_mono now = now_of(m);
  if (v == RMQ_PROBE_PASSED) {
    double seconds = rmq_dur_seconds(rmq_mono_since(now, m->failing_since));
    bool is_news = rmq_complain_recover(&m->failing);
    m->failing_since = RMQ_NEVER;
    if (!is_news)
      return;
    rmq_error_set(&text,
                  "the probe's messages come back again, after %.0f seconds",
                  seconds);
    say(m, RMQ_LOG_NOTICE, &text);
    return;
  }
  if (rmq_mono_is_never(m->failing_since))
    m->failing_since = now;
  if (!rmq_complain_report(&m->failing, now, &missed))
    return;
  if (missed == 0)
    rmq_error_set(&text, "not usable: the probe's message %s",
                  rmq_probe_verdict_to_str(v));
  else
    rmq_error_set(&text,
                  "not usable: the probe's message %s; %" PRIu64
                  " more failed since the last such line",
                  rmq_probe_verdict_to_str(v), missed);
  say(m, RMQ_LOG_ERROR, &text);
}

static void keep_longest(double *longest, double s) {
  if (isnan(*longest) || s > *longest)
    *longest = s;
}

static struct rmq_mono step(void *ctx, struct rmq_mono now) {
  struct rmq_monitor_probe *m = ctx;
  struct rmq_mono next =
      rmq_probe_step(&m->probe, now, m->host->wall(m->host->ctx));
  struct rmq_probe_result r = rmq_probe_take(&m->probe);
  pthread_mutex_lock(&m->lock);
  m->result.verdict = r.verdict;
  m->result.counters = r.counters;
  keep_longest(&m->result.confirm_s, r.confirm_s);
  keep_longest(&m->result.delivery_s, r.delivery_s);
  if (r.verdict != RMQ_PROBE_UNKNOWN)
    pthread_cond_signal(&m->changed);
  pthread_mutex_unlock(&m->lock);
  return next;
}

/* A message that is out tells nobody anything any more. */
static void drain(void *ctx, struct rmq_mono now) {
  (void)ctx;
  (void)now;
}

static bool is_drained(void *ctx) {
  (void)ctx;
  return true;
}

static void changed(void *ctx, const struct rmq_connection_change *change,
                    struct rmq_mono now) {
  struct rmq_monitor_probe *m = ctx;
  rmq_session_log_changed(&m->session, change, now);
}

static void ready(void *ctx, uint64_t epoch, struct rmq_mono now) {
  struct rmq_monitor_probe *m = ctx;
  (void)epoch;
  (void)now;
  rmq_probe_ready(&m->probe);
}

static void lost(void *ctx, struct rmq_mono now) {
  struct rmq_monitor_probe *m = ctx;
  (void)now;
  rmq_probe_lost(&m->probe);
}

static void confirmed(void *ctx, uint64_t epoch, uint64_t seqno, bool multiple,
                      bool is_nack, struct rmq_mono now) {
  struct rmq_monitor_probe *m = ctx;
  (void)epoch;
  rmq_probe_confirmed(&m->probe, seqno, multiple, is_nack, now);
}

static void returned(void *ctx, uint64_t epoch, const struct rmq_returned *r,
                     struct rmq_mono now) {
  struct rmq_monitor_probe *m = ctx;
  (void)epoch;
  rmq_probe_returned(&m->probe, r, now);
}

static void delivered(void *ctx, uint64_t epoch, const struct rmq_delivery *d,
                      struct rmq_mono now) {
  struct rmq_monitor_probe *m = ctx;
  (void)epoch;
  rmq_probe_delivered(&m->probe, d, now);
}

static void cancelled(void *ctx, struct rmq_mono now) {
  (void)ctx; /* never asked for */
  (void)now;
}

static bool is_settled(void *ctx) {
  const struct rmq_monitor_probe *m = ctx;
  return m->probe.stage != RMQ_PROBE_SENT;
}

/* ------------------------------------------------------------------------
 * Lifecycle */

/* The names of AMQP's argument tables are not written to. */
static char *unconst(const char *text) {
  union {
    const char *in;
    char *out;
  } u = {.in = text};
  return u.out;
}

/* A named queue gets its messages by the default exchange, which needs no
 * binding; the name of an own one is the broker's secret, and amq.direct leads
 * to it by a key that nobody else knows. */
static void set_up_queue(struct rmq_monitor_probe *m,
                         struct rmq_connection_config *config,
                         struct rmq_probe_config *probe) {
  const struct rmq_probe_options *o = m->options;
  config->queue = &m->queue;
  if (o->queue == NULL) {
    snprintf(m->key, sizeof(m->key), "warren.probe.%016" PRIx64 "%016" PRIx64,
             probe->instance.high, probe->instance.low);
    m->queue = (struct rmq_wire_queue){.name = "", .is_exclusive = true};
    m->binding = (struct rmq_binding){"amq.direct", m->key};
    config->bindings = &m->binding;
    config->bindings_count = 1;
    probe->exchange = m->binding.exchange;
    probe->routing_key = m->key;
    return;
  }
  m->queue = (struct rmq_wire_queue){.name = o->queue, .is_durable = true};
  if (o->queue_type != 0) {
    m->type = (struct rmq_argument){
        .name = unconst("x-queue-type"),
        .type = RMQ_ARG_STRING,
        .string = unconst(rmq_probe_queue_words[o->queue_type])};
    m->arguments = (struct rmq_arguments){&m->type, 1};
    m->queue.arguments = &m->arguments;
  }
  probe->exchange = "";
  probe->routing_key = o->queue;
}

static int create_connection(struct rmq_monitor_probe *m, const char *block,
                             struct rmq_error *err) {
  const struct rmq_probe_options *o = m->options;
  struct rmq_probe_config probe = {
      .app_id = m->host->service,
      .interval = o->interval,
      .timeout = o->timeout,
      .instance = rmq_uuid_from_bits(m->host->random(m->host->ctx),
                                     m->host->random(m->host->ctx))};
  struct rmq_connection_config config = {.wants_confirms = true,
                                         .prefetch = PREFETCH,
                                         .consumer_tag = "warren-probe",
                                         .max_message_bytes = 4096};
  struct rmq_connection_handlers handlers = {.ctx = m,
                                             .changed = changed,
                                             .ready = ready,
                                             .lost = lost,
                                             .confirmed = confirmed,
                                             .returned = returned,
                                             .delivered = delivered,
                                             .cancelled = cancelled,
                                             .is_settled = is_settled};
  if (rmq_connection_setup_init(&m->setup, &o->connection, m->host->service,
                                m->host->hostname, block, &config, err) != 0)
    return -1;
  set_up_queue(m, &config, &probe);
  rmq_probe_init(&m->probe, &probe, m, ended);
  m->connection =
      rmq_connection_new(&config, &handlers, m->host->random(m->host->ctx));
  if (m->connection == NULL)
    return rmq_error_set(err, "no memory");
  rmq_probe_attach(&m->probe, m->connection);
  struct rmq_worker_job job = {m, step, drain, is_drained};
  m->worker = rmq_worker_new("rmq_probe", m->host, m->connection,
                             &m->setup.link, &job, err);
  return m->worker != NULL ? 0 : -1;
}

static int init_lock(struct rmq_monitor_probe *m) {
  pthread_condattr_t attr;
  if (pthread_mutex_init(&m->lock, NULL) != 0)
    return -1;
  int rc = pthread_condattr_init(&attr);
  if (rc == 0) {
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    rc = pthread_cond_init(&m->changed, &attr);
    pthread_condattr_destroy(&attr);
  }
  if (rc != 0)
    pthread_mutex_destroy(&m->lock);
  return rc == 0 ? 0 : -1;
}

struct rmq_monitor_probe *
rmq_monitor_probe_new(const struct rmq_probe_options *options,
                      const char *plugin, const char *block,
                      const struct rmq_host *host, struct rmq_error *err) {
  struct rmq_monitor_probe *m = calloc(1, sizeof(*m));
  if (m == NULL || init_lock(m) != 0) {
    rmq_error_set(err, "no memory");
    free(m);
    return NULL;
  }
  m->options = options;
  m->host = host;
  m->failing_since = RMQ_NEVER;
  m->result.confirm_s = m->result.delivery_s = NAN;
  rmq_complain_init(&m->failing, rmq_s(COMPLAIN_S));
  rmq_session_log_init(&m->session, host, plugin, block);
  if (create_connection(m, block, err) == 0)
    return m;
  rmq_monitor_probe_free(m);
  return NULL;
}

void rmq_monitor_probe_free(struct rmq_monitor_probe *m) {
  if (m == NULL)
    return;
  rmq_worker_free(m->worker);
  rmq_connection_free(m->connection);
  rmq_connection_setup_fini(&m->setup);
  pthread_cond_destroy(&m->changed);
  pthread_mutex_destroy(&m->lock);
  free(m);
}

int rmq_monitor_probe_start(struct rmq_monitor_probe *m,
                            struct rmq_error *err) {
  if (rmq_worker_start(m->worker, err) != 0)
    return -1;
  m->is_started = true;
  return 0;
}

void rmq_monitor_probe_stop(struct rmq_monitor_probe *m,
                            struct rmq_mono deadline) {
  if (m->is_started)
    rmq_worker_stop(m->worker, deadline);
}

bool rmq_monitor_probe_join(struct rmq_monitor_probe *m,
                            struct rmq_mono deadline) {
  if (m->is_started && !rmq_worker_join(m->worker, deadline))
    return false;
  m->is_started = false;
  return true;
}

void rmq_monitor_probe_await(struct rmq_monitor_probe *m) {
  struct rmq_mono until = rmq_mono_add(
      rmq_mono_add(now_of(m), m->options->timeout), rmq_s(SLACK_S));
  const struct timespec due = {.tv_sec = (time_t)(until.ns / RMQ_NS_PER_S),
                               .tv_nsec = (long)(until.ns % RMQ_NS_PER_S)};
  int rc = 0;
  pthread_mutex_lock(&m->lock);
  while (m->result.verdict == RMQ_PROBE_UNKNOWN && rc == 0)
    rc = pthread_cond_timedwait(&m->changed, &m->lock, &due);
  pthread_mutex_unlock(&m->lock);
}

struct rmq_probe_result rmq_monitor_probe_take(struct rmq_monitor_probe *m) {
  pthread_mutex_lock(&m->lock);
  struct rmq_probe_result r = m->result;
  m->result.confirm_s = m->result.delivery_s = NAN;
  pthread_mutex_unlock(&m->lock);
  return r;
}
