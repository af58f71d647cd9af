/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "tests/fake/sample_text.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

struct type_row {
  const char *type;
  struct rmq_datum sources[4];
};

static const struct type_row rows[] = {
    {"gauge", {{.name = "value", .kind = RMQ_GAUGE}}},
    {"derive", {{.name = "value", .kind = RMQ_DERIVE}}},
    {"counter", {{.name = "value", .kind = RMQ_COUNTER}}},
    {"absolute", {{.name = "value", .kind = RMQ_ABSOLUTE}}},
    {"if_octets",
     {{.name = "rx", .kind = RMQ_DERIVE}, {.name = "tx", .kind = RMQ_DERIVE}}},
    {"load",
     {{.name = "shortterm", .kind = RMQ_GAUGE},
      {.name = "midterm", .kind = RMQ_GAUGE},
      {.name = "longterm", .kind = RMQ_GAUGE}}},
    {"mixed",
     {{.name = "g", .kind = RMQ_GAUGE},
      {.name = "d", .kind = RMQ_DERIVE},
      {.name = "c", .kind = RMQ_COUNTER},
      {.name = "a", .kind = RMQ_ABSOLUTE}}},
};

static int get_type(void *ctx, const char *type, struct rmq_datum *ret_sources,
                    size_t max) {
  (void)ctx;
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    if (strcmp(rows[i].type, type) != 0)
      continue;
    size_t n = 0;
    for (; n < max && n < 4 && rows[i].sources[n].name != NULL; n++)
      ret_sources[n] = rows[i].sources[n];
    return (int)n;
  }
  return -1;
}

const struct rmq_types fake_types = {.get = get_type};

static void double_text(double v, struct rmq_buf *out) {
  if (isnan(v))
    rmq_buf_append_text(out, "nan");
  else
    rmq_buf_appendf(out, "%.17g", v);
}

static void value_text(const struct rmq_datum *d, struct rmq_buf *out) {
  rmq_buf_appendf(out, " %s:%s=", d->name, rmq_kind_to_str(d->kind));
  switch (d->kind) {
  case RMQ_GAUGE:
    double_text(d->value.gauge, out);
    break;
  case RMQ_DERIVE:
    rmq_buf_appendf(out, "%" PRId64, d->value.derive);
    break;
  case RMQ_COUNTER:
    rmq_buf_appendf(out, "%" PRIu64, d->value.counter);
    break;
  case RMQ_ABSOLUTE:
    rmq_buf_appendf(out, "%" PRIu64, d->value.absolute);
    break;
  }
}

static void meta_text(const struct rmq_meta *m, struct rmq_buf *out) {
  rmq_buf_appendf(out, " {%s:%s=", m->key, rmq_meta_type_to_str(m->type));
  switch (m->type) {
  case RMQ_META_STRING:
    rmq_buf_append_text(out, m->value.string);
    break;
  case RMQ_META_SIGNED:
    rmq_buf_appendf(out, "%" PRId64, m->value.signed_int);
    break;
  case RMQ_META_UNSIGNED:
    rmq_buf_appendf(out, "%" PRIu64, m->value.unsigned_int);
    break;
  case RMQ_META_DOUBLE:
    double_text(m->value.number, out);
    break;
  case RMQ_META_BOOLEAN:
    rmq_buf_append_text(out, m->value.boolean ? "true" : "false");
    break;
  }
  rmq_buf_append_char(out, '}');
}

void fake_sample_text(const struct rmq_sample *s, struct rmq_buf *out) {
  rmq_buf_appendf(out, "%s|%s|%s|%s|%s time=%" PRId64 " interval=%" PRId64,
                  s->id.host, s->id.plugin, s->id.plugin_instance, s->id.type,
                  s->id.type_instance, s->time.ns, s->interval.ns);
  for (size_t i = 0; i < s->values_count; i++)
    value_text(&s->values[i], out);
  for (size_t i = 0; i < s->meta_count; i++)
    meta_text(&s->meta[i], out);
  rmq_buf_append_char(out, '\n');
}

void fake_sample_sink(void *ctx, const struct rmq_sample *s) {
  fake_sample_text(s, ctx);
}

int fake_decode(const struct rmq_codec *codec, const char *bytes, size_t len,
                void (*sample)(void *ctx, const struct rmq_sample *s),
                void *ctx, struct rmq_error *err) {
  const struct rmq_codec_input in = {
      .bytes = bytes, .len = len, .types = &fake_types};
  const struct rmq_codec_sink sink = {.ctx = ctx, .sample = sample};
  return codec->decode(&in, &sink, err);
}
