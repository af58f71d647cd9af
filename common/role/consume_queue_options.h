/* SPDX-License-Identifier: MIT */
/*
 * The options of the queue that a block consumes and of its subscription. The
 * role's option table includes the rows.
 */
#ifndef RMQ_ROLE_CONSUME_QUEUE_OPTIONS_H
#define RMQ_ROLE_CONSUME_QUEUE_OPTIONS_H

#include "common/base/options.h"

enum rmq_auto { RMQ_AUTO, RMQ_TRUE, RMQ_FALSE }; /* by the queue's name */
const char *rmq_auto_to_str(enum rmq_auto a);
extern const char *const rmq_auto_words[];

struct rmq_consume_queue_options {
  char *name, *type;
  int durable, auto_delete, exclusive; /* rmq_auto */
  bool passive;
  struct rmq_arguments arguments;
  char *dead_letter_exchange, *dead_letter_routing_key;
  int64_t max_length, delivery_limit;
  struct rmq_dur message_ttl;
  char *consumer_tag;
};

/* Rows for a table of struct T with a member `queue`. */
#define RMQ_CONSUME_QUEUE_OPTIONS(T)                                           \
  {.name = "Queue",                                                            \
   .type = RMQ_OPT_STRING,                                                     \
   .offset = offsetof(T, queue.name),                                          \
   .default_value = "",                                                        \
   .help = "Queue; without a name the server chooses one for the time of the " \
           "connection."},                                                     \
      {.name = "QueueType",                                                    \
       .type = RMQ_OPT_STRING,                                                 \
       .offset = offsetof(T, queue.type),                                      \
       .help = "classic or quorum; without it the broker's default."},         \
      {.name = "QueueDurable",                                                 \
       .type = RMQ_OPT_ENUM,                                                   \
       .offset = offsetof(T, queue.durable),                                   \
       .default_value = "auto",                                                \
       .choices = rmq_auto_words,                                              \
       .help =                                                                 \
           "The queue survives a restart of the broker; auto: when it has a "  \
           "name."},                                                           \
      {.name = "QueueAutoDelete",                                              \
       .type = RMQ_OPT_ENUM,                                                   \
       .offset = offsetof(T, queue.auto_delete),                               \
       .default_value = "auto",                                                \
       .choices = rmq_auto_words,                                              \
       .help = "The queue goes with its last consumer; auto: when it has no "  \
               "name."},                                                       \
      {.name = "QueueExclusive",                                               \
       .type = RMQ_OPT_ENUM,                                                   \
       .offset = offsetof(T, queue.exclusive),                                 \
       .default_value = "auto",                                                \
       .choices = rmq_auto_words,                                              \
       .help = "The queue belongs to this connection; auto: when it has no "   \
               "name."},                                                       \
      {.name = "QueuePassive",                                                 \
       .type = RMQ_OPT_BOOLEAN,                                                \
       .offset = offsetof(T, queue.passive),                                   \
       .default_value = "false",                                               \
       .help = "Only check that the queue exists, whatever its properties."},  \
      {.name = "QueueArgument",                                                \
       .type = RMQ_OPT_ARGUMENTS,                                              \
       .offset = offsetof(T, queue.arguments),                                 \
       .help = "NAME VALUE, an argument of the declared queue."},              \
      {.name = "QueueMessageTTL",                                              \
       .type = RMQ_OPT_DURATION,                                               \
       .offset = offsetof(T, queue.message_ttl),                               \
       .default_value = "0",                                                   \
       .min = 0,                                                               \
       .max = 3e8,                                                             \
       .unit = "seconds",                                                      \
       .help =                                                                 \
           "Time after which the queue lets a message expire; 0 = never."},    \
      {.name = "QueueMaxLength",                                               \
       .type = RMQ_OPT_INTEGER,                                                \
       .offset = offsetof(T, queue.max_length),                                \
       .default_value = "0",                                                   \
       .min = 0,                                                               \
       .max = 1e12,                                                            \
       .unit = "messages",                                                     \
       .help = "Most messages in the queue; 0 = no limit."},                   \
      {.name = "DeadLetterExchange",                                           \
       .type = RMQ_OPT_STRING,                                                 \
       .offset = offsetof(T, queue.dead_letter_exchange),                      \
       .help =                                                                 \
           "Exchange that rejected and expired messages go to; without it "    \
           "the broker drops them."},                                          \
      {.name = "DeadLetterRoutingKey",                                         \
       .type = RMQ_OPT_STRING,                                                 \
       .offset = offsetof(T, queue.dead_letter_routing_key),                   \
       .help = "Their routing key; without it they keep their own."},          \
      {.name = "DeliveryLimit",                                                \
       .type = RMQ_OPT_INTEGER,                                                \
       .offset = offsetof(T, queue.delivery_limit),                            \
       .default_value = "0",                                                   \
       .min = 0,                                                               \
       .max = 1e9,                                                             \
       .unit = "deliveries",                                                   \
       .help =                                                                 \
           "Deliveries of one message by a quorum queue before it is dead-"    \
           "lettered; 0 = the broker's default."},                             \
  {                                                                            \
    .name = "ConsumerTag", .type = RMQ_OPT_STRING,                             \
    .offset = offsetof(T, queue.consumer_tag), .default_value = "",            \
    .help = "Name of the subscription; without it the server chooses one."     \
  }

/* What no single row can say; appends one line per error. */
int rmq_consume_queue_options_check(const struct rmq_consume_queue_options *o,
                                    struct rmq_buf *errors);

#endif
