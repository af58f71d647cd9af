/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/role_monitor_private.h"

#include "common/role/baseline_options.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

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
  /* Nobody is shown a default where the secret is in a file. */
  bool is_in_file = c->password_file != NULL || c->bearer_token_file != NULL;
  const char *password = c->password != NULL ? c->password : "guest";
  const struct rmq_http_curl_config curl = {
      .user = is_in_file ? NULL : c->user,
      .password = is_in_file ? NULL : password,
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
