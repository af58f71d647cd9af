/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/emit_json.h"

#include "common/base/utf8.h"
#include "common/codec/number.h"
#include "common/codec/quote.h"

#include <stdlib.h>
#include <string.h>

enum { JSON_BYTES_MAX = 512 * 1024 * 1024 };

/* The members of a set, in their order. The first ones hold fields of the
 * cluster, the others an array of objects. */
static const char *const members[] = {"connection", "lag",        "errors",
                                      "resource",   "throughput", "monitor",
                                      "nodes",      "vhosts",     "queues"};
enum {
  JSON_MEMBERS = 9,
  JSON_MONITOR = 5,
  JSON_NODES,
  JSON_VHOSTS,
  JSON_QUEUES
};

struct rmq_emit_json {
  const struct rmq_series *table;
  struct rmq_buf parts[JSON_MEMBERS];
  char open[RMQ_NAME_MAX + 1]; /* plugin instance of the object that is open */
  struct rmq_buf cluster;      /* its name, quoted */
  struct rmq_wall time;
  bool has_samples;
  size_t unsayable_count;
};

/* ---- values ---- */

/* A comma where something stands before, then "key": */
static int append_key(struct rmq_buf *out, const char *key) {
  char last = out->len == 0 ? '{' : rmq_buf_bytes(out)[out->len - 1];
  if (last != '{' && rmq_buf_append_char(out, ',') != 0)
    return -1;
  if (rmq_quote_json(out, key) != 0)
    return -1;
  return rmq_buf_append_char(out, ':');
}

static int append_text(struct rmq_buf *out, const char *key, const char *text) {
  return append_key(out, key) == 0 ? rmq_quote_json(out, text) : -1;
}

static int append_datum(struct rmq_buf *out, const char *key,
                        const struct rmq_datum *d) {
  char text[RMQ_NUMBER_MAX];
  size_t n = rmq_emit_put_value(text, d);
  if (n == 0)
    return 0;
  return append_key(out, key) == 0 ? rmq_buf_append(out, text, n) : -1;
}

static int append_time(struct rmq_buf *out, struct rmq_wall time) {
  char text[RMQ_NUMBER_MAX];
  size_t n = rmq_number_put_seconds(text, time.ns < 0 ? 0 : time.ns);
  return append_key(out, "time") == 0 ? rmq_buf_append(out, text, n) : -1;
}

/* ---- samples ---- */

static const char *meta_text(const struct rmq_meta *meta, size_t count,
                             const char *key) {
  for (size_t i = 0; i < count; i++)
    if (meta[i].type == RMQ_META_STRING && strcmp(meta[i].key, key) == 0)
      return meta[i].value.string;
  return NULL;
}

static bool is_named(const char *a, const char *b) {
  return strcmp(a == NULL ? "" : a, b) == 0;
}

/* Of a series of the cluster; one without an indicator is about the monitor. */
static int member_of_row(const struct rmq_emit_json *j,
                         const struct rmq_sample *s) {
  for (const struct rmq_series *row = j->table; row->type != NULL; row++) {
    if (row->scope != RMQ_SERIES_CLUSTER || row->indicator == NULL ||
        strcmp(row->type, s->id.type) != 0)
      continue;
    bool is_it = row->causes == NULL
                     ? is_named(row->type_instance, s->id.type_instance)
                     : strncmp(row->type_instance, s->id.type_instance,
                               strlen(row->type_instance)) == 0;
    for (int i = 0; is_it && i < JSON_MONITOR; i++)
      if (strcmp(members[i], row->indicator) == 0)
        return i;
  }
  return JSON_MONITOR;
}

static int member_of(const struct rmq_emit_json *j,
                     const struct rmq_sample *s) {
  if (meta_text(s->meta, s->meta_count, "queue") != NULL)
    return JSON_QUEUES;
  if (meta_text(s->meta, s->meta_count, "vhost") != NULL)
    return JSON_VHOSTS;
  if (meta_text(s->meta, s->meta_count, "node") != NULL)
    return JSON_NODES;
  return member_of_row(j, s);
}

/* Another one instead of what is no UTF-8 could be that of somebody else. */
static int append_name(struct rmq_buf *out, const char *key, const char *name) {
  if (name == NULL || !rmq_utf8_is_valid(name, strlen(name)))
    return -1;
  return append_text(out, key, name);
}

/* Begins the object of a node, vhost or queue with its names. */
static int open_object(struct rmq_buf *out, const struct rmq_sample *s) {
  int rc = rmq_buf_append_text(out, out->len == 0 ? "{" : "},{");
  for (size_t i = 0; rc == 0 && i < s->meta_count; i++)
    if (strcmp(s->meta[i].key, "cluster") != 0)
      rc = append_name(out, s->meta[i].key, s->meta[i].value.string);
  return rc;
}

static int append_sample(struct rmq_emit_json *j, const struct rmq_sample *s,
                         struct rmq_buf *out, bool is_listed) {
  struct rmq_buf key;
  if (is_listed && strcmp(j->open, s->id.plugin_instance) != 0) {
    size_t len = strlen(s->id.plugin_instance);
    if (len > RMQ_NAME_MAX || open_object(out, s) != 0)
      return -1;
    memcpy(j->open, s->id.plugin_instance, len + 1);
  }
  rmq_buf_init(&key, 2 * RMQ_NAME_MAX + 1);
  int rc = rmq_series_field(s->id.type, s->id.type_instance, &key);
  if (rc == 0)
    rc = append_datum(out, rmq_buf_text(&key), &s->values[0]);
  rmq_buf_fini(&key);
  return rc;
}

