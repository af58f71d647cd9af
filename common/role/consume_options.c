/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/role_consume.h"

#include "common/codec/codec.h"
#include "common/codec/graphite_template.h"

#include <string.h>

#define FIELD(member) .offset = offsetof(struct rmq_consume_options, member)

static const char *const ack_words[] = {"written", "dispatched", NULL};
static const char *const parse_words[] = {"dead-letter", "requeue", "drop",
                                          "quarantine", NULL};
static const char *const timeout_words[] = {"requeue", "ack", NULL};
/* Behind "auto" the codecs in their order: rmq_codec_at. */
static const char *const format_words[] = {"auto",     "Command", "JSON",
                                           "Graphite", "Influx",  NULL};

const struct rmq_option rmq_consume_option_table[] = {
    RMQ_CONNECTION_OPTIONS(struct rmq_consume_options),
    RMQ_CONNECTION_BLOCK_OPTIONS(struct rmq_consume_options),
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
    RMQ_CONSUME_QUEUE_OPTIONS(struct rmq_consume_options),
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
     .help = "What happens to an overdue message."},
    {.name = "MaxRedeliveries",
     .type = RMQ_OPT_INTEGER,
     FIELD(max_redeliveries),
     .default_value = "5",
     .min = 0,
     .max = 1000000,
     .unit = "redeliveries",
     .help = "Failures of a message that are answered with requeue; after that "
             "it is dead-lettered."},
    {.name = "RedeliveryDelay",
     .type = RMQ_OPT_DURATION,
     FIELD(redelivery_delay),
     .default_value = "1",
     .min = 0,
     .max = 60,
     .unit = "seconds",
     .help = "How long a message is held before it is requeued; doubles with "
             "each failure, up to 60 seconds."},
    {.name = "BackpressureQueueLength",
     .type = RMQ_OPT_INTEGER,
     FIELD(backpressure_queue_length),
     .default_value = "20000",
     .min = 0,
     .max = 1000000,
     .unit = "value lists",
     .help = "With more of them dispatched and not yet written, "
             "acknowledgements wait until there are half as many; 0 = no "
             "limit."},
    {.name = "Deduplicate",
     .type = RMQ_OPT_BOOLEAN,
     FIELD(deduplicate),
     .default_value = "true",
     .help = "A copy of a message that was done is acknowledged and not "
             "dispatched again."},
    {.name = "DeduplicateWindow",
     .type = RMQ_OPT_INTEGER,
     FIELD(deduplicate_window),
     .default_value = "10000",
     .min = 1,
     .max = 1000000,
     .unit = "messages",
     .help = "How many done messages are remembered."},
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
    {.name = "AcceptContentType",
     .type = RMQ_OPT_LIST,
     FIELD(accept_content_type),
     .help = "Only messages whose content type is one of these; \"\" is a "
             "message without one."},
    {.name = "GraphiteTemplate",
     .type = RMQ_OPT_STRING,
     FIELD(graphite_template),
     .default_value = RMQ_GRAPHITE_TEMPLATE_DEFAULT,
     .help = "Which part of a Graphite path is which part of the name."},
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
    RMQ_TRUST_OPTIONS(struct rmq_consume_options),
    RMQ_OPTIONS_END};

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
  case RMQ_FAILURE_QUARANTINE:
    return parse_words[RMQ_FAILURE_QUARANTINE];
  }
  return "unknown";
}

static int check_template(const char *text, struct rmq_buf *errors) {
  struct rmq_graphite_template unused;
  struct rmq_error why = {""};
  if (rmq_graphite_template_parse(text, &unused, &why) == 0)
    return 0;
  rmq_buf_appendf(errors, "option GraphiteTemplate: \"%s\" is not valid: %s\n",
                  text, why.text);
  return -1;
}

/* What is accepted and could not be read would be rejected all the same. */
static int check_accepted(const struct rmq_consume_options *o,
                          struct rmq_buf *errors) {
  const struct rmq_strings *list = &o->accept_content_type;
  int rc = 0;
  for (size_t i = 0; o->format == 0 && i < list->count; i++) {
    const char *type = list->items[i];
    if (rmq_codec_by_content_type(type, strlen(type)) != NULL)
      continue;
    rmq_buf_appendf(errors,
                    "option AcceptContentType: \"%s\" is not read with Format "
                    "auto; allowed are text/collectd, application/json, "
                    "text/graphite and text/influx, or set Format\n",
                    type);
    rc = -1;
  }
  return rc;
}

static int check_quarantine(const struct rmq_consume_options *o,
                            struct rmq_buf *errors) {
  const char *option =
      o->on_parse_error == RMQ_FAILURE_QUARANTINE      ? "OnParseError"
      : o->on_dispatch_error == RMQ_FAILURE_QUARANTINE ? "OnDispatchError"
                                                       : NULL;
  if (option == NULL || o->trust.quarantine_dir != NULL)
    return 0;
  rmq_buf_appendf(errors, "option %s: quarantine needs QuarantineDir\n",
                  option);
  return -1;
}

/* A stream takes nothing back and has nowhere to put it. */
static int check_stream(const struct rmq_consume_options *o,
                        struct rmq_buf *errors) {
  const struct {
    const char *option, *allowed;
    bool is_wrong;
  } rows[] = {
      {"OnParseError", "drop or quarantine",
       o->on_parse_error == RMQ_FAILURE_DEAD_LETTER ||
           o->on_parse_error == RMQ_FAILURE_REQUEUE},
      {"OnDispatchError", "drop or quarantine",
       o->on_dispatch_error == RMQ_FAILURE_DEAD_LETTER ||
           o->on_dispatch_error == RMQ_FAILURE_REQUEUE},
      {"OnWrittenTimeout", "ack", o->on_written_timeout != 1},
  };
  int rc = 0;
  if (o->queue.type != RMQ_QUEUE_TYPE_STREAM)
    return 0;
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
    if (rows[i].is_wrong) {
      rmq_buf_appendf(errors,
                      "option %s: a stream takes no message back; allowed with "
                      "QueueType stream: %s\n",
                      rows[i].option, rows[i].allowed);
      rc = -1;
    }
  return rc;
}

int rmq_consume_options_check(const void *options, struct rmq_buf *errors) {
  const struct rmq_consume_options *o = options;
  int rc = rmq_connection_options_check(&o->connection, errors);
  rc |= rmq_exchange_options_check(&o->exchange, errors);
  rc |= rmq_consume_queue_options_check(&o->queue, errors);
  rc |= check_accepted(o, errors);
  rc |= check_template(o->graphite_template, errors);
  rc |= rmq_trust_options_check(&o->trust, errors);
  rc |= check_quarantine(o, errors);
  rc |= check_stream(o, errors);
  for (size_t i = 0; i < o->routing_keys.count; i++)
    rc |= rmq_check_short("RoutingKey", o->routing_keys.items[i], errors);
  if (o->queue.name[0] == '\0' && o->exchange.name == NULL) {
    rmq_buf_append_text(errors, "option Queue: without a name the block needs "
                                "an Exchange to bind to\n");
    rc = -1;
  }
  if (o->exchange.alternate != NULL && o->exchange.type == NULL) {
    rmq_buf_append_text(errors, "option AlternateExchange: needs "
                                "ExchangeType, which declares the exchange\n");
    rc = -1;
  }
  return rc;
}
