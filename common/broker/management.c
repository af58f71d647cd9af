/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/management.h"

#include "common/broker/fields.h"
#include "common/broker/vhosts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  VHOSTS_LISTED_MAX = 50000,  /* ten times as many as have series */
  REASON_BODY_MAX = 64 * 1024 /* of an error */
};

/* ---- what versions do not know ---- */

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

/* ---- the overview ---- */

struct overview {
  const char *version;
  double is_without_statistics, ready, unacked, connections, queues;
  int64_t stats[RMQ_STATS_COUNT], tallies[RMQ_TALLIES_COUNT];
  bool has_totals;
};

static int read_queue_totals(struct rmq_json *j, void *to) {
  static const struct rmq_field fields[] = {
      RMQ_FIELD(struct overview, ready, "messages_ready", rmq_field_gauge),
      RMQ_FIELD(struct overview, unacked, "messages_unacknowledged",
                rmq_field_gauge)};
  ((struct overview *)to)->has_totals = true;
  return rmq_fields_read(j, RMQ_FIELDS(fields), to);
}

static int read_object_totals(struct rmq_json *j, void *to) {
  static const struct rmq_field fields[] = {
      RMQ_FIELD(struct overview, connections, "connections", rmq_field_gauge),
      RMQ_FIELD(struct overview, queues, "queues", rmq_field_gauge)};
  ((struct overview *)to)->has_totals = true;
  return rmq_fields_read(j, RMQ_FIELDS(fields), to);
}

