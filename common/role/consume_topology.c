/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/consume_topology.h"

#include <stdlib.h>
#include <string.h>

static bool resolve(int choice, bool when_auto) {
  return choice == RMQ_AUTO ? when_auto : choice == RMQ_TRUE;
}

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
  if (number > 0)
    a->items[a->count++] = (struct rmq_argument){
        .name = unconst(name), .type = RMQ_ARG_INTEGER, .integer = number};
}

static int fill_arguments(struct rmq_arguments *a,
                          const struct rmq_consume_options *o) {
  size_t own = o->queue.arguments.count;
  a->items = calloc(own + RMQ_CONSUME_ARGUMENTS, sizeof(*a->items));
  if (a->items == NULL)
    return -1;
  if (own > 0)
    memcpy(a->items, o->queue.arguments.items, own * sizeof(*a->items));
  a->count = own;
  add_text(a, "x-queue-type", o->queue.type);
  add_text(a, "x-dead-letter-exchange", o->queue.dead_letter_exchange);
  add_text(a, "x-dead-letter-routing-key", o->queue.dead_letter_routing_key);
  add_number(a, "x-message-ttl", o->queue.message_ttl.ns / RMQ_NS_PER_MS);
  add_number(a, "x-max-length", o->queue.max_length);
  add_number(a, "x-delivery-limit", o->queue.delivery_limit);
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

int rmq_consume_topology_init(struct rmq_consume_topology *t,
                              const struct rmq_consume_options *o,
                              struct rmq_connection_config *config,
                              struct rmq_error *err) {
  *t = (struct rmq_consume_topology){.bindings = NULL};
  if (fill_arguments(&t->arguments, o) != 0 ||
      fill_bindings(t, o, config) != 0) {
    rmq_consume_topology_fini(t);
    return rmq_error_set(err, "no memory for the topology");
  }
  config->exchange = rmq_exchange_options_declare(&o->exchange, &t->exchange);
  config->alternate_exchange = o->exchange.alternate;
  bool is_named = o->queue.name[0] != '\0';
  t->queue = (struct rmq_wire_queue){
      .name = o->queue.name,
      .is_passive = o->queue.passive,
      .is_durable = resolve(o->queue.durable, is_named),
      .is_exclusive = resolve(o->queue.exclusive, !is_named),
      .is_auto_delete = resolve(o->queue.auto_delete, !is_named),
      .arguments = &t->arguments};
  config->queue = &t->queue;
  config->prefetch = (uint16_t)o->prefetch_count;
  config->consumer_tag = o->queue.consumer_tag;
  config->max_message_bytes = (size_t)o->max_message_bytes;
  return 0;
}

void rmq_consume_topology_fini(struct rmq_consume_topology *t) {
  free(t->arguments.items);
  free(t->bindings);
  *t = (struct rmq_consume_topology){.bindings = NULL};
}
