/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/series.h"

#include "common/base/names.h"

#include <string.h>

/* Room for the longest plugin instance before it is shortened: names of the
 * broker are at most 255 bytes, each becomes at most three. */
enum { SERIES_NAME_BYTES = 4096 };

const char *rmq_series_scope_to_str(enum rmq_series_scope s) {
  switch (s) {
  case RMQ_SERIES_BLOCK:
    return "block";
  case RMQ_SERIES_CLUSTER:
    return "cluster";
  case RMQ_SERIES_NODE:
    return "node";
  case RMQ_SERIES_VHOST:
    return "vhost";
  case RMQ_SERIES_QUEUE:
    return "queue";
  }
  return "unknown";
}

static void label(struct rmq_series_object *o, const char *key,
                  const char *value) {
  o->labels[o->labels_count++] = (struct rmq_meta){
      .key = key, .type = RMQ_META_STRING, .value.string = value};
}

static int build_instance(enum rmq_series_scope scope, const char *name,
                          const char *node, const char *vhost,
                          const char *queue, struct rmq_buf *out) {
  if (rmq_buf_append_text(out, name) != 0)
    return -1;
  switch (scope) {
  case RMQ_SERIES_BLOCK:
  case RMQ_SERIES_CLUSTER:
    return 0;
  case RMQ_SERIES_NODE:
    if (!rmq_names_are_safe(node, strlen(node)))
      return -1;
    return rmq_buf_appendf(out, "-node-%s", node);
  case RMQ_SERIES_VHOST:
    if (rmq_buf_append_text(out, "-vhost-") != 0)
      return -1;
    return rmq_names_encode(out, vhost, /* also_dash = */ true);
  case RMQ_SERIES_QUEUE:
    if (rmq_buf_append_text(out, "-queue-") != 0 ||
        rmq_names_encode(out, vhost, /* also_dash = */ true) != 0 ||
        rmq_buf_append_char(out, '-') != 0)
      return -1;
    return rmq_names_encode(out, queue, /* also_dash = */ false);
  }
  return -1;
}

static void add_labels(struct rmq_series_object *o, enum rmq_series_scope scope,
                       const char *name, const char *node, const char *vhost,
                       const char *queue) {
  label(o, scope == RMQ_SERIES_BLOCK ? "block" : "cluster", name);
  if (scope == RMQ_SERIES_NODE)
    label(o, "node", node);
  if (scope == RMQ_SERIES_VHOST || scope == RMQ_SERIES_QUEUE)
    label(o, "vhost", vhost);
  if (scope == RMQ_SERIES_QUEUE)
    label(o, "queue", queue);
}

int rmq_series_object_init(enum rmq_series_scope scope, const char *plugin,
                           const char *name, const char *node,
                           const char *vhost, const char *queue,
                           struct rmq_series_object *ret_object) {
  struct rmq_buf instance;
  rmq_buf_init(&instance, SERIES_NAME_BYTES);
  int rc = build_instance(scope, name, node, vhost, queue, &instance);
  if (rc == 0) {
    *ret_object = (struct rmq_series_object){.plugin = plugin};
    rmq_names_shorten(rmq_buf_text(&instance), ret_object->plugin_instance,
                      sizeof(ret_object->plugin_instance));
    add_labels(ret_object, scope, name, node, vhost, queue);
  }
  rmq_buf_fini(&instance);
  return rc;
}

static bool is_type(const struct rmq_series *row, const char *type) {
  return strcmp(row->type, type) == 0;
}

/* Writes the type instance; false when it would not fit an identity. */
static bool write_type_instance(const struct rmq_series *row, const char *cause,
                                char ret_text[RMQ_NAME_MAX + 1]) {
  const char *first = row->type_instance == NULL ? "" : row->type_instance;
  const char *rest = row->causes == NULL || cause == NULL ? "" : cause;
  size_t first_len = strlen(first), rest_len = strlen(rest);
  if (first_len + rest_len > RMQ_NAME_MAX)
    return false;
  memcpy(ret_text, first, first_len);
  memcpy(ret_text + first_len, rest, rest_len + 1);
  return true;
}

static bool emit(const struct rmq_series_report *r,
                 const struct rmq_series *row, const char *cause,
                 union rmq_value value) {
  char type_instance[RMQ_NAME_MAX + 1];
  if (!write_type_instance(row, cause, type_instance))
    return false;
  const struct rmq_datum datum = {.name = is_type(row, "duration") ? "seconds"
                                                                   : "value",
                                  .kind = row->kind,
                                  .value = value};
  const struct rmq_sample sample = {
      .id = {.host = r->host->hostname,
             .plugin = r->object->plugin,
             .plugin_instance = r->object->plugin_instance,
             .type = row->type,
             .type_instance = type_instance},
      .time = r->time,
      .interval = r->interval,
      .values = &datum,
      .values_count = 1,
      .meta = r->object->labels,
      .meta_count = r->object->labels_count};
  return r->host->sample(r->host->ctx, &sample) == 0;
}

