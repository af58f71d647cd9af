/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/backoff.h"

#include <assert.h>
#include <limits.h>

void rmq_backoff_init(struct rmq_backoff *b, struct rmq_dur min,
                      struct rmq_dur max) {
  assert(min.ns > 0 && max.ns >= min.ns);
  *b = (struct rmq_backoff){.min = min, .max = max};
}

void rmq_backoff_reset(struct rmq_backoff *b) { b->failures = 0; }

/* min * 2^doublings, at most max. */
static struct rmq_dur ceiling_after(const struct rmq_backoff *b,
                                    unsigned doublings) {
  int64_t ns = b->min.ns;
  for (; doublings > 0; doublings--) {
    if (ns > b->max.ns / 2)
      return b->max;
    ns *= 2;
  }
  return (struct rmq_dur){ns};
}

struct rmq_dur rmq_backoff_ceiling(const struct rmq_backoff *b) {
  /* 63 doublings reach any max, so more failures change nothing. */
  return ceiling_after(b, b->failures < 63 ? b->failures + 1 : 63);
}

/* random / 2^64 of span, both ends included. */
static int64_t share_of(int64_t span, uint64_t random) {
  double share = (double)random / 18446744073709551616.0;
  return share < 1.0 ? (int64_t)(share * (double)span) : span;
}

struct rmq_dur rmq_backoff_next(struct rmq_backoff *b, uint64_t random) {
  int64_t span = rmq_backoff_ceiling(b).ns - b->min.ns;
  if (b->failures < UINT_MAX)
    b->failures++;
  return (struct rmq_dur){b->min.ns + share_of(span, random)};
}
