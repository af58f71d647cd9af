/* SPDX-License-Identifier: MIT */
/*
 * Messages from RabbitMQ into collectd, acknowledged when their values have
 * been written. Option table + role + host.
 *
 * Every value list that we dispatch carries the number of its delivery. Our own
 * write callback, the last in collectd's list, sees it come back when all other
 * writers have returned, and tells the role.
 */
#include "rmq_config.h"

#include "common/host/collectd_api.h"

#include "common/host/host_collectd.h"
#include "common/host/host_collectd_config.h"
#include "common/role/role_consume.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const char plugin_name[] = "rabbitmq_consume";
static const char drain_name[] = "rabbitmq_consume/drain";
static const char last_name[] = "rabbitmq_consume/last";

/* A tag is the delivery's ticket and, in its low bits, the block. */
enum { BLOCKS_MAX = 256, BLOCK_BITS = 8, DRAIN_INTERVAL_S = 86400 };
/* A read that is longer than its interval is a warning of collectd's. */
enum {
  EVENTS_INTERVAL_S = 1,
  EVENTS_READ_MS = 800,
  EVENTS_WHILE_DRAINING_MS = 50
};

struct block {
  char *name;
  struct rmq_consume_options *options;
  char callback[160]; /* "rabbitmq_consume/NAME" */
  struct rmq_collectd_host host;
  struct rmq_collectd_tagger tagger; /* the worker's */
  struct rmq_role_consume *role;     /* NULL before init */
  bool is_left_behind;               /* its thread did not end: never free it */
};

/* Written by config and init, in the main thread, before other threads look. */
static struct block *blocks[BLOCKS_MAX];
static size_t blocks_count;
static atomic_bool is_drained;

/* ------------------------------------------------------------------------
 * Configuration: nothing starts here, collectd forks afterwards. */

static bool is_taken(const char *name) {
  for (size_t i = 0; i < blocks_count; i++)
    if (strcmp(blocks[i]->name, name) == 0)
      return true;
  return false;
}

static int add_block(char *name, void *config);

static const struct rmq_collectd_blocks kind = {
    .plugin = plugin_name,
    .block = "Subscribe",
    .table = rmq_consume_option_table,
    .config_size = sizeof(struct rmq_consume_options),
    .check = rmq_consume_options_check,
    .is_taken = is_taken,
    .add = add_block};

static int add_block(char *name, void *config) {
  struct block *b = blocks_count < BLOCKS_MAX ? calloc(1, sizeof(*b)) : NULL;
  if (b == NULL) {
    ERROR("%s plugin: block \"%s\": no memory, or more than %d blocks",
          plugin_name, name, BLOCKS_MAX);
    free(name);
    rmq_collectd_config_free(&kind, config);
    return -1;
  }
  b->name = name;
  b->options = config;
  snprintf(b->callback, sizeof(b->callback), "%s/%s", plugin_name, name);
  blocks[blocks_count++] = b;
  return 0;
}

static int consume_config(oconfig_item_t *ci) {
  return rmq_collectd_config(&kind, ci);
}

/* ------------------------------------------------------------------------
 * Values out and back */

static size_t index_of(const struct block *b) {
  size_t i = 0;
  while (blocks[i] != b)
    i++;
  return i;
}

static enum rmq_refusal refusal_of(enum rmq_collectd_verdict v) {
  switch (v) {
  case RMQ_COLLECTD_ACCEPTED:
    return RMQ_REFUSAL_none;
  case RMQ_COLLECTD_UNKNOWN_TYPE:
    return RMQ_REFUSAL_unknown_type;
  case RMQ_COLLECTD_WRONG_VALUES:
    return RMQ_REFUSAL_wrong_values;
  case RMQ_COLLECTD_BAD_NAME:
    return RMQ_REFUSAL_bad_name;
  case RMQ_COLLECTD_FAILED:
    return RMQ_REFUSAL_failed;
  }
  return RMQ_REFUSAL_failed;
}

static enum rmq_refusal dispatch(void *ctx, const struct rmq_sample *sample,
                                 uint64_t ticket) {
  struct block *b = ctx;
  rmq_collectd_tagger_set(&b->tagger, ticket << BLOCK_BITS | index_of(b));
  return refusal_of(rmq_collectd_dispatch(&b->host, sample, &b->tagger));
}

