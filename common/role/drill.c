/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/drill.h"

#include "common/base/options.h"
#include "common/broker/admin.h"
#include "common/broker/alert_text.h"
#include "common/broker/http_curl.h"
#include "common/broker/poll.h"
#include "common/role/alert_options.h"
#include "common/role/drill_vhost.h"
#include "common/role/drill_watch.h"
#include "common/role/probe_options.h"
#include "common/role/secret.h"

#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  TICK_MS = 200,
  ERRORS = 10,                           /* messages that go wrong, at once */
  ERRORS_MAX = 100,                      /* until it is noticed */
  BACKLOG = 2 * RMQ_DRILL_WATCH_BACKLOG, /* messages in the queue */
  GOOD_PER_TICK = 50,                    /* messages that go well afterwards */
  REQUEST_S = 10,
  REASON_SIZE = 400
};
#define DRILL_QUEUE "q"
#define FULL_QUEUE "full" /* with its one message */
#define DRILL_NAME "drill"

struct rmq_drill {
  const struct rmq_drill_config *config;
  struct rmq_host host; /* of the monitor: ours, but for log and clocks */
  const struct rmq_host *outer;
  struct rmq_http_curl *curl;
  struct rmq_admin admin;
  char vhost[64];
  enum rmq_drill_kind kind;
  struct rmq_drill_watch seen;
  unsigned sent;
  bool is_left_behind; /* a thread of the monitor, which uses this */

  pthread_mutex_t lock;
  char reason[REASON_SIZE]; /* the log's last complaint; under lock */
};

/* ---- what the monitor says ---- */

static int take_sample(void *ctx, const struct rmq_sample *s) {
  struct rmq_drill *d = ctx;
  rmq_drill_watch_sample(&d->seen, s);
  return 0;
}

static void take_event(void *ctx, const struct rmq_event *event) {
  struct rmq_drill *d = ctx;
  rmq_drill_watch_event(&d->seen, event);
}

/* What follows from something else: the probe's verdict, an alert. */
static bool is_consequence(const char *event) {
  return event != NULL &&
         (strcmp(event, "probe") == 0 || strcmp(event, "alert") == 0);
}

/* Printable: it is told on a terminal. That the probe's messages do not come
 * back is no reason where there is one for it. */
static void keep_reason(struct rmq_drill *d,
                        const struct rmq_log_record *record) {
  struct rmq_buf text;
  rmq_buf_init(&text, REASON_SIZE - 1);
  rmq_alert_text_name(&text, record->message, REASON_SIZE - 1);
  pthread_mutex_lock(&d->lock);
  if (!is_consequence(record->event) || d->reason[0] == '\0')
    snprintf(d->reason, sizeof(d->reason), "%s", rmq_buf_text(&text));
  pthread_mutex_unlock(&d->lock);
  rmq_buf_fini(&text);
}

/* In any of the monitor's threads. */
static void pass_log(void *ctx, const struct rmq_log_record *record) {
  struct rmq_drill *d = ctx;
  if (record->level <= RMQ_LOG_WARNING && record->message != NULL)
    keep_reason(d, record);
  d->outer->log(d->outer->ctx, record);
}

/* ---- Probe and Alert, as a configuration has them ---- */

struct setting {
  const char *name, *text;
};

static void *add_block(struct rmq_role_monitor_config *c, const char *block,
                       const struct setting *settings, struct rmq_error *err) {
  const struct rmq_option *row =
      rmq_options_find(rmq_role_monitor_options, block);
  void *object = row == NULL ? NULL : rmq_options_add_block(row, c, err);
  for (; object != NULL && settings->name != NULL; settings++) {
    if (settings->text == NULL)
      continue;
    if (rmq_options_set_text(row->block->table, object, settings->name,
                             settings->text, NULL, err) != 0)
      return NULL;
    if (row->block->prepare != NULL && row->block->argument != NULL &&
        strcmp(settings->name, row->block->argument) == 0)
      row->block->prepare(object);
  }
  return object;
}

