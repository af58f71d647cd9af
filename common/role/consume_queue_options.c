/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/consume_queue_options.h"

#include "common/role/exchange_options.h"

#include <string.h>

const char *const rmq_auto_words[] = {"auto", "true", "false", NULL};

const char *rmq_auto_to_str(enum rmq_auto a) {
  switch (a) {
  case RMQ_AUTO:
    return rmq_auto_words[RMQ_AUTO];
  case RMQ_TRUE:
    return rmq_auto_words[RMQ_TRUE];
  case RMQ_FALSE:
    return rmq_auto_words[RMQ_FALSE];
  }
  return "unknown";
}

static int check_queue_type(const struct rmq_consume_queue_options *o,
                            struct rmq_buf *errors) {
  if (o->type == NULL || strcmp(o->type, "classic") == 0)
    return 0;
  if (strcmp(o->type, "quorum") != 0) {
    rmq_buf_appendf(errors,
                    "option QueueType: \"%s\" is not valid; allowed are "
                    "classic and quorum\n",
                    o->type);
    return -1;
  }
  bool is_plain = o->name[0] != '\0' && o->durable != RMQ_FALSE &&
                  o->exclusive != RMQ_TRUE && o->auto_delete != RMQ_TRUE;
  if (is_plain)
    return 0;
  rmq_buf_append_text(errors, "option QueueType: a quorum queue needs a name, "
                              "must be durable and cannot be exclusive or "
                              "deleted automatically\n");
  return -1;
}

int rmq_consume_queue_options_check(const struct rmq_consume_queue_options *o,
                                    struct rmq_buf *errors) {
  int rc = rmq_check_short("Queue", o->name, errors);
  rc |= rmq_check_short("ConsumerTag", o->consumer_tag, errors);
  rc |= check_queue_type(o, errors);
  if (o->passive && o->name[0] == '\0') {
    rmq_buf_append_text(errors,
                        "option QueuePassive: needs a Queue with a name\n");
    rc = -1;
  }
  return rc;
}