bool rmq_series_emit_gauge(const struct rmq_series_report *r,
                           const struct rmq_series *row, const char *cause,
                           double value) {
  if (!isfinite(value))
    return false;
  if (is_type(row, "percent"))
    value = fmin(fmax(value, 0), 100);
  if (value < row->min || value > row->max)
    return false;
  return emit(r, row, cause, (union rmq_value){.gauge = value});
}

bool rmq_series_emit_derive(const struct rmq_series_report *r,
                            const struct rmq_series *row, const char *cause,
                            int64_t value) {
  if (value < 0 || (double)value < row->min || (double)value > row->max)
    return false;
  return emit(r, row, cause, (union rmq_value){.derive = value});
}

static bool emit_at(const struct rmq_series_report *r,
                    const struct rmq_series *row, const char *cause,
                    const void *values, size_t index) {
  const char *at = (const char *)values + row->offset;
  if (row->kind == RMQ_GAUGE) {
    double value;
    memcpy(&value, at + index * sizeof(value), sizeof(value));
    return rmq_series_emit_gauge(r, row, cause, value);
  }
  int64_t value;
  memcpy(&value, at + index * sizeof(value), sizeof(value));
  return rmq_series_emit_derive(r, row, cause, value);
}

size_t rmq_series_emit_all(const struct rmq_series_report *r,
                           const struct rmq_series *table,
                           enum rmq_series_scope scope, const void *values) {
  size_t sent = 0;
  for (const struct rmq_series *row = table; row->type != NULL; row++) {
    if (row->scope != scope)
      continue;
    for (size_t i = 0; i < rmq_series_names_count(row); i++) {
      const char *cause = row->causes == NULL ? NULL : row->causes[i];
      sent += emit_at(r, row, cause, values, i) ? 1 : 0;
    }
  }
  return sent;
}

size_t rmq_series_names_count(const struct rmq_series *row) {
  size_t count = 0;
  if (row->causes == NULL)
    return 1;
  while (row->causes[count] != NULL)
    count++;
  return count;
}

int rmq_series_type_instance(const struct rmq_series *row, const char *cause,
                             struct rmq_buf *out) {
  char text[RMQ_NAME_MAX + 1];
  if (!write_type_instance(row, cause, text))
    return -1;
  return rmq_buf_append_text(out, text);
}

int rmq_series_field(const char *type, const char *type_instance,
                     struct rmq_buf *out) {
  size_t start = out->len;
  bool is_alone = type_instance == NULL || type_instance[0] == '\0';
  if (rmq_buf_append_text(out, type) == 0 &&
      (is_alone || (rmq_buf_append_char(out, '_') == 0 &&
                    rmq_buf_append_text(out, type_instance) == 0)))
    return 0;
  rmq_buf_truncate(out, start);
  return -1;
}

/* What follows "warren_monitor_". */
static int prometheus_end(const struct rmq_series *row,
                          const char *type_instance, struct rmq_buf *out) {
  static const char total[] = "total_";
  const char *type = row->type;
  if (row->prometheus != NULL)
    return rmq_buf_append_text(out, row->prometheus);
  if (row->kind == RMQ_GAUGE && is_type(row, "gauge"))
    return rmq_buf_append_text(out, type_instance);
  if (row->kind == RMQ_DERIVE && strncmp(type, total, strlen(total)) == 0)
    type += strlen(total);
  if (rmq_series_field(type, type_instance, out) != 0)
    return -1;
  return row->kind == RMQ_DERIVE ? rmq_buf_append_text(out, "_total") : 0;
}

int rmq_series_prometheus(const char *plugin, const struct rmq_series *row,
                          const char *cause, struct rmq_buf *out) {
  static const char module[] = "rabbitmq_";
  char type_instance[RMQ_NAME_MAX + 1];
  size_t start = out->len;
  if (strncmp(plugin, module, strlen(module)) == 0)
    plugin += strlen(module);
  if (write_type_instance(row, cause, type_instance) &&
      rmq_buf_appendf(out, "warren_%s_", plugin) == 0 &&
      prometheus_end(row, type_instance, out) == 0)
    return 0;
  rmq_buf_truncate(out, start);
  return -1;
}
