/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/monitor_own.h"

#include "common/amqp/publisher.h"
#include "common/base/series.h"
#include "common/broker/meter.h"
#include "common/role/monitor_log.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OWN_PUBLISH "rabbitmq_publish"
#define OWN_CONSUME "rabbitmq_consume"

/* One block of a module. */
struct block {
  char name[RMQ_NAME_MAX + 1];
  struct rmq_meter nacks, dropped[RMQ_PUBLISHER_DROPS_COUNT];
  struct rmq_meter delivered; /* of a consumer */
  struct rmq_mono served_at;  /* when that grew last */
  bool is_served;             /* it has grown */
};

struct blocks {
  struct block items[RMQ_MONITOR_OWN_MAX];
  size_t count;
};

struct rmq_monitor_own {
  const struct rmq_host *host;
  const char *name;
  const struct rmq_role_monitor_config *config;
  struct blocks publishers, consumers;
  struct rmq_mono find_at;
};

static void add_block(void *ctx, const char *name) {
  struct blocks *b = ctx;
  for (size_t i = 0; i < b->count; i++)
    if (strcmp(b->items[i].name, name) == 0)
      return;
  if (b->count >= RMQ_MONITOR_OWN_MAX || strlen(name) > RMQ_NAME_MAX)
    return;
  struct block *block = &b->items[b->count++];
  snprintf(block->name, sizeof(block->name), "%s", name);
  rmq_meter_init(&block->nacks);
  rmq_meter_init(&block->delivered);
  for (size_t i = 0; i < RMQ_PUBLISHER_DROPS_COUNT; i++)
    rmq_meter_init(&block->dropped[i]);
}

struct rmq_monitor_own *
rmq_monitor_own_new(const struct rmq_host *host, const char *name,
                    const struct rmq_role_monitor_config *config) {
  struct rmq_monitor_own *x = calloc(1, sizeof(*x));
  if (x == NULL)
    return NULL;
  x->host = host;
  x->name = name;
  x->config = config;
  for (size_t i = 0; i < config->publishers.count; i++)
    add_block(&x->publishers, config->publishers.items[i]);
  for (size_t i = 0; i < config->consumers.count; i++)
    add_block(&x->consumers, config->consumers.items[i]);
  return x;
}

void rmq_monitor_own_free(struct rmq_monitor_own *x) { free(x); }

/* ---- what the host remembers ---- */

static int recall(const struct rmq_monitor_own *x, const char *plugin,
                  const char *block, const struct rmq_series *series,
                  union rmq_value *ret_value) {
  const struct rmq_identity id = {.host = x->host->hostname,
                                  .plugin = plugin,
                                  .plugin_instance = block,
                                  .type = series->type,
                                  .type_instance = series->type_instance};
  return x->host->recall(x->host->ctx, &id, series->kind, ret_value);
}

static int64_t get_count(const struct rmq_monitor_own *x, const char *plugin,
                         const char *block, const char *type,
                         const char *type_instance) {
  const struct rmq_series series = {
      .type = type, .type_instance = type_instance, .kind = RMQ_DERIVE};
  union rmq_value value;
  return recall(x, plugin, block, &series, &value) == 0 ? value.derive
                                                        : RMQ_ABSENT;
}

static double get_gauge(const struct rmq_monitor_own *x, const char *block,
                        const char *type, const char *type_instance) {
  const struct rmq_series series = {
      .type = type, .type_instance = type_instance, .kind = RMQ_GAUGE};
  union rmq_value value;
  return recall(x, OWN_CONSUME, block, &series, &value) == 0 ? value.gauge
                                                             : (double)NAN;
}

/* That a block is taken which nobody named: it may be of another broker. */
static void say_found(const struct rmq_monitor_own *x, const char *plugin,
                      const char *block, const char *option) {
  char message[500];
  snprintf(message, sizeof(message),
           "counts what block \"%s\" of %s reports as this cluster's; %s says "
           "which blocks are",
           block, plugin, option);
  const struct rmq_log_record record = {.level = RMQ_LOG_NOTICE,
                                        .time = x->host->wall(x->host->ctx),
                                        .service = x->host->service,
                                        .plugin = RMQ_MONITOR_PLUGIN,
                                        .block = x->name,
                                        .event = "own_block",
                                        .message = message};
  x->host->log(x->host->ctx, &record);
}