static int add_alert(struct rmq_drill *d, struct rmq_error *err) {
  char hold[32], limit[32];
  snprintf(hold, sizeof(hold), "%.3f", rmq_dur_seconds(d->config->hold));
  snprintf(limit, sizeof(limit), "%g",
           d->kind == RMQ_DRILL_BACKLOG ? RMQ_DRILL_WATCH_BACKLOG
                                        : d->config->errors_limit);
  bool has_limit =
      d->kind == RMQ_DRILL_BACKLOG || rmq_drill_kind_is_share(d->kind);
  const struct setting settings[] = {
      {"Kind", rmq_drill_kind_alert(d->kind)},
      {"Hold", hold},
      {"ClearHold", hold},
      {"Failure", has_limit ? limit : NULL},
      {"VHost", d->kind == RMQ_DRILL_BACKLOG ? d->vhost : NULL},
      {NULL, NULL}};
  return add_block(d->config->monitor, "Alert", settings, err) != NULL ? 0 : -1;
}

static int add_probe(struct rmq_drill *d, struct rmq_error *err) {
  const struct rmq_role_monitor_config *m = d->config->monitor;
  const struct setting settings[] = {
      {"Host", d->config->amqp},
      {"VHost", d->vhost},
      {"User", m->user},
      {"Password", m->password},
      {"PasswordFile", m->password_file},
      {"TLSEnabled", d->config->amqp_tls ? "true" : "false"},
      {"TLSVerifyPeer", m->verify_peer ? "true" : "false"},
      {"TLSVerifyHostName", m->verify_host ? "true" : "false"},
      {"TLSCACert", m->ca_cert},
      {"TLSClientCert", m->client_cert},
      {"TLSClientKey", m->client_key},
      {"RetryDelay", "6"},
      {"RetryDelayMax", "6"},
      {"Interval", "1"},
      {"Timeout", "0.5"},
      {NULL, NULL}};
  return add_block(d->config->monitor, "Probe", settings, err) != NULL ? 0 : -1;
}

/* Of a cluster with more queues or virtual hosts than are looked at, those of
 * the drill are. */
static int look_at_own(struct rmq_drill *d, struct rmq_error *err) {
  return d->kind == RMQ_DRILL_BACKLOG || rmq_drill_kind_is_share(d->kind)
             ? rmq_options_set_text(rmq_role_monitor_options,
                                    d->config->monitor, "IncludeVHost",
                                    d->vhost, NULL, err)
             : 0;
}

/* ---- time ---- */

static struct rmq_mono now_of(const struct rmq_drill *d) {
  return d->outer->mono(d->outer->ctx);
}

static double seconds_since(const struct rmq_drill *d, struct rmq_mono t) {
  return rmq_dur_seconds(rmq_mono_since(now_of(d), t));
}

/* Hands over what the monitor has found; false when it is time to stop. */
static bool tick(struct rmq_drill *d, struct rmq_role_monitor *m) {
  rmq_role_monitor_read(m);
  if (*d->config->is_stopping)
    return false;
  poll(NULL, 0, TICK_MS);
  return true;
}

/* ---- the faults ---- */

static int publish(struct rmq_drill *d, const char *key, unsigned count,
                   struct rmq_error *err) {
  for (unsigned i = 0; i < count && d->sent < RMQ_DRILL_MESSAGES_MAX; i++) {
    if (rmq_admin_publish(&d->admin, d->vhost, key, "warren drill", err) != 0)
      return -1;
    d->sent++;
  }
  return 0;
}

static int requeue(struct rmq_drill *d, struct rmq_error *err) {
  if (publish(d, DRILL_QUEUE, ERRORS, err) != 0)
    return -1;
  for (int i = 0; i < 3; i++)
    if (rmq_admin_requeue(&d->admin, d->vhost, DRILL_QUEUE, ERRORS, err) != 0)
      return -1;
  return 0;
}

static int act(struct rmq_drill *d, bool is_on, struct rmq_error *err) {
  const struct rmq_drill_owner *owner = d->config->owner;
  return owner->act(owner->ctx, d->kind, is_on, err);
}

