/* SPDX-License-Identifier: MIT */
/*
 * One log record and its two renderings. Who writes it, and where, is the
 * host's business; core functions return errors, only roles and workers log.
 */
#ifndef RMQ_BASE_LOG_H
#define RMQ_BASE_LOG_H

#include "common/base/buf.h"
#include "common/base/rmqtime.h"

#include <stdint.h>

enum rmq_level {
  RMQ_LOG_ERROR,
  RMQ_LOG_WARNING,
  RMQ_LOG_NOTICE,
  RMQ_LOG_INFO,
  RMQ_LOG_DEBUG
};
/* "error", "warning", "notice", "info", "debug". */
const char *rmq_level_to_str(enum rmq_level l);

enum rmq_log_format { RMQ_LOG_TEXT, RMQ_LOG_JSON };
const char *rmq_log_format_to_str(enum rmq_log_format f);

/* Longest line in bytes: collectd's own log cuts at 1023. */
enum { RMQ_LOG_LINE_MAX = 1000 };

/* Fields that are NULL, "" or 0 do not apply and are absent from the line. */
struct rmq_log_record {
  enum rmq_level level;
  struct rmq_wall time;
  const char *service; /* "collectd" or "warren" */
  const char *plugin;  /* "rabbitmq_publish" */
  const char *block;   /* NAME of the block */
  const char *event;   /* fixed word per kind of event: "connected" */
  const char *state;   /* of the session */
  const char *trace_id;
  const char *message_id;
  uint64_t delivery_tag;
  uint64_t seqno;
  int reply_code;      /* AMQP's, such as 404 */
  const char *message; /* a sentence; may contain bytes from the wire */
};

/* Appends one line without newline, at most RMQ_LOG_LINE_MAX bytes; bytes that
 * are not printable UTF-8 are escaped as \xNN (text) or \u00NN (JSON), long
 * fields are shortened and end in "...", JSON stays valid. Text form, without
 * time, level and service, which the log's own lines have:
 *   rabbitmq_publish plugin: block "x": MESSAGE [state=.. trace_id=.. ...]
 * JSON form: one object; its keys are timestamp (ms since 1970), level and the
 * names of the members above. Without a message the event stands for it.
 * Nothing is appended where out has no room. */
void rmq_log_render(enum rmq_log_format format, const struct rmq_log_record *r,
                    struct rmq_buf *out);

#endif
