/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/consume_queue_options.h"

#include "common/base/stream_offset.h"
#include "common/role/exchange_options.h"

#include <string.h>

const char *const rmq_auto_words[] = {"auto", "true", "false", NULL};
const char *const rmq_queue_type_words[] = {"auto", "classic", "quorum",
                                            "stream", NULL};
const char *const rmq_queue_overflow_words[] = {
    "auto", "drop-head", "reject-publish", "reject-publish-dlx", NULL};
const char *const rmq_dead_letter_words[] = {"auto", "at-most-once",
                                             "at-least-once", NULL};

const char *rmq_auto_to_str(enum rmq_auto a) {
  switch (a) {
  case RMQ_AUTO:
  case RMQ_TRUE:
  case RMQ_FALSE:
    return rmq_auto_words[a];
  }
  return "unknown";
}

const char *rmq_queue_type_to_str(enum rmq_queue_type t) {
  switch (t) {
  case RMQ_QUEUE_TYPE_AUTO:
  case RMQ_QUEUE_TYPE_CLASSIC:
  case RMQ_QUEUE_TYPE_QUORUM:
  case RMQ_QUEUE_TYPE_STREAM:
    return rmq_queue_type_words[t];
  }
  return "unknown";
}

const char *rmq_queue_overflow_to_str(enum rmq_queue_overflow o) {
  switch (o) {
  case RMQ_QUEUE_OVERFLOW_AUTO:
  case RMQ_QUEUE_OVERFLOW_DROP_HEAD:
  case RMQ_QUEUE_OVERFLOW_REJECT_PUBLISH:
  case RMQ_QUEUE_OVERFLOW_REJECT_PUBLISH_DLX:
    return rmq_queue_overflow_words[o];
  }
  return "unknown";
}

const char *rmq_dead_letter_to_str(enum rmq_dead_letter d) {
  switch (d) {
  case RMQ_DEAD_LETTER_AUTO:
  case RMQ_DEAD_LETTER_AT_MOST_ONCE:
  case RMQ_DEAD_LETTER_AT_LEAST_ONCE:
    return rmq_dead_letter_words[d];
  }
  return "unknown";
}

/* ------------------------------------------------------------------------
 * What auto means */

static bool resolve(int choice, bool when_auto) {
  return choice == RMQ_AUTO ? when_auto : choice == RMQ_TRUE;
}

static bool is_named(const struct rmq_consume_queue_options *o) {
  return o->name[0] != '\0';
}

bool rmq_consume_queue_is_durable(const struct rmq_consume_queue_options *o) {
  return resolve(o->durable, is_named(o));
}

bool rmq_consume_queue_is_exclusive(const struct rmq_consume_queue_options *o) {
  return resolve(o->exclusive, !is_named(o));
}

bool rmq_consume_queue_is_auto_delete(
    const struct rmq_consume_queue_options *o) {
  return resolve(o->auto_delete, !is_named(o));
}

bool rmq_consume_queue_is_fading(const struct rmq_consume_queue_options *o) {
  return !o->passive && !rmq_consume_queue_is_durable(o) &&
         !rmq_consume_queue_is_exclusive(o);
}

static const struct rmq_argument *find(const struct rmq_arguments *table,
                                       const char *name) {
  for (size_t i = 0; i < table->count; i++)
    if (strcmp(table->items[i].name, name) == 0)
      return &table->items[i];
  return NULL;
}

bool rmq_consume_queue_is_single_active(
    const struct rmq_consume_queue_options *o) {
  const struct rmq_argument *a =
      find(&o->arguments, "x-single-active-consumer");
  return o->single_active_consumer ||
         (a != NULL && a->type == RMQ_ARG_BOOLEAN && a->boolean);
}

/* ------------------------------------------------------------------------
 * Checks: what the broker would refuse, said before it is asked. */

enum { CLASSIC = 1 << RMQ_QUEUE_TYPE_CLASSIC };
enum { QUORUM = 1 << RMQ_QUEUE_TYPE_QUORUM };
enum { STREAM = 1 << RMQ_QUEUE_TYPE_STREAM };
enum { BOTH = CLASSIC | QUORUM };