static int begin_fault(struct rmq_drill *d, struct rmq_error *err) {
  switch (d->kind) {
  case RMQ_DRILL_CLOSED_CONNECTION:
    return 0; /* go_on does it */
  case RMQ_DRILL_UNROUTABLE:
    return publish(d, "nowhere", ERRORS, err);
  case RMQ_DRILL_NACK:
    return publish(d, FULL_QUEUE, 1 + ERRORS, err);
  case RMQ_DRILL_REDELIVERY:
    return requeue(d, err);
  case RMQ_DRILL_BACKLOG:
    return publish(d, DRILL_QUEUE, BACKLOG, err);
  case RMQ_DRILL_MEMORY_ALARM:
  case RMQ_DRILL_DISK_ALARM:
  case RMQ_DRILL_KILL:
    return act(d, true, err);
  }
  return 0;
}

/* A client connects anew: its connection is closed until that is noticed. A
 * counter that is seen for the first time counts from then on; that of nacks is
 * there from the start, and takes its time. */
static int go_on(struct rmq_drill *d, struct rmq_error *err) {
  size_t count = 0;
  if (d->kind == RMQ_DRILL_CLOSED_CONNECTION)
    return rmq_admin_close_connections(&d->admin, d->vhost, &count, err);
  if (d->sent >= ERRORS_MAX)
    return 0;
  if (d->kind == RMQ_DRILL_UNROUTABLE)
    return publish(d, "nowhere", 1, err);
  if (d->kind != RMQ_DRILL_REDELIVERY)
    return 0;
  d->sent++;
  return rmq_admin_requeue(&d->admin, d->vhost, DRILL_QUEUE, 1, err);
}

static int end_fault(struct rmq_drill *d, struct rmq_error *err) {
  if (rmq_drill_kind_is_private(d->kind))
    return act(d, false, err);
  return d->kind == RMQ_DRILL_BACKLOG
             ? rmq_admin_purge(&d->admin, d->vhost, DRILL_QUEUE, err)
             : 0;
}

/* Traffic that goes well again, until the errors are few among it. */
static int go_well(struct rmq_drill *d, struct rmq_error *err) {
  return rmq_drill_kind_is_share(d->kind)
             ? publish(d, DRILL_QUEUE, GOOD_PER_TICK, err)
             : 0;
}

/* ---- one drill ---- */

/* What was tried in vain is what the monitor has complained about. */
static int say_unwell(struct rmq_drill *d, struct rmq_error *err) {
  pthread_mutex_lock(&d->lock);
  int rc = rmq_error_set(err, "%s is not told to be well before the fault%s%s",
                         rmq_drill_kind_series(d->kind),
                         d->reason[0] == '\0' ? "" : ": ", d->reason);
  pthread_mutex_unlock(&d->lock);
  return rc;
}

/* The series is known, and no alert is raised from before. */
static int await_calm(struct rmq_drill *d, struct rmq_role_monitor *m,
                      struct rmq_error *err) {
  struct rmq_mono begun = now_of(d);
  while (!rmq_drill_watch_is_well(&d->seen)) {
    if (seconds_since(d, begun) > rmq_dur_seconds(d->config->limit))
      return say_unwell(d, err);
    if (!tick(d, m))
      return rmq_error_set(err, "stopped");
  }
  /* Two polls: what they grow by is known then. */
  double settle = 2 * fmax(rmq_dur_seconds(d->config->hold),
                           rmq_dur_seconds(d->config->monitor->interval));
  for (begun = now_of(d); seconds_since(d, begun) < settle;)
    if (!tick(d, m))
      return rmq_error_set(err, "stopped");
  if (d->seen.is_raised)
    return rmq_error_set(err,
                         "the alert \"%s\" is raised before anything is done",
                         rmq_drill_kind_alert(d->kind));
  rmq_drill_watch_begin(&d->seen);
  return 0;
}

