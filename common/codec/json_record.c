/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/json_record.h"

#include <string.h>

static const char *const keys[RMQ_JSON_SLOTS] = {
    "values", "dstypes", "dsnames",         "time",    "interval",
    "host",   "plugin",  "plugin_instance", "type",    "type_instance",
    "meta",   "labels",  "annotations",     "startsAt"};

const char *rmq_json_slot_to_str(enum rmq_json_slot s) {
  return (size_t)s < RMQ_JSON_SLOTS ? keys[s] : "unknown";
}

/* Begins at the key that collectd would write next, which is mostly it. */
static size_t find_slot(const struct rmq_json_value *key, size_t expected) {
  for (size_t i = 0; i < RMQ_JSON_SLOTS; i++) {
    size_t at = (expected + i) % RMQ_JSON_SLOTS;
    if (strcmp(keys[at], key->text) == 0 && strlen(keys[at]) == key->len)
      return at;
  }
  return RMQ_JSON_SLOTS;
}

static int read_list(struct rmq_json *j, struct rmq_json_list *ret_list) {
  int more = 0;
  ret_list->count = 0;
  while ((more = rmq_json_more(j)) == 1) {
    struct rmq_json_value v;
    if (rmq_json_value(j, &v) != 0)
      return -1;
    if (ret_list->count < RMQ_SAMPLE_VALUES_MAX)
      ret_list->items[ret_list->count] = v;
    ret_list->count++;
  }
  return more;
}

static int read_pairs(struct rmq_json *j, struct rmq_json_pairs *ret_pairs) {
  int more = 0;
  ret_pairs->count = 0;
  while ((more = rmq_json_more(j)) == 1) {
    struct rmq_json_value key, v;
    if (rmq_json_key(j, &key) != 0 || rmq_json_value(j, &v) != 0)
      return -1;
    if (ret_pairs->count < RMQ_SAMPLE_META_MAX) {
      ret_pairs->keys[ret_pairs->count] = key;
      ret_pairs->items[ret_pairs->count] = v;
    }
    ret_pairs->count++;
  }
  return more;
}

static struct rmq_json_pairs *pairs_of(struct rmq_json_record *r,
                                       enum rmq_json_slot s) {
  return s == RMQ_JSON_META          ? &r->meta
         : s == RMQ_JSON_LABELS      ? &r->labels
         : s == RMQ_JSON_ANNOTATIONS ? &r->annotations
                                     : NULL;
}

static int read_slot(struct rmq_json *j, enum rmq_json_slot s,
                     struct rmq_json_record *r) {
  char c = rmq_json_peek(j);
  struct rmq_json_pairs *pairs = pairs_of(r, s);
  bool is_list = c == '[' && s <= RMQ_JSON_DSNAMES;
  bool is_pairs = c == '{' && pairs != NULL;
  if (r->is_given[s])
    r->twice = s;
  r->is_given[s] = true;
  if (!is_list && !is_pairs)
    return rmq_json_value(j, &r->values[s]);
  r->values[s] = (struct rmq_json_value){
      .kind = is_list ? RMQ_JSON_ARRAY : RMQ_JSON_OBJECT, .text = j->at};
  if (rmq_json_open(j, c) != 0)
    return -1;
  return is_list ? read_list(j, &r->lists[s]) : read_pairs(j, pairs);
}

int rmq_json_record_read(struct rmq_json *j, struct rmq_json_record *ret_r) {
  struct rmq_json_value key, ignored;
  size_t slot = RMQ_JSON_SLOTS;
  int more = 0;
  memset(ret_r->is_given, 0, sizeof(ret_r->is_given));
  ret_r->twice = RMQ_JSON_SLOTS;
  if (rmq_json_open(j, '{') != 0)
    return -1;
  while ((more = rmq_json_more(j)) == 1) {
    if (rmq_json_key(j, &key) != 0)
      return -1;
    slot = find_slot(&key, (slot + 1) % RMQ_JSON_SLOTS);
    int rc = slot == RMQ_JSON_SLOTS
                 ? rmq_json_value(j, &ignored)
                 : read_slot(j, (enum rmq_json_slot)slot, ret_r);
    if (rc != 0)
      return -1;
  }
  return more;
}
