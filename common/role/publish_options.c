/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/role_publish.h"

#include "common/amqp/publisher.h"
#include "common/base/rkey.h"
#include "common/codec/codec.h"
#include "common/spool/spool.h"

#include <string.h>

#define FIELD(member) .offset = offsetof(struct rmq_publish_options, member)

/* In the order of enum rmq_refusal_policy. */
static const char *const return_words[] = {"retry", "drop", "alternate", NULL};
static const char *const nack_words[] = {"retry", "drop", NULL};
static const char *const spool_mode_words[] = {"none", "overflow", "always",
                                               NULL};
static const char *const spool_sync_words[] = {"none", "interval", "always",
                                               NULL};
static const char *const overflow_words[] = {"drop-oldest", "drop-newest",
                                             NULL};

/* In the order of enum rmq_encoding. */
static const char *const encoding_words[] = {"identity", "gzip", NULL};

const struct rmq_option rmq_publish_option_table[] = {
    RMQ_CONNECTION_OPTIONS(struct rmq_publish_options),
    RMQ_CONNECTION_BLOCK_OPTIONS(struct rmq_publish_options),
    {.name = "Exchange",
     .type = RMQ_OPT_STRING,
     FIELD(exchange.name),
     .default_value = "amq.fanout",
     .help = "Exchange that messages are published to; empty is the default "
             "exchange."},
    RMQ_EXCHANGE_OPTIONS(struct rmq_publish_options),
    {.name = "RoutingKey",
     .type = RMQ_OPT_STRING,
     FIELD(routing_key),
     .help = "Routing key, with %{host}, %{plugin}, %{plugin_instance}, "
             "%{type} and %{type_instance}; without it "
             "collectd.HOST.PLUGIN.INSTANCE.TYPE.INSTANCE."},
    {.name = "RoutingKeyNotification",
     .type = RMQ_OPT_STRING,
     FIELD(routing_key_notification),
     .help = "Routing key of notifications, with %{severity} besides; without "
             "it collectd.notification.SEVERITY.HOST."},
    {.name = "Persistent",
     .type = RMQ_OPT_BOOLEAN,
     FIELD(persistent),
     .default_value = "true",
     .help = "Messages survive a restart of the broker in durable queues."},
    {.name = "Mandatory",
     .type = RMQ_OPT_BOOLEAN,
     FIELD(mandatory),
     .default_value = "true",
     .help = "The broker returns messages that no queue takes."},
    {.name = "Metrics",
     .type = RMQ_OPT_BOOLEAN,
     FIELD(metrics),
     .default_value = "true",
     .help = "Publish values."},
    {.name = "Notifications",
     .alias = "Notify",
     .type = RMQ_OPT_BOOLEAN,
     FIELD(notifications),
     .default_value = "false",
     .help = "Publish notifications."},
    {.name = "Format",
     .type = RMQ_OPT_ENUM,
     FIELD(format),
     .default_value = "Command",
     .choices = rmq_codec_names,
     .help = "Format of the message bodies."},
    {.name = "StoreRates",
     .type = RMQ_OPT_BOOLEAN,
     FIELD(store_rates),
     .default_value = "false",
     .help = "Counters as rates per second, in every format but Command."},
    {.name = "GraphitePrefix",
     .type = RMQ_OPT_STRING,
     FIELD(graphite_prefix),
     .help = "Text before the host name of a Graphite path."},
    {.name = "GraphitePostfix",
     .type = RMQ_OPT_STRING,
     FIELD(graphite_postfix),
     .help = "Text behind the host name of a Graphite path."},
    {.name = "GraphiteEscapeChar",
     .type = RMQ_OPT_STRING,
     FIELD(graphite_escape_char),
     .default_value = "_",
     .help = "Stands in a Graphite path for what it may not contain: one "
             "character."},
    {.name = "GraphiteSeparateInstances",
     .type = RMQ_OPT_BOOLEAN,
     FIELD(graphite_separate_instances),
     .default_value = "false",
     .help = "Instances are parts of a Graphite path of their own."},
    {.name = "GraphiteAlwaysAppendDS",
     .type = RMQ_OPT_BOOLEAN,
     FIELD(graphite_always_append_ds),
     .default_value = "false",
     .help = "A Graphite path ends in the data source even where there is only "
             "one."},
    {.name = "GraphitePreserveSeparator",
     .type = RMQ_OPT_BOOLEAN,
     FIELD(graphite_preserve_separator),
     .default_value = "false",
     .help = "A dot in a name stays a dot in a Graphite path."},
    {.name = "ContentEncoding",
     .type = RMQ_OPT_ENUM,
     FIELD(content_encoding),
     .default_value = "identity",
     .choices = encoding_words,
     .help = "Bodies go as they are, or compressed where that is shorter."},
    {.name = "BatchValues",
     .type = RMQ_OPT_INTEGER,
     FIELD(batch_values),
     .default_value = "1",
     .min = 1,
     .max = 100000,
     .unit = "values",
     .help = "Most values in one message; values of different routing keys "
             "never share one."},
    {.name = "BatchBytes",
     .type = RMQ_OPT_BYTES,
     FIELD(batch_bytes),
     .default_value = "64KiB",
     .min = 1024,
     .max = 16 << 20,
     .unit = "bytes",
     .help = "Most bytes of a body with several values, before it is "
             "compressed."},
    {.name = "FlushInterval",
     .type = RMQ_OPT_DURATION,
     FIELD(flush_interval),
     .default_value = "1",
     .min = 0.001,
     .max = 3600,
     .unit = "seconds",
     .help = "Longest time that a value waits for others of its message."},
    {.name = "MaxOpenBatches",
     .type = RMQ_OPT_INTEGER,
     FIELD(max_open_batches),
     .default_value = "1000",
     .min = 1,
     .max = 100000,
     .unit = "messages",
     .help = "Most messages being filled at the same time, one per routing "
             "key; beyond it the oldest goes as it is."},
    {.name = "AppId",
     .type = RMQ_OPT_STRING,
     FIELD(app_id),
     .default_value = "collectd",
     .help = "Property app_id of the messages."},
    {.name = "MessageTTL",
     .type = RMQ_OPT_DURATION,
     FIELD(message_ttl),
     .default_value = "0",
     .min = 0,
     .max = 3e8,
     .unit = "seconds",
     .help = "Age at which a message expires, waiting here or at the broker; "
             "0 = never."},
    {.name = "Priority",
     .type = RMQ_OPT_INTEGER,
     FIELD(priority),
     .default_value = "0",
     .min = 0,
     .max = 255,
     .help = "Priority of the messages, for queues with x-max-priority."},
    {.name = "Header",
     .type = RMQ_OPT_ARGUMENTS,
     FIELD(headers),
     .help = "NAME VALUE, a header of every message."},
    {.name = "Confirm",
     .type = RMQ_OPT_BOOLEAN,
     FIELD(confirm),
     .default_value = "true",
     .help = "Ask the broker to confirm each message; without it a message "
             "ends when it was sent, and may be lost without a trace."},
    {.name = "ConfirmWindow",
     .type = RMQ_OPT_INTEGER,
     FIELD(confirm_window),
     .default_value = "256",
     .min = 1,
     .max = 65536,
     .unit = "messages",
     .help = "Most messages published and not yet confirmed; 1 keeps the order "
             "even when the broker refuses some."},
    {.name = "ConfirmTimeout",
     .type = RMQ_OPT_DURATION,
     FIELD(confirm_timeout),
     .default_value = "30",
     .min = 0.1,
     .max = 900,
     .unit = "seconds",
     .help = "Without a confirm for this long the connection is renewed and "
             "what was in flight published again; doubles up to 15 minutes."},
    {.name = "MaxAttempts",
     .type = RMQ_OPT_INTEGER,
     FIELD(max_attempts),
     .default_value = "10",
     .min = 1,
     .max = 1000000,
     .unit = "attempts",
     .help = "Refusals (nack or return) after which a message is given up."},
    {.name = "OnReturn",
     .type = RMQ_OPT_ENUM,
     FIELD(on_return),
     .default_value = "retry",
     .choices = return_words,
     .help = "What happens to a message that no queue took."},
    {.name = "OnNack",
     .type = RMQ_OPT_ENUM,
     FIELD(on_nack),
     .default_value = "retry",
     .choices = nack_words,
     .help = "What happens to a message that the broker could not take."},
    {.name = "SendQueueLimit",
     .type = RMQ_OPT_INTEGER,
     FIELD(send_queue_limit),
     .default_value = "100000",
     .min = 1,
     .max = 100000000,
     .unit = "messages",
     .help = "Most messages waiting in memory."},
    {.name = "SendQueueBytes",
     .type = RMQ_OPT_BYTES,
     FIELD(send_queue_bytes),
     .default_value = "64MiB",
     .min = 65536,
     .max = 1e12,
     .unit = "bytes",
     .help = "Most memory for messages waiting and in flight: body, routing "
             "key and 256 bytes each."},
    {.name = "Connections",
     .type = RMQ_OPT_INTEGER,
     FIELD(connections),
     .default_value = "1",
     .min = 1,
     .max = 64,
     .unit = "connections",
     .help = "Connections that share the messages by routing key; each keeps "
             "the order of its keys and gets its share of SendQueueLimit and "
             "SendQueueBytes."},
    {.name = "OverflowPolicy",
     .type = RMQ_OPT_ENUM,
     FIELD(overflow_policy),
     .default_value = "drop-oldest",
     .choices = overflow_words,
     .help = "What is dropped, and counted, when queue or spool are full."},
    {.name = "SpoolDir",
     .type = RMQ_OPT_STRING,
     FIELD(spool_dir),
     .help = "Directory of the spool, where messages survive; its file is "
             "NAME.spool. Without it there is none."},
    {.name = "SpoolMode",
     .type = RMQ_OPT_ENUM,
     FIELD(spool_mode),
     .default_value = "overflow",
     .choices = spool_mode_words,
     .help = "With SpoolDir: to disk when memory is full and at the end, or "
             "every message before it is published."},
    {.name = "SpoolMaxBytes",
     .type = RMQ_OPT_BYTES,
     FIELD(spool_max_bytes),
     .default_value = "1GiB",
     .min = (double)RMQ_SPOOL_BYTES_MIN,
     .max = 1e12,
     .unit = "bytes",
     .help = "Most disk space of the spool, all of its files."},
    {.name = "SpoolSync",
     .type = RMQ_OPT_ENUM,
     FIELD(spool_sync),
     .default_value = "interval",
     .choices = spool_sync_words,
     .help = "When what is spooled is forced to the disk, against a loss of "
             "power: never, each second, or before it counts as spooled."},
    {.name = "SpoolMaxAge",
     .type = RMQ_OPT_DURATION,
     FIELD(spool_max_age),
     .default_value = "0",
     .min = 0,
     .max = 3e8,
     .unit = "seconds",
     .help = "Age at which a spooled message expires; 0 = never."},
    RMQ_OPTIONS_END};

