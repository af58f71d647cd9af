/* SPDX-License-Identifier: MIT */
/*
 * The list of queues is read as it stands in the body, without a tree: of all
 * answers it alone is long, and a tree took three quarters of a poll's time.
 */
#include "rmq_config.h"

#include "common/broker/management.h"

#include "common/codec/json.h"
#include "common/codec/number.h"

#include <math.h>
#include <string.h>

/* One element of the list; names point into the body. */
struct item {
  struct rmq_json_value name, vhost, type; /* NULL until they are texts */
  struct rmq_json_value exclusive;
  double consumer_utilisation;      /* consumer_capacity before 3.8 */
  struct rmq_snapshot_queue values; /* its names are NULL */
};

/* Where the list is going. */
struct list {
  struct rmq_json json;
  rmq_management_want want;
  void *ctx;
  struct rmq_snapshot *snapshot;
  int64_t pages, total;       /* of pages; of queues in all of them */
  int64_t count;              /* of queues that were read */
  bool has_items, has_others; /* others: elements that are no queues */
  struct rmq_error *err;
};

/* ---- one value, by the type that carries its meaning ---- */

static double to_gauge(const struct rmq_json_value *v) {
  double value = (double)NAN;
  if (v->kind == RMQ_JSON_INTEGER || v->kind == RMQ_JSON_REAL)
    rmq_number_get_double(v->text, v->len, &value);
  return value;
}

static int64_t to_counter(const struct rmq_json_value *v) {
  int64_t value = RMQ_ABSENT;
  if (v->kind == RMQ_JSON_INTEGER &&
      rmq_number_get_i64(v->text, v->len, &value) == 0 && value < 0)
    return RMQ_ABSENT;
  return value;
}

/* NULL when it is no string, empty, or has a NUL inside. */
static const char *to_name(const struct rmq_json_value *v) {
  if (v->kind != RMQ_JSON_STRING || v->len == 0 || strlen(v->text) != v->len)
    return NULL;
  return v->text;
}

/* ---- one queue ---- */

struct gauge {
  const char *key;
  size_t offset; /* of a double in struct item */
};

#define GAUGE(key_, field_)                                                    \
  { key_, offsetof(struct item, field_) }

static const struct gauge gauges[] = {
    GAUGE("consumers", values.consumers),
    GAUGE("memory", values.memory),
    GAUGE("messages_ready", values.ready),
    GAUGE("messages_unacknowledged", values.unacked),
    GAUGE("consumer_capacity", values.consumer_capacity),
    GAUGE("consumer_utilisation", consumer_utilisation),
    GAUGE("head_message_timestamp", values.head_timestamp),
};

static bool is_key(const struct rmq_json_value *key, const char *wanted) {
  size_t len = strlen(wanted);
  return key->len == len && memcmp(key->text, wanted, len) == 0;
}

static void take_stat(const struct rmq_json_value *key,
                      const struct rmq_json_value *v, struct item *item) {
  for (size_t i = 0; i < RMQ_STATS_COUNT; i++)
    if (is_key(key, rmq_stat_to_str((enum rmq_stat)i))) {
      item->values.stats[i] = to_counter(v);
      return;
    }
}

static int read_stats(struct rmq_json *j, struct item *item) {
  struct rmq_json_value key, value;
  int more = 0;
  if (rmq_json_peek(j) != '{')
    return rmq_json_value(j, &value);
  if (rmq_json_open(j, '{') != 0)
    return -1;
  while ((more = rmq_json_more(j)) == 1) {
    if (rmq_json_key(j, &key) != 0 || rmq_json_value(j, &value) != 0)
      return -1;
    take_stat(&key, &value, item);
  }
  return more;
}

static void take_field(const struct rmq_json_value *key,
                       const struct rmq_json_value *v, struct item *item) {
  for (size_t i = 0; i < sizeof(gauges) / sizeof(gauges[0]); i++)
    if (is_key(key, gauges[i].key)) {
      double value = to_gauge(v);
      memcpy((char *)item + gauges[i].offset, &value, sizeof(value));
      return;
    }
  if (is_key(key, "name"))
    item->name = *v;
  else if (is_key(key, "vhost"))
    item->vhost = *v;
  else if (is_key(key, "type"))
    item->type = *v;
  else if (is_key(key, "exclusive"))
    item->exclusive = *v;
}

static int read_item(struct rmq_json *j, struct item *item) {
  struct rmq_json_value key, value;
  int more = 0;
  *item = (struct item){.consumer_utilisation = (double)NAN};
  rmq_snapshot_queue_clear(&item->values);
  if (rmq_json_open(j, '{') != 0)
    return -1;
  while ((more = rmq_json_more(j)) == 1) {
    if (rmq_json_key(j, &key) != 0)
      return -1;
    if (is_key(&key, "message_stats")) {
      if (read_stats(j, item) != 0)
        return -1;
      continue;
    }
    if (rmq_json_value(j, &value) != 0)
      return -1;
    take_field(&key, &value, item);
  }
  return more;
}

