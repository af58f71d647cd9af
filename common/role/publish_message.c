/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/publish_message.h"

#include "common/base/uuid.h"
#include "common/role/publish_spool.h"

#include <string.h>

enum {
  SHORT_MAX = 255,
  BODY_MAX = 128 << 20, /* RabbitMQ takes less */
  /* Key, extras and what is counted for each message. */
  BESIDES_MAX =
      RMQ_MESSAGE_OVERHEAD + RMQ_ENVELOPE_BYTES_MAX + 3 * (SHORT_MAX + 1)
};

const char *rmq_publish_answer_to_str(enum rmq_publish_answer a) {
  switch (a) {
  case RMQ_PUBLISH_TAKEN:
    return "taken";
  case RMQ_PUBLISH_FULL:
    return "full";
  case RMQ_PUBLISH_TOO_LARGE:
    return "too large";
  case RMQ_PUBLISH_INVALID:
    return "invalid";
  case RMQ_PUBLISH_ENDING:
    return "ending";
  case RMQ_PUBLISH_NO_MEMORY:
    return "no memory";
  }
  return "unknown";
}

uint64_t
rmq_publish_message_body_max(const struct rmq_publish_options *options) {
  uint64_t most = (uint64_t)(options->send_queue_bytes / options->connections) -
                  BESIDES_MAX;
  if (most > BODY_MAX)
    most = BODY_MAX;
  if (rmq_publish_spool_mode(options) == RMQ_SPOOL_NONE)
    return most;
  uint64_t spool =
      rmq_spool_body_max((uint64_t)options->spool_max_bytes) - BESIDES_MAX;
  return spool < most ? spool : most;
}

static int check_short(const char *what, const char *text,
                       struct rmq_error *err) {
  if (text == NULL || strlen(text) <= SHORT_MAX)
    return 0;
  return rmq_error_set(err, "%s is longer than %d bytes", what, SHORT_MAX);
}

static int check_texts(const struct rmq_outgoing *out, struct rmq_error *err) {
  const struct rmq_envelope *e = &out->envelope;
  int rc = check_short("exchange", out->exchange, err);
  rc |= check_short("routing key", out->routing_key, err);
  rc |= check_short("content_type", out->content_type, err);
  rc |= check_short("content_encoding", out->content_encoding, err);
  rc |= check_short("message_id", out->message_id, err);
  rc |= check_short("type", e->type, err);
  rc |= check_short("correlation_id", e->correlation_id, err);
  rc |= check_short("reply_to", e->reply_to, err);
  return rc;
}

static int check_headers(const struct rmq_envelope *e, struct rmq_error *err) {
  size_t bytes = 0;
  for (size_t i = 0; i < e->headers_count; i++) {
    const struct rmq_argument *a = &e->headers[i];
    if (strcmp(a->name, "timestamp_in_ms") == 0 ||
        strcmp(a->name, "traceparent") == 0)
      return rmq_error_set(err, "header %s is set by us", a->name);
    if (check_short("the name of a header", a->name, err) != 0)
      return -1;
    bytes += strlen(a->name) + (a->string != NULL ? strlen(a->string) : 8);
  }
  if (e->headers_count <= RMQ_ENVELOPE_HEADERS_MAX &&
      bytes <= RMQ_ENVELOPE_HEADERS_BYTES)
    return 0;
  return rmq_error_set(err,
                       "%zu headers of %zu bytes; at most %d headers of %d "
                       "bytes in all are allowed",
                       e->headers_count, bytes, RMQ_ENVELOPE_HEADERS_MAX,
                       RMQ_ENVELOPE_HEADERS_BYTES);
}

static bool is_trace(const char *traceparent) {
  char ignored[RMQ_TRACE_ID_SIZE];
  return traceparent != NULL && strlen(traceparent) <= SHORT_MAX &&
         rmq_uuid_trace_id(traceparent, strlen(traceparent), ignored);
}

static const char *or_null(const char *text) {
  return text != NULL && text[0] != '\0' ? text : NULL;
}

static struct rmq_message *build(const struct rmq_outgoing *out,
                                 const struct rmq_buf *packed) {
  const struct rmq_message_parts parts = {
      .key = out->routing_key == NULL ? "" : out->routing_key,
      .content_type = or_null(out->content_type),
      .content_encoding = or_null(out->content_encoding),
      .exchange = out->exchange,
      .id = or_null(out->message_id),
      .envelope = rmq_buf_bytes(packed),
      .envelope_len = packed->len,
      .body = out->body,
      .body_len = out->body_len};
  struct rmq_message *m = rmq_message_build(&parts);
  if (m == NULL)
    return NULL;
  m->tag = out->tag;
  m->max_refusals = out->max_attempts;
  m->latency.ns = -1;
  return m;
}

enum rmq_publish_answer
rmq_publish_message_build(const struct rmq_outgoing *out,
                          struct rmq_message **ret_m, struct rmq_error *err) {
  struct rmq_envelope e = out->envelope;
  struct rmq_buf packed;
  if (check_texts(out, err) != 0 || check_headers(&e, err) != 0)
    return RMQ_PUBLISH_INVALID;
  if (!is_trace(e.traceparent))
    e.traceparent = NULL;
  rmq_buf_init(&packed, RMQ_ENVELOPE_BYTES_MAX);
  struct rmq_message *m =
      rmq_envelope_pack(&e, &packed) == 0 ? build(out, &packed) : NULL;
  rmq_buf_fini(&packed);
  if (m == NULL)
    return RMQ_PUBLISH_NO_MEMORY;
  *ret_m = m;
  return RMQ_PUBLISH_TAKEN;
}