struct use {
  const char *option;
  bool is_set;
  int types; /* that have it */
};

static void append_types(int types, struct rmq_buf *out) {
  const char *between = "";
  for (int t = RMQ_QUEUE_TYPE_CLASSIC; rmq_queue_type_words[t] != NULL; t++)
    if ((types & 1 << t) != 0) {
      rmq_buf_appendf(out, "%s%s", between, rmq_queue_type_words[t]);
      between = " or ";
    }
}

static int check_uses(const struct rmq_consume_queue_options *o,
                      struct rmq_buf *errors) {
  const struct use uses[] = {
      {"QueueMaxPriority", o->max_priority > 0, CLASSIC},
      {"QueueOverflow reject-publish-dlx",
       o->overflow == RMQ_QUEUE_OVERFLOW_REJECT_PUBLISH_DLX, CLASSIC},
      {"DeadLetterStrategy", o->dead_letter_strategy != RMQ_DEAD_LETTER_AUTO,
       QUORUM},
      {"DeliveryLimit", o->delivery_limit > 0, QUORUM},
      {"QueueExpires", o->expires.ns > 0, BOTH},
      {"QueueMessageTTL", o->message_ttl.ns > 0, BOTH},
      {"QueueMaxLength", o->max_length > 0, BOTH},
      {"QueueOverflow", o->overflow != RMQ_QUEUE_OVERFLOW_AUTO, BOTH},
      {"DeadLetterExchange", o->dead_letter_exchange != NULL, BOTH},
      {"DeadLetterRoutingKey", o->dead_letter_routing_key != NULL, BOTH},
      {"SingleActiveConsumer", o->single_active_consumer, BOTH},
      {"ConsumerPriority", o->consumer_priority != 0, BOTH},
      {"StreamOffset", strcmp(o->stream_offset, "next") != 0, STREAM},
  };
  int rc = 0;
  for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
    bool is_broker_s =
        o->type == RMQ_QUEUE_TYPE_AUTO && uses[i].types != STREAM;
    if (!uses[i].is_set || is_broker_s || (uses[i].types & 1 << o->type) != 0)
      continue;
    rmq_buf_appendf(errors,
                    "option %s: a queue of type %s does not have it; needs "
                    "QueueType ",
                    uses[i].option, rmq_queue_type_words[o->type]);
    append_types(uses[i].types, errors);
    rmq_buf_append_text(errors, "\n");
    rc = -1;
  }
  return rc;
}

static int check_queue_type(const struct rmq_consume_queue_options *o,
                            struct rmq_buf *errors) {
  if (o->type == RMQ_QUEUE_TYPE_AUTO || o->type == RMQ_QUEUE_TYPE_CLASSIC)
    return 0;
  bool is_plain = is_named(o) && o->durable != RMQ_FALSE &&
                  o->exclusive != RMQ_TRUE && o->auto_delete != RMQ_TRUE;
  if (is_plain)
    return 0;
  rmq_buf_appendf(errors,
                  "option QueueType: a %s queue needs a name, must be durable "
                  "and cannot be exclusive or deleted automatically\n",
                  rmq_queue_type_words[o->type]);
  return -1;
}

static int check_dead_letter(const struct rmq_consume_queue_options *o,
                             struct rmq_buf *errors) {
  bool has_exchange = o->dead_letter_exchange != NULL ||
                      find(&o->arguments, "x-dead-letter-exchange") != NULL;
  int rc = 0;
  if (o->dead_letter_routing_key != NULL && !has_exchange) {
    rmq_buf_append_text(errors, "option DeadLetterRoutingKey: needs "
                                "DeadLetterExchange\n");
    rc = -1;
  }
  bool is_complete =
      has_exchange && o->overflow == RMQ_QUEUE_OVERFLOW_REJECT_PUBLISH;
  if (o->dead_letter_strategy == RMQ_DEAD_LETTER_AT_LEAST_ONCE &&
      !is_complete) {
    rmq_buf_append_text(errors,
                        "option DeadLetterStrategy: at-least-once needs "
                        "DeadLetterExchange and QueueOverflow reject-publish, "
                        "else the broker goes on at most once\n");
    rc = -1;
  }
  return rc;
}

