/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/role_monitor_private.h"

#include <signal.h>

enum { MONITOR_STACK_BYTES = 8 * 1024 * 1024 };

const struct rmq_series *rmq_role_monitor_series(void) {
  return rmq_report_series;
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
  if (!rmq_role_monitor_poll(m, m->host->mono(m->host->ctx)))
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
    if (!rmq_role_monitor_poll(m, m->host->mono(m->host->ctx)))
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