static int consume_write(const data_set_t *ds, const value_list_t *vl,
                         user_data_t *ud) {
  (void)ds;
  (void)ud;
  uint64_t tag = 0;
  if (!rmq_collectd_tag(vl, &tag))
    return 0;
  size_t i = tag & (BLOCKS_MAX - 1);
  if (i < blocks_count && blocks[i]->role != NULL)
    rmq_role_consume_written(blocks[i]->role, tag >> BLOCK_BITS);
  return 0;
}

static int consume_report(user_data_t *ud) {
  struct block *b = ud->data;
  rmq_role_consume_report(b->role, rmq_collectd_dur(plugin_get_interval()));
  return 0;
}

static struct rmq_mono from_now(const struct block *b, struct rmq_dur d) {
  return rmq_mono_add(b->host.host.mono(b->host.host.ctx), d);
}

/* Handlers of notifications run in here, and may take their time. At its end
 * collectd waits for a read callback that runs, however long. */
static int consume_events(user_data_t *ud) {
  struct block *b = ud->data;
  rmq_role_consume_dispatch_events(b->role,
                                   from_now(b, rmq_ms(EVENTS_READ_MS)));
  return 0;
}

/* ------------------------------------------------------------------------
 * The end: drained while collectd's writers still work, which is when it
 * destroys the read callbacks (see drain_name); all blocks are told first, then
 * waited for. */

static struct rmq_mono deadline_of(const struct block *b,
                                   struct rmq_mono begin) {
  return rmq_mono_add(begin, b->options->connection.shutdown_timeout);
}

/* A little longer than the worker has, so that it can end by itself. */
static struct rmq_mono patience_with(const struct block *b,
                                     struct rmq_mono begin) {
  return rmq_mono_add(deadline_of(b, begin), rmq_ms(500));
}

static bool takes_events(const struct block *b) {
  return b->role != NULL && b->options->trust.notifications;
}

/* True when the block needs no more of it: its worker has ended, or its time is
 * over. What its worker did not wait for goes back with its message. */
static bool dispatch_some(struct block *b, struct rmq_mono until) {
  struct rmq_mono next =
      rmq_mono_min(from_now(b, rmq_ms(EVENTS_WHILE_DRAINING_MS)), until);
  if (rmq_role_consume_await(b->role, (struct rmq_mono){0}))
    return true;
  rmq_role_consume_dispatch_events(b->role, next);
  return rmq_role_consume_await(b->role, next) || rmq_mono_reached(next, until);
}

/* Their read callbacks have been destroyed: the notifications that are still
 * there are dispatched from here, of all blocks in turn, since a slow handler
 * would take all the time for the first. */
static void dispatch_the_rest(struct rmq_mono begin) {
  bool is_over = false;
  while (!is_over) {
    is_over = true;
    for (size_t i = 0; i < blocks_count; i++)
      if (takes_events(blocks[i]) &&
          !dispatch_some(blocks[i], patience_with(blocks[i], begin)))
        is_over = false;
  }
}

static void finish_block(struct block *b, struct rmq_mono begin) {
  if (rmq_role_consume_join(b->role, patience_with(b, begin)))
    return;
  ERROR("%s plugin: block \"%s\": its thread did not end in time and is left "
        "behind",
        plugin_name, b->name);
  b->is_left_behind = true;
}

static void drain(void *unused) {
  (void)unused;
  if (atomic_exchange(&is_drained, true))
    return;
  struct rmq_mono begin = RMQ_NEVER;
  for (size_t i = 0; i < blocks_count; i++) {
    struct block *b = blocks[i];
    if (b->role == NULL)
      continue;
    if (rmq_mono_is_never(begin))
      begin = b->host.host.mono(b->host.host.ctx);
    rmq_role_consume_stop(b->role, deadline_of(b, begin));
  }
  dispatch_the_rest(begin);
  for (size_t i = 0; i < blocks_count; i++)
    if (blocks[i]->role != NULL)
      finish_block(blocks[i], begin);
}

static int drain_read(user_data_t *ud) {
  (void)ud;
  return 0;
}

