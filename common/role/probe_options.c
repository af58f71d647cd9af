/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/probe_options.h"

#include <string.h>

const char *const rmq_probe_queue_words[] = {"auto", "classic", "quorum", NULL};

#define FIELD(f) .offset = offsetof(struct rmq_probe_options, f)

const struct rmq_option rmq_probe_option_table[] = {
    RMQ_CONNECTION_OPTIONS(struct rmq_probe_options),
    {.name = "Queue",
     .type = RMQ_OPT_STRING,
     FIELD(queue),
     .help = "Durable queue for the probe alone, declared when it is not "
             "there; without it one of its own that ends with the connection"},
    {.name = "QueueType",
     .type = RMQ_OPT_ENUM,
     FIELD(queue_type),
     .default_value = "auto",
     .choices = rmq_probe_queue_words,
     .help = "Type of Queue; auto is what the vhost says"},
    {.name = "Interval",
     .type = RMQ_OPT_DURATION,
     FIELD(interval),
     .default_value = "10",
     .min = 1,
     .max = 86400,
     .unit = "seconds",
     .help = "Time between two messages"},
    {.name = "Timeout",
     .type = RMQ_OPT_DURATION,
     FIELD(timeout),
     .default_value = "5",
     .min = 0.1,
     .max = 3600,
     .unit = "seconds",
     .help = "For a message to be confirmed and to come back; later is not "
             "usable"},
    RMQ_OPTIONS_END};

static int complain(struct rmq_buf *errors, const char *line) {
  rmq_buf_append_text(errors, line);
  rmq_buf_append_char(errors, '\n');
  return -1;
}

int rmq_probe_options_check(const struct rmq_probe_options *o,
                            struct rmq_buf *errors) {
  int rc = rmq_connection_options_check(&o->connection, errors);
  if (o->timeout.ns > o->interval.ns)
    rc = complain(errors, "option Timeout: must not be longer than Interval");
  if (o->queue_type != 0 && o->queue == NULL)
    rc = complain(errors, "option QueueType: needs Queue; the probe's own "
                          "queue is exclusive, and so classic");
  if (o->queue != NULL && (o->queue[0] == '\0' || strlen(o->queue) > 255))
    rc = complain(errors, "option Queue: must have 1 to 255 bytes");
  return rc;
}
