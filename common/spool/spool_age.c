/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/spool/spool_age.h"

#include <string.h>

static const int64_t jump_ns = 2 * RMQ_NS_PER_S;

void rmq_spool_age_init(struct rmq_spool_age *a, uint64_t first_seq,
                        struct rmq_mono now, struct rmq_wall wall) {
  memset(a, 0, sizeof(*a));
  a->start = now;
  a->start_wall = wall;
  a->eras[0] = (struct rmq_spool_era){first_seq, wall.ns - now.ns, now};
  a->count = 1;
}

void rmq_spool_age_see(struct rmq_spool_age *a, uint64_t next_seq,
                       struct rmq_mono now, struct rmq_wall wall) {
  const struct rmq_spool_era *last = &a->eras[a->count - 1];
  int64_t offset = wall.ns - now.ns;
  int64_t moved = offset - last->offset_ns;
  if (moved <= jump_ns && moved >= -jump_ns)
    return;
  if (a->count == RMQ_SPOOL_AGE_ERAS) {
    /* The second is forgotten; its rows count for the first. */
    memmove(&a->eras[1], &a->eras[2], (a->count - 2) * sizeof(a->eras[0]));
    a->count--;
  }
  a->eras[a->count++] = (struct rmq_spool_era){next_seq, offset, now};
}

static struct rmq_dur not_negative(int64_t ns) {
  return (struct rmq_dur){ns > 0 ? ns : 0};
}

struct rmq_dur rmq_spool_age_of(const struct rmq_spool_age *a, uint64_t seq,
                                struct rmq_wall accepted, struct rmq_mono now) {
  const struct rmq_spool_era *era = &a->eras[a->count - 1];
  while (era > a->eras && era->first_seq > seq)
    era--;
  if (seq < era->first_seq) /* of an earlier process */
    return (struct rmq_dur){not_negative(a->start_wall.ns - accepted.ns).ns +
                            not_negative(now.ns - a->start.ns).ns};
  int64_t age = now.ns + era->offset_ns - accepted.ns;
  /* Stamped before the clock was turned back, written afterwards. */
  if (age < -jump_ns)
    return not_negative(now.ns - era->start.ns);
  return not_negative(age);
}