static int read_churn(struct rmq_json *j, void *to) {
#define RMQ_X(name, word)                                                      \
  RMQ_FIELD(struct overview, tallies[RMQ_TALLY_##name], word,                  \
            rmq_field_counter),
  static const struct rmq_field fields[] = {RMQ_TALLIES(RMQ_X)};
#undef RMQ_X
  return rmq_fields_read(j, fields, RMQ_TALLY_CHANNEL_CLOSED + 1, to);
}

static int read_overview(struct rmq_json *j, void *to) {
  static const struct rmq_field fields[] = {
      RMQ_FIELD(struct overview, version, "rabbitmq_version", rmq_field_name),
      RMQ_FIELD(struct overview, is_without_statistics, "disable_stats",
                rmq_field_boolean),
      RMQ_FIELD(struct overview, stats, "message_stats", rmq_field_stats),
      RMQ_FIELD_WITHIN("queue_totals", read_queue_totals),
      RMQ_FIELD_WITHIN("object_totals", read_object_totals),
      RMQ_FIELD_WITHIN("churn_rates", read_churn)};
  return rmq_fields_read(j, RMQ_FIELDS(fields), to);
}

int rmq_management_overview(char *bytes, size_t len, struct rmq_snapshot *s,
                            struct rmq_error *err) {
  struct overview o = {.ready = (double)NAN,
                       .unacked = (double)NAN,
                       .connections = (double)NAN,
                       .queues = (double)NAN};
  rmq_snapshot_counters_clear(o.stats, RMQ_STATS_COUNT);
  rmq_snapshot_counters_clear(o.tallies, RMQ_TALLIES_COUNT);
  if (rmq_fields_body(bytes, len, '{', "the overview", read_overview, &o,
                      err) != 0)
    return -1;
  if (o.version == NULL && !o.has_totals)
    return rmq_error_set(err,
                         "the answer is not a RabbitMQ overview; is the URL "
                         "that of the management plugin?");
  snprintf(s->version, sizeof(s->version), "%s",
           o.version == NULL ? "" : o.version);
  s->is_without_statistics = o.is_without_statistics > 0;
  s->ready = o.ready;
  s->unacked = o.unacked;
  s->connections = o.connections;
  s->queues_total = o.queues;
  for (size_t i = 0; i <= RMQ_TALLY_CHANNEL_CLOSED; i++)
    s->tallies[i] = o.tallies[i];
  memcpy(s->stats, o.stats, sizeof(s->stats));
  forget_zeroed(s->version, s->stats);
  return 0;
}

/* ---- nodes ---- */

struct node_item {
  const char *name;
  struct rmq_snapshot_node values; /* its name is NULL */
};

/* A number in a text. */
static int read_pid(struct rmq_json *j, void *to) {
  const char *text = NULL;
  char *end = NULL;
  if (rmq_field_name(j, &text) != 0)
    return -1;
  long long pid = text == NULL ? 0 : strtoll(text, &end, 10);
  *(int64_t *)to = pid > 0 && end[0] == '\0' ? pid : RMQ_ABSENT;
  return 0;
}

#define NODE(member, key, read)                                                \
  RMQ_FIELD(struct node_item, values.member, key, read)

static const struct rmq_field node_fields[] = {
    RMQ_FIELD(struct node_item, name, "name", rmq_field_name),
    NODE(running, "running", rmq_field_boolean),
    NODE(memory_alarm, "mem_alarm", rmq_field_boolean),
    NODE(disk_alarm, "disk_free_alarm", rmq_field_boolean),
    NODE(memory_used, "mem_used", rmq_field_gauge),
    NODE(memory_limit, "mem_limit", rmq_field_gauge),
    NODE(disk_free, "disk_free", rmq_field_gauge),
    NODE(disk_limit, "disk_free_limit", rmq_field_gauge),
    NODE(fds_used, "fd_used", rmq_field_gauge),
    NODE(fds_total, "fd_total", rmq_field_gauge),
    NODE(processes_used, "proc_used", rmq_field_gauge),
    NODE(processes_total, "proc_total", rmq_field_gauge),
    NODE(run_queue, "run_queue", rmq_field_gauge),
    NODE(uptime, "uptime", rmq_field_gauge),
    NODE(partitions, "partitions", rmq_field_length),
    NODE(os_pid, "os_pid", read_pid),
};

static int read_node(struct rmq_json *j, void *to) {
  struct rmq_snapshot *s = to;
  struct node_item item = {.name = NULL};
  rmq_snapshot_node_clear(&item.values);
  if (rmq_fields_read(j, RMQ_FIELDS(node_fields), &item) != 0)
    return -1;
  if (item.name == NULL)
    return 0;
  struct rmq_snapshot_node *n = rmq_snapshot_add_node(s, item.name);
  if (n == NULL)
    return rmq_error_set(j->err, "longer than %d, or there is no memory for it",
                         RMQ_SNAPSHOT_NODES_MAX);
  item.values.name = n->name;
  item.values.uptime /= 1000;
  *n = item.values;
  return 0;
}

static int read_nodes(struct rmq_json *j, void *to) {
  return rmq_fields_each(j, read_node, to);
}

int rmq_management_nodes(char *bytes, size_t len, struct rmq_snapshot *s,
                         struct rmq_error *err) {
  if (rmq_fields_body(bytes, len, '[', "the list of nodes", read_nodes, s,
                      err) != 0)
    return -1;
  s->has_nodes = true;
  return 0;
}

/* ---- virtual hosts ---- */

struct vhost_list {
  struct rmq_snapshot *snapshot;
  size_t count;
};

struct vhost_item {
  const char *name;
  double ready, unacked;
  int64_t stats[RMQ_STATS_COUNT];
};

static const struct rmq_field vhost_fields[] = {
    RMQ_FIELD(struct vhost_item, name, "name", rmq_field_name),
    RMQ_FIELD(struct vhost_item, ready, "messages_ready", rmq_field_gauge),
    RMQ_FIELD(struct vhost_item, unacked, "messages_unacknowledged",
              rmq_field_gauge),
    RMQ_FIELD(struct vhost_item, stats, "message_stats", rmq_field_stats),
};

static int read_vhost(struct rmq_json *j, void *to) {
  struct vhost_list *l = to;
  struct rmq_snapshot *s = l->snapshot;
  struct vhost_item item = {
      .name = NULL, .ready = (double)NAN, .unacked = (double)NAN};
  rmq_snapshot_counters_clear(item.stats, RMQ_STATS_COUNT);
  if (l->count++ == VHOSTS_LISTED_MAX)
    return rmq_error_set(j->err, "longer than %d", VHOSTS_LISTED_MAX);
  if (rmq_fields_read(j, RMQ_FIELDS(vhost_fields), &item) != 0)
    return -1;
  struct rmq_snapshot_vhost *v =
      item.name == NULL ? NULL
                        : rmq_vhosts_need(s, item.name, strlen(item.name));
  if (v == NULL)
    return 0;
  v->ready = item.ready;
  v->unacked = item.unacked;
  memcpy(v->stats, item.stats, sizeof(v->stats));
  forget_zeroed(s->version, v->stats);
  return 0;
}

static int read_vhosts(struct rmq_json *j, void *to) {
  return rmq_fields_each(j, read_vhost, to);
}

int rmq_management_vhosts(char *bytes, size_t len, struct rmq_snapshot *s,
                          struct rmq_error *err) {
  struct vhost_list l = {.snapshot = s};
  if (rmq_fields_body(bytes, len, '[', "the list of vhosts", read_vhosts, &l,
                      err) == 0)
    return 0;
  rmq_vhosts_forget(s);
  return -1;
}

/* ---- consumers of streams ---- */

struct stream_item {
  const char *vhost, *name;
  double lag;
};

static int read_stream_queue(struct rmq_json *j, void *to) {
  static const struct rmq_field fields[] = {
      RMQ_FIELD(struct stream_item, vhost, "vhost", rmq_field_name),
      RMQ_FIELD(struct stream_item, name, "name", rmq_field_name)};
  return rmq_fields_read(j, RMQ_FIELDS(fields), to);
}

static int read_stream(struct rmq_json *j, void *to) {
  static const struct rmq_field fields[] = {
      RMQ_FIELD_WITHIN("queue", read_stream_queue),
      RMQ_FIELD(struct stream_item, lag, "offset_lag", rmq_field_gauge)};
  struct rmq_snapshot *s = to;
  struct stream_item item = {.lag = (double)NAN};
  if (rmq_fields_read(j, RMQ_FIELDS(fields), &item) != 0)
    return -1;
  if (item.vhost == NULL || item.name == NULL)
    return 0;
  struct rmq_snapshot_queue *q = rmq_snapshot_find(s, item.vhost, item.name);
  if (q != NULL)
    q->has_stream_consumer = true;
  if (!(item.lag >= 0))
    return 0;
  s->stream_lag = fmax(s->stream_lag, item.lag);
  if (q != NULL)
    q->stream_lag = fmax(q->stream_lag, item.lag);
  return 0;
}

static int read_streams(struct rmq_json *j, void *to) {
  return rmq_fields_each(j, read_stream, to);
}

int rmq_management_streams(char *bytes, size_t len, struct rmq_snapshot *s,
                           struct rmq_error *err) {
  if (rmq_fields_body(bytes, len, '[', "the list of stream consumers",
                      read_streams, s, err) != 0)
    return -1;
  s->are_stream_consumers_known = true;
  return 0;
}

/* ---- errors ---- */

static int read_reason(struct rmq_json *j, void *to) {
  static const struct rmq_field field =
      RMQ_FIELD_WITHIN("reason", rmq_field_name);
  return rmq_fields_read(j, &field, 1, to);
}

/* Reading writes to the body, and this one may be asked for again. */
void rmq_management_reason(const char *bytes, size_t len, char *ret_text,
                           size_t size) {
  const char *reason = NULL;
  ret_text[0] = '\0';
  char *copy = len == 0 || len > REASON_BODY_MAX ? NULL : malloc(len);
  if (copy == NULL)
    return;
  memcpy(copy, bytes, len);
  if (rmq_fields_body(copy, len, '{', "", read_reason, &reason, NULL) == 0 &&
      reason != NULL)
    snprintf(ret_text, size, "%s", reason);
  free(copy);
}
