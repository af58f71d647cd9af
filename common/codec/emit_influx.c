/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/emit_influx.h"

#include "common/base/series.h"
#include "common/base/utf8.h"

#include <string.h>

static int end_line(struct rmq_emit_influx *l, struct rmq_buf *out) {
  struct rmq_influx_tag tags[RMQ_EMIT_INFLUX_TAGS];
  int rc = 0;
  for (size_t i = 0; i < l->tags_count; i++)
    tags[i] = (struct rmq_influx_tag){l->tag_keys[i], l->tag_values[i]};
  for (size_t i = 0; i < l->fields_count; i++)
    l->fields[i].key = l->field_keys[i];
  if (l->fields_count > 0)
    rc = rmq_influx_encode(out, l->measurement, tags, l->tags_count, l->fields,
                           l->fields_count, l->time);
  if (rc != 0)
    l->unsayable_count++;
  l->fields_count = 0;
  return rc;
}

static bool copy(char to[RMQ_EMIT_INFLUX_NAME], const char *from) {
  size_t len = strlen(from);
  if (len >= RMQ_EMIT_INFLUX_NAME || !rmq_utf8_is_valid(from, len))
    return false;
  memcpy(to, from, len + 1);
  return true;
}

/* Whether the sample goes onto the line that is open. */
static bool belongs(const struct rmq_emit_influx *l,
                    const struct rmq_sample *s) {
  if (l->fields_count == 0 ||
      l->fields_count + s->values_count > RMQ_EMIT_INFLUX_FIELDS ||
      l->time.ns != s->time.ns || l->tags_count != s->meta_count ||
      strcmp(l->measurement, s->id.plugin) != 0)
    return false;
  for (size_t i = 0; i < l->tags_count; i++)
    if (strcmp(l->tag_keys[i], s->meta[i].key) != 0 ||
        strcmp(l->tag_values[i], s->meta[i].value.string) != 0)
      return false;
  return true;
}

static int begin_line(struct rmq_emit_influx *l, const struct rmq_sample *s) {
  if (s->meta_count > RMQ_EMIT_INFLUX_TAGS ||
      !copy(l->measurement, s->id.plugin))
    return -1;
  for (size_t i = 0; i < s->meta_count; i++)
    if (!copy(l->tag_keys[i], s->meta[i].key) ||
        !copy(l->tag_values[i], s->meta[i].value.string))
      return -1;
  l->tags_count = s->meta_count;
  l->time = s->time;
  return 0;
}

static int add_sample(void *ctx, const struct rmq_sample *s,
                      struct rmq_buf *out) {
  struct rmq_emit_influx *l = ctx;
  struct rmq_buf key;
  if (s->values_count != 1)
    return -1;
  for (size_t i = 0; i < s->meta_count; i++)
    if (s->meta[i].type != RMQ_META_STRING)
      return -1;
  if (!belongs(l, s)) {
    end_line(l, out);
    if (begin_line(l, s) != 0) {
      l->unsayable_count++;
      return -1;
    }
  }
  rmq_buf_init(&key, RMQ_EMIT_INFLUX_NAME - 1);
  int rc = rmq_series_field(s->id.type, s->id.type_instance, &key);
  if (rc == 0) {
    copy(l->field_keys[l->fields_count], rmq_buf_text(&key));
    l->fields[l->fields_count++] = (struct rmq_influx_field){
        .kind = s->values[0].kind, .value = s->values[0].value};
  }
  rmq_buf_fini(&key);
  return rc;
}

/* ---- events ---- */

/* The texts of an event as tags and its numbers as fields. */
struct event_line {
  struct rmq_influx_tag tags[RMQ_SAMPLE_META_MAX + 1];
  struct rmq_influx_field fields[RMQ_SAMPLE_META_MAX + 1];
  size_t tags_count, fields_count;
};

static void add_meta(struct event_line *l, const struct rmq_meta *m) {
  struct rmq_influx_field *f = &l->fields[l->fields_count];
  *f = (struct rmq_influx_field){.key = m->key, .kind = RMQ_DERIVE};
  switch (m->type) {
  case RMQ_META_STRING:
    l->tags[l->tags_count++] = (struct rmq_influx_tag){m->key, m->value.string};
    return;
  case RMQ_META_SIGNED:
    f->value.derive = m->value.signed_int;
    break;
  case RMQ_META_UNSIGNED:
    f->kind = RMQ_COUNTER;
    f->value.counter = m->value.unsigned_int;
    break;
  case RMQ_META_DOUBLE:
    f->kind = RMQ_GAUGE;
    f->value.gauge = m->value.number;
    break;
  case RMQ_META_BOOLEAN:
    f->value.derive = m->value.boolean ? 1 : 0;
    break;
  }
  l->fields_count++;
}

static int add_event(void *ctx, const struct rmq_event *e,
                     struct rmq_buf *out) {
  struct rmq_emit_influx *x = ctx;
  struct event_line l = {.tags_count = 0};
  char measurement[RMQ_NAME_MAX + sizeof("_event")];
  size_t len = strlen(e->id.plugin);
  end_line(x, out);
  if (len > RMQ_NAME_MAX || e->meta_count > RMQ_SAMPLE_META_MAX)
    return -1;
  memcpy(measurement, e->id.plugin, len);
  memcpy(measurement + len, "_event", sizeof("_event"));
  for (size_t i = 0; i < e->meta_count; i++)
    add_meta(&l, &e->meta[i]);
  l.tags[l.tags_count++] =
      (struct rmq_influx_tag){"severity", rmq_severity_to_str(e->severity)};
  l.fields[l.fields_count++] = (struct rmq_influx_field){
      .key = "message", .kind = RMQ_GAUGE, .text = e->message};
  int rc = rmq_influx_encode(out, measurement, l.tags, l.tags_count, l.fields,
                             l.fields_count, e->time);
  if (rc != 0)
    x->unsayable_count++;
  return rc;
}

static int end_set(void *ctx, struct rmq_buf *out) {
  end_line(ctx, out);
  return out->failed ? -1 : 0;
}

static size_t left_out(const void *ctx) {
  const struct rmq_emit_influx *x = ctx;
  return x->unsayable_count;
}

struct rmq_emit rmq_emit_influx_emit(struct rmq_emit_influx *x) {
  return (struct rmq_emit){.ctx = x,
                           .sample = add_sample,
                           .event = add_event,
                           .end = end_set,
                           .left_out = left_out};
}
