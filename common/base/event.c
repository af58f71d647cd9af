/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/event.h"

#include <stdlib.h>
#include <string.h>

/* Texts behind the structs of one allocation; bytes NULL = measured only. */
struct texts {
  char *bytes;
  size_t len;
};

static const char *put(struct texts *t, const char *text) {
  if (text == NULL)
    return NULL;
  size_t size = strlen(text) + 1;
  char *copy = t->bytes == NULL ? NULL : t->bytes + t->len;
  if (copy != NULL)
    memcpy(copy, text, size);
  t->len += size;
  return copy;
}

/* Visits every text of event, and sets the copy's (to NULL while measuring). */
static void put_all(struct texts *t, const struct rmq_event *event,
                    struct rmq_event *copy, struct rmq_meta *meta) {
  copy->id.host = put(t, event->id.host);
  copy->id.plugin = put(t, event->id.plugin);
  copy->id.plugin_instance = put(t, event->id.plugin_instance);
  copy->id.type = put(t, event->id.type);
  copy->id.type_instance = put(t, event->id.type_instance);
  copy->message = put(t, event->message);
  for (size_t i = 0; i < event->meta_count; i++) {
    struct rmq_meta m = event->meta[i];
    m.key = put(t, event->meta[i].key);
    if (m.type == RMQ_META_STRING)
      m.value.string = put(t, event->meta[i].value.string);
    if (meta != NULL)
      meta[i] = m;
  }
}

struct rmq_event *rmq_event_clone(const struct rmq_event *event) {
  struct {
    struct rmq_event event;
    struct rmq_meta meta[];
  } * copy;
  struct rmq_event ignored;
  struct texts measured = {.bytes = NULL};
  put_all(&measured, event, &ignored, NULL);
  size_t fixed = sizeof(*copy) + event->meta_count * sizeof(copy->meta[0]);
  copy = malloc(fixed + measured.len);
  if (copy == NULL)
    return NULL;
  copy->event = *event;
  struct texts t = {.bytes = (char *)copy + fixed};
  put_all(&t, event, &copy->event, copy->meta);
  copy->event.meta = copy->meta;
  return &copy->event;
}
