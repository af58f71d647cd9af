/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/role_monitor.h"

#include "common/base/filter.h"
#include "common/base/series.h"
#include "common/broker/checks.h"
#include "common/broker/http_curl.h"
#include "common/broker/indicators.h"
#include "common/broker/local.h"
#include "common/broker/poll.h"
#include "common/role/baseline_options.h"
#include "common/role/monitor_alerts.h"
#include "common/role/monitor_log.h"
#include "common/role/monitor_own.h"
#include "common/role/monitor_probe.h"
#include "common/role/secret.h"
#include "common/role/silence.h"
#include "common/role/week_file.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MONITOR_STACK_BYTES = 8 * 1024 * 1024 };

struct rmq_role_monitor {
  const struct rmq_host *host;
  const char *name;
  const struct rmq_role_monitor_config *config;
  struct rmq_series_object cluster;
  struct rmq_monitor_probe *probe;   /* NULL without a <Probe> */
  struct rmq_monitor_alerts *alerts; /* NULL without an <Alert> */

  /* The polling thread's own. */
  /* As configured, without a '/' at the end. */
  struct rmq_strings urls, metrics_urls;
  struct rmq_http_curl *curl; /* NULL with a fake */
  struct rmq_filter *vhosts, *queues;
  struct rmq_poll poll;
  struct rmq_checks checks;
  struct rmq_snapshot snapshots[2];
  int filling; /* index of the snapshot to fill next */
  bool has_password;
  struct rmq_monitor_log log;
  struct rmq_error silence; /* of the last poll */
  struct rmq_local local;
  struct rmq_monitor_own *own;
  struct rmq_week *week; /* NULL without HourOfWeek */
  struct rmq_week_file week_file;

  /* Under result_lock. */
  pthread_mutex_t result_lock;
  struct rmq_indicators *indicators;
  struct rmq_indicators_result result; /* borrows from the other snapshot */
  struct rmq_wall result_time;
  bool has_result;
  double report_seconds, report_cpu; /* of the last one that was handed over */

  /* Under life_lock. */
  pthread_mutex_t life_lock;
  pthread_cond_t life_changed;
  pthread_t thread;
  bool is_started, is_stopping, has_ended, is_left_behind;
};

const struct rmq_series *rmq_role_monitor_series(void) {
  return rmq_report_series;
}

/* ---- one poll ---- */

/* Reads the password anew where it comes from a file. */
static int load_password(struct rmq_role_monitor *m, struct rmq_error *err) {
  if (m->has_password || m->curl == NULL)
    return 0;
  char *secret = NULL;
  const char *path = m->config->password_file;
  if (path != NULL && rmq_secret_read(path, &secret, err) != 0)
    return -1;
  if (secret != NULL && rmq_http_curl_set_password(m->curl, secret) != 0)
    rmq_error_set(err, "out of memory");
  rmq_secret_free(secret);
  m->has_password = !rmq_error_is_set(err);
  return m->has_password ? 0 : -1;
}

/* A token is short-lived and replaced in its file. */
static int load_token(struct rmq_role_monitor *m, struct rmq_error *err) {
  const char *path = m->config->bearer_token_file;
  char *secret = NULL;
  if (path == NULL || m->curl == NULL)
    return 0;
  if (rmq_secret_read(path, &secret, err) != 0)
    return -1;
  int rc = rmq_http_curl_set_token(m->curl, secret);
  rmq_secret_free(secret);
  return rc == 0 ? 0 : rmq_error_set(err, "out of memory");
}

/* What the probe found out since the last poll; all is absent without one, or
 * before its first verdict. */
static void add_probe(struct rmq_role_monitor *m,
                      struct rmq_report_cluster *c) {
  if (m->probe == NULL)
    return;
  struct rmq_probe_result r = rmq_monitor_probe_take(m->probe);
  if (r.verdict != RMQ_PROBE_UNKNOWN)
    c->amqp_usable = r.verdict == RMQ_PROBE_PASSED ? 1 : 0;
  c->probe_confirm = r.confirm_s;
  c->probe_delivery = r.delivery_s;
}

