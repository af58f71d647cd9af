/* SPDX-License-Identifier: MIT */
/*
 * bare_consume: the shortest consumer that a collectd module can be. It takes
 * delivery after delivery, dispatches Batch values for each without looking at
 * it, and acks it then. No decoding, no check, no account, no redelivery, no
 * reconnection: the ceiling for what has all of it.
 *
 *   <Plugin bare_consume>
 *     Host "127.0.0.1"
 *     Port 5672
 *     VHost "/"
 *     Queue "bench"
 *     Prefetch 256
 *     AckBatch 64        # deliveries to an ack, with multiple
 *     Batch 1            # values dispatched for a message
 *     Series 1000        # value i belongs to plugin_instance "s<i % Series>"
 *     Ahead 20000        # most values dispatched and not yet written
 *     Tag false          # with the meta data of rabbitmq_consume's values
 *   </Plugin>
 */
#include "rmq_config.h"

#include "common/host/collectd_api.h"

#include "tests/bench/plain.h"

#include <stdatomic.h>

enum { WAIT_MS = 100, SERIES_MAX = 10000 };

static char *host, *vhost, *queue;
static int port = 5672, prefetch = 256, ack_batch = 64, batch = 1;
static int series = 1000, ahead = 20000;
static bool has_tag;

static struct plain *plain;
static pthread_t thread;
static atomic_bool is_ended;
static atomic_ullong written;

/* The consumer's thread. */
static char instances[SERIES_MAX][16]; /* as a decoder would find them */
static value_list_t list;
static cdtime_t began;
static uint64_t sent;

static int count_write(const data_set_t *ds, const value_list_t *vl,
                       user_data_t *ud) {
  (void)ds;
  (void)vl;
  (void)ud;
  atomic_fetch_add(&written, 1);
  return 0;
}

/* Time moves within each series: collectd complains of what is not newer. */
static int dispatch_next(uint64_t tag) {
  uint64_t round = sent / (uint64_t)series;
  value_t value = {.gauge = (gauge_t)sent};
  list.values = &value;
  list.time = began + MS_TO_CDTIME_T(10) * round;
  sstrncpy(list.plugin_instance, instances[sent++ % (uint64_t)series],
           sizeof(list.plugin_instance));
  if (!has_tag)
    return plugin_dispatch_values(&list);
  list.meta = meta_data_create();
  if (list.meta == NULL)
    return -1;
  meta_data_add_unsigned_int(list.meta, "rabbitmq_consume:tag", tag);
  int rc = plugin_dispatch_values(&list);
  meta_data_destroy(list.meta);
  list.meta = NULL;
  return rc;
}

static void keep_pace(void) {
  struct timespec t = {.tv_nsec = 1000 * 1000};
  while (sent - atomic_load(&written) >= (uint64_t)ahead &&
         !atomic_load(&is_ended))
    nanosleep(&t, NULL);
}

/* Takes what the broker has; -1: broken. */
static int turn(uint64_t *unacked, uint64_t *tag) {
  struct plain_delivery d = {0};
  int rc = plain_take(plain, WAIT_MS, &d);
  if (rc == 1) {
    for (int i = 0; i < batch; i++) {
      if (dispatch_next(d.tag) != 0)
        return -1;
      keep_pace();
    }
    *tag = d.tag;
    ++*unacked;
  }
  if (rc < 0 || *unacked == 0 || (rc == 1 && *unacked < (uint64_t)ack_batch))
    return rc < 0 ? -1 : 0;
  *unacked = 0;
  return plain_ack(plain, *tag);
}

static void *run(void *arg) {
  uint64_t unacked = 0, tag = 0;
  began = cdtime();
  while (!atomic_load(&is_ended))
    if (turn(&unacked, &tag) != 0) {
      ERROR("bare_consume: the connection broke");
      return arg;
    }
  /* A batch that was not full; all of it was handed over. */
  if (unacked > 0 && plain_ack(plain, tag) != 0)
    ERROR("bare_consume: the last acks were lost");
  return arg;
}

static int option_get(const oconfig_item_t *child) {
  const struct {
    const char *key;
    int *number;
    char **text;
  } options[] = {{"Host", NULL, &host},          {"Port", &port, NULL},
                 {"VHost", NULL, &vhost},        {"Queue", NULL, &queue},
                 {"Prefetch", &prefetch, NULL},  {"Batch", &batch, NULL},
                 {"AckBatch", &ack_batch, NULL}, {"Series", &series, NULL},
                 {"Ahead", &ahead, NULL}};
  for (size_t i = 0; i < STATIC_ARRAY_SIZE(options); i++)
    if (strcasecmp(options[i].key, child->key) == 0)
      return options[i].text ? cf_util_get_string(child, options[i].text)
                             : cf_util_get_int(child, options[i].number);
  if (strcasecmp("Tag", child->key) == 0)
    return cf_util_get_boolean(child, &has_tag);
  return -1;
}

static int bare_config(oconfig_item_t *ci) {
  for (int i = 0; i < ci->children_num; i++)
    if (option_get(ci->children + i) != 0) {
      ERROR("bare_consume: cannot use option %s", ci->children[i].key);
      return -1;
    }
  if (queue == NULL || prefetch < 1 || ack_batch < 1 || batch < 1 ||
      series < 1 || series > SERIES_MAX || ahead < 1) {
    ERROR("bare_consume: Queue is missing, or a number out of range");
    return -1;
  }
  return 0;
}

static void list_init(void) {
  list = (value_list_t)VALUE_LIST_INIT;
  list.values_len = 1;
  list.interval = TIME_T_TO_CDTIME_T(10);
  sstrncpy(list.host, "loadgen.example.org", sizeof(list.host));
  sstrncpy(list.plugin, "loadgen", sizeof(list.plugin));
  sstrncpy(list.type, "gauge", sizeof(list.type));
  sstrncpy(list.type_instance, "n", sizeof(list.type_instance));
  for (int i = 0; i < series; i++)
    snprintf(instances[i], sizeof(instances[i]), "s%d", i);
}

static int bare_init(void) {
  list_init();
  plain = plain_new(host ? host : "127.0.0.1", port, vhost ? vhost : "/", 0);
  if (plain == NULL || plain_consume(plain, queue, prefetch) != 0)
    return -1;
  plugin_register_write("bare_consume", count_write, NULL);
  return plugin_thread_create(&thread, run, NULL, "bare_consume");
}

static int bare_shutdown(void) {
  atomic_store(&is_ended, true);
  if (plain != NULL)
    pthread_join(thread, NULL);
  plain_free(plain);
  return 0;
}

void module_register(void) {
  plugin_register_complex_config("bare_consume", bare_config);
  plugin_register_init("bare_consume", bare_init);
  plugin_register_shutdown("bare_consume", bare_shutdown);
}
