/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/drill_watch.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void rmq_drill_watch_init(struct rmq_drill_watch *w, enum rmq_drill_kind kind,
                          const char *vhost) {
  *w = (struct rmq_drill_watch){
      .kind = kind, .vhost = vhost, .value = (double)NAN};
}

static bool is_series(const struct rmq_drill_watch *w,
                      const struct rmq_sample *s) {
  char name[256];
  const char *vhost = rmq_sample_label(s, "vhost");
  snprintf(name, sizeof(name), "%s-%s", s->id.type, s->id.type_instance);
  if (strcmp(name, rmq_drill_kind_series(w->kind)) != 0)
    return false;
  if (w->kind != RMQ_DRILL_BACKLOG)
    return vhost == NULL;
  return vhost != NULL && rmq_sample_label(s, "queue") != NULL &&
         strcmp(vhost, w->vhost) == 0;
}

void rmq_drill_watch_sample(struct rmq_drill_watch *w,
                            const struct rmq_sample *s) {
  if (s->values_count != 1)
    return;
  if (is_series(w, s))
    w->value = rmq_datum_number(&s->values[0]);
  if (strcmp(s->id.type_instance, "reachable") == 0)
    w->is_reachable = rmq_datum_number(&s->values[0]) > 0;
}

void rmq_drill_watch_event(struct rmq_drill_watch *w,
                           const struct rmq_event *e) {
  for (size_t i = 0; i < e->meta_count; i++)
    if (e->meta[i].type == RMQ_META_STRING &&
        strcmp(e->meta[i].key, "indicator") == 0 &&
        strcmp(e->meta[i].value.string, rmq_drill_kind_alert(w->kind)) == 0) {
      w->is_raised = e->severity == RMQ_FAILURE;
      w->was_raised = w->was_raised || w->is_raised;
    }
}

bool rmq_drill_watch_is_well(const struct rmq_drill_watch *w) {
  if (!w->is_reachable)
    return false;
  switch (w->kind) {
  case RMQ_DRILL_CLOSED_CONNECTION:
  case RMQ_DRILL_KILL:
    return w->value > 0;
  case RMQ_DRILL_MEMORY_ALARM:
  case RMQ_DRILL_DISK_ALARM:
    return w->value <= 0;
  case RMQ_DRILL_UNROUTABLE:
  case RMQ_DRILL_NACK:
  case RMQ_DRILL_REDELIVERY:
  case RMQ_DRILL_BACKLOG:
    return true; /* the first one may bring the series */
  }
  return false;
}

void rmq_drill_watch_begin(struct rmq_drill_watch *w) {
  w->first = isnan(w->value) ? 0 : w->value;
  w->was_raised = false;
}

bool rmq_drill_watch_has_moved(const struct rmq_drill_watch *w) {
  switch (w->kind) {
  case RMQ_DRILL_CLOSED_CONNECTION:
  case RMQ_DRILL_KILL:
    return w->value <= 0;
  case RMQ_DRILL_MEMORY_ALARM:
  case RMQ_DRILL_DISK_ALARM:
    return w->value > 0;
  case RMQ_DRILL_UNROUTABLE:
  case RMQ_DRILL_NACK:
  case RMQ_DRILL_REDELIVERY:
    return w->value > w->first;
  case RMQ_DRILL_BACKLOG:
    return w->value >= RMQ_DRILL_WATCH_BACKLOG;
  }
  return false;
}
