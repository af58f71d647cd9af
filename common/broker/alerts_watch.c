/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/alerts_private.h"

#include <stdlib.h>
#include <string.h>

static void assign_rules(const struct rmq_alerts *a, struct rmq_alerts_watch *w,
                         struct rmq_alerts_range range) {
  for (size_t i = 0; i < range.count; i++)
    for (size_t r = 0; r < a->rules_count && w->alerts[i].rule == 0; r++)
      if (rmq_alert_rule_matches(a->rules[r],
                                 &rmq_alert_quantities[range.first + i],
                                 w->node, w->vhost, w->queue))
        w->alerts[i].rule = (uint8_t)(r + 1);
}

/* A copy of name, which may be NULL, at *at. */
static const char *place(char **at, const char *name) {
  if (name == NULL)
    return NULL;
  size_t size = strlen(name) + 1;
  char *copy = memcpy(*at, name, size);
  *at += size;
  return copy;
}

static size_t size_of(const char *name) {
  return name == NULL ? 0 : strlen(name) + 1;
}

struct rmq_alerts_watch *
rmq_alerts_watch_new(const struct rmq_alerts *a, struct rmq_alerts_range range,
                     const char *node, const char *vhost, const char *queue) {
  size_t size = sizeof(struct rmq_alerts_watch) +
                range.count * sizeof(struct rmq_alerts_concern);
  struct rmq_alerts_watch *w =
      calloc(1, size + size_of(node) + size_of(vhost) + size_of(queue));
  if (w == NULL)
    return NULL;
  char *at = (char *)w + size;
  w->node = place(&at, node);
  w->vhost = place(&at, vhost);
  w->queue = place(&at, queue);
  assign_rules(a, w, range);
  return w;
}

void rmq_alerts_watches_free(struct rmq_alerts_watch **watches, size_t count) {
  for (size_t i = 0; i < count; i++)
    free(watches[i]);
  free(watches);
}
