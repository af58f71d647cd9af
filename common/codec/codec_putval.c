/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/codec.h"

#include "common/base/utf8.h"
#include "common/codec/codec_putnotif.h"
#include "common/codec/codec_putval_decode.h"
#include "common/codec/number.h"
#include "common/codec/quote.h"
#include "common/codec/samples.h"

#include <string.h>

/* "host/plugin-instance/type-instance", of names that are known to be short. */
static void put_identifier(char *to, const struct rmq_identity *id) {
  const char *parts[] = {id->host,
                         "/",
                         id->plugin,
                         id->plugin_instance[0] == '\0' ? "" : "-",
                         id->plugin_instance,
                         "/",
                         id->type,
                         id->type_instance[0] == '\0' ? "" : "-",
                         id->type_instance};
  for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
    size_t n = strlen(parts[i]);
    memcpy(to, parts[i], n);
    to += n;
  }
  *to = '\0';
}

static int append_identifier(struct rmq_buf *out,
                             const struct rmq_identity *id) {
  char text[5 * RMQ_NAME_MAX + sizeof("/-/-")];
  put_identifier(text, id);
  if (strpbrk(text, " \"\\") == NULL)
    return rmq_buf_append_text(out, text);
  if (rmq_buf_append_char(out, '"') != 0 || rmq_quote_escape(out, text) != 0)
    return -1;
  return rmq_buf_append_char(out, '"');
}

/* Whether collectd's reader would take it for the same between quotes. */
static bool is_exact(const char *text) {
  return strpbrk(text, "\r\n") == NULL && rmq_utf8_is_valid(text, strlen(text));
}

/* collectd's reader wants the quotes of a meta value inside its field:
 * meta:key="\"value\"", and what is between them escaped as well. */
static int append_meta(struct rmq_buf *out, const struct rmq_meta *m,
                       const struct rmq_codec_style *style) {
  if (m->type != RMQ_META_STRING || !rmq_quote_is_option_key(m->key))
    return 0;
  if (style->putval_exact_meta && !is_exact(m->value.string))
    return -1;
  if (!style->putval_exact_meta &&
      !rmq_samples_is_line(m->value.string, strlen(m->value.string)))
    return 0;
  if (rmq_buf_append_text(out, " meta:") != 0 ||
      rmq_buf_append_text(out, m->key) != 0 ||
      rmq_buf_append_text(out, "=\"\\\"") != 0 ||
      rmq_quote_escape(out, m->value.string) != 0)
    return -1;
  return rmq_buf_append_text(out, "\\\"\"");
}

static size_t put_value(char *to, const struct rmq_datum *d) {
  switch (d->kind) {
  case RMQ_GAUGE:
    return rmq_number_put_gauge(to, d->value.gauge);
  case RMQ_DERIVE:
    return rmq_number_put_i64(to, d->value.derive);
  case RMQ_COUNTER:
    return rmq_number_put_u64(to, d->value.counter);
  case RMQ_ABSOLUTE:
    return rmq_number_put_u64(to, d->value.absolute);
  }
  return 0;
}

static int append_interval(struct rmq_buf *out, struct rmq_dur interval) {
  static const char word[] = " interval=";
  if (interval.ns < RMQ_NS_PER_MS / 2) /* unknown, or would read as 0.000 */
    return 0;
  char text[sizeof(word) + RMQ_NUMBER_MAX];
  memcpy(text, word, sizeof(word) - 1);
  size_t n = rmq_number_put_seconds(text + sizeof(word) - 1, interval.ns);
  return rmq_buf_append(out, text, sizeof(word) - 1 + n);
}

/* " time:value:value" */
static int append_values(struct rmq_buf *out, const struct rmq_sample *s) {
  char text[1 + RMQ_NUMBER_MAX] = " ";
  size_t n = 1 + rmq_number_put_seconds(text + 1, s->time.ns);
  int rc = rmq_buf_append(out, text, n);
  for (size_t i = 0; rc == 0 && i < s->values_count; i++) {
    text[0] = ':';
    n = 1 + put_value(text + 1, &s->values[i]);
    rc = rmq_buf_append(out, text, n);
  }
  return rc;
}

/* Rates are not written: the reader takes the value of a counter for one. */
static int encode(const struct rmq_sample *s,
                  const struct rmq_codec_style *style, struct rmq_buf *out) {
  /* The first '-' of a type ends it for every reader. */
  if (!rmq_samples_can_be_said(s) || strchr(s->id.type, '-') != NULL)
    return -1;
  size_t before = out->len;
  int rc = rmq_buf_append(out, "PUTVAL ", 7);
  if (rc == 0)
    rc = append_identifier(out, &s->id);
  if (rc == 0)
    rc = append_interval(out, s->interval);
  for (size_t i = 0; rc == 0 && i < s->meta_count && i < RMQ_SAMPLE_META_MAX;
       i++)
    rc = append_meta(out, &s->meta[i], style);
  if (rc == 0)
    rc = append_values(out, s);
  if (rc != 0)
    rmq_buf_truncate(out, before);
  return rc;
}

const struct rmq_codec rmq_codec_putval = {
    .name = "Command",
    .content_type = "text/collectd",
    .event_content_type = "text/collectd",
    .open = "",
    .separator = "\n",
    .close = "",
    .encode = encode,
    .encode_event = rmq_codec_putnotif_encode,
    .decode = rmq_codec_putval_decode,
};
