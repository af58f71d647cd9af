/* SPDX-License-Identifier: MIT */
/*
 * Standard output as a host: samples become lines of InfluxDB's line protocol
 * on one descriptor, the log becomes lines on another, as Telegraf's execd
 * wants them. Values of the same object and time share a line.
 *
 * One thread. The output descriptor carries data and nothing else.
 */
#ifndef RMQ_HOST_EXECD_H
#define RMQ_HOST_EXECD_H

#include "common/base/host.h"
#include "common/codec/influx.h"

enum { RMQ_EXECD_TAGS = 4, RMQ_EXECD_FIELDS = 64, RMQ_EXECD_NAME = 256 };

/* The line that is being put together; all texts are copies. */
struct rmq_execd_line {
  char measurement[RMQ_EXECD_NAME];
  char tag_keys[RMQ_EXECD_TAGS][RMQ_EXECD_NAME];
  char tag_values[RMQ_EXECD_TAGS][RMQ_EXECD_NAME];
  size_t tags_count;
  char field_keys[RMQ_EXECD_FIELDS][RMQ_EXECD_NAME];
  struct rmq_influx_field fields[RMQ_EXECD_FIELDS];
  size_t fields_count;
  struct rmq_wall time;
};

struct rmq_execd {
  struct rmq_host host; /* what a role gets; host.ctx is this struct */
  int out, log;         /* descriptors, not closed here */
  enum rmq_log_format log_format;
  struct rmq_execd_line line;
  struct rmq_buf bytes;   /* lines not yet written */
  bool has_failed;        /* the reader of our output is gone */
  size_t unsayable_count; /* lines that line protocol cannot express */
};

void rmq_execd_init(struct rmq_execd *e, int out, int log,
                    enum rmq_log_format log_format);
void rmq_execd_fini(struct rmq_execd *e);
/* Ends a set of samples: everything is written. -1 when the reader is gone. */
int rmq_execd_flush(struct rmq_execd *e);

#endif
