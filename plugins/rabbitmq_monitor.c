/* SPDX-License-Identifier: MIT */
/*
 * collectd's module rabbitmq_monitor: the monitor's option table and role
 * behind collectd. Blocks are gathered in config, threads start in init.
 */
#include "rmq_config.h"

#include "common/host/collectd_api.h"

#include "common/host/host_clock.h"
#include "common/host/host_collectd.h"
#include "common/host/host_collectd_config.h"
#include "common/role/role_monitor.h"

#include <stdlib.h>
#include <string.h>

/* One <Cluster "NAME">. */
struct mon_block {
  struct mon_block *next;
  char *name;
  struct rmq_role_monitor_config *config;
  struct rmq_collectd_host host;
  struct rmq_role_monitor *role; /* NULL before init */
};

/* Changed in config, init and shutdown only, which are one thread. */
static struct mon_block *mon_blocks;

static bool mon_is_taken(const char *name);
static int mon_add(char *name, void *config);

static const struct rmq_collectd_blocks mon_kind = {
    .plugin = "rabbitmq_monitor",
    .block = "Cluster",
    .table = rmq_role_monitor_options,
    .config_size = sizeof(struct rmq_role_monitor_config),
    .check = rmq_role_monitor_check,
    .is_taken = mon_is_taken,
    .add = mon_add};

static bool mon_is_taken(const char *name) {
  for (const struct mon_block *b = mon_blocks; b != NULL; b = b->next)
    if (strcmp(b->name, name) == 0)
      return true;
  return false;
}

static int mon_add(char *name, void *config) {
  struct mon_block *b = calloc(1, sizeof(*b));
  if (b == NULL) {
    free(name);
    rmq_collectd_config_free(&mon_kind, config);
    return -1;
  }
  b->name = name;
  b->config = config;
  struct mon_block **end = &mon_blocks;
  while (*end != NULL)
    end = &(*end)->next;
  *end = b;
  return 0;
}

static int mon_config(oconfig_item_t *ci) {
  return rmq_collectd_config(&mon_kind, ci);
}

static int mon_read(user_data_t *ud) {
  struct mon_block *b = ud->data;
  rmq_role_monitor_read(b->role);
  return 0;
}

/* How often collectd asks for a result: more often than there is one, so that
 * none waits long or is overwritten. */
static cdtime_t mon_read_interval(const struct mon_block *b) {
  int64_t ns = b->config->interval.ns / 4;
  return rmq_collectd_cdtime(ns < RMQ_NS_PER_S ? ns : RMQ_NS_PER_S);
}

static int mon_start(struct mon_block *b, struct rmq_error *err) {
  char name[RMQ_NAME_MAX + sizeof("rabbitmq_monitor/")];
  rmq_collectd_host_init(&b->host, (enum rmq_log_format)b->config->log_format,
                         b->config->log_file);
  b->role = rmq_role_monitor_new(&b->host.host, b->name, b->config, NULL, err);
  if (b->role == NULL || rmq_role_monitor_start(b->role, err) != 0)
    return -1;
  snprintf(name, sizeof(name), "rabbitmq_monitor/%s", b->name);
  user_data_t ud = {.data = b, .free_func = NULL};
  if (plugin_register_complex_read("rabbitmq_monitor", name, mon_read,
                                   mon_read_interval(b), &ud) != 0)
    return rmq_error_set(err, "collectd does not take the read callback");
  return 0;
}

/* Always 0: collectd would unload half of the module and go on. */
static int mon_init(void) {
  for (struct mon_block *b = mon_blocks; b != NULL; b = b->next) {
    b->config->is_alone = mon_blocks->next == NULL;
    struct rmq_error err = {.text = ""};
    if (b->role == NULL && mon_start(b, &err) != 0)
      plugin_log(LOG_ERR,
                 "rabbitmq_monitor plugin: block \"%s\": not started: %s",
                 b->name, err.text);
  }
  return 0;
}

static void mon_free(struct mon_block *b) {
  rmq_role_monitor_free(b->role);
  rmq_collectd_config_free(&mon_kind, b->config);
  free(b->name);
  free(b);
}

/* Tells all, then waits for all against the longest ShutdownTimeout. */
static int mon_shutdown(void) {
  struct rmq_dur longest = {0};
  for (struct mon_block *b = mon_blocks; b != NULL; b = b->next) {
    if (b->role != NULL)
      rmq_role_monitor_tell_stop(b->role);
    if (b->config->shutdown_timeout.ns > longest.ns)
      longest = b->config->shutdown_timeout;
  }
  struct rmq_mono deadline = rmq_mono_add(rmq_host_mono(NULL), longest);
  while (mon_blocks != NULL) {
    struct mon_block *b = mon_blocks;
    mon_blocks = b->next;
    if (b->role == NULL || rmq_role_monitor_await_stop(b->role, deadline) == 0)
      mon_free(b);
    else /* its thread may still use it: left to the end of the process */
      plugin_log(LOG_WARNING,
                 "rabbitmq_monitor plugin: block \"%s\": a request did not end "
                 "within ShutdownTimeout and is left behind",
                 b->name);
  }
  return 0;
}

void module_register(void) {
  plugin_register_complex_config("rabbitmq_monitor", mon_config);
  plugin_register_init("rabbitmq_monitor", mon_init);
  plugin_register_shutdown("rabbitmq_monitor", mon_shutdown);
}
