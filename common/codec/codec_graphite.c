/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/codec.h"

#include "common/codec/codec_graphite_decode.h"
#include "common/codec/codec_json_event.h"
#include "common/codec/number.h"
#include "common/codec/samples.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A rate of 309 digits and six decimals. */
enum { VALUE_MAX = 330 };

/* What collectd replaces wherever it stands in the path. Control characters and
 * other white space are in no name that comes here. */
static bool is_forbidden(char c) {
  switch (c) {
  case ' ':
  case '\t':
  case '\n':
  case '\r':
  case '"':
  case '\\':
  case ':':
  case '!':
  case ',':
  case '/':
  case '(':
  case ')':
    return true;
  }
  return false;
}

static char *put_escaped(char *to, const char *text, char escape) {
  for (; *text != '\0'; text++)
    *to++ = is_forbidden(*text) ? escape : *text;
  return to;
}

/* A part of the identity, in which a '.' separates nothing. */
static char *put_name(char *to, const char *name,
                      const struct rmq_codec_style *style) {
  char dot = style->graphite_preserve_separator ? '.' : style->graphite_escape;
  for (; *name != '\0'; name++)
    *to++ = *name == '.'          ? dot
            : is_forbidden(*name) ? style->graphite_escape
                                  : *name;
  return to;
}

static char *put_instance(char *to, const char *name,
                          const struct rmq_codec_style *style) {
  if (name[0] == '\0')
    return to;
  *to++ = style->graphite_separate_instances ? '.' : '-';
  return put_name(to, name, style);
}

/* PREFIXhostPOSTFIX.plugin-instance.type-instance */
static char *put_path(char *to, const struct rmq_identity *id,
                      const struct rmq_codec_style *style) {
  to = put_escaped(to, style->graphite_prefix, style->graphite_escape);
  to = put_name(to, id->host, style);
  to = put_escaped(to, style->graphite_postfix, style->graphite_escape);
  *to++ = '.';
  to = put_name(to, id->plugin, style);
  to = put_instance(to, id->plugin_instance, style);
  *to++ = '.';
  to = put_name(to, id->type, style);
  return put_instance(to, id->type_instance, style);
}

static size_t path_max(const struct rmq_codec_style *style) {
  return strlen(style->graphite_prefix) + strlen(style->graphite_postfix) +
         5 * (RMQ_NAME_MAX + 1);
}

static size_t put_value(char *to, const struct rmq_sample *s, size_t i) {
  const struct rmq_datum *d = &s->values[i];
  if (s->rates != NULL && d->kind != RMQ_GAUGE)
    return (size_t)snprintf(to, VALUE_MAX, "%f", s->rates[i]);
  switch (d->kind) {
  case RMQ_GAUGE:
    return rmq_number_put_general(to, d->value.gauge);
  case RMQ_DERIVE:
    return rmq_number_put_i64(to, d->value.derive);
  case RMQ_COUNTER:
    return rmq_number_put_u64(to, d->value.counter);
  case RMQ_ABSOLUTE:
    return rmq_number_put_u64(to, d->value.absolute);
  }
  return 0;
}

/* " SECONDS\r\n", rounded as collectd rounds. */
static size_t put_time(char *to, struct rmq_wall time) {
  int64_t s = (time.ns + RMQ_NS_PER_S / 2) / RMQ_NS_PER_S;
  to[0] = ' ';
  size_t n = 1 + rmq_number_put_i64(to + 1, s);
  to[n++] = '\r';
  to[n++] = '\n';
  return n;
}

static int append_line(struct rmq_buf *out, const struct rmq_sample *s,
                       const struct rmq_codec_style *style, size_t i) {
  const char *source = s->values[i].name;
  bool has_source = style->graphite_always_append_ds || s->values_count > 1;
  char *line = rmq_buf_reserve(out, path_max(style) + 1 + strlen(source) +
                                        VALUE_MAX + RMQ_NUMBER_MAX);
  if (line == NULL)
    return -1;
  char *to = put_path(line, &s->id, style);
  if (has_source) {
    *to++ = '.';
    to = put_escaped(to, source, style->graphite_escape);
  }
  *to++ = ' ';
  to += put_value(to, s, i);
  to += put_time(to, s->time);
  rmq_buf_commit(out, (size_t)(to - line));
  return 0;
}

static int encode(const struct rmq_sample *s,
                  const struct rmq_codec_style *style, struct rmq_buf *out) {
  if (!rmq_samples_can_be_said(s))
    return -1;
  size_t before = out->len;
  for (size_t i = 0; i < s->values_count; i++)
    if (append_line(out, s, style, i) != 0) {
      rmq_buf_truncate(out, before);
      return -1;
    }
  return 0;
}

const struct rmq_codec rmq_codec_graphite = {
    .name = "Graphite",
    .content_type = "text/graphite",
    .event_content_type = "application/json",
    .open = "",
    .separator = "",
    .close = "",
    .encode = encode,
    .encode_event = rmq_codec_json_event_encode,
    .decode = rmq_codec_graphite_decode,
};
