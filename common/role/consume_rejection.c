/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/consume_rejection.h"

#include "common/base/uuid.h"

#include <string.h>

enum { LINES_PER_SPAN = 20, LINE_SPAN_S = 60, LINE_BYTES = 900 };
enum { TROUBLE_BASE_S = 30 };

static const char *fate(const struct rmq_rejections *r, enum rmq_settle how) {
  switch (how) {
  case RMQ_SETTLE_ACK:
    return "acknowledged";
  case RMQ_SETTLE_DROP:
    return "dropped";
  case RMQ_SETTLE_REQUEUE:
  case RMQ_SETTLE_HAND_BACK:
    return "requeued";
  case RMQ_SETTLE_DEAD_LETTER:
    return r->is_stream
               ? "dropped"
               : "rejected to the dead-letter exchange, if the queue has one";
  }
  return "unknown";
}

/* becomes: of the message that could not be, as a part of the sentence. */
static void complain(struct rmq_rejections *r, const char *becomes,
                     const char *reason, struct rmq_mono now) {
  uint64_t missed = 0;
  if (!rmq_complain_report(&r->trouble, now, &missed))
    return;
  struct rmq_error text = {""};
  rmq_error_set(&text, "rejected messages cannot be filed%s: %s", becomes,
                reason);
  rmq_session_log_write(r->log, &(struct rmq_log_record){.level = RMQ_LOG_ERROR,
                                                         .event = "quarantine",
                                                         .message = text.text});
}

static void recover(struct rmq_rejections *r) {
  if (rmq_complain_recover(&r->trouble))
    rmq_session_log_write(r->log,
                          &(struct rmq_log_record){
                              .level = RMQ_LOG_NOTICE,
                              .event = "quarantine",
                              .message = "rejected messages are filed again"});
}

int rmq_rejections_init(struct rmq_rejections *r, struct rmq_session_log *log,
                        const struct rmq_trust_options *options,
                        bool is_stream) {
  *r = (struct rmq_rejections){.log = log, .is_stream = is_stream};
  rmq_complain_init(&r->trouble, rmq_s(TROUBLE_BASE_S));
  if (options->quarantine_dir == NULL)
    return 0;
  r->quarantine = rmq_quarantine_new(options->quarantine_dir, log->block,
                                     options->quarantine_max_bytes);
  if (r->quarantine == NULL)
    return -1;
  struct rmq_error why = {""};
  if (rmq_quarantine_open(r->quarantine, &why) != 0)
    complain(r, "", why.text, log->host->mono(log->host->ctx));
  return 0;
}

void rmq_rejections_fini(struct rmq_rejections *r) {
  rmq_quarantine_free(r->quarantine);
  r->quarantine = NULL;
}