static void add_length(double *sum, double length) {
  if (!isnan(length))
    *sum = isnan(*sum) ? length : *sum + length;
}

static void take_kind(struct item *item) {
  const char *type = to_name(&item->type);
  struct rmq_snapshot_queue *q = &item->values;
  q->is_exclusive = item->exclusive.kind == RMQ_JSON_TRUE;
  if (type == NULL)
    return;
  q->is_classic = strcmp(type, "classic") == 0;
  q->is_quorum = strcmp(type, "quorum") == 0;
  if (strcmp(type, "stream") == 0)
    rmq_snapshot_mark_stream(q);
}

static int add_item(struct list *l, struct item *item) {
  struct rmq_snapshot *s = l->snapshot;
  const char *vhost = to_name(&item->vhost), *name = to_name(&item->name);
  add_length(&s->listed_ready, item->values.ready);
  add_length(&s->listed_unacked, item->values.unacked);
  l->count++;
  take_kind(item);
  s->has_streams |= item->values.is_stream;
  if (vhost == NULL || name == NULL || !rmq_snapshot_wants(s, &item->values) ||
      (l->want != NULL && !l->want(l->ctx, vhost, name)))
    return 0;
  bool is_full = rmq_snapshot_is_full(s);
  struct rmq_snapshot_queue *q = rmq_snapshot_add_queue(s, vhost, name);
  if (q == NULL)
    return is_full ? 0
                   : rmq_error_set(l->err, "no memory for the list of "
                                           "queues");
  if (isnan(item->values.consumer_capacity))
    item->values.consumer_capacity = item->consumer_utilisation;
  item->values.vhost = q->vhost;
  item->values.name = q->name;
  *q = item->values;
  return 0;
}

/* ---- the list ---- */

static int read_items(struct list *l) {
  struct rmq_json_value ignored;
  struct item item;
  int more = 0;
  l->has_items = rmq_json_peek(&l->json) == '[';
  if (!l->has_items)
    return rmq_json_value(&l->json, &ignored);
  if (rmq_json_open(&l->json, '[') != 0)
    return -1;
  while ((more = rmq_json_more(&l->json)) == 1) {
    bool is_queue = rmq_json_peek(&l->json) == '{';
    l->has_others |= !is_queue;
    if (!is_queue && rmq_json_value(&l->json, &ignored) != 0)
      return -1;
    if (is_queue &&
        (read_item(&l->json, &item) != 0 || add_item(l, &item) != 0))
      return -1;
  }
  return more;
}

static int read_page(struct list *l) {
  struct rmq_json_value key, value;
  int more = 0;
  if (rmq_json_open(&l->json, '{') != 0)
    return -1;
  while ((more = rmq_json_more(&l->json)) == 1) {
    if (rmq_json_key(&l->json, &key) != 0)
      return -1;
    bool is_pages = is_key(&key, "page_count");
    bool is_total = is_key(&key, "total_count");
    if (is_key(&key, "items") ? read_items(l) != 0
                              : rmq_json_value(&l->json, &value) != 0)
      return -1;
    if (is_pages)
      l->pages = to_counter(&value);
    if (is_total)
      l->total = to_counter(&value);
  }
  return more;
}

/* All of it at once, in no page. */
static int read_whole(struct list *l) {
  l->pages = 1;
  if (read_items(l) != 0)
    return -1;
  l->total = l->count;
  return l->has_others
             ? rmq_error_set(l->err, "it has other elements than queues")
             : 0;
}

int rmq_management_queues(char *bytes, size_t len, rmq_management_want want,
                          void *ctx, struct rmq_snapshot *s, size_t *ret_pages,
                          struct rmq_error *err) {
  struct rmq_error cause = {.text = ""};
  char nothing[] = "";
  struct list l = {.want = want,
                   .ctx = ctx,
                   .snapshot = s,
                   .pages = RMQ_ABSENT,
                   .total = RMQ_ABSENT,
                   .err = &cause};
  rmq_json_init(&l.json, bytes == NULL ? nothing : bytes, len, &cause);
  bool is_whole = rmq_json_peek(&l.json) == '[';
  if ((is_whole ? read_whole(&l) : read_page(&l)) != 0 ||
      rmq_json_end(&l.json) != 0)
    return rmq_error_set(err, "the list of queues: %s", cause.text);
  if (l.pages == RMQ_ABSENT || !l.has_items)
    return rmq_error_set(err, "the list of queues is not in pages");
  if (l.total != RMQ_ABSENT)
    s->queues_listed = (double)l.total;
  *ret_pages = (size_t)l.pages;
  return 0;
}
