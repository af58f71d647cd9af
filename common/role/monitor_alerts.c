/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/monitor_alerts.h"

#include "common/base/event.h"
#include "common/base/ring.h"
#include "common/base/series.h"
#include "common/broker/alert_text.h"
#include "common/role/monitor_log.h"
#include "common/role/probe_options.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum {
  ALERT_META_MAX = 8,
  ALERT_NAME_MAX = 255 /* AMQP's longest */
};

struct rmq_monitor_alerts {
  const struct rmq_host *host;
  const char *name;
  struct rmq_alerts *engine; /* the polling thread's own */

  pthread_mutex_t lock; /* protects ring */
  struct rmq_ring ring; /* of struct rmq_event * */
};

static struct rmq_alert_pace
pace_of(const struct rmq_role_monitor_config *config) {
  const struct rmq_probe_options *probe =
      config->probes.count > 0 ? config->probes.items[0] : NULL;
  return (struct rmq_alert_pace){.poll = config->interval,
                                 .probe = probe == NULL ? rmq_s(0)
                                                        : probe->interval};
}

struct rmq_monitor_alerts *
rmq_monitor_alerts_new(const struct rmq_host *host, const char *name,
                       const struct rmq_role_monitor_config *config,
                       struct rmq_error *err) {
  const struct rmq_alert_config *configs[RMQ_ALERT_RULES_MAX];
  const struct rmq_alert_pace pace = pace_of(config);
  size_t count = 0;
  for (; count < config->alerts.count && count < RMQ_ALERT_RULES_MAX; count++)
    configs[count] = config->alerts.items[count];
  struct rmq_monitor_alerts *a = calloc(1, sizeof(*a));
  if (a == NULL || rmq_ring_init(&a->ring, RMQ_MONITOR_EVENTS_MAX) != 0) {
    rmq_error_set(err, "out of memory");
    free(a);
    return NULL;
  }
  pthread_mutex_init(&a->lock, NULL);
  a->host = host;
  a->name = name;
  a->engine = rmq_alerts_new(configs, count, name, &pace, err);
  if (a->engine != NULL)
    return a;
  rmq_monitor_alerts_free(a);
  return NULL;
}

void rmq_monitor_alerts_free(struct rmq_monitor_alerts *a) {
  if (a == NULL)
    return;
  rmq_alerts_free(a->engine);
  rmq_ring_fini(&a->ring, free);
  pthread_mutex_destroy(&a->lock);
  free(a);
}

/* ---- the log ---- */

static void say(const struct rmq_monitor_alerts *a, enum rmq_level level,
                const char *event, const char *state, const char *message) {
  const struct rmq_log_record record = {.level = level,
                                        .time = a->host->wall(a->host->ctx),
                                        .service = a->host->service,
                                        .plugin = RMQ_MONITOR_PLUGIN,
                                        .block = a->name,
                                        .event = event,
                                        .state = state,
                                        .message = message};
  a->host->log(a->host->ctx, &record);
}

static enum rmq_level level_of(enum rmq_severity severity) {
  switch (severity) {
  case RMQ_OKAY:
    return RMQ_LOG_NOTICE;
  case RMQ_WARNING:
    return RMQ_LOG_WARNING;
  case RMQ_FAILURE:
    return RMQ_LOG_ERROR;
  }
  return RMQ_LOG_ERROR;
}

static void say_lost(const struct rmq_monitor_alerts *a) {
  char message[160];
  snprintf(message, sizeof(message),
           "a notification was lost: %d were not taken over in time, since "
           "their handlers take so long",
           RMQ_MONITOR_EVENTS_MAX);
  say(a, RMQ_LOG_WARNING, "alert_lost", NULL, message);
}

/* ---- a change becomes an event ---- */

/* Of the node or queue, or of the cluster where a group or no name fits. */
static void name_object(const struct rmq_monitor_alerts *a,
                        const struct rmq_alert_event *e,
                        struct rmq_series_object *ret_object) {
  enum rmq_series_scope scope =
      e->is_group ? RMQ_SERIES_CLUSTER : e->quantity->scope;
  *ret_object = (struct rmq_series_object){.plugin = RMQ_MONITOR_PLUGIN};
  if (rmq_series_object_init(scope, RMQ_MONITOR_PLUGIN, a->name, e->node,
                             e->vhost, e->queue, ret_object) != 0)
    rmq_series_object_init(RMQ_SERIES_CLUSTER, RMQ_MONITOR_PLUGIN, a->name,
                           NULL, NULL, NULL, ret_object);
}

