/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/codec_putnotif.h"

#include "common/base/utf8.h"
#include "common/codec/number.h"
#include "common/codec/quote.h"
#include "common/codec/samples.h"

#include <string.h>

static int append_clean_char(struct rmq_buf *out, const char *bytes, size_t n,
                             uint32_t c) {
  if (n == 0)
    return rmq_buf_append_char(out, '?');
  if (rmq_utf8_is_control(c))
    return rmq_buf_append_char(out, ' ');
  if ((c == '"' || c == '\\') && rmq_buf_append_char(out, '\\') != 0)
    return -1;
  return rmq_buf_append(out, bytes, n);
}

/* KEY="text"; an empty text is left out, since collectd's reader of the empty
 * string is not to be trusted and "" is what an absent option means. */
static int append_option(struct rmq_buf *out, const char *prefix,
                         const char *key, const char *text) {
  size_t len = strlen(text);
  if (len == 0)
    return 0;
  if (rmq_buf_append_text(out, prefix) != 0 ||
      rmq_buf_append_text(out, key) != 0 ||
      rmq_buf_append_text(out, "=\"") != 0)
    return -1;
  for (size_t at = 0; at < len;) {
    uint32_t c = 0;
    size_t n = rmq_utf8_decode(text + at, len - at, &c);
    if (append_clean_char(out, text + at, n, c) != 0)
      return -1;
    at += n == 0 ? 1 : n;
  }
  return rmq_buf_append_char(out, '"');
}

static int append_time(struct rmq_buf *out, struct rmq_wall time) {
  char text[RMQ_NUMBER_MAX];
  size_t n = rmq_number_put_seconds(text, time.ns);
  return rmq_buf_append(out, text, n);
}

static int append_meta(struct rmq_buf *out, const struct rmq_meta *m) {
  char scratch[RMQ_NUMBER_MAX];
  if (!rmq_quote_is_option_key(m->key))
    return 0;
  return append_option(out, " s:", m->key, rmq_samples_meta_text(m, scratch));
}

static int append_event(struct rmq_buf *out, const struct rmq_event *e) {
  const char *const options[][2] = {
      {"host", e->id.host},
      {"plugin", e->id.plugin},
      {"plugin_instance", e->id.plugin_instance},
      {"type", e->id.type},
      {"type_instance", e->id.type_instance},
      {"message", e->message},
  };
  if (rmq_buf_append_text(out, "PUTNOTIF severity=") != 0 ||
      rmq_buf_append_text(out, rmq_severity_to_str(e->severity)) != 0 ||
      rmq_buf_append_text(out, " time=") != 0 || append_time(out, e->time) != 0)
    return -1;
  for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
    if (append_option(out, " ", options[i][0], options[i][1]) != 0)
      return -1;
  for (size_t i = 0; i < e->meta_count; i++)
    if (append_meta(out, &e->meta[i]) != 0)
      return -1;
  return 0;
}

int rmq_codec_putnotif_encode(const struct rmq_event *e, struct rmq_buf *out) {
  if (e->time.ns < RMQ_NS_PER_MS || e->message[0] == '\0')
    return -1;
  size_t before = out->len;
  int rc = append_event(out, e);
  if (rc != 0)
    rmq_buf_truncate(out, before);
  return rc;
}
