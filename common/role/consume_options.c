/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/role_consume.h"

#include <string.h>

#define FIELD(member) .offset = offsetof(struct rmq_consume_options, member)

static const char *const auto_words[] = {"auto", "true", "false", NULL};
static const char *const ack_words[] = {"written", "dispatched", NULL};
static const char *const parse_words[] = {"dead-letter", "requeue", "drop",
                                          NULL};
static const char *const timeout_words[] = {"requeue", "ack", NULL};
static const char *const format_words[] = {"auto", "Command", "JSON", NULL};

const struct rmq_option rmq_consume_option_table[] = {
    RMQ_CONNECTION_OPTIONS(struct rmq_consume_options),
    {.name = "Exchange",
     .type = RMQ_OPT_STRING,
     FIELD(exchange.name),
     .help = "Exchange that the queue is bound to; without it the queue is "
             "consumed as it is."},
    RMQ_EXCHANGE_OPTIONS(struct rmq_consume_options),
    {.name = "RoutingKey",
     .type = RMQ_OPT_LIST,
     FIELD(routing_keys),
     .default_value = "",
     .help = "Binding key; each one is a binding."},
    {.name = "Queue",
     .type = RMQ_OPT_STRING,
     FIELD(queue),
     .default_value = "",
     .help = "Queue; without a name the server chooses one for the time of the "
             "connection."},
    {.name = "QueueType",
     .type = RMQ_OPT_STRING,
     FIELD(queue_type),
     .help = "classic or quorum; without it the broker's default."},
    {.name = "QueueDurable",
     .type = RMQ_OPT_ENUM,
     FIELD(queue_durable),
     .default_value = "auto",
     .choices = auto_words,
     .help = "The queue survives a restart of the broker; auto: when it has a "
             "name."},
    {.name = "QueueAutoDelete",
     .type = RMQ_OPT_ENUM,
     FIELD(queue_auto_delete),
     .default_value = "auto",
     .choices = auto_words,
     .help = "The queue goes with its last consumer; auto: when it has no "
             "name."},
    {.name = "QueueExclusive",
     .type = RMQ_OPT_ENUM,
     FIELD(queue_exclusive),
     .default_value = "auto",
     .choices = auto_words,
     .help = "The queue belongs to this connection; auto: when it has no "
             "name."},
    {.name = "QueuePassive",
     .type = RMQ_OPT_BOOLEAN,
     FIELD(queue_passive),
     .default_value = "false",
     .help = "Only check that the queue exists, whatever its properties."},
    {.name = "QueueArgument",
     .type = RMQ_OPT_ARGUMENTS,
     FIELD(queue_arguments),
     .help = "NAME VALUE, an argument of the declared queue."},
    {.name = "QueueMessageTTL",
     .type = RMQ_OPT_DURATION,
     FIELD(queue_message_ttl),
     .default_value = "0",
     .min = 0,
     .max = 3e8,
     .unit = "seconds",
     .help = "Time after which the queue lets a message expire; 0 = never."},
    {.name = "QueueMaxLength",
     .type = RMQ_OPT_INTEGER,
     FIELD(queue_max_length),
     .default_value = "0",
     .min = 0,
     .max = 1e12,
     .unit = "messages",
     .help = "Most messages in the queue; 0 = no limit."},
    {.name = "DeadLetterExchange",
     .type = RMQ_OPT_STRING,
     FIELD(dead_letter_exchange),
     .help = "Exchange that rejected and expired messages go to; without it "
             "the broker drops them."},
    {.name = "DeadLetterRoutingKey",
     .type = RMQ_OPT_STRING,
     FIELD(dead_letter_routing_key),
     .help = "Their routing key; without it they keep their own."},
    {.name = "DeliveryLimit",
     .type = RMQ_OPT_INTEGER,
     FIELD(delivery_limit),
     .default_value = "0",
     .min = 0,
     .max = 1e9,
     .unit = "deliveries",
     .help = "Deliveries of one message by a quorum queue before it is dead-"
             "lettered; 0 = the broker's default."},
    {.name = "ConsumerTag",
     .type = RMQ_OPT_STRING,
     FIELD(consumer_tag),
     .default_value = "",
     .help = "Name of the subscription; without it the server chooses one."},
    {.name = "PrefetchCount",
     .type = RMQ_OPT_INTEGER,
     FIELD(prefetch_count),
     .default_value = "256",
     .min = 1,
     .max = 65535,
     .unit = "messages",
     .help = "Most messages delivered and not yet acknowledged."},
    {.name = "AckBatch",
     .type = RMQ_OPT_INTEGER,
     FIELD(ack_batch),
     .default_value = "64",
     .min = 1,
     .max = 65535,
     .unit = "messages",
     .help = "Finished messages that are acknowledged together."},
    {.name = "AckInterval",
     .type = RMQ_OPT_DURATION,
     FIELD(ack_interval),
     .default_value = "1",
     .min = 0,
     .max = 60,
     .unit = "seconds",
     .help = "Longest time that a finished message waits for its "
             "acknowledgement."},
    {.name = "AckWhen",
     .type = RMQ_OPT_ENUM,
     FIELD(ack_when),
     .default_value = "written",
     .choices = ack_words,
     .help = "written: when every write plugin has returned for every value; "
             "dispatched: when the values are in collectd's queue."},
    {.name = "WrittenTimeout",
     .type = RMQ_OPT_DURATION,
     FIELD(written_timeout),
     .default_value = "60",
     .min = 1,
     .max = 86400,
     .unit = "seconds",
     .help = "After this long a message whose values do not come back from the "
             "writers, while those of later messages do, is overdue."},
    {.name = "OnWrittenTimeout",
     .type = RMQ_OPT_ENUM,
     FIELD(on_written_timeout),
     .default_value = "requeue",
     .choices = timeout_words,
     .help = "What happens to an overdue message; requeued at most once."},
    {.name = "MaxMessageBytes",
     .type = RMQ_OPT_BYTES,
     FIELD(max_message_bytes),
     .default_value = "1MiB",
     .min = 1024,
     .max = 536870912,
     .unit = "bytes",
     .help = "Larger messages are rejected without being stored."},
    {.name = "Format",
     .type = RMQ_OPT_ENUM,
     FIELD(format),
     .default_value = "auto",
     .choices = format_words,
     .help = "Format of the bodies; auto: by the message's content type."},
    {.name = "OnParseError",
     .type = RMQ_OPT_ENUM,
     FIELD(on_parse_error),
     .default_value = "dead-letter",
     .choices = parse_words,
     .help = "What happens to a message that cannot be read; requeued at most "
             "once."},
    {.name = "OnDispatchError",
     .type = RMQ_OPT_ENUM,
     FIELD(on_dispatch_error),
     .default_value = "requeue",
     .choices = parse_words,
     .help = "What happens to a message of which the daemon could not take a "
             "value; requeued at most once."},
    RMQ_OPTIONS_END};

