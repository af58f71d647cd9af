/* SPDX-License-Identifier: MIT */
/*
 * Standard output as a host: samples become bytes of an output format on one
 * descriptor, InfluxDB's line protocol where no other is given; the log becomes
 * lines on another, as Telegraf's execd wants them.
 *
 * One thread, but for the log. The output descriptor carries data and nothing
 * else.
 */
#ifndef RMQ_HOST_EXECD_H
#define RMQ_HOST_EXECD_H

#include "common/base/host.h"
#include "common/codec/emit.h"
#include "common/codec/emit_influx.h"

struct rmq_execd {
  struct rmq_host host; /* what a role gets; host.ctx is this struct */
  int out, log;         /* descriptors, not closed here */
  enum rmq_log_format log_format;
  struct rmq_emit_influx influx; /* the format where no other is given */
  struct rmq_emit emit;
  struct rmq_buf bytes;   /* not yet written */
  bool has_failed;        /* the reader of our output is gone */
  bool was_whole;         /* the last set: there was room for all of it */
  size_t unsayable_count; /* lines and samples that the format cannot express,
                             as of the last flush */
};

void rmq_execd_init(struct rmq_execd *e, int out, int log,
                    enum rmq_log_format log_format);
/* Another format; borrowed until fini. Before the first sample. */
void rmq_execd_set_emit(struct rmq_execd *e, const struct rmq_emit *emit);
void rmq_execd_fini(struct rmq_execd *e);
/* Ends a set of samples: everything is written, or of a document that was not
 * whole nothing. -1 when the reader is gone. */
int rmq_execd_flush(struct rmq_execd *e);
/* Ends a set that is not for the descriptor, out being -1. Its bytes, which the
 * caller clears before the next sample; or NULL where there was no room for all
 * of it. */
struct rmq_buf *rmq_execd_take(struct rmq_execd *e);

#endif
