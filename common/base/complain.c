/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/complain.h"

#include <stddef.h>

static const struct rmq_dur longest = {86400 * RMQ_NS_PER_S};

void rmq_complain_init(struct rmq_complain *c, struct rmq_dur base) {
  *c = (struct rmq_complain){.base = base};
}

static bool is_due(const struct rmq_complain *c, struct rmq_mono now) {
  struct rmq_dur wait = c->interval.ns > 0 ? c->interval : c->base;
  return !c->has_line || rmq_mono_reached(now, rmq_mono_add(c->last, wait));
}

static struct rmq_dur next_interval(const struct rmq_complain *c) {
  if (c->interval.ns == 0)
    return c->base;
  if (c->interval.ns >= longest.ns / 2)
    return longest;
  return (struct rmq_dur){c->interval.ns * 2};
}

bool rmq_complain_report(struct rmq_complain *c, struct rmq_mono now,
                         uint64_t *ret_missed) {
  if (!is_due(c, now)) {
    c->missed++;
    return false;
  }
  if (ret_missed != NULL)
    *ret_missed = c->missed;
  c->interval = next_interval(c);
  c->last = now;
  c->has_line = true;
  c->is_open = true;
  c->missed = 0;
  return true;
}

bool rmq_complain_recover(struct rmq_complain *c) {
  bool is_due_now = c->is_open;
  c->interval = (struct rmq_dur){0};
  c->is_open = false;
  return is_due_now;
}
