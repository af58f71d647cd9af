/* SPDX-License-Identifier: MIT */
/*
 * The options of the queue that a block consumes and of its subscription. The
 * role's option table includes the rows.
 */
#ifndef RMQ_ROLE_CONSUME_QUEUE_OPTIONS_H
#define RMQ_ROLE_CONSUME_QUEUE_OPTIONS_H

#include "common/base/options.h"

enum rmq_auto { RMQ_AUTO, RMQ_TRUE, RMQ_FALSE }; /* by the queue's name */
/* AUTO leaves it to the broker: its default, or a policy. */
enum rmq_queue_type {
  RMQ_QUEUE_TYPE_AUTO,
  RMQ_QUEUE_TYPE_CLASSIC,
  RMQ_QUEUE_TYPE_QUORUM,
  RMQ_QUEUE_TYPE_STREAM
};
enum rmq_queue_overflow {
  RMQ_QUEUE_OVERFLOW_AUTO,
  RMQ_QUEUE_OVERFLOW_DROP_HEAD,
  RMQ_QUEUE_OVERFLOW_REJECT_PUBLISH,
  RMQ_QUEUE_OVERFLOW_REJECT_PUBLISH_DLX
};
enum rmq_dead_letter {
  RMQ_DEAD_LETTER_AUTO,
  RMQ_DEAD_LETTER_AT_MOST_ONCE,
  RMQ_DEAD_LETTER_AT_LEAST_ONCE
};
const char *rmq_auto_to_str(enum rmq_auto a);
const char *rmq_queue_type_to_str(enum rmq_queue_type t);
const char *rmq_queue_overflow_to_str(enum rmq_queue_overflow o);
const char *rmq_dead_letter_to_str(enum rmq_dead_letter d);
extern const char *const rmq_auto_words[];
extern const char *const rmq_queue_type_words[];
extern const char *const rmq_queue_overflow_words[];
extern const char *const rmq_dead_letter_words[];

struct rmq_consume_queue_options {
  char *name;
  int type;                            /* rmq_queue_type */
  int durable, auto_delete, exclusive; /* rmq_auto */
  bool passive;
  struct rmq_arguments arguments;
  struct rmq_dur message_ttl, expires;
  int64_t max_length, max_length_bytes;
  int overflow; /* rmq_queue_overflow */
  char *dead_letter_exchange, *dead_letter_routing_key;
  int dead_letter_strategy; /* rmq_dead_letter */
  int64_t delivery_limit, max_priority;
  bool single_active_consumer;
  char *consumer_tag;
  int64_t consumer_priority;
  struct rmq_arguments consumer_arguments;
  char *stream_offset, *state_dir;
  struct rmq_dur idle_check;
};

