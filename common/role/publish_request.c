/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/publish_request.h"

#include "common/base/units.h"
#include "common/base/utf8.h"
#include "common/base/uuid.h"

#include <string.h>
#include <strings.h>

/* As RabbitMQ's own HTTP API calls the exchange without a name. */
static const char default_exchange[] = "amq.default";
static const char header_prefix[] = "X-Header-";

const char *rmq_publish_wish_to_str(enum rmq_publish_wish w) {
  switch (w) {
  case RMQ_PUBLISH_WISH_MESSAGE:
    return "message";
  case RMQ_PUBLISH_WISH_HEALTH:
    return "health";
  case RMQ_PUBLISH_WISH_METRICS:
    return "metrics";
  case RMQ_PUBLISH_WISH_UNKNOWN:
    return "unknown";
  case RMQ_PUBLISH_WISH_METHOD:
    return "method";
  case RMQ_PUBLISH_WISH_BAD:
    return "bad";
  }
  return "?";
}

/* ---- path and query ---- */

static int read_path(struct rmq_publish_request *r, struct rmq_error *err) {
  const struct rmq_http_target *t = &r->target;
  const char *key = t->segments_count > 2 ? t->segments[2] : "";
  if (t->segments_count < 2 || t->segments_count > 3)
    return rmq_error_set(err, "the path is /publish/EXCHANGE/ROUTING-KEY; a / "
                              "in one of them is written %%2F");
  const char *exchange = t->segments[1];
  if (exchange[0] == '\0')
    return rmq_error_set(err,
                         "the exchange is missing; the default exchange "
                         "is called %s here",
                         default_exchange);
  if (strlen(exchange) > RMQ_ENVELOPE_TEXT_MAX ||
      strlen(key) > RMQ_ENVELOPE_TEXT_MAX)
    return rmq_error_set(err, "exchange and routing key have at most %d bytes",
                         RMQ_ENVELOPE_TEXT_MAX);
  r->message.exchange = strcmp(exchange, default_exchange) == 0 ? "" : exchange;
  r->message.routing_key = key;
  return 0;
}

static int read_parameter(struct rmq_publish_request *r,
                          const struct rmq_http_parameter *p,
                          struct rmq_error *err) {
  if (strcmp(p->name, "wait") == 0) {
    r->wants_confirm = strcmp(p->value, "confirm") == 0;
    if (!r->wants_confirm)
      return rmq_error_set(err, "wait is \"confirm\" or is left out");
    return 0;
  }
  if (strcmp(p->name, "timeout") != 0)
    return rmq_error_set(err, "the query has wait=confirm and timeout=SECONDS, "
                              "and nothing else");
  struct rmq_dur timeout;
  if (rmq_units_parse_duration(p->value, &timeout) != 0 || timeout.ns <= 0 ||
      timeout.ns > RMQ_PUBLISH_TIMEOUT_MAX.ns)
    return rmq_error_set(err,
                         "timeout is a number of seconds, over 0 and up "
                         "to %d",
                         (int)(RMQ_PUBLISH_TIMEOUT_MAX.ns / RMQ_NS_PER_S));
  r->timeout = timeout;
  return 0;
}

static enum rmq_publish_wish begin_message(struct rmq_publish_request *r,
                                           const char *method,
                                           struct rmq_error *err) {
  if (strcmp(method, "POST") != 0 && strcmp(method, "PUT") != 0)
    return RMQ_PUBLISH_WISH_METHOD;
  if (read_path(r, err) != 0)
    return RMQ_PUBLISH_WISH_BAD;
  for (size_t i = 0; i < r->target.parameters_count; i++)
    if (read_parameter(r, &r->target.parameters[i], err) != 0)
      return RMQ_PUBLISH_WISH_BAD;
  return RMQ_PUBLISH_WISH_MESSAGE;
}

enum rmq_publish_wish rmq_publish_request_begin(struct rmq_publish_request *r,
                                                const char *method,
                                                const char *target,
                                                struct rmq_dur timeout,
                                                struct rmq_error *err) {
  const struct rmq_http_target *t = &r->target;
  bool is_read = rmq_http_method_reads(method);
  r->wants_confirm = false;
  r->timeout = timeout;
  r->message = (struct rmq_outgoing){.exchange = NULL};
  r->texts_len = 0;
  if (rmq_http_target_parse(target, &r->target, err) != 0)
    return RMQ_PUBLISH_WISH_BAD;
  if (strcmp(t->segments[0], "publish") == 0)
    return begin_message(r, method, err);
  if (t->segments_count != 1)
    return RMQ_PUBLISH_WISH_UNKNOWN;
  if (strcmp(t->segments[0], "health") == 0)
    return is_read ? RMQ_PUBLISH_WISH_HEALTH : RMQ_PUBLISH_WISH_METHOD;
  if (strcmp(t->segments[0], "metrics") == 0)
    return is_read ? RMQ_PUBLISH_WISH_METRICS : RMQ_PUBLISH_WISH_METHOD;
  return RMQ_PUBLISH_WISH_UNKNOWN;
}

/* ---- headers ---- */

/* A copy that lives as long as r; lower case where that is wanted. */
static const char *keep(struct rmq_publish_request *r, const char *text,
                        bool is_lower, const char *name,
                        struct rmq_error *err) {
  size_t len = strlen(text);
  if (len > RMQ_ENVELOPE_TEXT_MAX || !rmq_utf8_is_valid(text, len)) {
    rmq_error_set(err,
                  "the header %.64s has more than %d bytes, or is not "
                  "UTF-8",
                  name, RMQ_ENVELOPE_TEXT_MAX);
    return NULL;
  }
  if (len + 1 > sizeof(r->texts) - r->texts_len) {
    rmq_error_set(err, "the headers have more than %zu bytes",
                  sizeof(r->texts));
    return NULL;
  }
  char *to = r->texts + r->texts_len;
  for (size_t i = 0; i <= len; i++)
    to[i] = is_lower && text[i] >= 'A' && text[i] <= 'Z'
                ? (char)(text[i] - 'A' + 'a')
                : text[i];
  r->texts_len += len + 1;
  return to;
}