/* Said twice, the broker would take one of the two, or refuse both. */
static int check_twice(const char *table, const struct rmq_arguments *arguments,
                       const char *argument, const char *option, bool is_set,
                       struct rmq_buf *errors) {
  if (!is_set || find(arguments, argument) == NULL)
    return 0;
  rmq_buf_appendf(errors, "option %s: %s \"%s\" says it, too; remove one\n",
                  option, table, argument);
  return -1;
}

/* What the plugin does depends on it, so the plugin has to know it. */
static int check_own(const char *table, const struct rmq_arguments *arguments,
                     const char *argument, const char *option,
                     struct rmq_buf *errors) {
  if (find(arguments, argument) == NULL)
    return 0;
  rmq_buf_appendf(errors, "option %s: use %s instead of \"%s\"\n", table,
                  option, argument);
  return -1;
}

static int check_arguments(const struct rmq_consume_queue_options *o,
                           struct rmq_buf *errors) {
  const struct {
    const char *argument, *option;
    bool is_set;
  } rows[] = {
      {"x-expires", "QueueExpires", o->expires.ns > 0},
      {"x-message-ttl", "QueueMessageTTL", o->message_ttl.ns > 0},
      {"x-max-length", "QueueMaxLength", o->max_length > 0},
      {"x-max-length-bytes", "QueueMaxLengthBytes", o->max_length_bytes > 0},
      {"x-overflow", "QueueOverflow", o->overflow != RMQ_QUEUE_OVERFLOW_AUTO},
      {"x-dead-letter-exchange", "DeadLetterExchange",
       o->dead_letter_exchange != NULL},
      {"x-dead-letter-routing-key", "DeadLetterRoutingKey",
       o->dead_letter_routing_key != NULL},
      {"x-dead-letter-strategy", "DeadLetterStrategy",
       o->dead_letter_strategy != RMQ_DEAD_LETTER_AUTO},
      {"x-delivery-limit", "DeliveryLimit", o->delivery_limit > 0},
      {"x-single-active-consumer", "SingleActiveConsumer",
       o->single_active_consumer},
      {"x-max-priority", "QueueMaxPriority", o->max_priority > 0},
  };
  int rc = 0;
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
    rc |= check_twice("QueueArgument", &o->arguments, rows[i].argument,
                      rows[i].option, rows[i].is_set, errors);
  rc |= check_own("QueueArgument", &o->arguments, "x-queue-type", "QueueType",
                  errors);
  rc |= check_own("ConsumeArgument", &o->consumer_arguments, "x-stream-offset",
                  "StreamOffset", errors);
  return rc | check_twice("ConsumeArgument", &o->consumer_arguments,
                          "x-priority", "ConsumerPriority",
                          o->consumer_priority != 0, errors);
}

static int check_stream_offset(const struct rmq_consume_queue_options *o,
                               struct rmq_buf *errors) {
  struct rmq_argument value;
  struct rmq_error err = {""};
  if (rmq_stream_offset_parse(o->stream_offset, &value, &err) == 0)
    return 0;
  rmq_buf_appendf(errors, "option StreamOffset: %s\n", err.text);
  return -1;
}

int rmq_consume_queue_options_check(const struct rmq_consume_queue_options *o,
                                    struct rmq_buf *errors) {
  int rc = rmq_check_short("Queue", o->name, errors);
  rc |= rmq_check_short("ConsumerTag", o->consumer_tag, errors);
  rc |= check_queue_type(o, errors);
  rc |= check_uses(o, errors);
  rc |= check_dead_letter(o, errors);
  rc |= check_arguments(o, errors);
  rc |= check_stream_offset(o, errors);
  if (o->passive && !is_named(o)) {
    rmq_buf_append_text(errors,
                        "option QueuePassive: needs a Queue with a name\n");
    rc = -1;
  }
  return rc;
}
