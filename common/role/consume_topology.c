/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/consume_topology.h"

#include "common/base/stream_offset.h"

#include <stdlib.h>
#include <string.h>

/* The names of AMQP's argument tables are not written to. */
static char *unconst(const char *text) {
  union {
    const char *in;
    char *out;
  } u = {.in = text};
  return u.out;
}

static void add_text(struct rmq_arguments *a, const char *name,
                     const char *text) {
  if (text != NULL)
    a->items[a->count++] = (struct rmq_argument){
        .name = unconst(name), .type = RMQ_ARG_STRING, .string = unconst(text)};
}

static void add_number(struct rmq_arguments *a, const char *name,
                       int64_t number) {
  if (number != 0)
    a->items[a->count++] = (struct rmq_argument){
        .name = unconst(name), .type = RMQ_ARG_INTEGER, .integer = number};
}

static void add_true(struct rmq_arguments *a, const char *name, bool is_true) {
  if (is_true)
    a->items[a->count++] = (struct rmq_argument){
        .name = unconst(name), .type = RMQ_ARG_BOOLEAN, .boolean = true};
}

/* Words whose first, auto, is not said to the broker. */
static void add_choice(struct rmq_arguments *a, const char *name, int choice,
                       const char *const *words) {
  if (choice > 0)
    add_text(a, name, words[choice]);
}

/* The user's, with room for ours. */
static int copy_arguments(struct rmq_arguments *a,
                          const struct rmq_arguments *from) {
  a->items = calloc(from->count + RMQ_CONSUME_ARGUMENTS, sizeof(*a->items));
  if (a->items == NULL)
    return -1;
  if (from->count > 0)
    memcpy(a->items, from->items, from->count * sizeof(*a->items));
  a->count = from->count;
  return 0;
}

static int fill_arguments(struct rmq_arguments *a,
                          const struct rmq_consume_queue_options *q) {
  if (copy_arguments(a, &q->arguments) != 0)
    return -1;
  add_choice(a, "x-queue-type", q->type, rmq_queue_type_words);
  add_text(a, "x-dead-letter-exchange", q->dead_letter_exchange);
  add_text(a, "x-dead-letter-routing-key", q->dead_letter_routing_key);
  add_choice(a, "x-dead-letter-strategy", q->dead_letter_strategy,
             rmq_dead_letter_words);
  add_number(a, "x-expires", q->expires.ns / RMQ_NS_PER_MS);
  add_number(a, "x-message-ttl", q->message_ttl.ns / RMQ_NS_PER_MS);
  add_number(a, "x-max-length", q->max_length);
  add_number(a, "x-max-length-bytes", q->max_length_bytes);
  add_choice(a, "x-overflow", q->overflow, rmq_queue_overflow_words);
  add_number(a, "x-delivery-limit", q->delivery_limit);
  add_number(a, "x-max-priority", q->max_priority);
  add_true(a, "x-single-active-consumer", q->single_active_consumer);
  return 0;
}

static int fill_consumer_arguments(struct rmq_consume_topology *t,
                                   const struct rmq_consume_queue_options *q) {
  struct rmq_arguments *a = &t->consumer_arguments;
  if (copy_arguments(a, &q->consumer_arguments) != 0)
    return -1;
  add_number(a, "x-priority", q->consumer_priority);
  if (q->type != RMQ_QUEUE_TYPE_STREAM)
    return 0;
  struct rmq_error ignored = {""}; /* the options were checked */
  t->stream_offset = &a->items[a->count];
  if (rmq_stream_offset_parse(q->stream_offset, t->stream_offset, &ignored) !=
      0)
    return -1;
  a->count++;
  return 0;
}

static int fill_bindings(struct rmq_consume_topology *t,
                         const struct rmq_consume_options *o,
                         struct rmq_connection_config *config) {
  if (o->exchange.name == NULL || o->exchange.name[0] == '\0')
    return 0;
  t->bindings = calloc(o->routing_keys.count, sizeof(*t->bindings));
  if (t->bindings == NULL)
    return -1;
  for (size_t i = 0; i < o->routing_keys.count; i++)
    t->bindings[i] =
        (struct rmq_binding){o->exchange.name, o->routing_keys.items[i]};
  config->bindings = t->bindings;
  config->bindings_count = o->routing_keys.count;
  return 0;
}

/* Our arguments are part of the queue, so that one which we declare is single
 * active exactly when we say so; one that we only look for may be. */
static enum rmq_backlog backlog_of(const struct rmq_consume_queue_options *q) {
  if (q->type == RMQ_QUEUE_TYPE_STREAM)
    return RMQ_BACKLOG_UNTOLD;
  return q->passive || q->consumer_priority < 0 ||
                 rmq_consume_queue_is_single_active(q)
             ? RMQ_BACKLOG_OTHERS
             : RMQ_BACKLOG_OURS;
}

int rmq_consume_topology_init(struct rmq_consume_topology *t,
                              const struct rmq_consume_options *o,
                              struct rmq_connection_config *config,
                              struct rmq_error *err) {
  *t = (struct rmq_consume_topology){.bindings = NULL};
  if (fill_arguments(&t->arguments, &o->queue) != 0 ||
      fill_consumer_arguments(t, &o->queue) != 0 ||
      fill_bindings(t, o, config) != 0) {
    rmq_consume_topology_fini(t);
    return rmq_error_set(err, "no memory for the topology");
  }
  config->exchange = rmq_exchange_options_declare(&o->exchange, &t->exchange);
  config->alternate_exchange = o->exchange.alternate;
  t->queue = (struct rmq_wire_queue){
      .name = o->queue.name,
      .is_passive = o->queue.passive,
      .is_durable = rmq_consume_queue_is_durable(&o->queue),
      .is_exclusive = rmq_consume_queue_is_exclusive(&o->queue),
      .is_auto_delete = rmq_consume_queue_is_auto_delete(&o->queue),
      .arguments = &t->arguments};
  config->queue = &t->queue;
  config->idle_check = o->queue.idle_check;
  config->backlog = backlog_of(&o->queue);
  config->prefetch = (uint16_t)o->prefetch_count;
  config->consumer_tag = o->queue.consumer_tag;
  config->consumer_arguments = &t->consumer_arguments;
  config->max_message_bytes = (size_t)o->max_message_bytes;
  return 0;
}

void rmq_consume_topology_warn(const struct rmq_consume_options *o,
                               struct rmq_session_log *log) {
  if (!rmq_consume_queue_is_fading(&o->queue))
    return;
  rmq_session_log_write(
      log, &(struct rmq_log_record){
               .level = RMQ_LOG_WARNING,
               .event = "queue_fading",
               .message = "the queue is neither durable nor exclusive, which "
                          "RabbitMQ refuses from 4.3 on: set QueueDurable "
                          "true, or QueueExclusive true"});
}

void rmq_consume_topology_fini(struct rmq_consume_topology *t) {
  free(t->arguments.items);
  free(t->consumer_arguments.items);
  free(t->bindings);
  *t = (struct rmq_consume_topology){.bindings = NULL};
}