static int add_sample(void *ctx, const struct rmq_sample *s,
                      struct rmq_buf *out) {
  struct rmq_emit_json *j = ctx;
  int member = member_of(j, s);
  struct rmq_buf *part = &j->parts[member];
  size_t before = part->len;
  (void)out;
  if (!j->has_samples) {
    const char *cluster = meta_text(s->meta, s->meta_count, "cluster");
    rmq_buf_clear(&j->cluster);
    rmq_quote_json(&j->cluster, cluster == NULL ? "" : cluster);
    j->time = s->time;
    j->has_samples = true;
  }
  if (s->values_count == 1 &&
      append_sample(j, s, part, member >= JSON_NODES) == 0)
    return 0;
  rmq_buf_truncate(part, before);
  j->open[0] = '\0';
  j->unsayable_count++;
  return -1;
}

static int append_members(struct rmq_emit_json *j, struct rmq_buf *out) {
  int rc = 0;
  for (int i = 0; rc == 0 && i < JSON_MEMBERS; i++) {
    bool is_listed = i >= JSON_NODES;
    struct rmq_buf *part = &j->parts[i];
    rc = append_key(out, members[i]);
    if (rc == 0)
      rc = rmq_buf_append_text(out, is_listed ? "[" : "{");
    if (rc == 0)
      rc = rmq_buf_append(out, rmq_buf_bytes(part), part->len);
    if (rc == 0 && is_listed && part->len > 0)
      rc = rmq_buf_append_char(out, '}');
    if (rc == 0)
      rc = rmq_buf_append_char(out, is_listed ? ']' : '}');
  }
  return rc;
}

static int end_set(void *ctx, struct rmq_buf *out) {
  struct rmq_emit_json *j = ctx;
  size_t before = out->len;
  int rc = 0;
  if (j->has_samples) {
    rc = rmq_buf_append_char(out, '{');
    if (rc == 0)
      rc = append_time(out, j->time);
    if (rc == 0)
      rc = append_key(out, "cluster");
    if (rc == 0)
      rc = rmq_buf_append(out, rmq_buf_bytes(&j->cluster), j->cluster.len);
    if (rc == 0)
      rc = append_members(j, out);
    if (rc == 0)
      rc = rmq_buf_append_text(out, "}\n");
  }
  if (rc != 0)
    rmq_buf_truncate(out, before);
  for (int i = 0; i < JSON_MEMBERS; i++)
    rmq_buf_clear(&j->parts[i]);
  j->has_samples = false;
  j->open[0] = '\0';
  return rc;
}

/* ---- events ---- */

static int append_meta(struct rmq_buf *out, const struct rmq_meta *m) {
  struct rmq_datum d = {.kind = RMQ_DERIVE};
  switch (m->type) {
  case RMQ_META_STRING:
    return append_text(out, m->key, m->value.string);
  case RMQ_META_SIGNED:
    d.value.derive = m->value.signed_int;
    break;
  case RMQ_META_UNSIGNED:
    d.kind = RMQ_COUNTER;
    d.value.counter = m->value.unsigned_int;
    break;
  case RMQ_META_DOUBLE:
    d.kind = RMQ_GAUGE;
    d.value.gauge = m->value.number;
    break;
  case RMQ_META_BOOLEAN:
    if (append_key(out, m->key) != 0)
      return -1;
    return rmq_buf_append_text(out, m->value.boolean ? "true" : "false");
  }
  return append_datum(out, m->key, &d);
}

static int append_event(const struct rmq_event *e, struct rmq_buf *out) {
  struct rmq_buf field;
  if (rmq_buf_append_text(out, "{\"event\":\"alert\"") != 0 ||
      append_time(out, e->time) != 0 ||
      append_text(out, "severity", rmq_severity_to_str(e->severity)) != 0)
    return -1;
  rmq_buf_init(&field, 2 * RMQ_NAME_MAX + 1);
  int rc = rmq_series_field(e->id.type, e->id.type_instance, &field);
  if (rc == 0 && field.len > 0)
    rc = append_text(out, "series", rmq_buf_text(&field));
  rmq_buf_fini(&field);
  for (size_t i = 0; rc == 0 && i < e->meta_count; i++)
    rc = append_meta(out, &e->meta[i]);
  if (rc == 0)
    rc = append_text(out, "message", e->message);
  return rc == 0 ? rmq_buf_append_text(out, "}\n") : -1;
}

static int add_event(void *ctx, const struct rmq_event *e,
                     struct rmq_buf *out) {
  struct rmq_emit_json *j = ctx;
  size_t before = out->len;
  if (append_event(e, out) == 0)
    return 0;
  rmq_buf_truncate(out, before);
  j->unsayable_count++;
  return -1;
}

/* ---- life ---- */

static size_t left_out(const void *ctx) {
  const struct rmq_emit_json *j = ctx;
  return j->unsayable_count;
}

struct rmq_emit rmq_emit_json_emit(struct rmq_emit_json *j) {
  return (struct rmq_emit){.ctx = j,
                           .sample = add_sample,
                           .event = add_event,
                           .end = end_set,
                           .left_out = left_out};
}

struct rmq_emit_json *rmq_emit_json_new(const struct rmq_series *table) {
  struct rmq_emit_json *j = calloc(1, sizeof(*j));
  if (j == NULL)
    return NULL;
  j->table = table;
  rmq_buf_init(&j->cluster, (size_t)6 * RMQ_NAME_MAX + 3);
  for (int i = 0; i < JSON_MEMBERS; i++)
    rmq_buf_init(&j->parts[i], JSON_BYTES_MAX);
  return j;
}

void rmq_emit_json_free(struct rmq_emit_json *j) {
  if (j == NULL)
    return;
  for (int i = 0; i < JSON_MEMBERS; i++)
    rmq_buf_fini(&j->parts[i]);
  rmq_buf_fini(&j->cluster);
  free(j);
}