/* What is asked now and then, in what is left of the interval, half of which
 * stays. False when it was cancelled. */
static bool run_checks(struct rmq_role_monitor *m, struct rmq_mono deadline,
                       const struct rmq_snapshot *s,
                       struct rmq_poll_result *poll) {
  if (m->config->has_no_checks)
    return true;
  struct rmq_mono before = m->host->mono(m->host->ctx);
  struct rmq_dur left = rmq_mono_since(deadline, before);
  struct rmq_checks_result result;
  left.ns /= 2;
  struct rmq_checks_input in = {
      .urls = &m->urls,
      .current = m->poll.current,
      .metrics_urls = &m->metrics_urls,
      .wants_vhosts = m->config->health_checks.count > 0,
      .http = &m->poll.http,
      .timeout = m->config->timeout,
      .connections =
          m->config->collect_connections ? s->connections : (double)NAN};
  for (size_t i = 0; i < s->nodes_count; i++)
    in.nodes_away += s->nodes[i].running == 0;
  if (m->poll.source == RMQ_SOURCE_PROMETHEUS)
    in.urls = NULL;
  if (left.ns < in.timeout.ns)
    in.timeout = left;
  /* The management API is what is wrong, and is said to be: later, then. */
  if (rmq_error_is_set(&poll->nodes_error))
    in.timeout.ns = 0;
  rmq_checks_run(&m->checks, &in, &result);
  if (result.is_cancelled)
    return false;
  if (result.seconds >= 0)
    m->poll.extra_seconds = result.seconds;
  poll->bytes += result.bytes;
  poll->seconds +=
      rmq_dur_seconds(rmq_mono_since(m->host->mono(m->host->ctx), before));
  return true;
}

/* The indicators of a poll become the result; the snapshot stays until the
 * result after it is there. */
static void publish_result(struct rmq_role_monitor *m,
                           const struct rmq_poll_result *poll,
                           struct rmq_snapshot *s, double cpu_before) {
  bool is_answered = poll->outcome == RMQ_POLL_ANSWERED;
  struct rmq_wall now = m->host->wall(m->host->ctx);
  pthread_mutex_lock(&m->result_lock);
  if (!is_answered || rmq_indicators_step(m->indicators, s, &m->result) != 0)
    rmq_indicators_fail(m->indicators, &m->result);
  add_probe(m, &m->result.cluster);
  if (is_answered)
    rmq_checks_report(&m->checks, now, &m->result.cluster);
  m->result.cluster.scrape_time = poll->seconds;
  m->result.cluster.scrape_bytes = poll->bytes;
  m->result.cluster.scrape_memory = rmq_local_own_memory(&m->local);
  m->result.cluster.scrape_cpu =
      rmq_local_own_cpu() - cpu_before + m->report_cpu;
  if (is_answered)
    m->result.cluster.detail_level = (double)s->detail;
  m->result_time = is_answered ? s->time : now;
  m->has_result = true;
  pthread_mutex_unlock(&m->result_lock);
  m->filling = 1 - m->filling;
}

/* Once an hour. The file is nobody else's. */
static void keep_week(struct rmq_role_monitor *m, bool is_answered) {
  if (m->week != NULL && is_answered &&
      rmq_indicators_has_learned_hour(m->indicators))
    rmq_week_file_store(&m->week_file, m->week);
}

