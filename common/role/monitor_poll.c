/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/role_monitor_private.h"

#include "common/role/secret.h"
#include "common/role/silence.h"

#include <math.h>

/* What cannot be read leaves what was read before in use: a node's plugin may
 * need no secret, and the broker says itself what it refuses. */
static void load_password(struct rmq_role_monitor *m, struct rmq_error *err) {
  const char *path = m->config->password_file;
  char *secret = NULL;
  if (m->has_password || path == NULL ||
      rmq_secret_read(path, &secret, err) != 0)
    return;
  m->has_password =
      m->curl == NULL ||
      rmq_http_curl_set_login(m->curl, m->config->user, secret) == 0;
  if (!m->has_password)
    rmq_error_set(err, "out of memory");
  rmq_secret_free(secret);
}

/* A token is short-lived and replaced in its file. */
static void load_token(struct rmq_role_monitor *m, struct rmq_error *err) {
  const char *path = m->config->bearer_token_file;
  char *secret = NULL;
  if (path == NULL || rmq_secret_read(path, &secret, err) != 0)
    return;
  if (m->curl != NULL && rmq_http_curl_set_token(m->curl, secret) != 0)
    rmq_error_set(err, "out of memory");
  rmq_secret_free(secret);
}

/* Whoever shows no secret, or an old one, is refused for that. */
static void blame(struct rmq_poll_result *poll, const struct rmq_error *why) {
  if (poll->outcome != RMQ_POLL_REFUSED || !rmq_error_is_set(why))
    return;
  poll->error = *why;
  poll->refusal.url = NULL;
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
static void judge(struct rmq_role_monitor *m, const struct rmq_snapshot *s,
                  bool is_refused) {
  if (m->alerts == NULL)
    return;
  bool is_answered = m->result.cluster.reachable > 0;
  const struct rmq_alerts_input in = {
      .result = &m->result,
      .is_answered = is_answered,
      .is_refused = is_refused,
      .has_nodes = is_answered && s->has_nodes,
      .queues_patience =
          is_answered ? rmq_snapshot_patience(s) : RMQ_SNAPSHOT_PATIENCE,
      .lacks_queues = is_answered &&
                      (rmq_snapshot_lacks_node(s) || rmq_snapshot_is_brief(s)),
      .now = m->host->mono(m->host->ctx)};
  rmq_monitor_alerts_step(m->alerts, &in);
}

bool rmq_role_monitor_poll(struct rmq_role_monitor *m, struct rmq_mono now) {
  struct rmq_poll_result poll;
  struct rmq_error secret = {.text = ""};
  struct rmq_snapshot *s = &m->snapshots[m->filling];
  struct rmq_mono deadline = rmq_mono_add(now, m->config->interval);
  double cpu_before = rmq_local_own_cpu();
  if (pthread_mutex_trylock(&m->result_lock) == 0) {
    m->poll.report_seconds = m->report_seconds;
    pthread_mutex_unlock(&m->result_lock);
  }
  load_password(m, &secret);
  load_token(m, &secret);
  rmq_poll_run(&m->poll, deadline, s, &poll);
  if (poll.outcome == RMQ_POLL_CANCELLED ||
      (poll.outcome == RMQ_POLL_ANSWERED && !run_checks(m, deadline, s, &poll)))
    return false;
  blame(&poll, &secret);
  rmq_silence_explain(&poll, m->config, &m->silence);
  if (poll.outcome != RMQ_POLL_ANSWERED)
    rmq_checks_miss(&m->checks);
  if (poll.outcome == RMQ_POLL_REFUSED || poll.is_user_refused)
    m->has_password = false;
  if (poll.outcome == RMQ_POLL_ANSWERED)
    rmq_local_measure(&m->local, s, m->host->mono(m->host->ctx));
  if (poll.outcome == RMQ_POLL_ANSWERED)
    rmq_monitor_own_step(m->own, s);
  rmq_monitor_log_poll(&m->log, &poll, s, m->host->mono(m->host->ctx));
  if (poll.outcome != RMQ_POLL_REFUSED)
    rmq_monitor_log_secret(&m->log, &secret, m->host->mono(m->host->ctx));
  if (poll.outcome == RMQ_POLL_ANSWERED)
    rmq_monitor_log_checks(&m->log, &m->checks, m->host->mono(m->host->ctx));
  publish_result(m, &poll, s, cpu_before);
  judge(m, s, poll.outcome == RMQ_POLL_REFUSED);
  keep_week(m, poll.outcome == RMQ_POLL_ANSWERED);
  return true;
}
