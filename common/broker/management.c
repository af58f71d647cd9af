/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/management.h"

#include "common/broker/vhosts.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- one field, by the type that carries its meaning ---- */

static double get_gauge(const json_t *object, const char *key) {
  const json_t *v = json_object_get(object, key);
  return json_is_number(v) ? json_number_value(v) : (double)NAN;
}

static int64_t get_counter(const json_t *object, const char *key) {
  const json_t *v = json_object_get(object, key);
  if (json_is_integer(v) && json_integer_value(v) >= 0)
    return json_integer_value(v);
  return RMQ_ABSENT;
}

static double get_boolean(const json_t *object, const char *key) {
  const json_t *v = json_object_get(object, key);
  if (!json_is_boolean(v))
    return (double)NAN;
  return json_is_true(v) ? 1 : 0;
}

/* NULL when it is no string, empty, or has a NUL inside. */
static const char *get_name(const json_t *object, const char *key) {
  const json_t *v = json_object_get(object, key);
  const char *text = json_string_value(v);
  if (text == NULL || text[0] == '\0' || strlen(text) != json_string_length(v))
    return NULL;
  return text;
}

static void get_stats(const json_t *object, int64_t stats[RMQ_STATS_COUNT]) {
  for (size_t i = 0; i < RMQ_STATS_COUNT; i++)
    stats[i] = get_counter(object, rmq_stat_to_str((enum rmq_stat)i));
}

/* ---- documents ---- */

/* The document of the wanted type (json_decref it), or NULL with err. NUL in a
 * string is allowed, so that one queue's name cannot blind us to all. */
static json_t *load(const char *bytes, size_t len, json_type type,
                    const char *what, struct rmq_error *err) {
  json_error_t e;
  json_t *doc = json_loadb(bytes == NULL ? "" : bytes, len, JSON_ALLOW_NUL, &e);
  if (doc == NULL) {
    rmq_error_set(err, "%s is not JSON: %s at byte %d", what, e.text,
                  e.position);
    return NULL;
  }
  if (json_typeof(doc) == type)
    return doc;
  json_decref(doc);
  rmq_error_set(err, "%s is JSON of another form than the management API's",
                what);
  return NULL;
}

/* 1000000 for each major version, 1000 for each minor one; 0 = not known. */
static int number_of(const char *version) {
  int major = 0, minor = 0, patch = 0;
  if (sscanf(version, "%2d.%3d.%3d", &major, &minor, &patch) < 2)
    return 0;
  return major * 1000000 + minor * 1000 + patch;
}

/* RabbitMQ 3.8 says 0, however many are dropped; 3.10 counts them. */
static void forget_zeroed(const char *version, int64_t stats[RMQ_STATS_COUNT]) {
  int number = number_of(version);
  bool is_old = number > 0 && number < 3010000;
  if (is_old && stats[RMQ_STAT_DROPPED] == 0)
    stats[RMQ_STAT_DROPPED] = RMQ_ABSENT;
}

void rmq_management_forget_zeroed(struct rmq_snapshot *s) {
  int number = number_of(s->version);
  for (size_t i = 0; number >= 4003000 && i < s->nodes_count; i++)
    if (s->nodes[i].partitions == 0)
      s->nodes[i].partitions = (double)NAN;
  for (size_t i = 0; number >= 4003001 && i < s->queues_count; i++) {
    struct rmq_snapshot_queue *q = &s->queues[i];
    if (q->is_quorum && q->consumer_capacity == 0 && q->consumers > 0)
      q->consumer_capacity = (double)NAN;
  }
}

int rmq_management_overview(const char *bytes, size_t len,
                            struct rmq_snapshot *s, struct rmq_error *err) {
  json_t *doc = load(bytes, len, JSON_OBJECT, "the overview", err);
  if (doc == NULL)
    return -1;
  const json_t *totals = json_object_get(doc, "queue_totals");
  const json_t *objects = json_object_get(doc, "object_totals");
  const json_t *churn = json_object_get(doc, "churn_rates");
  const char *version = get_name(doc, "rabbitmq_version");
  bool is_overview = version != NULL || totals != NULL || objects != NULL;
  if (is_overview) {
    snprintf(s->version, sizeof(s->version), "%s",
             version == NULL ? "" : version);
    s->is_without_statistics = get_boolean(doc, "disable_stats") > 0;
    s->ready = get_gauge(totals, "messages_ready");
    s->unacked = get_gauge(totals, "messages_unacknowledged");
    s->connections = get_gauge(objects, "connections");
    s->queues_total = get_gauge(objects, "queues");
    for (size_t i = 0; i <= RMQ_TALLY_CHANNEL_CLOSED; i++)
      s->tallies[i] = get_counter(churn, rmq_tally_to_str((enum rmq_tally)i));
    get_stats(json_object_get(doc, "message_stats"), s->stats);
    forget_zeroed(s->version, s->stats);
  } else {
    rmq_error_set(err, "the answer is not a RabbitMQ overview; is the URL that "
                       "of the management plugin?");
  }
  json_decref(doc);
  return is_overview ? 0 : -1;
}

/* A number in a text. */
static int64_t get_pid(const json_t *item) {
  const char *text = json_string_value(json_object_get(item, "os_pid"));
  char *end = NULL;
  long long pid = text == NULL ? 0 : strtoll(text, &end, 10);
  return pid > 0 && end[0] == '\0' ? pid : RMQ_ABSENT;
}

