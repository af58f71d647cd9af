/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/codec_json_event.h"

#include "common/codec/number.h"
#include "common/codec/quote.h"
#include "common/codec/samples.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* "key":"text", with a comma in front unless it is the first of its object. */
static int append_pair(struct rmq_buf *out, bool is_first, const char *key,
                       const char *text) {
  if ((!is_first && rmq_buf_append_char(out, ',') != 0) ||
      rmq_quote_json(out, key) != 0 || rmq_buf_append_char(out, ':') != 0)
    return -1;
  return rmq_quote_json(out, text);
}

/* collectd_PLUGIN_TYPE, or collectd_TYPE where the type repeats the plugin. */
static int append_alertname(struct rmq_buf *out,
                            const struct rmq_identity *id) {
  char name[sizeof("collectd__") + 2 * RMQ_NAME_MAX];
  if (strncmp(id->plugin, id->type, strlen(id->plugin)) == 0)
    snprintf(name, sizeof(name), "collectd_%s", id->type);
  else
    snprintf(name, sizeof(name), "collectd_%s_%s", id->plugin, id->type);
  return append_pair(out, true, "alertname", name);
}

/* The instances become labels as in Prometheus' collectd exporter. */
static int append_instances(struct rmq_buf *out,
                            const struct rmq_identity *id) {
  bool has_plugin_instance = id->plugin_instance[0] != '\0';
  if (has_plugin_instance &&
      append_pair(out, false, id->plugin, id->plugin_instance) != 0)
    return -1;
  if (id->type_instance[0] == '\0')
    return 0;
  return append_pair(out, false, has_plugin_instance ? "type" : id->plugin,
                     id->type_instance);
}

static const char *severity_label(enum rmq_severity s) {
  switch (s) {
  case RMQ_OKAY:
    return "OKAY";
  case RMQ_WARNING:
    return "WARNING";
  case RMQ_FAILURE:
    return "FAILURE";
  }
  return "UNKNOWN";
}

static int append_annotations(struct rmq_buf *out, const struct rmq_event *e) {
  char scratch[RMQ_NUMBER_MAX];
  if (append_pair(out, true, "summary", e->message) != 0)
    return -1;
  for (size_t i = 0; i < e->meta_count; i++)
    if (strcmp(e->meta[i].key, "summary") != 0 &&
        append_pair(out, false, e->meta[i].key,
                    rmq_samples_meta_text(&e->meta[i], scratch)) != 0)
      return -1;
  return 0;
}

/* RFC 3339 in UTC with nine decimals. */
static int append_starts_at(struct rmq_buf *out, struct rmq_wall time) {
  time_t seconds = (time_t)(time.ns / RMQ_NS_PER_S);
  struct tm tm;
  char text[sizeof("1970-01-01T00:00:00")];
  if (time.ns < 0 || gmtime_r(&seconds, &tm) == NULL ||
      strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
    return -1;
  return rmq_buf_appendf(out, ",\"startsAt\":\"%s.%09" PRId64 "Z\"", text,
                         time.ns % RMQ_NS_PER_S);
}

static int append_event(struct rmq_buf *out, const struct rmq_event *e) {
  if (rmq_buf_append_text(out, "[{\"labels\":{") != 0 ||
      append_alertname(out, &e->id) != 0 ||
      append_pair(out, false, "instance", e->id.host) != 0 ||
      append_instances(out, &e->id) != 0 ||
      append_pair(out, false, "severity", severity_label(e->severity)) != 0 ||
      append_pair(out, false, "service", "collectd") != 0 ||
      rmq_buf_append_text(out, "},\"annotations\":{") != 0 ||
      append_annotations(out, e) != 0 || rmq_buf_append_char(out, '}') != 0 ||
      append_starts_at(out, e->time) != 0)
    return -1;
  return rmq_buf_append_text(out, "}]");
}

int rmq_codec_json_event_encode(const struct rmq_event *e,
                                struct rmq_buf *out) {
  size_t before = out->len;
  int rc = append_event(out, e);
  if (rc != 0)
    rmq_buf_truncate(out, before);
  return rc;
}