static void find_of(struct rmq_monitor_own *x, struct blocks *b,
                    const char *plugin, const char *option) {
  size_t before = b->count;
  x->host->instances(x->host->ctx, plugin, "bool", "connected", add_block, b);
  for (size_t i = before; i < b->count; i++)
    say_found(x, plugin, b->items[i].name, option);
}

/* Blocks that have reported meanwhile; those that are gone stay. */
static void find(struct rmq_monitor_own *x, struct rmq_mono now) {
  if (!x->config->is_alone || now.ns < x->find_at.ns)
    return;
  x->find_at = rmq_mono_add(now, rmq_s(RMQ_MONITOR_OWN_FIND_S));
  if (x->config->publishers.count == 0)
    find_of(x, &x->publishers, OWN_PUBLISH, "Publisher");
  if (x->config->consumers.count == 0)
    find_of(x, &x->consumers, OWN_CONSUME, "Consumer");
}

/* ---- publishers ---- */

/* Its running sum is added, whether there is a value now or was one before. */
static void add_sum(int64_t *sum, struct rmq_meter *m, int64_t value,
                    struct rmq_mono now) {
  rmq_meter_feed(m, value, RMQ_DECREASE_IS_RESET, now);
  if (m->last == RMQ_ABSENT)
    return;
  if (*sum < 0)
    *sum = 0;
  *sum = m->sum > INT64_MAX - *sum ? INT64_MAX : *sum + m->sum;
}

static void add_publisher(struct rmq_monitor_own *x, struct block *b,
                          struct rmq_mono now, struct rmq_snapshot_own *own) {
  char name[RMQ_NAME_MAX + 1];
  add_sum(&own->nacks, &b->nacks,
          get_count(x, OWN_PUBLISH, b->name, "total_events", "nack"), now);
  for (size_t i = 0; i < RMQ_PUBLISHER_DROPS_COUNT; i++) {
    snprintf(name, sizeof(name), "dropped_%s",
             rmq_publisher_drop_to_str((enum rmq_publisher_drop)i));
    add_sum(&own->dropped, &b->dropped[i],
            get_count(x, OWN_PUBLISH, b->name, "total_operations", name), now);
  }
}

/* ---- consumers ---- */

/* Whether it has got something lately: one that stands by has nothing, too. */
static bool is_served(const struct rmq_monitor_own *x, struct block *b,
                      struct rmq_mono now) {
  int64_t added = rmq_meter_feed(
      &b->delivered,
      get_count(x, OWN_CONSUME, b->name, "total_operations", "delivered"),
      RMQ_DECREASE_IS_RESET, now);
  if (added > 0) {
    b->served_at = now;
    b->is_served = true;
  }
  return b->is_served && rmq_mono_since(now, b->served_at).ns <=
                             rmq_s(RMQ_MONITOR_OWN_IDLE_S).ns;
}

/* One that is subscribed, has had messages and has none now is not late. */
static double get_delivery(const struct rmq_monitor_own *x, struct block *b,
                           struct rmq_mono now) {
  double late = get_gauge(x, b->name, "latency", "delivery_p95");
  bool is_idle = is_served(x, b, now) &&
                 get_gauge(x, b->name, "bool", "connected") > 0 &&
                 get_gauge(x, b->name, "queue_length", "unacked") == 0;
  if (!isnan(late))
    return late;
  return is_idle ? 0 : (double)NAN;
}

void rmq_monitor_own_step(struct rmq_monitor_own *x, struct rmq_snapshot *s) {
  if (x->host->recall == NULL)
    return;
  struct rmq_mono now = x->host->mono(x->host->ctx);
  find(x, now);
  for (size_t i = 0; i < x->publishers.count; i++)
    add_publisher(x, &x->publishers.items[i], now, &s->own);
  for (size_t i = 0; i < x->consumers.count; i++)
    s->own.consumer_delivery = fmax(
        s->own.consumer_delivery, get_delivery(x, &x->consumers.items[i], now));
}
