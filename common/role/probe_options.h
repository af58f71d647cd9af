/* SPDX-License-Identifier: MIT */
/*
 * The block <Probe> of the monitor: where its messages go, and how often.
 */
#ifndef RMQ_ROLE_PROBE_OPTIONS_H
#define RMQ_ROLE_PROBE_OPTIONS_H

#include "common/role/connection_options.h"

struct rmq_probe_options {
  struct rmq_connection_options connection;
  char *queue;    /* durable; NULL = one of our own that the broker names */
  int queue_type; /* index into rmq_probe_queue_words */
  struct rmq_dur interval, timeout;
};
extern const struct rmq_option rmq_probe_option_table[];
/* "auto" says nothing to the broker. */
extern const char *const rmq_probe_queue_words[];

/* What no single row can say; appends one line per error. */
int rmq_probe_options_check(const struct rmq_probe_options *o,
                            struct rmq_buf *errors);

#endif
