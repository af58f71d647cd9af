/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/consume_rejection.h"

#include "common/base/uuid.h"

#include <string.h>

enum { LINES_PER_SPAN = 20, LINE_SPAN_S = 60, LINE_BYTES = 900 };

void rmq_rejections_init(struct rmq_rejections *r,
                         struct rmq_session_log *log) {
  *r = (struct rmq_rejections){.log = log};
}

/* Whether one more line may be written; *ret_missed were not. */
static bool take_line(struct rmq_line_budget *b, struct rmq_mono now,
                      uint64_t *ret_missed) {
  if (rmq_mono_reached(now, b->refill_at)) {
    b->refill_at = rmq_mono_add(now, rmq_s(LINE_SPAN_S));
    b->left = LINES_PER_SPAN;
  }
  if (b->left == 0) {
    b->missed++;
    return false;
  }
  b->left--;
  *ret_missed = b->missed;
  b->missed = 0;
  return true;
}

enum rmq_settle rmq_rejections_settle(enum rmq_on_failure policy,
                                      bool is_redelivered) {
  switch (policy) {
  case RMQ_FAILURE_DROP:
    return RMQ_SETTLE_ACK;
  case RMQ_FAILURE_REQUEUE:
    return is_redelivered ? RMQ_SETTLE_DEAD_LETTER : RMQ_SETTLE_REQUEUE;
  case RMQ_FAILURE_DEAD_LETTER:
    return RMQ_SETTLE_DEAD_LETTER;
  }
  return RMQ_SETTLE_DEAD_LETTER;
}

static const char *fate(enum rmq_settle how) {
  switch (how) {
  case RMQ_SETTLE_ACK:
    return "dropped";
  case RMQ_SETTLE_REQUEUE:
    return "requeued";
  case RMQ_SETTLE_DEAD_LETTER:
    return "rejected to the dead-letter exchange, if the queue has one";
  }
  return "unknown";
}

static void append_missed(struct rmq_buf *line, uint64_t missed) {
  if (missed > 0)
    rmq_buf_appendf(line, " (and %llu others since the last such line)",
                    (unsigned long long)missed);
}

static const char *unless_empty(const char *text) {
  return text[0] == '\0' ? NULL : text;
}

void rmq_rejections_log(struct rmq_rejections *r, const struct rmq_delivery *d,
                        enum rmq_rejection cause, const char *detail,
                        enum rmq_settle how, struct rmq_mono now) {
  uint64_t missed = 0;
  if (!take_line(&r->budgets[cause], now, &missed))
    return;
  char trace_id[RMQ_TRACE_ID_SIZE];
  bool has_trace =
      rmq_uuid_trace_id(d->traceparent, strlen(d->traceparent), trace_id);
  struct rmq_buf line;
  rmq_buf_init(&line, LINE_BYTES);
  rmq_buf_appendf(&line, "message of %llu bytes with routing key \"%s\" %s: %s",
                  (unsigned long long)d->body_size, d->routing_key, fate(how),
                  rmq_rejection_meaning(cause));
  if (detail[0] != '\0')
    rmq_buf_appendf(&line, ": %s", detail);
  append_missed(&line, missed);
  rmq_session_log_write(r->log, &(struct rmq_log_record){
                                    .level = RMQ_LOG_WARNING,
                                    .event = "rejected",
                                    .delivery_tag = d->tag,
                                    .message_id = unless_empty(d->message_id),
                                    .trace_id = has_trace ? trace_id : NULL,
                                    .message = rmq_buf_text(&line)});
  rmq_buf_fini(&line);
}

void rmq_rejections_log_overdue(struct rmq_rejections *r, enum rmq_settle how,
                                struct rmq_dur timeout, struct rmq_mono now) {
  uint64_t missed = 0;
  if (!take_line(&r->budgets[RMQ_REJECTION_timeout], now, &missed))
    return;
  struct rmq_buf line;
  rmq_buf_init(&line, LINE_BYTES);
  rmq_buf_appendf(&line,
                  "a message is %s: not all of its values came back from the "
                  "writers within %.0f s; does a filter chain (PostCacheChain) "
                  "stop them?",
                  how == RMQ_SETTLE_ACK ? "acknowledged" : fate(how),
                  rmq_dur_seconds(timeout));
  append_missed(&line, missed);
  rmq_session_log_write(
      r->log, &(struct rmq_log_record){.level = RMQ_LOG_ERROR,
                                       .event = "written_timeout",
                                       .message = rmq_buf_text(&line)});
  rmq_buf_fini(&line);
}