static int provoke(struct rmq_drill *d, struct rmq_role_monitor *m,
                   struct rmq_drill_result *r, struct rmq_error *err) {
  if (begin_fault(d, err) != 0)
    return -1;
  r->is_made = true;
  struct rmq_mono begun = now_of(d);
  while (seconds_since(d, begun) <= rmq_dur_seconds(d->config->limit)) {
    if ((isnan(r->raised_s) || isnan(r->moved_s)) && go_on(d, err) != 0)
      return -1;
    if (isnan(r->moved_s) && rmq_drill_watch_has_moved(&d->seen)) {
      r->moved_s = seconds_since(d, begun);
      r->is_shared = /* a broker of our own has no others */
          d->config->owner == NULL && rmq_drill_watch_is_shared(&d->seen);
    }
    if (isnan(r->raised_s) && d->seen.was_raised)
      r->raised_s = seconds_since(d, begun);
    if (!isnan(r->moved_s) && !isnan(r->raised_s))
      return 0;
    if (!tick(d, m))
      return rmq_error_set(err, "stopped");
  }
  return 0;
}

static int recover(struct rmq_drill *d, struct rmq_role_monitor *m,
                   struct rmq_drill_result *r, struct rmq_error *err) {
  if (end_fault(d, err) != 0)
    return -1;
  struct rmq_mono ended = now_of(d);
  while (seconds_since(d, ended) <= rmq_dur_seconds(d->config->limit)) {
    if (!d->seen.is_raised) {
      r->over_s = seconds_since(d, ended);
      return 0;
    }
    if (go_well(d, err) != 0)
      return -1;
    if (!tick(d, m))
      return rmq_error_set(err, "stopped");
  }
  return 0;
}

static int watch(struct rmq_drill *d, struct rmq_drill_result *r,
                 struct rmq_error *err) {
  struct rmq_role_monitor *m =
      rmq_role_monitor_new(&d->host, DRILL_NAME, d->config->monitor, NULL, err);
  if (m == NULL)
    return -1;
  int rc = rmq_role_monitor_start(m, err);
  if (rc == 0) {
    rc = await_calm(d, m, err);
    if (rc == 0)
      rc = provoke(d, m, r, err);
    if (rc == 0 && !isnan(r->raised_s))
      rc = recover(d, m, r, err);
  }
  /* Also where only its probe was started. */
  rmq_role_monitor_tell_stop(m);
  d->is_left_behind = rmq_role_monitor_await_stop(
                          m, rmq_mono_add(now_of(d), rmq_s(REQUEST_S))) != 0;
  rmq_role_monitor_free(m);
  return rc;
}

/* What this kind needs is there. */
static int check(struct rmq_drill *d, struct rmq_error *err) {
  const char *word = rmq_drill_kind_to_str(d->kind);
  if (rmq_drill_kind_is_private(d->kind) && d->config->owner == NULL)
    return rmq_error_set(
        err,
        "%s would hurt all who use the broker; --private starts one for it",
        word);
  if (d->kind != RMQ_DRILL_NACK)
    return 0;
  /* Only there the broker shows nacks. */
  if (d->config->monitor->metrics_urls.count == 0)
    return rmq_error_set(err, "%s needs --metrics-url of each node", word);
  d->config->monitor->source = RMQ_SOURCE_PROMETHEUS;
  return 0;
}

static int make_queues(struct rmq_drill *d, struct rmq_error *err) {
  if (rmq_admin_create_queue(&d->admin, d->vhost, DRILL_QUEUE, 0, err) != 0)
    return -1;
  return d->kind == RMQ_DRILL_NACK
             ? rmq_admin_create_queue(&d->admin, d->vhost, FULL_QUEUE, 1, err)
             : 0;
}

