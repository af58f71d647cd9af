/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/drill_watch.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void rmq_drill_watch_init(struct rmq_drill_watch *w, enum rmq_drill_kind kind,
                          const char *vhost) {
  *w = (struct rmq_drill_watch){
      .kind = kind, .vhost = vhost, .value = (double)NAN, .own = (double)NAN};
}

static bool is_series(const struct rmq_drill_watch *w,
                      const struct rmq_sample *s) {
  char name[256];
  snprintf(name, sizeof(name), "%s-%s", s->id.type, s->id.type_instance);
  return strcmp(name, rmq_drill_kind_series(w->kind)) == 0;
}

static void see_own(struct rmq_drill_watch *w, const struct rmq_sample *s) {
  bool is_queue = rmq_sample_label(s, "queue") != NULL;
  w->is_listed |= !is_queue;
  if (!is_series(w, s))
    return;
  if (is_queue && w->kind == RMQ_DRILL_BACKLOG)
    w->value = rmq_datum_number(&s->values[0]);
  if (!is_queue)
    w->own = rmq_datum_number(&s->values[0]);
}

static void see_cluster(struct rmq_drill_watch *w, const struct rmq_sample *s) {
  if (w->kind != RMQ_DRILL_BACKLOG && is_series(w, s))
    w->value = rmq_datum_number(&s->values[0]);
  if (strcmp(s->id.type, "response_time") != 0)
    return;
  w->has_management |= strcmp(s->id.type_instance, "management") == 0;
  w->has_nodes |= strcmp(s->id.type_instance, "prometheus") == 0;
}

void rmq_drill_watch_sample(struct rmq_drill_watch *w,
                            const struct rmq_sample *s) {
  const char *vhost = rmq_sample_label(s, "vhost");
  if (s->values_count != 1)
    return;
  if (vhost == NULL)
    see_cluster(w, s);
  else if (strcmp(vhost, w->vhost) == 0)
    see_own(w, s);
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
  w->own_first = isnan(w->own) ? 0 : w->own;
  w->was_raised = false;
}

static bool is_counter(enum rmq_drill_kind k) {
  return k == RMQ_DRILL_UNROUTABLE || k == RMQ_DRILL_NACK ||
         k == RMQ_DRILL_REDELIVERY;
}

bool rmq_drill_watch_is_shared(const struct rmq_drill_watch *w) {
  /* The management API has these counters of each virtual host that it lists,
   * from the first message on; of the plugins' it shows when one is there. */
  bool will_come = w->is_listed && w->has_management && !w->has_nodes;
  return is_counter(w->kind) &&
         (w->kind == RMQ_DRILL_NACK || (isnan(w->own) && !will_come));
}

bool rmq_drill_watch_has_moved(const struct rmq_drill_watch *w) {
  switch (w->kind) {
  case RMQ_DRILL_CLOSED_CONNECTION:
  case RMQ_DRILL_KILL:
    return w->value <= 0;
  case RMQ_DRILL_MEMORY_ALARM:
  case RMQ_DRILL_DISK_ALARM:
    return w->value > 0;
  case RMQ_DRILL_BACKLOG:
    return w->value >= RMQ_DRILL_WATCH_BACKLOG;
  case RMQ_DRILL_UNROUTABLE:
  case RMQ_DRILL_NACK:
  case RMQ_DRILL_REDELIVERY:
    return rmq_drill_watch_is_shared(w) ? w->value > w->first
                                        : w->own > w->own_first;
  }
  return false;
}
