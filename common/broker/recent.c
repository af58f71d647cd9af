/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/recent.h"

#include <math.h>

void rmq_recent_init(struct rmq_recent *r) { *r = (struct rmq_recent){0}; }

double rmq_recent_add(struct rmq_recent *r, double rate, struct rmq_dur span,
                      struct rmq_mono now) {
  /* Polls are not quite as far apart as their interval. */
  int64_t oldest_ns = now.ns - span.ns + span.ns / 10;
  double sum = rate;
  size_t used = 1;
  if (isnan(rate)) {
    rmq_recent_init(r);
    return rate;
  }
  for (size_t i = 0; i < r->count; i++)
    if (r->rates[i].at.ns > oldest_ns) {
      sum += r->rates[i].rate;
      used++;
    }
  r->rates[r->next].rate = rate;
  r->rates[r->next].at = now;
  r->next = (r->next + 1) % RMQ_RECENT_MAX;
  if (r->count < RMQ_RECENT_MAX)
    r->count++;
  return sum / (double)used;
}