static int check_key(const char *option, const char *template,
                     int (*check)(const char *, struct rmq_error *),
                     struct rmq_buf *errors) {
  struct rmq_error err = {""};
  if (template == NULL || check(template, &err) == 0)
    return 0;
  rmq_buf_appendf(errors, "option %s: %s\n", option, err.text);
  return -1;
}

static int check_escape(const char *text, struct rmq_buf *errors) {
  static const char forbidden[] = " \"\\:!,/()";
  if (strlen(text) == 1 && text[0] > ' ' && text[0] < 0x7f &&
      strchr(forbidden, text[0]) == NULL)
    return 0;
  rmq_buf_appendf(errors,
                  "option GraphiteEscapeChar: allowed: one character of ASCII, "
                  "none of blank \" \\ : ! , / ( )\n");
  return -1;
}

/* A full batch has to fit into the queue of one connection. */
static int check_batch(const struct rmq_publish_options *o,
                       struct rmq_buf *errors) {
  if (o->batch_values == 1 ||
      o->batch_bytes <= o->send_queue_bytes / o->connections / 2)
    return 0;
  rmq_buf_appendf(errors,
                  "option BatchBytes: %lld is more than half of what "
                  "SendQueueBytes leaves for each of the Connections; allowed "
                  "with these: %d to %lld\n",
                  (long long)o->batch_bytes, 1024,
                  (long long)(o->send_queue_bytes / o->connections / 2));
  return -1;
}

