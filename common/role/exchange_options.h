/* SPDX-License-Identifier: MIT */
/*
 * The options of an exchange that a block publishes to or binds to, and what
 * they declare. The option tables of the roles include the rows.
 */
#ifndef RMQ_ROLE_EXCHANGE_OPTIONS_H
#define RMQ_ROLE_EXCHANGE_OPTIONS_H

#include "common/amqp/wire.h"
#include "common/base/options.h"

struct rmq_exchange_options {
  char *name, *type, *alternate;
  bool durable, auto_delete, passive;
  struct rmq_arguments arguments;
};

/* Rows for a table of struct T with a member `exchange`; Exchange itself has a
 * row of the role's own, because its default differs. */
#define RMQ_EXCHANGE_OPTIONS(T)                                                \
  {.name = "ExchangeType",                                                     \
   .type = RMQ_OPT_STRING,                                                     \
   .offset = offsetof(T, exchange.type),                                       \
   .help = "Declare the exchange with this type; without it the exchange "     \
           "must exist."},                                                     \
      {.name = "ExchangeDurable",                                              \
       .type = RMQ_OPT_BOOLEAN,                                                \
       .offset = offsetof(T, exchange.durable),                                \
       .default_value = "true",                                                \
       .help = "The declared exchange survives a restart of the broker."},     \
      {.name = "ExchangeAutoDelete",                                           \
       .type = RMQ_OPT_BOOLEAN,                                                \
       .offset = offsetof(T, exchange.auto_delete),                            \
       .default_value = "false",                                               \
       .help = "The declared exchange goes when its last binding goes."},      \
      {.name = "ExchangePassive",                                              \
       .type = RMQ_OPT_BOOLEAN,                                                \
       .offset = offsetof(T, exchange.passive),                                \
       .default_value = "false",                                               \
       .help = "Only check that the exchange exists, whatever its type."},     \
      {.name = "AlternateExchange",                                            \
       .type = RMQ_OPT_STRING,                                                 \
       .offset = offsetof(T, exchange.alternate),                              \
       .help = "Exchange for messages that no queue takes; it must exist."},   \
  {                                                                            \
    .name = "ExchangeArgument", .type = RMQ_OPT_ARGUMENTS,                     \
    .offset = offsetof(T, exchange.arguments),                                 \
    .help = "NAME VALUE, an argument of the declared exchange."                \
  }

/* What no single row can say; appends one line per error. */
int rmq_exchange_options_check(const struct rmq_exchange_options *o,
                               struct rmq_buf *errors);

/* What to declare, pointing into o; NULL for the default exchange and for none,
 * else e. Without a type the exchange is checked, not declared: that needs no
 * permission, and a missing one is found before anything is sent to it. */
const struct rmq_wire_exchange *
rmq_exchange_options_declare(const struct rmq_exchange_options *o,
                             struct rmq_wire_exchange *e);

/* For names that AMQP carries as short strings: 0, or -1 and a line for a text
 * of over 255 bytes. NULL is fine. */
int rmq_check_short(const char *option, const char *text,
                    struct rmq_buf *errors);

#endif