/* After the result is published: this thread alone changes it. */
static void judge(struct rmq_role_monitor *m, const struct rmq_snapshot *s) {
  if (m->alerts == NULL)
    return;
  bool is_answered = m->result.cluster.reachable > 0;
  const struct rmq_alerts_input in = {
      .result = &m->result,
      .is_answered = is_answered,
      .has_nodes = is_answered && s->has_nodes,
      .has_all_queues = is_answered && rmq_snapshot_has_all(s),
      .lacks_queues = is_answered &&
                      (rmq_snapshot_lacks_node(s) || rmq_snapshot_is_brief(s)),
      .now = m->host->mono(m->host->ctx)};
  rmq_monitor_alerts_step(m->alerts, &in);
}

/* False when it was cancelled: then nothing of the host may be touched. */
static bool poll_once(struct rmq_role_monitor *m, struct rmq_mono now) {
  struct rmq_poll_result poll = {.outcome = RMQ_POLL_REFUSED};
  struct rmq_snapshot *s = &m->snapshots[m->filling];
  struct rmq_mono deadline = rmq_mono_add(now, m->config->interval);
  double cpu_before = rmq_local_own_cpu();
  if (pthread_mutex_trylock(&m->result_lock) == 0) {
    m->poll.report_seconds = m->report_seconds;
    pthread_mutex_unlock(&m->result_lock);
  }
  if (load_password(m, &poll.error) == 0 && load_token(m, &poll.error) == 0)
    rmq_poll_run(&m->poll, deadline, s, &poll);
  if (poll.outcome == RMQ_POLL_CANCELLED ||
      (poll.outcome == RMQ_POLL_ANSWERED && !run_checks(m, deadline, s, &poll)))
    return false;
  rmq_silence_explain(&poll, m->config, &m->silence);
  if (poll.outcome != RMQ_POLL_ANSWERED)
    rmq_checks_miss(&m->checks);
  if (poll.outcome == RMQ_POLL_REFUSED)
    m->has_password = false;
  if (poll.outcome == RMQ_POLL_ANSWERED)
    rmq_local_measure(&m->local, s, m->host->mono(m->host->ctx));
  if (poll.outcome == RMQ_POLL_ANSWERED)
    rmq_monitor_own_step(m->own, s);
  rmq_monitor_log_poll(&m->log, &poll, s, m->host->mono(m->host->ctx));
  if (poll.outcome == RMQ_POLL_ANSWERED)
    rmq_monitor_log_checks(&m->log, &m->checks, m->host->mono(m->host->ctx));
  publish_result(m, &poll, s, cpu_before);
  judge(m, s);
  keep_week(m, poll.outcome == RMQ_POLL_ANSWERED);
  return true;
}

/* ---- hand-over ---- */

static size_t emit_nodes(struct rmq_role_monitor *m,
                         struct rmq_series_report report) {
  size_t sent = 0;
  for (size_t i = 0; i < m->result.nodes_count; i++) {
    const struct rmq_report_node *n = &m->result.nodes[i];
    struct rmq_series_object object;
    if (rmq_series_object_init(RMQ_SERIES_NODE, RMQ_MONITOR_PLUGIN, m->name,
                               n->name, NULL, NULL, &object) != 0)
      continue;
    report.object = &object;
    sent += rmq_series_emit_all(&report, rmq_report_series, RMQ_SERIES_NODE, n);
  }
  return sent;
}

static size_t emit_vhosts(struct rmq_role_monitor *m,
                          struct rmq_series_report report) {
  size_t sent = 0;
  for (size_t i = 0; i < m->result.vhosts_count; i++) {
    const struct rmq_report_vhost *v = &m->result.vhosts[i];
    struct rmq_series_object object;
    if (rmq_series_object_init(RMQ_SERIES_VHOST, RMQ_MONITOR_PLUGIN, m->name,
                               NULL, v->name, NULL, &object) != 0)
      continue;
    report.object = &object;
    sent +=
        rmq_series_emit_all(&report, rmq_report_series, RMQ_SERIES_VHOST, v);
  }
  return sent;
}

