/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/codec.h"

#include "common/codec/codec_influx_decode.h"
#include "common/codec/codec_json_event.h"
#include "common/codec/influx.h"
#include "common/codec/samples.h"

/* InfluxDB gives a field of a measurement one type and refuses the other, with
 * the whole body at worst; collectd calls floats and counters of one plugin
 * both "value". So integers have keys of their own. */
static const char integer_suffix[] = "_total";

static void fill_fields(const struct rmq_sample *s,
                        struct rmq_influx_field *ret_fields) {
  for (size_t i = 0; i < s->values_count; i++) {
    const struct rmq_datum *d = &s->values[i];
    struct rmq_influx_field *f = &ret_fields[i];
    *f = (struct rmq_influx_field){d->name, d->kind, d->value, NULL, NULL};
    if (s->rates != NULL && d->kind != RMQ_GAUGE) {
      f->kind = RMQ_GAUGE;
      f->value.gauge = s->rates[i];
    }
    if (f->kind != RMQ_GAUGE)
      f->suffix = integer_suffix;
  }
}

static int encode(const struct rmq_sample *s,
                  const struct rmq_codec_style *style, struct rmq_buf *out) {
  (void)style;
  if (!rmq_samples_can_be_said(s))
    return -1;
  struct rmq_influx_field fields[RMQ_SAMPLE_VALUES_MAX];
  fill_fields(s, fields);
  const struct rmq_influx_tag tags[] = {
      {"host", s->id.host},
      {"instance", s->id.plugin_instance},
      {"type", s->id.type},
      {"type_instance", s->id.type_instance},
  };
  return rmq_influx_encode(out, s->id.plugin, tags,
                           sizeof(tags) / sizeof(tags[0]), fields,
                           s->values_count, s->time);
}

const struct rmq_codec rmq_codec_influx = {
    .name = "Influx",
    .content_type = "text/influx",
    .event_content_type = "application/json",
    .open = "",
    .separator = "",
    .close = "",
    .encode = encode,
    .encode_event = rmq_codec_json_event_encode,
    .decode = rmq_codec_influx_decode,
};
