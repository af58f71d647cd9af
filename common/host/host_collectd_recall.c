/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/host/host_collectd_recall.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECALL_NAME_SIZE = 6 * DATA_MAX_NAME_LEN };

/* True when it is one value, and known. */
static bool take(const value_t *value, enum rmq_kind kind,
                 union rmq_value *ret_value) {
  switch (kind) {
  case RMQ_GAUGE:
    ret_value->gauge = value->gauge;
    return !isnan(value->gauge);
  case RMQ_DERIVE:
    ret_value->derive = value->derive;
    return true;
  case RMQ_COUNTER:
    ret_value->counter = value->counter;
    return true;
  case RMQ_ABSOLUTE:
    ret_value->absolute = value->absolute;
    return true;
  }
  return false;
}

int rmq_collectd_recall(void *ctx, const struct rmq_identity *id,
                        enum rmq_kind kind, union rmq_value *ret_value) {
  char name[RECALL_NAME_SIZE];
  value_t *values = NULL;
  size_t count = 0;
  union rmq_value value;
  (void)ctx;
  snprintf(name, sizeof(name), "%s/%s-%s/%s-%s", id->host, id->plugin,
           id->plugin_instance, id->type, id->type_instance);
  if (uc_get_value_by_name(name, &values, &count) != 0)
    return -1;
  bool is_known = count == 1 && take(&values[0], kind, &value);
  free(values);
  if (is_known)
    *ret_value = value;
  return is_known ? 0 : -1;
}

/* The part between start and end, or false. */
static bool cut(const char *name, const char *start, const char *end,
                char ret_part[DATA_MAX_NAME_LEN]) {
  size_t len = strlen(name), start_len = strlen(start), end_len = strlen(end);
  if (len <= start_len + end_len || strncmp(name, start, start_len) != 0 ||
      strcmp(name + len - end_len, end) != 0)
    return false;
  size_t part_len = len - start_len - end_len;
  if (part_len >= DATA_MAX_NAME_LEN)
    return false;
  memcpy(ret_part, name + start_len, part_len);
  ret_part[part_len] = '\0';
  return true;
}

void rmq_collectd_instances(void *ctx, const char *plugin, const char *type,
                            const char *type_instance,
                            void (*found)(void *ctx, const char *instance),
                            void *found_ctx) {
  char start[2 * DATA_MAX_NAME_LEN], end[2 * DATA_MAX_NAME_LEN];
  char part[DATA_MAX_NAME_LEN];
  char *name = NULL;
  (void)ctx;
  snprintf(start, sizeof(start), "%s/%s-", hostname_g, plugin);
  snprintf(end, sizeof(end), "/%s-%s", type, type_instance);
  uc_iter_t *iter = uc_get_iterator(); /* holds the cache's lock */
  if (iter == NULL)
    return;
  while (uc_iterator_next(iter, &name) == 0)
    if (cut(name, start, end, part))
      found(found_ctx, part);
  uc_iterator_destroy(iter);
}