static size_t emit_queues(struct rmq_role_monitor *m,
                          struct rmq_series_report report) {
  size_t sent = 0;
  for (size_t i = 0; i < m->result.queues_count; i++) {
    const struct rmq_report_queue *q = &m->result.queues[i];
    struct rmq_series_object object;
    if (rmq_series_object_init(RMQ_SERIES_QUEUE, RMQ_MONITOR_PLUGIN, m->name,
                               NULL, q->vhost, q->name, &object) != 0)
      continue;
    report.object = &object;
    sent +=
        rmq_series_emit_all(&report, rmq_report_series, RMQ_SERIES_QUEUE, q);
  }
  return sent;
}

size_t rmq_role_monitor_read(struct rmq_role_monitor *m) {
  size_t sent = 0;
  if (m->alerts != NULL)
    rmq_monitor_alerts_dispatch(m->alerts);
  /* Taken while a result is being made: that one comes with the next read. */
  if (pthread_mutex_trylock(&m->result_lock) != 0)
    return 0;
  if (m->has_result) {
    struct rmq_mono begun = m->host->mono(m->host->ctx);
    double cpu_before = rmq_local_own_cpu();
    struct rmq_series_report report = {.host = m->host,
                                       .object = &m->cluster,
                                       .time = m->result_time,
                                       .interval = m->config->interval};
    sent = rmq_series_emit_all(&report, rmq_report_series, RMQ_SERIES_CLUSTER,
                               &m->result.cluster);
    sent += emit_nodes(m, report);
    sent += emit_vhosts(m, report);
    sent += emit_queues(m, report);
    m->has_result = false;
    m->report_cpu = rmq_local_own_cpu() - cpu_before;
    m->report_seconds =
        rmq_dur_seconds(rmq_mono_since(m->host->mono(m->host->ctx), begun));
  }
  pthread_mutex_unlock(&m->result_lock);
  return sent;
}

size_t rmq_role_monitor_sample(struct rmq_role_monitor *m) {
  if (!poll_once(m, m->host->mono(m->host->ctx)))
    return 0;
  return rmq_role_monitor_read(m);
}

void rmq_role_monitor_set_end(struct rmq_role_monitor *m, int fd) {
  if (m->curl != NULL)
    rmq_http_curl_set_end(m->curl, fd);
}

bool rmq_role_monitor_is_reachable(const struct rmq_role_monitor *m) {
  return m->log.state == RMQ_MONITOR_ANSWERING;
}

const char *rmq_role_monitor_silence(const struct rmq_role_monitor *m) {
  return m->silence.text;
}

/* ---- thread ---- */

static struct timespec to_timespec(struct rmq_mono t) {
  return (struct timespec){.tv_sec = (time_t)(t.ns / RMQ_NS_PER_S),
                           .tv_nsec = (long)(t.ns % RMQ_NS_PER_S)};
}

/* True when it is time, false to stop. */
static bool wait_until(struct rmq_role_monitor *m, struct rmq_mono due) {
  struct timespec until = to_timespec(due);
  int rc = 0;
  pthread_mutex_lock(&m->life_lock);
  while (!m->is_stopping && rc == 0)
    rc = pthread_cond_timedwait(&m->life_changed, &m->life_lock, &until);
  bool is_stopping = m->is_stopping;
  pthread_mutex_unlock(&m->life_lock);
  return !is_stopping;
}

/* The first multiple of the interval that is still to come. */
static struct rmq_mono next_due(const struct rmq_role_monitor *m,
                                struct rmq_mono due, struct rmq_mono now) {
  int64_t interval = m->config->interval.ns;
  if (now.ns < due.ns)
    return due;
  return (struct rmq_mono){due.ns +
                           ((now.ns - due.ns) / interval + 1) * interval};
}

