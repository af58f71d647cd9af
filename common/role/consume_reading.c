/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/consume_reading.h"

#include <string.h>

const struct rmq_codec *
rmq_reading_choose(const struct rmq_consume_format *format,
                   const struct rmq_consume_filter *filter,
                   const struct rmq_delivery *d, enum rmq_rejection *ret_cause,
                   struct rmq_error *detail) {
  const struct rmq_codec *codec =
      rmq_consume_format_choose(format, d, ret_cause, detail);
  if (codec == NULL || rmq_consume_filter_takes_user(filter, d->user_id))
    return codec;
  *ret_cause = RMQ_REJECTION_user_id;
  rmq_error_set(detail, "%s",
                d->user_id[0] == '\0' ? "it has none" : d->user_id);
  return NULL;
}

struct job {
  const struct rmq_trust_options *options;
  struct rmq_consume_filter *filter;
  const struct rmq_reading_sink *sink;
  struct rmq_reading *reading;
  enum rmq_refusal refusal; /* of the record that is being read */
  bool has_unreadable;
};

static bool check(void *ctx, struct rmq_sample *s, struct rmq_error *err) {
  struct job *j = ctx;
  j->refusal = rmq_consume_filter_check(j->filter, &s->id, s->time, err);
  return j->refusal == RMQ_REFUSAL_none;
}

static bool check_event(void *ctx, struct rmq_event *e, struct rmq_error *err) {
  struct job *j = ctx;
  if (!j->options->notifications) {
    rmq_error_set(err, "a notification, and Notifications is off");
    j->refusal = RMQ_REFUSAL_notification;
    return false;
  }
  j->refusal = rmq_consume_filter_check(j->filter, &e->id, e->time, err);
  return j->refusal == RMQ_REFUSAL_none;
}

static void bad(void *ctx, const struct rmq_error *err) {
  struct job *j = ctx;
  enum rmq_refusal why = j->refusal;
  j->refusal = RMQ_REFUSAL_none;
  if (why == RMQ_REFUSAL_none) {
    why = RMQ_REFUSAL_parse;
    j->has_unreadable = true;
  }
  j->reading->bad++;
  j->reading->refused[why - 1]++;
  rmq_error_set(&j->reading->err, "%s", err->text);
}

static bool is_void(const struct job *j) {
  return j->reading->bad > 0 &&
         j->options->on_mixed_message == RMQ_MIXED_REJECT;
}

static void sample(void *ctx, const struct rmq_sample *s) {
  const struct job *j = ctx;
  if (is_void(j))
    return;
  struct rmq_sample own = *s;
  own.id.host = rmq_consume_filter_host(j->filter, s->id.host);
  j->sink->sample(j->sink->ctx, &own);
}

static void event(void *ctx, const struct rmq_event *e) {
  const struct job *j = ctx;
  if (is_void(j))
    return;
  struct rmq_event own = *e;
  own.id.host = rmq_consume_filter_host(j->filter, e->id.host);
  j->sink->event(j->sink->ctx, &own);
}

/* The message comes again, and its records with it. */
static void forget_records(struct rmq_reading *r) {
  r->bad = 0;
  memset(r->refused, 0, sizeof(r->refused));
  r->cause = RMQ_REJECTION_memory;
}

int rmq_reading_run(struct rmq_consume_format *format,
                    const struct rmq_reading_message *message,
                    const struct rmq_trust_options *options,
                    struct rmq_consume_filter *filter,
                    const struct rmq_reading_sink *sink,
                    struct rmq_reading *ret_reading) {
  *ret_reading = (struct rmq_reading){.bad = 0};
  struct job job = {.options = options,
                    .filter = filter,
                    .sink = sink,
                    .reading = ret_reading};
  const struct rmq_codec_sink decoded = {.ctx = &job,
                                         .check = check,
                                         .check_event = check_event,
                                         .bad = bad,
                                         .sample = sample,
                                         .event = event};
  int rc =
      rmq_consume_format_decode(format, message->codec, message->delivery,
                                message->types, &decoded, &ret_reading->err);
  if (rc == 0 && !is_void(&job))
    return 0;
  if (rc == RMQ_CODEC_NO_MEMORY)
    forget_records(ret_reading);
  else if (rc == 0)
    ret_reading->cause = RMQ_REJECTION_mixed;
  else if (ret_reading->bad > 0 && !job.has_unreadable)
    ret_reading->cause = RMQ_REJECTION_refused;
  else
    ret_reading->cause = RMQ_REJECTION_parse;
  return -1;
}
