/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/codec.h"

#include "common/codec/codec_json_decode.h"
#include "common/codec/codec_json_event.h"
#include "common/codec/number.h"
#include "common/codec/quote.h"
#include "common/codec/samples.h"

#include <math.h>
#include <string.h>

/* Straight into the buffer, in the order of keys that collectd itself uses. */

#define LITERAL(out, text) rmq_buf_append(out, text, sizeof(text) - 1)

static size_t put_float(char *to, double v) {
  if (isfinite(v))
    return rmq_number_put_double(to, v);
  memcpy(to, "null", 4);
  return 4;
}

static size_t put_value(char *to, const struct rmq_sample *s, size_t i) {
  const struct rmq_datum *d = &s->values[i];
  if (s->rates != NULL && d->kind != RMQ_GAUGE)
    return put_float(to, s->rates[i]);
  switch (d->kind) {
  case RMQ_GAUGE:
    return put_float(to, d->value.gauge);
  case RMQ_DERIVE:
    return rmq_number_put_i64(to, d->value.derive);
  case RMQ_COUNTER:
    return rmq_number_put_u64(to, d->value.counter);
  case RMQ_ABSOLUTE:
    return rmq_number_put_u64(to, d->value.absolute);
  }
  return 0;
}

static int append_values(struct rmq_buf *out, const struct rmq_sample *s) {
  char text[1 + RMQ_NUMBER_MAX];
  int rc = LITERAL(out, "{\"values\":");
  for (size_t i = 0; rc == 0 && i < s->values_count; i++) {
    text[0] = i == 0 ? '[' : ',';
    size_t n = 1 + put_value(text + 1, s, i);
    rc = rmq_buf_append(out, text, n);
  }
  return rc;
}

static int append_sources(struct rmq_buf *out, const struct rmq_sample *s) {
  int rc = LITERAL(out, "],\"dstypes\":");
  for (size_t i = 0; rc == 0 && i < s->values_count; i++) {
    const char *word = rmq_kind_to_str(s->values[i].kind);
    if (rmq_buf_append_text(out, i == 0 ? "[\"" : ",\"") != 0 ||
        rmq_buf_append_text(out, word) != 0 ||
        rmq_buf_append_char(out, '"') != 0)
      rc = -1;
  }
  if (rc == 0)
    rc = LITERAL(out, "],\"dsnames\":");
  for (size_t i = 0; rc == 0 && i < s->values_count; i++)
    if (rmq_buf_append_char(out, i == 0 ? '[' : ',') != 0 ||
        rmq_quote_json(out, s->values[i].name) != 0)
      rc = -1;
  return rc;
}

static int append_seconds(struct rmq_buf *out, const char *key, int64_t ns) {
  char text[RMQ_NUMBER_MAX];
  if (rmq_buf_append_text(out, key) != 0)
    return -1;
  size_t n = rmq_number_put_seconds(text, ns);
  return rmq_buf_append(out, text, n);
}

static int append_identity(struct rmq_buf *out, const struct rmq_identity *id) {
  const char *const parts[][2] = {
      {",\"host\":", id->host},
      {",\"plugin\":", id->plugin},
      {",\"plugin_instance\":", id->plugin_instance},
      {",\"type\":", id->type},
      {",\"type_instance\":", id->type_instance},
  };
  for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
    if (rmq_buf_append_text(out, parts[i][0]) != 0 ||
        rmq_quote_json(out, parts[i][1]) != 0)
      return -1;
  return 0;
}

/* False for what JSON or our own reader would not take back. */
static bool meta_can_be_said(const struct rmq_meta *m) {
  return rmq_samples_key_is_safe(m->key, strlen(m->key)) &&
         (m->type != RMQ_META_DOUBLE || isfinite(m->value.number));
}

/* A double always looks like one, so that it stays one. */
static int append_meta_double(struct rmq_buf *out, double v) {
  char text[RMQ_NUMBER_MAX + 2];
  size_t n = rmq_number_put_double(text, v);
  if (memchr(text, '.', n) == NULL && memchr(text, 'e', n) == NULL) {
    text[n++] = '.';
    text[n++] = '0';
  }
  return rmq_buf_append(out, text, n);
}

static int append_meta_value(struct rmq_buf *out, const struct rmq_meta *m) {
  char scratch[RMQ_NUMBER_MAX];
  if (m->type == RMQ_META_STRING)
    return rmq_quote_json(out, m->value.string);
  if (m->type == RMQ_META_DOUBLE)
    return append_meta_double(out, m->value.number);
  return rmq_buf_append_text(out, rmq_samples_meta_text(m, scratch));
}

/* Nothing at all when no entry is left: an empty object helps nobody. */
static int append_meta(struct rmq_buf *out, const struct rmq_sample *s) {
  size_t written = 0;
  for (size_t i = 0; i < s->meta_count && written < RMQ_SAMPLE_META_MAX; i++) {
    const struct rmq_meta *m = &s->meta[i];
    if (!meta_can_be_said(m))
      continue;
    if (rmq_buf_append_text(out, written == 0 ? ",\"meta\":{" : ",") != 0 ||
        rmq_quote_json(out, m->key) != 0 ||
        rmq_buf_append_char(out, ':') != 0 || append_meta_value(out, m) != 0)
      return -1;
    written++;
  }
  return written == 0 ? 0 : rmq_buf_append_char(out, '}');
}

static int encode(const struct rmq_sample *s,
                  const struct rmq_codec_style *style, struct rmq_buf *out) {
  (void)style;
  if (!rmq_samples_can_be_said(s))
    return -1;
  size_t before = out->len;
  if (append_values(out, s) != 0 || append_sources(out, s) != 0 ||
      append_seconds(out, "],\"time\":", s->time.ns) != 0 ||
      append_seconds(out, ",\"interval\":", s->interval.ns) != 0 ||
      append_identity(out, &s->id) != 0 || append_meta(out, s) != 0 ||
      rmq_buf_append_char(out, '}') != 0) {
    rmq_buf_truncate(out, before);
    return -1;
  }
  return 0;
}

const struct rmq_codec rmq_codec_json = {
    .name = "JSON",
    .content_type = "application/json",
    .event_content_type = "application/json",
    .open = "[",
    .separator = ",",
    .close = "]",
    .encode = encode,
    .encode_event = rmq_codec_json_event_encode,
    .decode = rmq_codec_json_decode,
};