static void *run(void *arg) {
  struct rmq_role_monitor *m = arg;
  struct rmq_mono due = m->host->mono(m->host->ctx);
  while (wait_until(m, due)) {
    if (!poll_once(m, m->host->mono(m->host->ctx)))
      break;
    due = next_due(m, due, m->host->mono(m->host->ctx));
  }
  pthread_mutex_lock(&m->life_lock);
  m->has_ended = true;
  pthread_cond_broadcast(&m->life_changed);
  pthread_mutex_unlock(&m->life_lock);
  return NULL;
}

/* Signals are collectd's business: none may arrive in the thread. */
static int create_thread(struct rmq_role_monitor *m) {
  pthread_attr_t attr;
  sigset_t all, before;
  if (pthread_attr_init(&attr) != 0)
    return -1;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int rc = pthread_attr_setstacksize(&attr, MONITOR_STACK_BYTES);
  if (rc == 0)
    rc = pthread_create(&m->thread, &attr, run, m);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attr);
  if (rc != 0)
    return -1;
  pthread_setname_np(m->thread, "rmq_monitor");
  return 0;
}

int rmq_role_monitor_start_beside(struct rmq_role_monitor *m,
                                  struct rmq_error *err) {
  if (m->probe != NULL && rmq_monitor_probe_start(m->probe, err) != 0)
    return -1;
  if (m->week != NULL)
    rmq_week_file_try(&m->week_file);
  return 0;
}

void rmq_role_monitor_await_probe(struct rmq_role_monitor *m) {
  if (m->probe != NULL)
    rmq_monitor_probe_await(m->probe);
}

int rmq_role_monitor_start(struct rmq_role_monitor *m, struct rmq_error *err) {
  if (rmq_role_monitor_start_beside(m, err) != 0)
    return -1;
  if (create_thread(m) != 0)
    return rmq_error_set(err, "no thread could be started");
  m->is_started = true;
  return 0;
}

void rmq_role_monitor_tell_stop(struct rmq_role_monitor *m) {
  pthread_mutex_lock(&m->life_lock);
  m->is_stopping = true;
  pthread_cond_broadcast(&m->life_changed);
  pthread_mutex_unlock(&m->life_lock);
  if (m->curl != NULL)
    rmq_http_curl_cancel(m->curl);
  if (m->probe != NULL)
    rmq_monitor_probe_stop(m->probe, rmq_mono_add(m->host->mono(m->host->ctx),
                                                  m->config->shutdown_timeout));
}

/* False when the thread was left behind. */
static bool join_thread(struct rmq_role_monitor *m, struct rmq_mono deadline) {
  struct timespec until = to_timespec(deadline);
  int rc = 0;
  if (!m->is_started)
    return true;
  pthread_mutex_lock(&m->life_lock);
  while (!m->has_ended && rc == 0)
    rc = pthread_cond_timedwait(&m->life_changed, &m->life_lock, &until);
  bool has_ended = m->has_ended;
  pthread_mutex_unlock(&m->life_lock);
  m->is_started = false;
  if (has_ended)
    pthread_join(m->thread, NULL);
  else
    pthread_detach(m->thread);
  return has_ended;
}

int rmq_role_monitor_await_stop(struct rmq_role_monitor *m,
                                struct rmq_mono deadline) {
  bool is_joined = join_thread(m, deadline);
  if (m->probe != NULL && !rmq_monitor_probe_join(m->probe, deadline))
    is_joined = false;
  m->is_left_behind = !is_joined;
  return is_joined ? 0 : -1;
}

/* ---- life ---- */

static int copy_urls(const struct rmq_strings *from, struct rmq_strings *to) {
  to->items = calloc(from->count + 1, sizeof(*to->items));
  if (to->items == NULL)
    return -1;
  for (size_t i = 0; i < from->count; i++) {
    size_t len = strlen(from->items[i]);
    while (len > 0 && from->items[i][len - 1] == '/')
      len--;
    char *url = strndup(from->items[i], len);
    if (url == NULL)
      return -1;
    to->items[to->count++] = url;
  }
  return 0;
}