/* A full batch has to fit into the spool, also where it cannot be compressed.
 */
static int check_spooled_batch(const struct rmq_publish_options *o,
                               struct rmq_buf *errors) {
  uint64_t most = rmq_spool_body_max((uint64_t)o->spool_max_bytes);
  if (o->batch_values == 1 || o->spool_dir == NULL ||
      o->spool_mode == RMQ_SPOOL_NONE || (uint64_t)o->batch_bytes <= most)
    return 0;
  rmq_buf_appendf(errors,
                  "option BatchBytes: %lld is more than a spool of "
                  "SpoolMaxBytes takes in one message; allowed with it: %d to "
                  "%llu\n",
                  (long long)o->batch_bytes, 1024, (unsigned long long)most);
  return -1;
}

static bool is_own_header(const char *name) {
  return strcmp(name, "timestamp_in_ms") == 0 ||
         strcmp(name, "traceparent") == 0;
}

static int check_headers(const struct rmq_arguments *headers,
                         struct rmq_buf *errors) {
  size_t bytes = 0;
  int rc = 0;
  for (size_t i = 0; i < headers->count; i++) {
    const struct rmq_argument *a = &headers->items[i];
    bytes += strlen(a->name) + (a->string != NULL ? strlen(a->string) : 8);
    rc |= rmq_check_short("Header", a->name, errors);
    if (!is_own_header(a->name))
      continue;
    rmq_buf_appendf(errors,
                    "option Header: \"%s\" is set by us; choose "
                    "another name\n",
                    a->name);
    rc = -1;
  }
  if (headers->count <= RMQ_WIRE_PUBLISH_HEADERS_MAX &&
      bytes <= RMQ_WIRE_PUBLISH_HEADERS_BYTES)
    return rc;
  rmq_buf_appendf(errors,
                  "option Header: %zu headers of %zu bytes; at most %d headers "
                  "of %d bytes in all are allowed\n",
                  headers->count, bytes, RMQ_WIRE_PUBLISH_HEADERS_MAX,
                  RMQ_WIRE_PUBLISH_HEADERS_BYTES);
  return -1;
}

