/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "tests/fake/host.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void keep_line(void *ctx, const struct rmq_log_record *r) {
  struct fake_host *h = ctx;
  if (h->lines_count >= FAKE_HOST_LINES)
    return;
  struct fake_line *l = &h->lines[h->lines_count++];
  l->level = r->level;
  snprintf(l->event, sizeof(l->event), "%s", r->event == NULL ? "" : r->event);
  snprintf(l->state, sizeof(l->state), "%s", r->state == NULL ? "" : r->state);
  snprintf(l->message_id, sizeof(l->message_id), "%s",
           r->message_id == NULL ? "" : r->message_id);
  snprintf(l->message, sizeof(l->message), "%s", r->message);
}

static int keep_sample(void *ctx, const struct rmq_sample *s) {
  struct fake_host *h = ctx;
  if (h->samples_count >= FAKE_HOST_SAMPLES || s->values_count != 1)
    return -1;
  struct fake_sample *k = &h->samples[h->samples_count++];
  snprintf(k->name, sizeof(k->name), "%s-%s/%s%s%s", s->id.plugin,
           s->id.plugin_instance, s->id.type,
           s->id.type_instance[0] == '\0' ? "" : "-", s->id.type_instance);
  k->labels[0] = '\0';
  for (size_t i = 0; i < s->meta_count; i++) {
    size_t used = strlen(k->labels);
    snprintf(k->labels + used, sizeof(k->labels) - used, "%s=%s;",
             s->meta[i].key, s->meta[i].value.string);
  }
  snprintf(k->type, sizeof(k->type), "%s", s->id.type);
  snprintf(k->source, sizeof(k->source), "%s", s->values[0].name);
  k->kind = s->values[0].kind;
  k->value = s->values[0].value;
  k->time = s->time;
  k->interval = s->interval;
  return 0;
}

static void keep_meta(const struct rmq_meta *m, char *text, size_t size) {
  size_t used = strlen(text);
  if (m->type == RMQ_META_STRING)
    snprintf(text + used, size - used, "%s=%s;", m->key, m->value.string);
  else if (m->type == RMQ_META_DOUBLE)
    snprintf(text + used, size - used, "%s=%g;", m->key, m->value.number);
  else
    snprintf(text + used, size - used, "%s=?;", m->key);
}

static void keep_event(void *ctx, const struct rmq_event *e) {
  struct fake_host *h = ctx;
  if (h->events_count++ >= FAKE_HOST_EVENTS)
    return;
  struct fake_event *k = &h->events[h->events_count - 1];
  *k = (struct fake_event){.severity = e->severity};
  snprintf(k->name, sizeof(k->name), "%s-%s/%s-%s", e->id.plugin,
           e->id.plugin_instance, e->id.type, e->id.type_instance);
  snprintf(k->message, sizeof(k->message), "%s", e->message);
  for (size_t i = 0; i < e->meta_count; i++)
    keep_meta(&e->meta[i], k->meta, sizeof(k->meta));
}

static struct rmq_mono get_mono(void *ctx) {
  return ((const struct fake_host *)ctx)->now;
}

static struct rmq_wall get_wall(void *ctx) {
  return ((const struct fake_host *)ctx)->wall;
}

static uint64_t no_chance(void *ctx) {
  (void)ctx;
  return 4; /* chosen by fair dice roll */
}

static int recall(void *ctx, const struct rmq_identity *id, enum rmq_kind kind,
                  union rmq_value *ret_value) {
  char name[300];
  snprintf(name, sizeof(name), "%s-%s/%s-%s", id->plugin, id->plugin_instance,
           id->type, id->type_instance);
  const struct fake_sample *s = fake_host_find(ctx, name);
  if (s == NULL || s->kind != kind || strcmp(id->host, "agent") != 0)
    return -1;
  *ret_value = s->value;
  return 0;
}

static void tell_instances(void *ctx, const char *plugin, const char *type,
                           const char *type_instance,
                           void (*found)(void *ctx, const char *instance),
                           void *found_ctx) {
  const struct fake_host *h = ctx;
  char end[100], instance[300];
  snprintf(end, sizeof(end), "/%s-%s", type, type_instance);
  for (size_t i = 0; i < h->samples_count; i++) {
    const char *name = h->samples[i].name, *tail = strstr(name, end);
    size_t len = strlen(plugin);
    if (tail == NULL || strcmp(tail, end) != 0 ||
        strncmp(name, plugin, len) != 0 || name[len] != '-')
      continue;
    snprintf(instance, sizeof(instance), "%.*s", (int)(tail - (name + len + 1)),
             name + len + 1);
    found(found_ctx, instance);
  }
}

void fake_host_init(struct fake_host *h) {
  memset(h, 0, sizeof(*h));
  h->now.ns = 1000 * RMQ_NS_PER_S;
  h->wall.ns = 1700000000 * RMQ_NS_PER_S;
  h->host = (struct rmq_host){.ctx = h,
                              .service = "test",
                              .hostname = "agent",
                              .log = keep_line,
                              .mono = get_mono,
                              .wall = get_wall,
                              .random = no_chance,
                              .recall = recall,
                              .instances = tell_instances,
                              .sample = keep_sample,
                              .event = keep_event};
}

void fake_host_advance(struct fake_host *h, struct rmq_dur d) {
  h->now.ns += d.ns;
  h->wall.ns += d.ns;
}

void fake_host_clear(struct fake_host *h) {
  h->samples_count = 0;
  h->lines_count = 0;
  h->events_count = 0;
}

const struct fake_sample *fake_host_find(const struct fake_host *h,
                                         const char *name) {
  for (size_t i = h->samples_count; i > 0; i--)
    if (strcmp(h->samples[i - 1].name, name) == 0)
      return &h->samples[i - 1];
  return NULL;
}

double fake_host_value(const struct fake_host *h, const char *name) {
  const struct fake_sample *s = fake_host_find(h, name);
  if (s == NULL)
    return (double)NAN;
  return s->kind == RMQ_GAUGE ? s->value.gauge : (double)s->value.derive;
}

size_t fake_host_count(const struct fake_host *h, const char *event) {
  size_t count = 0;
  for (size_t i = 0; i < h->lines_count; i++)
    count += strcmp(h->lines[i].event, event) == 0 ? 1 : 0;
  return count;
}