static void free_urls(struct rmq_strings *urls) {
  for (size_t i = 0; i < urls->count; i++)
    free(urls->items[i]);
  free(urls->items);
}

static int set_http(struct rmq_role_monitor *m, const struct rmq_http *http,
                    struct rmq_error *err) {
  const struct rmq_role_monitor_config *c = m->config;
  if (http != NULL) {
    m->poll.http = *http;
    return 0;
  }
  const struct rmq_http_curl_config curl = {
      .user = c->user,
      .password = c->password != NULL ? c->password : "guest",
      .connect_timeout = c->connect_timeout,
      .verify_peer = c->verify_peer,
      .verify_host = c->verify_host,
      .ca_cert = c->ca_cert,
      .client_cert = c->client_cert,
      .client_key = c->client_key};
  m->curl = rmq_http_curl_new(&curl, err);
  if (m->curl == NULL)
    return -1;
  m->poll.http = rmq_http_curl_http(m->curl);
  return 0;
}

static int create_probe(struct rmq_role_monitor *m, struct rmq_error *err) {
  if (m->config->probes.count == 0)
    return 0;
  m->probe = rmq_monitor_probe_new(m->config->probes.items[0],
                                   RMQ_MONITOR_PLUGIN, m->name, m->host, err);
  return m->probe != NULL ? 0 : -1;
}

static int create_alerts(struct rmq_role_monitor *m, struct rmq_error *err) {
  if (m->config->alerts.count == 0)
    return 0;
  m->alerts = rmq_monitor_alerts_new(m->host, m->name, m->config, err);
  return m->alerts != NULL ? 0 : -1;
}

static int create_week(struct rmq_role_monitor *m, const char *directory,
                       struct rmq_error *err) {
  m->week = malloc(sizeof(*m->week));
  if (m->week == NULL)
    return rmq_error_set(err, "out of memory");
  rmq_week_init(m->week);
  if (rmq_week_file_init(&m->week_file, m->host, m->name, directory, err) != 0)
    return -1;
  rmq_week_file_load(&m->week_file, m->week);
  rmq_indicators_set_week(m->indicators, m->week);
  return 0;
}

static int set_up_baseline(struct rmq_role_monitor *m, struct rmq_error *err) {
  const struct rmq_role_monitor_config *c = m->config;
  const struct rmq_baseline_options *o =
      c->baselines.count > 0 ? c->baselines.items[0] : NULL;
  const struct rmq_dur window = rmq_s(RMQ_BASELINE_WINDOW_S);
  const struct rmq_dur learn = rmq_s(RMQ_BASELINE_LEARN_S);
  const struct rmq_dur adapt = rmq_s(RMQ_BASELINE_ADAPT_S);
  rmq_baseline_set_times(rmq_indicators_get_baseline(m->indicators),
                         o == NULL ? window : o->window, c->interval,
                         o == NULL ? learn : o->learn,
                         o == NULL ? adapt : o->adapt);
  return o != NULL && o->hour_of_week ? create_week(m, o->state_dir, err) : 0;
}