/* Two headers that say the same thing differently are an error. */
static int set_text(struct rmq_publish_request *r, const char **field,
                    const char *name, const char *value,
                    struct rmq_error *err) {
  if (*field != NULL && strcmp(*field, value) != 0)
    return rmq_error_set(err, "the header %.64s contradicts another one", name);
  if (*field != NULL)
    return 0;
  const char *text = keep(r, value, false, name, err);
  if (text == NULL)
    return -1;
  *field = text;
  return 0;
}

static int add_header(struct rmq_publish_request *r, const char *key,
                      const char *name, const char *value,
                      struct rmq_error *err) {
  struct rmq_envelope *e = &r->message.envelope;
  const char *kept_key = keep(r, key, true, name, err);
  const char *kept_value = keep(r, value, false, name, err);
  if (kept_key == NULL || kept_value == NULL)
    return -1;
  if (key[0] == '\0' || strcmp(kept_key, "traceparent") == 0 ||
      strcmp(kept_key, "timestamp_in_ms") == 0)
    return rmq_error_set(err, "the header %.64s names none of yours", name);
  for (size_t i = 0; i < e->headers_count; i++)
    if (strcmp(r->headers[i].name, kept_key) == 0)
      return rmq_error_set(err, "the header %.64s is there twice", name);
  if (e->headers_count == RMQ_ENVELOPE_HEADERS_MAX)
    return rmq_error_set(err, "there are more than %d headers for the message",
                         RMQ_ENVELOPE_HEADERS_MAX);
  /* The texts are not written to: the struct serves configurations, too. */
  r->headers[e->headers_count++] =
      (struct rmq_argument){.name = (char *)(uintptr_t)kept_key,
                            .type = RMQ_ARG_STRING,
                            .string = (char *)(uintptr_t)kept_value};
  e->headers = r->headers;
  return 0;
}

static int set_number(const char *name, const char *value, int64_t min,
                      int64_t max, int64_t *ret_number, struct rmq_error *err) {
  int64_t number;
  if (rmq_units_parse_integer(value, &number) != 0 || number < min ||
      number > max)
    return rmq_error_set(err, "the header %.64s is a number from %lld to %lld",
                         name, (long long)min, (long long)max);
  *ret_number = number;
  return 0;
}

static int set_priority(struct rmq_publish_request *r, const char *name,
                        const char *value, struct rmq_error *err) {
  int64_t number = 0;
  if (set_number(name, value, 0, UINT8_MAX, &number, err) != 0)
    return -1;
  r->message.envelope.priority = (uint8_t)number;
  return 0;
}

/* The standard has a traceparent that is not one ignored, not refused. */
static int set_trace(struct rmq_publish_request *r, const char *name,
                     const char *value, struct rmq_error *err) {
  char id[RMQ_TRACE_ID_SIZE];
  if (!rmq_uuid_trace_id(value, strlen(value), id) ||
      strlen(value) > RMQ_ENVELOPE_TEXT_MAX)
    return 0;
  return set_text(r, &r->message.envelope.traceparent, name, value, err);
}

int rmq_publish_request_header(struct rmq_publish_request *r, const char *name,
                               const char *value, struct rmq_error *err) {
  struct rmq_outgoing *m = &r->message;
  const struct {
    const char *name;
    const char **field;
  } texts[] = {{"Content-Type", &m->content_type},
               {"Content-Encoding", &m->content_encoding},
               {"X-Message-Id", &m->message_id},
               {"Idempotency-Key", &m->message_id},
               {"X-Correlation-Id", &m->envelope.correlation_id},
               {"X-Reply-To", &m->envelope.reply_to},
               {"X-Type", &m->envelope.type}};
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
    if (strcasecmp(name, texts[i].name) == 0)
      return value[0] == '\0' ? 0
                              : set_text(r, texts[i].field, name, value, err);
  if (strcasecmp(name, "X-Priority") == 0)
    return set_priority(r, name, value, err);
  if (strcasecmp(name, "X-Expiration") == 0)
    /* What may not wait at all cannot be kept here: 0 is nobody's wish. */
    return set_number(name, value, 1, INT64_C(4294967295),
                      &m->envelope.expiration_ms, err);
  if (strcasecmp(name, "traceparent") == 0)
    return set_trace(r, name, value, err);
  size_t prefix = sizeof(header_prefix) - 1;
  if (strncasecmp(name, header_prefix, prefix) == 0)
    return add_header(r, name + prefix, name, value, err);
  return 0;
}

int rmq_publish_request_end(struct rmq_publish_request *r,
                            struct rmq_error *err) {
  struct rmq_outgoing *m = &r->message;
  size_t bytes = 0;
  if (m->content_encoding != NULL &&
      strcasecmp(m->content_encoding, "identity") == 0)
    m->content_encoding = NULL;
  for (size_t i = 0; i < m->envelope.headers_count; i++)
    bytes += strlen(r->headers[i].name) + strlen(r->headers[i].string);
  if (bytes > RMQ_ENVELOPE_HEADERS_BYTES)
    return rmq_error_set(err,
                         "the headers for the message have more than %d "
                         "bytes",
                         RMQ_ENVELOPE_HEADERS_BYTES);
  return 0;
}
