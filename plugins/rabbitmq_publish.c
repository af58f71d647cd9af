/* SPDX-License-Identifier: MIT */
/*
 * collectd's values and notifications to RabbitMQ, with publisher confirms.
 * Option table + role + host; the callbacks only encode and enqueue.
 */
#include "rmq_config.h"

#include "common/host/collectd_api.h"

#include "common/host/host_collectd.h"
#include "common/host/host_collectd_config.h"
#include "common/role/role_publish.h"

#include <stdlib.h>
#include <string.h>

static const char plugin_name[] = "rabbitmq_publish";

struct block {
  struct block *next;
  char *name;
  struct rmq_publish_options *options;
  char callback[160]; /* "rabbitmq_publish/NAME" */
  struct rmq_collectd_host host;
  struct rmq_role_publish *role; /* NULL before init */
  bool is_left_behind;           /* a thread of it did not end: never free it */
};

static struct block *blocks;

/* ------------------------------------------------------------------------
 * Configuration: nothing starts here, collectd forks afterwards. */

static bool is_taken(const char *name) {
  for (const struct block *b = blocks; b != NULL; b = b->next)
    if (strcmp(b->name, name) == 0)
      return true;
  return false;
}

static int add_block(char *name, void *config);

static const struct rmq_collectd_blocks kind = {
    .plugin = plugin_name,
    .block = "Publish",
    .table = rmq_publish_option_table,
    .config_size = sizeof(struct rmq_publish_options),
    .check = rmq_publish_options_check,
    .is_taken = is_taken,
    .add = add_block};

static int add_block(char *name, void *config) {
  struct block *b = calloc(1, sizeof(*b));
  if (b == NULL) {
    free(name);
    rmq_collectd_config_free(&kind, config);
    return -1;
  }
  b->name = name;
  b->options = config;
  snprintf(b->callback, sizeof(b->callback), "%s/%s", plugin_name, name);
  struct block **end = &blocks;
  while (*end != NULL)
    end = &(*end)->next;
  *end = b;
  return 0;
}

static int publish_config(oconfig_item_t *ci) {
  return rmq_collectd_config(&kind, ci);
}

static void free_block(struct block *b) {
  rmq_role_publish_free(b->role);
  rmq_collectd_config_free(&kind, b->options);
  free(b->name);
  free(b);
}

/* ------------------------------------------------------------------------
 * Callbacks in collectd's threads */

static int publish_write(const data_set_t *ds, const value_list_t *vl,
                         user_data_t *ud) {
  struct block *b = ud->data;
  uint64_t tag;
  if (rmq_collectd_tag(vl, &tag))
    return 0; /* rabbitmq_consume brought it: it would go round for ever */
  struct rmq_collectd_view view;
  if (rmq_collectd_view_init(&view, ds, vl) != 0)
    return -1;
  if (b->options->store_rates)
    rmq_collectd_view_add_rates(&view, ds, vl);
  int rc = rmq_role_publish_sample(b->role, &view.sample);
  rmq_collectd_view_fini(&view);
  return rc;
}

static int publish_flush(cdtime_t timeout, const char *identifier,
                         user_data_t *ud) {
  struct block *b = ud->data;
  struct rmq_dur age = rmq_collectd_dur(timeout);
  if (identifier == NULL) {
    rmq_role_publish_flush(b->role, age, NULL);
    return 0;
  }
  value_list_t vl = VALUE_LIST_INIT;
  if (parse_identifier_vl(identifier, &vl) != 0)
    return -1;
  struct rmq_identity id = {vl.host, vl.plugin, vl.plugin_instance, vl.type,
                            vl.type_instance};
  rmq_role_publish_flush(b->role, age, &id);
  return 0;
}

static int publish_notification(const notification_t *n, user_data_t *ud) {
  struct block *b = ud->data;
  struct rmq_collectd_notice notice;
  rmq_collectd_notice_init(&notice, n);
  return rmq_role_publish_event(b->role, &notice.event);
}

static int publish_report(user_data_t *ud) {
  struct block *b = ud->data;
  rmq_role_publish_report(b->role, rmq_collectd_dur(plugin_get_interval()));
  return 0;
}

/* ------------------------------------------------------------------------
 * Start and end, in the main thread */

static void register_callbacks(struct block *b) {
  user_data_t ud = {.data = b};
  if (b->options->metrics) {
    plugin_register_write(b->callback, publish_write, &ud);
    plugin_register_flush(b->callback, publish_flush, &ud);
  }
  if (b->options->notifications)
    plugin_register_notification(b->callback, publish_notification, &ud);
  if (b->options->connection.report_stats)
    plugin_register_complex_read(plugin_name, b->callback, publish_report,
                                 /* interval = */ 0, &ud);
}

static int start_block(struct block *b) {
  struct rmq_error err = {""};
  const struct rmq_connection_options *o = &b->options->connection;
  rmq_collectd_host_init(&b->host, (enum rmq_log_format)o->log_format,
                         o->log_file);
  b->role = rmq_role_publish_new(b->options, b->name, &b->host.host, &err);
  if (b->role == NULL || rmq_role_publish_start(b->role, &err) != 0) {
    ERROR("%s plugin: block \"%s\": cannot start: %s", plugin_name, b->name,
          err.text);
    b->is_left_behind =
        b->role != NULL && rmq_role_publish_is_left_behind(b->role);
    rmq_role_publish_free(b->role);
    b->role = NULL;
    return -1;
  }
  register_callbacks(b);
  return 0;
}

static int publish_init(void) {
  static bool is_done;
  if (is_done)
    return 0;
  is_done = true;
  int rc = 0;
  for (struct block *b = blocks; b != NULL; b = b->next)
    rc |= start_block(b);
  return rc;
}

/* collectd frees the user data of these only after the shutdown callbacks of
 * all plugins, which may still notify, or (unixsock) flush. */
static void unregister(const struct block *b) {
  if (b->role != NULL && b->options->notifications)
    plugin_unregister_notification(b->callback);
  if (b->role != NULL && b->options->metrics)
    plugin_unregister_flush(b->callback);
}

static struct rmq_mono deadline_of(const struct block *b,
                                   struct rmq_mono begin) {
  return rmq_mono_add(begin, b->options->connection.shutdown_timeout);
}

/* All blocks are told first, then waited for. */
static int publish_shutdown(void) {
  struct rmq_mono begin = RMQ_NEVER;
  for (struct block *b = blocks; b != NULL; b = b->next) {
    unregister(b);
    if (b->role == NULL)
      continue;
    if (rmq_mono_is_never(begin))
      begin = b->host.host.mono(b->host.host.ctx);
    rmq_role_publish_stop(b->role, deadline_of(b, begin));
  }
  while (blocks != NULL) {
    struct block *b = blocks;
    blocks = b->next;
    /* A little longer than the worker has, so that it can end by itself. */
    struct rmq_mono until =
        b->role == NULL ? begin
                        : rmq_mono_add(deadline_of(b, begin), rmq_ms(500));
    if (b->is_left_behind)
      continue; /* said at the start */
    if (b->role == NULL || rmq_role_publish_join(b->role, until))
      free_block(b);
    else
      ERROR("%s plugin: block \"%s\": its thread did not end in time and is "
            "left behind",
            plugin_name, b->name);
  }
  return 0;
}

void module_register(void) {
  plugin_register_complex_config(plugin_name, publish_config);
  plugin_register_init(plugin_name, publish_init);
  plugin_register_shutdown(plugin_name, publish_shutdown);
}