static int check_spool(const struct rmq_publish_options *o,
                       struct rmq_buf *errors) {
  if (o->spool_dir != NULL || o->spool_mode != RMQ_SPOOL_ALWAYS)
    return 0;
  rmq_buf_append_text(errors,
                      "option SpoolMode: \"always\" needs a SpoolDir\n");
  return -1;
}

static int check_alternate(const struct rmq_publish_options *o,
                           struct rmq_buf *errors) {
  if (o->on_return != RMQ_REFUSAL_ALTERNATE || o->exchange.alternate != NULL)
    return 0;
  rmq_buf_append_text(errors, "option OnReturn: \"alternate\" needs an "
                              "AlternateExchange\n");
  return -1;
}

int rmq_publish_options_check(const void *options, struct rmq_buf *errors) {
  const struct rmq_publish_options *o = options;
  int rc = rmq_connection_options_check(&o->connection, errors);
  rc |= check_key("RoutingKey", o->routing_key, rmq_rkey_check, errors);
  rc |= check_key("RoutingKeyNotification", o->routing_key_notification,
                  rmq_rkey_check_event, errors);
  rc |= check_escape(o->graphite_escape_char, errors);
  rc |= check_batch(o, errors);
  rc |= check_spooled_batch(o, errors);
  rc |= check_headers(&o->headers, errors);
  rc |= check_spool(o, errors);
  rc |= check_alternate(o, errors);
  rc |= rmq_exchange_options_check(&o->exchange, errors);
  rc |= rmq_check_short("AppId", o->app_id, errors);
  return rc;
}