static void free_block(struct block *b) {
  rmq_role_consume_free(b->role);
  rmq_collectd_tagger_fini(&b->tagger);
  rmq_collectd_config_free(&kind, b->options);
  free(b->name);
  free(b);
}

static int consume_shutdown(void) {
  drain(NULL); /* in case that no read callback was ever registered */
  size_t count = blocks_count;
  blocks_count = 0;
  for (size_t i = 0; i < count; i++)
    if (!blocks[i]->is_left_behind)
      free_block(blocks[i]);
  return 0;
}

/* ------------------------------------------------------------------------
 * The start, in the main thread */

static int start_block(struct block *b) {
  struct rmq_error err = {""};
  const struct rmq_connection_options *o = &b->options->connection;
  struct rmq_consume_sink sink = {
      .ctx = b, .dispatch = dispatch, .types = rmq_collectd_types()};
  rmq_collectd_host_init(&b->host, (enum rmq_log_format)o->log_format,
                         o->log_file);
  b->role =
      rmq_role_consume_new(b->options, b->name, &b->host.host, &sink, &err);
  if (b->role == NULL || rmq_role_consume_start(b->role, &err) != 0) {
    ERROR("%s plugin: block \"%s\": cannot start: %s", plugin_name, b->name,
          err.text);
    rmq_role_consume_free(b->role);
    b->role = NULL;
    return -1;
  }
  user_data_t ud = {.data = b};
  if (o->report_stats)
    plugin_register_complex_read(plugin_name, b->callback, consume_report,
                                 /* interval = */ 0, &ud);
  if (b->options->trust.notifications) {
    char name[sizeof(b->callback) + sizeof("/notifications")];
    snprintf(name, sizeof(name), "%s/notifications", b->callback);
    plugin_register_complex_read(plugin_name, name, consume_events,
                                 TIME_T_TO_CDTIME_T(EVENTS_INTERVAL_S), &ud);
  }
  return 0;
}

/* Values that may wait in collectd's queue; -1: nothing bounds them. */
static int64_t values_max(void) {
  int64_t sum = 0;
  for (size_t i = 0; i < blocks_count; i++) {
    int64_t limit = blocks[i]->options->backpressure_queue_length;
    if (limit == 0)
      return -1;
    sum += limit;
  }
  return sum;
}

/* What collectd's own bound drops, nobody hears of. Of its two limits the low
 * one holds: 5.8 to 5.12 have the draw between them inverted. */
static void check_write_queue(void) {
  long high = global_option_get_long("WriteQueueLimitHigh", 0);
  long low = global_option_get_long("WriteQueueLimitLow", high / 2);
  int64_t most = values_max();
  if (low < 0)
    low = high / 2;
  else if (low > high)
    low = high;
  if (high > 0 && (most < 0 || low <= most))
    WARNING("%s plugin: collectd drops values when %ld wait for its writers "
            "(WriteQueueLimitLow, or half of WriteQueueLimitHigh), and "
            "BackpressureQueueLength lets more of them wait: messages with "
            "dropped values are requeued after WrittenTimeout, and rejected "
            "after MaxRedeliveries. Set WriteQueueLimitLow well above "
            "BackpressureQueueLength of all blocks together, or neither limit",
            plugin_name, low);
}

/* Runs after the init callbacks of all plugins, because it was registered by
 * one of them: whoever registers a writer has done so. */
static int last_init(void) {
  check_write_queue();
  plugin_register_write(plugin_name, consume_write, NULL);
  user_data_t ud = {.data = &is_drained, .free_func = drain};
  plugin_register_complex_read(plugin_name, drain_name, drain_read,
                               TIME_T_TO_CDTIME_T(DRAIN_INTERVAL_S), &ud);
  int rc = 0;
  for (size_t i = 0; i < blocks_count; i++)
    rc |= start_block(blocks[i]);
  return rc;
}

static int consume_init(void) {
  static bool is_done;
  if (is_done || blocks_count == 0)
    return 0;
  is_done = true;
  return plugin_register_init(last_name, last_init);
}

void module_register(void) {
  plugin_register_complex_config(plugin_name, consume_config);
  plugin_register_init(plugin_name, consume_init);
  plugin_register_shutdown(plugin_name, consume_shutdown);
}