const char *rmq_auto_to_str(enum rmq_auto a) {
  switch (a) {
  case RMQ_AUTO:
    return auto_words[RMQ_AUTO];
  case RMQ_TRUE:
    return auto_words[RMQ_TRUE];
  case RMQ_FALSE:
    return auto_words[RMQ_FALSE];
  }
  return "unknown";
}

const char *rmq_ack_when_to_str(enum rmq_ack_when w) {
  switch (w) {
  case RMQ_ACK_WRITTEN:
    return ack_words[RMQ_ACK_WRITTEN];
  case RMQ_ACK_DISPATCHED:
    return ack_words[RMQ_ACK_DISPATCHED];
  }
  return "unknown";
}

const char *rmq_on_failure_to_str(enum rmq_on_failure f) {
  switch (f) {
  case RMQ_FAILURE_DEAD_LETTER:
    return parse_words[RMQ_FAILURE_DEAD_LETTER];
  case RMQ_FAILURE_REQUEUE:
    return parse_words[RMQ_FAILURE_REQUEUE];
  case RMQ_FAILURE_DROP:
    return parse_words[RMQ_FAILURE_DROP];
  }
  return "unknown";
}

static int check_queue_type(const struct rmq_consume_options *o,
                            struct rmq_buf *errors) {
  if (o->queue_type == NULL || strcmp(o->queue_type, "classic") == 0)
    return 0;
  if (strcmp(o->queue_type, "quorum") != 0) {
    rmq_buf_appendf(errors,
                    "option QueueType: \"%s\" is not valid; allowed are "
                    "classic and quorum\n",
                    o->queue_type);
    return -1;
  }
  bool is_plain = o->queue[0] != '\0' && o->queue_durable != RMQ_FALSE &&
                  o->queue_exclusive != RMQ_TRUE &&
                  o->queue_auto_delete != RMQ_TRUE;
  if (is_plain)
    return 0;
  rmq_buf_append_text(errors, "option QueueType: a quorum queue needs a name, "
                              "must be durable and cannot be exclusive or "
                              "deleted automatically\n");
  return -1;
}

int rmq_consume_options_check(const void *options, struct rmq_buf *errors) {
  const struct rmq_consume_options *o = options;
  int rc = rmq_connection_options_check(&o->connection, errors);
  rc |= rmq_exchange_options_check(&o->exchange, errors);
  rc |= rmq_check_short("Queue", o->queue, errors);
  rc |= rmq_check_short("ConsumerTag", o->consumer_tag, errors);
  for (size_t i = 0; i < o->routing_keys.count; i++)
    rc |= rmq_check_short("RoutingKey", o->routing_keys.items[i], errors);
  rc |= check_queue_type(o, errors);
  if (o->queue[0] == '\0' && o->exchange.name == NULL) {
    rmq_buf_append_text(errors, "option Queue: without a name the block needs "
                                "an Exchange to bind to\n");
    rc = -1;
  }
  if (o->exchange.alternate != NULL && o->exchange.type == NULL) {
    rmq_buf_append_text(errors, "option AlternateExchange: needs "
                                "ExchangeType, which declares the exchange\n");
    rc = -1;
  }
  if (o->queue_passive && o->queue[0] == '\0') {
    rmq_buf_append_text(errors,
                        "option QueuePassive: needs a Queue with a name\n");
    rc = -1;
  }
  return rc;
}