static int take_node(const json_t *item, struct rmq_snapshot *s) {
  const char *name = get_name(item, "name");
  if (name == NULL)
    return 0;
  struct rmq_snapshot_node *n = rmq_snapshot_add_node(s, name);
  if (n == NULL)
    return -1;
  const json_t *partitions = json_object_get(item, "partitions");
  n->running = get_boolean(item, "running");
  n->memory_alarm = get_boolean(item, "mem_alarm");
  n->disk_alarm = get_boolean(item, "disk_free_alarm");
  n->memory_used = get_gauge(item, "mem_used");
  n->memory_limit = get_gauge(item, "mem_limit");
  n->disk_free = get_gauge(item, "disk_free");
  n->disk_limit = get_gauge(item, "disk_free_limit");
  n->fds_used = get_gauge(item, "fd_used");
  n->fds_total = get_gauge(item, "fd_total");
  n->processes_used = get_gauge(item, "proc_used");
  n->processes_total = get_gauge(item, "proc_total");
  n->run_queue = get_gauge(item, "run_queue");
  n->uptime = get_gauge(item, "uptime") / 1000;
  if (json_is_array(partitions))
    n->partitions = (double)json_array_size(partitions);
  n->os_pid = get_pid(item);
  return 0;
}

int rmq_management_nodes(const char *bytes, size_t len, struct rmq_snapshot *s,
                         struct rmq_error *err) {
  json_t *doc = load(bytes, len, JSON_ARRAY, "the list of nodes", err);
  if (doc == NULL)
    return -1;
  int rc = 0;
  for (size_t i = 0; rc == 0 && i < json_array_size(doc); i++)
    rc = take_node(json_array_get(doc, i), s);
  json_decref(doc);
  if (rc != 0)
    return rmq_error_set(err,
                         "the list of nodes is longer than %d, or there "
                         "is no memory for it",
                         RMQ_SNAPSHOT_NODES_MAX);
  s->has_nodes = true;
  return 0;
}

int rmq_management_vhosts(const char *bytes, size_t len, struct rmq_snapshot *s,
                          struct rmq_error *err) {
  json_t *doc = load(bytes, len, JSON_ARRAY, "the list of vhosts", err);
  if (doc == NULL)
    return -1;
  for (size_t i = 0; i < json_array_size(doc); i++) {
    const json_t *item = json_array_get(doc, i);
    const char *name = get_name(item, "name");
    struct rmq_snapshot_vhost *v =
        name == NULL ? NULL : rmq_vhosts_need(s, name, strlen(name));
    if (v == NULL)
      continue;
    v->ready = get_gauge(item, "messages_ready");
    v->unacked = get_gauge(item, "messages_unacknowledged");
    get_stats(json_object_get(item, "message_stats"), v->stats);
    forget_zeroed(s->version, v->stats);
  }
  json_decref(doc);
  return 0;
}

static void take_stream(const json_t *item, struct rmq_snapshot *s) {
  const json_t *queue = json_object_get(item, "queue");
  const char *vhost = get_name(queue, "vhost");
  const char *name = get_name(queue, "name");
  double lag = get_gauge(item, "offset_lag");
  if (vhost == NULL || name == NULL)
    return;
  struct rmq_snapshot_queue *q = rmq_snapshot_find(s, vhost, name);
  if (q != NULL)
    q->has_stream_consumer = true;
  if (!(lag >= 0))
    return;
  s->stream_lag = fmax(s->stream_lag, lag);
  if (q != NULL)
    q->stream_lag = fmax(q->stream_lag, lag);
}

int rmq_management_streams(const char *bytes, size_t len,
                           struct rmq_snapshot *s, struct rmq_error *err) {
  json_t *doc =
      load(bytes, len, JSON_ARRAY, "the list of stream consumers", err);
  if (doc == NULL)
    return -1;
  for (size_t i = 0; i < json_array_size(doc); i++)
    take_stream(json_array_get(doc, i), s);
  s->are_stream_consumers_known = true;
  json_decref(doc);
  return 0;
}

/* All but its lengths. */
static void fill_details(struct rmq_snapshot_queue *q, const json_t *item) {
  q->consumers = get_gauge(item, "consumers");
  q->memory = get_gauge(item, "memory");
  q->consumer_capacity = get_gauge(item, "consumer_capacity");
  if (isnan(q->consumer_capacity)) /* its name before 3.8 */
    q->consumer_capacity = get_gauge(item, "consumer_utilisation");
  q->head_timestamp = get_gauge(item, "head_message_timestamp");
  get_stats(json_object_get(item, "message_stats"), q->stats);
}

int rmq_management_queue(const char *bytes, size_t len,
                         struct rmq_snapshot_queue *q, struct rmq_error *err) {
  json_t *doc = load(bytes, len, JSON_OBJECT, "the answer about a queue", err);
  if (doc == NULL)
    return -1;
  double consumers = q->consumers; /* the list may have had them */
  fill_details(q, doc);
  if (isnan(q->consumers))
    q->consumers = consumers;
  q->counting = RMQ_COUNTED_ALONE;
  const char *type = get_name(doc, "type");
  if (type != NULL && strcmp(type, "stream") == 0)
    rmq_snapshot_mark_stream(q);
  q->is_quorum = type != NULL && strcmp(type, "quorum") == 0;
  json_decref(doc);
  return 0;
}

void rmq_management_reason(const char *bytes, size_t len, char *ret_text,
                           size_t size) {
  ret_text[0] = '\0';
  json_t *doc =
      json_loadb(bytes == NULL ? "" : bytes, len, JSON_ALLOW_NUL, NULL);
  const char *reason = get_name(doc, "reason");
  if (reason != NULL)
    snprintf(ret_text, size, "%s", reason);
  json_decref(doc);
}