/* Rows for a table of struct T with a member `queue`. */
#define RMQ_CONSUME_QUEUE_OPTIONS(T)                                           \
  {.name = "Queue",                                                            \
   .type = RMQ_OPT_STRING,                                                     \
   .offset = offsetof(T, queue.name),                                          \
   .default_value = "",                                                        \
   .help = "Queue; without a name the server chooses one for the "             \
           "time of the connection."},                                         \
      {.name = "QueueType",                                                    \
       .type = RMQ_OPT_ENUM,                                                   \
       .offset = offsetof(T, queue.type),                                      \
       .default_value = "auto",                                                \
       .choices = rmq_queue_type_words,                                        \
       .help = "Type of the declared queue; auto: the broker's "               \
               "default."},                                                    \
      {.name = "QueueDurable",                                                 \
       .type = RMQ_OPT_ENUM,                                                   \
       .offset = offsetof(T, queue.durable),                                   \
       .default_value = "auto",                                                \
       .choices = rmq_auto_words,                                              \
       .help = "The queue survives a restart of the broker; auto: when "       \
               "it has a name."},                                              \
      {.name = "QueueAutoDelete",                                              \
       .type = RMQ_OPT_ENUM,                                                   \
       .offset = offsetof(T, queue.auto_delete),                               \
       .default_value = "auto",                                                \
       .choices = rmq_auto_words,                                              \
       .help = "The queue goes with its last consumer; auto: when it "         \
               "has no name."},                                                \
      {.name = "QueueExclusive",                                               \
       .type = RMQ_OPT_ENUM,                                                   \
       .offset = offsetof(T, queue.exclusive),                                 \
       .default_value = "auto",                                                \
       .choices = rmq_auto_words,                                              \
       .help = "The queue belongs to this connection; auto: when it "          \
               "has no name."},                                                \
      {.name = "QueuePassive",                                                 \
       .type = RMQ_OPT_BOOLEAN,                                                \
       .offset = offsetof(T, queue.passive),                                   \
       .default_value = "false",                                               \
       .help = "Only check that the queue exists, whatever its "               \
               "properties."},                                                 \
      {.name = "QueueArgument",                                                \
       .type = RMQ_OPT_ARGUMENTS,                                              \
       .offset = offsetof(T, queue.arguments),                                 \
       .help = "NAME VALUE, an argument of the declared queue."},              \
      {.name = "QueueExpires",                                                 \
       .type = RMQ_OPT_DURATION,                                               \
       .offset = offsetof(T, queue.expires),                                   \
       .default_value = "0",                                                   \
       .min = 0,                                                               \
       .max = 3e8,                                                             \
       .unit = "seconds",                                                      \
       .help = "Time without a consumer after which the broker deletes "       \
               "the queue; 0 = never."},                                       \
      {.name = "QueueMessageTTL",                                              \
       .type = RMQ_OPT_DURATION,                                               \
       .offset = offsetof(T, queue.message_ttl),                               \
       .default_value = "0",                                                   \
       .min = 0,                                                               \
       .max = 3e8,                                                             \
       .unit = "seconds",                                                      \
       .help = "Time after which the queue lets a message expire; 0 = "        \
               "never."},                                                      \
      {.name = "QueueMaxLength",                                               \
       .type = RMQ_OPT_INTEGER,                                                \
       .offset = offsetof(T, queue.max_length),                                \
       .default_value = "0",                                                   \
       .min = 0,                                                               \
       .max = 1e12,                                                            \
       .unit = "messages",                                                     \
       .help = "Most messages in the queue; 0 = no limit."},                   \
      {.name = "QueueMaxLengthBytes",                                          \
       .type = RMQ_OPT_BYTES,                                                  \
       .offset = offsetof(T, queue.max_length_bytes),                          \
       .default_value = "0",                                                   \
       .min = 0,                                                               \
       .max = 1e14,                                                            \
       .unit = "bytes",                                                        \
       .help = "Most bytes of bodies in the queue; 0 = no limit."},            \
      {.name = "QueueOverflow",                                                \
       .type = RMQ_OPT_ENUM,                                                   \
       .offset = offsetof(T, queue.overflow),                                  \
       .default_value = "auto",                                                \
       .choices = rmq_queue_overflow_words,                                    \
       .help = "What a full queue does; auto: the broker's default, "          \
               "drop-head."},                                                  \
      {.name = "DeadLetterExchange",                                           \
       .type = RMQ_OPT_STRING,                                                 \
       .offset = offsetof(T, queue.dead_letter_exchange),                      \
       .help = "Exchange that rejected and expired messages go to; "           \
               "without it the broker drops them."},                           \
      {.name = "DeadLetterRoutingKey",                                         \
       .type = RMQ_OPT_STRING,                                                 \
       .offset = offsetof(T, queue.dead_letter_routing_key),                   \
       .help = "Their routing key; without it they keep their own."},          \
      {.name = "DeadLetterStrategy",                                           \
       .type = RMQ_OPT_ENUM,                                                   \
       .offset = offsetof(T, queue.dead_letter_strategy),                      \
       .default_value = "auto",                                                \
       .choices = rmq_dead_letter_words,                                       \
       .help = "How sure a quorum queue makes that they arrive; auto: "        \
               "the broker's default, at-most-once."},                         \
      {.name = "DeliveryLimit",                                                \
       .type = RMQ_OPT_INTEGER,                                                \
       .offset = offsetof(T, queue.delivery_limit),                            \
       .default_value = "0",                                                   \
       .min = 0,                                                               \
       .max = 1e9,                                                             \
       .unit = "deliveries",                                                   \
       .help = "Deliveries of one message by a quorum queue before it "        \
               "is dead-lettered; 0 = the broker's default."},                 \
      {.name = "SingleActiveConsumer",                                         \
       .type = RMQ_OPT_BOOLEAN,                                                \
       .offset = offsetof(T, queue.single_active_consumer),                    \
       .default_value = "false",                                               \
       .help = "The queue delivers to one of its consumers only; the "         \
               "others stand by."},                                            \
      {.name = "QueueMaxPriority",                                             \
       .type = RMQ_OPT_INTEGER,                                                \
       .offset = offsetof(T, queue.max_priority),                              \
       .default_value = "0",                                                   \
       .min = 0,                                                               \
       .max = 255,                                                             \
       .help = "Highest priority of messages that a classic queue "            \
               "tells apart; 0 = none."},                                      \
      {.name = "ConsumerTag",                                                  \
       .type = RMQ_OPT_STRING,                                                 \
       .offset = offsetof(T, queue.consumer_tag),                              \
       .default_value = "",                                                    \
       .help = "Name of the subscription; without it the server "              \
               "chooses one."},                                                \
      {.name = "ConsumerPriority",                                             \
       .type = RMQ_OPT_INTEGER,                                                \
       .offset = offsetof(T, queue.consumer_priority),                         \
       .default_value = "0",                                                   \
       .min = -2147483648.0,                                                   \
       .max = 2147483647,                                                      \
       .help = "Consumers with a higher one are served first."},               \
      {.name = "StreamOffset",                                                 \
       .type = RMQ_OPT_STRING,                                                 \
       .offset = offsetof(T, queue.stream_offset),                             \
       .default_value = "next",                                                \
       .help = "Where reading a stream begins when no offset is stored: "      \
               "first, last, "                                                 \
               "next, an offset, an age or a moment."},                        \
      {.name = "StateDir",                                                     \
       .type = RMQ_OPT_STRING,                                                 \
       .offset = offsetof(T, queue.state_dir),                                 \
       .help =                                                                 \
           "Directory of the file that keeps how far a stream has been read; " \
           "without it the daemon's base directory."},                         \
      {.name = "IdleCheckInterval",                                            \
       .type = RMQ_OPT_DURATION,                                               \
       .offset = offsetof(T, queue.idle_check),                                \
       .default_value = "60",                                                  \
       .min = 0,                                                               \
       .max = 86400,                                                           \
       .unit = "seconds",                                                      \
       .help = "Without a delivery for so long the broker is asked whether "   \
               "it knows this consumer; 0 = never."},                          \
  {                                                                            \
    .name = "ConsumeArgument", .type = RMQ_OPT_ARGUMENTS,                      \
    .offset = offsetof(T, queue.consumer_arguments),                           \
    .help = "NAME VALUE, an argument of the subscription."                     \
  }

/* Also when QueueArgument says it. */
bool rmq_consume_queue_is_single_active(
    const struct rmq_consume_queue_options *o);
/* What auto means for this queue. */
bool rmq_consume_queue_is_durable(const struct rmq_consume_queue_options *o);
bool rmq_consume_queue_is_exclusive(const struct rmq_consume_queue_options *o);
bool rmq_consume_queue_is_auto_delete(
    const struct rmq_consume_queue_options *o);
/* RabbitMQ 4.3 refuses to declare it: neither durable nor exclusive. */
bool rmq_consume_queue_is_fading(const struct rmq_consume_queue_options *o);

/* What no single row can say; appends one line per error. */
int rmq_consume_queue_options_check(const struct rmq_consume_queue_options *o,
                                    struct rmq_buf *errors);

#endif
