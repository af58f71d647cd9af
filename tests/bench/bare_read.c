/* SPDX-License-Identifier: MIT */
/*
 * bare_read: a collectd module that only dispatches, in each read, value lists
 * that were made before: names, values and the meta data that rabbitmq_monitor
 * gives each of a queue's. What plugin_dispatch_values takes by itself.
 *
 *   <Plugin bare_read>
 *     Queues 10000
 *     Values 3          # of a queue
 *     HasMeta true      # the names as meta data, three texts
 *     Reads 0           # then it falls silent; 0: never
 *   </Plugin>
 */
#include "rmq_config.h"

#include "common/host/collectd_api.h"

#include <stdlib.h>

static int queues = 10000, values = 3, reads;
static bool has_meta = true;
static value_list_t *lists; /* queues * values */
static value_t value;
static int reads_done;

static const char *const types[] = {"queue_length", "queue_length", "gauge"};
static const char *const instances[] = {"ready", "unacked", "consumers"};
enum { KINDS = sizeof(types) / sizeof(types[0]) };

static meta_data_t *make_meta(const char *queue) {
  meta_data_t *md = meta_data_create();
  if (md == NULL || meta_data_add_string(md, "cluster", "main") != 0 ||
      meta_data_add_string(md, "vhost", "/") != 0 ||
      meta_data_add_string(md, "queue", queue) != 0) {
    meta_data_destroy(md);
    return NULL;
  }
  return md;
}

static int fill_queue(int queue) {
  char name[64];
  snprintf(name, sizeof(name), "orders.eu-%d.q%05d", queue % 7, queue);
  meta_data_t *md = has_meta ? make_meta(name) : NULL;
  if (has_meta && md == NULL)
    return -1;
  for (int i = 0; i < values; i++) {
    value_list_t *vl = &lists[queue * values + i];
    *vl = (value_list_t){.values = &value, .values_len = 1, .meta = md};
    sstrncpy(vl->host, hostname_g, sizeof(vl->host));
    sstrncpy(vl->plugin, "bare_read", sizeof(vl->plugin));
    snprintf(vl->plugin_instance, sizeof(vl->plugin_instance),
             "main-queue-%%2F-%s", name);
    sstrncpy(vl->type, types[i % KINDS], sizeof(vl->type));
    sstrncpy(vl->type_instance, instances[i % KINDS],
             sizeof(vl->type_instance));
  }
  return 0;
}

static int bare_read(void) {
  cdtime_t now = cdtime();
  if (reads != 0 && reads_done == reads)
    return 0;
  reads_done++;
  for (int i = 0; i < queues * values; i++) {
    lists[i].time = now;
    lists[i].interval = plugin_get_interval();
    plugin_dispatch_values(&lists[i]);
  }
  return 0;
}

static int bare_config(oconfig_item_t *ci) {
  for (int i = 0; i < ci->children_num; i++) {
    oconfig_item_t *child = ci->children + i;
    int status = -1;
    if (strcasecmp("Queues", child->key) == 0)
      status = cf_util_get_int(child, &queues);
    else if (strcasecmp("Values", child->key) == 0)
      status = cf_util_get_int(child, &values);
    else if (strcasecmp("Reads", child->key) == 0)
      status = cf_util_get_int(child, &reads);
    else if (strcasecmp("HasMeta", child->key) == 0)
      status = cf_util_get_boolean(child, &has_meta);
    if (status != 0) {
      ERROR("bare_read: cannot use option %s", child->key);
      return -1;
    }
  }
  if (queues >= 1 && queues <= 100000 && values >= 1 && values <= KINDS)
    return 0;
  ERROR("bare_read: Queues is 1 to 100000, Values 1 to %d", KINDS);
  return -1;
}

static int bare_init(void) {
  lists = calloc((size_t)queues * (size_t)values, sizeof(*lists));
  for (int i = 0; lists != NULL && i < queues; i++)
    if (fill_queue(i) != 0)
      return -1;
  return lists != NULL ? 0 : -1;
}

void module_register(void) {
  plugin_register_complex_config("bare_read", bare_config);
  plugin_register_init("bare_read", bare_init);
  plugin_register_read("bare_read", bare_read);
}