static int set_up(struct rmq_role_monitor *m, const struct rmq_http *http,
                  struct rmq_error *err) {
  const struct rmq_role_monitor_config *c = m->config;
  m->poll = (struct rmq_poll){
      .urls = &m->urls,
      .metrics_urls = &m->metrics_urls,
      .source = (enum rmq_source)c->source,
      .timeout = c->timeout,
      .budget = c->time_budget.ns > 0 ? c->time_budget
                                      : (struct rmq_dur){c->interval.ns / 2},
      .top_queues = (size_t)c->top_queues,
      .page_size = (size_t)c->page_size,
      .clock_ctx = m->host->ctx,
      .mono = m->host->mono,
      .wall = m->host->wall};
  rmq_poll_init(&m->poll);
  rmq_checks_init(&m->checks);
  rmq_local_init(&m->local, "/proc");
  m->indicators = rmq_indicators_new();
  m->own = rmq_monitor_own_new(m->host, m->name, c);
  if (m->indicators == NULL || m->own == NULL ||
      copy_urls(&c->urls, &m->urls) != 0 ||
      copy_urls(&c->metrics_urls, &m->metrics_urls) != 0 ||
      rmq_series_object_init(RMQ_SERIES_CLUSTER, RMQ_MONITOR_PLUGIN, m->name,
                             NULL, NULL, NULL, &m->cluster) != 0)
    return rmq_error_set(err, "out of memory");
  m->vhosts = rmq_filter_new(&c->include_vhost, &c->exclude_vhost, err);
  m->queues = rmq_filter_new(&c->include_queue, &c->exclude_queue, err);
  m->poll.vhosts = m->vhosts;
  m->poll.queues = m->queues;
  if (m->vhosts == NULL || m->queues == NULL || create_probe(m, err) != 0 ||
      create_alerts(m, err) != 0 || set_up_baseline(m, err) != 0)
    return -1;
  return set_http(m, http, err);
}

static void init_locks(struct rmq_role_monitor *m) {
  pthread_condattr_t attr;
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&m->life_changed, &attr);
  pthread_condattr_destroy(&attr);
  pthread_mutex_init(&m->life_lock, NULL);
  pthread_mutex_init(&m->result_lock, NULL);
}

static bool has_type(const struct rmq_strings *types, const char *word) {
  for (size_t i = 0; i < types->count; i++)
    if (strcasecmp(types->items[i], word) == 0)
      return true;
  return types->count == 0;
}

static void set_up_snapshot(struct rmq_snapshot *s,
                            const struct rmq_role_monitor_config *c) {
  rmq_snapshot_init(s, (size_t)c->max_queues);
  s->vhosts_max = (size_t)c->max_vhosts;
  s->choice = (struct rmq_snapshot_choice){
      .no_classic = !has_type(&c->queue_types, "classic"),
      .no_quorum = !has_type(&c->queue_types, "quorum"),
      .no_streams = !has_type(&c->queue_types, "stream"),
      .no_exclusive = c->exclude_exclusive};
}

struct rmq_role_monitor *
rmq_role_monitor_new(const struct rmq_host *host, const char *name,
                     const struct rmq_role_monitor_config *config,
                     const struct rmq_http *http, struct rmq_error *err) {
  struct rmq_role_monitor *m = calloc(1, sizeof(*m));
  if (m == NULL) {
    rmq_error_set(err, "out of memory");
    return NULL;
  }
  m->host = host;
  m->name = name;
  m->config = config;
  rmq_monitor_log_init(&m->log, host, name, config);
  for (size_t i = 0; i < 2; i++)
    set_up_snapshot(&m->snapshots[i], config);
  init_locks(m);
  if (set_up(m, http, err) == 0)
    return m;
  rmq_role_monitor_free(m);
  return NULL;
}

void rmq_role_monitor_free(struct rmq_role_monitor *m) {
  if (m == NULL || m->is_left_behind)
    return;
  rmq_monitor_probe_free(m->probe);
  rmq_monitor_alerts_free(m->alerts);
  rmq_monitor_own_free(m->own);
  rmq_http_curl_free(m->curl);
  rmq_poll_fini(&m->poll);
  rmq_checks_fini(&m->checks);
  rmq_filter_free(m->vhosts);
  rmq_filter_free(m->queues);
  for (size_t i = 0; i < 2; i++)
    rmq_snapshot_fini(&m->snapshots[i]);
  rmq_indicators_free(m->indicators);
  rmq_week_file_fini(&m->week_file);
  free(m->week);
  free_urls(&m->urls);
  free_urls(&m->metrics_urls);
  pthread_cond_destroy(&m->life_changed);
  pthread_mutex_destroy(&m->life_lock);
  pthread_mutex_destroy(&m->result_lock);
  free(m);
}
