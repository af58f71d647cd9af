/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/listed.h"

#include <string.h>

void rmq_listed_init(struct rmq_listed *l) { rmq_snapshot_init(&l->last, 0); }

void rmq_listed_fini(struct rmq_listed *l) { rmq_snapshot_fini(&l->last); }

void rmq_listed_keep(struct rmq_listed *l, const struct rmq_snapshot *s) {
  rmq_snapshot_clear(&l->last);
  for (size_t i = 0; i < s->nodes_count; i++) {
    struct rmq_snapshot_node *n =
        rmq_snapshot_add_node(&l->last, s->nodes[i].name);
    if (n != NULL)
      n->running = s->nodes[i].running;
  }
}

static bool has(const struct rmq_snapshot *s, const char *node) {
  for (size_t i = 0; i < s->nodes_count; i++)
    if (strcmp(s->nodes[i].name, node) == 0)
      return true;
  return false;
}

bool rmq_listed_compare(const struct rmq_listed *l, struct rmq_snapshot *s,
                        struct rmq_error *ret_lacks) {
  bool has_all = true;
  for (size_t i = 0; i < l->last.nodes_count; i++) {
    const struct rmq_snapshot_node *n = &l->last.nodes[i];
    if (has(s, n->name))
      continue;
    has_all = false;
    if (!(n->running > 0))
      continue;
    s->silent++;
    rmq_error_set(ret_lacks,
                  "%s was in the last list of nodes and does not answer at any "
                  "MetricsURL",
                  n->name);
  }
  return has_all;
}