/* Whether one more line may be written; *ret_missed were not. */
static bool take_line(struct rmq_line_budget *b, int most, struct rmq_mono now,
                      uint64_t *ret_missed) {
  if (rmq_mono_reached(now, b->refill_at)) {
    b->refill_at = rmq_mono_add(now, rmq_s(LINE_SPAN_S));
    b->left = most;
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

/* How the message is settled, then. */
static enum rmq_settle not_filed(struct rmq_rejections *r,
                                 enum rmq_on_failure policy,
                                 enum rmq_settle how, const char *reason,
                                 struct rmq_mono now) {
  if (policy == RMQ_FAILURE_QUARANTINE && !r->is_stream)
    how = RMQ_SETTLE_DEAD_LETTER;
  struct rmq_error becomes = {""};
  rmq_error_set(&becomes, ", and this one is %s", fate(r, how));
  complain(r, becomes.text, reason, now);
  return how;
}

enum rmq_settle rmq_rejections_file(struct rmq_rejections *r,
                                    enum rmq_on_failure policy,
                                    const struct rmq_delivery *d,
                                    enum rmq_rejection cause,
                                    const char *detail, enum rmq_settle how,
                                    struct rmq_mono now) {
  r->filed_as = NULL;
  if (r->quarantine == NULL || how == RMQ_SETTLE_REQUEUE)
    return how;
  struct rmq_error why = {""};
  struct rmq_buf reason;
  rmq_buf_init(&reason, LINE_BYTES);
  rmq_buf_append_text(&reason, rmq_rejection_meaning(cause));
  if (detail[0] != '\0')
    rmq_buf_appendf(&reason, ": %s", detail);
  const struct rmq_quarantine_item item = {
      .delivery = d,
      .cause = rmq_rejection_to_str(cause),
      .reason = rmq_buf_text(&reason),
      .now = r->log->host->wall(r->log->host->ctx),
      .now_mono = now};
  enum rmq_quarantine_verdict verdict =
      rmq_quarantine_put(r->quarantine, &item, &r->filed_as, &why);
  rmq_buf_fini(&reason);
  switch (verdict) {
  case RMQ_QUARANTINE_FILED:
    r->filed.filed++;
    recover(r);
    return how;
  case RMQ_QUARANTINE_FULL:
    r->filed.full++;
    rmq_error_set(&why, "QuarantineDir is full; take files out of it, or raise "
                        "QuarantineMaxBytes");
    break;
  case RMQ_QUARANTINE_FAILED:
    r->filed.failed++;
    break;
  }
  return not_filed(r, policy, how, why.text, now);
}

static void append_missed(struct rmq_buf *line, uint64_t missed) {
  if (missed > 0)
    rmq_buf_appendf(line, " (and %llu others since the last such line)",
                    (unsigned long long)missed);
}

static const char *unless_empty(const char *text) {
  return text[0] == '\0' ? NULL : text;
}

static void write_about(struct rmq_rejections *r, const struct rmq_delivery *d,
                        const char *event, struct rmq_buf *line) {
  char trace_id[RMQ_TRACE_ID_SIZE];
  bool has_trace =
      rmq_uuid_trace_id(d->traceparent, strlen(d->traceparent), trace_id);
  rmq_session_log_write(r->log, &(struct rmq_log_record){
                                    .level = RMQ_LOG_WARNING,
                                    .event = event,
                                    .delivery_tag = d->tag,
                                    .message_id = unless_empty(d->message_id),
                                    .trace_id = has_trace ? trace_id : NULL,
                                    .message = rmq_buf_text(line)});
}

void rmq_rejections_log(struct rmq_rejections *r, const struct rmq_delivery *d,
                        enum rmq_rejection cause, const char *detail,
                        enum rmq_settle how, struct rmq_mono now) {
  uint64_t missed = 0;
  if (!take_line(&r->budgets[cause], LINES_PER_SPAN, now, &missed))
    return;
  struct rmq_buf line;
  rmq_buf_init(&line, LINE_BYTES);
  rmq_buf_appendf(&line, "message of %llu bytes with routing key \"%s\" %s",
                  (unsigned long long)d->body_size, d->routing_key,
                  fate(r, how));
  if (r->filed_as != NULL)
    rmq_buf_appendf(&line, " and filed as %s", r->filed_as);
  rmq_buf_appendf(&line, ": %s", rmq_rejection_meaning(cause));
  if (detail[0] != '\0')
    rmq_buf_appendf(&line, ": %s", detail);
  append_missed(&line, missed);
  write_about(r, d, "rejected", &line);
  rmq_buf_fini(&line);
}

void rmq_rejections_log_mixed(struct rmq_rejections *r,
                              const struct rmq_delivery *d, size_t bad,
                              const char *detail, struct rmq_mono now) {
  uint64_t missed = 0;
  if (!take_line(&r->mixed, LINES_PER_SPAN, now, &missed))
    return;
  struct rmq_buf line;
  rmq_buf_init(&line, LINE_BYTES);
  rmq_buf_appendf(&line,
                  "%zu record%s of a message of %llu bytes with routing key "
                  "\"%s\" not taken, the others are: %s",
                  bad, bad == 1 ? "" : "s", (unsigned long long)d->body_size,
                  d->routing_key, detail);
  append_missed(&line, missed);
  write_about(r, d, "mixed", &line);
  rmq_buf_fini(&line);
}

void rmq_rejections_log_failed(struct rmq_rejections *r, const char *about,
                               enum rmq_settle how, struct rmq_mono now) {
  uint64_t missed = 0;
  if (!take_line(&r->budgets[RMQ_REJECTION_dispatch], LINES_PER_SPAN, now,
                 &missed))
    return;
  struct rmq_buf line;
  rmq_buf_init(&line, LINE_BYTES);
  rmq_buf_appendf(&line, "message %s: %s", fate(r, how), about);
  append_missed(&line, missed);
  rmq_session_log_write(
      r->log, &(struct rmq_log_record){.level = RMQ_LOG_WARNING,
                                       .event = "rejected",
                                       .message = rmq_buf_text(&line)});
  rmq_buf_fini(&line);
}

void rmq_rejections_log_rate(struct rmq_rejections *r, struct rmq_mono now) {
  uint64_t missed = 0;
  if (!take_line(&r->rate, 1, now, &missed))
    return;
  struct rmq_buf line;
  rmq_buf_init(&line, LINE_BYTES);
  rmq_buf_append_text(&line, "a notification from a message is dropped: there "
                             "are more than NotificationRate in a second");
  append_missed(&line, missed);
  rmq_session_log_write(
      r->log, &(struct rmq_log_record){.level = RMQ_LOG_WARNING,
                                       .event = "notification_rate",
                                       .message = rmq_buf_text(&line)});
  rmq_buf_fini(&line);
}

static const char *fate_of_overdue(const struct rmq_rejections *r,
                                   const struct rmq_overdue *o) {
  if (o->settled == 0)
    return "given up, which the broker had to give out again anyway";
  return o->how == RMQ_SETTLE_DROP ? "acknowledged" : fate(r, o->how);
}

static const char who_stops[] =
    "does a filter chain (PreCacheChain, PostCacheChain) stop them?";

static void write_late(struct rmq_rejections *r, const char *message_id,
                       struct rmq_buf *line) {
  rmq_session_log_write(
      r->log, &(struct rmq_log_record){.level = RMQ_LOG_ERROR,
                                       .event = "written_timeout",
                                       .message_id = unless_empty(message_id),
                                       .message = rmq_buf_text(line)});
}

void rmq_rejections_log_overdue(struct rmq_rejections *r,
                                const struct rmq_overdue *overdue,
                                struct rmq_mono now) {
  uint64_t missed = 0;
  if (!take_line(&r->budgets[RMQ_REJECTION_timeout], 1, now, &missed))
    return;
  struct rmq_buf line;
  rmq_buf_init(&line, LINE_BYTES);
  rmq_buf_appendf(&line,
                  "a message is %s: not all of its values came back from the "
                  "writers within %.0f s; %s",
                  fate_of_overdue(r, overdue),
                  rmq_dur_seconds(overdue->timeout), who_stops);
  append_missed(&line, missed);
  write_late(r, overdue->message_id, &line);
  rmq_buf_fini(&line);
}

void rmq_rejections_log_unreturned(struct rmq_rejections *r, int64_t values,
                                   struct rmq_dur timeout,
                                   struct rmq_mono now) {
  uint64_t missed = 0;
  if (!take_line(&r->unreturned, 1, now, &missed))
    return;
  struct rmq_buf line;
  rmq_buf_init(&line, LINE_BYTES);
  rmq_buf_appendf(&line,
                  "%lld value%s of a message that is settled already did not "
                  "come back from the writers within %.0f s; %s",
                  (long long)values, values == 1 ? "" : "s",
                  rmq_dur_seconds(timeout), who_stops);
  append_missed(&line, missed);
  write_late(r, "", &line);
  rmq_buf_fini(&line);
}

void rmq_rejections_log_postponed(struct rmq_rejections *r,
                                  const struct rmq_delivery *d,
                                  struct rmq_mono now) {
  uint64_t missed = 0;
  if (!take_line(&r->postponed, 1, now, &missed))
    return;
  struct rmq_buf line;
  rmq_buf_init(&line, LINE_BYTES);
  rmq_buf_append_text(
      &line,
      "a message is given back after a second, and comes again: too many "
      "others, of connections that broke meanwhile, are not done yet");
  append_missed(&line, missed);
  write_about(r, d, "postponed", &line);
  rmq_buf_fini(&line);
}
