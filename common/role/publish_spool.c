/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/publish_spool.h"

#include "common/amqp/thread.h"

/* What may wait for the disk when RAM is full already. */
enum { PENDING_BYTES = 8 << 20 };

enum rmq_spool_mode
rmq_publish_spool_mode(const struct rmq_publish_options *options) {
  return options->spool_dir == NULL ? RMQ_SPOOL_NONE
                                    : (enum rmq_spool_mode)options->spool_mode;
}

static void prepare_message(void *ctx, struct rmq_message *m) {
  rmq_prepare_message(ctx, m);
}

/* In mode always everything waits for the disk, so that takes the place of the
 * queue in RAM. */
static size_t pending_bytes(const struct rmq_publish_options *o) {
  return rmq_publish_spool_mode(o) == RMQ_SPOOL_ALWAYS
             ? (size_t)o->send_queue_bytes
             : PENDING_BYTES;
}

/* A message with a time to live does not outlive it on the disk. */
static struct rmq_dur max_age(const struct rmq_publish_options *o) {
  struct rmq_dur age = o->spool_max_age, ttl = o->message_ttl;
  return ttl.ns > 0 && (age.ns <= 0 || ttl.ns < age.ns) ? ttl : age;
}

int rmq_publish_spool_new(const struct rmq_publish_options *options,
                          const char *block, const struct rmq_host *host,
                          struct rmq_prepare *prepare,
                          struct rmq_spool **ret_spool, struct rmq_error *err) {
  if (rmq_publish_spool_mode(options) == RMQ_SPOOL_NONE) {
    *ret_spool = NULL;
    return 0;
  }
  struct rmq_spool_config config = {
      .dir = options->spool_dir,
      .plugin = "rabbitmq_publish",
      .block = block,
      .max_bytes = (uint64_t)options->spool_max_bytes,
      .sync = (enum rmq_spool_sync)options->spool_sync,
      .max_age = max_age(options),
      .policy = (enum rmq_overflow)options->overflow_policy,
      .lanes = (unsigned)options->connections,
      .pending_bytes_max = pending_bytes(options),
      .host = host,
      .ctx = prepare,
      .prepare = prepare_message,
      .start_thread = rmq_thread_start};
  *ret_spool = rmq_spool_new(&config, err);
  return *ret_spool != NULL ? 0 : -1;
}
