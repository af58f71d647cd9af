/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/consume_print.h"

#include "common/base/utf8.h"
#include "common/base/uuid.h"
#include "common/codec/amqp1.h"
#include "common/codec/influx_line.h"
#include "common/codec/quote.h"
#include "common/role/consume_format.h"
#include "common/role/delivery_json.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const rmq_print_words[] = {"raw", "influx", "json", NULL};

const char *rmq_print_form_to_str(enum rmq_print_form f) {
  switch (f) {
  case RMQ_PRINT_RAW:
    return rmq_print_words[RMQ_PRINT_RAW];
  case RMQ_PRINT_INFLUX:
    return rmq_print_words[RMQ_PRINT_INFLUX];
  case RMQ_PRINT_JSON:
    return rmq_print_words[RMQ_PRINT_JSON];
  }
  return "unknown";
}

struct rmq_consume_print {
  enum rmq_print_form form;
  struct rmq_consume_format format;
  struct rmq_types types;
  struct rmq_influx_line line;
};

struct rmq_consume_print *
rmq_consume_print_new(const struct rmq_consume_options *options,
                      enum rmq_print_form form, const struct rmq_types *types) {
  struct rmq_consume_print *p = calloc(1, sizeof(*p));
  if (p == NULL)
    return NULL;
  p->form = form;
  p->types = *types;
  rmq_consume_format_init(&p->format, options);
  return p;
}

void rmq_consume_print_free(struct rmq_consume_print *p) {
  if (p == NULL)
    return;
  rmq_consume_format_fini(&p->format);
  free(p);
}

/* ---- line protocol ---- */

struct printing {
  struct rmq_consume_print *print;
  struct rmq_buf *out;
  bool is_unsayable;
};

/* What is line protocol stays as it is, if it is that. */
static int copy_lines(const struct rmq_codec_input *in,
                      const struct rmq_codec_sink *sink,
                      struct rmq_error *err) {
  struct printing *job = sink->ctx;
  char *text = malloc(in->len + 1); /* the reader takes it apart */
  if (text == NULL)
    return RMQ_CODEC_NO_MEMORY;
  if (in->len > 0)
    memcpy(text, in->bytes, in->len);
  struct rmq_influx_text lines = {.at = text, .end = text + in->len};
  int rc = 0;
  size_t count = 0;
  while (rc >= 0 && lines.at < lines.end) {
    rc = rmq_influx_line_read(&lines, &job->print->line, err);
    count += rc > 0;
  }
  free(text);
  if (rc >= 0 && count == 0)
    return rmq_error_set(err, "there is no line in it");
  if (rc < 0 || rmq_buf_append(job->out, in->bytes, in->len) != 0)
    return -1;
  return in->bytes[in->len - 1] == '\n' ? 0
                                        : rmq_buf_append_char(job->out, '\n');
}

static const struct rmq_codec lines_as_they_are = {.decode = copy_lines};

static void put_sample(void *ctx, const struct rmq_sample *s) {
  struct printing *job = ctx;
  if (rmq_codec_influx.encode(s, &rmq_codec_style_default, job->out) != 0 &&
      !job->out->failed)
    job->is_unsayable = true;
}

static int print_influx(struct rmq_consume_print *p,
                        const struct rmq_delivery *d, struct rmq_buf *out,
                        struct rmq_error *err) {
  enum rmq_rejection cause = RMQ_REJECTION_parse;
  struct rmq_error detail = {""};
  const struct rmq_codec *codec =
      rmq_consume_format_choose(&p->format, d, &cause, &detail);
  if (codec == NULL)
    return rmq_error_set(err, "%s: %s", rmq_rejection_meaning(cause),
                         detail.text);
  if (codec == &rmq_codec_influx)
    codec = &lines_as_they_are;
  struct printing job = {.print = p, .out = out};
  const struct rmq_codec_sink sink = {.ctx = &job, .sample = put_sample};
  int rc =
      rmq_consume_format_decode(&p->format, codec, d, &p->types, &sink, err);
  if (rc == RMQ_CODEC_NO_MEMORY)
    out->failed = true;
  if (rc != 0 || out->failed)
    return -1;
  return job.is_unsayable ? rmq_error_set(err, "a name in it cannot be said in "
                                               "line protocol")
                          : 0;
}

/* ---- bodies ---- */

/* What AMQP 1.0 senders put around it is not theirs to see who read it here. */
static struct rmq_span body_of(const struct rmq_delivery *d) {
  struct rmq_span body = d->body;
  struct rmq_error ignored = {""};
  if (d->is_amqp1 && body.len > 0 && body.bytes[0] == '\0' &&
      rmq_amqp1_unwrap(&body.bytes, &body.len, &ignored) != 0)
    return d->body;
  return body;
}

static bool is_text(const struct rmq_delivery *d, struct rmq_span body) {
  return d->content_encoding[0] == '\0' &&
         rmq_utf8_is_valid(body.bytes, body.len) &&
         memchr(body.bytes, '\0', body.len) == NULL;
}

static void put_body(struct rmq_delivery_json *m,
                     const struct rmq_delivery *d) {
  struct rmq_span body = body_of(d);
  if (body.len > 0 && !is_text(d, body)) {
    rmq_delivery_json_begin(m, "body_base64");
    rmq_buf_append_char(m->out, '"');
    rmq_quote_base64(m->out, body.bytes, body.len);
    rmq_buf_append_char(m->out, '"');
    return;
  }
  char *text = strndup(body.len == 0 ? "" : body.bytes, body.len);
  if (text == NULL) {
    m->out->failed = true;
    return;
  }
  rmq_delivery_json_text(m, "body", text);
  free(text);
}

