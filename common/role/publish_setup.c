/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/role_publish_private.h"

#include "common/base/uuid.h"

#include <stdlib.h>

static const char plugin_name[] = "rabbitmq_publish";
enum { REPEAT_AFTER_S = 10, ERROR_WINDOW_S = 60 };

/* ------------------------------------------------------------------------
 * What lanes and spool ask */

/* A lane's thread, or the spool's. */
static void prepare(void *ctx, struct rmq_message *m) {
  struct rmq_role_publish *r = ctx;
  rmq_prepare_message(&r->prepare, m);
}

static void fate(void *ctx, const struct rmq_fate_report *report) {
  const struct rmq_role_publish *r = ctx;
  if (r->fates.tell != NULL)
    r->fates.tell(r->fates.ctx, report);
}

/* The first lane's thread. */
static struct rmq_mono tick(void *ctx, struct rmq_mono now) {
  struct rmq_role_publish *r = ctx;
  return rmq_intake_tick(r->intake, now);
}

/* ------------------------------------------------------------------------
 * The parts */

static int create_connection(struct rmq_role_publish *r,
                             struct rmq_error *err) {
  r->connection =
      (struct rmq_connection_config){.wants_confirms = r->options->confirm};
  if (rmq_connection_setup_init(&r->setup, &r->options->connection,
                                r->host->service, r->host->hostname, r->block,
                                &r->connection, err) != 0)
    return -1;
  r->connection.exchange =
      rmq_exchange_options_declare(&r->options->exchange, &r->exchange);
  r->connection.alternate_exchange = r->options->exchange.alternate;
  return 0;
}

static int create_spool(struct rmq_role_publish *r, struct rmq_error *err) {
  return rmq_publish_spool_new(r->options, r->block, r->host, &r->prepare,
                               &r->spool, err);
}

static void attach_spool(struct rmq_role_publish *r, unsigned lane) {
  if (r->spool == NULL)
    return;
  struct rmq_store_handlers handlers =
      rmq_publisher_store_handlers(rmq_publish_lane_publisher(r->lanes[lane]));
  rmq_spool_attach(r->spool, lane, &handlers);
}

static int create_lanes(struct rmq_role_publish *r, struct rmq_error *err) {
  r->lanes = calloc(r->lanes_count, sizeof(struct rmq_publish_lane *));
  if (r->lanes == NULL)
    return rmq_error_set(err, "no memory");
  for (unsigned i = 0; i < r->lanes_count; i++) {
    struct rmq_publish_lane_config config = {
        .options = r->options,
        .block = r->block,
        .host = r->host,
        .setup = &r->setup,
        .connection = &r->connection,
        .store = r->spool == NULL ? NULL : rmq_spool_store(r->spool),
        .index = i,
        .count = r->lanes_count,
        .ctx = r,
        .prepare = prepare,
        .fate = fate,
        .tick = i == 0 ? tick : NULL};
    r->lanes[i] = rmq_publish_lane_new(&config, err);
    if (r->lanes[i] == NULL)
      return -1;
    attach_spool(r, i);
  }
  return 0;
}

static int create_intake(struct rmq_role_publish *r, struct rmq_error *err) {
  const struct rmq_publish_options *o = r->options;
  struct rmq_intake_config config = {.codec = r->codec,
                                     .style = &r->style,
                                     .routing_key = o->routing_key,
                                     .routing_key_notification =
                                         o->routing_key_notification,
                                     .batch_values = (size_t)o->batch_values,
                                     .batch_bytes = (size_t)o->batch_bytes,
                                     .max_open = (size_t)o->max_open_batches,
                                     .flush_interval = o->flush_interval};
  struct rmq_intake_sink sink = {r, rmq_role_publish_accept};
  r->intake = rmq_intake_new(&config, &sink, r->host);
  return r->intake != NULL ? 0 : rmq_error_set(err, "no memory");
}

static struct rmq_codec_style style_of(const struct rmq_publish_options *o) {
  return (struct rmq_codec_style){
      .graphite_prefix = o->graphite_prefix == NULL ? "" : o->graphite_prefix,
      .graphite_postfix =
          o->graphite_postfix == NULL ? "" : o->graphite_postfix,
      .graphite_escape = o->graphite_escape_char[0],
      .graphite_separate_instances = o->graphite_separate_instances,
      .graphite_always_append_ds = o->graphite_always_append_ds,
      .graphite_preserve_separator = o->graphite_preserve_separator};
}

static void init(struct rmq_role_publish *r,
                 const struct rmq_publish_options *options, const char *block,
                 const struct rmq_host *host) {
  r->options = options;
  r->block = block;
  r->host = host;
  r->codec = rmq_codec_at(options->format);
  r->style = style_of(options);
  r->lanes_count = (unsigned)options->connections;
  pthread_mutex_init(&r->complain_lock, NULL);
  struct rmq_uuid instance =
      rmq_uuid_from_bits(host->random(host->ctx), host->random(host->ctx));
  rmq_prepare_init(&r->prepare, instance,
                   (enum rmq_encoding)options->content_encoding);
  rmq_complain_init(&r->overflow, rmq_s(REPEAT_AFTER_S));
  rmq_complain_init(&r->unencodable, rmq_s(REPEAT_AFTER_S));
  rmq_window_init(&r->errors, rmq_s(ERROR_WINDOW_S));
}

struct rmq_role_publish *
rmq_role_publish_new(const struct rmq_publish_options *options,
                     const char *block, const struct rmq_host *host,
                     struct rmq_error *err) {
  if (options->store_rates && !host->has_rates) {
    rmq_error_set(err, "option StoreRates: %s knows no rates", host->service);
    return NULL;
  }
  struct rmq_role_publish *r = calloc(1, sizeof(*r));
  if (r == NULL) {
    rmq_error_set(err, "no memory");
    return NULL;
  }
  init(r, options, block, host);
  if (rmq_series_object_init(RMQ_SERIES_BLOCK, plugin_name, block, NULL, NULL,
                             NULL, &r->object) == 0 &&
      create_connection(r, err) == 0 && create_spool(r, err) == 0 &&
      create_lanes(r, err) == 0 && create_intake(r, err) == 0)
    return r;
  rmq_error_set(err, "no memory");
  rmq_role_publish_free(r);
  return NULL;
}

void rmq_role_publish_free(struct rmq_role_publish *r) {
  if (r == NULL || r->is_left_behind)
    return;
  for (unsigned i = 0; r->lanes != NULL && i < r->lanes_count; i++)
    rmq_publish_lane_free(r->lanes[i]);
  free(r->lanes);
  rmq_spool_free(r->spool);
  rmq_intake_free(r->intake);
  rmq_prepare_fini(&r->prepare);
  rmq_connection_setup_fini(&r->setup);
  pthread_mutex_destroy(&r->complain_lock);
  free(r);
}