static const char *object_of(const struct rmq_monitor_alerts *a,
                             const struct rmq_alert_event *e) {
  if (e->is_group)
    return "*";
  if (e->queue != NULL)
    return e->queue;
  return e->node != NULL ? e->node : a->name;
}

/* The names of an event, printable; a handler of the plugin exec reads them
 * line by line. */
struct names {
  struct rmq_buf bufs[3];
  struct rmq_alert_event event; /* with those names */
};

static const char *printable(const char *name, struct rmq_buf *buf) {
  rmq_buf_init(buf, (size_t)ALERT_NAME_MAX + 1);
  if (name == NULL)
    return NULL;
  rmq_alert_text_name(buf, name, ALERT_NAME_MAX);
  return rmq_buf_text(buf);
}

static void names_init(struct names *n, const struct rmq_alert_event *e) {
  n->event = *e;
  n->event.node = printable(e->node, &n->bufs[0]);
  n->event.vhost = printable(e->vhost, &n->bufs[1]);
  n->event.queue = printable(e->queue, &n->bufs[2]);
}

static void names_fini(struct names *n) {
  for (size_t i = 0; i < 3; i++)
    rmq_buf_fini(&n->bufs[i]);
}

static struct rmq_meta text_meta(const char *key, const char *value) {
  return (struct rmq_meta){
      .key = key, .type = RMQ_META_STRING, .value.string = value};
}

static struct rmq_meta number_meta(const char *key, double value) {
  return (struct rmq_meta){
      .key = key, .type = RMQ_META_DOUBLE, .value.number = value};
}

/* How many there are: five and the names that series have. */
static size_t fill_meta(const struct rmq_monitor_alerts *a,
                        const struct rmq_alert_event *e,
                        struct rmq_meta meta[ALERT_META_MAX]) {
  size_t n = 0;
  meta[n++] = text_meta("indicator", rmq_alert_kind_to_str(e->quantity->kind));
  meta[n++] = text_meta("priority", rmq_alert_priority_to_str(e->priority));
  if (!isnan(e->value))
    meta[n++] = number_meta("value", e->value);
  meta[n++] = number_meta("threshold", e->threshold);
  meta[n++] = text_meta("object", object_of(a, e));
  meta[n++] = text_meta("cluster", a->name);
  if (e->node != NULL)
    meta[n++] = text_meta("node", e->node);
  if (e->queue != NULL) {
    meta[n++] = text_meta("vhost", e->vhost);
    meta[n++] = text_meta("queue", e->queue);
  }
  return n;
}

/* Into the ring. */
static void push(struct rmq_monitor_alerts *a, const struct rmq_event *event) {
  struct rmq_event *copy = rmq_event_clone(event);
  if (copy == NULL) {
    say(a, RMQ_LOG_WARNING, "alert_lost", NULL,
        "a notification was lost: out of memory");
    return;
  }
  pthread_mutex_lock(&a->lock);
  void *oldest = rmq_ring_push(&a->ring, copy);
  pthread_mutex_unlock(&a->lock);
  if (oldest != NULL)
    say_lost(a);
  free(oldest);
}

static void take_change(void *ctx, const struct rmq_alert_event *e) {
  struct rmq_monitor_alerts *a = ctx;
  struct rmq_series_object object;
  struct rmq_meta meta[ALERT_META_MAX];
  struct names names;
  name_object(a, e, &object);
  names_init(&names, e);
  const struct rmq_event event = {
      .severity = e->severity,
      .time = a->host->wall(a->host->ctx),
      .id = {.host = "",
             .plugin = RMQ_MONITOR_PLUGIN,
             .plugin_instance = object.plugin_instance,
             .type = e->quantity->type,
             .type_instance = e->quantity->type_instance},
      .message = e->message,
      .meta = meta,
      .meta_count = fill_meta(a, &names.event, meta)};
  say(a, level_of(e->severity), "alert", rmq_severity_to_str(e->severity),
      e->message);
  push(a, &event);
  names_fini(&names);
}

void rmq_monitor_alerts_step(struct rmq_monitor_alerts *a,
                             const struct rmq_alerts_input *in) {
  rmq_alerts_step(a->engine, in, take_change, a);
}

size_t rmq_monitor_alerts_dispatch(struct rmq_monitor_alerts *a) {
  size_t count = 0;
  for (;; count++) {
    pthread_mutex_lock(&a->lock);
    struct rmq_event *event = rmq_ring_pop(&a->ring);
    pthread_mutex_unlock(&a->lock);
    if (event == NULL)
      return count;
    a->host->event(a->host->ctx, event);
    free(event);
  }
}