static int print_json(const struct rmq_delivery *d, struct rmq_buf *out) {
  struct rmq_delivery_json m = {.out = out}, inner = {.out = out};
  char trace_id[RMQ_TRACE_ID_SIZE];
  rmq_buf_append_char(out, '{');
  rmq_delivery_json_text(&m, "exchange", d->exchange);
  rmq_delivery_json_text(&m, "routing_key", d->routing_key);
  rmq_delivery_json_begin(&m, "redelivered");
  rmq_buf_append_text(out, d->is_redelivered ? "true" : "false");
  if (d->delivery_count >= 0)
    rmq_delivery_json_number(&m, "delivery_count", d->delivery_count);
  rmq_delivery_json_begin(&m, "properties");
  rmq_buf_append_char(out, '{');
  rmq_delivery_json_properties(&inner, d);
  rmq_buf_append_char(out, '}');
  if (d->kept != NULL) {
    rmq_delivery_json_begin(&m, "headers");
    rmq_delivery_json_headers(d->kept, NULL, out);
    if (d->kept->is_cut)
      rmq_delivery_json_text(&m, "headers_note", "there were more");
  }
  if (rmq_uuid_trace_id(d->traceparent, strlen(d->traceparent), trace_id))
    rmq_delivery_json_text(&m, "trace_id", trace_id);
  put_body(&m, d);
  rmq_buf_append_char(out, '}');
  return out->failed ? -1 : 0;
}

int rmq_consume_print(struct rmq_consume_print *p, const struct rmq_delivery *d,
                      struct rmq_buf *out, struct rmq_error *err) {
  struct rmq_span body = body_of(d);
  switch (p->form) {
  case RMQ_PRINT_RAW:
    return rmq_buf_append(out, body.bytes, body.len);
  case RMQ_PRINT_INFLUX:
    return print_influx(p, d, out, err);
  case RMQ_PRINT_JSON:
    return print_json(d, out);
  }
  return -1;
}

/* ---- environment ---- */

/* Texts of properties have no NUL in front of their end. */
static void put_variable(struct rmq_buf *out, const char *name,
                         const char *value) {
  if (value[0] == '\0')
    return;
  rmq_buf_appendf(out, "%s=", name);
  rmq_buf_append(out, value, strlen(value) + 1);
}

static void put_number(struct rmq_buf *out, const char *name, int64_t number) {
  rmq_buf_appendf(out, "%s=%" PRIi64, name, number);
  rmq_buf_append_char(out, '\0');
}

static bool is_plain_name(struct rmq_span name) {
  for (size_t i = 0; i < name.len; i++)
    if (!isalnum((unsigned char)name.bytes[i]) && name.bytes[i] != '-' &&
        name.bytes[i] != '_')
      return false;
  return name.len > 0;
}

static void put_header(struct rmq_buf *out, const struct rmq_wire_header *h) {
  if (h->type == RMQ_HEADER_OTHER || !is_plain_name(h->name))
    return;
  rmq_buf_append_text(out, "WARREN_HEADER_");
  for (size_t i = 0; i < h->name.len; i++) {
    char c = h->name.bytes[i];
    rmq_buf_append_char(out, c == '-' ? '_' : (char)toupper((unsigned char)c));
  }
  if (h->type == RMQ_HEADER_INTEGER)
    rmq_buf_appendf(out, "=%" PRIi64, h->integer);
  else {
    rmq_buf_append_char(out, '=');
    if (h->string.len > 0)
      rmq_buf_append(out, h->string.bytes,
                     strnlen(h->string.bytes, h->string.len));
  }
  rmq_buf_append_char(out, '\0');
}

static void put_kept(struct rmq_buf *out, const struct rmq_kept *k) {
  put_variable(out, "WARREN_CORRELATION_ID", k->correlation_id);
  put_variable(out, "WARREN_REPLY_TO", k->reply_to);
  put_variable(out, "WARREN_TYPE", k->type);
  put_variable(out, "WARREN_APP_ID", k->app_id);
  put_variable(out, "WARREN_EXPIRATION", k->expiration);
  if (k->priority >= 0)
    put_number(out, "WARREN_PRIORITY", k->priority);
  for (size_t i = 0; i < k->headers_count; i++)
    put_header(out, &k->headers[i]);
}

int rmq_consume_print_environment(const struct rmq_delivery *d,
                                  struct rmq_buf *out) {
  put_variable(out, "WARREN_EXCHANGE", d->exchange);
  put_variable(out, "WARREN_ROUTING_KEY", d->routing_key);
  put_variable(out, "WARREN_REDELIVERED", d->is_redelivered ? "1" : "0");
  put_variable(out, "WARREN_CONTENT_TYPE", d->content_type);
  put_variable(out, "WARREN_CONTENT_ENCODING", d->content_encoding);
  put_variable(out, "WARREN_MESSAGE_ID", d->message_id);
  put_variable(out, "WARREN_USER_ID", d->user_id);
  put_variable(out, "TRACEPARENT", d->traceparent);
  if (d->has_timestamp)
    put_number(out, "WARREN_TIMESTAMP_MS", d->timestamp_ms);
  if (d->delivery_count >= 0)
    put_number(out, "WARREN_DELIVERY_COUNT", d->delivery_count);
  if (d->kept != NULL)
    put_kept(out, d->kept);
  return out->failed ? -1 : 0;
}

void rmq_consume_print_name(const struct rmq_delivery *d, char *ret_text,
                            size_t size) {
  snprintf(ret_text, size, "%s%.100s%swith routing key \"%.80s\"",
           d->message_id[0] != '\0' ? "id " : "", d->message_id,
           d->message_id[0] != '\0' ? " " : "", d->routing_key);
}
