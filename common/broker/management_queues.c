/* SPDX-License-Identifier: MIT */
/*
 * Queues: their list, of all answers the long one, and the answer about one.
 */
#include "rmq_config.h"

#include "common/broker/management.h"

#include "common/broker/fields.h"

#include <math.h>
#include <string.h>

/* One element of the list; names point into the body. */
struct item {
  const char *name, *vhost, *type;
  double is_exclusive;
  double consumer_utilisation;      /* consumer_capacity before 3.8 */
  struct rmq_snapshot_queue values; /* its names are NULL */
};

/* Where the list is going. */
struct list {
  rmq_management_want want;
  void *ctx;
  struct rmq_snapshot *snapshot;
  int64_t pages, total;       /* of pages; of queues in all of them */
  int64_t count;              /* of queues that were read */
  bool has_items, has_others; /* others: elements that are no queues */
};

/* ---- one queue ---- */

#define QUEUE(member, key, read) RMQ_FIELD(struct item, member, key, read)

static const struct rmq_field queue_fields[] = {
    QUEUE(name, "name", rmq_field_name),
    QUEUE(vhost, "vhost", rmq_field_name),
    QUEUE(type, "type", rmq_field_name),
    QUEUE(is_exclusive, "exclusive", rmq_field_boolean),
    QUEUE(values.consumers, "consumers", rmq_field_gauge),
    QUEUE(values.memory, "memory", rmq_field_gauge),
    QUEUE(values.ready, "messages_ready", rmq_field_gauge),
    QUEUE(values.unacked, "messages_unacknowledged", rmq_field_gauge),
    QUEUE(values.consumer_capacity, "consumer_capacity", rmq_field_gauge),
    QUEUE(consumer_utilisation, "consumer_utilisation", rmq_field_gauge),
    QUEUE(values.head_timestamp, "head_message_timestamp", rmq_field_gauge),
    QUEUE(values.stats, "message_stats", rmq_field_stats),
};

static bool is_type(const struct item *item, const char *type) {
  return item->type != NULL && strcmp(item->type, type) == 0;
}

static int read_item(struct rmq_json *j, void *to) {
  struct item *item = to;
  *item = (struct item){.consumer_utilisation = (double)NAN};
  struct rmq_snapshot_queue *q = &item->values;
  rmq_snapshot_queue_clear(q);
  if (rmq_fields_read(j, RMQ_FIELDS(queue_fields), item) != 0)
    return -1;
  if (isnan(q->consumer_capacity))
    q->consumer_capacity = item->consumer_utilisation;
  q->is_exclusive = item->is_exclusive > 0;
  q->is_classic = is_type(item, "classic");
  q->is_quorum = is_type(item, "quorum");
  return 0;
}

int rmq_management_queue(char *bytes, size_t len, struct rmq_snapshot_queue *q,
                         struct rmq_error *err) {
  struct item item;
  if (rmq_fields_body(bytes, len, '{', "the answer about a queue", read_item,
                      &item, err) != 0)
    return -1;
  if (!isnan(item.values.consumers)) /* the list may have had them */
    q->consumers = item.values.consumers;
  q->memory = item.values.memory;
  q->consumer_capacity = item.values.consumer_capacity;
  q->head_timestamp = item.values.head_timestamp;
  memcpy(q->stats, item.values.stats, sizeof(q->stats));
  q->counting = RMQ_COUNTED_ALONE;
  if (is_type(&item, "stream"))
    rmq_snapshot_mark_stream(q);
  q->is_quorum = item.values.is_quorum;
  return 0;
}

/* ---- the list ---- */

static void add_length(double *sum, double length) {
  if (!isnan(length))
    *sum = isnan(*sum) ? length : *sum + length;
}

static int add_item(struct list *l, struct item *item, struct rmq_error *err) {
  struct rmq_snapshot *s = l->snapshot;
  const char *vhost = item->vhost, *name = item->name;
  add_length(&s->listed_ready, item->values.ready);
  add_length(&s->listed_unacked, item->values.unacked);
  l->count++;
  if (is_type(item, "stream"))
    rmq_snapshot_mark_stream(&item->values);
  s->has_streams |= item->values.is_stream;
  if (vhost == NULL || name == NULL || !rmq_snapshot_wants(s, &item->values) ||
      (l->want != NULL && !l->want(l->ctx, vhost, name)))
    return 0;
  bool is_full = rmq_snapshot_is_full(s);
  struct rmq_snapshot_queue *q = rmq_snapshot_add_queue(s, vhost, name);
  if (q == NULL)
    return is_full ? 0 : rmq_error_set(err, "no memory for the list of queues");
  item->values.vhost = q->vhost;
  item->values.name = q->name;
  *q = item->values;
  return 0;
}

static int read_element(struct rmq_json *j, void *to) {
  struct list *l = to;
  struct item item;
  bool is_queue = rmq_json_peek(j) == '{';
  l->has_others |= !is_queue;
  if (read_item(j, &item) != 0)
    return -1;
  return is_queue ? add_item(l, &item, j->err) : 0;
}

static int read_items(struct rmq_json *j, void *to) {
  struct list *l = to;
  struct rmq_json_value ignored;
  l->has_items = rmq_json_peek(j) == '[';
  return l->has_items ? rmq_fields_each(j, read_element, l)
                      : rmq_json_value(j, &ignored);
}

static int read_page(struct rmq_json *j, struct list *l) {
  static const struct rmq_field fields[] = {
      RMQ_FIELD_WITHIN("items", read_items),
      RMQ_FIELD(struct list, pages, "page_count", rmq_field_counter),
      RMQ_FIELD(struct list, total, "total_count", rmq_field_counter)};
  return rmq_fields_read(j, RMQ_FIELDS(fields), l);
}

/* All of it at once, in no page. */
static int read_whole(struct rmq_json *j, struct list *l) {
  l->pages = 1;
  if (read_items(j, l) != 0)
    return -1;
  l->total = l->count;
  return l->has_others
             ? rmq_error_set(j->err, "it has other elements than queues")
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
                   .total = RMQ_ABSENT};
  struct rmq_json j;
  rmq_json_init(&j, bytes == NULL ? nothing : bytes, len, &cause);
  bool is_whole = rmq_json_peek(&j) == '[';
  if ((is_whole ? read_whole(&j, &l) : read_page(&j, &l)) != 0 ||
      rmq_json_end(&j) != 0)
    return rmq_error_set(err, "the list of queues: %s", cause.text);
  if (l.pages == RMQ_ABSENT || !l.has_items)
    return rmq_error_set(err, "the list of queues is not in pages");
  if (l.total != RMQ_ABSENT)
    s->queues_listed = (double)l.total;
  *ret_pages = (size_t)l.pages;
  return 0;
}