int rmq_drill_run(struct rmq_drill *d, enum rmq_drill_kind kind,
                  struct rmq_drill_result *ret_result, struct rmq_error *err) {
  *ret_result = (struct rmq_drill_result){
      .moved_s = (double)NAN, .raised_s = (double)NAN, .over_s = (double)NAN};
  d->kind = kind;
  d->sent = 0;
  snprintf(d->vhost, sizeof(d->vhost), RMQ_DRILL_VHOST "%016" PRIx64,
           d->outer->random(d->outer->ctx));
  rmq_drill_watch_init(&d->seen, kind, d->vhost);
  if (check(d, err) != 0 || look_at_own(d, err) != 0 ||
      add_alert(d, err) != 0 ||
      (kind == RMQ_DRILL_CLOSED_CONNECTION && add_probe(d, err) != 0))
    return -1;
  int rc = rmq_drill_vhost_make(&d->admin, d->vhost, err);
  /* Refused: most likely there is none. No answer: there may be one. */
  if (rc != 0 && d->admin.status >= 400 && d->admin.status <= 499) {
    rmq_admin_delete_vhost(&d->admin, d->vhost, NULL);
    return rc;
  }
  if (rc == 0)
    rc = make_queues(d, err);
  if (rc == 0)
    rc = watch(d, ret_result, err);
  return d->config->owner == NULL /* else all of it goes */
             ? rmq_drill_vhost_remove(&d->admin, d->vhost,
                                      d->config->is_stopping, rc, err)
             : rc;
}

int rmq_drill_cleanup(struct rmq_drill *d, size_t *ret_count, size_t *ret_left,
                      struct rmq_error *err) {
  return rmq_drill_vhost_cleanup(&d->admin, ret_count, ret_left, err);
}

int rmq_drill_cluster(struct rmq_drill *d, struct rmq_buf *out,
                      struct rmq_error *err) {
  struct rmq_error cause = {.text = ""};
  if (rmq_admin_cluster_name(&d->admin, out, &cause) == 0)
    return 0;
  return rmq_drill_vhost_explain(&d->admin, &cause,
                                 "check --user, and --password-file or "
                                 "WARREN_PASSWORD; " RMQ_DRILL_ADMINISTRATOR,
                                 err);
}

/* ---- life ---- */

static int set_password(struct rmq_drill *d, struct rmq_error *err) {
  const char *path = d->config->monitor->password_file;
  char *secret = NULL;
  if (path == NULL)
    return 0;
  if (rmq_secret_read(path, &secret, err) != 0)
    return -1;
  int rc = rmq_http_curl_set_login(d->curl, d->config->monitor->user, secret);
  rmq_secret_free(secret);
  return rc == 0 ? 0 : rmq_error_set(err, "out of memory");
}

struct rmq_drill *rmq_drill_new(const struct rmq_host *host,
                                const struct rmq_drill_config *config,
                                struct rmq_error *err) {
  const struct rmq_role_monitor_config *m = config->monitor;
  struct rmq_drill *d = calloc(1, sizeof(*d));
  if (d == NULL) {
    rmq_error_set(err, "out of memory");
    return NULL;
  }
  const struct rmq_http_curl_config curl = {
      .user = m->user,
      .password = m->password != NULL ? m->password : "guest",
      .connect_timeout = m->connect_timeout,
      .verify_peer = m->verify_peer,
      .verify_host = m->verify_host,
      .ca_cert = m->ca_cert,
      .client_cert = m->client_cert,
      .client_key = m->client_key};
  pthread_mutex_init(&d->lock, NULL);
  d->config = config;
  d->outer = host;
  d->host = *host;
  d->host.ctx = d;
  d->host.log = pass_log;
  d->host.sample = take_sample;
  d->host.event = take_event;
  d->curl = rmq_http_curl_new(&curl, err);
  if (d->curl != NULL && set_password(d, err) == 0) {
    struct rmq_http http = rmq_http_curl_http(d->curl);
    rmq_admin_init(&d->admin, &http, m->urls.items[0], rmq_s(REQUEST_S));
    return d;
  }
  rmq_drill_free(d);
  return NULL;
}

void rmq_drill_free(struct rmq_drill *d) {
  if (d == NULL || d->is_left_behind)
    return;
  rmq_admin_fini(&d->admin);
  rmq_http_curl_free(d->curl);
  pthread_mutex_destroy(&d->lock);
  free(d);
}

bool rmq_drill_is_left_behind(const struct rmq_drill *d) {
  return d->is_left_behind;
}
